// Package reminder owns the table reminders: who asked for a mail when the waiting room or the sale of an event or of one of its presales
// opens, or when tickets are back on general sale.
//
// Each mail has an address by which all reminders of its event are withdrawn without signing in (token.go).
//
// A reminder is one mail to an address that an account has proved, sent once: the transaction that ends it queues the mail, so neither two
// cores nor a crash make two or none. It is not sent for what is so already, nor after it was withdrawn; its row keeps no address then.
//
// A Service is safe for concurrent use. Any number of processes may Run one.
package reminder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
)

// Occasion is what somebody is reminded of: one of those below, of general sale, or of a presale: "sale_opens:fans".
type Occasion string

// The occasions.
const (
	RoomOpens Occasion = "room_opens"
	SaleOpens Occasion = "sale_opens"
	Returned  Occasion = "returned" // there are tickets on general sale again
)

// Of is the occasion of a presale.
func (o Occasion) Of(presale string) Occasion {
	if presale == "" {
		return o
	}
	return o + ":" + Occasion(presale)
}

// Cut is the occasion without its presale, and that; "" of general sale.
func (o Occasion) Cut() (kind Occasion, presale string) {
	text, presale, _ := strings.Cut(string(o), ":")
	return Occasion(text), presale
}

// valid tells whether there is such an occasion. Which presales there are is the event's to know.
func (o Occasion) valid() bool {
	kind, presale := o.Cut()
	if kind.Of(presale) != o || len(presale) > maxPresale {
		return false
	}
	return slices.Contains(Occasions, kind) && (presale == "" || kind != Returned)
}

// maxPresale bounds the id of a presale, and maxWanted how many occasions of an event one may ask for.
const maxPresale, maxWanted = 32, 100

// Occasions are all of one sale, in the order in which they come.
var Occasions = []Occasion{RoomOpens, SaleOpens, Returned}

// Refusals.
var (
	ErrOccasion = errors.New("reminder: no such occasion")
	ErrPast     = errors.New("reminder: that is so already, or will not be any more")
)

// Sale is how an event's sale stands.
type Sale int

// How a sale may stand.
const (
	Before  Sale = iota // the waiting room is not open
	Waiting             // it is, and the sale is not
	Selling             // there are tickets on general sale
	SoldOut
	Over // the sale has ended, or the event is cancelled
)

// comes tells whether an occasion is here, and whether it may still come.
func (o Occasion) comes(s Sale) (here, may bool) {
	switch kind, _ := o.Cut(); kind {
	case RoomOpens:
		return s == Waiting || s == Selling, s == Before
	case SaleOpens:
		return s == Selling, s == Before || s == Waiting
	default:
		return s == Selling, s == SoldOut
	}
}

// Mail is one that reminds. The same key is the same mail.
type Mail struct {
	Key      string
	To       string
	Language string
	Account  uuid.UUID // who asked for it
	Event    uuid.UUID
	Occasion Occasion
}

// Config is what a Service needs. All but Every and Log is required.
type Config struct {
	DB *db.DB
	// Sale tells how an event's sale stands, from memory: a presale's, or general sale's for "". A presale there is not is Over.
	Sale func(ctx context.Context, event uuid.UUID, presale string) (Sale, error)
	// Key is what unsubscribing is signed with, 32 bytes; the first signs, all verify. Nil: nobody can unsubscribe by an address.
	Key func(ctx context.Context) ([][]byte, error)
	// Send takes mails into the transaction.
	Send  func(ctx context.Context, tx pgx.Tx, mails []Mail) error
	Every time.Duration // between two looks; default 2 s
	Log   *slog.Logger  // default slog.Default()
}

// Service reminds; see the package comment.
type Service struct {
	db  *db.DB
	cfg Config
	log *slog.Logger
}

