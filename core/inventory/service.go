package inventory

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/edge/lottery"
)

// Kind says how the units of a tier are told apart.
type Kind string

// The kinds of a tier.
const (
	General Kind = "general" // by quantity
	Seated  Kind = "seated"  // by numbered seat
)

// TierOffer is a tier on sale.
type TierOffer struct {
	Kind       Kind
	PriceMinor int64  // all-in price of one unit
	Allocation string // the allocation on general sale
}

// Offer is what an event sells now, and how.
type Offer struct {
	Currency string
	Tiers    map[string]TierOffer
	Limit    int           // most units one buyer may hold and own; 0 means no limit
	HoldTTL  time.Duration // from grant to deadline
}

// Offers finds an event's offer. It is asked once per request and must answer from memory nearly always. Its errors reach
// the caller wrapped.
type Offers func(ctx context.Context, event uuid.UUID) (Offer, error)

// Hooks let checkout take part in our transactions. They may run several times for one outcome and must do nothing
// outside tx. Nil hooks are skipped.
type Hooks struct {
	// Expired is told which holds have just expired, so that their orders expire with them.
	Expired func(ctx context.Context, tx pgx.Tx, holds []Hold) error
	// Released is told which holds their buyers have just given back. It may refuse some, for instance because a payment
	// is under way: those stay active and their callers get the error.
	Released func(ctx context.Context, tx pgx.Tx, holds []Hold) (refused map[uuid.UUID]error, err error)
}

// Config are the bounds of a Service. The zero value of every field but Offers has a default.
type Config struct {
	Offers     Offers
	Lanes      int           // group-commit lanes; events are spread over them by hash; default 2
	MaxBatch   int           // most requests in one commit; default 500
	MaxQueue   int           // most requests waiting in a lane; default 20 × MaxBatch
	SweepEvery time.Duration // how often Run looks for expired holds; default 250 ms
	SoldOutTTL time.Duration // how long "sold out" may be answered from memory; default 1 s, negative for never
	Log        *slog.Logger  // default slog.Default()
}

// Service decides holds, releases and expiries for any number of goroutines until Close. Run is a single goroutine of
// the caller's.
type Service struct {
	db  *db.DB
	cfg Config
}

// New starts the lanes. The caller closes the service.
func New(d *db.DB, cfg Config, hooks Hooks) *Service { panic("being written") }

// Hold asks for a hold and waits for the commit. A repeated request (same event, entrant and key) gets the same hold in
// its present state, whatever became of it.
func (s *Service) Hold(ctx context.Context, r Request) (Hold, error) { panic("being written") }

// HoldBatch asks for many holds at once; results are in the order of the requests.
func (s *Service) HoldBatch(ctx context.Context, rs []Request) []Result { panic("being written") }

// Release gives a buyer's hold back. Releasing a released hold again changes nothing and is no error. Somebody else's
// hold is ErrHoldUnknown.
func (s *Service) Release(ctx context.Context, id uuid.UUID, entrant lottery.Entrant) (Hold, error) {
	panic("being written")
}

// Load finds a hold.
func (s *Service) Load(ctx context.Context, id uuid.UUID) (Hold, error) { panic("being written") }

// Run gives back the units of expired holds until ctx ends.
func (s *Service) Run(ctx context.Context) error { panic("being written") }

// Close refuses new requests, finishes those that wait, and returns.
func (s *Service) Close() { panic("being written") }

// Stock is one stock row. Taken counts held and sold units.
type Stock struct {
	Tier       string
	Allocation string
	Capacity   int64
	Taken      int64
	Version    int64
}

// Availability is what an event has and what is taken, ordered by tier and allocation.
func (s *Service) Availability(ctx context.Context, event uuid.UUID) ([]Stock, error) {
	panic("being written")
}

// Sell makes active holds sold, their seats with them. The map has an entry for each hold that could not be:
// ErrHoldUnknown, ErrHoldExpired, ErrHoldClosed (sold before, or released).
func Sell(ctx context.Context, tx pgx.Tx, ids []uuid.UUID) (map[uuid.UUID]error, error) {
	panic("being written")
}

// Unsell puts sold holds back on sale as released. The map has an entry for each hold that is not sold.
func Unsell(ctx context.Context, tx pgx.Tx, ids []uuid.UUID) (map[uuid.UUID]error, error) {
	panic("being written")
}

// Release puts active holds back on sale as released, inside the caller's transaction and without the Released hook.
func Release(ctx context.Context, tx pgx.Tx, ids []uuid.UUID) (map[uuid.UUID]error, error) {
	panic("being written")
}

// Extend moves the deadlines of active holds to until, once in a hold's life and at most MaxExtension beyond the deadline
// it had. A deadline already at or after until stays and the extension is not used up.
func Extend(ctx context.Context, tx pgx.Tx, ids []uuid.UUID, until time.Time) (map[uuid.UUID]error, error) {
	panic("being written")
}

// Read finds holds inside a transaction; unknown ones are missing from the map.
func Read(ctx context.Context, tx pgx.Tx, ids []uuid.UUID) (map[uuid.UUID]Hold, error) {
	panic("being written")
}
