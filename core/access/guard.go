package access

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/edge/lottery"
)

// What an edge's filter decides about an entrant is the edge's to decide and core's to keep: with the reasons, so that it can be
// explained, and with what an operator makes of it. Core never acts on it. What core decides itself, of those who take something outside
// the waiting room (outside.go), is kept in the same way.

var (
	// ErrVerdictInvalid means that an edge's verdict is not of the form that is kept.
	ErrVerdictInvalid = errors.New("access: verdict is not valid")
	// ErrVerdictUnknown means that there is no verdict on an entrant.
	ErrVerdictUnknown = errors.New("access: no verdict on the entrant")
)

const (
	// maxVerdicts is how many verdicts an edge may send at once, and maxReasons how many reasons one may have.
	maxVerdicts = 500
	maxReasons  = 32
	// maxSaid bounds a reason's words, in bytes.
	maxSaid = 200
	// maxLifts is how many entrants that were lifted edges hear of, the newest first.
	maxLifts = 10_000
	// liftsTTL is how long core goes by the lifts it has read.
	liftsTTL = time.Second
)

// Reason is one signal of a verdict.
type Reason struct {
	Signal string  `json:"signal"`
	Points float64 `json:"points"`
	Said   string  `json:"said"`
}

// Verdict is what an edge's filter made of an entrant at one moment.
type Verdict struct {
	ID      uuid.UUID
	At      time.Time
	Event   string // slug
	Entrant lottery.Entrant
	Device  lottery.DeviceHash
	Edge    uuid.UUID // uuid.Nil: core itself
	// Network is the prefix the entrant came from, /24 or /48 and never an address; NetworkHash names it in bans.
	Network     string
	NetworkHash [8]byte
	Place       string // join or claim; hold or offer outside the waiting room
	Answer      string // noted, asked, cleared, denied or slowed
	By          string // what was asked for, or what cleared
	Score       float64
	Level       string
	Reasons     []Reason
}

// Lift is an operator's word that an entrant is to pass the filter.
type Lift struct {
	Reason, Actor string
	At            time.Time
}

func (v *Verdict) check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrVerdictInvalid, fmt.Sprintf(format, args...))
	}
	switch {
	case v.ID == uuid.Nil || v.At.IsZero():
		return bad("it needs an id and a time")
	case !lottery.ValidSlug(v.Event):
		return bad("%.80q is no event", v.Event)
	case v.Place != "join" && v.Place != "claim" && v.Place != PlaceHold && v.Place != PlaceOffer:
		return bad("place %.20q", v.Place)
	case v.Answer != "noted" && v.Answer != "asked" && v.Answer != "cleared" && v.Answer != "denied" && v.Answer != "slowed":
		return bad("answer %.20q", v.Answer)
	case len(v.Network) > 64 || len(v.By) > 32 || len(v.Level) > 32:
		return bad("a text is too long")
	case !(v.Score >= 0 && v.Score <= 1000):
		return bad("score %v", v.Score)
	case len(v.Reasons) > maxReasons:
		return bad("%d reasons", len(v.Reasons))
	case v.Answer == "denied" && len(v.Reasons) < 2:
		return bad("nobody is denied for %d reasons", len(v.Reasons))
	}
	for _, r := range v.Reasons {
		if len(r.Signal) > 64 || len(r.Said) > maxSaid || !(r.Points >= 0 && r.Points <= 1000) {
			return bad("reason %.64q", r.Signal)
		}
	}
	return nil
}

