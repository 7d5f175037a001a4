package resale

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/ticket"
	"fairgate/ledger"
)

// Config are what a Service is made of. DB, Rules, Issuer and Ledger are required.
type Config struct {
	DB *db.DB
	// Rules are an event's. It is called inside transactions and must answer from memory nearly always.
	Rules  func(ctx context.Context, event uuid.UUID) (Rules, error)
	Issuer *ticket.Issuer
	Ledger *ledger.Writer
	// MaxListings is how many listings an account may make within Within, over all events; 0 is no limit.
	MaxListings int
	Within      time.Duration
	// Waits tells, in the transaction that lists a ticket, whether those on the event's waiting list are asked first; nil: nobody is.
	Waits     func(ctx context.Context, tx pgx.Tx, event uuid.UUID, tier string, now time.Time) (bool, error)
	TidyEvery time.Duration // how often Run looks for listings to close; default 5 s
	Log       *slog.Logger  // default slog.Default()
}

// Service lists tickets and follows them to their sale; see the package comment.
type Service struct {
	db     *db.DB
	rules  func(ctx context.Context, event uuid.UUID) (Rules, error)
	issuer *ticket.Issuer
	ledger *ledger.Writer
	cfg    Config
	log    *slog.Logger
}

// New makes a Service. Run beside it closes what is over.
func New(cfg Config) *Service {
	if cfg.TidyEvery <= 0 {
		cfg.TidyEvery = 5 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return &Service{db: cfg.DB, rules: cfg.Rules, issuer: cfg.Issuer, ledger: cfg.Ledger, cfg: cfg, log: cfg.Log}
}
