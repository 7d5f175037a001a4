package access

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/edge/admission"
	"fairgate/edge/lottery"
)

// Redemption is an admission token shown by a browser at an edge.
type Redemption struct {
	Edge   uuid.UUID // that passes it on; any edge may pass on another's token
	Event  string
	Token  []byte
	Device lottery.DeviceHash // of the browser
	// Account is the entrant that the account is which is signed in in the browser; nil: none. Where accounts are the identity nobody
	// else gets the entrant's turn, and it does on any device.
	Account *lottery.Entrant
	// AccountID is the account itself, for its bans.
	AccountID uuid.UUID
	// Move takes the turn over from the browser that has it, whose session ends.
	Move bool
}

// Redeemed is the answer: a sealed session, or why not.
type Redeemed struct {
	Session   []byte
	ExpiresAt time.Time
	Err       error
}

// redemption is a token on its way through the lane, with what the pool says about its entrant.
type redemption struct {
	edge  uuid.UUID
	token admission.Token
	rec   record
	moves bool // to this device from another

	session admission.Session // filled in by the commit
	err     error
}

// Redeem exchanges admission tokens for sessions, in order. A token only counts as an edge's word that the browser is
// there: the pool says whose turn it is and on which device, and the committed cursor whether it has come. There is one
// session per entrant and on-sale; whoever asks again with the same device gets the same one. An error instead of
// answers means that the database could not decide; asking again is right.
func (r *Room) Redeem(ctx context.Context, items []Redemption) ([]Redeemed, error) {
	if len(items) > r.cfg.MaxRedeemBatch {
		return nil, fmt.Errorf("%w: %d tokens, at most %d", ErrTooMany, len(items), r.cfg.MaxRedeemBatch)
	}
	answers := make([]Redeemed, len(items))
	calls := make([]*redemption, len(items))
	var batch []*redemption
	asked := time.Now()
	for i, item := range items {
		call, err := r.examine(ctx, item, asked)
		switch {
		case err == nil:
			calls[i] = call
			batch = append(batch, call)
		case isRefusal(err):
			answers[i].Err = err
		default:
			return nil, err
		}
	}
	if len(batch) > 0 {
		if _, err := r.redeems.Do(ctx, batch); err != nil {
			return nil, fmt.Errorf("redeem tokens: %w", err)
		}
	}
	ring := r.rings.global.Load()
	for i, call := range calls {
		if call == nil {
			countRedemption(answers[i].Err)
			continue
		}
		if answers[i].Err = call.err; call.err == nil {
			call.session.KeyNo = ring.newest
			answers[i].Session = call.session.Seal(nil, ring.core.Find(ring.newest), ring.filter.Find(ring.newest))
			answers[i].ExpiresAt = call.session.ExpiresAt
		}
		countRedemption(call.err)
	}
	return answers, nil
}

// refusals are the answers of Redeem that are about the token and not about core.
var refusals = []error{
	ErrNoSale, ErrEnded, ErrPaused, ErrSoldOut, ErrTokenMalformed, ErrTokenForged, ErrTokenExpired, ErrTokenKeyUnknown,
	ErrTokenOtherEvent, ErrNotInPool, ErrNotCalled, ErrRoomFull, ErrBoundElsewhere, ErrDeviceMismatch, ErrBanned, ErrSessionExpired, ErrAccountNeeded,
}

func isRefusal(err error) bool {
	return slices.ContainsFunc(refusals, func(refusal error) bool { return errors.Is(err, refusal) })
}

