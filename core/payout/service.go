package payout

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"fairgate/core/db"
	"fairgate/ledger"
)

// Outcomes that callers branch on.
var (
	// ErrUnknown means that there is no such payout.
	ErrUnknown = errors.New("payout: no such payout")
	// ErrState means that the payout's state does not allow the step.
	ErrState = errors.New("payout: not possible in this state")
	// ErrShort means that less is available than the payout, what the organizer owes us taken off. The next run withdraws it.
	ErrShort = errors.New("payout: less than that is available")
	// ErrRules means that rules make no sense.
	ErrRules = errors.New("payout: rules")
)

// Rules say when and how much an organizer is paid.
type Rules struct {
	After          time.Duration // after the start of an event until its earnings are released
	ReservePercent int64         // of them that is held back, 0 to 100
	ReserveFor     time.Duration // for so long after they were released
	MinimumMinor   int64         // less than that is not paid out, in minor units
}

// DefaultRules release three days after an event and hold a tenth for 120 days: the time in which cards may be disputed.
func DefaultRules() Rules {
	return Rules{After: 72 * time.Hour, ReservePercent: 10, ReserveFor: 120 * 24 * time.Hour, MinimumMinor: 1000}
}

// Validate refuses rules that make no sense.
func (r Rules) Validate() error {
	if r.After < 0 || r.ReserveFor < 0 || r.MinimumMinor < 0 || r.ReservePercent < 0 || r.ReservePercent > 100 {
		return fmt.Errorf("%w: times and minimum must not be below 0, the reserve must be 0 to 100 percent", ErrRules)
	}
	return nil
}

// Config are the tunables of a Service.
type Config struct {
	Rules      Rules            // of organizers without their own
	Organizers map[string]Rules // by organizer
	Log        *slog.Logger     // default: discarded
}

// Service pays organizers. It may be used by many goroutines.
type Service struct {
	db     *db.DB
	writer *ledger.Writer
	cfg    Config
}

// New makes a Service.
func New(d *db.DB, cfg Config) *Service {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{db: d, writer: ledger.NewWriter(d.Reader), cfg: cfg}
}

func (s *Service) rules(organizer string) Rules {
	if r, ok := s.cfg.Organizers[organizer]; ok {
		return r
	}
	return s.cfg.Rules
}

// space is the name space of the ids made here. Changing it would release everything again.
var space = uuid.MustParse("c2b7f1de-0d0e-5c7a-8a43-2f8e6d5b9a10")

// RunOfDay is the id of the run of a UTC day: whoever runs twice a day runs once.
func RunOfDay(day time.Time) uuid.UUID {
	return uuid.NewSHA1(space, []byte("run/"+day.UTC().Format("2006-01-02")))
}

// LineID is the id of what a run does for an organizer, and the reference of its transfers.
func LineID(run uuid.UUID, organizer, currency string) uuid.UUID {
	return uuid.NewSHA1(run, []byte("line/"+organizer+"/"+currency))
}

// Line is what a run did for one organizer in one currency, in minor units.
type Line struct {
	ID         uuid.UUID
	Run        uuid.UUID
	Organizer  string
	Currency   string
	Released   int64 // became available
	Reserved   int64 // went into the reserve
	Unreserved int64 // came out of the reserve and became available
	Covered    int64 // came out of the reserve for what the organizer owed
	Used       int64 // was available and went for what the organizer owed beyond that
	PayoutID   uuid.UUID
	Note       string
}
