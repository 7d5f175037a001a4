package checkout

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// verifyOrders is how many orders a verification reads at a time.
const verifyOrders = 500

// maxFindings is how many findings a report spells out; the others are only counted.
const maxFindings = 100

// Finding is something in the audit trail that is not as it was written.
type Finding struct {
	Order  uuid.UUID // uuid.Nil where it is about no one order
	Kind   FindingKind
	Detail string
}

// FindingKind says what is wrong.
type FindingKind string

// The kinds of findings.
const (
	StepAltered    FindingKind = "step_altered"    // a row does not have the content that it was hashed with
	StepMissing    FindingKind = "step_missing"    // a row is gone
	StepInserted   FindingKind = "step_inserted"   // a row is there that was never written by an order
	StepMoved      FindingKind = "step_moved"      // a row has another place than it had
	TailMissing    FindingKind = "tail_missing"    // the order ends before a step that was sealed
	SealDiffers    FindingKind = "seal_differs"    // the chain is whole, and is not the one that was sealed
	HeadDiffers    FindingKind = "head_differs"    // the order's row does not know the end of its chain
	OrderMissing   FindingKind = "order_missing"   // steps or seals of an order that is gone
	WebhookAltered FindingKind = "webhook_altered" // the payload of a provider's event is not the one that was applied
	WebhookMissing FindingKind = "webhook_missing" // it is gone
	SealBroken     FindingKind = "seal_broken"     // a seal, or a head it covers, is altered, gone or added
	SealMissing    FindingKind = "seal_missing"    // a seal that was noted elsewhere is not there, or is another one
)

// Verification is what was looked at, and what was found. Unsealed orders have steps that wait for a seal, normally for some
// seconds: of those, a tail that was cut off together with the order's own count would not show. Unchained steps were written
// before there were chains.
type Verification struct {
	Orders, Steps, Webhooks, Seals, Heads int64
	Unsealed, Unchained                   int64
	Newest                                []SealNote // of each writer, the latest first; what to note elsewhere
	Found                                 int64
	Findings                              []Finding // the first of them
}

// OK tells whether nothing was found.
func (v *Verification) OK() bool { return v.Found == 0 }

func (v *Verification) find(order uuid.UUID, kind FindingKind, format string, args ...any) {
	if v.Found++; len(v.Findings) < maxFindings {
		v.Findings = append(v.Findings, Finding{Order: order, Kind: kind, Detail: fmt.Sprintf(format, args...)})
	}
}

const sqlVerifyOrders = `SELECT order_id, events, head FROM orders WHERE order_id > $1 ORDER BY order_id LIMIT $2`

const sqlVerifyOrder = `SELECT order_id, events, head FROM orders WHERE order_id = $1`

const sqlVerifySteps = `
SELECT e.order_id, e.seq, e.cause, e.from_state, e.to_state, e.actor, e.reason, e.source, e.source_hash, e.at, e.hash
FROM unnest($1::UUID[]) AS k (order_id)
JOIN order_events AS e ON e.order_id = k.order_id
ORDER BY e.order_id, e.seq`

const sqlVerifyHeads = `
SELECT h.order_id, h.events, h.head
FROM unnest($1::UUID[]) AS k (order_id)
JOIN order_heads AS h ON h.order_id = k.order_id
ORDER BY h.order_id, h.events`

const sqlVerifyWebhooks = `
SELECT w.provider, w.webhook_id, w.payload
FROM unnest($1::TEXT[], $2::TEXT[]) AS k (provider, webhook_id)
JOIN webhooks AS w ON w.provider = k.provider AND w.webhook_id = k.webhook_id`

const sqlStrayOrders = `
SELECT DISTINCT x.order_id
FROM (SELECT e.order_id FROM order_events AS e UNION SELECT h.order_id FROM order_heads AS h) AS x
LEFT JOIN orders AS o ON o.order_id = x.order_id
WHERE o.order_id IS NULL
ORDER BY x.order_id LIMIT $1`

