package event

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
)

var (
	// ErrKeyOrder means that a key was to follow one that is not the newest: somebody else has rotated meanwhile.
	ErrKeyOrder = errors.New("event: not the newest key")
	// ErrKeysFull means that so many keys of a purpose verify that another would push one out.
	ErrKeysFull = errors.New("event: too many keys")
)

// maxKeys is how many keys of one purpose and scope verify, see sqlKeys.
const maxKeys = 16

const sqlInsertKey = `
INSERT INTO keys (purpose, scope, number, secret, public)
VALUES ($1::TEXT, $2::TEXT, $3::INT8, $4::BYTEA, $5::BYTEA)`

// EnsureKeys is Keys of a ring that is made when it is first asked for.
func (s *Store) EnsureKeys(ctx context.Context, purpose Purpose, scope string) (KeyRing, error) {
	for n := 1; ; n++ {
		ring, err := s.Keys(ctx, purpose, scope)
		if !errors.Is(err, ErrNoKey) || n > ensureTries {
			return ring, err
		}
		err = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
			return ensureAll(ctx, tx, s.random, []ringKey{{purpose, scope}})
		})
		s.keys.forget(ringKey{purpose, scope})
		if err != nil && !errors.Is(err, db.ErrAmbiguous) {
			return nil, err
		}
	}
}

// Rotate makes the key that follows number newest of a purpose and scope; from then on it signs, everywhere within the time a Store
// may answer from memory. Asking again is asking once: the ring is answered as it is when newest already has its successor.
// Errors: ErrNoKey; ErrKeyOrder, when newest is neither the newest key nor the one before it; ErrKeysFull.
func (s *Store) Rotate(ctx context.Context, purpose Purpose, scope string, newest uint32) (KeyRing, error) {
	key := Key{Number: newest + 1, Secret: make([]byte, secretBytes), Public: []byte{}}
	if _, err := io.ReadFull(s.random, key.Secret); err != nil {
		return nil, fmt.Errorf("make a %s key: %w", purpose, err)
	}
	if purpose.asymmetric() {
		key.Public = publicOf(key.Secret)
	}
	var ring KeyRing
	rotate := func(ctx context.Context, tx pgx.Tx) (err error) {
		if ring, err = Keys(ctx, tx, purpose, scope); err != nil {
			return err
		}
		switch {
		case ring[0].Number == key.Number:
			return nil
		case ring[0].Number != newest:
			return fmt.Errorf("%w: %d is", ErrKeyOrder, ring[0].Number)
		case len(ring) >= maxKeys:
			return fmt.Errorf("%w: %d", ErrKeysFull, len(ring))
		}
		if _, err := tx.Exec(ctx, sqlInsertKey, string(purpose), scope, int64(key.Number), key.Secret, key.Public); err != nil {
			return fmt.Errorf("insert a %s key: %w", purpose, err)
		}
		ring = append(KeyRing{key}, ring...)
		return nil
	}
	err := s.db.InTx(ctx, rotate)
	if errors.Is(err, db.ErrAmbiguous) || db.IsUnique(err) { // whoever made the successor, there is one now
		err = s.db.InTx(ctx, rotate)
	}
	s.keys.forget(ringKey{purpose, scope})
	if err != nil {
		return nil, fmt.Errorf("rotate %s keys: %w", purpose, err)
	}
	return ring, nil
}

const (
	sqlRetireKeys = `
UPDATE keys SET retired_at = now()
WHERE purpose = $1::TEXT AND scope = $2::TEXT AND number < $3::INT8 AND retired_at IS NULL`
	sqlRetireOldKeys = `
UPDATE keys AS k SET retired_at = now()
WHERE k.purpose = $1::TEXT AND k.scope = $2::TEXT AND k.retired_at IS NULL
AND EXISTS (SELECT 1 FROM keys AS n WHERE n.purpose = k.purpose AND n.scope = k.scope AND n.number = k.number + 1
	AND n.created_at < now() - $3::INT8 * INTERVAL '1 millisecond')`
)

// Retire makes all keys of a purpose and scope before number oldest worthless, everywhere within the time a Store may answer from memory, and
// here at once. Retiring twice is retiring once. It says how many were good until now.
func (s *Store) Retire(ctx context.Context, purpose Purpose, scope string, oldest uint32) (int, error) {
	return s.retire(ctx, purpose, scope, sqlRetireKeys, int64(oldest))
}

// RetireOld is Retire of those keys that were followed by another so long ago that nothing they signed is good any more.
func (s *Store) RetireOld(ctx context.Context, purpose Purpose, scope string, lasts time.Duration) (int, error) {
	return s.retire(ctx, purpose, scope, sqlRetireOldKeys, lasts.Milliseconds())
}

func (s *Store) retire(ctx context.Context, purpose Purpose, scope, statement string, bound int64) (n int, err error) {
	tag, err := s.db.Exec(ctx, statement, string(purpose), scope, bound)
	s.keys.forget(ringKey{purpose, scope})
	if err != nil {
		return 0, fmt.Errorf("retire %s keys: %w", purpose, err)
	}
	return int(tag.RowsAffected()), nil
}

// Reread is Keys from the database, for whoever is shown a key that is newer than all in memory.
func (s *Store) Reread(ctx context.Context, purpose Purpose, scope string) (KeyRing, error) {
	s.keys.forget(ringKey{purpose, scope})
	return s.Keys(ctx, purpose, scope)
}
