package access

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/edge/lottery"
)

// longestSale is how many windows an on-sale without a given end has at most, so that the longest chain covers it even
// after its last window is rounded up by coarse.
const longestSale = lottery.MaxChain - lottery.MaxChain/16

// chainSlack is how much longer than scheduled an on-sale may run with its chain, so that its end can be put off.
const chainSlack = 2

// Schedule sets when an event's on-sale opens for joining, sells and ends; a zero joiningAt or endsAt means the event's
// and the room's default. The first Schedule, and the first after an on-sale has ended, starts a generation with a new
// chain, whose commitment is public from then on. A later one moves the times as long as the sale instant has not come.
func (r *Room) Schedule(ctx context.Context, slug string, opensAt, joiningAt, endsAt time.Time) (Status, error) {
	return r.ScheduleWithBeacon(ctx, slug, opensAt, joiningAt, endsAt, "")
}

// ScheduleWithBeacon is Schedule with the name of a public value that nobody can know before window 0 is sealed: where and
// when it can be read. The commitment covers the name, so it cannot be changed later, ErrBeaconFixed; scheduling again
// without a name leaves it as it is. Window 0 is drawn once Beacon has told the value. ErrBeaconName.
func (r *Room) ScheduleWithBeacon(ctx context.Context, slug string, opensAt, joiningAt, endsAt time.Time, beacon string) (Status, error) {
	return r.ScheduleAs(ctx, slug, Scheduling{OpensAt: opensAt, JoiningAt: joiningAt, EndsAt: endsAt, Beacon: beacon})
}

// Scheduling is when an on-sale joins, opens and ends, and of what it is.
type Scheduling struct {
	OpensAt, JoiningAt, EndsAt time.Time
	Beacon                     string // see ScheduleWithBeacon
	// Presale makes it the on-sale of that presale. Its times are within the presale's, which they are when they are left zero.
	Presale string
}

// ScheduleAs is ScheduleWithBeacon of general sale or of a presale. While an on-sale is scheduled or runs, one whose joining opens when
// that is over is noted as coming after it, in place of what was noted for the same presale before; it begins by itself. Where no time to
// join is given and the event's default would have joining open before the on-sale before is over, it opens then. ErrPresaleUnknown, Overlap.
func (r *Room) ScheduleAs(ctx context.Context, slug string, as Scheduling) (Status, error) {
	if as.OpensAt.IsZero() && as.Presale == "" {
		return Status{}, fmt.Errorf("%w: no sale instant is given", ErrTimes)
	}
	if as.Beacon != "" && !lottery.ValidBeaconName(as.Beacon) {
		return Status{}, ErrBeaconName
	}
	asked := plan{opensAt: as.OpensAt, joiningAt: as.JoiningAt, endsAt: as.EndsAt, beacon: as.Beacon, presale: as.Presale}
	if as.Presale != "" {
		sale, err := r.deps.Sales(ctx, slug)
		if err != nil {
			return Status{}, fmt.Errorf("load the event %q: %w", slug, err)
		}
		p, err := sale.presale(as.Presale)
		if err != nil {
			return Status{}, err
		}
		if asked.opensAt.IsZero() {
			asked.opensAt = p.From
		}
		if asked.endsAt.IsZero() {
			asked.endsAt = p.Until
		}
		if asked.opensAt.Before(p.From) || asked.endsAt.After(p.Until) {
			return Status{}, fmt.Errorf("%w: the presale %s is from %s to %s", ErrTimes, p.ID, p.From.UTC().Format(time.RFC3339), p.Until.UTC().Format(time.RFC3339))
		}
	}
	return r.schedule(ctx, slug, asked)
}

// Open makes now the sale instant: of the scheduled on-sale, or of a new one when none is. Once the sale instant has
// come it does nothing. ErrCancelled for an event that was cancelled, as of Schedule and Resume.
func (r *Room) Open(ctx context.Context, slug string) (Status, error) {
	return r.schedule(ctx, slug, plan{})
}

