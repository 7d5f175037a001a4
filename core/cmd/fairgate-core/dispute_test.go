package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/loadtest/paysim"
)

const (
	cardDisputed = "4000000000000259"
	cardElevated = "4000000000009235" // the provider calls its payments risky
	cardHighest  = "4000000000004954" // and those of this one riskier still
)

// claimed is a dispute as operators see it.
type claimed struct {
	Ref         string    `json:"ref"`
	Order       uuid.UUID `json:"order_id"`
	State       string    `json:"state"`
	DraftedAt   string    `json:"drafted_at"`
	SubmittedBy string    `json:"submitted_by"`
}

// disputeOf is the dispute of an order, from the list.
func (r *rig) disputeOf(id uuid.UUID) (found claimed) {
	r.t.Helper()
	var list struct {
		Disputes []claimed `json:"disputes"`
	}
	r.admin(http.MethodGet, "/admin/v1/disputes", nil, http.StatusOK, &list)
	for _, d := range list.Disputes {
		if d.Order == id {
			return d
		}
	}
	return claimed{}
}

// atProvider asks the provider, as somebody does who is signed in to its pages.
func (r *rig) atProvider(method, path string, form url.Values, into any) {
	r.t.Helper()
	r.atProviderFor(method, path, form, http.StatusOK, into)
}

