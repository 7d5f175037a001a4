package fraud

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/core/payment"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

func config() Config {
	return Config{OnFailure: Allow, Timeout: 10 * time.Second, Rules: DefaultRules(), Weights: DefaultWeights(), Thresholds: DefaultThresholds()}
}

func open(t *testing.T, d *db.DB, cfg Config) *Screen {
	s := New(d, cfg)
	t.Cleanup(s.Close)
	return s
}

var marker = NewMarker([]byte("a key"))

// paid is an authorized payment of an account with a card.
func paid(account, card string) Question {
	return Question{Order: uuid.New(), Payment: uuid.New(), Stage: Authorized, Account: marker.Mark("account", account), Card: marker.Mark("card", card), Country: "ES"}
}

func rulesOf(j Judgement) (names []string) {
	for _, r := range j.Reasons {
		names = append(names, r.Rule)
	}
	return names
}

func TestTheFourthCardOfAnAccountIsForAnOperator(t *testing.T) {
	s := open(t, dbtest.New(t), config())
	for n := range 3 {
		if j := s.Judge(t.Context(), paid("ann", fmt.Sprint("card", n))); j.Verdict != Allow || !j.Stored {
			t.Fatalf("card %d: %+v", n+1, j)
		}
	}
	if j := s.Judge(t.Context(), paid("ann", "card0")); j.Verdict != Allow {
		t.Errorf("a card that was seen before: %+v", j)
	}
	j := s.Judge(t.Context(), paid("ann", "card3"))
	if j.Verdict != Review || !slices.Equal(rulesOf(j), []string{"cards_per_account"}) || j.Said() != "4 cards of the account within 1h0m0s, more than 3" {
		t.Errorf("the fourth card: %+v, %q", j, j.Said())
	}
	if j := s.Judge(t.Context(), paid("bob", "card3")); j.Verdict != Allow {
		t.Errorf("somebody else: %+v", j)
	}
}

func TestManyAccountsOfOneCardAreForAnOperator(t *testing.T) {
	s := open(t, dbtest.New(t), config())
	var last Judgement
	for n := range 5 {
		last = s.Judge(t.Context(), paid(fmt.Sprint("account", n), "one"))
		if n < 4 && last.Verdict != Allow {
			t.Fatalf("account %d: %+v", n+1, last)
		}
	}
	if last.Verdict != Review || !slices.Equal(rulesOf(last), []string{"accounts_per_card"}) {
		t.Errorf("the fifth account: %+v", last)
	}
}

func TestAnAccountThatKeepsBeingDeclinedIsDeniedAndRemembered(t *testing.T) {
	s := open(t, dbtest.New(t), config())
	ask := paid("ann", "")
	ask.Stage = Begin
	for n := range 21 {
		s.Declined(t.Context(), ask, fmt.Sprint("try", n%21))
		s.Declined(t.Context(), ask, fmt.Sprint("try", n%21)) // told twice is once
	}
	j := s.Judge(t.Context(), ask)
	if j.Verdict != Deny || !slices.Equal(rulesOf(j), []string{"declines_per_account"}) {
		t.Fatalf("%+v", j)
	}
	next := paid("ann", "")
	next.Stage = Begin
	if j := s.Judge(t.Context(), next); !slices.Contains(rulesOf(j), "denied_before") {
		t.Errorf("the next payment does not know of the denied one: %+v", j)
	}
}