func (r *Room) schedule(ctx context.Context, slug string, asked plan) (Status, error) {
	sale, err := r.deps.Sales(ctx, slug)
	if err != nil {
		return Status{}, fmt.Errorf("load the event %q: %w", slug, err)
	}
	secret, err := newSecret()
	if err != nil {
		return Status{}, err
	}
	event := lottery.EventID(slug)
	leave, err := r.takeTurn(ctx, event)
	if err != nil {
		return Status{}, err
	}
	err = r.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		plan := asked
		plan.room, plan.sale, plan.secret = r, sale, secret
		return plan.run(ctx, tx, event, slug)
	})
	leave()
	if err != nil {
		return Status{}, fmt.Errorf("schedule %q: %w", slug, err)
	}
	return r.changed(ctx, slug)
}

func newSecret() ([32]byte, error) {
	var secret [32]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return secret, fmt.Errorf("draw the secret of a chain: %w", err)
	}
	return secret, nil
}

// plan is one attempt to schedule. A zero opensAt means now, an empty beacon the one there is.
type plan struct {
	room                       *Room
	sale                       Sale
	opensAt, joiningAt, endsAt time.Time
	beacon, presale            string
	secret                     [32]byte
}

const (
	sqlAddDraw = `INSERT INTO draws (event_id, slug, generation, phase, joining_at, opens_at, ends_at, window_seconds, chain_secret,
	chain_length, commitment, blocks, next_window, cursor_set, cursor_window, cursor_band, cursor_value, called, paused, message,
	version, epoch, updated_at, beacon, presale)
	VALUES ($1, $2, 1, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0, false, 0, 0, $11, 0, false, '', 1, 0, now(), $12, $13)`
	sqlNextGeneration = `UPDATE draws SET generation = generation + 1, phase = $2, joining_at = $3, opens_at = $4, ends_at = $5,
	window_seconds = $6, chain_secret = $7, chain_length = $8, commitment = $9, blocks = 0, next_window = 0, cursor_set = false,
	cursor_window = 0, cursor_band = 0, cursor_value = $10, called = 0, paused = false, message = '', version = version + 1,
	updated_at = now(), beacon = $11, beacon_value = $12, root = $12, presale = $13
	WHERE event_id = $1`
	sqlReschedule = `UPDATE draws SET phase = $2, joining_at = $3, opens_at = $4, ends_at = $5, version = version + 1, updated_at = now()
	WHERE event_id = $1`
)

const sqlCancelledEvent = `SELECT EXISTS (SELECT 1 FROM events WHERE event_id = $1 AND state = 'cancelled')`

// takesPlace is ErrCancelled for an event that was cancelled. It asks in the transaction that puts it on sale: another core may
// have cancelled it a moment ago.
func takesPlace(ctx context.Context, tx pgx.Tx, event uuid.UUID) error {
	var cancelled bool
	if err := tx.QueryRow(ctx, sqlCancelledEvent, event).Scan(&cancelled); err != nil {
		return fmt.Errorf("look whether the event is cancelled: %w", err)
	}
	if cancelled {
		return ErrCancelled
	}
	return nil
}

var noValue = make([]byte, 8) // of a cursor that is not set

