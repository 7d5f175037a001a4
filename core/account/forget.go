package account

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

const (
	sqlForget = `UPDATE accounts SET email = NULL, email_written = '', secret = $2::BYTEA, language = 'en', epoch = epoch + 1, forgotten_at = now()
	WHERE account_id = $1::UUID AND forgotten_at IS NULL`
	sqlForgetEntrants = `DELETE FROM account_entrants WHERE account_id = $1::UUID`
)

// Forget removes what the account says of a person: its address, and that its entrants are one person's. Its sessions end. Tickets, orders and
// the books stay as they are; an order keeps the address that it was given. Forgetting again changes nothing. ErrUnknown.
func (s *Service) Forget(ctx context.Context, id uuid.UUID) error {
	var secret [16]byte
	rand.Read(secret[:]) // of nobody: the former one would make the entrants again
	err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := Load(ctx, tx, id); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, sqlForget, id, secret[:]); err != nil {
			return fmt.Errorf("remove its address: %w", err)
		}
		if _, err := tx.Exec(ctx, sqlForgetEntrants, id); err != nil {
			return fmt.Errorf("remove its entrants: %w", err)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("forget account %s: %w", id, err)
	}
	return nil
}
