package transfer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/inventory"
	"fairgate/core/ticket"
	"fairgate/edge/lottery"
)

// Outcomes that callers branch on, besides ticket.ErrUnknown, ErrVoid, ErrListed, ErrOffered and ErrEntered.
var (
	ErrUnknown   = errors.New("transfer: unknown")
	ErrForbidden = errors.New("transfer: the event does not let its tickets be handed on")
	ErrCancelled = errors.New("transfer: the event is cancelled")
	ErrClosed    = errors.New("transfer: too late before the doors")
	ErrSelf      = errors.New("transfer: to oneself")
	ErrTooOften  = errors.New("transfer: the ticket was handed on as often as it may")
	ErrTooMany   = errors.New("transfer: too many offers")
	ErrOther     = errors.New("transfer: offered to another address")
	ErrExpired   = errors.New("transfer: the offer has expired")
	ErrOver      = errors.New("transfer: over already")
	ErrOverLimit = errors.New("transfer: the receiver may not have more")
	ErrKeyReused = errors.New("transfer: the key was used for another offer")
)

// State is where a transfer stands.
type State string

// The states of a transfer.
const (
	Offered   State = "offered"
	Accepted  State = "accepted"
	Declined  State = "declined"
	Cancelled State = "cancelled"
	Expired   State = "expired"
	Ended     State = "ended" // see Reason
)

// Bounds of offers: each is a mail to somebody who may not want it.
const (
	MaxPerTicket = 20 // offers of one ticket, ever
	MaxPerDay    = 50 // offers of one giver in 24 hours
)

// Transfer is one offer to hand a ticket on, and what became of it.
type Transfer struct {
	ID            uuid.UUID
	Event         uuid.UUID
	Ticket        uuid.UUID
	Epoch         uint32          // of the ticket when it was offered
	Tier, Seat    string          // likewise
	Giver         lottery.Entrant // the ticket's owner then
	GiverAccount  uuid.UUID       // uuid.Nil of a giver who was not signed in
	GiverEmail    string          // may be empty
	GiverLanguage string
	To            string // e-mail address, normalized
	Language      string // of the mails to the receiver
	State         State
	Reason        string          // why it ended
	Account       uuid.UUID       // who accepted or declined
	Owner         lottery.Entrant // whose the ticket is since it was accepted
	CreatedAt     time.Time
	ExpiresAt     time.Time
	ClosedAt      time.Time // zero while it is offered

	bodyHash []byte
}

// Terms are what an event's file says of handing its tickets on.
type Terms struct {
	Allowed   bool
	Cancelled bool
	ClosesAt  time.Time
	OfferFor  time.Duration
	Most      int // how often one ticket may be handed on

	Limit  int // most units of one buyer; 0: no limit
	Limits inventory.Limits
	Tour   inventory.Tour
}

// Mail is one that a step of a transfer has sent. The same key is the same mail.
type Mail struct {
	Key      string
	Kind     string // transfer_offer, transfer_accepted, transfer_declined, transfer_expired or transfer_cancelled
	To       string
	Language string
	Transfer uuid.UUID
}

// Config is what a Service needs. DB, Issuer, Terms and Normalize are required.
type Config struct {
	DB     *db.DB
	Issuer *ticket.Issuer
	// Terms finds an event's. It is called inside transactions, and must answer from memory nearly always.
	Terms func(ctx context.Context, event uuid.UUID) (Terms, error)
	// Normalize is the form in which addresses are compared, and refuses what is none.
	Normalize func(email string) (string, error)
	// Send takes a mail into the transaction; nil: none is sent.
	Send func(ctx context.Context, tx pgx.Tx, m Mail) error
	// Given is told, in the transaction, which entrant an account has come to have a ticket as; nil: nobody is.
	Given func(ctx context.Context, tx pgx.Tx, account, event uuid.UUID, owner lottery.Entrant) error
	Every time.Duration // between two looks for offers that are over; 30s
	Log   *slog.Logger
}

// Service hands tickets on.
type Service struct {
	db  *db.DB
	cfg Config
	log *slog.Logger
}

// New makes a service.
func New(cfg Config) *Service {
	if cfg.Every <= 0 {
		cfg.Every = 30 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{db: cfg.DB, cfg: cfg, log: cfg.Log}
}

// transferSpace is the UUIDv5 namespace of transfers.
var transferSpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("fairgate:transfer"))

// ID is the id of the offer of a ticket by an owner under an idempotency key.
func ID(ticket uuid.UUID, giver lottery.Entrant, key string) uuid.UUID {
	name := append(append(ticket[:], giver[:]...), key...)
	return uuid.NewSHA1(transferSpace, name)
}

// over tells why an offer can be neither accepted nor declined nor cancelled any more; nil while it stands.
func (t *Transfer) over(now time.Time) error {
	switch {
	case t.State == Expired || t.State == Offered && !now.Before(t.ExpiresAt):
		return ErrExpired
	case t.State != Offered:
		return fmt.Errorf("%w: it is %s", ErrOver, t.State)
	}
	return nil
}

// order is the order of a ticket, as far as it matters here.
type order struct {
	hold     uuid.UUID
	entrant  lottery.Entrant
	email    string
	language string
}

const sqlOrderOfTicket = `SELECT hold_id, entrant, email, language FROM orders WHERE order_id = $1::UUID`

func orderOf(ctx context.Context, tx pgx.Tx, id uuid.UUID) (o order, err error) {
	var entrant []byte
	if err := tx.QueryRow(ctx, sqlOrderOfTicket, id).Scan(&o.hold, &entrant, &o.email, &o.language); err != nil {
		return o, fmt.Errorf("read order %s: %w", id, err)
	}
	if len(entrant) != len(o.entrant) {
		return o, fmt.Errorf("read order %s: entrant of %d bytes", id, len(entrant))
	}
	copy(o.entrant[:], entrant)
	return o, nil
}

// send queues a mail to somebody whose address is known.
func (s *Service) send(ctx context.Context, tx pgx.Tx, t *Transfer, kind, to, language string) error {
	if s.cfg.Send == nil || to == "" {
		return nil
	}
	m := Mail{Key: kind + "/" + t.ID.String(), Kind: kind, To: to, Language: language, Transfer: t.ID}
	if err := s.cfg.Send(ctx, tx, m); err != nil {
		return fmt.Errorf("queue the mail %s: %w", kind, err)
	}
	return nil
}
