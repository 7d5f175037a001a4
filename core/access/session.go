package access

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/edge/admission"
	"fairgate/edge/lottery"
)

// CheckSession reads a session that core made for the device that shows it, without asking the database. One whose
// turn was taken to another browser is ErrSessionMoved, at other cores after a second or so. With ErrSessionExpired the session is returned too, for what an expired one is still good for: looking at one's own things.
func (r *Room) CheckSession(raw []byte, device lottery.DeviceHash) (admission.Session, error) {
	session, err := admission.ParseSession(raw)
	if err != nil {
		return admission.Session{}, fmt.Errorf("%w: %w", ErrSessionMalformed, err)
	}
	if err := admission.CheckCore(raw, r.rings.global.Load().core.Find(session.KeyNo)); err != nil {
		return admission.Session{}, ErrSessionForged
	}
	if session.Device != device {
		return admission.Session{}, ErrDeviceMismatch
	}
	if r.revoked.has(session.Session) {
		return admission.Session{}, ErrSessionMoved
	}
	if session.Expired(r.now()) {
		return session, ErrSessionExpired
	}
	return session, nil
}

// Buyer names an entrant of an event.
type Buyer struct {
	Event   uuid.UUID
	Entrant lottery.Entrant
}

const sqlFinish = `UPDATE sessions AS s SET finished_at = now()
	FROM unnest($1::UUID[], $2::BYTEA[]) AS b (event_id, entrant)
	WHERE s.event_id = b.event_id AND s.entrant = b.entrant AND s.finished_at IS NULL`

// Finish frees the places of buyers who have bought: somebody else can be called for them. Their sessions stay valid.
// It is one statement in the caller's transaction; calling it again changes nothing.
func Finish(ctx context.Context, tx pgx.Tx, buyers []Buyer) error {
	events, entrants := make([]uuid.UUID, len(buyers)), make([][]byte, len(buyers))
	for i, b := range buyers {
		events[i], entrants[i] = b.Event, b.Entrant[:]
	}
	if _, err := tx.Exec(ctx, sqlFinish, events, entrants); err != nil {
		return fmt.Errorf("finish sessions: %w", err)
	}
	return nil
}

// Banned reports whether the entrant of a session, or its device, is banned by now. It asks memory, a second old at most.
func (r *Room) Banned(s admission.Session) bool {
	return r.bans.has(BanEntrant, s.Entrant[:]) || r.bans.has(BanDevice, s.Device[:])
}