const sqlVerifySeals = `SELECT writer, sequence, heads, hash, sealed_at FROM order_seals ORDER BY writer, sequence`

const sqlSealedHeads = `
SELECT writer, sequence, order_id, events, head FROM order_heads ORDER BY writer, sequence, order_id, events`

// SealNote is a seal as it can be noted outside the database: who may rewrite all of it, the latest seals too, cannot rewrite
// that.
type SealNote struct {
	Writer   uuid.UUID
	Sequence int64
	Hash     []byte
	At       time.Time // not part of the note
}

// String is the note: WRITER/SEQUENCE/HASH, the hash in hexadecimal.
func (n SealNote) String() string { return fmt.Sprintf("%s/%d/%x", n.Writer, n.Sequence, n.Hash) }

// ErrSealNote means that a text is no note of a seal.
var ErrSealNote = errors.New("checkout: no note of a seal")

// ParseSealNote reads what String writes.
func ParseSealNote(text string) (SealNote, error) {
	parts := strings.Split(text, "/")
	if len(parts) != 3 {
		return SealNote{}, ErrSealNote
	}
	writer, badWriter := uuid.Parse(parts[0])
	sequence, badSequence := strconv.ParseInt(parts[1], 10, 64)
	hash, badHash := hex.DecodeString(parts[2])
	if badWriter != nil || badSequence != nil || badHash != nil || sequence < 1 || len(hash) != sha256.Size {
		return SealNote{}, ErrSealNote
	}
	return SealNote{Writer: writer, Sequence: sequence, Hash: hash}, nil
}

// maxNewest bounds Verification.Newest.
const maxNewest = 20

// Verify recomputes the audit trail in one snapshot: the chain of every order, the webhooks that steps came from, and the
// chain of every writer's seals. With order it looks at that one, its webhooks and its sealed heads; ErrOrderUnknown when
// there is no trace of it. Without order, the seals that were noted must be there too. Failures are findings; an error means
// that the trail could not be read.
func (s *Service) Verify(ctx context.Context, order uuid.UUID, noted ...SealNote) (Verification, error) {
	tx, err := s.db.Reader.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return Verification{}, fmt.Errorf("begin the verification's snapshot: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // nothing was written
	v := &verifying{tx: tx, noted: noted}
	if order != uuid.Nil {
		err = v.one(ctx, order)
	} else {
		err = v.all(ctx)
	}
	return v.Verification, err
}

type verifying struct {
	Verification
	tx    pgx.Tx
	noted []SealNote
}

// trail is an order as it stands, with its steps and sealed heads.
type trail struct {
	id     uuid.UUID
	events int64
	head   []byte
	steps  []step
	sealed []sealedHead
}

// step is a row of order_events as it stands.
type step struct {
	chained
	hash []byte
}

func (v *verifying) one(ctx context.Context, id uuid.UUID) error {
	trails, err := v.read(ctx, sqlVerifyOrder, id)
	if err != nil {
		return err
	}
	if len(trails) == 0 {
		t := &trail{id: id}
		if err := v.fill(ctx, []*trail{t}); err != nil {
			return err
		}
		if len(t.steps)+len(t.sealed) == 0 {
			return ErrOrderUnknown
		}
		v.find(id, OrderMissing, "the order is gone; %d steps and %d sealed heads are left", len(t.steps), len(t.sealed))
		return nil
	}
	return v.check(ctx, trails)
}

func (v *verifying) all(ctx context.Context) error {
	var after uuid.UUID
	for {
		trails, err := v.read(ctx, sqlVerifyOrders, after, verifyOrders)
		if err != nil {
			return err
		}
		if err := v.check(ctx, trails); err != nil {
			return err
		}
		if len(trails) < verifyOrders {
			break
		}
		after = trails[len(trails)-1].id
	}
	rows, err := v.tx.Query(ctx, sqlStrayOrders, maxFindings)
	if err != nil {
		return fmt.Errorf("look for orders that are gone: %w", err)
	}
	var id uuid.UUID
	if _, err := pgx.ForEachRow(rows, []any{&id}, func() error {
		v.find(id, OrderMissing, "the order is gone; steps or sealed heads of it are left")
		return nil
	}); err != nil {
		return fmt.Errorf("look for orders that are gone: %w", err)
	}
	return v.seals(ctx)
}

// read fetches orders with their steps and sealed heads.
func (v *verifying) read(ctx context.Context, sql string, args ...any) ([]*trail, error) {
	rows, err := v.tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("read orders: %w", err)
	}
	trails, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*trail, error) {
		t := &trail{}
		return t, row.Scan(&t.id, &t.events, &t.head)
	})
	if err != nil {
		return nil, fmt.Errorf("read orders: %w", err)
	}
	return trails, v.fill(ctx, trails)
}

