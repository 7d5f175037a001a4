package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/edge/lottery"
)

// A presale is an on-sale like any other: a generation with its own commitment, pool, receipts, draw, cursor and sessions. What makes it
// one is that it sells another allocation, within its own times, to those who have a right to it: entrants who were invited, or
// accounts that registered. Who was let in by it buys from its allocation alone, and who was let in by general sale from none of
// them (Shop). On-sales come one after the other: the next is scheduled while the one before still runs, and begins when that is over.

var (
	// ErrPresaleUnknown means that the event has no such presale.
	ErrPresaleUnknown = errors.New("the event has no such presale")
	// ErrNotRegistered means that the presale is for accounts that registered, and the entrant is none.
	ErrNotRegistered = errors.New("not registered for the presale")
	// ErrOverlap means that an on-sale would begin before the one before it is over.
	ErrOverlap = errors.New("the on-sale overlaps with another")
	// ErrPresaleEnded means that the presale is over, by the event's file or since its on-sale was ended and does not come again.
	ErrPresaleEnded = errors.New("the presale is over")
	// ErrPresaleFree means that nobody has to register for the presale.
	ErrPresaleFree = errors.New("the presale has no list")
)

// Overlap says with which on-sale one would overlap that people would join and that would end at these times. It is an ErrOverlap.
type Overlap struct {
	JoiningAt, EndsAt time.Time
	Other             Planned
}

func (o *Overlap) Error() string {
	return fmt.Sprintf("%v: joining from %s, to the end at %s, and another is from %s to %s", ErrOverlap, o.JoiningAt.UTC().Format(time.RFC3339),
		o.EndsAt.UTC().Format(time.RFC3339), o.Other.JoiningAt.UTC().Format(time.RFC3339), o.Other.EndsAt.UTC().Format(time.RFC3339))
}

// Is makes an Overlap an ErrOverlap.
func (o *Overlap) Is(target error) bool { return target == ErrOverlap }

// Presale is a window in which those who have a right to it are sold an allocation.
type Presale struct {
	ID         string
	Identity   string // of its entrants: "invitation", or "account" where Registered
	Registered bool   // only accounts that registered may join
	Word       bool   // to register takes the presale's word
	Allocation string
	From       time.Time
	Until      time.Time // exclusive
}

// within is the sale as one of its presales has it, or general sale. A presale that the event has no more sells nothing to nobody new.
func (s Sale) within(presale string) Sale {
	if presale == "" {
		return s
	}
	for _, p := range s.Presales {
		if p.ID == presale {
			s.Identity, s.Registered, s.Allocation = p.Identity, p.Registered, p.Allocation
			return s
		}
	}
	s.Registered, s.Allocation = true, "\x00" // nobody is registered, and there is no such allocation
	return s
}

// presale is a presale of the event by its id; ErrPresaleUnknown.
func (s *Sale) presale(id string) (Presale, error) {
	for _, p := range s.Presales {
		if p.ID == id {
			return p, nil
		}
	}
	return Presale{}, fmt.Errorf("%w: %q", ErrPresaleUnknown, id)
}

// Calendar is an event's on-sales, as far as they are scheduled: the one there is, or was last, and those that come after it, in order.
type Calendar struct {
	Current Planned
	Phase   Phase
	Next    []Planned
	Past    []string // presales that had their on-sale before Current
}

// Passed tells whether a presale's on-sale is over, if need be earlier than the event's file says, and none of its own comes again.
func (c *Calendar) Passed(presale string) bool {
	return presale != "" && presale != c.Current.Presale && slices.Contains(c.Past, presale) &&
		!slices.ContainsFunc(c.Next, func(p Planned) bool { return p.Presale == presale })
}

// Over tells whether general sale is sold out, or is over and does not come again.
func (c *Calendar) Over() bool {
	return c.Current.Presale == "" && (c.Phase == SoldOut || c.Phase == Ended && len(c.Next) == 0)
}

// Calendar tells an event's on-sales, from memory: right to two seconds. Errors are those of Phase.
func (r *Room) Calendar(ctx context.Context, slug string) (Calendar, error) {
	s, err := r.onSaleOf(ctx, slug)
	if err != nil {
		return Calendar{}, err
	}
	v := s.snapshot()
	return Calendar{Phase: v.draw.phase, Next: v.next, Past: v.past,
		Current: Planned{Presale: v.draw.presale, JoiningAt: v.draw.joiningAt, OpensAt: v.draw.opensAt, EndsAt: v.draw.endsAt}}, nil
}

