package api

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"fairgate/core/access"
	"fairgate/core/checkout"
	"fairgate/core/event"
	"fairgate/edge/lottery"
)

// Bounds of an operator's lists.
const (
	defaultPage = 50
	maxPage     = 500
	// maxInvitations is how many codes one request makes.
	maxInvitations = 10_000
	// maxProblems ends the reading of a batch of event files.
	maxProblems = 100
)

func (s *Server) applyEvent(w http.ResponseWriter, r *http.Request) error {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return &detailed{errRequest, "The event file could not be read, or is longer than allowed."}
	}
	spec, err := event.Parse(text)
	if err != nil {
		return err
	}
	result, err := s.Events.Apply(r.Context(), spec)
	if err != nil {
		return err
	}
	s.Catalog.Nudge()
	changes := result.Changes
	if changes == nil {
		changes = []string{}
	}
	writeJSON(w, http.StatusOK, map[string]any{"event": spec.ID, "revision": result.Revision, "changed": result.Changed, "changes": changes})
	return nil
}

// applyBatch is applyEvent for up to 500 events in one transaction: all of them or none.
//
//	POST /admin/v1/events:batch
//	{"files": ["id: club\nname: …", …]}                         each an event file
//	200 {"applied": [{"event", "revision", "changed", "changes"}, …]}   in the order of the files
//	422 event_invalid: the path of each problem begins with the file's place, such as events[3].tiers[0].price
func (s *Server) applyBatch(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Files []string `json:"files"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	if len(body.Files) == 0 || len(body.Files) > event.MaxBatch {
		return &detailed{errRequest, fmt.Sprintf("files must be 1 to %d event files.", event.MaxBatch)}
	}
	specs := make([]event.Spec, 0, len(body.Files))
	var problems event.Problems
	for i, file := range body.Files {
		spec, err := event.Parse([]byte(file))
		var mistakes event.Problems
		if errors.As(err, &mistakes) {
			problems = append(problems, mistakes.InBatch(i, len(body.Files))...)
		}
		if len(problems) >= maxProblems {
			break
		}
		specs = append(specs, spec)
	}
	if len(problems) > 0 {
		return problems
	}
	results, err := s.Events.ApplyAll(r.Context(), specs)
	if errors.Is(err, event.ErrBatch) {
		return &detailed{errRequest, "A batch must not name an event twice."}
	}
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"applied": results})
	return nil
}

// adminEvent shows an event as it was applied, with its stock.
func (s *Server) adminEvent(w http.ResponseWriter, r *http.Request) error {
	e, err := s.Events.BySlug(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	view, err := s.eventView(r.Context(), e)
	if err != nil {
		return err
	}
	stock, err := s.stockView(r, e.ID)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, struct {
		eventJSON
		State    string      `json:"state"`
		Revision int64       `json:"revision"`
		Spec     event.Spec  `json:"spec"`
		Stock    []stockJSON `json:"stock"`
	}{view, e.State, e.Revision, e.Spec, stock})
	return nil
}

type stockJSON struct {
	Tier       string `json:"tier"`
	Allocation string `json:"allocation"`
	Capacity   int64  `json:"capacity"`
	Taken      int64  `json:"taken"`
	Waitlisted bool   `json:"waitlisted,omitempty"` // what is free of it is kept for the waiting list
}

func (s *Server) stockView(r *http.Request, id uuid.UUID) ([]stockJSON, error) {
	rows, err := s.Inventory.Availability(r.Context(), id)
	if err != nil {
		return nil, err
	}
	stock := make([]stockJSON, len(rows))
	for i, row := range rows {
		stock[i] = stockJSON{row.Tier, row.Allocation, row.Capacity, row.Taken, row.Waitlisted}
	}
	return stock, nil
}

func (s *Server) changeOnSale(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		OpensAt   time.Time `json:"opens_at"`
		JoiningAt time.Time `json:"joining_at"`
		EndsAt    time.Time `json:"ends_at"`
		Beacon    string    `json:"beacon"`  // name of the public value that goes into the seeds
		Presale   string    `json:"presale"` // whose on-sale it is; empty: general sale
		Message   string    `json:"message"`
	}
	if r.ContentLength != 0 {
		if err := decode(r, &body); err != nil {
			return err
		}
	}
	if !plainText(body.Message, 0, len(body.Message)) {
		return &detailed{errRequest, "message must be a text without control characters."}
	}
	ctx, slug := r.Context(), r.PathValue("id")
	if _, err := s.Events.BySlug(ctx, slug); err != nil {
		return err
	}
	var err error
	switch verb := r.PathValue("verb"); verb {
	case "schedule":
		_, err = s.Room.ScheduleAs(ctx, slug, access.Scheduling{
			OpensAt: body.OpensAt, JoiningAt: body.JoiningAt, EndsAt: body.EndsAt, Beacon: body.Beacon, Presale: body.Presale,
		})
	case "open":
		_, err = s.Room.Open(ctx, slug)
	case "pause":
		_, err = s.Room.Pause(ctx, slug, body.Message)
	case "resume":
		_, err = s.Room.Resume(ctx, slug, body.Message)
	case "end":
		_, err = s.Room.End(ctx, slug, body.Message)
	default:
		return errNotFound
	}
	if err != nil {
		return err
	}
	return s.onSale(w, r)
}

// lottery publishes what anybody needs to check the draw, of the current on-sale or with ?generation=1 of another. It has no personal data
// and no secret that still counts.
func (s *Server) lottery(w http.ResponseWriter, r *http.Request) error {
	var generation uint64
	if text := r.URL.Query().Get("generation"); text != "" {
		var err error
		if generation, err = strconv.ParseUint(text, 10, 32); err != nil || generation == 0 {
			return &detailed{errRequest, "generation must be the number of an on-sale, from 1 up."}
		}
	}
	transcript, err := s.Room.TranscriptOf(r.Context(), r.PathValue("id"), uint32(generation))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, transcript)
	return nil
}

// beacon takes the value of the beacon, in hex, which draws window 0.
func (s *Server) beacon(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Value lottery.Hex `json:"value"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	if _, err := s.Room.Beacon(r.Context(), r.PathValue("id"), body.Value); err != nil {
		return err
	}
	return s.onSale(w, r)
}

