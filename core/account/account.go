package account

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/event"
	"fairgate/edge/admission"
	"fairgate/edge/lottery"
)

// ErrUnknown means that there is no such account, or that it was forgotten.
var ErrUnknown = errors.New("account: unknown")

// Account is a buyer who has proved an e-mail address.
type Account struct {
	ID        uuid.UUID
	Email     string // as its owner writes it; "" of a forgotten one
	Secret    [16]byte
	Language  string
	Epoch     uint32
	CreatedAt time.Time
	Forgotten time.Time // zero while it is not

	normalized string
}

// String hides the address and the secret from logs.
func (a Account) String() string { return "account " + a.ID.String() }

// GoString hides the address and the secret from logs.
func (a Account) GoString() string { return a.String() }

// Entrant is the account in the event whose pseudonym key that is.
func (a Account) Entrant(pseudonymKey []byte) lottery.Entrant {
	return admission.NewSubject(a.Secret[:]).Entrant(pseudonymKey)
}

// Owns reports whether an address is the one that the account has proved.
func (a Account) Owns(email string) bool {
	normalized, err := Normalize(email)
	return err == nil && a.normalized != "" && normalized == a.normalized
}

// Normalized is the address as addresses are compared, see Normalize; "" of a forgotten account.
func (a Account) Normalized() string { return a.normalized }

// Mail is a code on its way to the address it proves.
type Mail struct {
	ID       uuid.UUID // of the code: the same id is the same mail
	To       string
	Language string
	Code     string // six digits
	Valid    time.Duration
}

// Config sets a Service. DB, Signing, Marking and Send are required; what is zero has the default named beside it.
type Config struct {
	DB *db.DB
	// Signing is the ring that signs account sessions, Marking the one whose oldest key hashes codes and addresses. They are asked
	// for each time, and should answer from memory.
	Signing, Marking func(context.Context) (event.KeyRing, error)
	// Reread is Signing from the database, for a session signed with a newer key than memory has; nil: Signing will do. It is asked for no
	// more than once a second.
	Reread func(context.Context) (event.KeyRing, error)
	// Send takes a mail into the transaction.
	Send func(context.Context, pgx.Tx, Mail) error

	CodeTTL      time.Duration // how long a code is valid; 10 min
	MaxAttempts  int           // wrong codes that end the codes of a browser; 5
	RepeatWithin time.Duration // how long a used code answers its session again; 1 min
	PerEmailHour int           // codes for one address in an hour; 5
	PerEmailDay  int           // and in a day; 10
	PerNetwork   int           // codes for one network in an hour; 300
	SessionTTL   time.Duration // 30 days
	RenewAfter   time.Duration // age from which a session is renewed when it is used; 1 day
	Log          *slog.Logger
}

// Service makes codes and sessions. Any number of goroutines may use it.
type Service struct {
	db  *db.DB
	cfg Config

	rereadAt atomic.Int64 // Unix nanoseconds: when Reread was last asked
}

// New makes a Service.
func New(cfg Config) (*Service, error) {
	if cfg.DB == nil || cfg.Signing == nil || cfg.Marking == nil || cfg.Send == nil {
		return nil, errors.New("account: Config needs DB, Signing, Marking and Send")
	}
	for d, value := range map[*time.Duration]time.Duration{&cfg.CodeTTL: 10 * time.Minute, &cfg.RepeatWithin: time.Minute,
		&cfg.SessionTTL: 30 * 24 * time.Hour, &cfg.RenewAfter: 24 * time.Hour} {
		if *d <= 0 {
			*d = value
		}
	}
	for n, value := range map[*int]int{&cfg.MaxAttempts: 5, &cfg.PerEmailHour: 5, &cfg.PerEmailDay: 10, &cfg.PerNetwork: 300} {
		if *n <= 0 {
			*n = value
		}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{db: cfg.DB, cfg: cfg}, nil
}

// SessionTTL is how long a session lasts that is not renewed.
func (s *Service) SessionTTL() time.Duration { return s.cfg.SessionTTL }

const accountColumns = `account_id, COALESCE(email, ''), email_written, secret, language, epoch, created_at, forgotten_at`

const (
	sqlLoadAccounts   = `SELECT ` + accountColumns + ` FROM accounts WHERE account_id = ANY($1::UUID[])`
	sqlAccountByEmail = `SELECT ` + accountColumns + ` FROM accounts WHERE email = $1::TEXT`
)

// Querier is the reading half of a pool or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Load finds an account, a forgotten one too. ErrUnknown when there is none.
func Load(ctx context.Context, q Querier, id uuid.UUID) (Account, error) {
	found, err := loadAll(ctx, q, sqlLoadAccounts, []uuid.UUID{id})
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("%w: %s", ErrUnknown, id)
	}
	if err != nil {
		return Account{}, err
	}
	return found[0], nil
}

// ByEmail finds the account of an address, however it is spelt. ErrEmail, ErrUnknown. It is for operators and for mail: nobody else is told
// whether there is one.
func ByEmail(ctx context.Context, q Querier, email string) (Account, error) {
	normalized, err := Normalize(email)
	if err != nil {
		return Account{}, err
	}
	found, err := loadAll(ctx, q, sqlAccountByEmail, normalized)
	if err == nil && len(found) == 0 {
		err = ErrUnknown
	}
	if err != nil {
		return Account{}, err
	}
	return found[0], nil
}

func loadAll(ctx context.Context, q Querier, sql string, arg any) ([]Account, error) {
	rows, err := q.Query(ctx, sql, arg)
	if err != nil {
		return nil, fmt.Errorf("load accounts: %w", err)
	}
	found, err := pgx.CollectRows(rows, scanAccount)
	if err != nil {
		return nil, fmt.Errorf("load accounts: %w", err)
	}
	return found, nil
}

func scanAccount(row pgx.CollectableRow) (Account, error) {
	var a Account
	var secret []byte
	var epoch int64
	var forgotten *time.Time
	if err := row.Scan(&a.ID, &a.normalized, &a.Email, &secret, &a.Language, &epoch, &a.CreatedAt, &forgotten); err != nil {
		return Account{}, err
	}
	if len(secret) != len(a.Secret) {
		return Account{}, fmt.Errorf("account %s has a secret of %d bytes", a.ID, len(secret))
	}
	a.Secret, a.Epoch, a.CreatedAt = [16]byte(secret), uint32(epoch), a.CreatedAt.UTC()
	if forgotten != nil {
		a.Forgotten = forgotten.UTC()
	}
	return a, nil
}
