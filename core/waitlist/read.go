package waitlist

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/edge/lottery"
)

// querier reads: a transaction or the reading pool.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

const entryColumns = `e.entry_id, e.event_id, e.entrant, e.account_id, e.email, e.language, e.tiers, e.quantity, e.together, e.resold, e.marks,
    e.state, e.reason, e.round, e.place, e.asked_at, e.ended_at`

const offerColumns = `o.offer_id, o.entry_id, o.event_id, o.tier, o.allocation, o.units, o.state, o.reason, o.hold_id, o.expires_at, o.made_at, o.closed_at`

const sqlStanding = `SELECT ` + entryColumns + ` FROM waitlist_entries AS e
WHERE e.event_id = $1::UUID AND e.entrant = $2::BYTEA AND e.ended_at IS NULL`

const sqlEntry = `SELECT ` + entryColumns + ` FROM waitlist_entries AS e WHERE e.entry_id = $1::UUID`

const sqlEntriesOfAccount = `SELECT ` + entryColumns + ` FROM waitlist_entries AS e
WHERE e.account_id = $1::UUID ORDER BY e.asked_at DESC, e.entry_id LIMIT $2::INT8`

const sqlEntriesOfEvent = `SELECT ` + entryColumns + ` FROM waitlist_entries AS e
WHERE e.event_id = $1::UUID AND ($2::BOOL OR e.ended_at IS NULL) ORDER BY e.round, e.place NULLS LAST, e.asked_at, e.entry_id LIMIT $3::INT8`

const sqlOffer = `SELECT ` + offerColumns + ` FROM waitlist_offers AS o WHERE o.offer_id = $1::UUID`

const sqlStandingOffer = `SELECT ` + offerColumns + ` FROM waitlist_offers AS o WHERE o.entry_id = $1::UUID AND o.closed_at IS NULL`

const sqlOffersOfEntries = `SELECT ` + offerColumns + ` FROM waitlist_offers AS o
WHERE o.entry_id = ANY($1::UUID[]) AND o.state <> 'void' ORDER BY o.made_at, o.offer_id`

const sqlAhead = `
SELECT count(*) FROM waitlist_entries AS e
WHERE e.event_id = $1::UUID AND e.state = 'waiting' AND (e.round, e.place, e.entry_id) < ($2::INT8, $3::BYTEA, $4::UUID)`

const sqlList = `
SELECT event_id, secret, commitment, made_at, draw_at, drawn_at, entrants, root, seed, closed_at
FROM waitlists WHERE event_id = $1::UUID`

func scanEntry(row pgx.CollectableRow) (e Entry, err error) {
	var entrant, marks []byte
	var ended *time.Time
	err = row.Scan(&e.ID, &e.Event, &entrant, &e.Account, &e.Email, &e.Language, &e.Tiers, &e.Quantity, &e.Together, &e.Resold, &marks,
		&e.State, &e.Reason, &e.Round, &e.Place, &e.AskedAt, &ended)
	if err == nil && len(entrant) != len(e.Entrant) {
		err = fmt.Errorf("entry %s has an entrant of %d bytes", e.ID, len(entrant))
	}
	copy(e.Entrant[:], entrant)
	e.marks, e.AskedAt, e.EndedAt = decodeMarks(marks), e.AskedAt.UTC(), timeOf(ended)
	return e, err
}

func scanOffer(row pgx.CollectableRow) (o Offer, err error) {
	var hold *uuid.UUID
	var expires, closed *time.Time
	err = row.Scan(&o.ID, &o.Entry, &o.Event, &o.Tier, &o.Allocation, &o.Units, &o.State, &o.Reason, &hold, &expires, &o.MadeAt, &closed)
	if hold != nil {
		o.Hold = *hold
	}
	o.MadeAt, o.ExpiresAt, o.ClosedAt = o.MadeAt.UTC(), timeOf(expires), timeOf(closed)
	return o, err
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

func oneEntry(ctx context.Context, q querier, sql string, args ...any) (Entry, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return Entry{}, fmt.Errorf("read an entry: %w", err)
	}
	e, err := pgx.CollectExactlyOneRow(rows, scanEntry)
	if errors.Is(err, pgx.ErrNoRows) {
		return e, ErrUnknown
	}
	if err != nil {
		return e, fmt.Errorf("read an entry: %w", err)
	}
	return e, nil
}