// SellsInMemory is the allocation that an event's on-sale sells, "" for what is on general sale, which it also is where no on-sale is known
// in memory. It never asks the database.
func (r *Room) SellsInMemory(event uuid.UUID) (allocation string) {
	r.mu.Lock()
	s := r.sales[event]
	r.mu.Unlock()
	if s == nil {
		return ""
	}
	v := s.snapshot()
	if v.draw.phase == Ended { // what is left of a presale is nobody's any more
		return ""
	}
	return v.sale.Allocation
}

// Shop says which presale somebody shops in whom that on-sale of the event let in; "" is general sale. ErrEnded when the on-sale is not
// the current one any more: what they hold they may still pay for.
func (r *Room) Shop(ctx context.Context, slug string, generation uint32) (presale string, err error) {
	s, err := r.onSaleOf(ctx, slug)
	if err != nil {
		return "", err
	}
	d := s.snapshot().draw
	if d.generation < generation { // scheduled at another core a moment ago
		if err := s.refresh(ctx); err != nil {
			return "", err
		}
		d = s.snapshot().draw
	}
	if d.generation != generation {
		return "", ErrEnded
	}
	return d.presale, nil
}

const (
	sqlRegister = `INSERT INTO presale_registrations (event_id, presale, entrant, registered_at)
	SELECT $1, $2, e, now() FROM unnest($3::BYTEA[]) AS e ON CONFLICT (event_id, presale, entrant) DO NOTHING`
	sqlRegisteredOf = `SELECT entrant FROM presale_registrations WHERE event_id = $1 AND presale = $2 AND entrant = ANY($3::BYTEA[])`
	sqlPresaleEnded = `SELECT NOT EXISTS (SELECT 1 FROM draw_plans WHERE event_id = $1 AND presale = $2)
	AND EXISTS (SELECT 1 FROM draw_generations WHERE event_id = $1 AND presale = $2)
	AND NOT EXISTS (SELECT 1 FROM draws WHERE event_id = $1 AND presale = $2 AND phase <> 'ended' AND ends_at > now())`
	sqlRegistered = `SELECT count(*) FROM presale_registrations WHERE event_id = $1 AND presale = $2`
)

// maxRegistered bounds how many are registered at once.
const maxRegistered = 1000

