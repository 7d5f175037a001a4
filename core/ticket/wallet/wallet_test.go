package wallet_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/ticket/code"
	"fairgate/core/ticket/wallet"
	"fairgate/core/ticket/wallet/wallettest"
	"fairgate/edge/lottery"
)

var update = flag.Bool("update", false, "write golden files anew")

var (
	arena     = lottery.EventID("arena")
	ticketKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, ed25519.SeedSize))
	gateKey   = bytes.Repeat([]byte{7}, 32)
)

// newAuthority makes Apple's certificates.
func newAuthority(t testing.TB, from, until time.Time) *wallettest.Authority {
	t.Helper()
	a, err := wallettest.NewAuthority(from, until)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// appleNow are certificates that are valid now, made once for all tests that need no others.
var appleNow = sync.OnceValues(func() (*wallettest.Authority, error) {
	return wallettest.NewAuthority(time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
})

func authorityNow(t testing.TB) *wallettest.Authority {
	t.Helper()
	a, err := appleNow()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func appleConfig(a *wallettest.Authority) wallet.AppleConfig {
	return wallet.AppleConfig{Certificate: a.Certificate, Key: a.Key, WWDR: a.WWDR, PassTypeID: wallettest.PassTypeID, TeamID: wallettest.TeamID, Organization: "Example Tickets"}
}

// account is a service account of Google's.
type account struct {
	file   []byte
	public *rsa.PublicKey
}

var service = sync.OnceValues(func() (a account, err error) {
	a.file, a.public, err = wallettest.ServiceKey()
	return a, err
})

func serviceAccount(t testing.TB) account {
	t.Helper()
	a, err := service()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func throttle() *wallet.Throttle { return wallet.NewThrottle(2, 10) }

// pass is a seat at the arena.
func pass(t testing.TB) wallet.Pass {
	t.Helper()
	madrid, err := time.LoadLocation("Europe/Madrid")
	if err != nil {
		t.Fatal(err)
	}
	p := wallet.Pass{Ticket: uuid.MustParse("0a1b2c3d-4e5f-5a6b-8c7d-9e0f1a2b3c4d"), Epoch: 2, Tier: "Lower ring", Seat: "101/A/7",
		Page: "https://tickets.example.org/e/arena",
		Event: wallet.Event{Slug: "arena", Name: "Midsummer Night at the Arena", Venue: "Arena del Puerto", Address: "Valencia, ES",
			Place: &wallet.Place{Latitude: 39.4629, Longitude: -0.3249}},
		StartsAt: time.Date(2027, 6, 12, 21, 0, 0, 0, madrid), ClosesAt: time.Date(2027, 6, 13, 9, 0, 0, 0, madrid)}
	p.Code, err = code.Code{KeyNo: 1, TicketID: p.Ticket, EventID: arena, Epoch: p.Epoch, Place: code.Place("lower", p.Seat)}.Sign(ticketKey)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// rotating is the same where codes change.
func rotating(t testing.TB) wallet.Pass {
	p := pass(t)
	p.Seed = code.Seed(gateKey, p.Ticket, p.Epoch)
	return p
}

// atGate is what a gate of the arena reads with.
func atGate(rotating bool) *code.Reader {
	public := lottery.PublicKey{No: 1}
	copy(public.Public[:], ticketKey.Public().(ed25519.PublicKey))
	return &code.Reader{Event: arena, Keys: lottery.PublicKeys{public}, GateKeys: [][]byte{gateKey}, Rotating: rotating}
}

// golden compares JSON with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, got, "", "  "); err != nil {
		t.Fatal(err)
	}
	pretty.WriteByte('\n')
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, pretty.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(pretty.Bytes(), want) {
		t.Errorf("%s is\n%s", name, pretty.Bytes())
	}
}