func oneOffer(ctx context.Context, q querier, sql string, args ...any) (Offer, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return Offer{}, fmt.Errorf("read an offer: %w", err)
	}
	o, err := pgx.CollectExactlyOneRow(rows, scanOffer)
	if errors.Is(err, pgx.ErrNoRows) {
		return o, ErrUnknown
	}
	if err != nil {
		return o, fmt.Errorf("read an offer: %w", err)
	}
	return o, nil
}

func standingOf(ctx context.Context, q querier, event uuid.UUID, entrant lottery.Entrant) (Entry, error) {
	return oneEntry(ctx, q, sqlStanding, event, entrant[:])
}

func standingOffer(ctx context.Context, q querier, entry uuid.UUID) (Offer, error) {
	return oneOffer(ctx, q, sqlStandingOffer, entry)
}

// Find finds an offer and its entry. ErrUnknown.
func (s *Service) Find(ctx context.Context, id uuid.UUID) (o Offer, e Entry, err error) {
	err = s.db.Reading(ctx, func() error {
		if o, err = oneOffer(ctx, s.db.Reader, sqlOffer, id); err != nil {
			return err
		}
		e, err = oneEntry(ctx, s.db.Reader, sqlEntry, o.Entry)
		return err
	})
	return o, e, err
}

// Standing is an entry as its buyer sees it.
type Standing struct {
	Entry
	Ahead  int // how many wait in front; -1 before the draw, and for who does not wait
	Offers []Offer
}

// maxOwn is how many of their entries somebody is shown, the latest first.
const maxOwn = 100

