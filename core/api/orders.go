package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/google/uuid"

	"fairgate/core/checkout"
	"fairgate/core/story"
)

type storyJSON struct {
	At     timeJSON        `json:"at"`
	Kind   string          `json:"kind"`
	Who    string          `json:"who"`
	Text   string          `json:"text"`
	Lines  []string        `json:"lines"`
	Source string          `json:"source"`
	Raw    json.RawMessage `json:"raw,omitempty"`
}

func storyOf(entries []story.Entry) []storyJSON {
	list := make([]storyJSON, len(entries))
	for i, e := range entries {
		list[i] = storyJSON{timeJSON(e.At), e.Kind, e.Who, e.Text, e.Lines, e.Source, e.Raw}
		if e.Lines == nil {
			list[i].Lines = []string{}
		}
	}
	return list
}

// maxSealNotes bounds the seals that one request asks for.
const maxSealNotes = 100

type findingJSON struct {
	Order  string `json:"order"` // "" where it is about no one order
	Kind   string `json:"kind"`
	Detail string `json:"detail"`
}

type verificationJSON struct {
	OK        bool          `json:"ok"`
	Orders    int64         `json:"orders"`
	Steps     int64         `json:"steps"`
	Webhooks  int64         `json:"webhooks"`
	Heads     int64         `json:"heads"`
	Seals     int64         `json:"seals"`
	Unsealed  int64         `json:"unsealed"`  // orders whose last steps wait for their seal
	Unchained int64         `json:"unchained"` // steps from before there were chains
	Found     int64         `json:"found"`
	Findings  []findingJSON `json:"findings"` // the first of them
	Newest    []string      `json:"newest"`   // WRITER/SEQUENCE/HASH of the latest seals: note them outside the database
}

func verificationOf(v *checkout.Verification) verificationJSON {
	view := verificationJSON{OK: v.OK(), Orders: v.Orders, Steps: v.Steps, Webhooks: v.Webhooks, Heads: v.Heads, Seals: v.Seals, Unsealed: v.Unsealed,
		Unchained: v.Unchained, Found: v.Found, Findings: make([]findingJSON, len(v.Findings))}
	for i, f := range v.Findings {
		view.Findings[i] = findingJSON{Kind: string(f.Kind), Detail: f.Detail}
		if f.Order != uuid.Nil {
			view.Findings[i].Order = f.Order.String()
		}
	}
	view.Newest = make([]string, len(v.Newest))
	for i, n := range v.Newest {
		view.Newest[i] = n.String()
	}
	return view
}

// verifyOrders recomputes the audit trail of all orders, or of one.
//
//	GET /admin/v1/orders/verify?order=ID&seal=WRITER/SEQUENCE/HASH   seal: as newest told it before; may be repeated
func (s *Server) verifyOrders(w http.ResponseWriter, r *http.Request) error {
	var order uuid.UUID
	if text := r.URL.Query().Get("order"); text != "" {
		var err error
		if order, err = uuid.Parse(text); err != nil || order == uuid.Nil {
			return checkout.ErrOrderUnknown
		}
	}
	var noted []checkout.SealNote
	for _, text := range r.URL.Query()["seal"] {
		note, err := checkout.ParseSealNote(text)
		if err != nil || len(noted) == maxSealNotes {
			return &detailed{errRequest, fmt.Sprintf("seal must be WRITER/SEQUENCE/HASH as an earlier verification told it, %d times at most.", maxSealNotes)}
		}
		noted = append(noted, note)
	}
	v, err := s.Checkout.Verify(r.Context(), order, noted...)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, verificationOf(&v))
	return nil
}

// adminOrder tells the whole story of one order. The buyer's client secret is not part of it. With raw, webhooks carry what
// the provider sent, without secrets and personal data.
//
//	GET /admin/v1/orders/{id}?raw=true
func (s *Server) adminOrder(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	id, err := pathID(r, checkout.ErrOrderUnknown)
	if err != nil {
		return err
	}
	raw := false
	if text := r.URL.Query().Get("raw"); text != "" {
		if raw, err = strconv.ParseBool(text); err != nil {
			return &detailed{errRequest, "raw must be true or false."}
		}
	}
	order, err := s.Checkout.Find(ctx, id)
	if err != nil {
		return err
	}
	history, err := s.Checkout.History(ctx, id)
	if err != nil {
		return err
	}
	tasks, err := s.Outbox.OfOrder(ctx, id)
	if err != nil {
		return err
	}
	entries, err := story.Tell(ctx, s.DB.Reader, id, raw)
	if err != nil {
		return err
	}
	audit, err := s.Checkout.Verify(ctx, id)
	if err != nil {
		return err
	}
	view := orderOf(order, s.Form)
	view.Payment.ClientSecret, view.Payment.PayURL = "", ""
	happenings := make([]happeningJSON, len(history))
	for i, h := range history {
		happenings[i] = happeningJSON{h.Seq, string(h.Cause), string(h.From), string(h.To), h.Actor, h.Reason, h.Source, timeJSON(h.At)}
	}
	outbox := make([]taskJSON, len(tasks))
	for i, t := range tasks {
		outbox[i] = taskJSON{Kind: t.Kind, State: t.State, Attempts: t.Attempts, LastError: t.LastError, DueAt: timeJSON(t.DueAt), PaymentID: t.PaymentID}
	}
	writeJSON(w, http.StatusOK, struct {
		orderJSON
		Entrant string           `json:"entrant"`
		Email   string           `json:"email"`
		History []happeningJSON  `json:"history"`
		Outbox  []taskJSON       `json:"outbox"`
		Story   []storyJSON      `json:"story"`
		Audit   verificationJSON `json:"audit"`
	}{view, order.Entrant.String(), order.Email, happenings, outbox, storyOf(entries), verificationOf(&audit)})
	return nil
}
