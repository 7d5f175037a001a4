package access

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/edge/lottery"
)

// Keys of edges are replaced and revoked by key; what an edge has to do about it comes with its feed.
//
//   - Replaced: the edge makes another key and registers it, and signs with the old one until then. The old key is revoked once no
//     token that it signed can be good any more. No buyer notices.
//   - Revoked: from that instant core takes no token of it, at other cores within edgeCacheTTL. The edge hears of it with its feed, or when
//     core refuses a token, and makes another key. Whoever claims meanwhile is told to wait and keeps the turn.
//   - An edge that is thrown out (RevokeEdge) is not enrolled again under its id.

var (
	// ErrEdgeRevoked means that the edge was thrown out. Another id is another edge.
	ErrEdgeRevoked = errors.New("the edge was thrown out")
	// ErrNoEdge means that no edge has the id.
	ErrNoEdge = errors.New("there is no such edge")
)

const (
	// replacedKeyGrace is how long a key that has a successor goes on being believed: as long as the longest token.
	replacedKeyGrace = 10 * time.Minute
	// clockTolerance is from which difference on an edge's clock is called wrong. The edge goes by core's in any case.
	clockTolerance = 5 * time.Second
	// edgesListed bounds a list of edges, which has those seen within a day and those thrown out.
	edgesListed = 1000
)

const (
	sqlReplaceKeys = `UPDATE edge_keys SET replace_at = now()
	WHERE valid_until > now() AND revoked_at IS NULL AND replace_at IS NULL
	AND ($1::UUID = '00000000-0000-0000-0000-000000000000' OR edge_id = $1) AND ($2::UUID = '00000000-0000-0000-0000-000000000000' OR event_id = $2)`
	sqlRevokeSomeKeys = `UPDATE edge_keys SET revoked_at = now(), replace_at = COALESCE(replace_at, now())
	WHERE valid_until > now() AND (revoked_at IS NULL OR revoked_at > now())
	AND edge_id = $1::UUID AND ($2::UUID = '00000000-0000-0000-0000-000000000000' OR event_id = $2)`
	sqlEndReplaced = `UPDATE edge_keys SET revoked_at = now() + $4::INT8 * INTERVAL '1 millisecond'
	WHERE edge_id = $1 AND event_id = $2 AND key_id <> $3 AND replace_at IS NOT NULL AND revoked_at IS NULL`
	sqlLoadReplaced = `SELECT edge_id, key_id, COALESCE(revoked_at <= now(), false) FROM edge_keys
	WHERE replace_at IS NOT NULL AND valid_until > now() ORDER BY edge_id, key_id`
	sqlEdges = `SELECT e.edge_id, e.enrolled_at, e.seen_at, e.revoked_at, e.clock_ahead_ms, e.seen_at > now() - $1::INT8 * INTERVAL '1 millisecond',
	(SELECT count(*) FROM edge_keys AS k WHERE k.edge_id = e.edge_id AND k.valid_until > now() AND (k.revoked_at IS NULL OR k.revoked_at > now())),
	(SELECT count(*) FROM edge_keys AS k WHERE k.edge_id = e.edge_id AND k.valid_until > now() AND k.replace_at IS NOT NULL AND k.revoked_at IS NULL)
	FROM edges AS e WHERE e.seen_at > now() - INTERVAL '1 day' OR e.revoked_at IS NOT NULL ORDER BY e.edge_id LIMIT $2`
	sqlEdgeKnown = `SELECT EXISTS (SELECT 1 FROM edges WHERE edge_id = $1)`
)

// EdgeStatus is an edge as core knows it.
type EdgeStatus struct {
	Edge               uuid.UUID
	EnrolledAt, SeenAt time.Time
	RevokedAt          *time.Time // nil: not thrown out
	ClockAhead         time.Duration
	ClockWrong         bool // off by more than a few seconds; harmless, but worth mending
	Live               bool // seen within Config.EdgeLive
	Keys               int  // that core believes now, of all events
	Replacing          int  // of them, those that are to be replaced and have no successor yet
}

