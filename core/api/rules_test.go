package api

import (
	"encoding/json"
	"testing"
	"time"

	"fairgate/core/event"
)

func TestTheRulesOfAnEventAreToldWithTheirDefaults(t *testing.T) {
	starts := time.Date(2027, 6, 12, 19, 0, 0, 0, time.UTC)
	accompanied := []event.Section{{ID: "101", Rows: []event.Row{{Label: "A", Accessible: []int64{1}, Companions: []int64{2}}}}}
	for name, c := range map[string]struct {
		spec event.Spec
		want string
	}{
		"nothing said":    {event.Spec{StartsAt: starts}, `{"transfer_until":"2027-06-12T17:00:00.000Z"}`},
		"nothing allowed": {event.Spec{StartsAt: starts, Transfer: event.Transfer{Forbidden: true}}, `{}`},
		"everything": {event.Spec{StartsAt: starts, Refunds: event.Refunds{By: event.RefundByBuyer, KeepFee: true},
			Resale: event.Resale{Allowed: true, Cap: event.CapPercent, CapPercent: 100_000, ClosesBefore: event.Duration{Duration: 3 * time.Hour}}},
			`{"refund_until":"2027-06-12T19:00:00.000Z","refund_keep_fee":true,"transfer_until":"2027-06-12T17:00:00.000Z","resale_until":"2027-06-12T16:00:00.000Z","resale_over":"10%"}`},
		"companions": {event.Spec{StartsAt: starts, Transfer: event.Transfer{Forbidden: true}, Companions: event.Duration{Duration: 24 * time.Hour}, Sections: accompanied},
			`{"companions":{"free_from":"2027-06-11T19:00:00.000Z"}}`},
		"companions for ever": {event.Spec{StartsAt: starts, Transfer: event.Transfer{Forbidden: true}, Sections: accompanied}, `{"companions":{}}`},
		"any price": {event.Spec{StartsAt: starts, Transfer: event.Transfer{Forbidden: true}, Resale: event.Resale{Allowed: true, Cap: event.CapFree}},
			`{"resale_until":"2027-06-12T17:00:00.000Z"}`},
	} {
		rules, err := rulesOf(c.spec)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, err := json.Marshal(rules); err != nil || string(got) != c.want {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
}
