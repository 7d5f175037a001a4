package api

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"fairgate/core/access"
	"fairgate/core/checkout"
	"fairgate/core/event"
	"fairgate/core/inventory"
	"fairgate/core/notify"
	"fairgate/edge/admission"
	"fairgate/edge/lottery"
)

// clientHeader is where an edge writes the client's address as it saw it.
const clientHeader = "Fairgate-Client"

// maxSessions bounds how many sessions one request may show: a browser may be inside several events.
const maxSessions = 4

// purpose is what a session or an account is shown for.
type purpose int

const (
	looking    purpose = iota // at what one owns: a session may have expired, its entrant may be banned
	givingBack                // what one owns: as for looking, except that an e-mail address alone does not make one its owner
	// paying an order that was opened before: its session may have expired, since the hold bounds the time anyway; its entrant may not be banned
	paying
	acting
)

// sessions are what a buyer's request proves: sessions that core made, for this device.
func (s *Server) sessions(r *http.Request, why purpose) ([]admission.Session, error) {
	device, err := deviceOf(r.Header.Get("Fairgate-Device"))
	if err != nil {
		return nil, err
	}
	var found []admission.Session
	last := errSessionMissing
	for i, text := range strings.Split(r.Header.Get("Fairgate-Session"), ",") {
		if i == maxSessions {
			break
		}
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		session, err := s.session(text, device, why)
		if err != nil {
			last = err
			continue
		}
		found = append(found, session)
	}
	if len(found) == 0 {
		return nil, last
	}
	return found, nil
}

// session checks one session. For all but acting it may have expired, but no longer ago than SessionReadTTL.
func (s *Server) session(text string, device lottery.DeviceHash, why purpose) (admission.Session, error) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return admission.Session{}, access.ErrSessionMalformed
	}
	return s.checkSession(raw, device, why)
}

func (s *Server) checkSession(raw []byte, device lottery.DeviceHash, why purpose) (admission.Session, error) {
	session, err := s.Room.CheckSession(raw, device)
	if why != acting && errors.Is(err, access.ErrSessionExpired) && s.Room.Now().Before(session.ExpiresAt.Add(s.SessionReadTTL)) {
		err = nil
	}
	if err == nil && why >= paying && s.Room.Banned(session) {
		return session, access.ErrBanned
	}
	return session, err
}

func deviceOf(text string) (lottery.DeviceHash, error) {
	var d lottery.DeviceHash
	if b, err := hex.DecodeString(text); err != nil || copy(d[:], b) != len(d) || len(b) != len(d) {
		return d, access.ErrDeviceMismatch
	}
	return d, nil
}

// pathID reads the {id} of a hold, order or ticket; what is no id is nobody's.
func pathID(r *http.Request, unknown error) (uuid.UUID, error) {
	id, err := uuid.Parse(r.PathValue("id"))
	if err != nil {
		return uuid.Nil, unknown
	}
	return id, nil
}

// idempotencyKey checks the header that every creating request needs.
func idempotencyKey(key string) error {
	if len(key) == 0 || len(key) > 128 {
		return errKeyMissing
	}
	for _, c := range []byte(key) {
		if c <= ' ' || c > '~' {
			return errKeyMissing
		}
	}
	return nil
}

// holdRequest is the body of POST /v1/holds. All items are held or none. Each has one of four forms, which may stand beside
// each other: {"tier","quantity"} for general admission, {"seats":["A/1/2"]}, {"best":{…}} and {"rows":["A/12"]} for whole
// rows or tables; or one item alone, {"listing":"<id>"}, which is a ticket that its owner resells. Window names the presale that the buyer comes through; without it the hold is of what is on general sale.
type holdRequest struct {
	Event  string `json:"event"`
	Window string `json:"window,omitempty"`
	Items  []struct {
		Tier     string    `json:"tier,omitempty"`
		Quantity int       `json:"quantity,omitempty"`
		Seats    []string  `json:"seats,omitempty"`
		Best     *bestJSON `json:"best,omitempty"`
		Rows     []string  `json:"rows,omitempty"`
		Listing  uuid.UUID `json:"listing,omitzero"`
	} `json:"items"`
}

// items are what the request asks for, as inventory knows it.
func (ask *holdRequest) items() ([]inventory.Item, error) {
	var items []inventory.Item
	for _, i := range ask.Items {
		item := inventory.Item{Tier: i.Tier, Quantity: i.Quantity, Seats: i.Seats, Rows: i.Rows}
		if i.Listing != uuid.Nil {
			if item.Tier != "" || item.Quantity != 0 || len(item.Seats)+len(item.Rows) > 0 || i.Best != nil || len(ask.Items) != 1 || ask.Window != "" {
				return nil, &detailed{inventory.ErrItemsInvalid, "A hold of a listing has nothing beside it."}
			}
			item = inventory.Item{Allocation: inventory.ListedAllocation(i.Listing), Quantity: 1} // its tier when it is known who asks
		}
		if i.Best != nil {
			if item.Tier != "" || item.Quantity != 0 || len(item.Seats)+len(item.Rows) > 0 {
				return nil, &detailed{inventory.ErrItemsInvalid, "An item with best has nothing beside it; tier and quantity go inside."}
			}
			var err error
			if item, err = i.Best.item(); err != nil {
				return nil, err
			}
		}
		items = append(items, item)
	}
	return items, nil
}

type batchResult struct {
	Status  int      `json:"status"`
	Body    any      `json:"body,omitempty"`
	Problem *Problem `json:"problem,omitempty"`
}

