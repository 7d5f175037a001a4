package access

import (
	"context"
	"time"

	"github.com/google/uuid"

	"fairgate/ledger"
)

// Sale is what the waiting room must know of an event.
type Sale struct {
	Event         uuid.UUID
	Slug          string
	Identity      string // "device", "invitation" or "account"
	TimeZone      string // IANA name
	PseudonymKey  []byte
	Window        time.Duration // length of the windows after the sale instant, whole seconds
	JoiningBefore time.Duration // joining opens this long before the sale instant unless scheduled otherwise
	SessionTTL    time.Duration
	ClaimWithin   time.Duration // room is kept for somebody called for this long, at most Config.ComeWithin; the turn, until the sale ends
	MaxPerNetwork int           // device entries of one network in band 0; 0: no limit
	MaxInside     int           // shoppers inside at once; 0: no limit
	PacePerSecond int           // entrants called in a second; 0: no limit
	UnitsPerBuyer float64       // what a buyer typically takes; 0: 2
	Tiers         []Tier        // in the order in which pages show them
	Presales      []Presale     // windows with an allocation of their own

	// What the on-sale that runs is of, see within. Zero in what Deps.Sales answers.
	Registered bool   // a presale for accounts that registered
	Allocation string // that is sold; empty: what is on general sale
}

// Tier is a price level as the state object shows it.
type Tier struct {
	ID, Name string
	Price    ledger.Amount // all-in
}

// TierStock is the stock of one tier that this on-sale sells, summed over its allocations.
type TierStock struct {
	Tier            string
	Capacity, Taken int // taken counts held and sold units
}

// Holding is what shoppers hold at the moment.
type Holding struct {
	Holds int // active holds
}

// Key is one key of a ring. Secret of an Ed25519 key is its seed (32 bytes) or its private key (64 bytes); Public is
// empty for a MAC key.
type Key struct {
	No             uint32
	Secret, Public []byte
}

// Deps are the parts of core the waiting room asks. All are called often and from many goroutines.
type Deps struct {
	// Sales loads an event; its error for an unknown event is passed on to the caller.
	Sales func(ctx context.Context, slug string) (Sale, error)
	// Stock is what there is to sell of an allocation, "" being general sale; Holding what is held of the event. A nil Holding means nobody
	// holds anything.
	Stock   func(ctx context.Context, event uuid.UUID, allocation string) ([]TierStock, error)
	Holding func(ctx context.Context, event uuid.UUID) (Holding, error)
	// SpareRate is how many more payments a second the event's payment provider has to spare. Nil: no bound.
	SpareRate func(ctx context.Context, event uuid.UUID) float64
	// Load is how busy the part of core is that decides the event's holds, as far as this process knows. Nil: never.
	Load func(ctx context.Context, event uuid.UUID) Load
	// Keys are the unretired keys of a purpose and scope, made if there are none: "receipt" (Ed25519), "invitation"
	// (Ed25519) and "pass" (MAC) for an event id, "session" and "session_filter" (MAC) for "global".
	Keys func(ctx context.Context, purpose, scope string) ([]Key, error)
}
