package paypal_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"fairgate/core/payment"
	"fairgate/loadtest/paysim"
)

// smallPages has PayPal put so many on a page, whatever the adapter asks for.
func (a *account) smallPages(size int) {
	a.between.intercept(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if q := r.URL.Query(); q.Has("page_size") {
			q.Set("page_size", strconv.Itoa(size))
			r.URL.RawQuery = q.Encode()
		}
		return false
	})
}

// list reads all pages; meanwhile, if not nil, runs behind each but the last.
func (a *account) list(since time.Time, meanwhile func()) map[string]payment.ListedDispute {
	a.t.Helper()
	found := map[string]payment.ListedDispute{}
	for page := ""; ; {
		got, err := a.provider.ListDisputes(a.t.Context(), since, page)
		if err != nil {
			a.t.Fatal(err)
		}
		for _, d := range got.Disputes {
			found[d.Ref] = d
		}
		if page = got.Next; page == "" {
			return found
		}
		if meanwhile != nil {
			meanwhile()
		}
	}
}

// disputes opens one for each of so many payments, an hour apart, and returns their names.
func (a *account) disputes(many int, stage string) (refs []string) {
	a.t.Helper()
	for range many {
		i := a.captured(1000)
		a.control("/_paysim/paypal/disputes", "payment", i.PaymentID.String(), "stage", stage)
		refs = append(refs, a.inbox.of(a.t, "CUSTOMER.DISPUTE.CREATED", i.PaymentID).Dispute.Ref)
		a.sim.Advance(a.t.Context(), time.Hour)
	}
	return refs
}

func TestDisputesAreListedByWhenTheyChangedAPageAtATime(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	start := a.sim.Now()
	refs := a.disputes(5, "INQUIRY")
	a.smallPages(2)
	all := a.list(start, nil)
	if len(all) != 5 {
		t.Fatalf("listed %v", all)
	}
	if d := all[refs[0]]; d.State != payment.DisputeInquiry || d.At.Before(start.Truncate(time.Second)) || d.At.After(start.Add(time.Hour)) {
		t.Errorf("an inquiry is listed as %+v", d)
	}
	if calls := a.between.made(http.MethodGet, "/v1/customer/disputes"); len(calls) != 3 {
		t.Errorf("%d calls for 5 disputes on pages of 2", len(calls))
	}
	// What has not changed since is not listed; what has is, though it was opened before.
	since := a.sim.Now()
	a.control("/_paysim/paypal/disputes/"+refs[1], "stage", "CHARGEBACK")
	a.control("/_paysim/paypal/disputes/"+refs[2], "outcome", "RESOLVED_SELLER_FAVOUR")
	changed := a.list(since, nil)
	if len(changed) != 2 || changed[refs[1]].State != payment.DisputeOpen || changed[refs[2]].State != "" {
		t.Errorf("changed: %+v", changed)
	}
	// The list does not say for whom it was decided; who asks learns it.
	if d, err := a.provider.LookupDispute(t.Context(), refs[2]); err != nil || d.State != payment.DisputeWon || d.PaymentRef == "" {
		t.Errorf("decided: %+v, %v", d, err)
	}
}

// Disputes are opened and change while the pages are read, so that what is listed is shifted.
func TestNoDisputeSlipsPastTheEndOfAPage(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	start := a.sim.Now()
	refs := a.disputes(7, "CHARGEBACK")
	a.smallPages(2)
	open := 0
	all := a.list(start, func() {
		if open++; open <= 3 {
			a.disputes(1, "CHARGEBACK")
			a.control("/_paysim/paypal/disputes/"+refs[open], "outcome", "RESOLVED_BUYER_FAVOUR")
		}
	})
	for _, ref := range refs {
		if _, listed := all[ref]; !listed {
			t.Errorf("dispute %s is not listed", ref)
		}
	}
}

func TestDisputesOfLongAgoAreNotAskedFor(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	refs := a.disputes(1, "CHARGEBACK")
	a.sim.Advance(t.Context(), 100*24*time.Hour)
	if all := a.list(time.Unix(0, 0), nil); len(all) != 1 || all[refs[0]].Ref == "" {
		t.Errorf("listed %v", all)
	}
	a.sim.Advance(t.Context(), 100*24*time.Hour)
	if all := a.list(time.Unix(0, 0), nil); len(all) != 0 {
		t.Errorf("half a year later PayPal lists %v", all)
	}
}

func TestAListOfPayPalsThatMakesNoSenseIsRefused(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	status, body := http.StatusOK, any(nil)
	a.between.intercept(func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if r.URL.Path != "/v1/customer/disputes" {
			return false
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
		return true
	})
	next := func(href string) any {
		return map[string]any{"items": []any{}, "links": []any{map[string]any{"rel": "next", "href": href}}}
	}
	many := make([]any, 101)
	for n := range many {
		many[n] = map[string]any{"dispute_id": fmt.Sprint("PP-D-", n)}
	}
	for name, c := range map[string]struct {
		status int
		body   any
		want   error
	}{
		"a dispute without an id":       {200, map[string]any{"items": []any{map[string]any{"status": "OPEN"}}}, payment.ErrUnknown},
		"far too many":                  {200, map[string]any{"items": many}, payment.ErrUnknown},
		"a next page of no name":        {200, next("https://api-m.paypal.com/v1/customer/disputes?page_size=2"), payment.ErrUnknown},
		"a next page that is no link":   {200, next("://"), payment.ErrUnknown},
		"a name that is far too long":   {200, next("https://x/?next_page_token=" + fmt.Sprintf("%02000d", 1)), payment.ErrUnknown},
		"a time that is none":           {200, map[string]any{"items": []any{map[string]any{"dispute_id": "PP-D-1", "update_time": "soon"}}}, payment.ErrUnknown},
		"a page that is not known":      {400, map[string]any{"name": "INVALID_REQUEST"}, payment.ErrRejected},
		"PayPal's own trouble":          {500, map[string]any{"name": "INTERNAL_SERVER_ERROR"}, payment.ErrUnknown},
		"too many calls, says PayPal":   {429, map[string]any{"name": "RATE_LIMIT_REACHED"}, payment.ErrTemporary},
		"a text where a list should be": {200, "nothing", payment.ErrUnknown},
	} {
		status, body = c.status, c.body
		if page, err := a.provider.ListDisputes(t.Context(), time.Now(), ""); !errors.Is(err, c.want) || len(page.Disputes) != 0 {
			t.Errorf("%s: %+v, %v", name, page, err)
		}
	}
	// Where the link leads does not matter: only the name in it goes back, and to PayPal's own address.
	status, body = 200, next("https://elsewhere.example/steal?next_page_token=abc&client=1")
	if page, err := a.provider.ListDisputes(t.Context(), time.Now(), ""); err != nil || page.Next != "next_page_token=abc" {
		t.Errorf("the next page is %+v, %v", page, err)
	}
	if _, err := a.provider.ListDisputes(t.Context(), time.Now(), "%zz"); !errors.Is(err, payment.ErrRejected) {
		t.Errorf("a page that we cannot have named: %v", err)
	}
}
