package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/edge/admission"
	"fairgate/edge/lottery"
)

var (
	// ErrCodeWrong means that the code is none of those this browser could use. It counts against them.
	ErrCodeWrong = errors.New("account: wrong code")
	// ErrNoCode means that this browser has no code to use: none was asked for, or all are used, expired or spoilt.
	ErrNoCode = errors.New("account: no code can be used")
)

// Entry is a code typed by somebody.
type Entry struct {
	Email    string
	Code     string
	Language string // "" leaves it as it is
	Device   lottery.DeviceHash
}

// Session is an account signed in in one browser.
type Session struct {
	Account   Account
	Raw       []byte // admission.Account, signed
	IssuedAt  time.Time
	ExpiresAt time.Time
}

const (
	// One try is compared with 20 codes at most; the limits allow fewer.
	sqlUsableCodes = `SELECT code_id, code_hash, used_at FROM account_codes
	WHERE email_mark = $1::BYTEA AND device = $2::BYTEA AND created_at > now() - INTERVAL '1 day' AND attempts < $3::INT8
		AND (used_at IS NULL AND expires_at > now() OR used_at > now() - $4::INT8 * INTERVAL '1 millisecond')
	ORDER BY created_at DESC, code_id LIMIT 20`
	sqlCountWrong = `UPDATE account_codes SET attempts = attempts + 1 WHERE code_id = ANY($1::UUID[])`
	// One code is used; those that could have been used instead are over.
	sqlUseCode = `UPDATE account_codes SET used_at = CASE WHEN code_id = $1::UUID THEN now() END, expires_at = LEAST(expires_at, now())
	WHERE code_id = ANY($2::UUID[]) AND used_at IS NULL`
	sqlAddAccount = `INSERT INTO accounts (account_id, email, email_written, secret, language, epoch, created_at, forgotten_at)
	VALUES ($1::UUID, $2::TEXT, $3::TEXT, $4::BYTEA, $5::TEXT, 0, now(), NULL) ON CONFLICT (email) DO NOTHING`
	sqlSpeak = `UPDATE accounts SET language = $2::TEXT WHERE account_id = $1::UUID`
	sqlNow   = `SELECT now()`
)

// SignIn uses a code: ErrEmail, ErrCodeWrong, ErrNoCode. When the outcome of its commit is unknown it looks again, and so may the caller.
func (s *Service) SignIn(ctx context.Context, entry Entry) (Session, error) {
	normalized, err := Normalize(entry.Email)
	if err != nil {
		return Session{}, err
	}
	key, err := s.markKey(ctx)
	if err != nil {
		return Session{}, err
	}
	try := &signing{service: s, entry: entry, normalized: normalized, key: key, fresh: Account{ID: uuid.New(), Email: entry.Email, Language: language(entry.Language)}}
	rand.Read(try.fresh.Secret[:])
	if err := s.db.InTx(ctx, try.run); errors.Is(err, db.ErrAmbiguous) {
		err = s.db.InTx(ctx, try.run) // what was committed is found; what was not is done
		if err != nil {
			return Session{}, fmt.Errorf("sign in: %w", err)
		}
	} else if err != nil {
		return Session{}, fmt.Errorf("sign in: %w", err)
	}
	switch {
	case try.err == nil && try.repeat:
		repeated.Inc()
	case try.err == nil:
		signedIn.Inc()
		if try.made {
			accountsMade.Inc()
		}
	case errors.Is(try.err, ErrCodeWrong):
		wrongCodes.Inc()
	default:
		noCodes.Inc()
	}
	if try.err != nil {
		return Session{}, try.err
	}
	return s.issue(ctx, try.account, entry.Device, try.at)
}

// signing is one try to sign in. What run finds out stands in the lower fields, anew each time.
type signing struct {
	service    *Service
	entry      Entry
	normalized string
	key        []byte
	fresh      Account // the account if there is none yet

	account      Account
	at           time.Time // of the code's use
	repeat, made bool
	err          error // an outcome that is committed: a wrong code is counted
}

