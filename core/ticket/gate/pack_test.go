package gate

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
)

var packKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{5}, ed25519.SeedSize))

func trusted() ed25519.PublicKey { return packKey.Public().(ed25519.PublicKey) }

var ticketKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, ed25519.SeedSize))

// packOf is an event's pack with so many dead tickets.
func packOf(dead int) *Pack {
	public := lottery.PublicKey{No: 3}
	copy(public.Public[:], ticketKey.Public().(ed25519.PublicKey))
	p := &Pack{Event: lottery.EventID("arena"), Slug: "arena", AsOf: doors, Keys: lottery.PublicKeys{public}, GateKeys: [][]byte{bytes.Repeat([]byte{7}, 32)},
		Rules:  Rules{Reentry: AfterExit, ClosesAt: doors.Add(12 * time.Hour), Zones: []Zone{{ID: "floor", Places: []string{"floor", "box/"}}}},
		States: map[uuid.UUID]State{}}
	for i := range dead {
		p.States[uuid.NewSHA1(p.Event, []byte{byte(i), byte(i >> 8), byte(i >> 16)})] = StateOf(uint32(1+i%3), i%3 == 0)
	}
	p.Version = Sum(p.States)
	return p
}

func open(t testing.TB, p *Pack) *Pack {
	t.Helper()
	read, err := Open(p.Seal(packKey), trusted())
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func TestAPackIsReadAsItWasWritten(t *testing.T) {
	for _, dead := range []int{0, 1, 700} {
		p := packOf(dead)
		p.Rotating = dead > 0
		read := open(t, p)
		for ticket, s := range p.States {
			if read.State(ticket) != s {
				t.Errorf("ticket %s is %d, not %d", ticket, read.State(ticket), s)
			}
		}
		for range 5000 {
			if s := read.State(uuid.New()); s != Issued {
				t.Fatalf("a ticket that is not listed has state %d", s)
			}
		}
		read.filter = nil
		if !reflect.DeepEqual(p, read) {
			t.Errorf("got %+v\nwant %+v", read, p)
		}
	}
}

func TestAPackOf80000TicketsOfWhichFivePercentAreDeadIsBelow100KB(t *testing.T) {
	size := len(packOf(4000).Seal(packKey))
	t.Logf("%d bytes", size)
	if size >= 100_000 {
		t.Errorf("%d bytes", size)
	}
}

func TestAnAlteredPackIsRefused(t *testing.T) {
	sealed := packOf(3).Seal(packKey)
	for bit := range len(sealed) * 8 {
		sealed[bit/8] ^= 1 << (bit % 8)
		if _, err := Open(sealed, trusted()); !errors.Is(err, ErrPack) && !errors.Is(err, ErrPackForged) {
			t.Errorf("bit %d flipped: %v", bit, err)
		}
		sealed[bit/8] ^= 1 << (bit % 8)
	}
	if _, err := Open(sealed, ticketKey.Public().(ed25519.PublicKey)); !errors.Is(err, ErrPackForged) {
		t.Errorf("another key: %v", err)
	}
	if _, err := Open(sealed); !errors.Is(err, ErrPackForged) {
		t.Errorf("no key: %v", err)
	}
	for _, n := range []int{0, 5, 68, len(sealed) - 1} {
		if _, err := Open(sealed[:n], trusted()); err == nil {
			t.Errorf("%d bytes of it were believed", n)
		}
	}
}

func TestADeltaCompletesAPackOrIsRefused(t *testing.T) {
	p := packOf(5)
	whole := packOf(9) // what core has some minutes later
	one := uuid.NewSHA1(p.Event, []byte{0, 0, 0})
	whole.States[one] = StateOf(2, false) // a void ticket is valid again
	whole.AsOf, whole.Version = doors.Add(5*time.Minute), Sum(whole.States)
	delta := *whole
	delta.Base, delta.States = doors.Add(-time.Minute), map[uuid.UUID]State{}
	for ticket, s := range whole.States {
		if p.States[ticket] != s {
			delta.States[ticket] = s
		}
	}
	have, news := open(t, p), open(t, &delta)
	next, err := have.Apply(news)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it is not news
		if next, err = next.Apply(news); err != nil || next.Version != whole.Version || next.AsOf != whole.AsOf || !next.Base.IsZero() {
			t.Fatalf("%+v, %v", next, err)
		}
		for ticket, s := range whole.States {
			if next.State(ticket) != s {
				t.Errorf("ticket %s is %d, not %d", ticket, next.State(ticket), s)
			}
		}
	}
	if old, err := next.Apply(have); err != nil || old != next {
		t.Errorf("an older pack: %v", err)
	}
	if fresh, err := have.Apply(open(t, whole)); err != nil || fresh.Version != whole.Version {
		t.Errorf("a newer whole pack: %v", err)
	}

	lacking := delta
	lacking.States = map[uuid.UUID]State{one: whole.States[one]}
	late := delta
	late.Base = doors.Add(time.Minute)
	other := delta
	other.Event = uuid.New()
	for name, d := range map[string]*Pack{"a change is missing": &lacking, "it begins after the pack": &late} {
		if _, err := have.Apply(open(t, d)); !errors.Is(err, ErrGap) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := have.Apply(open(t, &other)); !errors.Is(err, ErrPackEvent) {
		t.Errorf("another event: %v", err)
	}
	if len(have.States) != 5 {
		t.Error("the pack was changed")
	}

	file := Append(Append(nil, p.Seal(packKey)), delta.Seal(packKey))
	if loaded, err := Load(file, trusted()); err != nil || loaded.Version != whole.Version {
		t.Errorf("a file of both: %v", err)
	}
	if torn, err := Load(file[:len(file)-1], trusted()); err != nil || torn.Version != p.Version {
		t.Errorf("a file whose delta is torn: %v", err)
	}
	for name, file := range map[string][]byte{"empty": nil, "only a delta": Append(nil, delta.Seal(packKey)), "torn": Append(nil, p.Seal(packKey))[:40]} {
		if _, err := Load(file, trusted()); !errors.Is(err, ErrPack) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParsePack(f *testing.F) {
	for _, p := range []*Pack{packOf(0), packOf(20)} {
		sealed := p.Seal(packKey)
		f.Add(sealed[len(packMagic) : len(sealed)-ed25519.SignatureSize])
	}
	delta := packOf(2)
	delta.Base = doors.Add(-time.Hour)
	sealed := delta.Seal(packKey)
	f.Add(sealed[len(packMagic) : len(sealed)-ed25519.SignatureSize])
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parse(b)
		if err != nil {
			if !errors.Is(err, ErrPack) {
				t.Fatal(err)
			}
			return
		}
		again, err := Open(p.Seal(packKey), trusted())
		if err != nil || again.Version != p.Version || len(again.States) != len(p.States) || !again.AsOf.Equal(p.AsOf) {
			t.Fatalf("%+v is read as %+v, %v", p, again, err)
		}
		for ticket, s := range p.States {
			if p.State(ticket) != s {
				t.Fatalf("ticket %s is missed", ticket)
			}
		}
	})
}

func TestAPackSaysWhatCannotBeKnownOffLine(t *testing.T) {
	p := packOf(3)
	p.SettledAt, p.Rules.Together = doors.Add(-time.Hour), true
	if read := open(t, p); read.Early() || !read.Rules.Together || !read.SettledAt.Equal(p.SettledAt) || read.Cancelled || read.Rotating {
		t.Errorf("%+v", read)
	}
	p.SettledAt = doors.Add(time.Second)
	if !open(t, p).Early() {
		t.Error("a pack of before the last tickets changed hands does not say so")
	}
}

func TestThePackOfACancelledEventLetsNobodyIn(t *testing.T) {
	p := packOf(0)
	s := newStand(t, p, "floor")
	inside := uuid.New()
	s.scan(shown(t, inside, 1, "floor"), In, nil)
	delta := packOf(0)
	delta.AsOf, delta.Base, delta.Cancelled = doors.Add(time.Second), doors, true
	if err := s.Update(open(t, delta)); err != nil {
		t.Fatal(err)
	}
	s.scan(shown(t, uuid.New(), 1, "floor"), In, ErrVoid)
	s.scan(shown(t, inside, 1, "floor"), Out, nil)
}

func TestAGateTakesUpNoPackThatIsOlderOrOfAnotherEvent(t *testing.T) {
	p := packOf(3)
	s := newStand(t, p, "floor")
	older, other := packOf(0), packOf(9)
	older.AsOf = doors.Add(-time.Second)
	other.Event, other.AsOf = uuid.New(), doors.Add(time.Minute)
	for code, d := range map[string]*Pack{"pack_older": older, "pack_other_event": other} {
		if err := s.Update(open(t, d)); PackCode(err) != code {
			t.Errorf("%v has the code %q, not %s", err, PackCode(err), code)
		}
	}
	dead := uuid.NewSHA1(p.Event, []byte{0, 0, 0})
	s.scan(shown(t, dead, 1, "floor"), In, ErrVoid) // as before
}
