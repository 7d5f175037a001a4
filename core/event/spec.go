package event

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"fairgate/ledger"
)

// GeneralAllocation is the allocation of everything not set aside.
const GeneralAllocation = "general"

// The kinds of tier.
const (
	General = "general" // sold by quantity
	Seated  = "seated"  // sold by numbered seat
)

// What identifies an entrant in the waiting room.
const (
	DeviceIdentity     = "device"
	InvitationIdentity = "invitation"
	AccountIdentity    = "account"
)

// Spec is what an event file says, with defaults filled in. Parse makes it.
type Spec struct {
	ID          string       `json:"id"` // the slug
	Name        string       `json:"name"`
	Category    string       `json:"category"`
	Summary     string       `json:"summary,omitempty"`
	Performers  []string     `json:"performers,omitempty"`
	Tags        []string     `json:"tags,omitempty"`
	Organizer   string       `json:"organizer"` // names the organizer's ledger account
	Venue       Venue        `json:"venue"`
	TimeZone    string       `json:"time_zone"` // IANA name
	StartsAt    time.Time    `json:"starts_at"` // UTC
	Currency    string       `json:"currency"`
	Tiers       []TierSpec   `json:"tiers"`
	Sections    []Section    `json:"sections,omitempty"`
	Companions  Duration     `json:"companions_released_before,omitzero"` // the start: companions' seats are sold to anybody then; zero: never
	Allocations []Allocation `json:"allocations,omitempty"`
	Presales    []Presale    `json:"presales,omitempty"`
	Fees        Fees         `json:"fees"`
	Taxes       Taxes        `json:"taxes"`
	Limits      Limits       `json:"limits"`
	Tour        Tour         `json:"tour,omitzero"`
	Hold        HoldRules    `json:"hold"`
	Refunds     Refunds      `json:"refunds,omitzero"`
	Resale      Resale       `json:"resale,omitzero"`
	LateMoney   string       `json:"late_money,omitempty"` // LateVoid; empty: another ticket of the kind, if there is one
	Payment     Payment      `json:"payment,omitzero"`
	OnSale      OnSale       `json:"on_sale"`
	Fraud       Fraud        `json:"fraud,omitzero"`
	Disputes    Disputes     `json:"disputes,omitzero"`
	Gates       Gates        `json:"gates,omitzero"`
	Transfer    Transfer     `json:"transfer,omitzero"`
	Waitlist    Waitlist     `json:"waiting_list,omitzero"`

	at map[string]position // where the file says what, by path; nil for a Spec from the database
}

// Venue is where the event takes place.
type Venue struct {
	Name    string `json:"name"`
	City    string `json:"city"`
	Country string `json:"country"`          // ISO 3166-1 alpha-2
	Region  string `json:"region,omitempty"` // the part of ISO 3166-2 behind the hyphen

	Coordinates *Coordinates `json:"coordinates,omitempty"` // nil: not known
}

// TierSpec is a price level.
type TierSpec struct {
	ID       string        `json:"id"`
	Name     string        `json:"name"`
	Kind     string        `json:"kind"`
	Price    ledger.Amount `json:"price"`
	Capacity int64         `json:"capacity,omitempty"` // of a general tier; a seated one has its seats
}

// Section is a part of the seating chart with one tier.
type Section struct {
	ID         string `json:"id"`
	Tier       string `json:"tier"`
	Allocation string `json:"allocation"`
	Rows       []Row  `json:"rows"`

	// How the best seats are found, see core/inventory/seating.
	Focus      Focus    `json:"focus,omitzero"`
	Away       int64    `json:"away,omitempty"`       // rows that the section lies farther from the stage than its tier's best
	Neighbours []string `json:"neighbours,omitempty"` // sections of the same tier, the one to try first in front
}

// Focus is the best seat of a section. Without one it is the middle of the first row.
type Focus struct {
	Row  string `json:"row"`
	Seat int64  `json:"seat"`
}

