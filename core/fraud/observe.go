package fraud

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// observation is one thing seen of a subject.
type observation struct {
	subject  Mark
	relation string
	other    [16]byte
}

func (o observation) compare(p observation) int {
	return cmp.Or(bytes.Compare(o.subject[:], p.subject[:]), cmp.Compare(o.relation, p.relation), bytes.Compare(o.other[:], p.other[:]))
}

const sqlInsertObservations = `
INSERT INTO fraud_observations (day, subject, relation, minute, other)
SELECT (now() AT TIME ZONE 'UTC')::DATE, k.subject, k.relation, date_trunc('minute', now()), k.other
FROM unnest($1::BYTEA[], $2::TEXT[], $3::BYTEA[]) AS k (subject, relation, other)
ON CONFLICT (day, subject, relation, minute, other) DO NOTHING`

// Each count reads the newest part of one subject's rows in the primary key, and no more than $5 of them.
const sqlCountObservations = `
SELECT k.n, (SELECT count(DISTINCT s.other) FROM (
    SELECT o.other FROM fraud_observations AS o
    WHERE o.day IN ((now() AT TIME ZONE 'UTC')::DATE, (now() AT TIME ZONE 'UTC')::DATE - 1) AND o.subject = k.subject AND o.relation = k.relation
        AND o.minute > now() - (k.seconds + 60) * INTERVAL '1 second'
    LIMIT $5) AS s)
FROM unnest($1::INT8[], $2::BYTEA[], $3::TEXT[], $4::INT8[]) AS k (n, subject, relation, seconds)`

const sqlSweepObservations = `
DELETE FROM fraud_observations WHERE (day, subject, relation, minute, other) IN (
    SELECT o.day, o.subject, o.relation, o.minute, o.other FROM fraud_observations AS o
    WHERE o.day < (now() AT TIME ZONE 'UTC')::DATE - 1
    ORDER BY o.day, o.subject, o.relation, o.minute, o.other LIMIT $1)`

// observe inserts what was seen, in key order as everybody does.
func (s *Screen) observe(ctx context.Context, all []observation) error {
	slices.SortFunc(all, observation.compare)
	all = slices.Compact(all)
	if len(all) == 0 {
		return nil
	}
	subjects, relations, others := make([][]byte, len(all)), make([]string, len(all)), make([][]byte, len(all))
	for i := range all {
		subjects[i], relations[i], others[i] = all[i].subject[:], all[i].relation, all[i].other[:]
	}
	err := s.db.InBookkeeping(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, sqlInsertObservations, subjects, relations, others)
		return err
	})
	if err != nil {
		return fmt.Errorf("insert %d observations: %w", len(all), err)
	}
	return nil
}

// queueCounts reads the counts of asks into counts.
func queueCounts(b *pgx.Batch, asks []ask, counts []int64) {
	if len(asks) == 0 {
		return
	}
	n, seconds := make([]int64, len(asks)), make([]int64, len(asks))
	subjects, relations := make([][]byte, len(asks)), make([]string, len(asks))
	for i, a := range asks {
		n[i], subjects[i], relations[i], seconds[i] = int64(i), a.subject[:], a.relation, int64(a.of.Within.Seconds())
	}
	b.Queue(sqlCountObservations, n, subjects, relations, seconds, mostCounted).Query(func(rows pgx.Rows) error {
		var i, count int64
		_, err := pgx.ForEachRow(rows, []any{&i, &count}, func() error {
			counts[i] = count
			return nil
		})
		return err
	})
}
