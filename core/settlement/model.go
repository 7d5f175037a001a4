package settlement

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"fairgate/core/payment"
	"fairgate/ledger"
)

// Outcomes that callers branch on.
var (
	// ErrRow means that a row of a settlement cannot be what a provider settled.
	ErrRow = errors.New("settlement: malformed row")
	// ErrDay means that a day is none that can be read: not over, or before there were computers.
	ErrDay = errors.New("settlement: no such day")
	// ErrItemUnknown means that there is no such item.
	ErrItemUnknown = errors.New("settlement: no such item")
	// ErrDecided means that the item was decided otherwise, or has healed.
	ErrDecided = errors.New("settlement: the item is decided")
	// ErrStale means that the books, or the row, have changed since the correction was proposed: it does not fit any more.
	ErrStale = errors.New("settlement: the proposed correction does not fit any more")
	// ErrUnread means that the day was never read.
	ErrUnread = errors.New("settlement: the day was not read")
	// ErrUnreadable means that the provider's settlement cannot be read.
	ErrUnreadable = errors.New("settlement: this provider's settlement cannot be read")
)

// Class says how a row or a transfer stands, see the package comment.
type Class string

// The classes.
const (
	Matched       Class = "matched"
	InTransit     Class = "in_transit"
	OursOnly      Class = "ours_only"
	TheirsOnly    Class = "theirs_only"
	AmountDiffers Class = "amount_differs"
	Duplicated    Class = "duplicated"
	Altered       Class = "altered"
	Corrected     Class = "corrected"
)

// ItemState is how far an item has come.
type ItemState string

// The states of an item.
const (
	Open     ItemState = "open"
	Healed   ItemState = "healed"
	Approved ItemState = "approved"
	Rejected ItemState = "rejected"
)

// Proposal is the correction of an item.
type Proposal struct {
	Action    string            `json:"action"`              // what approving it means, in a few words
	Transfers []ledger.Transfer `json:"transfers,omitempty"` // recorded when it is approved; none: it is only marked as explained
	Claims    uuid.UUID         `json:"claims,omitzero"`     // of Transfers, or recorded before: what the row is matched with then
	Extra     uuid.UUID         `json:"extra,omitzero"`      // of Transfers: explained by the item beside what the row is matched with
	Late      uuid.UUID         `json:"late,omitzero"`       // the payment whose late money Transfers are: checkout is told of it
	Found     *FoundRefund      `json:"found,omitempty"`     // made by hand at the provider: checkout is told of it
	Digest    []byte            `json:"digest,omitempty"`    // of an altered row: what it says now
	Was       []byte            `json:"was,omitempty"`       // and what it said when this was proposed
	Gross     *int64            `json:"gross,omitempty"`     // in minor units, as it says now
	Fee       *int64            `json:"fee,omitempty"`
}

// FoundRefund is a refund that somebody made in the provider's own pages.
type FoundRefund struct {
	Provider   string        `json:"provider"`
	Order      uuid.UUID     `json:"order"`
	Payment    uuid.UUID     `json:"payment,omitzero"`      // ours, uuid.Nil where nothing says which of the order's it is
	PaymentRef string        `json:"payment_ref,omitempty"` // the provider's name of the payment, "" where the row does not say
	Ref        string        `json:"ref"`                   // and of the refund
	Amount     ledger.Amount `json:"amount"`                // in the buyer's currency
}

// Item is something that is not explained.
type Item struct {
	ID         uuid.UUID
	Provider   string
	Day        time.Time // midnight UTC
	Class      Class
	RowID      string    // "" for what only we have
	TransferID uuid.UUID // uuid.Nil for what only they have
	Amount     ledger.Amount
	Why        string
	Proposal   Proposal
	Since      time.Time
	State      ItemState
	DecidedBy  string
	Reason     string
	DecidedAt  time.Time
}

// space is the name space of the ids made here. Changing it would book everything again.
var space = uuid.MustParse("5b1a2c77-6f0e-5d55-9a0b-7f0f6f9f2c11")

func idOf(parts ...string) uuid.UUID {
	var text []byte
	for _, p := range parts {
		text = append(strconv.AppendInt(text, int64(len(p)), 10), ':')
		text = append(text, p...)
	}
	return uuid.NewSHA1(space, text)
}

// RowReference is the reference of the transfers that exist because of one row alone.
func RowReference(provider, row string) uuid.UUID { return idOf("row", provider, row) }

