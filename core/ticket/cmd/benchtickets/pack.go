package main

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/ticket"
	"fairgate/core/ticket/gate"
)

const (
	packTickets = 80_000
	packDead    = packTickets / 20
)

const sqlTicketIDs = `SELECT ticket_id FROM tickets WHERE event_id = $1 ORDER BY ticket_id`

// pack makes the pack of a stadium of which one ticket in twenty is void, and looks into it. The usual way is a list of those tickets as JSON.
func (b *bench) pack(ctx context.Context) error {
	event := uuid.New()
	if err := b.fill(ctx, event, packTickets); err != nil {
		return err
	}
	rows, err := b.d.Pool.Query(ctx, sqlTicketIDs, event)
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return err
	}
	dead := make([]uuid.UUID, 0, packDead)
	for i := 0; i < len(all); i += packTickets / packDead {
		dead = append(dead, all[i])
	}
	err = b.d.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := ticket.Void(ctx, tx, dead, "refund")
		return err
	})
	if err != nil {
		return err
	}
	began := time.Now()
	sealed, err := b.service(event).Pack(ctx, event, time.Time{})
	if err != nil {
		return err
	}
	took := time.Since(began)
	opened, err := gate.Open(sealed, packKey.Public().(ed25519.PublicKey))
	if err != nil {
		return err
	}
	refused := 0
	for _, id := range all {
		if opened.State(id).Check(1) != nil {
			refused++
		}
	}
	if len(all) != packTickets || refused != packDead {
		return fmt.Errorf("of %d tickets the pack refuses %d, %d are void", len(all), refused, packDead)
	}
	for _, id := range dead {
		if !errors.Is(opened.State(id).Check(1), gate.ErrVoid) {
			return fmt.Errorf("the pack lets in ticket %s, which is void", id)
		}
	}
	list, err := json.Marshal(dead)
	if err != nil {
		return err
	}
	row(fmt.Sprintf("pack of %d tickets, %d void (aim under 100,000 bytes)", packTickets, packDead), "%10d bytes, made in %s", len(sealed), took.Round(time.Millisecond))
	row("  the void ones as a JSON list, unsigned", "%10d bytes, ratio %.1f", len(list), float64(len(list))/float64(len(sealed)))
	b.result.Pack = len(sealed)
	return nil
}
