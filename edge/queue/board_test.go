package queue

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"sync"
	"testing"

	"fairgate/edge/lottery"
)

// body is the example, changed.
func body(t testing.TB, change func(*State)) []byte {
	t.Helper()
	s := exampleState(t)
	if change != nil {
		change(&s)
	}
	b, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func put(t testing.TB, b *Board, etag string, change func(*State)) *Entry {
	t.Helper()
	e, err := b.Put(etag, body(t, change))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func unzip(t testing.TB, b []byte) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

func TestTheBoardShowsWhatCoreSentByteForByte(t *testing.T) {
	b := NewBoard()
	if b.Entry([]byte("arena")) != nil {
		t.Fatal("an empty board shows something")
	}
	// More space than this package would write.
	sent := append([]byte(" "), body(t, nil)...)
	if _, err := b.Put(`"1-12"`, sent); err != nil {
		t.Fatal(err)
	}
	want := bytes.Clone(sent)
	clear(sent) // the caller's buffer is used again
	e := b.Entry([]byte("arena"))
	if e == nil || !bytes.Equal(e.Body, want) || !bytes.Equal(unzip(t, e.Gzip), want) || e.ETag != `"1-12"` {
		t.Fatalf("shown is %+v", e)
	}
	if e.Event != lottery.EventID("arena") || e.State.Version != 12 {
		t.Errorf("decoded is %+v", e.State)
	}
	if len(e.Gzip) >= len(e.Body) {
		t.Errorf("compressed from %d to %d bytes", len(e.Body), len(e.Gzip))
	}
	if n := testing.AllocsPerRun(100, func() { b.Entry(arena) }); n != 0 {
		t.Errorf("reading allocates %v times", n)
	}
}

var arena = []byte("arena")

func TestAStateThatComesLateDoesNotReplaceANewerOne(t *testing.T) {
	b := NewBoard()
	put(t, b, `"a"`, func(s *State) { s.Generation, s.Version = 2, 5 })
	for _, late := range []func(*State){
		func(s *State) { s.Generation, s.Version = 2, 4 },
		func(s *State) { s.Generation, s.Version = 1, 9 },
	} {
		if _, err := b.Put(`"b"`, body(t, late)); !errors.Is(err, ErrStale) {
			t.Errorf("error %v, want ErrStale", err)
		}
	}
	if e := b.Entry(arena); e.ETag != `"a"` {
		t.Errorf("shown is %s", e.ETag)
	}
	put(t, b, `"c"`, func(s *State) { s.Generation, s.Version = 3, 1 })
	if e := b.Entry(arena); e.ETag != `"c"` {
		t.Errorf("shown is %s, want the new on-sale", e.ETag)
	}
}

func TestTheBoardRefusesWhatItCouldNotShow(t *testing.T) {
	b := NewBoard()
	if _, err := b.Put(`"a"`, []byte("{}")); !errors.Is(err, ErrMalformed) {
		t.Errorf("error %v, want ErrMalformed", err)
	}
	for _, etag := range []string{"", `""`, `a`, `W/"a"`, `"a`, `"a"b"`, "\"a\r\nSet-Cookie: x\""} {
		if _, err := b.Put(etag, body(t, nil)); !errors.Is(err, ErrMalformed) {
			t.Errorf("ETag %q: error %v, want ErrMalformed", etag, err)
		}
	}
	if b.Entry(arena) != nil {
		t.Error("something is shown")
	}
}

func TestInDoubtEverybodyKeepsTheirPlaceAndIsToldSo(t *testing.T) {
	b := NewBoard()
	told := put(t, b, `"1-12"`, nil)
	put(t, b, `"c"`, func(s *State) { s.Event, s.PollAfterMS = "club", 20_000 })
	if err := b.Doubt("We have lost touch. Your place is safe.", 10_000); err != nil {
		t.Fatal(err)
	}
	e := b.Entry(arena)
	s, err := DecodeState(e.Body)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Doubt || s.Message != "We have lost touch. Your place is safe." || s.PollAfterMS != 10_000 {
		t.Errorf("doubt %v, message %q, poll after %d ms", s.Doubt, s.Message, s.PollAfterMS)
	}
	if s.Phase != told.State.Phase || *s.Cursor != *told.State.Cursor || s.Windows[0].Seed != told.State.Windows[0].Seed || s.Version != 12 {
		t.Error("the place of somebody has changed")
	}
	if e.ETag == told.ETag || !validETag(e.ETag) || !e.State.Doubt || !bytes.Equal(unzip(t, e.Gzip), e.Body) {
		t.Errorf("shown is ETag %s", e.ETag)
	}
	if c := b.Entry([]byte("club")); c.State.PollAfterMS != 20_000 {
		t.Errorf("pages are told to come back sooner than before: in %d ms", c.State.PollAfterMS)
	}
	if told.State.Doubt || told.ETag != `"1-12"` {
		t.Error("an entry somebody may be reading was changed")
	}

	if put(t, b, `"1-13"`, func(s *State) { s.Version = 13 }); b.Entry(arena).State.Doubt {
		t.Error("news from core does not end the doubt")
	}
	b.Trust()
	if c := b.Entry([]byte("club")); c.State.Doubt || c.ETag != `"c"` {
		t.Errorf("after the doubt club is shown as %s", c.ETag)
	}
}

func TestEventsThatAreNotLiveLeaveTheBoard(t *testing.T) {
	b := NewBoard()
	put(t, b, `"a"`, nil)
	put(t, b, `"c"`, func(s *State) { s.Event = "club" })
	b.Keep([]string{"club", "unheard-of"})
	if b.Entry(arena) != nil || b.Entry([]byte("club")) == nil {
		t.Error("the wrong event left")
	}
}

func TestReadersSeeWholeEntriesWhileTheBoardChanges(t *testing.T) {
	b := NewBoard()
	put(t, b, `"v0"`, func(s *State) { s.Version = 0 })
	bodies := map[string][]byte{}
	etags := []string{`"v1"`, `"v2"`, `"v3"`, `"v4"`, `"v5"`, `"v6"`}
	for i, etag := range etags {
		bodies[etag] = body(t, func(s *State) { s.Version = uint64(i + 1) })
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			last := uint64(0)
			for {
				e := b.Entry(arena)
				if want, ok := bodies[e.ETag]; ok && !bytes.Equal(e.Body, want) {
					t.Errorf("%s is shown with another body", e.ETag)
				}
				if e.State.Version < last {
					t.Errorf("version %d after %d", e.State.Version, last)
				}
				last = e.State.Version
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for _, etag := range etags {
		if _, err := b.Put(etag, bodies[etag]); err != nil {
			t.Error(err)
		}
		if err := b.Doubt("wait", 1); err != nil {
			t.Error(err)
		}
		b.Keep([]string{"arena"})
	}
	close(done)
	wg.Wait()
}