const (
	sqlAddVerdicts = `INSERT INTO guard_verdicts (entrant, at, verdict_id, event_id, event, edge_id, device, network, network_hash, place, answer, by_what, score, level, reasons)
	SELECT q.entrant, q.at, q.verdict_id, q.event_id, q.event, $6, q.device, q.network, q.network_hash, q.place, q.answer, q.by_what, q.score, q.level, q.reasons
	FROM unnest($1::BYTEA[], $2::TIMESTAMPTZ[], $3::UUID[], $4::UUID[], $5::TEXT[], $7::BYTEA[], $8::TEXT[], $9::BYTEA[], $10::TEXT[], $11::TEXT[], $12::TEXT[],
		$13::INT8[], $14::TEXT[], $15::TEXT[])
		AS q (entrant, at, verdict_id, event_id, event, device, network, network_hash, place, answer, by_what, score, level, reasons)
	ON CONFLICT (entrant, at, verdict_id) DO NOTHING`
	verdictColumns     = `entrant, at, verdict_id, event, edge_id, device, network, network_hash, place, answer, by_what, score, level, reasons`
	sqlVerdictsOf      = `SELECT ` + verdictColumns + ` FROM guard_verdicts WHERE entrant = $1 ORDER BY at DESC, verdict_id DESC LIMIT $2`
	sqlVerdictsOfEvent = `SELECT ` + verdictColumns + ` FROM guard_verdicts
	WHERE event_id = $1 AND ($2 = '' OR answer = $2) AND (at, verdict_id) < ($3, $4) ORDER BY at DESC, verdict_id DESC LIMIT $5`
	sqlCountVerdicts = `SELECT answer, by_what, count(*), count(DISTINCT entrant) FROM guard_verdicts WHERE event_id = $1 GROUP BY answer, by_what ORDER BY answer, by_what`
	sqlLift          = `INSERT INTO guard_lifts (entrant, reason, actor, lifted_at) VALUES ($1, $2, $3, now())
	ON CONFLICT (entrant) DO UPDATE SET reason = excluded.reason, actor = excluded.actor, lifted_at = now()`
	sqlLiftOf = `SELECT reason, actor, lifted_at FROM guard_lifts WHERE entrant = $1`
	sqlLifts  = `SELECT entrant FROM guard_lifts ORDER BY lifted_at DESC, entrant LIMIT $1`
)

// KeepVerdicts puts an edge's verdicts on record. Sent again they add nothing. An error means that none is known to be kept.
func (r *Room) KeepVerdicts(ctx context.Context, edge uuid.UUID, verdicts []Verdict) error {
	if len(verdicts) > maxVerdicts {
		return fmt.Errorf("%w: %d verdicts, at most %d", ErrTooMany, len(verdicts), maxVerdicts)
	}
	if len(verdicts) == 0 {
		return nil
	}
	n := len(verdicts)
	entrants, devices, hashes := make([][]byte, n), make([][]byte, n), make([][]byte, n)
	ats, ids, events, scores := make([]time.Time, n), make([]uuid.UUID, n), make([]uuid.UUID, n), make([]int64, n)
	slugs, networks, places, answers, bys, levels, reasons := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n),
		make([]string, n), make([]string, n)
	for i := range verdicts {
		v := &verdicts[i]
		if err := v.check(); err != nil {
			return err
		}
		why, err := json.Marshal(v.Reasons)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrVerdictInvalid, err)
		}
		entrants[i], devices[i], hashes[i] = v.Entrant[:], v.Device[:], v.NetworkHash[:]
		ats[i], ids[i], events[i], scores[i] = v.At.UTC().Truncate(time.Microsecond), v.ID, lottery.EventID(v.Event), int64(v.Score*10)
		slugs[i], networks[i], places[i], answers[i], bys[i], levels[i], reasons[i] = v.Event, v.Network, v.Place, v.Answer, v.By, v.Level, string(why)
	}
	if _, err := r.db.Exec(ctx, sqlAddVerdicts, entrants, ats, ids, events, slugs, edge, devices, networks, hashes, places, answers, bys, scores, levels, reasons); err != nil {
		return fmt.Errorf("write verdicts: %w", err)
	}
	for i := range verdicts {
		countVerdict(verdicts[i].Answer)
	}
	return nil
}

// VerdictsOf are the newest verdicts on an entrant, the newest first, and the lift if there is one. ErrVerdictUnknown when there is
// neither.
func (r *Room) VerdictsOf(ctx context.Context, entrant lottery.Entrant, limit int) ([]Verdict, *Lift, error) {
	verdicts, err := r.readVerdicts(ctx, sqlVerdictsOf, entrant[:], int64(limit))
	if err != nil {
		return nil, nil, err
	}
	var lift *Lift
	var l Lift
	switch err := r.db.Reader.QueryRow(ctx, sqlLiftOf, entrant[:]).Scan(&l.Reason, &l.Actor, &l.At); {
	case err == nil:
		lift = &l
	case !errors.Is(err, pgx.ErrNoRows):
		return nil, nil, fmt.Errorf("look whether an entrant was lifted: %w", err)
	}
	if len(verdicts) == 0 && lift == nil {
		return nil, nil, ErrVerdictUnknown
	}
	return verdicts, lift, nil
}

// VerdictMark is where a list of verdicts goes on: after the one of that time and id. The zero mark begins with the newest.
type VerdictMark struct {
	At time.Time
	ID uuid.UUID
}