func (p *plan) run(ctx context.Context, tx pgx.Tx, event uuid.UUID, slug string) error {
	if err := takesPlace(ctx, tx, event); err != nil {
		return err
	}
	old, err := loadDraw(ctx, tx, event)
	known := true
	if errors.Is(err, ErrNoSale) {
		known = false
		if err := tx.QueryRow(ctx, sqlNow).Scan(&old.now); err != nil {
			return fmt.Errorf("read the database's clock: %w", err)
		}
	} else if err != nil {
		return err
	}
	over := !known || old.phase == Ended || !old.now.Before(old.endsAt)
	immediate := p.opensAt.IsZero()
	if !over && !immediate && (p.presale != old.presale || !old.now.Before(old.opensAt)) {
		if err := p.joinAfter(ctx, tx, event, &old); err != nil {
			return err
		}
		err := p.complete(old.now)
		if p.presale == old.presale && (err != nil || p.joiningAt.Before(old.endsAt)) {
			return ErrStarted
		}
		if err != nil {
			return err
		}
		return p.enqueue(ctx, tx, event, &old)
	}
	switch {
	case !over && !old.now.Before(old.opensAt):
		if immediate {
			return nil // open already
		}
		return ErrStarted
	case immediate:
		p.opensAt, p.joiningAt = old.now, old.now
		if !over {
			// As long as it was to last: an end months away would outlast the chain.
			p.endsAt = old.now.Add(old.endsAt.Sub(old.opensAt))
			if old.presale != "" && p.endsAt.After(old.endsAt) {
				p.endsAt = old.endsAt // of the presale
			}
			if old.joiningAt.Before(old.now) {
				p.joiningAt = old.joiningAt
			}
		}
	}
	if err := p.complete(old.now); err != nil {
		return err
	}
	next := draw{joiningAt: p.joiningAt, opensAt: p.opensAt, endsAt: p.endsAt}
	phase := string(next.nextPhase(old.now, false))
	if !over {
		if p.beacon != "" && p.beacon != old.beacon {
			return ErrBeaconFixed
		}
		if !immediate { // which makes it end no later than it was to
			if err := p.apart(ctx, tx, event, func(Planned) bool { return true }); err != nil {
				return err
			}
		}
		if windows := p.windows(old.window); windows > old.chainLength {
			return fmt.Errorf("%w: the committed chain covers %d windows, that would be %d", ErrTimes, old.chainLength, windows)
		}
		if _, err := tx.Exec(ctx, sqlReschedule, event, phase, p.joiningAt, p.opensAt, p.endsAt); err != nil {
			return fmt.Errorf("move the times: %w", err)
		}
		return p.record(ctx, tx, event)
	}
	window := p.window()
	length := min(max(p.room.cfg.ChainLength, chainSlack*p.windows(window)), lottery.MaxChain)
	if p.windows(window) > length {
		return fmt.Errorf("%w: windows of %s do not cover %s", ErrTimes, window, p.endsAt.Sub(p.opensAt))
	}
	chain, err := lottery.NewChain(event, p.secret, length)
	if err != nil {
		return fmt.Errorf("make the chain: %w", err)
	}
	commitment := lottery.Commit(chain.Commitment(), p.beacon)
	seconds := int64(window / time.Second)
	if !known {
		_, err = tx.Exec(ctx, sqlAddDraw, event, slug, phase, p.joiningAt, p.opensAt, p.endsAt, seconds, p.secret[:], int64(length), commitment[:], noValue, p.beacon, p.presale)
	} else {
		_, err = tx.Exec(ctx, sqlNextGeneration, event, phase, p.joiningAt, p.opensAt, p.endsAt, seconds, p.secret[:], int64(length), commitment[:], noValue,
			p.beacon, []byte{}, p.presale)
	}
	if err != nil {
		return fmt.Errorf("write the on-sale: %w", err)
	}
	return p.record(ctx, tx, event)
}

// record notes what the generation committed to.
func (p *plan) record(ctx context.Context, tx pgx.Tx, event uuid.UUID) error {
	if _, err := tx.Exec(ctx, sqlAddGeneration, event); err != nil {
		return fmt.Errorf("record the on-sale: %w", err)
	}
	return nil
}

// window is the length of windows of a new on-sale: whole seconds, as the state object tells it.
func (p *plan) window() time.Duration { return max(p.sale.Window.Truncate(time.Second), time.Second) }

// complete fills in the defaults and checks the times against each other and the clock.
func (p *plan) complete(now time.Time) error {
	if p.joiningAt.IsZero() {
		p.joiningAt = p.opensAt.Add(-p.sale.JoiningBefore)
	}
	if p.endsAt.IsZero() {
		p.endsAt = p.opensAt.Add(min(p.room.cfg.Duration, longestSale*p.window()))
	}
	switch {
	case p.opensAt.Before(now):
		return fmt.Errorf("%w: the sale instant %s has passed", ErrTimes, p.opensAt.UTC().Format(time.RFC3339))
	case p.joiningAt.After(p.opensAt):
		return fmt.Errorf("%w: joining would open after the sale instant", ErrTimes)
	case !p.endsAt.After(p.opensAt):
		return fmt.Errorf("%w: it would end before it opens", ErrTimes)
	}
	return nil
}