// A stranger who writes somebody's address and has cards declined must not hold up or refuse what the owner buys next.
func TestWhatStrangersDoWithAnAddressNeverHoldsItsOwnerUp(t *testing.T) {
	s := open(t, dbtest.New(t), config())
	address := marker.Mark("email", "ann@example.org")
	for n := range 30 {
		stranger := paid(fmt.Sprint("stranger", n), fmt.Sprint("card", n))
		stranger.Email, stranger.Stage = address, Begin
		s.Declined(t.Context(), stranger, "try")
		s.Judge(t.Context(), stranger)
		stranger.Stage, stranger.Risk.IPCountry = Authorized, string(rune('A'+n%26))+"X"
		stranger.Risk.Level, stranger.Risk.CVCCheck = "highest", "fail" // denied, and remembered
		if j := s.Judge(t.Context(), stranger); j.Verdict != Deny {
			t.Fatalf("stranger %d: %+v", n, j)
		}
	}
	for name, c := range map[string]struct {
		risk  payment.Risk
		stage Stage
		want  Verdict
		score int
	}{
		"at the beginning":          {stage: Begin, want: Allow},
		"authorized":                {stage: Authorized, want: Allow},
		"beside a small signal":     {stage: Authorized, risk: payment.Risk{Funding: "prepaid", Challenged: true}, want: Allow, score: 30},
		"beside enough, and proved": {stage: Authorized, risk: payment.Risk{Level: "elevated", Challenged: true}, want: Allow, score: 80},
	} {
		ann := paid("ann "+name, "card of "+name)
		ann.Email, ann.Stage, ann.Risk = address, c.stage, c.risk
		if j := s.Judge(t.Context(), ann); j.Verdict != c.want || j.Score != c.score {
			t.Errorf("%s: %+v; want %s with %d", name, j, c.want, c.score)
		}
	}
}

func TestWhatWasSeenOftenIsCountedLikeWhatWasSeenSeldom(t *testing.T) {
	d := dbtest.New(t)
	for _, most := range []int{fewSeen - 2, fewSeen - 1, fewSeen, fewSeen + 1} { // around where the database begins to count
		cfg := config()
		cfg.Rules.PaymentsPerAccount.Most = most
		s := open(t, d, cfg)
		account := fmt.Sprint("account", most)
		var last Judgement
		for n := range most + 1 {
			q := paid(account, "")
			q.Stage = Begin
			if last = s.Judge(t.Context(), q); n < most && last.Verdict != Allow {
				t.Fatalf("payment %d of %d: %+v", n+1, most, last)
			}
		}
		if want := fmt.Sprintf("%d payments of the account within 1h0m0s, more than %d", most+1, most); last.Verdict != Challenge || last.Said() != want {
			t.Errorf("%+v, not %s", last, want)
		}
	}
}

func TestPaymentsFromOneAddressAndCountriesOfOneAccountAreCounted(t *testing.T) {
	cfg := config()
	cfg.Rules.PaymentsPerAddress.Most = 2
	s := open(t, dbtest.New(t), cfg)
	var last Judgement
	for n := range 3 {
		q := paid(fmt.Sprint("account", n), "")
		q.Stage, q.Address = Begin, marker.Mark("address", "192.0.2.1")
		last = s.Judge(t.Context(), q)
	}
	if last.Verdict != Challenge || !slices.Equal(rulesOf(last), []string{"payments_per_address"}) {
		t.Errorf("the third payment from an address: %+v", last)
	}
	for _, c := range []string{"ES", "es", "PT", "FR"} {
		q := paid("traveller", "card")
		q.Risk.IPCountry = c
		last = s.Judge(t.Context(), q)
	}
	if last.Verdict != Review || !slices.Contains(rulesOf(last), "countries_per_minute") {
		t.Errorf("the third country: %+v", last)
	}
}