// usable is a code that a browser could use, or has just used.
type usable struct {
	id   uuid.UUID
	hash []byte
	used *time.Time
}

func (t *signing) run(ctx context.Context, tx pgx.Tx) error {
	t.account, t.at, t.repeat, t.made, t.err = Account{}, time.Time{}, false, false, nil
	cfg := &t.service.cfg
	email := lottery.MAC(t.key, emailTag, []byte(t.normalized))
	rows, err := tx.Query(ctx, sqlUsableCodes, email[:], t.entry.Device[:], int64(cfg.MaxAttempts), cfg.RepeatWithin.Milliseconds())
	if err != nil {
		return fmt.Errorf("look for codes: %w", err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (u usable, err error) {
		err = row.Scan(&u.id, &u.hash, &u.used)
		return u, err
	})
	if err != nil {
		return fmt.Errorf("look for codes: %w", err)
	}
	if len(all) == 0 {
		t.err = ErrNoCode
		return nil
	}
	ids := make([]uuid.UUID, len(all))
	hit := -1
	for i, u := range all { // all of them, whichever fits
		ids[i] = u.id
		hash := hashCode(t.key, u.id, t.entry.Device, t.entry.Code)
		if subtle.ConstantTimeCompare(hash[:], u.hash) == 1 {
			hit = i
		}
	}
	if hit < 0 {
		t.err = ErrCodeWrong
		if _, err := tx.Exec(ctx, sqlCountWrong, ids); err != nil {
			return fmt.Errorf("count a wrong code: %w", err)
		}
		return nil
	}
	if used := all[hit].used; used != nil {
		t.repeat, t.at = true, *used
	} else {
		if _, err := tx.Exec(ctx, sqlUseCode, all[hit].id, ids); err != nil {
			return fmt.Errorf("use a code: %w", err)
		}
		if err := tx.QueryRow(ctx, sqlNow).Scan(&t.at); err != nil { // the same as in the statement before
			return fmt.Errorf("read the clock: %w", err)
		}
	}
	return t.find(ctx, tx)
}

// find is the account of the address, made if need be.
func (t *signing) find(ctx context.Context, tx pgx.Tx) error {
	tag, err := tx.Exec(ctx, sqlAddAccount, t.fresh.ID, t.normalized, t.fresh.Email, t.fresh.Secret[:], t.fresh.Language)
	if err != nil {
		return fmt.Errorf("make an account: %w", err)
	}
	t.made = tag.RowsAffected() == 1
	found, err := loadAll(ctx, tx, sqlAccountByEmail, t.normalized)
	if err != nil {
		return err
	}
	if len(found) != 1 {
		return fmt.Errorf("%d accounts of one address", len(found))
	}
	t.account = found[0]
	if t.entry.Language == "" || t.account.Language == t.fresh.Language {
		return nil
	}
	if _, err := tx.Exec(ctx, sqlSpeak, t.account.ID, t.fresh.Language); err != nil {
		return fmt.Errorf("note the language: %w", err)
	}
	t.account.Language = t.fresh.Language
	return nil
}

// issue signs a session that begins at a time.
func (s *Service) issue(ctx context.Context, a Account, device lottery.DeviceHash, at time.Time) (Session, error) {
	ring, err := s.cfg.Signing(ctx)
	if err != nil {
		return Session{}, fmt.Errorf("find the key of account sessions: %w", err)
	}
	at = at.UTC().Truncate(time.Millisecond)
	token := admission.Account{KeyNo: ring[0].Number, Account: a.ID, Subject: admission.NewSubject(a.Secret[:]), Device: device, Epoch: a.Epoch,
		IssuedAt: at, ExpiresAt: at.Add(s.cfg.SessionTTL)}
	return Session{Account: a, Raw: token.Sign(nil, ring[0].Private()), IssuedAt: at, ExpiresAt: token.ExpiresAt}, nil
}
