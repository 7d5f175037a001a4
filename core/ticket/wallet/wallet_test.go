package wallet_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"flag"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/ticket/code"
	"fairgate/core/ticket/wallet"
	"fairgate/edge/lottery"
)

var update = flag.Bool("update", false, "write golden files anew")

var (
	arena     = lottery.EventID("arena")
	ticketKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, ed25519.SeedSize))
	gateKey   = bytes.Repeat([]byte{7}, 32)
)

// authority is a stand-in for Apple: a root, WWDR below it, and a certificate of a pass type with its key.
type authority struct {
	root, wwdr, leaf, key []byte // PEM
}

// rsaKey makes a key once for all tests that need no other.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// otherKey is another.
var otherKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func keyPEM(t testing.TB, key *rsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func newAuthority(t testing.TB, from, until time.Time) *authority {
	t.Helper()
	key := rsaKey()
	names := func(name string, more ...pkix.AttributeTypeAndValue) pkix.Name {
		return pkix.Name{CommonName: name, Organization: []string{"Test"}, ExtraNames: more}
	}
	issue := func(c, by *x509.Certificate, signer, of *rsa.PrivateKey) (*x509.Certificate, []byte) {
		c.NotBefore, c.NotAfter = from, until
		der, err := x509.CreateCertificate(rand.Reader, c, by, of.Public(), signer)
		if err != nil {
			t.Fatal(err)
		}
		made, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return made, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	ca := func(n int64, name string) *x509.Certificate {
		return &x509.Certificate{SerialNumber: big.NewInt(n), Subject: names(name), IsCA: true, BasicConstraintsValid: true,
			KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte{byte(n)}}
	}
	root := ca(1, "Test Root CA")
	root, rootPEM := issue(root, root, otherKey(), otherKey())
	wwdr, wwdrPEM := issue(ca(2, "Test Worldwide Developer Relations CA"), root, otherKey(), otherKey())
	leaf := &x509.Certificate{SerialNumber: big.NewInt(3), KeyUsage: x509.KeyUsageDigitalSignature,
		Subject: names("Pass Type ID: pass.org.example.tickets",
			pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}, Value: "pass.org.example.tickets"},
			pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, 11}, Value: "TEAM012345"})}
	_, leafPEM := issue(leaf, wwdr, otherKey(), key)
	return &authority{rootPEM, wwdrPEM, leafPEM, keyPEM(t, key)}
}

func (a *authority) config() wallet.AppleConfig {
	return wallet.AppleConfig{Certificate: a.leaf, Key: a.key, WWDR: a.wwdr, PassTypeID: "pass.org.example.tickets", TeamID: "TEAM012345", Organization: "Example Tickets"}
}

// serviceKey is the file that Google gives out for a service account.
func serviceKey(t testing.TB, key *rsa.PrivateKey) []byte {
	t.Helper()
	b, err := json.Marshal(map[string]string{"type": "service_account", "project_id": "tickets", "private_key_id": "key-1",
		"private_key": string(keyPEM(t, key)), "client_email": "tickets@tickets.iam.gserviceaccount.com", "token_uri": "https://oauth2.googleapis.com/token"})
	if err != nil {
		t.Fatal(err)
	}
	return b
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
