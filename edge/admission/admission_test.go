package admission

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"fairgate/edge/lottery"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var now = time.UnixMilli(1777626012345).UTC()

// counting is n bytes that count up from first.
func counting(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

func exampleKey() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(counting(0x80, 32)) }

func publicOf(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

func exampleToken() Token {
	return Token{
		KeyID: uuid.UUID(counting(1, 16)), Event: lottery.EventID("arena"), Entrant: lottery.Entrant(counting(0x10, 16)),
		Device: lottery.DeviceHash(counting(0x20, 16)), Generation: 2, IssuedAt: now, ExpiresAt: now.Add(time.Minute),
		Nonce: [8]byte(counting(0x30, 8)),
	}
}

func exampleSession() Session {
	return Session{
		KeyNo: 3, Event: lottery.EventID("arena"), Entrant: lottery.Entrant(counting(0x10, 16)), Session: uuid.UUID(counting(1, 16)),
		Device: lottery.DeviceHash(counting(0x20, 16)), Generation: 2, IssuedAt: now, ExpiresAt: now.Add(15 * time.Minute),
	}
}

var coreKey, filterKey = counting(0x40, 32), counting(0x60, 32)

// vectors are one token, one session, one account session and one order link, for whoever writes them in another language.
type vectors struct {
	Token     lottery.Hex `json:"token"`
	PublicKey lottery.Hex `json:"token_public_key"`
	Session   lottery.Hex `json:"session"`
	CoreKey   lottery.Hex `json:"session_core_key"`
	FilterKey lottery.Hex `json:"session_filter_key"`
	Account   lottery.Hex `json:"account"`
	Secret    lottery.Hex `json:"account_secret"`
	Subject   lottery.Hex `json:"account_subject"`
	Pseudonym lottery.Hex `json:"account_pseudonym_key"`
	Entrant   lottery.Hex `json:"account_entrant"`
	Signer    lottery.Hex `json:"account_public_key"`
	Link      lottery.Hex `json:"order_link"`
	LinkKey   lottery.Hex `json:"order_link_key"`
}

func TestLayoutsAreThoseOfTheGoldenVectors(t *testing.T) {
	const file = "testdata/vectors.json"
	subject := NewSubject(accountSecret)
	entrant := subject.Entrant(coreKey)
	got, err := json.MarshalIndent(vectors{
		Token:     exampleToken().Sign(nil, exampleKey()),
		PublicKey: lottery.Hex(publicOf(exampleKey())),
		Session:   exampleSession().Seal(nil, coreKey, filterKey),
		CoreKey:   coreKey,
		FilterKey: filterKey,
		Account:   exampleAccount().Sign(nil, exampleKey()),
		Secret:    accountSecret,
		Subject:   lottery.Hex(subject[:]),
		Pseudonym: coreKey,
		Entrant:   lottery.Hex(entrant[:]),
		Signer:    lottery.Hex(publicOf(exampleKey())),
		Link:      exampleLink().Seal(nil, linkKey),
		LinkKey:   linkKey,
	}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("vectors are\n%s\nwant\n%s", got, want)
	}
	var read vectors
	if err := json.Unmarshal(want, &read); err != nil {
		t.Fatal(err)
	}
	if tok, err := Verify(read.Token, ed25519.PublicKey(read.PublicKey), now); err != nil || tok != exampleToken() {
		t.Errorf("the golden token reads as %+v, %v", tok, err)
	}
	if s, err := ParseSession(read.Session); err != nil || s != exampleSession() {
		t.Errorf("the golden session reads as %+v, %v", s, err)
	}
	if l, err := VerifyOrderLink(read.Link, linkKeys(), now); err != nil || l != exampleLink() {
		t.Errorf("the golden order link reads as %+v, %v", l, err)
	}
	keys := lottery.PublicKeys{{No: 4, Public: lottery.Hex32(read.Signer)}}
	if a, err := VerifyAccount(read.Account, keys, now); err != nil || a != exampleAccount() {
		t.Errorf("the golden account session reads as %+v, %v", a, err)
	}
}

// The MACs are plain HMAC over tag and fields, each under its own key, so that nothing but this package's words is needed to
// check one.
func TestTheTwoMACsOfASessionAreSeparate(t *testing.T) {
	b := exampleSession().Seal(nil, coreKey, filterKey)
	want := func(key []byte, tag string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(tag))
		h.Write(b[:89])
		return h.Sum(nil)[:16]
	}
	if got := b[89:105]; !bytes.Equal(got, want(filterKey, "fairgate-session-filter-v1")) {
		t.Errorf("filter MAC is %x", got)
	}
	if got := b[105:121]; !bytes.Equal(got, want(coreKey, "fairgate-session-core-v1")) {
		t.Errorf("core MAC is %x", got)
	}
	if same := exampleSession().Seal(nil, coreKey, coreKey); bytes.Equal(same[89:105], same[105:]) {
		t.Error("under one key both MACs are the same")
	}
	edge := exampleSession().Seal(nil, filterKey, filterKey) // all that a stolen edge can make
	if err := CheckFilter(edge, filterKey); err != nil {
		t.Errorf("an edge's own session does not pass the filter: %v", err)
	}
	if err := CheckCore(edge, coreKey); !errors.Is(err, ErrForged) {
		t.Errorf("core believes an edge's session: %v", err)
	}
}

