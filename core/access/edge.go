package access

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/edge/admission"
	"fairgate/edge/lottery"
)

const (
	// maxKeyValidity bounds a signing key of an edge: what a thief of one can use it for ends by itself.
	maxKeyValidity = 2 * admission.MaxKeyPeriod
	// maxKeyLead is how far the clock of an edge may be ahead of core's.
	maxKeyLead = 5 * time.Minute
	// seenEvery is how often at most the heartbeat of an edge is written.
	seenEvery = time.Second
	// edgeCacheTTL is how long core goes on believing an edge or a key that another core has revoked.
	edgeCacheTTL = 2 * time.Second
	// edgeTokenTag keeps edge tokens apart from whatever else the session key makes.
	edgeTokenTag = "fairgate-edge-token-v1"
)

// Enrolled is what an edge gets for its identity.
type Enrolled struct {
	Token             string
	SessionFilterKeys lottery.MACKeys
	ServerTime        time.Time
}

// EventKeys is what an edge needs of an event.
type EventKeys struct {
	Event             string
	Generation        uint32 // of the current on-sale; 0 before the first
	Identity          string
	PseudonymKey      []byte
	PassKeys          lottery.MACKeys
	ReceiptKeys       lottery.PublicKeys
	InvitationKeys    lottery.PublicKeys
	SessionFilterKeys lottery.MACKeys
}

// EdgeKey is an edge's signing key as it asks for it to be registered.
type EdgeKey struct {
	ID                    uuid.UUID
	Public                ed25519.PublicKey
	ValidFrom, ValidUntil time.Time
}

const (
	sqlEnroll = `INSERT INTO edges (edge_id, boot, token_hash, enrolled_at, seen_at) VALUES ($1, $2, $3, now(), now())
	ON CONFLICT (edge_id) DO UPDATE SET boot = excluded.boot, token_hash = excluded.token_hash, enrolled_at = now(), seen_at = now()
	WHERE edges.revoked_at IS NULL`
	sqlLoadEdge    = `SELECT token_hash FROM edges WHERE edge_id = $1 AND revoked_at IS NULL`
	sqlSeen        = `UPDATE edges SET seen_at = now(), clock_ahead_ms = COALESCE($2, clock_ahead_ms) WHERE edge_id = $1 AND revoked_at IS NULL`
	sqlLoadEdgeKey = `SELECT edge_id, event_id, public, valid_from, valid_until, COALESCE(revoked_at <= now(), false) FROM edge_keys WHERE key_id = $1`
	sqlAddEdgeKey  = `INSERT INTO edge_keys (key_id, edge_id, event_id, public, valid_from, valid_until, revoked_at)
	VALUES ($1, $2, $3, $4, $5, $6, NULL) ON CONFLICT (key_id) DO NOTHING`
	sqlRevokeKeys = `UPDATE edge_keys SET revoked_at = now() WHERE edge_id = $1 AND (revoked_at IS NULL OR revoked_at > now())`
	sqlDropEdge   = `UPDATE edges SET revoked_at = COALESCE(revoked_at, now()) WHERE edge_id = $1`
)

// Enroll makes the edge's boot the current one and gives its token. Enrolling the same boot again, at any core, gives
// the same token; another boot ends the earlier one's. ErrEdgeRevoked for an edge that was thrown out.
func (r *Room) Enroll(ctx context.Context, edge, boot uuid.UUID) (Enrolled, error) {
	ring := r.rings.global.Load()
	mac := lottery.MAC(ring.core.Find(ring.newest), edgeTokenTag, append(append([]byte{}, edge[:]...), boot[:]...))
	token := edge.String() + "." + base64.RawURLEncoding.EncodeToString(mac[:])
	hash := sha256.Sum256([]byte(token))
	tag, err := r.db.Exec(ctx, sqlEnroll, edge, boot, hash[:])
	if err != nil {
		return Enrolled{}, fmt.Errorf("enroll edge %s: %w", edge, err)
	}
	if tag.RowsAffected() == 0 {
		return Enrolled{}, ErrEdgeRevoked
	}
	r.edges.forget(edge)
	return Enrolled{Token: token, SessionFilterKeys: ring.filter, ServerTime: r.now()}, nil
}