// windows is how many links the on-sale can use, the last window rounded up by coarse.
func (p *plan) windows(window time.Duration) int {
	last := min(p.endsAt.Sub(p.opensAt)/window+1, math.MaxInt32)
	return int(coarse(uint32(last))) + 1
}

const (
	sqlPause = `UPDATE draws SET paused = true, message = $2, version = version + 1, updated_at = now(),
	phase = CASE WHEN next_window > 0 THEN 'paused' ELSE phase END WHERE event_id = $1 AND phase <> 'ended'`
	sqlResume = `UPDATE draws SET paused = false, message = $2, version = version + 1, updated_at = now(),
	phase = CASE WHEN phase = 'paused' THEN 'open' ELSE phase END WHERE event_id = $1 AND phase <> 'ended'`
	sqlEnd = `UPDATE draws SET phase = 'ended', message = $2, version = version + 1, updated_at = now()
	WHERE event_id = $1 AND phase <> 'ended'`
	sqlCancel = `UPDATE draws SET phase = 'ended', message = $2, version = version + 1, updated_at = now()
	WHERE event_id = $1 AND (phase <> 'ended' OR message <> $2)`
)

// Pause stops calling, admitting and new holds, with a message for the page. Joining and the draw go on, and whoever holds
// something may still pay for it.
func (r *Room) Pause(ctx context.Context, slug, message string) (Status, error) {
	return r.operate(ctx, slug, sqlPause, message)
}

// Resume ends a pause; the message replaces the earlier one.
func (r *Room) Resume(ctx context.Context, slug, message string) (Status, error) {
	return r.operate(ctx, slug, sqlResume, message)
}

// End closes the on-sale for good: nobody joins, is called or admitted any more.
func (r *Room) End(ctx context.Context, slug, message string) (Status, error) {
	return r.operate(ctx, slug, sqlEnd, message)
}

// Cancel is End for an event that will not take place: the message is shown even if the on-sale was over before. Doing it again
// changes nothing.
func (r *Room) Cancel(ctx context.Context, slug, message string) (Status, error) {
	status, err := r.operate(ctx, slug, sqlCancel, message)
	if errors.Is(err, ErrEnded) {
		return r.Status(ctx, slug)
	}
	return status, err
}

func (r *Room) operate(ctx context.Context, slug, statement, message string) (Status, error) {
	s, err := r.onSaleOf(ctx, slug)
	if err != nil {
		return Status{}, err
	}
	leave, err := r.takeTurn(ctx, s.event)
	if err != nil {
		return Status{}, err
	}
	changed := false
	err = r.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if statement == sqlResume {
			if err := takesPlace(ctx, tx, s.event); err != nil {
				return err
			}
		}
		tag, err := tx.Exec(ctx, statement, s.event, message)
		if err != nil {
			return fmt.Errorf("change the on-sale: %w", err)
		}
		changed = tag.RowsAffected() == 1
		return nil
	})
	leave()
	if err != nil {
		return Status{}, fmt.Errorf("change the on-sale of %q: %w", slug, err)
	}
	if !changed {
		return Status{}, ErrEnded
	}
	return r.changed(ctx, slug)
}

// takeTurn waits for the turn to write the row of an event, if the event has one.
func (r *Room) takeTurn(ctx context.Context, event uuid.UUID) (leave func(), err error) {
	s, err := r.onSaleByID(ctx, event)
	if errors.Is(err, ErrNoSale) {
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	if err := s.turn.enter(ctx); err != nil {
		return nil, err
	}
	return s.turn.leave, nil
}

// changed brings memory up to date after the operator changed something, and tells how things stand.
func (r *Room) changed(ctx context.Context, slug string) (Status, error) {
	s, err := r.onSaleOf(ctx, slug)
	if err != nil {
		return Status{}, err
	}
	s.outdate()
	if err := s.refresh(ctx); err != nil {
		return Status{}, err
	}
	s.wake()
	return r.Status(ctx, slug)
}
