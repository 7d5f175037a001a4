package checkout

import (
	"bytes"
	"context"
	"fmt"
	"hash"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// orderSeal is a row of order_seals while its heads are looked at.
type orderSeal struct {
	writer          uuid.UUID
	sequence, heads int64
	hash            []byte
	at              time.Time

	sum hash.Hash
	met int64
}

type sealKey struct {
	writer   uuid.UUID
	sequence int64
}

// seals recomputes every writer's chain of seals over the heads as they stand. It keeps the seals in memory, a hundred bytes
// for some seconds of sales, and never the heads.
func (v *verifying) seals(ctx context.Context) error {
	rows, err := v.tx.Query(ctx, sqlVerifySeals)
	if err != nil {
		return fmt.Errorf("read seals: %w", err)
	}
	var order []*orderSeal
	byKey := map[sealKey]*orderSeal{}
	for rows.Next() {
		s := &orderSeal{}
		if err := rows.Scan(&s.writer, &s.sequence, &s.heads, &s.hash, &s.at); err != nil {
			return fmt.Errorf("read seals: %w", err)
		}
		var previous []byte
		next := int64(1)
		if n := len(order); n > 0 && order[n-1].writer == s.writer {
			previous, next = order[n-1].hash, order[n-1].sequence+1
		}
		if s.sequence != next {
			v.find(uuid.Nil, SealBroken, "seals %d to %d of writer %s are gone", next, s.sequence-1, s.writer)
		}
		s.sum = newSealHash(previous, s.writer, s.sequence, s.heads, s.at)
		order, byKey[sealKey{s.writer, s.sequence}] = append(order, s), s
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read seals: %w", err)
	}
	v.Seals = int64(len(order))
	v.newest(order)
	for _, n := range v.noted {
		if s := byKey[sealKey{n.Writer, n.Sequence}]; s == nil || !bytes.Equal(s.hash, n.Hash) {
			v.find(uuid.Nil, SealMissing, "seal %d of writer %s is not the one that was noted", n.Sequence, n.Writer)
		}
	}
	if rows, err = v.tx.Query(ctx, sqlSealedHeads); err != nil {
		return fmt.Errorf("read sealed heads: %w", err)
	}
	var key sealKey
	var h sealedHead
	_, err = pgx.ForEachRow(rows, []any{&key.writer, &key.sequence, &h.order, &h.events, &h.head}, func() error {
		v.Heads++
		if s := byKey[key]; s != nil {
			s.met++
			sealHead(s.sum, h.order, h.events, h.head)
		} else {
			v.find(h.order, SealBroken, "a sealed head belongs to seal %d of writer %s, which is not there", key.sequence, key.writer)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read sealed heads: %w", err)
	}
	for _, s := range order {
		if s.met != s.heads || !bytes.Equal(s.sum.Sum(nil), s.hash) {
			v.find(uuid.Nil, SealBroken, "seal %d of writer %s, of %d heads, does not fit the %d that are there", s.sequence, s.writer, s.heads, s.met)
		}
	}
	return nil
}

// newest notes the last seal of each writer. Seals come writer by writer.
func (v *verifying) newest(seals []*orderSeal) {
	for i, s := range seals {
		if i+1 == len(seals) || seals[i+1].writer != s.writer {
			v.Newest = append(v.Newest, SealNote{s.writer, s.sequence, s.hash, s.at})
		}
	}
	slices.SortFunc(v.Newest, func(a, b SealNote) int { return b.At.Compare(a.At) })
	v.Newest = v.Newest[:min(len(v.Newest), maxNewest)]
}
