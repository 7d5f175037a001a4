package access

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
)

func aVerdict(entrant byte, answer string, at time.Time) Verdict {
	return Verdict{
		ID: uuid.New(), At: at, Event: slug, Entrant: lottery.Entrant{entrant}, Device: lottery.DeviceHash{entrant}, Network: "203.0.113.0/24",
		NetworkHash: [8]byte{entrant}, Place: "claim", Answer: answer, By: "work", Score: 77.5, Level: "high",
		Reasons: []Reason{{"honeypot", 25, "a hidden field was filled in"}, {"data_centre", 15, "the address belongs to a network for servers"}},
	}
}

func TestVerdictsAreKeptOnceExplainedListedAndLifted(t *testing.T) {
	w := newWorld(t)
	a, b := w.start(testConfig()), w.start(testConfig())
	ctx, edge := t.Context(), uuid.New()
	at := time.Now().UTC().Truncate(time.Microsecond)
	batch := []Verdict{aVerdict(1, "asked", at), aVerdict(1, "denied", at.Add(time.Second)), aVerdict(2, "noted", at.Add(2*time.Second))}
	for range 2 { // the answer was lost, and the edge sends them again, to another core
		if err := a.KeepVerdicts(ctx, edge, batch); err != nil {
			t.Fatal(err)
		}
		a, b = b, a
	}
	got, lift, err := a.VerdictsOf(ctx, lottery.Entrant{1}, 10)
	if err != nil || lift != nil || len(got) != 2 || got[0].Answer != "denied" || got[1].ID != batch[0].ID {
		t.Fatalf("%+v, %+v, %v", got, lift, err)
	}
	want := batch[1]
	want.Edge = edge
	if first := got[0]; !first.At.Equal(want.At) || first.Score != want.Score || first.Network != want.Network || len(first.Reasons) != 2 || first.Reasons[0] != want.Reasons[0] || first.Edge != edge {
		t.Errorf("kept %+v, sent %+v", first, want)
	}
	page, err := a.VerdictsOfEvent(ctx, slug, "", VerdictMark{}, 2)
	if err != nil || len(page) != 2 || page[0].Answer != "noted" {
		t.Fatalf("%+v, %v", page, err)
	}
	rest, err := a.VerdictsOfEvent(ctx, slug, "", VerdictMark{page[1].At, page[1].ID}, 2)
	if err != nil || len(rest) != 1 || rest[0].Answer != "asked" {
		t.Errorf("the next page: %+v, %v", rest, err)
	}
	if denied, err := a.VerdictsOfEvent(ctx, slug, "denied", VerdictMark{}, 10); err != nil || len(denied) != 1 {
		t.Errorf("denied: %+v, %v", denied, err)
	}
	counts, err := a.CountVerdicts(ctx, slug)
	if err != nil || len(counts) != 3 || counts[0] != (VerdictCount{"asked", "work", 1, 1}) {
		t.Errorf("counted %+v, %v", counts, err)
	}

	before, none, err := a.Lifts(ctx)
	if err != nil || len(none) != 0 || before == 0 {
		t.Fatalf("%d %v %v", before, none, err)
	}
	if err := a.LiftVerdict(ctx, lottery.Entrant{9}, "why not", "operator:ann"); !errors.Is(err, ErrVerdictUnknown) {
		t.Errorf("lifting what is not: %v", err)
	}
	if err := a.LiftVerdict(ctx, lottery.Entrant{1}, "", "operator:ann"); !errors.Is(err, ErrVerdictInvalid) {
		t.Errorf("lifting without a reason: %v", err)
	}
	for range 2 {
		if err := a.LiftVerdict(ctx, lottery.Entrant{1}, "wrote to us", "operator:ann"); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(liftsTTL) // for so long a core goes by what it has read
	if version, lifted, err := b.Lifts(ctx); err != nil || version == before || len(lifted) != 1 || lifted[0] != (lottery.Entrant{1}) {
		t.Errorf("the other core tells edges %v in version %d: %v", lifted, version, err)
	}
	if _, lift, err := b.VerdictsOf(ctx, lottery.Entrant{1}, 10); err != nil || lift == nil || lift.Reason != "wrote to us" || lift.Actor != "operator:ann" {
		t.Errorf("%+v, %v", lift, err)
	}
}

func TestAVerdictThatSaysNothingIsNotKept(t *testing.T) {
	w := newWorld(t)
	r := w.start(testConfig())
	for what, spoil := range map[string]func(*Verdict){
		"no id":                    func(v *Verdict) { v.ID = uuid.Nil },
		"no time":                  func(v *Verdict) { v.At = time.Time{} },
		"no event":                 func(v *Verdict) { v.Event = "../x" },
		"another answer":           func(v *Verdict) { v.Answer = "shot" },
		"another place":            func(v *Verdict) { v.Place = "bar" },
		"a denial without reasons": func(v *Verdict) { v.Answer, v.Reasons = "denied", v.Reasons[:1] },
		"a book":                   func(v *Verdict) { v.Reasons[0].Said = string(make([]byte, 1000)) },
		"a score beyond all":       func(v *Verdict) { v.Score = 1e9 },
		"many reasons":             func(v *Verdict) { v.Reasons = make([]Reason, 100) },
	} {
		v := aVerdict(1, "asked", time.Now())
		spoil(&v)
		if err := r.KeepVerdicts(t.Context(), uuid.New(), []Verdict{v}); !errors.Is(err, ErrVerdictInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := r.KeepVerdicts(t.Context(), uuid.New(), make([]Verdict, maxVerdicts+1)); !errors.Is(err, ErrTooMany) {
		t.Errorf("too many: %v", err)
	}
}

func TestAccountsAndCardsCanBeBannedToo(t *testing.T) {
	w := newWorld(t)
	r := w.start(testConfig())
	for _, kind := range []BanKind{BanAccount, BanCard} {
		subject := append([]byte(kind), make([]byte, 16)...)[:16]
		if err := r.AddBan(t.Context(), Ban{Kind: kind, Subject: subject, Reason: "a farm", Actor: "operator"}); err != nil {
			t.Fatal(err)
		}
		if !r.HasBan(kind, subject) || r.HasBan(BanEntrant, subject) {
			t.Errorf("a ban of an %s is not in force, or of something else", kind)
		}
		if err := r.LiftBan(t.Context(), kind, subject); err != nil || r.HasBan(kind, subject) {
			t.Errorf("lifted: %v", err)
		}
		if err := r.AddBan(t.Context(), Ban{Kind: kind, Subject: subject[:8], Reason: "a farm"}); !errors.Is(err, ErrBanInvalid) {
			t.Errorf("half a subject: %v", err)
		}
	}
}