// VerdictsOfEvent lists verdicts of an event, the newest first, those with an answer or, with "", all.
func (r *Room) VerdictsOfEvent(ctx context.Context, slug, answer string, after VerdictMark, limit int) ([]Verdict, error) {
	if after.At.IsZero() {
		after.At = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return r.readVerdicts(ctx, sqlVerdictsOfEvent, lottery.EventID(slug), answer, after.At, after.ID, int64(limit))
}

func (r *Room) readVerdicts(ctx context.Context, sql string, args ...any) ([]Verdict, error) {
	rows, err := r.db.Reader.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("read verdicts: %w", err)
	}
	verdicts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (v Verdict, err error) {
		var entrant, device, hash []byte
		var score int64
		var why string
		if err := row.Scan(&entrant, &v.At, &v.ID, &v.Event, &v.Edge, &device, &v.Network, &hash, &v.Place, &v.Answer, &v.By, &score, &v.Level, &why); err != nil {
			return v, err
		}
		copy(v.Entrant[:], entrant)
		copy(v.Device[:], device)
		copy(v.NetworkHash[:], hash)
		v.Score = float64(score) / 10
		return v, json.Unmarshal([]byte(why), &v.Reasons)
	})
	if err != nil {
		return nil, fmt.Errorf("read verdicts: %w", err)
	}
	return verdicts, nil
}

// VerdictCount is how many verdicts of a kind there are, on how many entrants.
type VerdictCount struct {
	Answer, By         string
	Verdicts, Entrants int
}

// CountVerdicts counts the verdicts of an event.
func (r *Room) CountVerdicts(ctx context.Context, slug string) ([]VerdictCount, error) {
	rows, err := r.db.Reader.Query(ctx, sqlCountVerdicts, lottery.EventID(slug))
	if err != nil {
		return nil, fmt.Errorf("count verdicts: %w", err)
	}
	counts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c VerdictCount, err error) {
		err = row.Scan(&c.Answer, &c.By, &c.Verdicts, &c.Entrants)
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("count verdicts: %w", err)
	}
	return counts, nil
}

// LiftVerdict lets an entrant pass the filter from now on, on every edge within some five seconds. ErrVerdictUnknown when nothing is
// held against them. Their place is what it was.
func (r *Room) LiftVerdict(ctx context.Context, entrant lottery.Entrant, reason, actor string) error {
	if reason == "" || len(reason) > maxBanReason {
		return fmt.Errorf("%w: a reason of 1 to %d bytes is needed", ErrVerdictInvalid, maxBanReason)
	}
	if _, _, err := r.VerdictsOf(ctx, entrant, 1); err != nil {
		return err
	}
	if _, err := r.db.Exec(ctx, sqlLift, entrant[:], reason, actor); err != nil {
		return fmt.Errorf("lift a verdict: %w", err)
	}
	return nil
}

// liftList is what edges are told of lifts, read at most once a second.
type liftList struct {
	mu       sync.Mutex
	readAt   time.Time
	version  uint64
	entrants []lottery.Entrant // never changed once it is here
}

// Lifts are the entrants that were lifted, and a version that is the same at every core for the same list and never 0.
func (r *Room) Lifts(ctx context.Context) (uint64, []lottery.Entrant, error) {
	r.lifts.mu.Lock()
	defer r.lifts.mu.Unlock() // across the read: one asks for all
	if time.Since(r.lifts.readAt) < liftsTTL {
		return r.lifts.version, r.lifts.entrants, nil
	}
	rows, err := r.db.Reader.Query(ctx, sqlLifts, int64(maxLifts))
	if err != nil {
		return 0, nil, fmt.Errorf("read lifts: %w", err)
	}
	entrants, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e lottery.Entrant, err error) {
		var raw []byte
		if err := row.Scan(&raw); err != nil {
			return e, err
		}
		copy(e[:], raw)
		return e, nil
	})
	if err != nil {
		return 0, nil, fmt.Errorf("read lifts: %w", err)
	}
	var content bytes.Buffer
	for _, e := range entrants {
		content.Write(e[:])
	}
	sum := sha256.Sum256(content.Bytes())
	r.lifts.readAt, r.lifts.entrants = time.Now(), entrants
	r.lifts.version = binary.BigEndian.Uint64(sum[:])>>12 | 1 // 52 bits, which every JSON reader keeps whole
	return r.lifts.version, entrants, nil
}