// Register gives accounts, as the entrants they are in the event, the right to a presale. Registering twice is registering once. It says
// how many were new. ErrPresaleUnknown, ErrPresaleFree, ErrPresaleEnded, ErrTooMany.
func (r *Room) Register(ctx context.Context, slug, presale string, entrants []lottery.Entrant) (int, error) {
	if len(entrants) > maxRegistered {
		return 0, fmt.Errorf("%w: %d to register, at most %d", ErrTooMany, len(entrants), maxRegistered)
	}
	p, err := r.presaleOf(ctx, slug, presale)
	switch {
	case err != nil:
		return 0, err
	case !p.Registered:
		return 0, ErrPresaleFree
	case !r.now().Before(p.Until):
		return 0, ErrPresaleEnded
	}
	event := lottery.EventID(slug)
	var ended bool
	if err := r.db.Reader.QueryRow(ctx, sqlPresaleEnded, event, presale).Scan(&ended); err != nil {
		return 0, fmt.Errorf("look whether a presale is over: %w", err)
	}
	if ended {
		return 0, ErrPresaleEnded
	}
	raw := make([][]byte, len(entrants))
	for i := range entrants {
		raw[i] = entrants[i][:]
	}
	tag, err := r.db.Exec(ctx, sqlRegister, event, presale, raw)
	if err != nil {
		return 0, fmt.Errorf("register for a presale: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

// Registered is how many are registered for a presale.
func (r *Room) Registered(ctx context.Context, slug, presale string) (int, error) {
	var n int64
	if err := r.db.Reader.QueryRow(ctx, sqlRegistered, lottery.EventID(slug), presale).Scan(&n); err != nil {
		return 0, fmt.Errorf("count who is registered: %w", err)
	}
	return int(n), nil
}

// unregistered are those of entrants who have no right to the presale, by index.
func (r *Room) unregistered(ctx context.Context, event uuid.UUID, presale string, joins []Join) (map[lottery.Entrant]bool, error) {
	out := make(map[lottery.Entrant]bool, len(joins))
	raw := make([][]byte, len(joins))
	for i := range joins {
		raw[i], out[joins[i].Entrant] = joins[i].Entrant[:], true
	}
	rows, err := r.db.Reader.Query(ctx, sqlRegisteredOf, event, presale, raw)
	if err != nil {
		return nil, fmt.Errorf("look who is registered: %w", err)
	}
	var found []byte
	if _, err := pgx.ForEachRow(rows, []any{&found}, func() error {
		if len(found) == len(lottery.Entrant{}) {
			delete(out, lottery.Entrant(found))
		}
		return nil
	}); err != nil {
		return nil, fmt.Errorf("look who is registered: %w", err)
	}
	return out, nil
}

const (
	sqlAddGeneration = `INSERT INTO draw_generations (event_id, generation, presale, commitment, chain_length, beacon, joining_at, opens_at, ends_at, scheduled_at)
	SELECT event_id, generation, presale, commitment, chain_length, beacon, joining_at, opens_at, ends_at, now() FROM draws WHERE event_id = $1
	ON CONFLICT (event_id, generation) DO UPDATE SET joining_at = excluded.joining_at, opens_at = excluded.opens_at, ends_at = excluded.ends_at`
	sqlAddPlan = `INSERT INTO draw_plans (event_id, opens_at, joining_at, ends_at, presale, beacon) VALUES ($1, $2, $3, $4, $5, $6)
	ON CONFLICT (event_id, opens_at) DO UPDATE SET joining_at = excluded.joining_at, ends_at = excluded.ends_at, presale = excluded.presale, beacon = excluded.beacon`
	sqlPlansOf = `SELECT opens_at, joining_at, ends_at, presale, beacon FROM draw_plans WHERE event_id = $1 ORDER BY opens_at`
	sqlPastOf  = `SELECT DISTINCT g.presale FROM draw_generations AS g JOIN draws AS d ON d.event_id = g.event_id
	WHERE g.event_id = $1 AND g.generation < d.generation AND g.presale <> ''`
	sqlDropPlan    = `DELETE FROM draw_plans WHERE event_id = $1 AND opens_at = $2`
	sqlDropPresale = `DELETE FROM draw_plans WHERE event_id = $1 AND presale = $2 AND opens_at <> $3`
	sqlPlansDue    = `SELECT DISTINCT p.event_id, d.slug FROM draw_plans AS p JOIN draws AS d ON d.event_id = p.event_id
	WHERE d.phase = 'ended' OR d.ends_at <= now()`
	sqlGeneration = `SELECT presale, commitment, chain_length, beacon, (SELECT count(*) FROM draw_blocks AS b WHERE b.event_id = $1 AND b.generation = $2)
	FROM draw_generations WHERE event_id = $1 AND generation = $2`
)

// Planned is an on-sale that comes after the current one.
type Planned struct {
	Presale   string    `json:"presale"` // empty: general sale
	JoiningAt time.Time `json:"joining_at"`
	OpensAt   time.Time `json:"opens_at"`
	EndsAt    time.Time `json:"ends_at"`
	beacon    string
}

// plansOf are the on-sales that come after the current one, in order.
func plansOf(ctx context.Context, q querier, event uuid.UUID) ([]Planned, error) {
	rows, err := q.Query(ctx, sqlPlansOf, event)
	if err != nil {
		return nil, fmt.Errorf("load the on-sales that are planned: %w", err)
	}
	plans, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p Planned, err error) {
		err = row.Scan(&p.OpensAt, &p.JoiningAt, &p.EndsAt, &p.Presale, &p.beacon)
		p.OpensAt, p.JoiningAt, p.EndsAt = p.OpensAt.UTC(), p.JoiningAt.UTC(), p.EndsAt.UTC()
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("load the on-sales that are planned: %w", err)
	}
	return plans, nil
}

// pastOf are the presales whose on-sales were before the current one.
func pastOf(ctx context.Context, q querier, event uuid.UUID) ([]string, error) {
	rows, err := q.Query(ctx, sqlPastOf, event)
	if err != nil {
		return nil, fmt.Errorf("load the presales that are over: %w", err)
	}
	past, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("load the presales that are over: %w", err)
	}
	return past, nil
}

// enqueue notes the plan as one that comes after the current on-sale, in place of an earlier plan for the same presale.
func (p *plan) enqueue(ctx context.Context, tx pgx.Tx, event uuid.UUID, current *draw) error {
	if p.joiningAt.Before(current.endsAt) {
		return p.overlap(Planned{Presale: current.presale, JoiningAt: current.joiningAt.UTC(), OpensAt: current.opensAt.UTC(), EndsAt: current.endsAt.UTC()})
	}
	if err := p.apart(ctx, tx, event, func(o Planned) bool { return o.Presale != p.presale }); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, sqlDropPresale, event, p.presale, p.opensAt); err != nil {
		return fmt.Errorf("replace the plan: %w", err)
	}
	if _, err := tx.Exec(ctx, sqlAddPlan, event, p.opensAt, p.joiningAt, p.endsAt, p.presale, p.beacon); err != nil {
		return fmt.Errorf("plan the on-sale: %w", err)
	}
	return nil
}

