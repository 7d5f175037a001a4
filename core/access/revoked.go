package access

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
)

// accountIdentity is that of an on-sale whose entrants are accounts.
const accountIdentity = "account"

const (
	sqlMoveSessions = `UPDATE sessions AS s SET session_id = q.session_id, device = q.device, edge_id = q.edge_id
	FROM unnest($1::UUID[], $2::BYTEA[], $3::INT8[], $4::UUID[], $5::BYTEA[], $6::UUID[]) AS q (event_id, entrant, generation, session_id, device, edge_id)
	WHERE s.event_id = q.event_id AND s.entrant = q.entrant AND s.generation = q.generation
	RETURNING s.event_id, s.entrant, s.generation, s.session_id, s.device, s.issued_at, s.expires_at`
	// Kept for longer than an expired session is good for looking at what was bought.
	sqlRevokeSessions = `INSERT INTO revoked_sessions (session_id, revoked_at, keep_until)
	SELECT s, now(), now() + INTERVAL '90 days' FROM unnest($1::UUID[]) AS s ON CONFLICT (session_id) DO NOTHING`
	sqlLoadRevoked = `SELECT session_id, revoked_at FROM revoked_sessions WHERE revoked_at > $1::TIMESTAMPTZ AND keep_until > now()`
)

// move gives sessions to other browsers and ends the former ones.
func (a *redeeming) move(ctx context.Context, tx pgx.Tx, moving []*redemption) error {
	if len(moving) == 0 {
		return nil
	}
	n := len(moving)
	events, ids, edges, ended := make([]uuid.UUID, n), make([]uuid.UUID, n), make([]uuid.UUID, n), make([]uuid.UUID, n)
	entrants, devices, generations := make([][]byte, n), make([][]byte, n), make([]int64, n)
	for i, call := range moving {
		events[i], ids[i], edges[i], ended[i] = call.token.Event, uuid.New(), call.edge, a.sessions[call.key()].Session
		entrants[i], devices[i], generations[i] = call.token.Entrant[:], call.token.Device[:], int64(call.token.Generation)
	}
	rows, err := tx.Query(ctx, sqlMoveSessions, events, entrants, generations, ids, devices, edges)
	if err != nil {
		return fmt.Errorf("move sessions: %w", err)
	}
	if err := a.collect(rows); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, sqlRevokeSessions, ended); err != nil {
		return fmt.Errorf("revoke sessions: %w", err)
	}
	a.ended = ended
	return nil
}

// overlap is how far back revocations are read again: longer than a transaction that writes one may take.
const overlap = time.Minute

// revocations are the sessions that ended before their time. Any goroutine may ask.
type revocations struct {
	mu    sync.RWMutex
	ended map[uuid.UUID]struct{}
	until time.Time // of the newest that was read
}

func (r *revocations) has(session uuid.UUID) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, ended := r.ended[session]
	return ended
}

func (r *revocations) add(sessions []uuid.UUID) {
	if len(sessions) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range sessions {
		r.ended[s] = struct{}{}
	}
}

// refresh reads what other cores revoked. Only one goroutine calls it.
func (r *revocations) refresh(ctx context.Context, database *db.DB) error {
	since := time.Unix(0, 0)
	if !r.until.IsZero() {
		since = r.until.Add(-overlap)
	}
	rows, err := database.Reader.Query(ctx, sqlLoadRevoked, since)
	if err != nil {
		return fmt.Errorf("read the revoked sessions: %w", err)
	}
	var session uuid.UUID
	var at time.Time
	var found []uuid.UUID
	newest := r.until
	if _, err := pgx.ForEachRow(rows, []any{&session, &at}, func() error {
		found = append(found, session)
		if at.After(newest) {
			newest = at
		}
		return nil
	}); err != nil {
		return fmt.Errorf("read the revoked sessions: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended == nil {
		r.ended = make(map[uuid.UUID]struct{}, len(found))
	}
	for _, s := range found {
		r.ended[s] = struct{}{}
	}
	r.until = newest
	return nil
}
