package loadtest

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"fairgate/edge/admission"
	"fairgate/edge/lottery"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Mint makes sessions of buyers who never stood in a waiting room, as core would, for measurements of what comes after it. It can
// because it may read core's keys in the database; nobody else can. It is safe for concurrent use.
type Mint struct {
	no           uint32
	core, filter []byte
}

// querier is a pool or a connection to read from.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

const sqlSessionKeys = `SELECT c.number, c.secret, f.secret FROM keys AS c
	JOIN keys AS f ON f.purpose = 'session_filter' AND f.scope = c.scope AND f.number = c.number AND f.retired_at IS NULL
	WHERE c.purpose = 'session' AND c.scope = 'global' AND c.retired_at IS NULL
	ORDER BY c.number DESC LIMIT 1`

// NewMint reads the newest keys, which a core makes when it starts.
func NewMint(ctx context.Context, db querier) (*Mint, error) {
	m := &Mint{}
	err := db.QueryRow(ctx, sqlSessionKeys).Scan(&m.no, &m.core, &m.filter)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errors.New("there are no session keys yet: start a core first")
	}
	if err != nil {
		return nil, fmt.Errorf("read the session keys: %w", err)
	}
	return m, nil
}

// Shopper is the n-th buyer of an event: who they are, and the Cookie header that proves it.
type Shopper struct {
	Entrant lottery.Entrant
	Cookie  string
}

// Shopper makes the session of the n-th buyer of an event, good for an hour. The cookies are those of edges without HTTPS.
func (m *Mint) Shopper(slug string, n uint64, now time.Time) Shopper {
	var secret [32]byte
	binary.BigEndian.PutUint64(secret[:], n)
	s := admission.Session{
		KeyNo: m.no, Event: lottery.EventID(slug), Session: uuid.UUID(mixed(n, 2)), Device: lottery.HashDevice(secret[:]),
		Generation: 1, IssuedAt: now.Add(-time.Minute), ExpiresAt: now.Add(time.Hour), Entrant: lottery.Entrant(mixed(n, 1)),
	}
	cookie := append(make([]byte, 0, 320), "fg_device="...)
	cookie = base64.RawURLEncoding.AppendEncode(cookie, secret[:])
	cookie = append(cookie, "; fg_session_"...)
	cookie = append(cookie, slug...)
	cookie = append(cookie, '=')
	cookie = base64.RawURLEncoding.AppendEncode(cookie, s.Seal(nil, m.core, m.filter))
	return Shopper{Entrant: s.Entrant, Cookie: string(cookie)}
}

// mixed spreads a number over 16 bytes, different ones for each number: entrants are HMACs and lie all over the index.
func mixed(n, salt uint64) (b [16]byte) {
	h := (n + salt<<56) * 0x9E3779B97F4A7C15
	h = (h ^ h>>32) * 0xd6e8feb86659fd93
	binary.BigEndian.PutUint64(b[:8], h^h>>32)
	binary.BigEndian.PutUint64(b[8:], n)
	return b
}
