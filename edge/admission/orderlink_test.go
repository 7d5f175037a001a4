package admission

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
)

var linkKey = counting(0xa0, 32)

func exampleLink() OrderLink {
	return OrderLink{KeyNo: 6, Order: uuid.UUID(counting(0x30, 16)), ExpiresAt: now.Add(time.Hour)}
}

func linkKeys() lottery.MACKeys { return lottery.MACKeys{{No: 6, Key: lottery.Hex32(linkKey)}} }

func TestAnyChangedBitOfAnOrderLinkIsFound(t *testing.T) {
	good := exampleLink().Seal(nil, linkKey)
	if len(good) != OrderLinkSize {
		t.Fatalf("it has %d bytes, not %d", len(good), OrderLinkSize)
	}
	for i := range good {
		for bit := range 8 {
			b := bytes.Clone(good)
			b[i] ^= 1 << bit
			if l, err := VerifyOrderLink(b, linkKeys(), now); err == nil {
				t.Fatalf("byte %d, bit %d changed and believed: %+v", i, bit, l)
			}
		}
	}
	for n := range good {
		if _, err := VerifyOrderLink(good[:n], linkKeys(), now); !errors.Is(err, ErrMalformed) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
	if _, err := VerifyOrderLink(append(good, 0), linkKeys(), now); !errors.Is(err, ErrMalformed) {
		t.Errorf("with a byte more: %v", err)
	}
}

func TestAnOrderLinkIsBelievedUnderItsOwnKeyAndUntilItExpires(t *testing.T) {
	raw, end := exampleLink().Seal(nil, linkKey), exampleLink().ExpiresAt
	for what, got := range map[string]struct {
		keys lottery.MACKeys
		at   time.Time
		want error
	}{
		"without keys":                  {nil, now, ErrNoKey},
		"under another key of its name": {lottery.MACKeys{{No: 6, Key: lottery.Hex32(counting(0xb0, 32))}}, now, ErrForged},
		"under a key of another number": {lottery.MACKeys{{No: 7, Key: lottery.Hex32(linkKey)}}, now, ErrNoKey},
		"just before its end":           {linkKeys(), end.Add(-time.Millisecond), nil},
		"at its end":                    {linkKeys(), end, ErrExpired},
	} {
		if _, err := VerifyOrderLink(raw, got.keys, got.at); !errors.Is(err, got.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	sum := lottery.MAC(linkKey, sessionCoreTag, raw[:orderLinkFields]) // what another message under the same key would have
	if _, err := VerifyOrderLink(append(raw[:orderLinkFields:orderLinkFields], sum[:]...), linkKeys(), now); !errors.Is(err, ErrForged) {
		t.Errorf("sealed as a session: %v", err)
	}
}

func FuzzParseOrderLink(f *testing.F) {
	f.Add(exampleLink().Seal(nil, linkKey))
	f.Add([]byte{orderLinkVersion})
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ParseOrderLink(b)
		if err != nil {
			return
		}
		again := l.Seal(nil, linkKey)
		if !bytes.Equal(again[:orderLinkFields], b[:orderLinkFields]) {
			t.Errorf("%x is written again as %x", b, again)
		}
		if _, err := VerifyOrderLink(b, linkKeys(), now); err == nil && !bytes.Equal(b, again) {
			t.Errorf("%x is believed and was never sealed", b)
		}
	})
}
