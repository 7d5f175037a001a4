package checkout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"fairgate/core/fraud"
	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/edge/lottery"
	"fairgate/ledger"
)

// Outcomes callers branch on.
var (
	ErrTransition    = errors.New("checkout: the order's state does not allow that")
	ErrOrderExists   = errors.New("checkout: the hold has an order with other details")
	ErrOrderUnknown  = errors.New("checkout: no such order")
	ErrHoldUnknown   = inventory.ErrHoldUnknown
	ErrHoldExpired   = inventory.ErrHoldExpired
	ErrHoldClosed    = inventory.ErrHoldClosed
	ErrKeyReused     = inventory.ErrKeyReused
	ErrMethod        = errors.New("checkout: the event cannot be paid for that way")
	ErrPriceMismatch = errors.New("checkout: the prices of the order do not add up to the price of the hold")
	// ErrEventCancelled means that the event will not take place: nothing of it is ordered or paid any more.
	ErrEventCancelled = errors.New("checkout: the event is cancelled")
)

// Line is one ticket's worth of an order. Amounts are in minor units of the order's currency.
type Line struct {
	Tier string `json:"tier"`
	Seat string `json:"seat,omitempty"`
	Face int64  `json:"face"`
	Fee  int64  `json:"fee"`
	Tax  int64  `json:"tax"`

	// Of a ticket that its owner resells: the listing, and which of its prices. Face is then what the seller asks, and the line is the only
	// one of its order.
	Listing uuid.UUID `json:"listing,omitzero"`
	PriceNo int64     `json:"price_no,omitempty"`
}

// Total is what the buyer pays for the line.
func (l Line) Total() int64 { return l.Face + l.Fee + l.Tax }

// Payment is one attempt to pay an order, as the payments row says.
type Payment struct {
	ID           uuid.UUID
	Attempt      int
	Provider     string
	ProviderRef  string
	ClientSecret string
	State        PaymentState
	Failure      string
	Method       string // what the buyer chose to pay with; "" for whatever the provider offers

	declines []string // names of the tries that were declined, oldest first

	was         PaymentState // as it was read; "" for an attempt that is new
	declinesWas string
	touched     bool // there is something to write
}

// maxDeclines bounds how many declined tries are remembered; providers allow one payment few more.
const maxDeclines = 25

// news notes that a try was declined; false when that is known. A try without a name is always news.
func (p *Payment) news(try string) bool {
	if try == "" {
		return true
	}
	if slices.Contains(p.declines, try) {
		return false
	}
	p.declines = append(p.declines, try)
	p.declines = p.declines[max(0, len(p.declines)-maxDeclines):]
	return true
}

// PaymentState is where an attempt stands.
type PaymentState string

// The states of a payment attempt. Created, begun and authorized attempts are live; an order has at most one.
const (
	PaymentCreated       PaymentState = "created"
	PaymentBegun         PaymentState = "begun"
	PaymentAuthorized    PaymentState = "authorized"
	PaymentCaptured      PaymentState = "captured"
	PaymentVoiding       PaymentState = "voiding"
	PaymentVoided        PaymentState = "voided"
	PaymentCaptureFailed PaymentState = "capture_failed"
)

// Live reports whether money may still come of the attempt.
func (s PaymentState) Live() bool {
	return s == PaymentCreated || s == PaymentBegun || s == PaymentAuthorized
}

// Order is one purchase. Deadline is the hold's, by the database clock at ServerTime.
type Order struct {
	ID         uuid.UUID
	Event      uuid.UUID
	Slug       string
	Hold       uuid.UUID
	Entrant    lottery.Entrant
	State      State
	Amount     ledger.Amount
	Lines      []Line
	Email      string
	Language   string // language tag; "" where nobody said
	Deadline   time.Time
	ServerTime time.Time
	CreatedAt  time.Time
	UpdatedAt  time.Time
	Payment    Payment
	Tickets    []uuid.UUID // that were issued and not refunded
	Refunds    []Refund    // oldest first
	bodyHash   []byte
	key        uuid.UUID  // keyID of its opening
	address    fraud.Mark // of its opening
	events     int64
}

// Price is what one ticket of a tier costs, in minor units.
type Price struct{ Face, Fee, Tax int64 }

// Terms is what checkout has to know of an event.
type Terms struct {
	Slug             string
	Organizer        string
	Currency         string
	Country          string // of the venue, ISO 3166-1
	Prices           map[string]Price
	PaymentExtension time.Duration // how far a payment under way may push a hold's deadline, once
	Cards            CardLimits
	// Methods are those by which the event may be paid, as far as a provider takes them; empty: all that are paid at once.
	Methods []string
	// TransferWithin is how long a buyer who pays by bank transfer has for it, at most until the sale ends (though a working day) and
	// until StartsAt; the hold lives as long.
	TransferWithin time.Duration
	Fraud          FraudTerms
	StartsAt       time.Time // bounds bank transfers, and is in the evidence of disputes; zero: unknown
	RefundPolicy   string    // likewise, in words
	ResellLost     bool      // places of lost disputes go back on sale
	Refunds        RefundPolicy
	VoidLate       bool // late money is given back, even if the same kind of ticket is left
	Cancelled      bool // the event will not take place
}