// Edges lists the edges that were seen within a day, and those that were thrown out.
func (r *Room) Edges(ctx context.Context) ([]EdgeStatus, error) {
	rows, err := r.db.Reader.Query(ctx, sqlEdges, r.cfg.EdgeLive.Milliseconds(), int64(edgesListed))
	if err != nil {
		return nil, fmt.Errorf("list the edges: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e EdgeStatus, err error) {
		var clock, keys, replacing int64
		err = row.Scan(&e.Edge, &e.EnrolledAt, &e.SeenAt, &e.RevokedAt, &clock, &e.Live, &keys, &replacing)
		e.ClockAhead, e.Keys, e.Replacing = time.Duration(clock)*time.Millisecond, int(keys), int(replacing)
		e.ClockWrong = e.ClockAhead.Abs() > clockTolerance
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("list the edges: %w", err)
	}
	return list, nil
}

// ReplaceEdgeKeys has edges sign with other keys, within a few seconds: of one edge or, with uuid.Nil, of all; for one event or, with "",
// for all. It says how many keys are to be replaced. Asking again while they are changes nothing. ErrNoEdge, ErrNoSale.
func (r *Room) ReplaceEdgeKeys(ctx context.Context, edge uuid.UUID, slug string) (int, error) {
	return r.changeKeys(ctx, sqlReplaceKeys, edge, slug)
}

// RevokeEdgeKeys makes the keys of an edge worthless from now on, at other cores within two seconds, for one event or, with "", for all.
// The edge makes others. An edge that somebody else holds is thrown out with RevokeEdge.
func (r *Room) RevokeEdgeKeys(ctx context.Context, edge uuid.UUID, slug string) (int, error) {
	if edge == uuid.Nil {
		return 0, ErrNoEdge
	}
	n, err := r.changeKeys(ctx, sqlRevokeSomeKeys, edge, slug)
	r.edges.forget(edge)
	return n, err
}

func (r *Room) changeKeys(ctx context.Context, statement string, edge uuid.UUID, slug string) (int, error) {
	event := uuid.Nil
	if slug != "" {
		sale, err := r.deps.Sales(ctx, slug)
		if err != nil {
			return 0, fmt.Errorf("load the event %q: %w", slug, err)
		}
		event = sale.Event
		if event == uuid.Nil {
			event = lottery.EventID(slug)
		}
	}
	if edge != uuid.Nil {
		if err := r.edgeKnown(ctx, edge); err != nil {
			return 0, err
		}
	}
	tag, err := r.db.Exec(ctx, statement, edge, event)
	if err != nil {
		return 0, fmt.Errorf("change the keys of edges: %w", err)
	}
	if err := r.refreshReplaced(ctx); err != nil {
		return 0, err
	}
	return int(tag.RowsAffected()), nil
}

func (r *Room) edgeKnown(ctx context.Context, edge uuid.UUID) error {
	var known bool
	if err := r.db.Reader.QueryRow(ctx, sqlEdgeKnown, edge).Scan(&known); err != nil {
		return fmt.Errorf("look for edge %s: %w", edge, err)
	}
	if !known {
		return ErrNoEdge
	}
	return nil
}

// KeyNotice tells an edge of one of its keys that it needs another, and whether that one is worth nothing already.
type KeyNotice struct {
	Key     uuid.UUID
	Revoked bool
}

// replacements are the notices for all edges. Any goroutine may ask.
type replacements struct {
	mu      sync.RWMutex
	version uint64
	byEdge  map[uuid.UUID][]KeyNotice
}

func (p *replacements) of(edge uuid.UUID) ([]KeyNotice, uint64) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.byEdge[edge], p.version
}

// refreshReplaced reads which keys are to be replaced, and wakes the edges if that has changed.
func (r *Room) refreshReplaced(ctx context.Context) error {
	rows, err := r.db.Reader.Query(ctx, sqlLoadReplaced)
	if err != nil {
		return fmt.Errorf("read the keys to be replaced: %w", err)
	}
	byEdge := make(map[uuid.UUID][]KeyNotice)
	var edge uuid.UUID
	var notice KeyNotice
	if _, err := pgx.ForEachRow(rows, []any{&edge, &notice.Key, &notice.Revoked}, func() error {
		byEdge[edge] = append(byEdge[edge], notice)
		return nil
	}); err != nil {
		return fmt.Errorf("read the keys to be replaced: %w", err)
	}
	p := &r.replaced
	p.mu.Lock()
	changed := !maps.EqualFunc(p.byEdge, byEdge, slices.Equal)
	if changed {
		p.byEdge = byEdge
		p.version++
	}
	p.mu.Unlock()
	if changed {
		r.feed.wake()
	}
	return nil
}