func TestSignalsAddUpToAVerdict(t *testing.T) {
	for name, c := range map[string]struct {
		risk    payment.Risk
		tighter Thresholds
		before  Verdict
		want    Verdict
		rules   []string
	}{
		"nothing":                         {want: Allow},
		"a foreign prepaid card":          {risk: payment.Risk{CardCountry: "US", Funding: "prepaid"}, want: Allow, rules: []string{"card_country_other", "prepaid"}},
		"wrong code":                      {risk: payment.Risk{CVCCheck: "fail"}, want: Review, rules: []string{"cvc_check_failed", "unchallenged"}},
		"wrong code, proved":              {risk: payment.Risk{CVCCheck: "fail", Challenged: true}, want: Allow, rules: []string{"cvc_check_failed", "challenged"}},
		"elevated and a wrong postcode":   {risk: payment.Risk{Level: "elevated", PostalCheck: "fail"}, want: Review, rules: []string{"postal_check_failed", "risk_elevated"}},
		"elevated, proved":                {risk: payment.Risk{Level: "elevated", PostalCheck: "fail", Challenged: true}, want: Review, rules: []string{"postal_check_failed", "risk_elevated"}},
		"highest from elsewhere":          {risk: payment.Risk{Level: "highest", CardCountry: "ES", IPCountry: "BR"}, want: Deny, rules: []string{"ip_country_other", "risk_highest"}},
		"a score":                         {risk: payment.Risk{Score: 99}, want: Allow, rules: []string{"risk_score"}},
		"a score, the event is strict":    {risk: payment.Risk{Score: 99}, tighter: Thresholds{Review: 30}, want: Review, rules: []string{"risk_score"}},
		"no score":                        {risk: payment.Risk{Score: -1}, want: Allow},
		"asked to prove it, and did not":  {before: Challenge, want: Review, rules: []string{"before", "unchallenged"}},
		"asked to prove it, and did":      {before: Challenge, risk: payment.Risk{Challenged: true}, want: Allow, rules: []string{"before", "challenged"}},
		"for an operator from the start":  {before: Review, risk: payment.Risk{Challenged: true}, want: Review, rules: []string{"before"}},
		"the event may not be laxer":      {risk: payment.Risk{Level: "highest"}, tighter: Thresholds{Review: 500}, want: Review, rules: []string{"risk_highest"}},
		"a score that no provider has":    {risk: payment.Risk{Score: 1 << 40}, want: Allow, rules: []string{"risk_score"}},
		"level and checks in other words": {risk: payment.Risk{Level: "?", PostalCheck: "unavailable", CVCCheck: "pass", Funding: "credit"}, want: Allow},
	} {
		cfg := config()
		q := paid("ann", "card")
		q.Risk, q.Tighter, q.Before = c.risk, c.tighter, c.before
		j := cfg.decide(&q, nil, nil)
		if j.Verdict != c.want || !slices.Equal(rulesOf(j), c.rules) {
			t.Errorf("%s: %s with score %d by %v; want %s by %v", name, j.Verdict, j.Score, rulesOf(j), c.want, c.rules)
		}
	}
}

func TestTheSameQuestionHasTheSameAnswer(t *testing.T) {
	d := dbtest.New(t)
	a, b := open(t, d, config()), open(t, d, config())
	q := paid("ann", "card")
	first := a.Judge(t.Context(), q)
	q.Risk.Level = "highest" // even if the provider changed its mind
	if again := b.Judge(t.Context(), q); again.Verdict != Allow || !again.At.Equal(first.At) {
		t.Errorf("first %+v, then %+v", first, again)
	}
	all, err := a.Of(t.Context(), q.Order)
	if err != nil || len(all) != 1 || all[0].Stage != Authorized {
		t.Errorf("%+v, %v", all, err)
	}
}

// Four cards at the same moment, at two cores: whoever commits last sees all of them.
func TestTwoCoresTogetherSeeTheFourthCard(t *testing.T) {
	d := dbtest.New(t)
	cores := []*Screen{open(t, d, config()), open(t, d, config())}
	for round := range 20 {
		got := make([]Judgement, 4)
		var wg sync.WaitGroup
		for n := range got {
			wg.Go(func() {
				got[n] = cores[n%2].Judge(t.Context(), paid(fmt.Sprint("buyer", round), fmt.Sprint(round, "/", n)))
			})
		}
		wg.Wait()
		if !slices.ContainsFunc(got, func(j Judgement) bool { return j.Verdict == Review }) {
			t.Fatalf("round %d: nobody saw four cards: %+v", round, got)
		}
	}
}