func (p *plan) overlap(other Planned) error {
	return &Overlap{JoiningAt: p.joiningAt.UTC(), EndsAt: p.endsAt.UTC(), Other: other}
}

// joinAfter has joining open when the on-sale before is over, where none is given and the event's default would have it open earlier.
func (p *plan) joinAfter(ctx context.Context, tx pgx.Tx, event uuid.UUID, current *draw) error {
	if !p.joiningAt.IsZero() {
		return nil
	}
	planned, err := plansOf(ctx, tx, event)
	if err != nil {
		return err
	}
	p.joiningAt = p.opensAt.Add(-p.sale.JoiningBefore)
	for _, o := range append(planned, Planned{Presale: current.presale, EndsAt: current.endsAt}) {
		if o.Presale != p.presale && o.EndsAt.After(p.joiningAt) && !o.EndsAt.After(p.opensAt) {
			p.joiningAt = o.EndsAt
		}
	}
	return nil
}

// apart is ErrOverlap when the plan overlaps with one of those that come after the current on-sale.
func (p *plan) apart(ctx context.Context, tx pgx.Tx, event uuid.UUID, from func(Planned) bool) error {
	others, err := plansOf(ctx, tx, event)
	if err != nil {
		return err
	}
	for _, o := range others {
		if from(o) && p.joiningAt.Before(o.EndsAt) && o.JoiningAt.Before(p.endsAt) {
			return p.overlap(o)
		}
	}
	return nil
}

// succeed begins the on-sales that come after one that is over. Any core may; who comes second finds nothing left to do.
func (r *Room) succeed(ctx context.Context) error {
	rows, err := r.db.Reader.Query(ctx, sqlPlansDue)
	if err != nil {
		return fmt.Errorf("look for on-sales to begin: %w", err)
	}
	due := make(map[uuid.UUID]string)
	var event uuid.UUID
	var slug string
	if _, err := pgx.ForEachRow(rows, []any{&event, &slug}, func() error { due[event] = slug; return nil }); err != nil {
		return fmt.Errorf("look for on-sales to begin: %w", err)
	}
	for event, slug := range due {
		if err := r.succeedOne(ctx, event, slug); err != nil {
			return fmt.Errorf("begin the next on-sale of %q: %w", slug, err)
		}
	}
	return nil
}

func (r *Room) succeedOne(ctx context.Context, event uuid.UUID, slug string) error {
	sale, err := r.deps.Sales(ctx, slug)
	if err != nil {
		return err
	}
	secret, err := newSecret()
	if err != nil {
		return err
	}
	leave, err := r.takeTurn(ctx, event)
	if err != nil {
		return err
	}
	begun := ""
	err = r.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		begun = ""
		old, err := loadDraw(ctx, tx, event)
		if err != nil || old.phase != Ended && old.now.Before(old.endsAt) {
			return err
		}
		plans, err := plansOf(ctx, tx, event)
		if err != nil || len(plans) == 0 {
			return err
		}
		next := plans[0]
		if _, err := tx.Exec(ctx, sqlDropPlan, event, next.OpensAt); err != nil {
			return fmt.Errorf("take the plan: %w", err)
		}
		cancelled := takesPlace(ctx, tx, event)
		if errors.Is(cancelled, ErrCancelled) || !old.now.Before(next.EndsAt) {
			return nil // it would have been over before it began
		}
		p := plan{room: r, sale: sale, secret: secret, presale: next.Presale, beacon: next.beacon, joiningAt: next.JoiningAt, opensAt: next.OpensAt, endsAt: next.EndsAt}
		if p.opensAt.Before(old.now) { // nobody was there to begin it in time
			p.opensAt, p.joiningAt = old.now.Add(r.cfg.Tick), old.now
		}
		begun = next.Presale + " "
		return p.run(ctx, tx, event, slug)
	})
	leave()
	if err != nil || begun == "" {
		return err
	}
	r.cfg.Log.Info("the next on-sale begins", "event", slug, "presale", begun[:len(begun)-1])
	_, err = r.changed(ctx, slug)
	return err
}
