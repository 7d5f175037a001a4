package access

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
)

// withWord gives the event a presale for whoever knows a word.
func (w *world) withWord() {
	w.change(func(w *world) {
		w.sale.Presales = []Presale{
			{ID: "club", Identity: "account", Registered: true, Word: true, Allocation: "for-fans", From: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Hour)},
			{ID: "fans", Identity: "invitation", Allocation: "for-fans", From: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Hour)},
		}
	})
}

func try(n int, network, word string) Try {
	return Try{Account: uuid.NewSHA1(uuid.Nil, fmt.Append(nil, n)), Entrant: buyer(n).Entrant, Network: network, Word: word}
}

func TestAccountsComeOnTheListOfAPresaleWithItsWord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.withWord()
	a, b := w.start(testConfig()), w.start(testConfig())
	if err := a.RegisterSelf(t.Context(), slug, "club", try(1, "n", "moonlight")); !errors.Is(err, ErrWordUnset) {
		t.Errorf("before there is a word: %v", err)
	}
	for presale, want := range map[string]error{"fans": ErrWordInvalid, "nobody": ErrPresaleUnknown} {
		if err := a.SetWord(t.Context(), slug, presale, "moonlight", "ann"); !errors.Is(err, want) {
			t.Errorf("a word for %s: %v", presale, err)
		}
	}
	if err := a.SetWord(t.Context(), slug, "club", "moon", "ann"); !errors.Is(err, ErrWordInvalid) {
		t.Errorf("a short word: %v", err)
	}
	if err := a.SetWord(t.Context(), slug, "club", "Moonlight", "ann"); err != nil {
		t.Fatal(err)
	}
	var stored []byte
	if err := w.db.Reader.QueryRow(t.Context(), `SELECT salt || hash FROM presale_words WHERE event_id = $1`, lottery.EventID(slug)).Scan(&stored); err != nil || len(stored) != 48 || bytes.Contains(stored, []byte("oonlight")) {
		t.Errorf("%d bytes are stored: %v", len(stored), err)
	}
	for n, word := range []string{"", "moonlit", "moonlight!"} {
		if err := b.RegisterSelf(t.Context(), slug, "club", try(1, "n", word)); !errors.Is(err, ErrWordWrong) {
			t.Errorf("word %d: %v", n, err)
		}
	}
	for n, c := range []*core{a, b, b} { // the third time b knows it by its quick hash
		if err := c.RegisterSelf(t.Context(), slug, "club", try(2+n, "n", " MOONLIGHT ")); err != nil {
			t.Errorf("account %d: %v", 2+n, err)
		}
	}
	if err := b.RegisterSelf(t.Context(), slug, "club", try(9, "n", "sunlight")); !errors.Is(err, ErrWordWrong) {
		t.Errorf("another word after the right one: %v", err)
	}
	if n, err := a.Registered(t.Context(), slug, "club"); err != nil || n != 3 {
		t.Errorf("%d are on the list: %v", n, err)
	}
	// Another word takes its place, here at once.
	if err := a.SetWord(t.Context(), slug, "club", "sunlight", "ann"); err != nil {
		t.Fatal(err)
	}
	if err := a.RegisterSelf(t.Context(), slug, "club", try(20, "n", "moonlight")); !errors.Is(err, ErrWordWrong) {
		t.Errorf("the word before: %v", err)
	}
	if err := a.RegisterSelf(t.Context(), slug, "club", try(21, "n", "sunlight")); err != nil {
		t.Errorf("the new word: %v", err)
	}
}

func TestWordsAreGuessedAtABoundedRateAndAClubBehindOneAddressGetsIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.withWord()
	cfg, now := testConfig(), time.Now()
	cfg.Clock = func() time.Time { return now } // however slow the machine is, no time goes by
	c, err := New(t.Context(), w.db, cfg, w.deps())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetWord(t.Context(), slug, "club", "moonlight", "ann"); err != nil {
		t.Fatal(err)
	}
	var tries *WordTries
	for n := range accountTries + 1 {
		err := c.RegisterSelf(t.Context(), slug, "club", try(1, "guesser", fmt.Sprint("guess", n)))
		if over := n == accountTries; over != errors.As(err, &tries) || over == errors.Is(err, ErrWordWrong) {
			t.Fatalf("try %d of an account: %v", n, err)
		}
	}
	if tries.Wait <= 0 || tries.Wait > accountTryEvery {
		t.Errorf("it is told to wait %s", tries.Wait)
	}
	if err := c.SetWord(t.Context(), slug, "club", strings.Repeat(" ", 4*maxWord-6)+"moonlight", "ann"); !errors.Is(err, ErrWordInvalid) {
		t.Errorf("a word of which a part would count: %v", err)
	}
	// Many accounts of one network guess no more than the network may, and then each no more than once in a while.
	for n := range networkTries - accountTries {
		if err := c.RegisterSelf(t.Context(), slug, "club", try(100+n, "guesser", "a guess")); !errors.Is(err, ErrWordWrong) {
			t.Fatalf("guess %d of the network: %v", n, err)
		}
	}
	if err := c.RegisterSelf(t.Context(), slug, "club", try(100, "guesser", "moonlight")); !errors.Is(err, ErrWordTries) {
		t.Errorf("the network has guessed too often, and so has the account: %v", err)
	}
	if err := c.RegisterSelf(t.Context(), slug, "club", try(999, "guesser", "moonlight")); err != nil {
		t.Errorf("a member behind the same address as those who guess: %v", err)
	}
	for n := range 3 * networkTries {
		if err := c.RegisterSelf(t.Context(), slug, "club", try(1000+n, "a stadium", "moonlight")); err != nil {
			t.Fatalf("member %d behind one address: %v", n, err)
		}
	}
}

func TestARateGivesABurstAndThenOneAtATime(t *testing.T) {
	r, now := newRates[string](3, time.Second), time.Unix(1000, 0)
	for n := range 3 {
		if wait := r.take("a", now); wait != 0 {
			t.Errorf("number %d waits %s", n, wait)
		}
	}
	if wait := r.take("a", now); wait != time.Second || r.wait("a", now) != time.Second || r.take("b", now) != 0 {
		t.Errorf("the fourth waits %s", wait)
	}
	if used := r.used("a", now); used != 1 {
		t.Errorf("of the burst %v is used", used)
	}
	if r.take("a", now.Add(time.Second)) != 0 || r.take("a", now.Add(time.Second)) == 0 {
		t.Error("it does not get one a second")
	}
}
