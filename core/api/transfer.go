package api

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"fairgate/core/account"
	"fairgate/core/ticket"
	"fairgate/core/transfer"
	"fairgate/edge/lottery"
)

// maxLanguageTag is the longest language tag that BCP 47 wants everybody to keep.
const maxLanguageTag = 35

// transferRoutes are those of buyers. Accepting and declining need no key: the same account doing it again is the same.
func (s *Server) transferRoutes(edge func(pattern string, limit int64, h handler)) {
	edge("POST /v1/tickets/{id}/transfers", maxBuyerBody, s.offerTicket)
	edge("GET /v1/transfers", maxBuyerBody, s.myTransfers)
	edge("GET /v1/transfers/{id}", maxBuyerBody, s.loadTransfer)
	edge("POST /v1/transfers/{id}/accept", maxBuyerBody, s.acceptTransfer)
	edge("POST /v1/transfers/{id}/decline", maxBuyerBody, s.declineTransfer)
	edge("DELETE /v1/transfers/{id}", maxBuyerBody, s.cancelTransfer)
}

// transferJSON is a transfer as its giver or its receiver sees it.
type transferJSON struct {
	ID        uuid.UUID `json:"id"`
	Event     string    `json:"event"`
	TicketID  uuid.UUID `json:"ticket_id"`
	Tier      string    `json:"tier"`
	Seat      string    `json:"seat"`
	State     string    `json:"state"`
	Reason    string    `json:"reason,omitempty"`
	To        string    `json:"to,omitempty"`   // to the giver, who wrote it
	From      string    `json:"from,omitempty"` // to the receiver: as much of the giver's address as lets a friend know it
	CreatedAt timeJSON  `json:"created_at"`
	ExpiresAt timeJSON  `json:"expires_at"`
	ClosedAt  *timeJSON `json:"closed_at,omitempty"`
}

func (s *Server) transferOf(ctx context.Context, t transfer.Transfer, giver bool) (transferJSON, error) {
	e, err := s.Events.ByID(ctx, t.Event)
	if err != nil {
		return transferJSON{}, err
	}
	view := transferJSON{ID: t.ID, Event: e.Slug, TicketID: t.Ticket, Tier: t.Tier, Seat: t.Seat, State: string(t.State), Reason: t.Reason,
		CreatedAt: timeJSON(t.CreatedAt), ExpiresAt: timeJSON(t.ExpiresAt)}
	if giver {
		view.To = t.To
	} else {
		view.From = transfer.Masked(t.GiverEmail)
	}
	if !t.ClosedAt.IsZero() {
		closed := timeJSON(t.ClosedAt)
		view.ClosedAt = &closed
	}
	return view, nil
}

// hands are what a request proves about whose hands a ticket is in: entrants of sessions, and an account, which is an entrant of every
// event.
type hands struct {
	entrants []lottery.Entrant
	account  account.Account // zero: nobody is signed in
}

func (h hands) signedIn() bool { return h.account.ID != uuid.Nil }

// handsOf reads a request. A session may have expired, as for looking: a ticket is handed on long after it was bought. An account that
// an order was merely mailed to is not enough.
func (s *Server) handsOf(r *http.Request) (hands, error) {
	var h hands
	sessions, refused := s.sessions(r, givingBack)
	for _, session := range sessions {
		h.entrants = append(h.entrants, session.Entrant)
	}
	if r.Header.Get(accountHeader) == "" {
		return h, refused
	}
	a, err := s.account(r)
	if err != nil && refused != nil {
		return h, err
	}
	if err == nil {
		h.account = a
	}
	return h, nil
}

// has tells whether an entrant is in the hands.
func (s *Server) has(ctx context.Context, h hands, event uuid.UUID, entrant lottery.Entrant) (bool, error) {
	for _, e := range h.entrants {
		if e == entrant {
			return true, nil
		}
	}
	if !h.signedIn() {
		return false, nil
	}
	return s.owns(ctx, h.account, event, entrant)
}