// New makes a Service. Run beside it sends.
func New(cfg Config) *Service {
	if cfg.Every <= 0 {
		cfg.Every = 2 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return &Service{db: cfg.DB, cfg: cfg, log: cfg.Log}
}

// Metrics of every Service of the process.
//
//	core_reminders_sent_total          mails queued
//	core_reminders_errors_total        looks that failed
var (
	sentTotal   = metrics.NewCounter(`core_reminders_sent_total`)
	errorsTotal = metrics.NewCounter(`core_reminders_errors_total`)
)

// Asker is the account that asks.
type Asker struct {
	Account  uuid.UUID
	Email    string // proved
	Language string
}

const sqlInsert = `
INSERT INTO reminders (reminder_id, event_id, account_id, email, language, occasion, presale, made_at, ended_at, sent)
SELECT k.reminder_id, $1::UUID, $2::UUID, $3::TEXT, $4::TEXT, k.occasion, k.presale, now(), NULL, false
FROM unnest($5::TEXT[], $6::TEXT[], $7::UUID[]) AS k (occasion, presale, reminder_id)
WHERE NOT EXISTS (SELECT 1 FROM reminders AS r
	WHERE r.event_id = $1::UUID AND r.account_id = $2::UUID AND r.occasion = k.occasion AND r.presale = k.presale AND r.ended_at IS NULL)`

const sqlWithdraw = `
UPDATE reminders SET ended_at = now(), email = ''
WHERE event_id = $1::UUID AND account_id = $2::UUID AND ended_at IS NULL
AND NOT (CASE WHEN presale = '' THEN occasion ELSE occasion || ':' || presale END = ANY($3::TEXT[]))`

const sqlOwn = `
SELECT CASE WHEN r.presale = '' THEN r.occasion ELSE r.occasion || ':' || r.presale END FROM reminders AS r
WHERE r.event_id = $1::UUID AND r.account_id = $2::UUID AND r.ended_at IS NULL ORDER BY r.presale, r.occasion`

// Set has an account reminded of these occasions of an event, and of no others; none withdraws all. What stands already stays. Errors:
// ErrOccasion, ErrPast (of an occasion that is asked for anew).
func (s *Service) Set(ctx context.Context, event uuid.UUID, who Asker, wanted []Occasion) error {
	sales := map[string]Sale{}
	for i, o := range wanted {
		if !o.valid() || slices.Contains(wanted[:i], o) || len(wanted) > maxWanted {
			return fmt.Errorf("%w: %q", ErrOccasion, o)
		}
		_, presale := o.Cut()
		sale, err := s.cfg.Sale(ctx, event, presale)
		if err != nil {
			return err
		}
		sales[presale] = sale
	}
	set := func(ctx context.Context, tx pgx.Tx) error {
		standing, err := own(ctx, tx, event, who.Account)
		if err != nil {
			return err
		}
		for _, o := range wanted {
			_, presale := o.Cut()
			if _, may := o.comes(sales[presale]); !may && !slices.Contains(standing, o) {
				return fmt.Errorf("%w: %s", ErrPast, o)
			}
		}
		names, kinds, presales, ids := make([]string, len(wanted)), make([]string, len(wanted)), make([]string, len(wanted)), make([]uuid.UUID, len(wanted))
		for i, o := range wanted {
			kind, presale := o.Cut()
			names[i], kinds[i], presales[i], ids[i] = string(o), string(kind), presale, uuid.New()
		}
		if _, err := tx.Exec(ctx, sqlWithdraw, event, who.Account, names); err != nil {
			return fmt.Errorf("withdraw reminders: %w", err)
		}
		if _, err := tx.Exec(ctx, sqlInsert, event, who.Account, who.Email, who.Language, kinds, presales, ids); err != nil {
			return fmt.Errorf("insert reminders: %w", err)
		}
		return nil
	}
	err := s.db.InTx(ctx, set)
	if db.IsUnique(err) { // the same account asked twice at once
		err = s.db.InTx(ctx, set)
	}
	if err != nil {
		return fmt.Errorf("remind of event %s: %w", event, err)
	}
	return nil
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func own(ctx context.Context, q querier, event, account uuid.UUID) ([]Occasion, error) {
	rows, err := q.Query(ctx, sqlOwn, event, account)
	if err != nil {
		return nil, fmt.Errorf("read reminders: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[Occasion])
	if err != nil {
		return nil, fmt.Errorf("read reminders: %w", err)
	}
	return list, nil
}

// Own lists what an account will be reminded of.
func (s *Service) Own(ctx context.Context, event, account uuid.UUID) (list []Occasion, err error) {
	err = s.db.Reading(ctx, func() error {
		list, err = own(ctx, s.db.Reader, event, account)
		return err
	})
	return list, err
}

// EventReminder is one occasion of one event.
type EventReminder struct {
	Event    uuid.UUID
	Occasion Occasion
}

// maxOf is how many Of lists.
const maxOf = 200

const sqlOf = `
SELECT r.event_id, CASE WHEN r.presale = '' THEN r.occasion ELSE r.occasion || ':' || r.presale END FROM reminders AS r
WHERE r.account_id = $1::UUID AND r.ended_at IS NULL ORDER BY r.event_id, r.presale, r.occasion LIMIT $2::INT8`

// Of lists what an account will be reminded of, in all events, those of one event together; no more than 200.
func (s *Service) Of(ctx context.Context, account uuid.UUID) (list []EventReminder, err error) {
	err = s.db.Reading(ctx, func() error {
		rows, err := s.db.Reader.Query(ctx, sqlOf, account, maxOf)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[EventReminder])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the reminders of account %s: %w", account, err)
	}
	return list, nil
}

const sqlForget = `UPDATE reminders SET ended_at = COALESCE(ended_at, now()), email = '' WHERE account_id = $1::UUID AND ended_at IS NULL`

// Forget has an account reminded of nothing.
func (s *Service) Forget(ctx context.Context, account uuid.UUID) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, sqlForget, account)
		return err
	})
	if err != nil {
		return fmt.Errorf("forget the reminders of account %s: %w", account, err)
	}
	return nil
}

