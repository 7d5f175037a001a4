package scan

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

var (
	// ErrCredential means that a gate's credential is wrong or was revoked.
	ErrCredential = errors.New("scan: credential refused")
	// ErrGateUnknown means that the event has no such gate, or not any more.
	ErrGateUnknown = errors.New("scan: unknown gate")
	// ErrGateExists means that the event has a gate of that name whose credential is good.
	ErrGateExists = errors.New("scan: gate exists")
	// ErrZoneUnknown means that the event has no such zone; a NoZone says which it has.
	ErrZoneUnknown = errors.New("scan: unknown zone")
	// ErrGateName means that a gate cannot be called so.
	ErrGateName = errors.New("scan: gate name invalid")
)

// gateForm is what gates may be called.
var gateForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// secretSize is that of a credential's secret in bytes.
const secretSize = 20

const sqlAddGate = `
INSERT INTO gates (event_id, gate, gate_id, zone, secret_hash, created_at, created_by)
VALUES ($1, $2, $3, $4, $5, now(), $6)
ON CONFLICT (event_id, gate) DO UPDATE
SET zone = excluded.zone, secret_hash = excluded.secret_hash, created_at = excluded.created_at, created_by = excluded.created_by, revoked_at = NULL
WHERE gates.revoked_at IS NOT NULL OR $7::BOOL`

const sqlRevokeGate = `UPDATE gates SET revoked_at = now() WHERE event_id = $1 AND gate = $2 AND revoked_at IS NULL`

const sqlGates = `SELECT event_id, gate, zone, created_at, created_by, revoked_at FROM gates WHERE event_id = $1 ORDER BY gate LIMIT 1000`

const sqlGateByID = `SELECT event_id, gate, zone, secret_hash, created_at, created_by, revoked_at FROM gates WHERE gate_id = $1`

// Gate is one gate of an event.
type Gate struct {
	Event     uuid.UUID
	Name      string
	Zone      string // empty: the venue
	CreatedAt time.Time
	CreatedBy string
	RevokedAt time.Time // zero while its credential is good
}

// NoZone is a zone that the event has not, and those that it has.
type NoZone struct {
	Zone  string
	Known []string
}

func (n *NoZone) Error() string { return fmt.Sprintf("%v: %q", ErrZoneUnknown, n.Zone) }

// Unwrap is ErrZoneUnknown.
func (n *NoZone) Unwrap() error { return ErrZoneUnknown }

// NewGate is a gate that is to be.
type NewGate struct {
	Name string
	Zone string // empty: the venue
	// Replace gives a gate that is there another credential, and maybe another zone; the credential that it had is dead then.
	Replace bool
}

// AddGate makes a gate and its credential, which is shown this once. One that was revoked is made anew. Errors: a *NoZone, ErrGateName,
// ErrGateExists.
func (s *Service) AddGate(ctx context.Context, event uuid.UUID, g NewGate, actor string) (credential string, err error) {
	name, zone := g.Name, g.Zone
	e, err := s.events(ctx, event)
	if err != nil {
		return "", err
	}
	if !gateForm.MatchString(name) {
		return "", fmt.Errorf("%w: %q", ErrGateName, name)
	}
	if !e.Rules.Known(zone) {
		unknown := &NoZone{Zone: zone}
		for _, z := range e.Rules.Zones {
			unknown.Known = append(unknown.Known, z.ID)
		}
		return "", unknown
	}
	secret := make([]byte, secretSize)
	if _, err := rand.Read(secret); err != nil {
		return "", fmt.Errorf("make a credential: %w", err)
	}
	id := uuid.NewSHA1(event, []byte("gate/"+name))
	text := base32.StdEncoding.EncodeToString(secret) // 20 bytes need no padding
	hash := sha256.Sum256([]byte(text))
	tag, err := s.db.Exec(ctx, sqlAddGate, event, name, id, zone, hash[:], actor, g.Replace)
	if err != nil {
		return "", fmt.Errorf("add gate %s: %w", name, err)
	}
	if tag.RowsAffected() == 0 {
		return "", fmt.Errorf("%w: %s", ErrGateExists, name)
	}
	return id.String() + "." + text, nil
}

// RevokeGate makes a gate's credential worthless at once. ErrGateUnknown when it has none that is good.
func (s *Service) RevokeGate(ctx context.Context, event uuid.UUID, name string) error {
	tag, err := s.db.Exec(ctx, sqlRevokeGate, event, name)
	if err != nil {
		return fmt.Errorf("revoke gate %s: %w", name, err)
	}
	if tag.RowsAffected() == 0 {
		return fmt.Errorf("%w: %s", ErrGateUnknown, name)
	}
	return nil
}

// Gates lists an event's gates by name, at most 1000.
func (s *Service) Gates(ctx context.Context, event uuid.UUID) ([]Gate, error) {
	rows, err := s.db.Reader.Query(ctx, sqlGates, event)
	if err != nil {
		return nil, fmt.Errorf("list gates: %w", err)
	}
	gates, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (g Gate, err error) {
		var revoked *time.Time
		err = row.Scan(&g.Event, &g.Name, &g.Zone, &g.CreatedAt, &g.CreatedBy, &revoked)
		if revoked != nil {
			g.RevokedAt = *revoked
		}
		return g, err
	})
	if err != nil {
		return nil, fmt.Errorf("list gates: %w", err)
	}
	return gates, nil
}

// Authenticate finds the gate of a credential. ErrCredential for anything that is not one.
func (s *Service) Authenticate(ctx context.Context, credential string) (Gate, error) {
	name, secret, ok := strings.Cut(credential, ".")
	id, err := uuid.Parse(name)
	if !ok || err != nil || len(credential) > 100 {
		return Gate{}, ErrCredential
	}
	var g Gate
	var want []byte
	var revoked *time.Time
	err = s.db.Reader.QueryRow(ctx, sqlGateByID, id).Scan(&g.Event, &g.Name, &g.Zone, &want, &g.CreatedAt, &g.CreatedBy, &revoked)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return Gate{}, fmt.Errorf("find the gate of a credential: %w", err)
	}
	got := sha256.Sum256([]byte(secret))
	if subtle.ConstantTimeCompare(got[:], want) != 1 || err != nil || revoked != nil {
		return Gate{}, ErrCredential
	}
	return g, nil
}
