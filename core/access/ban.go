package access

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/bits-and-blooms/bloom/v3"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
)

// BanKind is what a ban names.
type BanKind string

// The kinds of ban.
const (
	BanDevice  BanKind = "device"  // subject: the 16-byte device hash
	BanNetwork BanKind = "network" // subject: the 8-byte network hash
	BanEntrant BanKind = "entrant" // subject: the 16-byte entrant
	BanAccount BanKind = "account" // subject: the 16-byte id of an account, at whatever event
	BanCard    BanKind = "card"    // subject: the 16-byte keyed hash of a card, as package fraud marks it; core alone sees cards
)

// maxBanReason bounds the reason of a ban, in bytes.
const maxBanReason = 500

// minBanFilter is how many bans the filter is at least made for, so that its size says nothing about how few there are.
const minBanFilter = 1000

// Ban excludes a subject from joining and from claiming a turn; a card from paying.
type Ban struct {
	Kind      BanKind
	Subject   []byte
	Reason    string
	Actor     string // who decided it
	CreatedAt time.Time
	LiftedAt  *time.Time // nil while it is in force
}

func (b Ban) check() error {
	want := 16
	switch b.Kind {
	case BanNetwork:
		want = 8
	case BanDevice, BanEntrant, BanAccount, BanCard:
	default:
		return fmt.Errorf("%w: kind %q is none of device, network, entrant, account, card", ErrBanInvalid, b.Kind)
	}
	if len(b.Subject) != want {
		return fmt.Errorf("%w: a %s has %d bytes, not %d", ErrBanInvalid, b.Kind, want, len(b.Subject))
	}
	if b.Reason == "" || len(b.Reason) > maxBanReason {
		return fmt.Errorf("%w: a reason of 1 to %d bytes is needed", ErrBanInvalid, maxBanReason)
	}
	return nil
}

const (
	sqlAddBan = `INSERT INTO bans (kind, subject, reason, actor, created_at, lifted_at) VALUES ($1, $2, $3, $4, now(), NULL)
	ON CONFLICT (kind, subject) DO UPDATE SET reason = excluded.reason, actor = excluded.actor, created_at = now(), lifted_at = NULL`
	sqlLiftBan  = `UPDATE bans SET lifted_at = now() WHERE kind = $1 AND subject = $2 AND lifted_at IS NULL`
	sqlListBans = `SELECT kind, subject, reason, actor, created_at, lifted_at FROM bans
	WHERE (kind, subject) > ($1, $2) ORDER BY kind, subject LIMIT $3`
	sqlActiveBans = `SELECT kind, subject FROM bans WHERE lifted_at IS NULL ORDER BY kind, subject`
	sqlBanFigures = `SELECT count(*), count(lifted_at), max(created_at), max(lifted_at) FROM bans`
)

// AddBan puts a ban in force, or a lifted one in force again. Edges have it within about a second.
func (r *Room) AddBan(ctx context.Context, b Ban) error {
	if err := b.check(); err != nil {
		return err
	}
	if _, err := r.db.Exec(ctx, sqlAddBan, string(b.Kind), b.Subject, b.Reason, b.Actor); err != nil {
		return fmt.Errorf("write a ban: %w", err)
	}
	return r.bansChanged(ctx)
}

// LiftBan ends a ban; its row stays as a record. ErrBanUnknown when there is none in force.
func (r *Room) LiftBan(ctx context.Context, kind BanKind, subject []byte) error {
	tag, err := r.db.Exec(ctx, sqlLiftBan, string(kind), subject)
	if err != nil {
		return fmt.Errorf("lift a ban: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return ErrBanUnknown
	}
	return r.bansChanged(ctx)
}

// HasBan tells whether a ban is in force, exactly, as of at most a second or so ago. It is what a hit in an edge's filter is checked by
// before it harms anybody.
func (r *Room) HasBan(kind BanKind, subject []byte) bool { return r.bans.has(kind, subject) }

// Bans lists bans, lifted ones too, in order of kind and subject, after the given one.
func (r *Room) Bans(ctx context.Context, afterKind BanKind, afterSubject []byte, limit int) ([]Ban, error) {
	if afterSubject == nil {
		afterSubject = []byte{}
	}
	rows, err := r.db.Reader.Query(ctx, sqlListBans, string(afterKind), afterSubject, int64(limit))
	if err != nil {
		return nil, fmt.Errorf("list the bans: %w", err)
	}
	bans, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (b Ban, err error) {
		var kind string
		err = row.Scan(&kind, &b.Subject, &b.Reason, &b.Actor, &b.CreatedAt, &b.LiftedAt)
		b.Kind = BanKind(kind)
		return b, err
	})
	if err != nil {
		return nil, fmt.Errorf("list the bans: %w", err)
	}
	return bans, nil
}

func (r *Room) bansChanged(ctx context.Context) error {
	if _, err := r.bans.refresh(ctx); err != nil {
		return err
	}
	r.feed.wake()
	return nil
}