func TestAnyChangedBitOfATokenIsFound(t *testing.T) {
	good, key := exampleToken().Sign(nil, exampleKey()), publicOf(exampleKey())
	if _, err := Verify(good, key, now); err != nil {
		t.Fatal(err)
	}
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 1
		if _, err := Verify(b, key, now); !errors.Is(err, ErrForged) && !errors.Is(err, ErrMalformed) {
			t.Errorf("byte %d changed: error %v", i, err)
		}
	}
}

func TestAnyChangedBitOfASessionIsFound(t *testing.T) {
	good := exampleSession().Seal(nil, coreKey, filterKey)
	if CheckFilter(good, filterKey) != nil || CheckCore(good, coreKey) != nil {
		t.Fatal("a good session is refused")
	}
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 1
		filter, core := CheckFilter(b, filterKey), CheckCore(b, coreKey)
		if i < 105 && filter == nil {
			t.Errorf("byte %d changed and passes the filter", i)
		}
		if (i < 89 || i >= 105) && core == nil {
			t.Errorf("byte %d changed and passes core", i)
		}
	}
}

func TestTokensAreRefusedForTheRightReason(t *testing.T) {
	good, key := exampleToken().Sign(nil, exampleKey()), publicOf(exampleKey())
	backwards := exampleToken()
	backwards.ExpiresAt = backwards.IssuedAt
	version := bytes.Clone(good)
	version[0]++
	for name, c := range map[string]struct {
		b    []byte
		key  ed25519.PublicKey
		at   time.Time
		want error
	}{
		"good":                      {good, key, now, nil},
		"in its last millisecond":   {good, key, now.Add(time.Minute - time.Millisecond), nil},
		"expired":                   {good, key, now.Add(time.Minute), ErrExpired},
		"forged and expired":        {good, publicOf(ed25519.NewKeyFromSeed(counting(0, 32))), now.Add(time.Hour), ErrForged},
		"without a key":             {good, nil, now, ErrForged},
		"empty":                     {nil, key, now, ErrMalformed},
		"cut":                       {good[:TokenSize-1], key, now, ErrMalformed},
		"too long":                  {append(bytes.Clone(good), 0), key, now, ErrMalformed},
		"of another version":        {version, key, now, ErrMalformed},
		"expires before it is made": {backwards.Sign(nil, exampleKey()), key, now, ErrMalformed},
	} {
		if _, err := Verify(c.b, c.key, c.at); !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", name, err, c.want)
		}
	}
}

func TestSessionsAreRefusedForTheRightReason(t *testing.T) {
	good := exampleSession().Seal(nil, coreKey, filterKey)
	for name, b := range map[string][]byte{"empty": nil, "cut": good[1:], "too long": append(bytes.Clone(good), 0), "version": append([]byte{9}, good[1:]...)} {
		if _, err := ParseSession(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: ParseSession: %v", name, err)
		}
		if err := CheckFilter(b, filterKey); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: CheckFilter: %v", name, err)
		}
	}
	if err := CheckFilter(exampleSession().Seal(nil, nil, nil), nil); !errors.Is(err, ErrForged) {
		t.Errorf("no key is as good as a key: %v", err)
	}
	s := exampleSession()
	if s.Expired(s.ExpiresAt.Add(-time.Millisecond)) || !s.Expired(s.ExpiresAt) {
		t.Error("a session does not end when it says")
	}
}

func TestWhatIsSignedIsWhatIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 16, 16)
		issued := rapid.Int64Range(0, 253402300799998).Draw(t, "issued")
		tok := Token{
			KeyID: uuid.UUID(b.Draw(t, "key")), Event: uuid.UUID(b.Draw(t, "event")), Entrant: lottery.Entrant(b.Draw(t, "entrant")),
			Device: lottery.DeviceHash(b.Draw(t, "device")), Generation: rapid.Uint32().Draw(t, "generation"),
			IssuedAt:  time.UnixMilli(issued).UTC(),
			ExpiresAt: time.UnixMilli(rapid.Int64Range(issued+1, 253402300799999).Draw(t, "expires")).UTC(),
		}
		prefix := []byte("before")
		signed := tok.Sign(prefix, exampleKey())
		got, err := Verify(signed[len(prefix):], publicOf(exampleKey()), tok.IssuedAt)
		if err != nil || got != tok || !bytes.HasPrefix(signed, prefix) {
			t.Fatalf("token reads as %+v, %v", got, err)
		}
		s := Session{
			KeyNo: tok.Generation, Event: tok.Event, Entrant: tok.Entrant, Session: tok.KeyID, Device: tok.Device,
			Generation: tok.Generation, IssuedAt: tok.IssuedAt, ExpiresAt: tok.ExpiresAt,
		}
		sealed := s.Seal(prefix, coreKey, filterKey)
		read, err := ParseSession(sealed[len(prefix):])
		if err != nil || read != s || CheckCore(sealed[len(prefix):], coreKey) != nil {
			t.Fatalf("session reads as %+v, %v", read, err)
		}
	})
}

func FuzzToken(f *testing.F) {
	good := exampleToken().Sign(nil, exampleKey())
	f.Add(good)
	f.Add(good[:TokenSize-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		tok, err := Parse(b)
		if err != nil {
			return
		}
		again := tok.Sign(nil, exampleKey())
		if !bytes.Equal(again[:tokenFields], b[:tokenFields]) {
			t.Fatalf("%x parses and encodes as %x", b, again)
		}
		if _, err := Verify(b, publicOf(exampleKey()), tok.IssuedAt); err == nil && !bytes.Equal(b, again) {
			t.Fatalf("%x verifies and was not signed", b)
		}
	})
}

func FuzzSession(f *testing.F) {
	good := exampleSession().Seal(nil, coreKey, filterKey)
	f.Add(good)
	f.Add(good[:SessionSize-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseSession(b)
		if err != nil {
			return
		}
		again := s.Seal(nil, coreKey, filterKey)
		if !bytes.Equal(again[:sessionFields], b[:sessionFields]) {
			t.Fatalf("%s parses and encodes as %x", hex.EncodeToString(b), again)
		}
		if CheckCore(b, coreKey) == nil && !bytes.Equal(b[105:], again[105:]) {
			t.Fatalf("%x passes and was not sealed", b)
		}
	})
}

func TestTheHotPathsDoNotAllocate(t *testing.T) {
	tok, key, public := exampleToken(), exampleKey(), publicOf(exampleKey())
	signed, sealed := tok.Sign(nil, key), exampleSession().Seal(nil, coreKey, filterKey)
	dst := make([]byte, 0, TokenSize)
	ring := exampleRing(t)
	for name, f := range map[string]func(){
		"CheckFilter":  func() { _ = CheckFilter(sealed, filterKey) },
		"CheckCore":    func() { _ = CheckCore(sealed, coreKey) },
		"ParseSession": func() { _, _ = ParseSession(sealed) },
		"Session.Seal": func() { exampleSessionInto(dst) },
		"Token.Sign":   func() { tok.Sign(dst, key) },
		"Ring.Mint":    func() { _, _ = ring.Mint(dst, tok, now, time.Minute) },
		"Verify":       func() { _, _ = Verify(signed, public, now) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func exampleSessionInto(dst []byte) {
	s := Session{KeyNo: 1, IssuedAt: now, ExpiresAt: now.Add(time.Minute)}
	s.Seal(dst, coreKey, filterKey)
}

func BenchmarkTokenMint(b *testing.B) {
	tok, key, dst := exampleToken(), exampleKey(), make([]byte, 0, TokenSize)
	b.ReportAllocs()
	for b.Loop() {
		tok.Sign(dst, key)
	}
}

func BenchmarkTokenVerify(b *testing.B) {
	signed, key := exampleToken().Sign(nil, exampleKey()), publicOf(exampleKey())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Verify(signed, key, now); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSessionFilter(b *testing.B) {
	sealed := exampleSession().Seal(nil, coreKey, filterKey)
	b.ReportAllocs()
	for b.Loop() {
		if err := CheckFilter(sealed, filterKey); err != nil {
			b.Fatal(err)
		}
	}
}
