package event

import (
	"context"
	"errors"
	"fmt"
	"io"

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
