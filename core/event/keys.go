package event

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/edge/lottery"
)

// ErrNoKey means that there is no unretired key for a purpose and scope.
var ErrNoKey = errors.New("event: no key")

// Purpose is what a key is for.
type Purpose string

// The purposes. Those of sessions, accounts, wallets and fraud are in scope GlobalScope, the others in that of one event.
const (
	SessionPurpose       Purpose = "session"        // MAC of sessions, core's own
	SessionFilterPurpose Purpose = "session_filter" // MAC of sessions, shared with edges
	PassPurpose          Purpose = "pass"           // MAC of passes
	ReceiptPurpose       Purpose = "receipt"        // Ed25519 of receipts
	TicketPurpose        Purpose = "ticket"         // Ed25519 of ticket codes
	InvitationPurpose    Purpose = "invitation"     // Ed25519 of invitations
	GatePurpose          Purpose = "gate"           // makes the seeds of rotating ticket codes
	PackPurpose          Purpose = "pack"           // Ed25519 of the packs that gates load before they go off line
	AccountPurpose       Purpose = "account"        // Ed25519 of account sessions
	WalletPurpose        Purpose = "wallet"         // MAC of the tokens in wallets' passes
	CodePurpose          Purpose = "account_code"   // hashes the codes that prove an address, and whom they were asked for
	OrderLinkPurpose     Purpose = "order_link"     // MAC of the links by which unpaid orders are found again, in GlobalScope
	FraudPurpose         Purpose = "fraud"          // hashes accounts, addresses and cards to judge payments, in GlobalScope
	LimitPurpose         Purpose = "limit"          // hashes addresses and cards for the limits of a tour, in TourScope
)

// GlobalScope is the scope of keys that serve all events. Every other scope is an event's id, see Scope.
const GlobalScope = "global"

// secretBytes is the size of a MAC key and of an Ed25519 seed alike.
const secretBytes = 32

const sqlKeys = `
SELECT number, secret, public
FROM keys
WHERE purpose = $1::TEXT AND scope = $2::TEXT AND retired_at IS NULL
ORDER BY number DESC
LIMIT 16`

const sqlInsertKeys = `
INSERT INTO keys (purpose, scope, number, secret, public)
SELECT u.purpose, u.scope, 1, u.secret, u.public
FROM unnest($1::TEXT[], $2::TEXT[], $3::BYTEA[], $4::BYTEA[]) AS u(purpose, scope, secret, public)
ON CONFLICT (purpose, scope, number) DO NOTHING`

// Querier is the reading half of a pool or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Key is one key of a purpose and scope.
type Key struct {
	Number uint32 // from 1
	Secret []byte // MAC key, or Ed25519 seed
	Public []byte // Ed25519 public key, empty for a MAC key
}

// String hides the secret from logs.
func (k Key) String() string { return fmt.Sprintf("key %d", k.Number) }

// GoString hides the secret from logs.
func (k Key) GoString() string { return k.String() }

// Private is the key that signs.
func (k Key) Private() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(k.Secret) }

// KeyRing is the unretired keys of a purpose and scope, the newest, which signs, first. It is never empty.
type KeyRing []Key

// MACKeys is the ring in the form edges use for MACs.
func (r KeyRing) MACKeys() lottery.MACKeys {
	keys := make(lottery.MACKeys, len(r))
	for i, k := range r {
		keys[i].No = k.Number
		copy(keys[i].Key[:], k.Secret)
	}
	return keys
}

// PublicKeys is the public half of the ring.
func (r KeyRing) PublicKeys() lottery.PublicKeys {
	keys := make(lottery.PublicKeys, len(r))
	for i, k := range r {
		keys[i].No = k.Number
		copy(keys[i].Public[:], k.Public)
	}
	return keys
}

// Scope is the scope of an event's keys.
func Scope(event uuid.UUID) string { return event.String() }

// asymmetric reports whether the purpose's keys are Ed25519 pairs.
func (p Purpose) asymmetric() bool {
	return p == ReceiptPurpose || p == TicketPurpose || p == InvitationPurpose || p == PackPurpose || p == AccountPurpose
}

// Keys reads the unretired keys of a purpose and scope, newest first. ErrNoKey when there is none.
func Keys(ctx context.Context, q Querier, purpose Purpose, scope string) (KeyRing, error) {
	rows, err := q.Query(ctx, sqlKeys, string(purpose), scope)
	if err != nil {
		return nil, fmt.Errorf("read %s keys: %w", purpose, err)
	}
	ring, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (Key, error) {
		var k Key
		if err := r.Scan(&k.Number, &k.Secret, &k.Public); err != nil {
			return Key{}, err
		}
		if len(k.Secret) != secretBytes || purpose.asymmetric() && len(k.Public) != ed25519.PublicKeySize {
			return Key{}, fmt.Errorf("key %d has the wrong size", k.Number)
		}
		return k, nil
	})
	if err != nil {
		return nil, fmt.Errorf("read %s keys: %w", purpose, err)
	}
	if len(ring) == 0 {
		return nil, fmt.Errorf("%w: %s of %s", ErrNoKey, purpose, scope)
	}
	return ring, nil
}

// publicOf is the public half of an Ed25519 seed.
func publicOf(seed []byte) []byte { return ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey) }

// Ensure makes key number 1 of a purpose and scope, with secret bytes from random (crypto/rand when nil), unless there is one.
func Ensure(ctx context.Context, tx pgx.Tx, random io.Reader, purpose Purpose, scope string) error {
	return ensureAll(ctx, tx, random, []ringKey{{purpose, scope}})
}

// ensureAll is Ensure for many at once.
func ensureAll(ctx context.Context, tx pgx.Tx, random io.Reader, rings []ringKey) error {
	if random == nil {
		random = rand.Reader
	}
	n := len(rings)
	purposes, scopes, secrets, publics := make([]string, n), make([]string, n), make([][]byte, n), make([][]byte, n)
	for i, ring := range rings {
		purposes[i], scopes[i] = string(ring.purpose), ring.scope
		secrets[i], publics[i] = make([]byte, secretBytes), []byte{}
		if _, err := io.ReadFull(random, secrets[i]); err != nil {
			return fmt.Errorf("make a %s key: %w", ring.purpose, err)
		}
		if ring.purpose.asymmetric() {
			publics[i] = publicOf(secrets[i])
		}
	}
	if _, err := tx.Exec(ctx, sqlInsertKeys, purposes, scopes, secrets, publics); err != nil {
		return fmt.Errorf("insert keys: %w", err)
	}
	return nil
}
