package wallet_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"fairgate/core/ticket/code"
	"fairgate/core/ticket/wallet"
	"fairgate/core/ticket/wallet/wallettest"
)

func newGoogle(t testing.TB) *wallet.Google {
	t.Helper()
	g, err := wallet.NewGoogle(wallet.GoogleConfig{IssuerID: "3388000000012345678", ServiceKey: serviceAccount(t).file, ClassPrefix: "fairgate",
		Organization: "Example Tickets"}, throttle())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// saved is what Google reads in a link, by a library that did not make it.
type saved struct {
	Origins []string `json:"origins"`
	Type    string   `json:"typ"`
	Payload struct {
		Classes []struct {
			ID string `json:"id"`
		} `json:"eventTicketClasses"`
		Objects []struct {
			ID, ClassID, State string
			Barcode            *struct{ Type, Value string }
			RotatingBarcode    *struct {
				Type, ValuePattern string
				TotpDetails        struct {
					PeriodMillis, Algorithm string
					Parameters              []struct {
						Key         string
						ValueLength int
					}
				}
			}
		} `json:"eventTicketObjects"`
	} `json:"payload"`
	jwt.RegisteredClaims
	raw []byte
}

func save(t *testing.T, link string, now time.Time) saved {
	t.Helper()
	token, ok := strings.CutPrefix(link, "https://pay.google.com/gp/v/save/")
	if !ok {
		t.Fatalf("link %q", link)
	}
	var s saved
	parsed, err := jwt.ParseWithClaims(token, &s, func(*jwt.Token) (any, error) { return serviceAccount(t).public, nil },
		jwt.WithValidMethods([]string{"RS256"}), jwt.WithAudience("google"), jwt.WithIssuer(wallettest.Account),
		jwt.WithIssuedAt(), jwt.WithTimeFunc(func() time.Time { return now }), jwt.WithStrictDecoding())
	if err != nil {
		t.Fatal(err)
	}
	if parsed.Header["kid"] != "key-1" || s.Type != "savetowallet" || s.Origins == nil || !s.IssuedAt.Equal(now.Truncate(time.Second)) {
		t.Errorf("header %v, claims %+v", parsed.Header, s)
	}
	if len(s.Payload.Classes) != 1 || len(s.Payload.Objects) != 1 || s.Payload.Objects[0].ClassID != s.Payload.Classes[0].ID {
		t.Fatalf("payload %+v", s.Payload)
	}
	if s.raw, err = jwt.NewParser().DecodeSegment(strings.Split(token, ".")[1]); err != nil {
		t.Fatal(err)
	}
	altered := token[:len(token)/2] + string(token[len(token)/2]^1) + token[len(token)/2+1:]
	if _, err := jwt.Parse(altered, func(*jwt.Token) (any, error) { return serviceAccount(t).public, nil }); err == nil {
		t.Error("an altered token was taken")
	}
	return s
}

var now = time.Date(2027, 6, 12, 18, 0, 0, 0, time.UTC)

func TestALinkSavesAClassAndATicketWhoseCodeTheGateReads(t *testing.T) {
	p := pass(t)
	link, err := newGoogle(t).Link(t.Context(), p, now)
	if err != nil {
		t.Fatal(err)
	}
	s := save(t, link, now)
	golden(t, "google.json", s.raw)
	o := s.Payload.Objects[0]
	if o.Barcode == nil || o.RotatingBarcode != nil {
		t.Fatalf("%+v", o)
	}
	if c, err := atGate(false).Read(o.Barcode.Value, now); err != nil || c.TicketID != p.Ticket {
		t.Errorf("at the gate: %+v, %v", c, err)
	}
}

// totp is RFC 6238 from what Google is told and nothing else.
func totp(t *testing.T, key, period string, length int, at time.Time) string {
	t.Helper()
	secret, err := hex.DecodeString(key)
	if err != nil {
		t.Fatal(err)
	}
	step, err := strconv.ParseInt(period, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha1.New, secret)
	binary.Write(mac, binary.BigEndian, uint64(at.UnixMilli()/step))
	sum := mac.Sum(nil)
	cut := binary.BigEndian.Uint32(sum[sum[19]&15:][:4]) & math.MaxInt32
	text := fmt.Sprintf("%010d", cut)
	return text[len(text)-length:]
}

func TestTheIndependentTOTPIsThatOfRFC6238(t *testing.T) {
	for at, want := range map[int64]string{59: "94287082", 1111111109: "07081804", 20000000000: "65353130"} {
		if got := totp(t, "3132333435363738393031323334353637383930", "30000", 8, time.Unix(at, 0)); got != want {
			t.Errorf("at %d: %s, want %s", at, got, want)
		}
	}
}

func TestTheCodeThatGoogleTurnsIsReadAtTheGateAndNoOtherIs(t *testing.T) {
	p := rotating(t)
	link, err := newGoogle(t).Link(t.Context(), p, now)
	if err != nil {
		t.Fatal(err)
	}
	s := save(t, link, now)
	golden(t, "google_rotating.json", s.raw)
	o := s.Payload.Objects[0]
	if o.Barcode != nil || o.RotatingBarcode == nil || len(o.RotatingBarcode.TotpDetails.Parameters) != 1 {
		t.Fatalf("%+v", o)
	}
	details := o.RotatingBarcode.TotpDetails
	if details.Algorithm != "TOTP_SHA1" {
		t.Errorf("algorithm %s", details.Algorithm)
	}
	shown := func(at time.Time) string {
		digits := totp(t, details.Parameters[0].Key, details.PeriodMillis, details.Parameters[0].ValueLength, at)
		return strings.ReplaceAll(o.RotatingBarcode.ValuePattern, "{totp_value_0}", digits)
	}
	for i := range 200 {
		at := now.Add(time.Duration(i) * 7 * time.Second)
		if c, err := atGate(true).Read(shown(at), at); err != nil || c.TicketID != p.Ticket {
			t.Fatalf("at %s: %+v, %v", at, c, err)
		}
	}
	if _, err := atGate(true).Read(shown(now), now.Add(time.Minute)); !errors.Is(err, code.ErrExpired) {
		t.Errorf("a minute late: %v", err)
	}
	if _, err := atGate(true).Read(p.Code, now); !errors.Is(err, code.ErrStatic) {
		t.Errorf("the code alone: %v", err)
	}
}

// Servers commonly take addresses of 8,000 characters; the link goes through a browser's address line.
func TestTheLongestLinkIsOneThatServersTake(t *testing.T) {
	p := rotating(t)
	p.Event.Name, p.Event.Venue, p.Event.Address = strings.Repeat("é", 200), strings.Repeat("é", 200), strings.Repeat("é", 100)+", ES"
	p.Tier, p.Page = strings.Repeat("é", 100), "https://tickets.example.org/"+strings.Repeat("x", 200)
	link, err := newGoogle(t).Link(t.Context(), p, now)
	if err != nil {
		t.Fatal(err)
	}
	if len(link) > 8000 {
		t.Errorf("%d characters", len(link))
	}
}

func TestAnEventThatChangedIsAnotherClassAndAReissuedTicketAnotherObject(t *testing.T) {
	g := newGoogle(t)
	ids := func(change func(*wallet.Pass)) (class, object string) {
		t.Helper()
		p := pass(t)
		change(&p)
		link, err := g.Link(t.Context(), p, now)
		if err != nil {
			t.Fatal(err)
		}
		s := save(t, link, now)
		return s.Payload.Classes[0].ID, s.Payload.Objects[0].ID
	}
	class, object := ids(func(*wallet.Pass) {})
	if c, o := ids(func(p *wallet.Pass) { p.Epoch++ }); c != class || o == object {
		t.Errorf("reissued: %s, %s", c, o)
	}
	if c, o := ids(func(p *wallet.Pass) { p.StartsAt = p.StartsAt.Add(time.Hour) }); c == class || o != object {
		t.Errorf("rescheduled: %s, %s", c, o)
	}
}

func TestAVoidTicketHasNoLink(t *testing.T) {
	p := pass(t)
	p.Void = true
	if _, err := newGoogle(t).Link(t.Context(), p, now); !errors.Is(err, wallet.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestAServiceAccountThatIsNoneIsRefusedAndNotQuoted(t *testing.T) {
	good := wallet.GoogleConfig{IssuerID: "33", ServiceKey: serviceAccount(t).file, ClassPrefix: "x", Organization: "Example"}
	var account map[string]string
	if err := json.Unmarshal(good.ServiceKey, &account); err != nil {
		t.Fatal(err)
	}
	account["private_key"] = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0c2VjcmV0\n-----END PRIVATE KEY-----\n"
	broken, err := json.Marshal(account)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*wallet.GoogleConfig){
		"no JSON": func(c *wallet.GoogleConfig) { c.ServiceKey = []byte("c2VjcmV0c2VjcmV0") },
		"a user": func(c *wallet.GoogleConfig) {
			c.ServiceKey = []byte(`{"type":"authorized_user","client_email":"c2VjcmV0c2VjcmV0"}`)
		},
		"no key":    func(c *wallet.GoogleConfig) { c.ServiceKey = broken },
		"no issuer": func(c *wallet.GoogleConfig) { c.IssuerID = "" },
		"a prefix":  func(c *wallet.GoogleConfig) { c.ClassPrefix = "a.b" },
		"no name":   func(c *wallet.GoogleConfig) { c.Organization = "" },
	} {
		cfg := good
		change(&cfg)
		if _, err := wallet.NewGoogle(cfg, throttle()); err == nil || strings.Contains(err.Error(), "c2VjcmV0") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
