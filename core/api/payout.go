package api

import (
	"net/http"
	"time"

	"github.com/google/uuid"

	"fairgate/core/payout"
	"fairgate/ledger"
)

type payoutStepJSON struct {
	From   string   `json:"from"`
	To     string   `json:"to"`
	Actor  string   `json:"actor"`
	Reason string   `json:"reason"`
	At     timeJSON `json:"at"`
}

type payoutJSON struct {
	ID        uuid.UUID        `json:"id"`
	Organizer string           `json:"organizer"`
	Amount    ledger.Amount    `json:"amount"`
	State     string           `json:"state"`
	CreatedAt timeJSON         `json:"created_at"`
	UpdatedAt timeJSON         `json:"updated_at"`
	History   []payoutStepJSON `json:"history,omitempty"`
}

func payoutOf(p payout.Payout) payoutJSON {
	j := payoutJSON{ID: p.ID, Organizer: p.Organizer, Amount: p.Amount, State: string(p.State), CreatedAt: timeJSON(p.CreatedAt), UpdatedAt: timeJSON(p.UpdatedAt)}
	for _, s := range p.History {
		j.History = append(j.History, payoutStepJSON{string(s.From), string(s.To), s.Actor, s.Reason, timeJSON(s.At)})
	}
	return j
}

// listPayouts answers GET /admin/v1/payouts?state=&organizer=&after=&limit=: a page in the order of ids. next continues it.
func (s *Server) listPayouts(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	limit, err := limitOf(q.Get("limit"))
	if err != nil {
		return err
	}
	var after uuid.UUID
	if text := q.Get("after"); text != "" {
		if after, err = uuid.Parse(text); err != nil {
			return &detailed{errRequest, "after must be the id of a payout."}
		}
	}
	found, err := s.Payouts.List(r.Context(), payout.State(q.Get("state")), q.Get("organizer"), after, limit)
	if err != nil {
		return err
	}
	list, next := make([]payoutJSON, len(found)), ""
	for i, p := range found {
		list[i] = payoutOf(p)
	}
	if len(found) == limit {
		next = found[len(found)-1].ID.String()
	}
	writeJSON(w, http.StatusOK, map[string]any{"payouts": list, "next": next})
	return nil
}

type payoutLineJSON struct {
	Organizer  string        `json:"organizer"`
	Released   ledger.Amount `json:"released"`
	Reserved   ledger.Amount `json:"reserved"`
	Unreserved ledger.Amount `json:"unreserved"`
	Covered    ledger.Amount `json:"covered"`
	Used       ledger.Amount `json:"used"`
	PayoutID   uuid.UUID     `json:"payout_id"` // zero when none was proposed
	Note       string        `json:"note"`
}

// runPayouts answers POST /admin/v1/payouts:run with {"run_id"}: what the run did for each organizer. Without run_id it is the run of the
// day. The same run again does what is left and answers the same.
func (s *Server) runPayouts(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		RunID uuid.UUID `json:"run_id"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	if body.RunID == uuid.Nil {
		now, err := s.DB.Now(r.Context())
		if err != nil {
			return err
		}
		body.RunID = payout.RunOfDay(now.UTC().Truncate(24 * time.Hour))
	}
	lines, err := s.Payouts.Run(r.Context(), body.RunID)
	if err != nil {
		return err
	}
	list := make([]payoutLineJSON, len(lines))
	for i, l := range lines {
		amount := func(minor int64) ledger.Amount { return ledger.Amount{Minor: minor, Currency: l.Currency} }
		list[i] = payoutLineJSON{l.Organizer, amount(l.Released), amount(l.Reserved), amount(l.Unreserved), amount(l.Covered), amount(l.Used), l.PayoutID, l.Note}
	}
	writeJSON(w, http.StatusOK, map[string]any{"run_id": body.RunID, "lines": list})
	return nil
}

// movePayout answers POST /admin/v1/payouts/{id}/{verb} with {"reason"}: approve, reject, sent, arrived or returned.
func (s *Server) movePayout(w http.ResponseWriter, r *http.Request) error {
	id, err := uuid.Parse(r.PathValue("id"))
	if err != nil {
		return payout.ErrUnknown
	}
	to, ok := map[string]payout.State{"approve": payout.Approved, "reject": payout.Rejected, "sent": payout.Sent, "arrived": payout.Arrived,
		"returned": payout.Returned}[r.PathValue("verb")]
	if !ok {
		return errNotFound
	}
	var d decision
	if err := d.read(r); err != nil {
		return err
	}
	p, err := s.Payouts.Move(r.Context(), id, to, operatorOf(r), d.Reason)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, payoutOf(p))
	return nil
}
