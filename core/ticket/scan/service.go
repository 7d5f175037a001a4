package scan

import (
	"context"
	"crypto/ed25519"
	"errors"
	"time"

	"github.com/google/uuid"

	"fairgate/core/db"
	"fairgate/core/ticket/code"
	"fairgate/core/ticket/gate"
)

var (
	// ErrReused means that a scan's id was used for another scan.
	ErrReused = errors.New("scan: id of another scan")
	// ErrUndone means that a scan's id is that of one that was taken back: it opens no gate any more.
	ErrUndone = errors.New("scan: undone")
	// ErrUnknown means that there is no such scan that opened a gate, or that it is another gate's.
	ErrUnknown = errors.New("scan: unknown")
	// ErrReason means that undoing needs a reason of 1 to 500 characters.
	ErrReason = errors.New("scan: reason missing or too long")
	// ErrTicketUnknown means that a genuine code's ticket is not in the table.
	ErrTicketUnknown = errors.New("scan: unknown ticket")
)

// Event is what scanning has to know of an event.
type Event struct {
	ID     uuid.UUID
	Slug   string
	Reader *code.Reader
	Rules  gate.Rules
	// Accessible and Companions are the seats of those kinds, where Rules.Together; else nil.
	Accessible, Companions []string
	Cancelled              bool // when it was last looked at
	// SettledAt is when the last tickets change hands, transfers and resales; zero: they never do. It becomes the pack's.
	SettledAt time.Time
	// PackKey signs packs.
	PackKey ed25519.PrivateKey
}

// Events finds an event; from memory nearly always.
type Events func(ctx context.Context, id uuid.UUID) (Event, error)

// Service scans, merges and counts.
type Service struct {
	db     *db.DB
	events Events
	live   live
}

// New makes a service.
func New(d *db.DB, events Events) *Service {
	return &Service{db: d, events: events, live: live{events: map[uuid.UUID]*counted{}}}
}