// BanFilter is the bans in force as edges get them: a miss is certain, one subject in 1/false positive rate is a false hit, which
// core is asked about before it harms anybody. Devices, networks, entrants, accounts and cards are in one filter, told apart by their kind. At one in 10,000, the default, a ban takes 19.2 bits: 1,000 bans are 2.4 KB,
// 100,000 are 240 KB and a million 2.4 MB; it is made for 1,000 at least. Edges get it whole whenever a ban changes.
type BanFilter struct {
	Version uint64 // names the content: the same bans have the same version on every core
	Filter  string // base64 of bloom.BloomFilter.WriteTo
}

// banFigures change whenever a ban does, so that an unchanged list need not be read.
type banFigures struct {
	count, lifted          int64
	newestBan, newestLifts time.Time
}

// banList is the exact set of bans in force and the filter made of it.
type banList struct {
	db            *db.DB
	falsePositive float64
	reading       gate

	mu      sync.RWMutex
	figures banFigures
	readAt  time.Time
	exact   map[string]struct{}
	filter  BanFilter
}

// banListTTL is after how long the list is read even if the figures are unchanged.
const banListTTL = time.Minute

func newBanList(ctx context.Context, database *db.DB, falsePositive float64) (*banList, error) {
	l := &banList{db: database, falsePositive: falsePositive, reading: newGate()}
	_, err := l.refresh(ctx)
	return l, err
}

// appendBanKey appends what the filter holds for a subject: kind ‖ 0x00 ‖ subject.
func appendBanKey(dst []byte, kind BanKind, subject []byte) []byte {
	dst = append(dst, kind...)
	dst = append(dst, 0)
	return append(dst, subject...)
}

// has tells whether a ban is in force, exactly, as of at most a second or so ago.
func (l *banList) has(kind BanKind, subject []byte) bool {
	var key [32]byte
	l.mu.RLock()
	defer l.mu.RUnlock()
	_, banned := l.exact[string(appendBanKey(key[:0], kind, subject))]
	return banned
}

func (l *banList) current() BanFilter {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.filter
}

// refresh reads the bans if they changed.
func (l *banList) refresh(ctx context.Context) (changed bool, err error) {
	if err := l.reading.enter(ctx); err != nil {
		return false, err
	}
	defer l.reading.leave()
	figures, err := l.readFigures(ctx)
	if err != nil {
		return false, err
	}
	l.mu.RLock()
	fresh := figures == l.figures && l.exact != nil && time.Since(l.readAt) < banListTTL
	before := l.filter.Version
	l.mu.RUnlock()
	if fresh {
		return false, nil
	}
	keys, err := l.readActive(ctx)
	if err != nil {
		return false, err
	}
	filter, err := makeBanFilter(keys, l.falsePositive)
	if err != nil {
		return false, err
	}
	exact := make(map[string]struct{}, len(keys))
	for _, key := range keys {
		exact[string(key)] = struct{}{}
	}
	bansInForce.Set(float64(len(keys)))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.figures, l.exact, l.filter, l.readAt = figures, exact, filter, time.Now()
	return filter.Version != before, nil
}

func (l *banList) readFigures(ctx context.Context) (banFigures, error) {
	var f banFigures
	var ban, lift *time.Time
	if err := l.db.Reader.QueryRow(ctx, sqlBanFigures).Scan(&f.count, &f.lifted, &ban, &lift); err != nil {
		return f, fmt.Errorf("look whether bans changed: %w", err)
	}
	if ban != nil {
		f.newestBan = ban.UTC()
	}
	if lift != nil {
		f.newestLifts = lift.UTC()
	}
	return f, nil
}

func (l *banList) readActive(ctx context.Context) ([][]byte, error) {
	rows, err := l.db.Reader.Query(ctx, sqlActiveBans)
	if err != nil {
		return nil, fmt.Errorf("read the bans: %w", err)
	}
	keys, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]byte, error) {
		var kind string
		var subject []byte
		err := row.Scan(&kind, &subject)
		return appendBanKey(nil, BanKind(kind), subject), err
	})
	if err != nil {
		return nil, fmt.Errorf("read the bans: %w", err)
	}
	return keys, nil
}

// makeBanFilter makes the filter of the keys and names it by their content.
func makeBanFilter(keys [][]byte, falsePositive float64) (BanFilter, error) {
	slices.SortFunc(keys, bytes.Compare)
	filter := bloom.NewWithEstimates(uint(max(len(keys), minBanFilter)), falsePositive)
	content := sha256.New()
	for _, key := range keys {
		filter.Add(key)
		content.Write([]byte{byte(len(key))})
		content.Write(key)
	}
	var raw bytes.Buffer
	if _, err := filter.WriteTo(&raw); err != nil {
		return BanFilter{}, fmt.Errorf("write the ban filter: %w", err)
	}
	// 52 bits, so that every JSON reader keeps the number whole; never 0, which means that an edge has no filter.
	version := binary.BigEndian.Uint64(content.Sum(nil))>>12 | 1
	return BanFilter{Version: version, Filter: base64.StdEncoding.EncodeToString(raw.Bytes())}, nil
}
