package ledger_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/db/dbtest"
	"fairgate/ledger"
)

func TestLateMoneyIsListedWithItsReferenceOldestFirst(t *testing.T) {
	d := dbtest.New(t)
	w := ledger.NewWriter(d.Reader)
	stuck, done := sale(t, 5000), sale(t, 3000)
	mustRecord(t, d, w, append(stuck, append(done, ledger.PostAll(done)...)...)...)
	terms := ledger.Terms{Order: uuid.New(), Organizer: "lumen-live", Provider: "stripe", Currency: "EUR"}
	late, err := ledger.LateMoneyTransfers(terms, 4200)
	if err != nil {
		t.Fatal(err)
	}
	mustRecord(t, d, w, late...)
	half := single(ledger.BuyerClearing("EUR"), ledger.PlatformFees("EUR"), 70)
	mustRecord(t, d, w, half)
	settled, err := ledger.SettlementSentTransfers(uuid.New(), "stripe", euros(3000), euros(0))
	if err != nil {
		t.Fatal(err)
	}
	mustRecord(t, d, w, settled...)
	at := now(t, d)

	read := func(after time.Duration, limit int) []ledger.Overdue {
		t.Helper()
		found, err := ledger.ReadClearing(t.Context(), d.Reader, ledger.DefaultDeadlines(), at.Add(after), limit)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	items := func(found []ledger.Overdue) map[string][3]int64 {
		all := map[string][3]int64{}
		for _, l := range ledger.OldestFirst(found) {
			all[l.Account.Code+" "+l.Reference.String()] = [3]int64{l.Net.Minor, l.Pending.Minor, int64(l.Within.Hours())}
			if l.Why() == "" || l.Age < l.Within {
				t.Errorf("%+v: %q", l, l.Why())
			}
		}
		return all
	}
	if found := read(time.Hour, 10); len(found) != 0 {
		t.Errorf("after an hour %v is late", items(found))
	}
	order := stuck[0].Reference.String()
	for _, c := range []struct {
		after time.Duration
		want  map[string][3]int64
	}{
		{3 * time.Hour, map[string][3]int64{"buyer_clearing " + order: {0, 2 * 5121, 2}, "buyer_clearing " + half.Reference.String(): {-70, 0, 2}}},
		{25 * time.Hour, map[string][3]int64{"buyer_clearing " + order: {0, 2 * 5121, 2}, "buyer_clearing " + half.Reference.String(): {-70, 0, 2},
			"late_money " + terms.Order.String(): {4200, 0, 24}}},
		// 3121 were captured for done and 4200 are late money; of these 3000 were paid out, so 121 of the older and all of the newer are late.
		{241 * time.Hour, map[string][3]int64{"buyer_clearing " + order: {0, 2 * 5121, 2}, "buyer_clearing " + half.Reference.String(): {-70, 0, 2},
			"late_money " + terms.Order.String(): {4200, 0, 24}, "provider_transit/stripe " + settled[0].Reference.String(): {-3000, 0, 120},
			"provider_clearing/stripe " + done[0].Reference.String(): {-121, 0, 240}, "provider_clearing/stripe " + terms.Order.String(): {-4200, 0, 240}}},
	} {
		got := items(read(c.after, 10))
		if len(got) != len(c.want) {
			t.Errorf("after %s: %v, want %v", c.after, got, c.want)
		}
		for name, figures := range c.want {
			if got[name] != figures {
				t.Errorf("after %s: %s is %v, want %v", c.after, name, got[name], figures)
			}
		}
	}
	for _, o := range read(241*time.Hour, 1) {
		if len(o.Items) != 1 || o.More != (o.Account.Code == "buyer_clearing" || o.Account.Code == "provider_clearing/stripe") {
			t.Errorf("%s: %d items, more: %t", o.Account.Code, len(o.Items), o.More)
		}
		if first := o.Items[0]; o.Account.Code == "provider_clearing/stripe" && first.Reference != done[0].Reference {
			t.Errorf("the oldest is %s, want %s", first.Reference, done[0].Reference)
		}
	}
	// What closes is late no more.
	refund, err := ledger.LateRefundTransfers(terms, uuid.UUID{8}, 4200)
	if err != nil {
		t.Fatal(err)
	}
	mustRecord(t, d, w, append(append(refund, ledger.PostAll(refund)...), append(ledger.VoidAll(stuck), ledger.ReverseAll([]ledger.Transfer{half})...)...)...)
	at = now(t, d)
	for name := range items(read(119*time.Hour, 10)) {
		t.Errorf("%s is still late", name)
	}
}

func TestDeadlinesAreChangedByNameAndSensibly(t *testing.T) {
	changed, err := ledger.DefaultDeadlines().With(map[string]time.Duration{"late_money": time.Minute})
	if err != nil || changed["late_money"].Within != time.Minute || changed["refunds"] != ledger.DefaultDeadlines()["refunds"] {
		t.Errorf("got %v, %v", changed, err)
	}
	for name, within := range map[string]time.Duration{"platform_fees": time.Hour, "refunds": 0} {
		if _, err := ledger.DefaultDeadlines().With(map[string]time.Duration{name: within}); !errors.Is(err, ledger.ErrDeadlines) {
			t.Errorf("%s within %s: %v", name, within, err)
		}
	}
}