func (v *verifying) fill(ctx context.Context, trails []*trail) error {
	ids, byID := make([]uuid.UUID, len(trails)), make(map[uuid.UUID]*trail, len(trails))
	for i, t := range trails {
		ids[i], byID[t.id] = t.id, t
	}
	rows, err := v.tx.Query(ctx, sqlVerifySteps, ids)
	if err != nil {
		return fmt.Errorf("read steps: %w", err)
	}
	for rows.Next() {
		var e step
		if err := rows.Scan(&e.order, &e.seq, &e.cause, &e.from, &e.to, &e.actor, &e.reason, &e.source, &e.digest, &e.at, &e.hash); err != nil {
			return fmt.Errorf("read steps: %w", err)
		}
		byID[e.order].steps = append(byID[e.order].steps, e)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read steps: %w", err)
	}
	if rows, err = v.tx.Query(ctx, sqlVerifyHeads, ids); err != nil {
		return fmt.Errorf("read sealed heads: %w", err)
	}
	for rows.Next() {
		var h sealedHead
		if err := rows.Scan(&h.order, &h.events, &h.head); err != nil {
			return fmt.Errorf("read sealed heads: %w", err)
		}
		byID[h.order].sealed = append(byID[h.order].sealed, h)
	}
	return rows.Err()
}

// check looks at some orders and the webhooks of their steps.
func (v *verifying) check(ctx context.Context, trails []*trail) error {
	wanted := map[string][]*step{} // by source
	for _, t := range trails {
		v.Orders++
		v.Steps += int64(len(t.steps))
		v.order(t)
		for i := range t.steps {
			if e := &t.steps[i]; len(e.digest) > 0 {
				wanted[e.source] = append(wanted[e.source], e)
			}
		}
	}
	return v.webhooks(ctx, wanted)
}

// order looks at one chain. What was never touched is read once from the front; for what was, explain finds out how.
func (v *verifying) order(t *trail) {
	chain := t.steps
	for len(chain) > 0 && len(chain[0].hash) == 0 {
		chain = chain[1:]
		v.Unchained++
	}
	first := int64(len(t.steps) - len(chain))
	if len(chain) == 0 && len(t.head) == 0 && len(t.sealed) == 0 && t.events == first {
		return // from before there were chains
	}
	var previous []byte
	whole := t.events == int64(len(t.steps))
	for i := range chain {
		e := &chain[i]
		whole = whole && e.seq == first+int64(i) && bytes.Equal(e.sum(previous), e.hash)
		previous = e.hash
	}
	if !whole {
		v.explain(t, chain, first)
	} else if !bytes.Equal(previous, t.head) {
		v.find(t.id, HeadDiffers, "the order's row has another head than its last step")
	}
	v.againstSeals(t)
}