// examine checks all that memory can answer. Before it refuses, memory is as new as the request.
func (r *Room) examine(ctx context.Context, item Redemption, asked time.Time) (*redemption, error) {
	s, err := r.onSaleOf(ctx, item.Event)
	if err != nil {
		return nil, err
	}
	token, err := r.verifyToken(ctx, s.event, item.Token)
	if err != nil {
		return nil, err
	}
	if token.Device != item.Device {
		return nil, ErrDeviceMismatch
	}
	v := s.snapshot()
	rec, ready := v.called(token)
	if !ready { // this core may be behind the one that drives
		if err := s.refreshSince(ctx, asked); err != nil {
			return nil, err
		}
		v = s.snapshot()
		rec, ready = v.called(token)
	}
	byAccount := v.sale.Identity == accountIdentity
	switch {
	case token.Generation != v.draw.generation:
		return nil, ErrTokenOtherEvent
	case !rec.drawn:
		return nil, ErrNotInPool
	case byAccount && (item.Account == nil || *item.Account != rec.Entrant):
		return nil, ErrAccountNeeded
	case !byAccount && rec.Device != token.Device:
		return nil, ErrBoundElsewhere
	case byAccount && (r.bans.has(BanDevice, token.Device[:]) || r.bans.has(BanAccount, item.AccountID[:])):
		return nil, ErrBanned
	case r.bans.has(BanEntrant, rec.Entrant[:]), r.bans.has(BanDevice, rec.Device[:]), r.bans.has(BanNetwork, rec.Network[:]):
		return nil, ErrBanned
	case !ready:
		return nil, ErrNotCalled
	}
	return &redemption{edge: item.Edge, token: token, rec: rec, moves: byAccount && item.Move}, nil
}

// called is the record of the token's entrant, and whether the cursor known here has reached it.
func (v snapshot) called(t admission.Token) (record, bool) {
	if t.Generation != v.draw.generation {
		return record{}, false
	}
	rec, _ := v.pool.find(t.Entrant)
	return rec, rec.drawn && v.draw.covers(rec.place())
}

// verifyToken checks form, key, signature, event and times of a token.
func (r *Room) verifyToken(ctx context.Context, event uuid.UUID, raw []byte) (admission.Token, error) {
	token, err := admission.Parse(raw)
	if err != nil {
		return token, fmt.Errorf("%w: %w", ErrTokenMalformed, err)
	}
	key, err := r.edgeKey(ctx, token.KeyID)
	if err != nil {
		return token, err
	}
	_, err = admission.Verify(raw, key.public, r.now())
	switch {
	case errors.Is(err, admission.ErrExpired):
		return token, ErrTokenExpired
	case err != nil:
		return token, fmt.Errorf("%w: %w", ErrTokenForged, err)
	case token.Event != event || key.event != event:
		return token, ErrTokenOtherEvent
	case !key.covers(token):
		return token, ErrTokenKeyUnknown
	case token.IssuedAt.After(r.now().Add(maxKeyLead)):
		return token, ErrTokenForged // from the future: made to be kept
	}
	return token, nil
}

const (
	sqlLoadSessions = `SELECT s.event_id, s.entrant, s.generation, s.session_id, s.device, s.issued_at, s.expires_at
	FROM unnest($1::UUID[], $2::BYTEA[], $3::INT8[]) AS q (event_id, entrant, generation)
	JOIN sessions AS s ON s.event_id = q.event_id AND s.entrant = q.entrant AND s.generation = q.generation`
	// The time of issue is taken from the clock and not from the transaction's start: it must lie after the cursor that
	// the transaction has read, or a verifier would take the session for one given too early.
	sqlAddSessions = `INSERT INTO sessions (event_id, entrant, generation, session_id, device, edge_id, window_no, band, value, issued_at, expires_at)
	SELECT q.event_id, q.entrant, q.generation, q.session_id, q.device, q.edge_id, q.window_no, q.band, q.value, clock_timestamp(),
		clock_timestamp() + q.ttl * INTERVAL '1 millisecond'
	FROM unnest($1::UUID[], $2::BYTEA[], $3::INT8[], $4::UUID[], $5::BYTEA[], $6::UUID[], $7::INT8[], $8::INT8[], $9::BYTEA[], $10::INT8[])
		AS q (event_id, entrant, generation, session_id, device, edge_id, window_no, band, value, ttl)
	RETURNING event_id, entrant, generation, session_id, device, issued_at, expires_at`
)

