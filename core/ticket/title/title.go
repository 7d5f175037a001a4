package title

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/edge/lottery"
	"fairgate/ledger"
)

var (
	// ErrUnknown means that there is no ticket of that id.
	ErrUnknown = errors.New("title: unknown ticket")
	// ErrStep means that a step does not follow from what the chain says.
	ErrStep = errors.New("title: step does not fit the chain")
	// ErrBroken means that a chain is not as it was written, or does not come to what the ticket is.
	ErrBroken = errors.New("title: chain is broken")
	// ErrLong means that a chain goes back over more tickets than is followed.
	ErrLong = errors.New("title: chain is too long")
)

// How says how a ticket came from one owner to the next.
type How string

// The ways.
const (
	Transfer How = "transfer" // given away
	Resale   How = "resale"   // sold; the first step of the buyer's ticket
	Reseat   How = "reseat"   // the same owner's, with another seat
)

// MaxNote bounds a step's note, in bytes.
const MaxNote = 200

// Step is one step of a ticket's title.
type Step struct {
	Ticket   uuid.UUID
	Seq      int64  // counts the ticket's steps from 0; Append sets it
	Epoch    uint32 // of the ticket, from this step on
	From, To lottery.Entrant
	How      How
	Price    ledger.Amount // zero where nothing was paid
	Previous uuid.UUID     // of a resale: the ticket that this one follows; else uuid.Nil
	Note     string        // such as the seats of a reseat; at most MaxNote bytes
	At       time.Time     // zero: the transaction's

	Hash []byte // Append sets it
}

// Querier is the reading half of a pool or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

const sqlInsertStep = `
INSERT INTO title_steps (ticket_id, seq, epoch, from_owner, to_owner, how, price_minor, currency, previous_id, note, at, hash)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`

const sqlNow = `SELECT now()`

// Append adds a step as part of tx, which is the one that issues or reissues the ticket: its row is read as it is after that. It answers
// the step as it was written. ErrStep when it does not follow: the ticket's owner and epoch are not those of the step, From is not
// who had it before, or the ticket it follows is not void or has a successor. Then the transaction is given up.
func Append(ctx context.Context, tx pgx.Tx, s Step) (Step, error) {
	chain, err := read(ctx, tx, s.Ticket)
	if err != nil {
		return Step{}, fmt.Errorf("append to the title of ticket %s: %w", s.Ticket, err)
	}
	last := &chain[len(chain)-1]
	before, err := s.follows(ctx, tx, last)
	if err != nil {
		return Step{}, fmt.Errorf("append to the title of ticket %s: %w", s.Ticket, err)
	}
	if s.At.IsZero() {
		if err := tx.QueryRow(ctx, sqlNow).Scan(&s.At); err != nil {
			return Step{}, fmt.Errorf("append to the title of ticket %s: %w", s.Ticket, err)
		}
	}
	s.At = s.At.UTC().Truncate(time.Microsecond) // what the database keeps
	s.Seq = int64(len(last.Steps))
	s.Hash = s.sum(before)
	var previous *uuid.UUID
	if s.Previous != uuid.Nil {
		previous = &s.Previous
	}
	if _, err := tx.Exec(ctx, sqlInsertStep, s.Ticket, s.Seq, int64(s.Epoch), s.From[:], s.To[:], string(s.How), s.Price.Minor, s.Price.Currency,
		previous, s.Note, s.At, s.Hash); err != nil {
		return Step{}, fmt.Errorf("append to the title of ticket %s: %w", s.Ticket, err)
	}
	return s, nil
}

// follows is the hash that the step is chained to.
func (s Step) follows(ctx context.Context, tx pgx.Tx, l *Link) ([]byte, error) {
	switch {
	case len(s.Note) > MaxNote || s.Price.Minor < 0 || s.How != Transfer && s.How != Resale && s.How != Reseat:
		return nil, fmt.Errorf("%w: %q of %d with %d bytes of note", ErrStep, s.How, s.Price.Minor, len(s.Note))
	case (s.How == Resale) != (s.Previous != uuid.Nil) || (s.From == s.To) != (s.How == Reseat):
		return nil, fmt.Errorf("%w: %s from %x to %x after ticket %s", ErrStep, s.How, s.From, s.To, s.Previous)
	case l.Owner != s.To || l.Epoch != s.Epoch || l.State != "valid":
		return nil, fmt.Errorf("%w: the ticket is %s, in epoch %d, of %x", ErrStep, l.State, l.Epoch, l.Owner)
	}
	if s.How == Resale {
		if len(l.Steps) > 0 {
			return nil, fmt.Errorf("%w: a ticket follows another from its issue on", ErrStep)
		}
		chain, err := read(ctx, tx, s.Previous)
		if err != nil {
			return nil, err
		}
		before := &chain[len(chain)-1]
		if before.State == "valid" || before.Owner != s.From || before.Event != l.Event {
			return nil, fmt.Errorf("%w: ticket %s is %s, of %x", ErrStep, s.Previous, before.State, before.Owner)
		}
		return before.head(), nil
	}
	if n := len(l.Steps); n > 0 {
		if last := l.Steps[n-1]; last.To != s.From || last.Epoch >= s.Epoch {
			return nil, fmt.Errorf("%w: the step before is to %x in epoch %d", ErrStep, last.To, last.Epoch)
		}
	} else if s.From != l.Buyer {
		return nil, fmt.Errorf("%w: it was issued to %x", ErrStep, l.Buyer)
	}
	return l.head(), nil
}

// sum is the step's hash, behind the one before.
func (s Step) sum(before []byte) []byte {
	b := make([]byte, 0, 320)
	b = append(b, "fairgate-title-step-v1"...)
	var link [sha256.Size]byte
	copy(link[:], before)
	b = append(b, link[:]...)
	b = append(b, s.Ticket[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(s.Seq))
	b = binary.BigEndian.AppendUint64(b, uint64(s.Epoch))
	b = append(append(b, s.From[:]...), s.To[:]...)
	b = appendText(b, string(s.How))
	b = binary.BigEndian.AppendUint64(b, uint64(s.Price.Minor))
	b = appendText(b, s.Price.Currency)
	b = append(b, s.Previous[:]...)
	b = appendText(b, s.Note)
	b = binary.BigEndian.AppendUint64(b, uint64(s.At.UnixMicro()))
	h := sha256.Sum256(b)
	return h[:]
}

func appendText(b []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(text))), text...)
}
