package waitlist

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/inventory"
	"fairgate/edge/lottery"
)

// Refusals.
var (
	ErrNone      = errors.New("waitlist: the event has no waiting list")
	ErrClosed    = errors.New("waitlist: the waiting list is closed")
	ErrWish      = errors.New("waitlist: the wish does not make sense")
	ErrUnknown   = errors.New("waitlist: not on the list")
	ErrOffered   = errors.New("waitlist: there is an offer to answer first")
	ErrOfferGone = errors.New("waitlist: the offer is over")
	ErrListing   = errors.New("waitlist: the buyer cannot have the listing") // what Config.Listing refuses with
)

// State is where an entry stands, see the package comment.
type State string

// The states of an entry. All but the first two are final.
const (
	Waiting State = "waiting"
	Offered State = "offered"
	Bought  State = "bought"
	Left    State = "left"
	Lapsed  State = "lapsed"
	Closed  State = "closed"
)

// OfferState is where an offer stands.
type OfferState string

// The states of an offer.
const (
	Making        OfferState = "making"
	Open          OfferState = "open"
	Accepted      OfferState = "accepted"
	OfferBought   OfferState = "bought"
	OfferDeclined OfferState = "declined"
	OfferExpired  OfferState = "expired"
	OfferVoid     OfferState = "void"
)

// Entry is a buyer's place on an event's list.
type Entry struct {
	ID       uuid.UUID
	Event    uuid.UUID
	Entrant  lottery.Entrant
	Account  uuid.UUID
	Email    string
	Language string
	Tiers    []string // the one wanted most first
	Quantity int
	Together bool // all of them or none
	Resold   bool // from other buyers too
	State    State
	Reason   string // why it is over
	Round    int    // 0: drawn, or to be drawn; 1: as they asked
	Place    []byte // within the round; nil before the draw
	AskedAt  time.Time
	EndedAt  time.Time // zero while it stands

	marks inventory.Marks
}

// Offer is what an entry is offered.
type Offer struct {
	ID         uuid.UUID
	Entry      uuid.UUID
	Event      uuid.UUID
	Tier       string
	Allocation string // general, or a listing's
	Units      int
	State      OfferState
	Reason     string
	Hold       uuid.UUID // uuid.Nil while it is in the making
	ExpiresAt  time.Time // of an open one: until when it can be accepted
	MadeAt     time.Time
	ClosedAt   time.Time // zero while it stands
}

// Rules are what a waiting list has to know of its event.
type Rules struct {
	Enabled          bool
	Cancelled        bool
	Returned, Resold bool // what it is offered first
	OfferFor         time.Duration
	DrawAfter        time.Duration
	ClosesAt         time.Time
	HoldTTL          time.Duration // of an ordinary hold
	PerBuyer         int
	Tiers            map[string]inventory.Kind
}

// Mail tells a buyer of an offer. The same key is the same mail.
type Mail struct {
	Key      string
	To       string
	Language string
	Offer    uuid.UUID
	Within   time.Duration // it is of use no longer
}

// Config is what a Service needs. All but Unsellable, Every and Log is required.
type Config struct {
	DB *db.DB
	// Rules are an event's. It is called inside transactions and must answer from memory nearly always.
	Rules func(ctx context.Context, event uuid.UUID) (Rules, error)
	// Over tells whether the event is sold out, or its sale has ended: then the list comes first. It answers from memory.
	Over func(ctx context.Context, event uuid.UUID) bool
	// Hold and Release are those of the inventory.
	Hold    func(ctx context.Context, r inventory.Request) (inventory.Hold, error)
	Release func(ctx context.Context, hold uuid.UUID, entrant lottery.Entrant) (inventory.Hold, error)
	// Listing is the item by which a listing is held for a buyer. ErrListing refuses it; after any other error it is asked again.
	Listing func(ctx context.Context, listing, event uuid.UUID, buyer lottery.Entrant) (inventory.Item, error)
	// Unsellable counts, by tier, what is free and can be had by nobody; nil: nothing is.
	Unsellable func(ctx context.Context, q inventory.Querier, event uuid.UUID) (map[string]int64, error)
	// Send takes a mail into the transaction.
	Send func(ctx context.Context, tx pgx.Tx, m Mail) error
	// Remember notes in the transaction whom the account is in the event.
	Remember func(ctx context.Context, tx pgx.Tx, account, event uuid.UUID, entrant lottery.Entrant) error
	Every    time.Duration // between two looks; default 1 s
	Log      *slog.Logger  // default slog.Default()
}

// Service keeps waiting lists; see the package comment.
type Service struct {
	db  *db.DB
	cfg Config
	log *slog.Logger
}

// New makes a Service. Run beside it makes the offers.
func New(cfg Config) *Service {
	if cfg.Every <= 0 {
		cfg.Every = time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return &Service{db: cfg.DB, cfg: cfg, log: cfg.Log}
}

// rulesOf are an event's rules; ErrNone for one without a list, ErrClosed for one whose list is over.
func (s *Service) rulesOf(ctx context.Context, event uuid.UUID, now time.Time) (Rules, error) {
	r, err := s.cfg.Rules(ctx, event)
	switch {
	case err != nil:
		return r, err
	case !r.Enabled:
		return r, ErrNone
	case r.Cancelled || !now.Before(r.ClosesAt):
		return r, ErrClosed
	}
	return r, nil
}
