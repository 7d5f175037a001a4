package challenge

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/guard/score"
	"fairgate/edge/lottery"
)

var (
	now  = time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	key  = lottery.MACKey{No: 7, Key: lottery.Hex32{1, 2, 3}}
	keys = lottery.MACKeys{{No: 6, Key: lottery.Hex32{9}}, key}
)

func some(kind Kind) Challenge {
	return Challenge{Kind: kind, Clears: score.Medium, Bits: 10, Event: uuid.UUID{1}, Entrant: lottery.Entrant{2}, Device: lottery.DeviceHash{3}}
}

func TestAChallengeIsReadAsItWasMade(t *testing.T) {
	c := some(Wait)
	c.Wait = 45 * time.Second
	made, text := c.New(key, now)
	if len(text) != TextSize {
		t.Fatalf("%d characters, %d are stated", len(text), TextSize)
	}
	got, err := Verify([]byte(text), keys, now.Add(time.Minute), 10*time.Minute)
	if err != nil || got != made {
		t.Fatalf("made %+v, read %+v, %v", made, got, err)
	}
	if again, _ := c.New(key, now); again.Nonce == made.Nonce {
		t.Error("two challenges have one nonce")
	}
}

func TestAChallengeThatIsNotOursIsRefused(t *testing.T) {
	_, text := some(Work).New(key, now)
	raw, err := Text.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		for bit := range 8 {
			raw[i] ^= 1 << bit
			if _, err := Verify([]byte(Text.EncodeToString(raw)), keys, now, time.Minute); err == nil {
				t.Fatalf("bit %d of byte %d can be changed", bit, i)
			}
			raw[i] ^= 1 << bit
		}
	}
	for name, c := range map[string]struct {
		text string
		keys lottery.MACKeys
		at   time.Time
		want error
	}{
		"empty":              {"", keys, now, ErrMalformed},
		"truncated":          {text[:len(text)-1], keys, now, ErrMalformed},
		"longer":             {text + "A", keys, now, ErrMalformed},
		"no base64":          {"!" + text[1:], keys, now, ErrMalformed},
		"of a forgotten key": {text, keys[:1], now, ErrKeyUnknown},
		"of another key":     {text, lottery.MACKeys{{No: 7}}, now, ErrForged},
		"old":                {text, keys, now.Add(time.Minute + time.Millisecond), ErrExpired},
	} {
		if _, err := Verify([]byte(c.text), c.keys, c.at, time.Minute); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestOnlyTheRightAnswerIsRight(t *testing.T) {
	check, checkText := some(Check).New(key, now)
	work, workText := some(Work).New(key, now)
	wait := some(Wait)
	wait.Wait = time.Minute
	wait, waitText := wait.New(key, now)
	captcha, captchaText := some(Captcha).New(key, now)
	number, hashes := Solve(workText, 10)
	if hashes == 0 {
		t.Error("an answer cost nothing")
	}
	_, other := some(Work).New(key, now)
	for name, c := range map[string]struct {
		asked        Challenge
		text, answer string
		at           time.Duration
		want         error
	}{
		"the check":                    {check, checkText, SolveCheck(checkText), 0, nil},
		"a client without a layout":    {check, checkText, "0.0.0", 0, ErrWrong},
		"the check of another":         {check, checkText, SolveCheck(other), 0, ErrWrong},
		"the work":                     {work, workText, number, 0, nil},
		"no work":                      {work, workText, "", 0, ErrWrong},
		"a sign before the number":     {work, workText, "+" + number, 0, ErrWrong},
		"more than JavaScript counts":  {work, workText, "9007199254740993", 0, ErrWrong},
		"no number":                    {work, workText, "12x", 0, ErrWrong},
		"waited":                       {wait, waitText, "", time.Minute, nil},
		"not waited":                   {wait, waitText, "", time.Minute - time.Millisecond, new(TooSoonError)},
		"a token, for others to check": {captcha, captchaText, "token", 0, nil},
		"no token":                     {captcha, captchaText, "", 0, ErrWrong},
		"a book":                       {captcha, captchaText, string(make([]byte, maxAnswer+1)), 0, ErrWrong},
	} {
		err := c.asked.Judge([]byte(c.text), []byte(c.answer), now.Add(c.at))
		var soon *TooSoonError
		if _, early := c.want.(*TooSoonError); early {
			if !errors.As(err, &soon) || soon.Left != time.Millisecond {
				t.Errorf("%s: %v", name, err)
			}
		} else if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	// A number that is right for one is not for another, but by a chance of one in 1024 each.
	right := 0
	for range 50 {
		c, text := some(Work).New(key, now)
		if c.Judge([]byte(text), []byte(number), now) == nil {
			right++
		}
	}
	if right > 3 {
		t.Errorf("one number is right for %d of 50", right)
	}
}

func TestAClearanceIsGoodForWhomItWasGivenUntilItEnds(t *testing.T) {
	c := Clearance{By: Work, Level: score.Medium, Event: uuid.UUID{1}, Entrant: lottery.Entrant{2}, Device: lottery.DeviceHash{3}, Until: now.Add(time.Minute)}
	text := c.Sign(key)
	if got, err := VerifyClearance([]byte(text), keys, now); err != nil || got != c || len(text) != ClearanceTextSize {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := VerifyClearance([]byte(text), keys, c.Until); !errors.Is(err, ErrExpired) {
		t.Errorf("when it has ended: %v", err)
	}
	raw, err := Text.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		raw[i] ^= 1
		if _, err := VerifyClearance([]byte(Text.EncodeToString(raw)), keys, now); err == nil {
			t.Fatalf("byte %d can be changed", i)
		}
		raw[i] ^= 1
	}
	if _, ours := some(Work).New(key, now); ours != "" {
		if _, err := VerifyClearance([]byte(ours), keys, now); !errors.Is(err, ErrMalformed) {
			t.Errorf("a challenge shown as a clearance: %v", err)
		}
	}
}

func TestAChallengeIsGoodOnceInBoundedMemory(t *testing.T) {
	const lifetime, limit = time.Minute, 100
	s := NewSpent(lifetime, limit, now)
	first, _ := some(Work).New(key, now)
	if err := s.Use(first, now); err != nil {
		t.Fatal(err)
	}
	if err := s.Use(first, now.Add(lifetime)); !errors.Is(err, ErrSpent) {
		t.Errorf("again as late as may be: %v", err)
	}
	// A flood of right answers makes the memory turn over; what it forgot it does not take again.
	at := now.Add(lifetime + time.Second)
	used := []Challenge{first}
	for range 10 * limit {
		c, _ := some(Work).New(key, at)
		if err := s.Use(c, at); err != nil {
			t.Fatalf("a fresh one: %v", err)
		}
		used = append(used, c)
		if at = at.Add(time.Millisecond); s.Remembered() > limit {
			t.Fatalf("%d are remembered", s.Remembered())
		}
	}
	for i, c := range used {
		if err := s.Use(c, at); err == nil {
			t.Fatalf("number %d of %d was taken twice", i, len(used))
		}
	}
}

func FuzzChallengesOfAnyKindAreRead(f *testing.F) {
	_, text := some(Work).New(key, now)
	f.Add(text, "1")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, text, answer string) {
		c, err := Verify([]byte(text), keys, now, time.Hour)
		if err == nil {
			_ = c.Judge([]byte(text), []byte(answer), now)
		}
		_, _ = VerifyClearance([]byte(text), keys, now)
	})
}

// What an edge pays for a wrong or right answer: a MAC and two short hashes.
func BenchmarkAnAnswerIsJudged(b *testing.B) {
	c, text := some(Work).New(key, now)
	answer, _ := Solve(text, int(c.Bits))
	token, number := []byte(text), []byte(answer)
	b.ReportAllocs()
	for b.Loop() {
		got, err := Verify(token, keys, now, time.Minute)
		if err != nil || got.Judge(token, number, now) != nil {
			b.Fatal(err)
		}
	}
}