// againstSeals compares an order with its heads as they were sealed.
func (v *verifying) againstSeals(t *trail) {
	newest := int64(0)
	for _, h := range t.sealed {
		newest = h.events
		at := slices.IndexFunc(t.steps, func(e step) bool { return e.seq == h.events-1 })
		switch {
		case at < 0:
			v.find(t.id, TailMissing, "it was sealed with %d steps, of which the last is gone", h.events)
		case !bytes.Equal(t.steps[at].hash, h.head):
			v.find(t.id, SealDiffers, "up to step %d it is not what was sealed", h.events)
		}
	}
	if newest < t.events && len(t.head) > 0 {
		v.Unsealed++
	}
}

// explain says what was done to a chain: it puts the rows together as their hashes say they were.
func (v *verifying) explain(t *trail, chain []step, first int64) {
	left := slices.Clone(chain)
	var previous []byte
	known := true // what the row before was
	k := first
	for len(left) > 0 {
		fits := slices.IndexFunc(left, func(e step) bool {
			e.seq = k
			return known && bytes.Equal(e.sum(previous), e.hash)
		})
		at := fits
		if at < 0 {
			at = slices.IndexFunc(left, func(e step) bool { return e.seq >= k })
		}
		if at < 0 {
			for _, e := range left {
				v.find(t.id, StepInserted, "step %d (%s) is no part of the chain", e.seq+1, e.cause)
			}
			break
		}
		e := left[at]
		left = slices.Delete(left, at, at+1)
		switch {
		case fits >= 0 && e.seq != k:
			v.find(t.id, StepMoved, "step %d (%s) was step %d", e.seq+1, e.cause, k+1)
		case fits >= 0:
		case e.seq > k:
			v.find(t.id, StepMissing, "%s gone before step %d (%s)", stepsAre(k, e.seq-1), e.seq+1, e.cause)
			k = e.seq
		case k >= t.events:
			v.find(t.id, StepInserted, "step %d (%s) is behind the order's last", e.seq+1, e.cause)
		case known:
			v.find(t.id, StepAltered, "step %d (%s, %s) does not follow from the one before it", e.seq+1, e.cause, e.at.UTC().Format(time.RFC3339))
		}
		previous, known = e.hash, len(e.hash) > 0
		k++
	}
	switch {
	case k < t.events:
		v.find(t.id, StepMissing, "%s gone from the end", stepsAre(k, t.events-1))
	case k > t.events:
		v.find(t.id, StepInserted, "%d steps are there, and the order counts %d", k, t.events)
	}
}

func stepsAre(from, to int64) string {
	if from == to {
		return fmt.Sprintf("step %d is", from+1)
	}
	return fmt.Sprintf("steps %d to %d are", from+1, to+1)
}

// webhooks compares the webhooks that steps came from with what they were.
func (v *verifying) webhooks(ctx context.Context, wanted map[string][]*step) error {
	if len(wanted) == 0 {
		return nil
	}
	var providers, ids []string
	for source := range wanted {
		provider, id, _ := strings.Cut(source, "/")
		providers, ids = append(providers, provider), append(ids, id)
	}
	rows, err := v.tx.Query(ctx, sqlVerifyWebhooks, providers, ids)
	if err != nil {
		return fmt.Errorf("read webhooks: %w", err)
	}
	var provider, id string
	var payload []byte
	_, err = pgx.ForEachRow(rows, []any{&provider, &id, &payload}, func() error {
		v.Webhooks++
		digest := sha256.Sum256(payload)
		source := provider + "/" + id
		for _, e := range wanted[source] {
			if !bytes.Equal(digest[:], e.digest) {
				v.find(e.order, WebhookAltered, "webhook %s is not what step %d (%s) came from", source, e.seq+1, e.cause)
			}
		}
		delete(wanted, source)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read webhooks: %w", err)
	}
	for source, steps := range wanted {
		v.find(steps[0].order, WebhookMissing, "webhook %s, from which step %d (%s) came, is gone", source, steps[0].seq+1, steps[0].cause)
	}
	return nil
}