// errUninvited means that a sale asks for no invitations.
var errUninvited = errors.New("api: the sale takes no invitations")

// invited is errUninvited where a sale of the event, a presale or general sale, takes no invitations; access.ErrPresaleUnknown.
func invited(e *event.Event, presale string) error {
	if presale == "" {
		if e.Spec.OnSale.Identity != event.InvitationIdentity {
			return &detailed{errUninvited, "General sale of this event asks for no invitation (on_sale.identity). Name the presale that the invitations are for."}
		}
		return nil
	}
	for i := range e.Spec.Presales {
		if p := &e.Spec.Presales[i]; p.ID != presale {
			continue
		} else if p.Rights() != event.PresaleInvited {
			return errUninvited
		}
		return nil
	}
	return access.ErrPresaleUnknown
}

// invite makes invitation codes to one sale of an event.
func (s *Server) invite(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Count   int    `json:"count"`
		Presale string `json:"presale"` // empty: general sale
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	if body.Count < 1 || body.Count > maxInvitations {
		return &detailed{errRequest, fmt.Sprintf("count must be from 1 to %d.", maxInvitations)}
	}
	e, err := s.Events.BySlug(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := invited(e, body.Presale); err != nil {
		return err
	}
	ring, err := s.Events.Keys(r.Context(), event.InvitationPurpose, event.Scope(e.ID))
	if err != nil {
		return err
	}
	codes := make([]string, body.Count)
	for i := range codes {
		code := lottery.Invitation{Event: e.ID, Presale: body.Presale, ID: uuid.New(), KeyNo: ring[0].Number}
		codes[i] = code.Sign(ring[0].Private())
	}
	writeJSON(w, http.StatusCreated, map[string]any{"event": e.Slug, "presale": body.Presale, "invitations": codes})
	return nil
}

type summaryJSON struct {
	ID        uuid.UUID `json:"id"`
	Event     string    `json:"event"`
	State     string    `json:"state"`
	Amount    moneyJSON `json:"amount"`
	Tickets   *int      `json:"tickets"` // null where the order cannot be read
	CreatedAt timeJSON  `json:"created_at"`
	UpdatedAt timeJSON  `json:"updated_at"`
}

func (s *Server) listOrders(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	e, err := s.Events.BySlug(r.Context(), q.Get("event"))
	if err != nil {
		return err
	}
	page := checkout.Page{Event: e.ID, State: checkout.State(q.Get("state"))}
	if page.Limit, err = limitOf(q.Get("limit")); err != nil {
		return err
	}
	if after := q.Get("after"); after != "" {
		if page.AfterTime, page.AfterOrder, err = parseOrderCursor(after); err != nil {
			return err
		}
	}
	orders, err := s.Checkout.List(r.Context(), page)
	if err != nil {
		return err
	}
	list, next := make([]summaryJSON, len(orders)), ""
	for i, o := range orders {
		list[i] = summaryJSON{o.ID, e.Slug, string(o.State), moneyJSON{o.Minor, o.Currency}, o.Tickets, timeJSON(o.CreatedAt), timeJSON(o.UpdatedAt)}
	}
	if len(orders) == page.Limit {
		last := orders[len(orders)-1]
		next = orderCursor(last.CreatedAt, last.ID)
	}
	writeJSON(w, http.StatusOK, map[string]any{"orders": list, "next": next})
	return nil
}

func limitOf(text string) (int, error) {
	if text == "" {
		return defaultPage, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxPage {
		return 0, &detailed{errRequest, fmt.Sprintf("limit must be from 1 to %d.", maxPage)}
	}
	return n, nil
}

func orderCursor(at time.Time, id uuid.UUID) string {
	return strconv.FormatInt(at.UnixMicro(), 16) + "." + id.String()
}

func parseOrderCursor(text string) (time.Time, uuid.UUID, error) {
	for i := range text {
		if text[i] != '.' {
			continue
		}
		micros, err := strconv.ParseInt(text[:i], 16, 64)
		id, idErr := uuid.Parse(text[i+1:])
		if err == nil && idErr == nil {
			return time.UnixMicro(micros), id, nil
		}
		break
	}
	return time.Time{}, uuid.Nil, &detailed{errRequest, "after must be the next of an earlier page."}
}

type happeningJSON struct {
	Seq    int64    `json:"seq"`
	Cause  string   `json:"cause"`
	From   string   `json:"from"`
	To     string   `json:"to"`
	Actor  string   `json:"actor"`
	Reason string   `json:"reason"`
	Source string   `json:"source"`
	At     timeJSON `json:"at"`
}

type taskJSON struct {
	Kind      string    `json:"kind"`
	State     string    `json:"state"`
	Attempts  int       `json:"attempts"`
	LastError string    `json:"last_error"`
	DueAt     timeJSON  `json:"due_at"`
	PaymentID uuid.UUID `json:"payment_id"`
}

type banJSON struct {
	Kind      string    `json:"kind"`
	Subject   string    `json:"subject"`
	Reason    string    `json:"reason"`
	Actor     string    `json:"actor"`
	CreatedAt timeJSON  `json:"created_at"`
	LiftedAt  *timeJSON `json:"lifted_at,omitempty"`
}

func (s *Server) listBans(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	limit, err := limitOf(q.Get("limit"))
	if err != nil {
		return err
	}
	after, err := hex.DecodeString(q.Get("after_subject"))
	if err != nil {
		return access.ErrBanInvalid
	}
	bans, err := s.Room.Bans(r.Context(), access.BanKind(q.Get("after_kind")), after, limit)
	if err != nil {
		return err
	}
	list := make([]banJSON, len(bans))
	for i, b := range bans {
		list[i] = banJSON{Kind: string(b.Kind), Subject: hex.EncodeToString(b.Subject), Reason: b.Reason, Actor: b.Actor, CreatedAt: timeJSON(b.CreatedAt)}
		if b.LiftedAt != nil {
			lifted := timeJSON(*b.LiftedAt)
			list[i].LiftedAt = &lifted
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"bans": list})
	return nil
}

// banSubject reads what a ban names. A card may be named by its provider's fingerprint, of which core keeps a keyed hash only.
func (s *Server) banSubject(kind, text string) ([]byte, error) {
	subject, err := hex.DecodeString(text)
	switch {
	case err == nil && (access.BanKind(kind) != access.BanCard || len(subject) == 16):
		return subject, nil
	case access.BanKind(kind) == access.BanCard && s.CardMark != nil && plainText(text, 1, 128):
		mark := s.CardMark(text)
		return mark[:], nil
	}
	return nil, access.ErrBanInvalid
}

func (s *Server) addBan(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Kind    string `json:"kind"`
		Subject string `json:"subject"`
		Reason  string `json:"reason"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	subject, err := s.banSubject(body.Kind, body.Subject)
	if err != nil {
		return err
	}
	if !plainText(body.Reason, 0, len(body.Reason)) {
		return &detailed{errRequest, "reason must be a text without control characters."}
	}
	if err := s.Room.AddBan(r.Context(), access.Ban{Kind: access.BanKind(body.Kind), Subject: subject, Reason: body.Reason, Actor: operatorOf(r)}); err != nil {
		return err
	}
	writeJSON(w, http.StatusCreated, map[string]any{"kind": body.Kind, "subject": hex.EncodeToString(subject), "reason": body.Reason})
	return nil
}

func (s *Server) liftBan(w http.ResponseWriter, r *http.Request) error {
	subject, err := s.banSubject(r.PathValue("kind"), r.PathValue("subject"))
	if err != nil {
		return err
	}
	if err := s.Room.LiftBan(r.Context(), access.BanKind(r.PathValue("kind")), subject); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