// Row is a run of seats numbered from First to Last.
type Row struct {
	Label      string  `json:"row"`
	First      int64   `json:"first"`
	Last       int64   `json:"last"`
	Allocation string  `json:"allocation,omitempty"` // empty for the section's
	Table      bool    `json:"table,omitempty"`      // sold whole
	Accessible []int64 `json:"accessible,omitempty"` // numbers of seats for who needs the room
	Companions []int64 `json:"companions,omitempty"` // numbers of the seats beside them, for who comes along
}

// Allocation sets units of a tier aside. Those of a seated tier are the seats that name it, and Quantity is 0.
type Allocation struct {
	ID        string    `json:"id"`
	Tier      string    `json:"tier"`
	Quantity  int64     `json:"quantity,omitempty"`
	ReleaseAt time.Time `json:"release_at,omitzero"` // UTC; what is left then goes to general sale
}

// Presale is a window in which those who have a right to it draw on an allocation.
type Presale struct {
	ID         string    `json:"id"`
	Name       string    `json:"name,omitempty"` // what buyers read; empty: the id
	Allocation string    `json:"allocation"`     // of every tier that has one of that name
	From       time.Time `json:"from"`           // UTC
	Until      time.Time `json:"until"`          // UTC, exclusive
	PerBuyer   int       `json:"per_buyer,omitempty"`
	Who        string    `json:"who,omitempty"`     // PresaleRegistered or PresaleWord; empty: who was invited
	Release    bool      `json:"release,omitempty"` // what is left at the end goes to general sale, if the allocation names no other time
}

// Who has a right to a presale.
const (
	PresaleInvited    = "invitation" // entrants who show an invitation
	PresaleRegistered = "registered" // accounts that registered for it
	PresaleWord       = "word"       // accounts that registered for it with a word that everybody of a club knows
)

// Shown is what buyers read as the presale's name.
func (p *Presale) Shown() string {
	if p.Name != "" {
		return p.Name
	}
	return p.ID
}

// Rights is who has a right to the presale: PresaleInvited, PresaleRegistered or PresaleWord.
func (p *Presale) Rights() string {
	if p.Who != "" {
		return p.Who
	}
	return PresaleInvited
}

// Rate is a share in millionths: 5.5% is 55,000.
type Rate int64

// whole is the Rate of 100%.
const whole Rate = 1_000_000

// String is the percentage: "5.5%".
func (r Rate) String() string {
	const percent = int64(whole / 100)
	text := strconv.FormatInt(int64(r)/percent, 10)
	if rest := int64(r) % percent; rest != 0 {
		decimals := fmt.Sprintf("%04d", rest)
		for decimals[len(decimals)-1] == '0' {
			decimals = decimals[:len(decimals)-1]
		}
		text += "." + decimals
	}
	return text + "%"
}

// Fees are what the platform takes on each ticket.
type Fees struct {
	PerTicket ledger.Amount `json:"per_ticket"`
	Percent   Rate          `json:"percent_millionths"` // of the price
}

// Taxes are on price and fee alike.
type Taxes struct {
	Percent  Rate `json:"percent_millionths"`
	Included bool `json:"included"` // prices and fees in the file contain the tax
}

// Limits bound what one buyer may hold and own, by everything a buyer is known by; 0 is no limit.
type Limits struct {
	PerBuyer   int `json:"per_buyer"`
	PerAccount int `json:"per_account,omitempty"`
	PerDevice  int `json:"per_device,omitempty"`
	PerAddress int `json:"per_address,omitempty"` // IPv4 address or IPv6 /64
	PerCard    int `json:"per_card,omitempty"`    // checked when the payment is authorized
}

// LateVoid has money that came too late given back, whatever is left to sell.
const LateVoid = "void"

// Who may ask for a refund.
const (
	RefundByBuyer    = "buyer"
	RefundByOperator = "operator"
)