// Authenticate tells which edge a token belongs to; ErrEdgeUnknown when it is none's or an earlier boot's.
func (r *Room) Authenticate(ctx context.Context, token string) (uuid.UUID, error) {
	name, _, _ := strings.Cut(token, ".")
	edge, err := uuid.Parse(name)
	if err != nil || len(token) > 128 {
		return uuid.Nil, ErrEdgeUnknown
	}
	hash := sha256.Sum256([]byte(token))
	if r.edges.knows(edge, hash) {
		return edge, nil
	}
	var stored []byte
	err = r.db.Reader.QueryRow(ctx, sqlLoadEdge, edge).Scan(&stored)
	if errors.Is(err, pgx.ErrNoRows) {
		return uuid.Nil, ErrEdgeUnknown
	}
	if err != nil {
		return uuid.Nil, fmt.Errorf("look up edge %s: %w", edge, err)
	}
	if subtle.ConstantTimeCompare(stored, hash[:]) != 1 {
		return uuid.Nil, ErrEdgeUnknown
	}
	r.edges.learn(edge, hash)
	return edge, nil
}

// Seen is the heartbeat of an edge: without one for a few seconds its final marker is not waited for. It writes at most
// once a second. clockAhead is by how much core's clock is ahead of the edge's, as the edge says; nil: it does not say.
func (r *Room) Seen(ctx context.Context, edge uuid.UUID, clockAhead *time.Duration) error {
	if !r.edges.dueSeen(edge) {
		return nil
	}
	var ahead *int64
	if clockAhead != nil {
		ms := clockAhead.Milliseconds()
		ahead = &ms
		if changed, wrong := r.edges.clock(edge, *clockAhead); changed && wrong {
			r.cfg.Log.Warn("the clock of an edge is wrong; it goes by core's, but mend it", "edge", edge.String(), "core_ahead", clockAhead.String())
		} else if changed {
			r.cfg.Log.Info("the clock of an edge is right again", "edge", edge.String())
		}
	}
	if _, err := r.db.Exec(ctx, sqlSeen, edge, ahead); err != nil {
		return fmt.Errorf("note that edge %s lives: %w", edge, err)
	}
	return nil
}

// RevokeEdge throws an edge out: its token and all its signing keys are worth nothing from now on, at other cores within
// two seconds, and its id is not enrolled again. A token it minted and nobody redeemed yet is lost; its buyers claim again at
// another edge. Whoever stole a node has the secret between edges and core too, which is to be changed after this. ErrNoEdge.
func (r *Room) RevokeEdge(ctx context.Context, edge uuid.UUID) error {
	if err := r.edgeKnown(ctx, edge); err != nil {
		return err
	}
	err := r.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, sqlRevokeKeys, edge); err != nil {
			return fmt.Errorf("revoke its keys: %w", err)
		}
		if _, err := tx.Exec(ctx, sqlDropEdge, edge); err != nil {
			return fmt.Errorf("forget it: %w", err)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("revoke edge %s: %w", edge, err)
	}
	r.edges.forget(edge)
	return nil
}

// RegisterKey registers a signing key of an edge for one event and a validity of at most two hours, and gives what the
// edge needs to serve the event. The same key may be registered again; another one under its id is ErrKeyRefused.
func (r *Room) RegisterKey(ctx context.Context, edge uuid.UUID, slug string, key EdgeKey) (EventKeys, error) {
	if err := r.checkKey(key); err != nil {
		return EventKeys{}, err
	}
	keys, event, err := r.eventKeys(ctx, slug)
	if err != nil {
		return EventKeys{}, err
	}
	_, err = r.db.Exec(ctx, sqlAddEdgeKey, key.ID, edge, event, []byte(key.Public), key.ValidFrom, key.ValidUntil)
	if err != nil {
		return EventKeys{}, fmt.Errorf("register key %s: %w", key.ID, err)
	}
	stored, err := r.loadEdgeKey(ctx, key.ID)
	if errors.Is(err, ErrTokenKeyUnknown) {
		return EventKeys{}, fmt.Errorf("%w: the key %s was revoked", ErrKeyRefused, key.ID)
	}
	if err != nil {
		return EventKeys{}, err
	}
	if stored.edge != edge || stored.event != event || !stored.public.Equal(key.Public) {
		return EventKeys{}, fmt.Errorf("%w: the id %s belongs to another key", ErrKeyRefused, key.ID)
	}
	// Whatever the key replaces is of no use once the tokens it signed have ended.
	if _, err := r.db.Exec(ctx, sqlEndReplaced, edge, event, key.ID, replacedKeyGrace.Milliseconds()); err != nil {
		return EventKeys{}, fmt.Errorf("end the keys that were replaced: %w", err)
	}
	return keys, nil
}