func TestWithoutAStorePaymentsGoOnAsConfigured(t *testing.T) {
	for _, want := range []Verdict{Allow, Review} {
		cfg := config()
		cfg.OnFailure, cfg.Timeout = want, time.Second
		s := open(t, dbtest.New(t), cfg)
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // as if the store did not answer in time
		j := s.Judge(ctx, paid("ann", "card"))
		if j.Verdict != want || j.Stored || !slices.Equal(rulesOf(j), []string{"store_unavailable"}) {
			t.Errorf("%+v", j)
		}
		bad := paid("ann", "card")
		bad.Risk = payment.Risk{Level: "highest", CVCCheck: "fail"}
		if j := s.Judge(ctx, bad); j.Verdict != Deny {
			t.Errorf("what the provider says counts without a store: %+v", j)
		}
	}
}

func TestOldObservationsAreSwept(t *testing.T) {
	d := dbtest.New(t)
	s := open(t, d, config())
	s.Judge(t.Context(), paid("ann", "card"))
	const old = `INSERT INTO fraud_observations (day, subject, relation, minute, other)
		SELECT day - 2, subject, relation, minute - INTERVAL '48 hours', other FROM fraud_observations`
	if _, err := d.Pool.Exec(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	n, err := s.Sweep(t.Context())
	var left int64
	if err := d.Reader.QueryRow(t.Context(), `SELECT count(*) FROM fraud_observations`).Scan(&left); err != nil {
		t.Fatal(err)
	}
	if err != nil || n == 0 || left != n {
		t.Errorf("%d swept, %d left, %v", n, left, err)
	}
}

func TestNothingPersonalIsStored(t *testing.T) {
	d := dbtest.New(t)
	s := open(t, d, config())
	q := paid("ann", "4242")
	q.Email = marker.Mark("email", "Ann@Example.org")
	s.Judge(t.Context(), q)
	if q.Email != marker.Mark("email", "ann@example.org") || q.Email == marker.Mark("account", "ann@example.org") || q.Email == NewMarker([]byte("b")).Mark("email", "ann@example.org") {
		t.Error("a mark depends on the key and on what it marks, and not on how an address is spelled")
	}
	var all string
	if err := d.Reader.QueryRow(t.Context(), `SELECT string_agg(encode(subject, 'escape') || encode(other, 'escape'), ' ') FROM fraud_observations`).Scan(&all); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"ann", "example", "4242"} {
		if len(all) == 0 || strings.Contains(all, text) {
			t.Errorf("%q is stored", text)
		}
	}
}

func TestADefaultConfigurationIsValidAndMistakesAreNamed(t *testing.T) {
	if err := config().Validate(); err != nil {
		t.Error(err)
	}
	bad := config()
	bad.OnFailure, bad.Timeout, bad.Weights.Prepaid = Deny, 0, -1
	bad.Rules.CardsPerAccount.Within = 25 * time.Hour
	bad.Rules.AccountsPerCard.Most = 1001
	bad.Rules.DeniedBefore.Verdict = Allow
	want := "on_failure: \"deny\" is neither allow nor review\nrules.accounts_per_card.most: 1001 must be from 0 to 1000\n" +
		"rules.cards_per_account.within: 25h0m0s must be from 1m to 24h0m0s\nrules.denied_before.verdict: \"allow\" is none of off, challenge, review and deny\n" +
		"timeout: 0s must be longer than nothing\nweights and thresholds must not be negative"
	if err := bad.Validate(); err == nil || err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
}

// More of anything never makes a verdict milder, and tightening never does.
func TestAVerdictIsMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		of := rapid.IntRange(0, 200)
		base := Thresholds{of.Draw(t, "challenge"), of.Draw(t, "review"), of.Draw(t, "deny")}
		by := Thresholds{of.Draw(t, "c"), of.Draw(t, "r"), of.Draw(t, "d")}
		score, more := of.Draw(t, "score"), of.Draw(t, "more")
		if severity[base.verdict(score+more)] < severity[base.verdict(score)] {
			t.Fatalf("%+v: %d is milder than %d", base, score+more, score)
		}
		if severity[base.Tighten(by).verdict(score)] < severity[base.verdict(score)] {
			t.Fatalf("%+v tightened by %+v is milder at %d", base, by, score)
		}
	})
}