const sqlStanding = `SELECT DISTINCT r.event_id, r.occasion, r.presale FROM reminders AS r WHERE r.ended_at IS NULL ORDER BY r.event_id, r.presale, r.occasion`

const sqlEnd = `
UPDATE reminders AS r SET ended_at = now(), sent = $4::BOOL, email = ''
FROM (SELECT d.reminder_id, d.email FROM reminders AS d WHERE d.event_id = $1::UUID AND d.occasion = $2::TEXT AND d.presale = $5::TEXT AND d.ended_at IS NULL
      ORDER BY d.reminder_id LIMIT $3::INT8) AS due
WHERE r.reminder_id = due.reminder_id AND r.ended_at IS NULL
RETURNING r.reminder_id, r.account_id, due.email, r.language`

// page is how many reminders one transaction ends.
const page = 500

// Run sends what is due until ctx ends, whose error it returns. What fails is logged and looked at again.
func (s *Service) Run(ctx context.Context) error {
	for {
		if err := s.Look(ctx); err != nil && ctx.Err() == nil {
			errorsTotal.Inc()
			s.log.Warn("reminders were not sent; they are looked at again", "error", err.Error())
		}
		// A fifth of jitter keeps several cores from looking in step.
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(s.cfg.Every + rand.N(s.cfg.Every/5+1)):
		}
	}
}

// Look sends what is due now, and ends what will not be any more.
func (s *Service) Look(ctx context.Context) error {
	type standing struct {
		Event    uuid.UUID
		Occasion Occasion
		Presale  string
	}
	var all []standing
	err := s.db.Reading(ctx, func() error {
		rows, err := s.db.Reader.Query(ctx, sqlStanding)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[standing])
		return err
	})
	if err != nil {
		return fmt.Errorf("find reminders: %w", err)
	}
	var failed error
	for _, one := range all {
		sale, err := s.cfg.Sale(ctx, one.Event, one.Presale)
		if err != nil {
			failed = err
			continue
		}
		here, may := one.Occasion.comes(sale)
		if !here && (may || sale != Over) {
			continue
		}
		for n := page; n == page && err == nil; {
			n, err = s.end(ctx, one.Event, one.Occasion.Of(one.Presale), here)
		}
		if err != nil {
			failed = err
		}
	}
	return failed
}

// end ends a page of reminders, and queues their mails.
func (s *Service) end(ctx context.Context, event uuid.UUID, o Occasion, send bool) (n int, err error) {
	err = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		kind, presale := o.Cut()
		rows, err := tx.Query(ctx, sqlEnd, event, string(kind), page, send, presale)
		if err != nil {
			return err
		}
		var mails []Mail
		var id, account uuid.UUID
		var email, language string
		_, err = pgx.ForEachRow(rows, []any{&id, &account, &email, &language}, func() error {
			mails = append(mails, Mail{Key: "reminder/" + id.String(), To: email, Language: language, Account: account, Event: event, Occasion: o})
			return nil
		})
		if n = len(mails); err != nil || !send || n == 0 {
			return err
		}
		return s.cfg.Send(ctx, tx, mails)
	})
	if err != nil {
		return 0, fmt.Errorf("remind of %s of event %s: %w", o, event, err)
	}
	if send {
		sentTotal.Add(n)
	}
	return n, nil
}