// Refunds are the rules of money that goes back while the event takes place. Of one that is cancelled all of it goes back.
type Refunds struct {
	By      string    `json:"by,omitempty"`   // RefundByBuyer; empty: operators alone
	Until   time.Time `json:"until,omitzero"` // UTC, exclusive; buyers may ask until then; zero: until the event starts
	KeepFee bool      `json:"keep_fee,omitempty"`
	KeepOff bool      `json:"keep_off,omitempty"` // what comes back is not sold again
	// OnChange is how long buyers may give tickets back after the event was moved, until it begins; zero: 14 days.
	OnChange Duration `json:"on_change,omitzero"`
}

// HoldRules say how long a hold lives.
type HoldRules struct {
	TTL              Duration `json:"ttl"`
	PaymentExtension Duration `json:"payment_extension"` // added once while a payment is under way
}

// Payment says how buyers may pay.
type Payment struct {
	Methods        []string `json:"methods,omitempty"`        // empty: everything that is paid at once and that a provider takes
	TransferWithin Duration `json:"transfer_within,omitzero"` // how long a hold waits for a bank transfer
}

// OnSale is how the waiting room admits.
type OnSale struct {
	Identity      string   `json:"identity"`
	JoiningBefore Duration `json:"joining_before"`  // joining opens this long before the sale
	Window        Duration `json:"window"`          // length of each window after the sale instant, whole seconds
	MaxPerNetwork int      `json:"max_per_network"` // device entries of one network before the rest fall behind; 0 for no limit
	SessionTTL    Duration `json:"session_ttl"`
	ClaimWithin   Duration `json:"claim_within"`    // how long room is kept for somebody called; their turn is kept until the sale ends
	MaxInside     int      `json:"max_inside"`      // shoppers inside at once; 0 for no limit
	PacePerSecond int      `json:"pace_per_second"` // entrants called in a second; 0 for no limit
}

// Duration is a time.Duration that JSON shows as "30s".
type Duration struct{ time.Duration }

// MarshalText writes the duration as Go spells it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	d.Duration = parsed
	return err
}

// Seat is one numbered place.
type Seat struct {
	ID         string // section/row/number, unique in its event
	Section    string
	Row        string
	Number     int64
	Tier       string
	Allocation string
}

// Seats lists every seat in the order of the file.
func (s Spec) Seats() []Seat {
	var seats []Seat
	for _, section := range s.Sections {
		for _, row := range section.Rows {
			allocation := section.Allocation
			if row.Allocation != "" {
				allocation = row.Allocation
			}
			for n := row.First; n <= row.Last; n++ {
				seats = append(seats, Seat{
					ID:      section.ID + "/" + row.Label + "/" + strconv.FormatInt(n, 10),
					Section: section.ID, Row: row.Label, Number: n, Tier: section.Tier, Allocation: allocation,
				})
			}
		}
	}
	return seats
}

// stockKey names a row of the table stock within its event.
type stockKey struct{ tier, allocation string }

// stock is the capacity of every tier and allocation. A tier always has its general allocation, if only of 0.
func (s Spec) stock() map[stockKey]int64 {
	capacity := make(map[stockKey]int64)
	for _, t := range s.Tiers {
		capacity[stockKey{t.ID, GeneralAllocation}] = t.Capacity
	}
	for _, a := range s.Allocations {
		capacity[stockKey{a.Tier, a.ID}] += a.Quantity
		capacity[stockKey{a.Tier, GeneralAllocation}] -= a.Quantity
	}
	for _, seat := range s.Seats() {
		capacity[stockKey{seat.Tier, seat.Allocation}]++
	}
	return capacity
}

func (s Spec) tier(id string) (TierSpec, int) {
	for i, t := range s.Tiers {
		if t.ID == id {
			return t, i
		}
	}
	return TierSpec{}, -1
}

// encode is the canonical JSON of the spec and its hash, by which two files are the same.
func (s Spec) encode() (string, []byte, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return "", nil, fmt.Errorf("encode event %s: %w", s.ID, err)
	}
	sum := sha256.Sum256(text)
	return string(text), sum[:], nil
}
