package admission

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
)

var accountSecret = counting(0x70, 16)

func exampleAccount() Account {
	return Account{
		KeyNo: 4, Account: uuid.UUID(counting(1, 16)), Subject: NewSubject(accountSecret), Device: lottery.DeviceHash(counting(0x20, 16)),
		Epoch: 5, IssuedAt: now, ExpiresAt: now.Add(30 * 24 * time.Hour),
	}
}

func accountKeys() lottery.PublicKeys {
	return lottery.PublicKeys{{No: 4, Public: lottery.Hex32(publicOf(exampleKey()))}}
}

func TestAnyChangedBitOfAnAccountSessionIsFound(t *testing.T) {
	good := exampleAccount().Sign(nil, exampleKey())
	if len(good) != AccountSize {
		t.Fatalf("it has %d bytes, not %d", len(good), AccountSize)
	}
	for i := range good {
		for bit := range 8 {
			b := bytes.Clone(good)
			b[i] ^= 1 << bit
			if a, err := VerifyAccount(b, accountKeys(), now); err == nil {
				t.Fatalf("byte %d, bit %d changed and believed: %+v", i, bit, a)
			}
		}
	}
	for n := range good {
		if _, err := VerifyAccount(good[:n], accountKeys(), now); !errors.Is(err, ErrMalformed) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
	if _, err := VerifyAccount(append(good, 0), accountKeys(), now); !errors.Is(err, ErrMalformed) {
		t.Errorf("with a byte more: %v", err)
	}
}

func TestAnAccountSessionIsBelievedUnderItsOwnKeyAndUntilItExpires(t *testing.T) {
	raw := exampleAccount().Sign(nil, exampleKey())
	if _, err := VerifyAccount(raw, nil, now); !errors.Is(err, ErrNoKey) {
		t.Errorf("without keys: %v", err)
	}
	other := ed25519.NewKeyFromSeed(counting(0x90, 32))
	if _, err := VerifyAccount(raw, lottery.PublicKeys{{No: 4, Public: lottery.Hex32(publicOf(other))}}, now); !errors.Is(err, ErrForged) {
		t.Errorf("under another key of its number: %v", err)
	}
	end := exampleAccount().ExpiresAt
	if _, err := VerifyAccount(raw, accountKeys(), end.Add(-time.Millisecond)); err != nil {
		t.Errorf("just before its end: %v", err)
	}
	if _, err := VerifyAccount(raw, accountKeys(), end); !errors.Is(err, ErrExpired) {
		t.Errorf("at its end: %v", err)
	}
	// A signature of another kind of message under the same key is none of this kind.
	mixed := append(raw[:accountFields:accountFields], ed25519.Sign(exampleKey(), append([]byte(tokenTag), raw[:accountFields]...))...)
	if _, err := VerifyAccount(mixed, accountKeys(), now); !errors.Is(err, ErrForged) {
		t.Errorf("signed as a token: %v", err)
	}
}

func TestAnAccountIsOneEntrantOfEachEventAndNoOtherKindsEntrant(t *testing.T) {
	subject, key := NewSubject(accountSecret), counting(3, 32)
	if subject.Entrant(key) != NewSubject(bytes.Clone(accountSecret)).Entrant(bytes.Clone(key)) {
		t.Error("the same account is two entrants of one event")
	}
	seen := map[lottery.Entrant]string{subject.Entrant(key): "the account"}
	for name, e := range map[string]lottery.Entrant{
		"the account in another event": subject.Entrant(counting(4, 32)),
		"another account":              NewSubject(counting(0x71, 16)).Entrant(key),
		"a device of the same bytes":   lottery.NewEntrant(key, "device", subject[:]),
		"the secret itself":            lottery.NewEntrant(key, "account", accountSecret),
	} {
		if before, twice := seen[e]; twice {
			t.Errorf("%s and %s are one entrant", name, before)
		}
		seen[e] = name
	}
}

func FuzzParseAccount(f *testing.F) {
	f.Add(exampleAccount().Sign(nil, exampleKey()))
	f.Add([]byte{accountVersion})
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ParseAccount(b)
		if err != nil {
			return
		}
		if again := a.Sign(nil, exampleKey()); !bytes.Equal(again[:accountFields], b[:accountFields]) {
			t.Errorf("%x is written again as %x", b, again)
		}
		if _, err := VerifyAccount(b, accountKeys(), now); err == nil && !bytes.Equal(b, a.Sign(nil, exampleKey())) {
			t.Errorf("%x is believed and was never signed", b)
		}
	})
}