// want is what a provider is chosen by for a payment of the event.
func (t *Terms) want(a ledger.Amount, method string) payment.Want {
	return payment.Want{Currency: a.Currency, Country: t.Country, Method: method, Minor: a.Minor}
}

// allows tells whether the event's organizer lets buyers pay by a method. Who must wait for money, or be trusted to have
// taken it, is asked first: a bank transfer, and what a box office sells, only where the event says so.
func (t *Terms) allows(method string) bool {
	if len(t.Methods) == 0 {
		return method != payment.MethodBankTransfer && method != payment.MethodBoxOffice
	}
	return slices.Contains(t.Methods, method)
}

// Methods are those by which an event can be paid with the providers there are, the first for who chooses none.
// Bank transfers are none of them when less than a day is left until the event.
func (s *Service) Methods(t Terms) []string { return s.methodsAt(t, time.Now()) }

func (s *Service) methodsAt(t Terms, now time.Time) []string {
	taken := s.providers.Methods(t.Currency, t.Country)
	if !t.transferable(now) {
		taken = slices.DeleteFunc(slices.Clone(taken), func(method string) bool { return method == payment.MethodBankTransfer })
	}
	if len(t.Methods) == 0 {
		return slices.DeleteFunc(taken, func(method string) bool { return !t.allows(method) })
	}
	var both []string // in the event's order
	for _, method := range t.Methods {
		if slices.Contains(taken, method) {
			both = append(both, method)
		}
	}
	return both
}

// Reseated tells whether the order was sold with another hold than it was opened on, since its payment came too late.
func (o *Order) Reseated() bool { return OrderID(o.Hold) != o.ID }

// Catalog returns an event's terms. It is called inside transactions and must answer from memory or fail.
type Catalog func(ctx context.Context, event uuid.UUID) (Terms, error)

var orderSpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("fairgate:order"))

// OrderID is the id of the one order a hold can have.
func OrderID(hold uuid.UUID) uuid.UUID { return uuid.NewSHA1(orderSpace, hold[:]) }

// price makes the lines of a hold and checks that they add up to what the hold promised.
func price(h inventory.Hold, terms Terms) ([]Line, error) {
	var lines []Line
	var total int64
	for _, item := range h.Items {
		p, ok := terms.Prices[item.Tier]
		if !ok {
			return nil, fmt.Errorf("price order of hold %s: tier %q is gone: %w", h.ID, item.Tier, ErrPriceMismatch)
		}
		for n := range item.Quantity {
			line := Line{Tier: item.Tier, Face: p.Face, Fee: p.Fee, Tax: p.Tax}
			if n < len(item.Seats) {
				line.Seat = item.Seats[n]
			}
			lines = append(lines, line)
			total += line.Total()
		}
	}
	if total != h.Amount.Minor || terms.Currency != h.Amount.Currency {
		return nil, fmt.Errorf("price order of hold %s: %d %s against %d %s: %w",
			h.ID, total, terms.Currency, h.Amount.Minor, h.Amount.Currency, ErrPriceMismatch)
	}
	return lines, nil
}

// sums adds up the lines' parts.
func sums(lines []Line) (face, fee, tax int64) {
	for _, l := range lines {
		face, fee, tax = face+l.Face, fee+l.Fee, tax+l.Tax
	}
	return face, fee, tax
}

// encodeLines writes the lines as json.Marshal would.
func encodeLines(lines []Line) string {
	b := make([]byte, 0, 16+80*len(lines))
	b = append(b, '[')
	for i := range lines {
		l := &lines[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"tier":`...)
		b = appendText(b, l.Tier)
		if l.Seat != "" {
			b = append(b, `,"seat":`...)
			b = appendText(b, l.Seat)
		}
		b = append(b, `,"face":`...)
		b = strconv.AppendInt(b, l.Face, 10)
		b = append(b, `,"fee":`...)
		b = strconv.AppendInt(b, l.Fee, 10)
		b = append(b, `,"tax":`...)
		b = strconv.AppendInt(b, l.Tax, 10)
		if l.Listing != uuid.Nil {
			b = append(b, `,"listing":"`...)
			b = append(b, l.Listing.String()...)
			b = append(b, `","price_no":`...)
			b = strconv.AppendInt(b, l.PriceNo, 10)
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

func decodeLines(text string) ([]Line, error) {
	var lines []Line
	if err := json.Unmarshal([]byte(text), &lines); err != nil {
		return nil, fmt.Errorf("decode order lines: %w", err)
	}
	return lines, nil
}
