package ledger

import (
	"encoding/hex"
	"testing"
	"time"

	"github.com/google/uuid"
)

// The bytes under a seal are fixed: if this changes, every seal ever made stops verifying.
func TestASealsHashNeverChanges(t *testing.T) {
	r := sealedRow{
		id: uuid.MustParse("00112233-4455-4677-8899-aabbccddeeff"),
		row: row{
			debit: BuyerClearing("EUR").ID(), credit: PlatformFees("EUR").ID(), minor: 432, currency: "EUR", code: "sale_fee",
			reference: uuid.MustParse("0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"), kind: Pending,
		},
		writer: uuid.MustParse("ffffffff-0000-4000-8000-000000000001"), sequence: 7,
		at: time.Date(2027, 6, 12, 19, 0, 0, 123456000, time.UTC),
	}
	h := newSealHash(nil)
	r.hashInto(h)
	first := h.Sum(nil)
	h = newSealHash(first)
	r.hashInto(h)
	for _, c := range []struct{ name, got, want string }{
		{"first", hex.EncodeToString(first), "2618740e0532d315aeca89af5902af3eafd3409f0ffc3ce8e118539fb7849f22"},
		{"second", hex.EncodeToString(h.Sum(nil)), "27c8a6d77d446558e8d77ca9f183de968a1f664512ac75107dd3045717c90739"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, was %s", c.name, c.got, c.want)
		}
	}
}
