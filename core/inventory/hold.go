package inventory

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
	"fairgate/ledger"
)

// Refusals. Each leaves nothing behind.
var (
	ErrSoldOut         = errors.New("inventory: sold out")
	ErrWaitlisted      = errors.New("inventory: kept for those on the waiting list")
	ErrNotEnoughLeft   = errors.New("inventory: not that many are left")
	ErrSeatUnknown     = errors.New("inventory: no such seat")
	ErrSeatTaken       = errors.New("inventory: a seat is not free")
	ErrSeatSetAside    = errors.New("inventory: a seat is not on general sale")
	ErrTierUnknown     = errors.New("inventory: no such tier")
	ErrQuantityInvalid = errors.New("inventory: the quantity does not make sense")
	ErrOverLimit       = errors.New("inventory: more than one buyer may have")
	ErrItemsInvalid    = errors.New("inventory: the items do not make sense")
	ErrKeyReused       = errors.New("inventory: the idempotency key was used for another request")
	ErrHoldUnknown     = errors.New("inventory: no such hold")
	ErrHoldExpired     = errors.New("inventory: the hold has expired")
	ErrHoldClosed      = errors.New("inventory: the hold is no longer active")
)

// Bounds of one request. They keep a batch's statements small; an event's limit per buyer is lower.
const (
	maxItems = 50
	maxUnits = 1000
)

// State is where a hold stands, see the diagram in the package comment.
type State string

// The states of a hold.
const (
	Active   State = "active"
	Sold     State = "sold"
	Released State = "released"
	Expired  State = "expired"
)

// Item is units of one tier in one allocation. In a Request it has one of four forms: Tier and Quantity (general
// admission), Seats (Tier then follows from the seats and Quantity may be left 0), Best, or Rows; Allocation is left empty
// for what is on general sale, or set by a caller that has checked the buyer's right to it. In a Hold Tier, Allocation and
// Quantity are set, and Seats for numbered seats, however they were asked for.
type Item struct {
	Tier       string   `json:"tier"`
	Allocation string   `json:"allocation"`
	Quantity   int      `json:"quantity"`
	Seats      []string `json:"seats,omitempty"`

	// Commit is the version of the stock row after the commit that granted the hold: the place of that commit among all
	// that changed the row. 0 in a Request.
	Commit int64 `json:"commit,omitempty"`

	// Window is the one that the hold came through; empty for general sale, and in a Request.
	Window string `json:"window,omitempty"`

	// PriceNo says which price of a listing the hold has; 0 for all that an event sells itself. In a Request it is 0.
	PriceNo int64 `json:"price_no,omitempty"`

	Best *Best    `json:"-"` // in a Request only: whichever seats are best
	Rows []string `json:"-"` // in a Request only: whole rows or tables, section/row
}

// Request asks for a hold, all of its items or nothing.
type Request struct {
	Event    uuid.UUID
	Entrant  lottery.Entrant // the buyer
	Key      string          // Idempotency-Key: the same key is the same hold
	Items    []Item
	BodyHash [32]byte // of the request's body: the same key with another body is refused
	Marks    Marks    // what else is known of the buyer; needed only where the offer has limits on it

	// Window names the presale that the buyer comes through, to which the caller knows the buyer has a right; empty for
	// general sale. All items then draw on the window's allocation, and only while the window is open.
	Window string

	// Waitlist says that the hold is an offer to somebody on the event's waiting list: it may have what is kept for that. For is how long
	// it lives; 0: as long as any.
	Waitlist bool
	For      time.Duration
}

// Hold is a buyer's expiring claim.
type Hold struct {
	ID        uuid.UUID
	Event     uuid.UUID
	Entrant   lottery.Entrant
	State     State // Expired also when the deadline has passed and the sweep has not come by yet
	Units     int
	Items     []Item
	Amount    ledger.Amount // all-in price of all items
	BodyHash  [32]byte
	CommitNo  int64 // stock.version of the first item's row in the commit that granted it
	CreatedAt time.Time
	Deadline  time.Time
	Extended  bool
	ClosedAt  time.Time // zero while active
	AsOf      time.Time // the database's clock when this was read

	others [][16]byte // rows of quota that its units count in, besides the entrant's
}

// Result is one request's outcome in HoldBatch.
type Result struct {
	Hold Hold
	Err  error
}

// holdSpace is the UUIDv5 namespace of hold ids.
var holdSpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("fairgate:hold"))

// HoldID is the id of the hold that a buyer's request with this idempotency key gets.
func HoldID(event uuid.UUID, entrant lottery.Entrant, key string) uuid.UUID {
	name := make([]byte, 0, len(event)+len(entrant)+len(key))
	name = append(name, event[:]...)
	name = append(name, entrant[:]...)
	name = append(name, key...)
	return uuid.NewSHA1(holdSpace, name)
}

// quotaSpace is the UUIDv5 namespace of quota ids.
var quotaSpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("fairgate:quota"))