func refused(err error) batchResult {
	p := problemOf(err)
	return batchResult{Status: p.Status, Problem: &p}
}

// ownHold finds a hold that belongs to one of the request's sessions, or to the account that is signed in.
func (s *Server) ownHold(r *http.Request, why purpose) (inventory.Hold, error) {
	id, err := pathID(r, inventory.ErrHoldUnknown)
	if err != nil {
		return inventory.Hold{}, err
	}
	sessions, refused := s.sessions(r, why)
	if refused != nil && r.Header.Get(accountHeader) == "" {
		return inventory.Hold{}, refused
	}
	hold, err := s.Inventory.Load(r.Context(), id)
	if err != nil {
		return inventory.Hold{}, err
	}
	for _, session := range sessions {
		if session.Entrant == hold.Entrant && session.Event == hold.Event {
			return hold, nil
		}
	}
	if _, theirs, err := s.actsFor(r, &hold); err != nil || !theirs {
		return inventory.Hold{}, cmp.Or(err, refused, inventory.ErrHoldUnknown)
	}
	return hold, nil
}

func (s *Server) loadHold(w http.ResponseWriter, r *http.Request) error {
	hold, err := s.ownHold(r, looking)
	if err != nil {
		return err
	}
	return s.writeHold(w, r, hold)
}

func (s *Server) releaseHold(w http.ResponseWriter, r *http.Request) error {
	hold, err := s.ownHold(r, acting)
	if err != nil {
		return err
	}
	released, err := s.Inventory.Release(r.Context(), hold.ID, hold.Entrant)
	if err != nil {
		return err
	}
	return s.writeHold(w, r, released)
}

func (s *Server) writeHold(w http.ResponseWriter, r *http.Request, hold inventory.Hold) error {
	e, err := s.Events.ByID(r.Context(), hold.Event)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, holdOf(hold, e.Slug))
	return nil
}

// addressable says whether tickets can be sent to an address. None at all is fine: the order can be looked at.
func addressable(email string) bool { return email == "" || notify.Addressable(email) }

// maxLanguage is the longest language tag that BCP 47 wants everybody to keep.
const maxLanguage = 35

var errLanguage = &detailed{errRequest, "language must be a language tag of at most 35 characters, such as es or de-AT."}

// languageTag says whether a text may be a language tag, or is empty.
func languageTag(text string) bool {
	return len(text) <= maxLanguage && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

func (s *Server) openOrder(w http.ResponseWriter, r *http.Request) error {
	if err := idempotencyKey(r.Header.Get("Idempotency-Key")); err != nil {
		return err
	}
	sessions, refused := s.sessions(r, acting)
	if refused != nil && r.Header.Get(accountHeader) == "" {
		return refused
	}
	var body struct {
		HoldID string `json:"hold_id"`
		Email  string `json:"email"`
		// Language is a tag such as "es" or "de-AT", in which the buyer is written to.
		Language string `json:"language"`
		Method   string `json:"method"` // of those that the event names; empty: the first
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	id, err := uuid.Parse(body.HoldID)
	if err != nil {
		return checkout.ErrHoldUnknown
	}
	if !addressable(body.Email) {
		return errEmail
	}
	if !languageTag(body.Language) {
		return errLanguage
	}
	hold, err := s.Inventory.Load(r.Context(), id)
	if err != nil {
		return err
	}
	theirs := false
	for _, session := range sessions {
		if session.Event != hold.Event || session.Entrant != hold.Entrant {
			continue
		}
		theirs = true
		if body.Email == "" {
			if body.Email, err = s.emailOf(r, session); err != nil {
				return err
			}
		}
	}
	if !theirs {
		var a actor
		if a, theirs, err = s.actsFor(r, &hold); err != nil || !theirs {
			return cmp.Or(err, refused, checkout.ErrHoldUnknown)
		}
		if body.Email == "" {
			body.Email = a.account.Email
		}
	}
	order, created, err := s.Checkout.Open(r.Context(), checkout.Opening{
		Hold: id, Event: hold.Event, Entrant: hold.Entrant, Email: body.Email, Language: body.Language, Method: body.Method, Key: r.Header.Get("Idempotency-Key"),
		Address: event.NetworkOf(r.Header.Get(clientHeader)),
	})
	if err != nil {
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	writeJSON(w, status, orderOf(order, s.Form))
	return nil
}

// loadOrder answers how an order stands; with wait, a duration of up to three seconds, when its payment is over, or has failed, or
// the time is.
//
//	GET /v1/orders/{id}?wait=2s
func (s *Server) loadOrder(w http.ResponseWriter, r *http.Request) error {
	var wait time.Duration
	if r.URL.RawQuery != "" {
		if text := r.URL.Query().Get("wait"); text != "" {
			var err error
			if wait, err = time.ParseDuration(text); err != nil || wait < 0 {
				return &detailed{errRequest, "wait must be a time like 2s."}
			}
		}
	}
	return s.ownOrder(w, r, looking, func(id uuid.UUID, owner lottery.Entrant) (checkout.Order, error) {
		if wait > 0 {
			return s.Checkout.Follow(r.Context(), id, owner, wait)
		}
		return s.Checkout.Load(r.Context(), id, owner)
	})
}

func (s *Server) payOrder(w http.ResponseWriter, r *http.Request) error {
	if err := idempotencyKey(r.Header.Get("Idempotency-Key")); err != nil {
		return err
	}
	return s.ownOrder(w, r, paying, func(id uuid.UUID, owner lottery.Entrant) (checkout.Order, error) {
		return s.Checkout.Pay(r.Context(), id, owner)
	})
}