// PayoutReference is the reference of a provider's payout to our bank, by the provider's name of it.
func PayoutReference(provider, payout string) uuid.UUID { return idOf("payout", provider, payout) }

// Day is the UTC day of a time.
func Day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

const dayLength = 24 * time.Hour

// DayLayout is how days are written.
const DayLayout = "2006-01-02"

// Bounds of a row's texts, in bytes; providers' ids have a few dozen.
const (
	maxRef         = 255
	maxDescription = 1000
)

// row is a settlement's row on its way through a page.
type row struct {
	payment.SettlementRow
	digest []byte
	order  uuid.UUID // as resolved
}

// newRow checks a row and makes its digest.
func newRow(s payment.SettlementRow) (row, error) {
	bad := func(format string, args ...any) (row, error) {
		return row{}, fmt.Errorf("%w: %q %s", ErrRow, s.ID, fmt.Sprintf(format, args...))
	}
	if s.ID == "" || max(len(s.ID), len(s.SourceRef), len(s.PaymentRef), len(s.PayoutRef), len(s.Rate)) > maxRef {
		return bad("has no id, or a reference longer than %d bytes", maxRef)
	}
	if _, ok := ledger.Exponent(s.Gross.Currency); !ok {
		return bad("is in %q", s.Gross.Currency)
	}
	if s.Fee.Currency == "" && s.Fee.Minor == 0 {
		s.Fee.Currency = s.Gross.Currency
	}
	if s.Fee.Currency != s.Gross.Currency {
		return bad("has a fee in %s and a gross in %s", s.Fee.Currency, s.Gross.Currency)
	}
	if _, ok := ledger.Exponent(s.Presentment.Currency); !ok && s.Presentment != (ledger.Amount{}) {
		return bad("was presented in %q", s.Presentment.Currency)
	}
	if s.Presentment.Currency == s.Gross.Currency || s.Presentment.Minor == 0 {
		s.Presentment = ledger.Amount{}
	}
	const most = int64(1) << 53 // more than any provider moves, and no sum of a page overflows
	for _, minor := range []int64{s.Gross.Minor, s.Fee.Minor, s.Presentment.Minor} {
		if minor > most || minor < -most {
			return bad("moves %d minor units", minor)
		}
	}
	if !knownKinds[s.Kind] {
		return bad("is of kind %q", s.Kind)
	}
	if s.CreatedAt.Year() < 2000 || s.CreatedAt.Year() > 9999 {
		return bad("was created at %s", s.CreatedAt)
	}
	for _, text := range []string{s.ID, s.SourceRef, s.PaymentRef, s.PayoutRef, s.Rate} {
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			return bad("has a reference that is no text")
		}
	}
	s.Description = strings.ReplaceAll(strings.ToValidUTF8(s.Description[:min(len(s.Description), maxDescription)], ""), "\x00", "")
	return row{SettlementRow: s, digest: digestOf(s), order: s.OrderID}, nil
}

var knownKinds = map[payment.SettlementKind]bool{
	payment.SettledCharge: true, payment.SettledRefund: true, payment.SettledRefundFailure: true, payment.SettledDispute: true,
	payment.SettledDisputeReverse: true, payment.SettledFee: true, payment.SettledPayout: true, payment.SettledPayoutFailure: true,
	payment.SettledConversion: true, payment.SettledOther: true,
}

// digestOf is a hash of what a row says about money. The payout it is part of and when it is available become known later and are left out.
func digestOf(s payment.SettlementRow) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s|%q|%q|%s|%s|%d %s|%d|%d %s|%d", s.Kind, s.SourceRef, s.PaymentRef, s.OrderID, s.RefundID,
		s.Gross.Minor, s.Gross.Currency, s.Fee.Minor, s.Presentment.Minor, s.Presentment.Currency, s.CreatedAt.UnixMilli()))
	return sum[:16]
}

func (r row) day() time.Time { return Day(r.CreatedAt) }

func (r row) gross() ledger.Amount {
	return ledger.Amount{Minor: max(r.Gross.Minor, -r.Gross.Minor), Currency: r.Gross.Currency}
}

// item is the item of a row.
func (r row) item(provider string, name string, class Class, why string, p Proposal) Item {
	return Item{ID: idOf(name, provider, r.ID), Provider: provider, Day: r.day(), Class: class, RowID: r.ID, Amount: r.gross(), Why: why,
		Proposal: p, Since: r.CreatedAt, State: Open}
}