// offerTicket offers a ticket to an e-mail address. The answer is the same whether or not that has an account.
//
//	POST /v1/tickets/{id}/transfers  Idempotency-Key: …
//	{"email": "…", "language": "es"}
func (s *Server) offerTicket(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, ticket.ErrUnknown)
	if err != nil {
		return err
	}
	key := r.Header.Get("Idempotency-Key")
	if err := idempotencyKey(key); err != nil {
		return err
	}
	var body struct {
		Email    string `json:"email"`
		Language string `json:"language"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	if len(body.Language) > maxLanguageTag || !plainText(body.Language, 0, maxLanguageTag) {
		return &detailed{errRequest, "language must be a language tag such as es."}
	}
	h, err := s.handsOf(r)
	if err != nil {
		return err
	}
	t, err := ticket.Load(r.Context(), s.DB.Reader, id)
	if err != nil {
		return err
	}
	if mine, err := s.has(r.Context(), h, t.Event, t.Owner); err != nil || !mine {
		return orUnknown(err, ticket.ErrUnknown)
	}
	made, err := s.Transfers.Offer(r.Context(), transfer.Offer{Ticket: id, Key: key, Giver: t.Owner, Account: h.account.ID, Email: h.account.Email,
		To: body.Email, Language: body.Language})
	if err != nil {
		return err
	}
	return s.writeTransfer(w, r, http.StatusCreated, made, true)
}

func orUnknown(err, unknown error) error {
	if err != nil {
		return err
	}
	return unknown
}

func (s *Server) writeTransfer(w http.ResponseWriter, r *http.Request, status int, t transfer.Transfer, giver bool) error {
	view, err := s.transferOf(r.Context(), t, giver)
	if err != nil {
		return err
	}
	writeJSON(w, status, view)
	return nil
}

// myTransfers lists the newest transfers in both directions.
func (s *Server) myTransfers(w http.ResponseWriter, r *http.Request) error {
	h, err := s.handsOf(r)
	if err != nil {
		return err
	}
	given, received, err := s.Transfers.Of(r.Context(), transfer.Party{Email: h.account.Email, Account: h.account.ID, Owners: h.entrants})
	if err != nil {
		return err
	}
	view := struct {
		Given    []transferJSON `json:"given"`
		Received []transferJSON `json:"received"`
	}{[]transferJSON{}, []transferJSON{}}
	for _, t := range given {
		one, err := s.transferOf(r.Context(), t, true)
		if err != nil {
			return err
		}
		view.Given = append(view.Given, one)
	}
	for _, t := range received {
		one, err := s.transferOf(r.Context(), t, false)
		if err != nil {
			return err
		}
		view.Received = append(view.Received, one)
	}
	writeJSON(w, http.StatusOK, view)
	return nil
}

// loadTransfer shows a transfer to its giver and to who it was offered to. Anybody else's is transfer.ErrUnknown.
func (s *Server) loadTransfer(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, transfer.ErrUnknown)
	if err != nil {
		return err
	}
	h, err := s.handsOf(r)
	if err != nil {
		return err
	}
	t, err := s.Transfers.Find(r.Context(), id)
	if err != nil {
		return err
	}
	mine, err := s.has(r.Context(), h, t.Event, t.Giver)
	if err != nil {
		return err
	}
	if !mine && (!h.signedIn() || !h.account.Owns(t.To)) {
		return transfer.ErrUnknown
	}
	return s.writeTransfer(w, r, http.StatusOK, t, mine)
}

// receiver is the signed-in account as whom it would be in a transfer's event.
func (s *Server) receiver(r *http.Request) (id uuid.UUID, by transfer.Receiver, err error) {
	if id, err = pathID(r, transfer.ErrUnknown); err != nil {
		return id, by, err
	}
	a, err := s.account(r)
	if err != nil {
		return id, by, err
	}
	t, err := s.Transfers.Find(r.Context(), id)
	if err != nil {
		return id, by, err
	}
	entrant, err := s.entrantOf(r.Context(), a, t.Event)
	if err != nil {
		return id, by, err
	}
	return id, transfer.Receiver{Account: a.ID, Email: a.Email, Entrant: entrant, Mark: accountOf(entrant)}, nil
}

func (s *Server) acceptTransfer(w http.ResponseWriter, r *http.Request) error {
	id, by, err := s.receiver(r)
	if err != nil {
		return err
	}
	t, err := s.Transfers.Accept(r.Context(), id, by)
	if err != nil {
		return err
	}
	return s.writeTransfer(w, r, http.StatusOK, t, false)
}

func (s *Server) declineTransfer(w http.ResponseWriter, r *http.Request) error {
	id, by, err := s.receiver(r)
	if err != nil {
		return err
	}
	t, err := s.Transfers.Decline(r.Context(), id, by)
	if err != nil {
		return err
	}
	return s.writeTransfer(w, r, http.StatusOK, t, false)
}

func (s *Server) cancelTransfer(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, transfer.ErrUnknown)
	if err != nil {
		return err
	}
	h, err := s.handsOf(r)
	if err != nil {
		return err
	}
	t, err := s.Transfers.Find(r.Context(), id)
	if err != nil {
		return err
	}
	if mine, err := s.has(r.Context(), h, t.Event, t.Giver); err != nil || !mine {
		return orUnknown(err, transfer.ErrUnknown)
	}
	if t, err = s.Transfers.Cancel(r.Context(), id, t.Giver); err != nil {
		return err
	}
	return s.writeTransfer(w, r, http.StatusOK, t, true)
}

// adminTransferJSON is a transfer as operators see it.
type adminTransferJSON struct {
	transferJSON
	GivenBy string    `json:"given_by"` // e-mail address
	Account uuid.UUID `json:"account_id,omitzero"`
}

// listTransfers lists the newest transfers of an event or a ticket.
//
//	GET /admin/v1/transfers?event=arena   or   ?ticket=…
func (s *Server) listTransfers(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	slug, of := query.Get("event"), query.Get("ticket")
	var list []transfer.Transfer
	switch id, err := uuid.Parse(of); {
	case (slug == "") == (of == "") || of != "" && err != nil:
		return &detailed{errRequest, "Name an event or a ticket's id."}
	case of != "":
		if list, err = s.Transfers.OfTicket(r.Context(), id); err != nil {
			return err
		}
	default:
		e, err := s.Events.BySlug(r.Context(), slug)
		if err != nil {
			return err
		}
		if list, err = s.Transfers.OfEvent(r.Context(), e.ID); err != nil {
			return err
		}
	}
	view := make([]adminTransferJSON, 0, len(list))
	for _, t := range list {
		one, err := s.transferOf(r.Context(), t, true)
		if err != nil {
			return err
		}
		view = append(view, adminTransferJSON{one, t.GiverEmail, t.Account})
	}
	writeJSON(w, http.StatusOK, map[string]any{"transfers": view})
	return nil
}