// Of lists an account's entries, whatever became of them, the latest first, with their offers.
func (s *Service) Of(ctx context.Context, account uuid.UUID) ([]Standing, error) {
	var list []Standing
	err := s.db.Reading(ctx, func() error {
		entries, err := listEntries(ctx, s.db.Reader, sqlEntriesOfAccount, account, maxOwn)
		if err != nil {
			return err
		}
		list, err = s.standings(ctx, entries)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the entries of an account: %w", err)
	}
	return list, nil
}

// Own is the entry of a buyer that stands. ErrUnknown.
func (s *Service) Own(ctx context.Context, event uuid.UUID, entrant lottery.Entrant) (own Standing, err error) {
	err = s.db.Reading(ctx, func() error {
		e, err := standingOf(ctx, s.db.Reader, event, entrant)
		if err != nil {
			return err
		}
		list, err := s.standings(ctx, []Entry{e})
		if err == nil {
			own = list[0]
		}
		return err
	})
	return own, err
}

// Entries lists an event's entries in their order, those that are over too if all.
func (s *Service) Entries(ctx context.Context, event uuid.UUID, all bool, limit int) ([]Standing, error) {
	var list []Standing
	err := s.db.Reading(ctx, func() error {
		entries, err := listEntries(ctx, s.db.Reader, sqlEntriesOfEvent, event, all, limit)
		if err != nil {
			return err
		}
		list, err = s.withOffers(ctx, entries)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the waiting list of event %s: %w", event, err)
	}
	return list, nil
}

func listEntries(ctx context.Context, q querier, sql string, args ...any) ([]Entry, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanEntry)
}

// standings is withOffers, with how many wait in front.
func (s *Service) standings(ctx context.Context, entries []Entry) ([]Standing, error) {
	list, err := s.withOffers(ctx, entries)
	if err != nil {
		return nil, err
	}
	for i := range list {
		e := &list[i]
		if e.State != Waiting || e.Place == nil {
			continue
		}
		if err := s.db.Reader.QueryRow(ctx, sqlAhead, e.Event, e.Round, e.Place, e.ID).Scan(&e.Ahead); err != nil {
			return nil, fmt.Errorf("count who waits in front: %w", err)
		}
	}
	return list, nil
}

func (s *Service) withOffers(ctx context.Context, entries []Entry) ([]Standing, error) {
	list, ids, at := make([]Standing, len(entries)), make([]uuid.UUID, len(entries)), make(map[uuid.UUID]int, len(entries))
	for i, e := range entries {
		list[i], ids[i], at[e.ID] = Standing{Entry: e, Ahead: -1}, e.ID, i
	}
	rows, err := s.db.Reader.Query(ctx, sqlOffersOfEntries, ids)
	if err != nil {
		return nil, fmt.Errorf("read offers: %w", err)
	}
	offers, err := pgx.CollectRows(rows, scanOffer)
	if err != nil {
		return nil, fmt.Errorf("read offers: %w", err)
	}
	for _, o := range offers {
		e := &list[at[o.Entry]]
		e.Offers = append(e.Offers, o)
	}
	return list, nil
}

// List is an event's waiting list as such, with its draw.
type List struct {
	Event      uuid.UUID
	Commitment [32]byte
	MadeAt     time.Time
	DrawAt     time.Time // zero until the event is sold out
	DrawnAt    time.Time // zero until the draw
	Entrants   int       // how many were drawn
	Root, Seed [32]byte
	Secret     [32]byte  // zero until the draw
	ClosedAt   time.Time // zero while it offers anything

	secret [32]byte
}

func loadList(ctx context.Context, q querier, event uuid.UUID) (l List, err error) {
	var secret, commitment, root, seed []byte
	var drawAt, drawnAt, closedAt *time.Time
	var entrants *int
	err = q.QueryRow(ctx, sqlList, event).Scan(&l.Event, &secret, &commitment, &l.MadeAt, &drawAt, &drawnAt, &entrants, &root, &seed, &closedAt)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return l, ErrUnknown
	case err != nil:
		return l, fmt.Errorf("read the waiting list of event %s: %w", event, err)
	case len(secret) != len(l.secret) || len(commitment) != len(l.Commitment):
		return l, fmt.Errorf("the waiting list of event %s has a secret or commitment of the wrong length", event)
	}
	l.secret, l.Commitment = [32]byte(secret), [32]byte(commitment)
	l.MadeAt, l.DrawAt, l.DrawnAt, l.ClosedAt = l.MadeAt.UTC(), timeOf(drawAt), timeOf(drawnAt), timeOf(closedAt)
	if drawnAt != nil && entrants != nil && len(root) == 32 && len(seed) == 32 {
		l.Entrants, l.Root, l.Seed, l.Secret = *entrants, [32]byte(root), [32]byte(seed), l.secret
	}
	return l, nil
}

// Load is an event's list. ErrUnknown before anybody has asked.
func (s *Service) Load(ctx context.Context, event uuid.UUID) (l List, err error) {
	err = s.db.Reading(ctx, func() error {
		l, err = loadList(ctx, s.db.Reader, event)
		return err
	})
	return l, err
}

const sqlOffered = `SELECT count(*) FROM waitlist_offers AS o WHERE o.hold_id = $1::UUID AND o.hold_id IS NOT NULL`

// Made tells whether a hold is one that an offer made.
func (s *Service) Made(ctx context.Context, hold uuid.UUID) (bool, error) {
	n := 0
	err := s.db.Reading(ctx, func() error { return s.db.Reader.QueryRow(ctx, sqlOffered, hold).Scan(&n) })
	if err != nil {
		return false, fmt.Errorf("ask whether hold %s was offered: %w", hold, err)
	}
	return n > 0, nil
}