// newCount is the row of quota that counts a buyer's units in a scope, with the limit that holds there.
func newCount(scope uuid.UUID, kind string, buyer lottery.Entrant, limit int64) count {
	name := make([]byte, 0, len(scope)+len(kind)+len(buyer))
	name = append(name, scope[:]...)
	name = append(name, kind...)
	name = append(name, buyer[:]...)
	return count{id: uuid.NewSHA1(quotaSpace, name), scope: scope, kind: kind, buyer: buyer, limit: limit}
}

// counts are the rows of quota that a hold's units count in, without their limits.
func (h Hold) counts() []count {
	counts := make([]count, 1, 1+len(h.others))
	counts[0] = newCount(h.Event, kindEntrant, h.Entrant, 0)
	for _, id := range h.others {
		counts = append(counts, count{id: id})
	}
	return counts
}

// at returns the hold as it counts at a moment of the database's clock.
func (h Hold) at(now time.Time) Hold {
	h.AsOf = now
	if h.State == Active && !h.Deadline.After(now) {
		h.State = Expired
	}
	return h
}

// due tells whether the sweep has yet to give the units of an expired hold back. The hold must have been through at.
func (h Hold) due() bool { return h.State == Expired && h.ClosedAt.IsZero() }

// open returns nil for an active hold and otherwise why it is not.
func (h Hold) open() error {
	switch h.State {
	case Active:
		return nil
	case Expired:
		return ErrHoldExpired
	default:
		return ErrHoldClosed
	}
}

// checkItems finds what is wrong with the items whatever the event is like.
func checkItems(items []Item) error {
	if len(items) == 0 || len(items) > maxItems {
		return fmt.Errorf("%w: between 1 and %d of them", ErrItemsInvalid, maxItems)
	}
	units := 0
	var seen map[string]struct{}
	for _, item := range items {
		if item.Best != nil || len(item.Rows) > 0 {
			n, err := item.checkForm()
			if err != nil {
				return err
			}
			if units += n; units > maxUnits {
				return fmt.Errorf("%w: more than %d at once", ErrOverLimit, maxUnits)
			}
			continue
		}
		switch {
		case len(item.Seats) == 0 && item.Tier == "":
			return fmt.Errorf("%w: an item names a tier with a quantity, or seats", ErrItemsInvalid)
		case len(item.Seats) == 0 && item.Quantity <= 0:
			return fmt.Errorf("%w: %d of tier %q", ErrQuantityInvalid, item.Quantity, item.Tier)
		case len(item.Seats) > 0 && item.Quantity != 0 && item.Quantity != len(item.Seats):
			return fmt.Errorf("%w: %d for %d seats", ErrQuantityInvalid, item.Quantity, len(item.Seats))
		}
		if !plain(item.Tier) || !plain(item.Allocation) {
			return fmt.Errorf("%w: the name of a tier or allocation", ErrItemsInvalid)
		}
		units += max(len(item.Seats), min(item.Quantity, maxUnits+1))
		if units > maxUnits {
			return fmt.Errorf("%w: more than %d at once", ErrOverLimit, maxUnits)
		}
		for _, seat := range item.Seats {
			if _, twice := seen[seat]; twice || seat == "" || !plain(seat) {
				return fmt.Errorf("%w: seat %q is named twice or has no name", ErrItemsInvalid, seat)
			}
			if seen == nil {
				seen = make(map[string]struct{}, len(item.Seats))
			}
			seen[seat] = struct{}{}
		}
	}
	return nil
}

// plain tells whether the database takes a text as a name; it takes neither broken UTF-8 nor NUL.
func plain(name string) bool { return utf8.ValidString(name) && strings.IndexByte(name, 0) < 0 }

// encodeItems writes the items column as json.Marshal would.
func encodeItems(items []Item) string {
	b := make([]byte, 0, 96)
	b = append(b, '[')
	for i, item := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"tier":`...)
		b = appendText(b, item.Tier)
		b = append(b, `,"allocation":`...)
		b = appendText(b, item.Allocation)
		b = append(b, `,"quantity":`...)
		b = strconv.AppendInt(b, int64(item.Quantity), 10)
		for n, seat := range item.Seats {
			if n == 0 {
				b = append(b, `,"seats":[`...)
			} else {
				b = append(b, ',')
			}
			b = appendText(b, seat)
		}
		if len(item.Seats) > 0 {
			b = append(b, ']')
		}
		if item.Commit != 0 {
			b = append(b, `,"commit":`...)
			b = strconv.AppendInt(b, item.Commit, 10)
		}
		if item.Window != "" {
			b = append(b, `,"window":`...)
			b = appendText(b, item.Window)
		}
		if item.PriceNo != 0 {
			b = append(b, `,"price_no":`...)
			b = strconv.AppendInt(b, item.PriceNo, 10)
		}
		b = append(b, '}')
	}
	return string(append(b, ']'))
}

// appendText writes a JSON string; the names of tiers and seats are nearly always plain.
func appendText(b []byte, text string) []byte {
	for _, c := range []byte(text) {
		if c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(text) // a string cannot fail
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, text...)
	return append(b, '"')
}

// decodeItems reads the items column.
func decodeItems(text string) ([]Item, error) {
	var items []Item
	if err := json.Unmarshal([]byte(text), &items); err != nil {
		return nil, fmt.Errorf("decode items of a hold: %w", err)
	}
	return items, nil
}
