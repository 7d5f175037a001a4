package paysim

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	paypalgo "github.com/plutov/paypal/v4"
)

// disputePage is a page of a list as PayPal shows it.
type disputePage struct {
	Items []map[string]any `json:"items"`
	Links []struct{ Rel, Href string }
}

// disputes asks for a list.
func (b *buyerAt) disputes(query url.Values) (page disputePage, status int) {
	b.t.Helper()
	req, err := b.sdk.NewRequest(b.t.Context(), http.MethodGet, b.url+"/v1/customer/disputes?"+query.Encode(), nil)
	if err != nil {
		b.t.Fatal(err)
	}
	err = b.sdk.SendWithAuth(req, &page)
	var refused *paypalgo.ErrorResponse
	if errors.As(err, &refused) {
		return page, refused.Response.StatusCode
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return page, http.StatusOK
}

// dispute opens one of a payment of its own, and lets an hour pass.
func (b *buyerAt) dispute(custom string) (ref string) {
	b.t.Helper()
	s := b.sim
	s.mu.Lock()
	o := &ppOrder{id: s.newID("PP"), name: custom, custom: custom, currency: "EUR", minor: 1000, base: b.url, status: "COMPLETED"}
	taken := &ppCapture{id: s.newID("PC"), order: o, custom: custom, minor: 1000, created: s.clock.now()}
	o.captures = []*ppCapture{taken}
	s.pp.orders, s.pp.captures[taken.id] = append(s.pp.orders, o), taken
	d, _ := s.ppDispute(taken, "UNAUTHORISED", "CHARGEBACK")
	s.mu.Unlock()
	s.Advance(b.t.Context(), time.Hour)
	return d.id
}

func TestPayPalListsDisputesAsSummariesAPageAtATime(t *testing.T) {
	b := newPayPalAPI(t, Config{})
	ago := func(d time.Duration) string { return b.sim.Now().Add(-d).UTC().Format(time.RFC3339) }
	start := ago(0)
	refs := []string{b.dispute("a"), b.dispute("b")}
	middle := ago(30 * time.Minute)
	refs = append(refs, b.dispute("c"))
	listed := func(query url.Values) (got []string) {
		t.Helper()
		for {
			page, status := b.disputes(query)
			if status != http.StatusOK {
				t.Fatalf("status %d for %v", status, query)
			}
			for _, item := range page.Items {
				got = append(got, item["dispute_id"].(string))
				_, payment := item["disputed_transactions"]
				_, outcome := item["dispute_outcome"]
				if payment || outcome || item["update_time"] == nil || item["status"] == nil {
					t.Errorf("a summary is %v", item)
				}
			}
			next := slices.IndexFunc(page.Links, func(l struct{ Rel, Href string }) bool { return l.Rel == "next" })
			if next < 0 {
				return got
			}
			u, err := url.Parse(page.Links[next].Href)
			if err != nil || !strings.HasPrefix(page.Links[next].Href, b.url+"/v1/customer/disputes?") {
				t.Fatalf("the next page is at %s", page.Links[next].Href)
			}
			query = u.Query()
		}
	}
	b.sim.mu.Lock()
	b.sim.ppDecide(b.sim.pp.disputes[refs[0]], "WAITING_FOR_SELLER_RESPONSE", "RESOLVED_SELLER_FAVOUR")
	capture := b.sim.pp.disputes[refs[1]].capture.id
	b.sim.mu.Unlock()
	for name, c := range map[string]struct {
		query url.Values
		want  []string
	}{
		"all":                  {url.Values{}, []string{refs[2], refs[1], refs[0]}},
		"one a page":           {url.Values{"page_size": {"1"}}, []string{refs[2], refs[1], refs[0]}},
		"from the second page": {url.Values{"page_size": {"2"}, "page": {"2"}}, []string{refs[0]}},
		"opened since":         {url.Values{"start_time": {middle}}, []string{refs[2]}},
		"opened until":         {url.Values{"create_time_before": {middle}, "page_size": {"1"}}, []string{refs[1], refs[0]}},
		"changed since":        {url.Values{"update_time_after": {middle}}, []string{refs[2], refs[0]}},
		"changed until":        {url.Values{"update_time_after": {start}, "update_time_before": {middle}}, []string{refs[1]}},
		"of a payment":         {url.Values{"disputed_transaction_id": {capture}}, []string{refs[1]}},
	} {
		if got := listed(c.query); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	for name, query := range map[string]url.Values{
		"too large a page":       {"page_size": {"51"}},
		"no page":                {"page_size": {"0"}},
		"a made-up token":        {"next_page_token": {"%%"}},
		"a token of no number":   {"next_page_token": {"eA"}},
		"half a year and a day":  {"update_time_after": {b.sim.Now().AddDate(0, 0, -181).UTC().Format(time.RFC3339)}},
		"no date":                {"update_time_after": {"yesterday"}},
		"two that go not by two": {"start_time": {start}, "disputed_transaction_id": {capture}},
		"what is not known here": {"dispute_state": {"RESOLVED"}},
	} {
		if _, status := b.disputes(query); status != http.StatusBadRequest {
			t.Errorf("%s: status %d", name, status)
		}
	}
}

func TestStripesDisputesAreListedByWhenTheyWereOpened(t *testing.T) {
	m := newMerchant(t, Config{})
	var refs []string
	var opened []int64
	for range 3 {
		_, d := m.disputed("pm_card_createDispute")
		refs, opened = append(refs, d.ID), append(opened, d.Created)
	}
	for name, c := range map[string]struct {
		since int64
		want  []string
	}{
		"all": {opened[0], []string{refs[2], refs[1], refs[0]}}, "since the second": {opened[1], []string{refs[2], refs[1]}}, "since later": {opened[2] + 1, nil},
	} {
		if got := m.listDisputes(c.since); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