// atProviderFor is atProvider for an answer of another status.
func (r *rig) atProviderFor(method, path string, form url.Values, want int, into any) {
	r.t.Helper()
	req, err := http.NewRequest(method, r.pay.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer sk_test_paysim")
	if len(form) > 0 {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.call(req, want, into)
}

func TestDisputedOrdersAreAnsweredWonAndLost(t *testing.T) {
	r := newRigWith(t, club, paysim.Faults{}, func(*config) {})
	slug, tier := r.firstEvent()
	all := r.open(slug, 3)
	r.admit(slug, all...)
	var orders []order
	for _, s := range all {
		o, _ := r.begin(s, slug, tier, 2)
		r.payForm(o, cardDisputed)
		orders = append(orders, r.awaitOrder(s, o.ID, "ticket_issued"))
	}
	won, lost, answered := orders[0], orders[1], orders[2]
	r.eventually("the provider has all captures", func() bool {
		return len(r.booked(won.ID)) == 1 && r.number(`SELECT count(*) FROM payments WHERE state = 'captured'`) == 3
	})
	r.provider.Advance(t.Context(), 73*time.Hour)
	for i, s := range all {
		if o := r.awaitOrder(s, orders[i].ID, "disputed"); len(o.Tickets) != 0 {
			t.Errorf("a disputed order shows %d tickets", len(o.Tickets))
		}
	}
	r.eventually("every dispute has a draft", func() bool { return r.number(`SELECT count(*) FROM disputes WHERE drafted_at IS NOT NULL`) == 3 })
	if valid := r.number(`SELECT count(*) FROM tickets WHERE state = 'valid'`); valid != 0 {
		t.Errorf("%d tickets of disputed orders are valid", valid)
	}
	refund := r.request("admin", http.MethodPost, "/admin/v1/orders/"+won.ID.String()+"/refunds", map[string]any{"reason": "both"})
	if code := r.code(r.keyed(refund, "both"), http.StatusConflict); code != "refund_disputed" {
		t.Errorf("a refund of what the bank has taken: %s", code)
	}

	// What is said of it, and the draft of that at the provider.
	d := r.disputeOf(answered.ID)
	var evidence struct {
		AccessLog string `json:"access_log"`
		Policy    string `json:"refund_policy"`
		Product   string `json:"product"`
	}
	r.admin(http.MethodGet, "/admin/v1/disputes/"+d.Ref+"/evidence", nil, http.StatusOK, &evidence)
	if !strings.Contains(evidence.AccessLog, "let in") || !strings.Contains(evidence.Product, "2 tickets for club") ||
		evidence.Policy != "Tickets are refunded when the event is cancelled, the fee included. When it is moved to another time or venue buyers may give them back for 14 days, until it begins, the fee included." {
		t.Errorf("%+v", evidence)
	}
	var there struct {
		Status   string `json:"status"`
		Evidence struct {
			Log    string `json:"access_activity_log"`
			Policy string `json:"refund_policy_disclosure"`
		} `json:"evidence"`
		Details struct {
			Submissions int `json:"submission_count"`
		} `json:"evidence_details"`
	}
	r.atProvider(http.MethodGet, "/v1/disputes/"+d.Ref, nil, &there)
	if there.Status != "needs_response" || there.Details.Submissions != 0 || !strings.Contains(there.Evidence.Log, "let in") {
		t.Errorf("the draft is %+v", there)
	}
	r.admin(http.MethodPost, "/admin/v1/disputes/"+d.Ref+"/submit", map[string]any{}, http.StatusAccepted, nil)
	r.eventually("it is under review", func() bool {
		d = r.disputeOf(answered.ID)
		return d.State == "review" && strings.HasPrefix(d.SubmittedBy, "operator")
	})
	if code := r.code(r.request("admin", http.MethodPost, "/admin/v1/disputes/"+d.Ref+"/submit", map[string]any{}), http.StatusConflict); code != "dispute_over" {
		t.Errorf("submitted twice: %s", code)
	}
	if r.atProvider(http.MethodGet, "/v1/disputes/"+d.Ref, nil, &there); there.Details.Submissions != 1 {
		t.Errorf("submitted %d times", there.Details.Submissions)
	}

	// One is decided for us, one against us.
	for id, text := range map[uuid.UUID]string{won.ID: "winning_evidence", lost.ID: "losing_evidence"} {
		r.atProvider(http.MethodPost, "/v1/disputes/"+r.disputeOf(id).Ref, url.Values{"evidence[uncategorized_text]": {text}, "submit": {"true"}}, nil)
	}
	if o := r.awaitOrder(all[0], won.ID, "ticket_issued"); len(o.Tickets) != 2 {
		t.Errorf("%d tickets after it was won", len(o.Tickets))
	}
	r.awaitOrder(all[1], lost.ID, "dispute_lost")
	if again := r.number(`SELECT count(*) FROM tickets WHERE state = 'valid' AND epoch = 2`); again != 2 {
		t.Errorf("%d tickets are valid again with a new code", again)
	}

	// The bank takes its time with the third, whichever way it goes.
	r.provider.Advance(t.Context(), 73*time.Hour)
	r.eventually("the third is decided", func() bool { s := r.disputeOf(answered.ID).State; return s == "won" || s == "lost" })
	valid := int64(2)
	if r.disputeOf(answered.ID).State == "won" {
		valid = 4
	}
	r.eventually("its tickets follow", func() bool { return r.number(`SELECT count(*) FROM tickets WHERE state = 'valid'`) == valid })
	var books struct {
		OK bool `json:"ok"`
	}
	if r.admin(http.MethodGet, "/admin/v1/ledger/verify", nil, http.StatusOK, &books); !books.OK {
		t.Error("the ledger does not verify")
	}
	var shown struct {
		Story []struct {
			Kind string `json:"kind"`
			Text string `json:"text"`
		} `json:"story"`
	}
	r.admin(http.MethodGet, "/admin/v1/orders/"+won.ID.String(), nil, http.StatusOK, &shown)
	told := 0
	for _, e := range shown.Story {
		if e.Kind == "dispute" {
			told++
		}
	}
	if told < 2 {
		t.Errorf("the order's story has %d entries of its dispute", told)
	}
}

func TestOperatorsApproveAndDenyWhatLooksOddAndTheWorstIsDeniedAtOnce(t *testing.T) {
	r := newRigWith(t, club, paysim.Faults{}, func(c *config) {
		c.Fraud.Thresholds.Review, c.Fraud.Thresholds.Deny = 50, 110
	})
	slug, tier := r.firstEvent()
	all := r.open(slug, 3)
	r.admit(slug, all...)
	var orders []order
	for i, card := range []string{cardElevated, cardElevated, cardHighest} {
		o, _ := r.begin(all[i], slug, tier, 1)
		r.payForm(o, card)
		orders = append(orders, o)
	}
	approved, denied, worst := orders[0].ID, orders[1].ID, orders[2].ID
	r.awaitOrder(all[0], approved, "payment_review")
	r.awaitOrder(all[1], denied, "payment_review")
	r.awaitOrder(all[2], worst, "cancelled")
	var list struct {
		Reviews []struct {
			Order uuid.UUID `json:"order_id"`
			Why   string    `json:"why"`
		} `json:"reviews"`
	}
	if r.admin(http.MethodGet, "/admin/v1/reviews", nil, http.StatusOK, &list); len(list.Reviews) != 2 || !strings.Contains(list.Reviews[0].Why, "elevated risk") {
		t.Errorf("%+v", list)
	}
	review := func(id uuid.UUID, verb string) *http.Request {
		return r.request("admin", http.MethodPost, "/admin/v1/reviews/"+id.String()+"/"+verb, map[string]any{"reason": "spoke to the buyer"})
	}
	r.call(review(approved, "approve"), http.StatusOK, nil)
	r.call(review(denied, "deny"), http.StatusOK, nil)
	if o := r.awaitOrder(all[0], approved, "ticket_issued"); len(o.Tickets) != 1 {
		t.Errorf("%d tickets", len(o.Tickets))
	}
	r.awaitOrder(all[1], denied, "cancelled")
	for _, id := range []uuid.UUID{approved, denied, worst} {
		if code := r.code(review(id, "approve"), http.StatusConflict); code != "no_review" {
			t.Errorf("decided twice: %s", code)
		}
	}
	for i, id := range map[int]uuid.UUID{1: denied, 2: worst} {
		var o order
		r.eventually("the authorization is voided", func() bool {
			o = order{}
			r.call(r.as(all[i], http.MethodGet, "/v1/orders/"+id.String(), nil), http.StatusOK, &o)
			return o.Payment.State == "voided"
		})
		if o.Payment.Failure != "payment_refused" || len(o.Tickets) != 0 {
			t.Errorf("the buyer sees failure %q and %d tickets", o.Payment.Failure, len(o.Tickets))
		}
		for _, b := range r.booked(id) {
			if b.Status != "canceled" {
				t.Errorf("the provider has the payment %s", b.Status)
			}
		}
	}
	var judged struct {
		Judgements []struct {
			Stage   string            `json:"stage"`
			Verdict string            `json:"verdict"`
			Reasons []json.RawMessage `json:"reasons"`
		} `json:"judgements"`
	}
	r.admin(http.MethodGet, "/admin/v1/reviews/"+worst.String(), nil, http.StatusOK, &judged)
	if last := judged.Judgements[len(judged.Judgements)-1]; last.Verdict != "deny" || last.Stage != "authorized" || len(last.Reasons) == 0 {
		t.Errorf("%+v", judged)
	}
	if taken := r.number(sqlTaken); taken != 1 {
		t.Errorf("%d units are taken", taken)
	}
}