// sessionKey is what there is one session for.
type sessionKey struct {
	event      uuid.UUID
	entrant    lottery.Entrant
	generation uint32
}

func (c *redemption) key() sessionKey {
	return sessionKey{c.token.Event, c.token.Entrant, c.token.Generation}
}

// commitRedemptions is the lane's commit. It decides by the rows of draws it reads itself: memory is only a hint.
func (r *Room) commitRedemptions(ctx context.Context, requests [][]*redemption) ([]struct{}, error) {
	var calls []*redemption
	for _, request := range requests {
		calls = append(calls, request...)
	}
	// One order on every core keeps two of them from waiting for each other.
	slices.SortStableFunc(calls, func(a, b *redemption) int {
		if c := strings.Compare(string(a.token.Event[:]), string(b.token.Event[:])); c != 0 {
			return c
		}
		return strings.Compare(string(a.token.Entrant[:]), string(b.token.Entrant[:]))
	})
	ttls := r.sessionTTLs(calls)
	doors, waiting := r.doorsteps.due(time.Now())
	var outcome redeeming
	attempt := func() error {
		return r.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
			outcome = redeeming{calls: calls, ttls: ttls, sessions: make(map[sessionKey]admission.Session)}
			if len(doors) > 0 {
				if _, err := tx.Exec(ctx, sqlTellDoors, doors, waiting); err != nil {
					return fmt.Errorf("tell who waits at the doors: %w", err)
				}
			}
			return outcome.run(ctx, tx)
		})
	}
	err := attempt()
	if db.IsUnique(err) { // another core gave one of these sessions meanwhile, and now it is there to be read
		err = attempt()
	}
	if err != nil {
		return nil, err
	}
	for i, call := range calls {
		call.session, call.err = outcome.sessions[call.key()], outcome.refused[i]
	}
	r.revoked.add(outcome.ended)
	r.doorsteps.note(calls, time.Now())
	return make([]struct{}, len(requests)), nil
}

// sessionTTLs are the lives of sessions of the events of the batch.
func (r *Room) sessionTTLs(calls []*redemption) map[uuid.UUID]time.Duration {
	ttls := make(map[uuid.UUID]time.Duration)
	for _, call := range calls {
		if _, known := ttls[call.token.Event]; known {
			continue
		}
		r.mu.Lock()
		s := r.sales[call.token.Event]
		r.mu.Unlock()
		ttls[call.token.Event] = s.snapshot().sale.SessionTTL
	}
	return ttls
}

// redeeming is one attempt to redeem a batch.
type redeeming struct {
	calls    []*redemption
	ttls     map[uuid.UUID]time.Duration
	refused  []error
	sessions map[sessionKey]admission.Session
	ended    []uuid.UUID // sessions whose turn went to another browser
}

