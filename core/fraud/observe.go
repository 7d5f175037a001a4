package fraud

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

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

// Of most subjects little was seen. Reading all of it at once costs a fraction of counting relation by relation.
const sqlReadObservations = `
SELECT k.n, o.relation, o.minute, o.other, now()
FROM unnest($1::INT8[], $2::BYTEA[]) AS k (n, subject)
CROSS JOIN LATERAL (
    SELECT f.relation, f.minute, f.other FROM fraud_observations AS f
    WHERE f.day IN ((now() AT TIME ZONE 'UTC')::DATE, (now() AT TIME ZONE 'UTC')::DATE - 1) AND f.subject = k.subject
    LIMIT $3) AS o`

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

// fewSeen is how much of one subject is read to be counted here; what was seen more of is counted by the database.
const fewSeen = 64

// sight is a row that was read of a subject.
type sight struct {
	relation string
	age      time.Duration // since the beginning of its minute
	other    [16]byte
}

// subjectsOf are the subjects of asks, each once, and where each stands.
func subjectsOf(asks []ask) (subjects [][]byte, at map[Mark]int) {
	at = make(map[Mark]int, len(asks))
	for i := range asks {
		if _, met := at[asks[i].subject]; !met {
			at[asks[i].subject] = len(subjects)
			subjects = append(subjects, asks[i].subject[:])
		}
	}
	return subjects, at
}

// queueSights reads what was seen of subjects into sights, no more than one above fewSeen of each.
func queueSights(b *pgx.Batch, subjects [][]byte, sights [][]sight) {
	if len(subjects) == 0 {
		return
	}
	n := make([]int64, len(subjects))
	for i := range n {
		n[i] = int64(i)
	}
	b.Queue(sqlReadObservations, n, subjects, fewSeen+1).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var i int64
			var s sight
			var minute, now time.Time
			var other []byte
			if err := rows.Scan(&i, &s.relation, &minute, &other, &now); err != nil {
				return err
			}
			copy(s.other[:], other)
			s.age = now.Sub(minute)
			sights[i] = append(sights[i], s)
		}
		return rows.Err()
	})
}

// count is how many different things an ask's rule counts among sights.
func (a *ask) count(sights []sight) int64 {
	var others [][16]byte
	for i := range sights {
		s := &sights[i]
		if s.relation == a.relation && s.age < a.of.Within+time.Minute && !slices.Contains(others, s.other) {
			others = append(others, s.other)
		}
	}
	return int64(len(others))
}

// tally fills in the counts that follow from sights, and answers which asks the database has to count.
func tally(asks []ask, at map[Mark]int, sights [][]sight, counts []int64) (left []int) {
	for i := range asks {
		if seen := sights[at[asks[i].subject]]; len(seen) > fewSeen {
			left = append(left, i)
		} else {
			counts[i] = asks[i].count(seen)
		}
	}
	return left
}

// queueCounts reads the counts of those of the asks that are left into counts.
func queueCounts(b *pgx.Batch, asks []ask, left []int, counts []int64) {
	n, seconds := make([]int64, len(left)), make([]int64, len(left))
	subjects, relations := make([][]byte, len(left)), make([]string, len(left))
	for i, which := range left {
		a := &asks[which]
		n[i], subjects[i], relations[i], seconds[i] = int64(which), a.subject[:], a.relation, int64(a.of.Within.Seconds())
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