func (r *Room) checkKey(key EdgeKey) error {
	now := r.now()
	switch {
	case len(key.Public) != ed25519.PublicKeySize:
		return fmt.Errorf("%w: a public key has %d bytes", ErrKeyRefused, ed25519.PublicKeySize)
	case !key.ValidUntil.After(now) || !key.ValidUntil.After(key.ValidFrom):
		return fmt.Errorf("%w: it is over before it begins", ErrKeyRefused)
	case key.ValidUntil.Sub(key.ValidFrom) > maxKeyValidity:
		return fmt.Errorf("%w: it would be valid for more than %s", ErrKeyRefused, maxKeyValidity)
	case key.ValidFrom.After(now.Add(maxKeyLead)):
		return fmt.Errorf("%w: it begins more than %s from now", ErrKeyRefused, maxKeyLead)
	}
	return nil
}

// eventKeys are the keys of an event, read anew since whoever asks may want to know of one just made, and the generation of its on-sale.
func (r *Room) eventKeys(ctx context.Context, slug string) (EventKeys, uuid.UUID, error) {
	sale, err := r.deps.Sales(ctx, slug)
	if err != nil {
		return EventKeys{}, uuid.Nil, fmt.Errorf("load the event %q: %w", slug, err)
	}
	event := lottery.EventID(slug)
	ring, err := r.rings.readEvent(ctx, event)
	if err != nil {
		return EventKeys{}, uuid.Nil, err
	}
	d, err := loadDraw(ctx, r.db.Reader, event)
	if err != nil && !errors.Is(err, ErrNoSale) {
		return EventKeys{}, uuid.Nil, err
	}
	keys := EventKeys{
		Event: slug, Generation: d.generation, Identity: sale.within(d.presale).Identity, PseudonymKey: sale.PseudonymKey, PassKeys: ring.pass, ReceiptKeys: ring.receiptKeys,
		InvitationKeys: ring.invitation, SessionFilterKeys: r.rings.global.Load().filter,
	}
	return keys, event, nil
}

// edgeKey is a registered key that is not revoked; ErrTokenKeyUnknown otherwise.
func (r *Room) edgeKey(ctx context.Context, id uuid.UUID) (signer, error) {
	if key, known := r.edges.key(id); known {
		return key, nil
	}
	key, err := r.loadEdgeKey(ctx, id)
	if err != nil {
		return signer{}, err
	}
	r.edges.learnKey(id, key)
	return key, nil
}

func (r *Room) loadEdgeKey(ctx context.Context, id uuid.UUID) (signer, error) {
	var key signer
	var public []byte
	var revoked bool
	err := r.db.Reader.QueryRow(ctx, sqlLoadEdgeKey, id).Scan(&key.edge, &key.event, &public, &key.validFrom, &key.validUntil, &revoked)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && revoked {
		return signer{}, ErrTokenKeyUnknown
	}
	if err != nil {
		return signer{}, fmt.Errorf("look up key %s: %w", id, err)
	}
	key.public = public
	return key, nil
}

// signer is a registered key of an edge.
type signer struct {
	edge, event           uuid.UUID
	public                ed25519.PublicKey
	validFrom, validUntil time.Time
	until                 time.Time // of the memory of it
}

// covers tells whether the key was valid when the token was signed, and does not promise anything beyond its own end.
// Token times are whole milliseconds.
func (k signer) covers(t admission.Token) bool {
	return !t.IssuedAt.Before(k.validFrom.Truncate(time.Millisecond)) && !t.ExpiresAt.After(k.validUntil)
}