func (a *redeeming) run(ctx context.Context, tx pgx.Tx) error {
	a.refused = make([]error, len(a.calls))
	var events, keyEvents []uuid.UUID
	var entrants [][]byte
	var generations []int64
	for event := range a.ttls {
		events = append(events, event)
	}
	for _, call := range a.calls {
		keyEvents = append(keyEvents, call.token.Event)
		entrants, generations = append(entrants, call.token.Entrant[:]), append(generations, int64(call.token.Generation))
	}
	draws, err := loadDraws(ctx, tx, events)
	if err != nil {
		return err
	}
	rows, err := tx.Query(ctx, sqlLoadSessions, keyEvents, entrants, generations)
	if err != nil {
		return fmt.Errorf("load sessions: %w", err)
	}
	if err := a.collect(rows); err != nil {
		return err
	}
	doors, err := loadDoors(ctx, tx, events)
	if err != nil {
		return err
	}
	var fresh, moving []*redemption
	given := make(map[sessionKey]lottery.DeviceHash)
	for i, call := range a.calls {
		d, key := draws[call.token.Event], call.key()
		session, exists := a.sessions[key]
		device, now := given[key]
		switch {
		case exists && !now && session.Device != call.token.Device && call.moves && !session.Expired(d.now):
			given[key] = call.token.Device
			moving = append(moving, call)
		case now && device == call.token.Device:
		case exists && session.Device != call.token.Device, now && device != call.token.Device:
			a.refused[i] = ErrBoundElsewhere
		case exists && session.Expired(d.now):
			a.refused[i] = ErrSessionExpired
		case exists:
		default:
			if a.refused[i] = d.admits(call); a.refused[i] != nil {
				continue
			}
			door := doorKey{key.event, key.generation}
			if left, limited := doors[door]; limited {
				if left <= 0 {
					a.refused[i] = ErrRoomFull
					continue
				}
				doors[door]--
			}
			given[key] = call.token.Device
			fresh = append(fresh, call)
		}
	}
	if err := a.add(ctx, tx, fresh); err != nil {
		return err
	}
	if err := a.move(ctx, tx, moving); err != nil {
		return err
	}
	return passDoors(ctx, tx, fresh)
}

// admits decides by the committed row whether an entrant who has no session yet gets one.
func (d *draw) admits(call *redemption) error {
	switch {
	case d.generation != call.token.Generation:
		return ErrTokenOtherEvent
	case d.phase == Ended || !d.now.Before(d.endsAt):
		return ErrEnded
	case d.paused:
		return ErrPaused
	case d.phase == SoldOut:
		return ErrSoldOut
	case !d.covers(call.rec.place()):
		return ErrNotCalled
	}
	return nil
}

// add writes the new sessions with one statement.
func (a *redeeming) add(ctx context.Context, tx pgx.Tx, fresh []*redemption) error {
	if len(fresh) == 0 {
		return nil
	}
	n := len(fresh)
	events, ids, edges := make([]uuid.UUID, n), make([]uuid.UUID, n), make([]uuid.UUID, n)
	entrants, devices, values := make([][]byte, n), make([][]byte, n), make([][]byte, n)
	generations, windows, bands, ttls := make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	for i, call := range fresh {
		events[i], ids[i], edges[i] = call.token.Event, uuid.New(), call.edge
		entrants[i], devices[i] = call.token.Entrant[:], call.token.Device[:]
		values[i] = binary.BigEndian.AppendUint64(nil, call.rec.value)
		generations[i], windows[i], bands[i] = int64(call.token.Generation), int64(call.rec.Window), int64(call.rec.Band)
		ttls[i] = max(a.ttls[call.token.Event], time.Second).Milliseconds()
	}
	rows, err := tx.Query(ctx, sqlAddSessions, events, entrants, generations, ids, devices, edges, windows, bands, values, ttls)
	if err != nil {
		return fmt.Errorf("write sessions: %w", err)
	}
	return a.collect(rows)
}

func (a *redeeming) collect(rows pgx.Rows) error {
	defer rows.Close()
	for rows.Next() {
		var s admission.Session
		var entrant, device []byte
		var generation int64
		if err := rows.Scan(&s.Event, &entrant, &generation, &s.Session, &device, &s.IssuedAt, &s.ExpiresAt); err != nil {
			return fmt.Errorf("scan a session: %w", err)
		}
		if len(entrant) != len(s.Entrant) || len(device) != len(s.Device) {
			return fmt.Errorf("session %s has an entrant or device of the wrong length", s.Session)
		}
		s.Entrant, s.Device, s.Generation = lottery.Entrant(entrant), lottery.DeviceHash(device), uint32(generation)
		a.sessions[sessionKey{s.Event, s.Entrant, s.Generation}] = s
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read sessions: %w", err)
	}
	return nil
}
