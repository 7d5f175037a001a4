package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"fairgate/edge/admission"
	"fairgate/edge/lottery"
)

// ErrSignedOut means that nobody is signed in: there is no session, it is none of ours, another browser's, expired, or its account has
// signed out everywhere or was forgotten since.
var ErrSignedOut = errors.New("account: not signed in")

// PublicKeys are the keys by which edges know account sessions.
func (s *Service) PublicKeys(ctx context.Context) (lottery.PublicKeys, error) {
	ring, err := s.cfg.Signing(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the keys of account sessions: %w", err)
	}
	return ring.PublicKeys(), nil
}

// Shown is an account session as a browser shows it.
type Shown struct {
	Raw    []byte
	Device lottery.DeviceHash
}

// Check is the session that a browser shows, with its account as it is now. ErrSignedOut.
func (s *Service) Check(ctx context.Context, raw []byte, device lottery.DeviceHash) (Session, error) {
	sessions, errs, err := s.CheckAll(ctx, []Shown{{raw, device}})
	if err != nil {
		return Session{}, err
	}
	return sessions[0], errs[0]
}

// CheckAll is Check of many, with one statement. For each there is a session, or an ErrSignedOut.
func (s *Service) CheckAll(ctx context.Context, shown []Shown) ([]Session, []error, error) {
	keys, err := s.keysFor(ctx, shown)
	if err != nil {
		return nil, nil, err
	}
	sessions, errs := make([]Session, len(shown)), make([]error, len(shown))
	tokens := make([]admission.Account, len(shown))
	var ids []uuid.UUID
	now := time.Now()
	for i, one := range shown {
		token, err := admission.VerifyAccount(one.Raw, keys, now)
		switch {
		case err != nil:
			errs[i] = fmt.Errorf("%w: %w", ErrSignedOut, err)
		case token.Device != one.Device:
			errs[i] = fmt.Errorf("%w: shown by another browser", ErrSignedOut)
		default:
			tokens[i], ids = token, append(ids, token.Account)
		}
	}
	if len(ids) == 0 {
		return sessions, errs, nil
	}
	found, err := loadAll(ctx, s.db.Reader, sqlLoadAccounts, ids)
	if err != nil {
		return nil, nil, err
	}
	byID := make(map[uuid.UUID]Account, len(found))
	for _, a := range found {
		byID[a.ID] = a
	}
	for i, one := range shown {
		if errs[i] != nil {
			continue
		}
		a, token := byID[tokens[i].Account], tokens[i]
		if a.ID == uuid.Nil || a.Epoch != token.Epoch || !a.Forgotten.IsZero() || admission.NewSubject(a.Secret[:]) != token.Subject {
			errs[i] = fmt.Errorf("%w: signed out everywhere since", ErrSignedOut)
			continue
		}
		sessions[i] = Session{Account: a, Raw: one.Raw, IssuedAt: token.IssuedAt, ExpiresAt: token.ExpiresAt}
	}
	return sessions, errs, nil
}

// rereadPause is how long the ring is not read anew for a session that names a newer key: anybody can make up numbers.
const rereadPause = time.Second

// keysFor are the keys by which sessions are checked: those in memory, unless a session names a newer one, which another core has made since.
func (s *Service) keysFor(ctx context.Context, shown []Shown) (lottery.PublicKeys, error) {
	keys, err := s.PublicKeys(ctx)
	if err != nil || s.cfg.Reread == nil {
		return keys, err
	}
	newer := slices.ContainsFunc(shown, func(one Shown) bool {
		token, err := admission.ParseAccount(one.Raw)
		return err == nil && !slices.ContainsFunc(keys, func(k lottery.PublicKey) bool { return k.No >= token.KeyNo })
	})
	now, last := time.Now().UnixNano(), s.rereadAt.Load()
	if !newer || now-last < int64(rereadPause) || !s.rereadAt.CompareAndSwap(last, now) {
		return keys, nil
	}
	ring, err := s.cfg.Reread(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the keys of account sessions: %w", err)
	}
	return ring.PublicKeys(), nil
}

// Renew is the same session for longer, when it is old enough to be renewed; false otherwise. It must just have been checked.
func (s *Service) Renew(ctx context.Context, session Session, device lottery.DeviceHash) (Session, bool, error) {
	now := time.Now()
	if now.Sub(session.IssuedAt) < s.cfg.RenewAfter {
		return session, false, nil
	}
	renewed, err := s.issue(ctx, session.Account, device, now)
	return renewed, err == nil, err
}

const (
	sqlNextEpoch = `UPDATE accounts SET epoch = epoch + 1 WHERE account_id = $1::UUID AND epoch = $2::INT8`
	// Codes that are used or could be used are spoilt, not deleted: the limits go on counting them.
	sqlSpoilCodes = `UPDATE account_codes SET attempts = 1000
	WHERE email_mark = $1::BYTEA AND created_at > now() - INTERVAL '1 hour' AND ($3::BOOL OR device = $2::BYTEA)`
)

// SignOut ends what codes of the browser, or with everywhere of all browsers, could still be used for; and with everywhere all sessions of
// the account up to the one that asks. Asking again with that one is ErrSignedOut at Check. In the browser alone the session ends with
// the cookie that holds it.
func (s *Service) SignOut(ctx context.Context, a Account, device lottery.DeviceHash, everywhere bool) error {
	key, err := s.markKey(ctx)
	if err != nil {
		return err
	}
	email := lottery.MAC(key, emailTag, []byte(a.normalized))
	err = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, sqlSpoilCodes, email[:], device[:], everywhere); err != nil {
			return fmt.Errorf("spoil codes: %w", err)
		}
		if !everywhere {
			return nil
		}
		if _, err := tx.Exec(ctx, sqlNextEpoch, a.ID, int64(a.Epoch)); err != nil {
			return fmt.Errorf("end the sessions: %w", err)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("sign out: %w", err)
	}
	return nil
}

// Entrancy says whom an account is in an event.
type Entrancy struct {
	Account uuid.UUID
	Event   uuid.UUID
	Entrant lottery.Entrant
}

const sqlRemember = `INSERT INTO account_entrants (account_id, event_id, entrant, since)
	SELECT q.account_id, q.event_id, q.entrant, now() FROM unnest($1::UUID[], $2::UUID[], $3::BYTEA[]) AS q (account_id, event_id, entrant)
	ON CONFLICT (account_id, event_id) DO NOTHING`

// Execer runs a statement: a pool or a transaction.
type Execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// Remember notes which entrants are which accounts, so that what belongs to an entrant is found by the account. Whoever gives a ticket to
// an account calls it in the same transaction. Noting the same again changes nothing.
func Remember(ctx context.Context, q Execer, all ...Entrancy) error {
	if len(all) == 0 {
		return nil
	}
	accounts, events, entrants := make([]uuid.UUID, len(all)), make([]uuid.UUID, len(all)), make([][]byte, len(all))
	for i, e := range all {
		accounts[i], events[i], entrants[i] = e.Account, e.Event, e.Entrant[:]
	}
	if _, err := q.Exec(ctx, sqlRemember, accounts, events, entrants); err != nil {
		return fmt.Errorf("note the accounts of entrants: %w", err)
	}
	return nil
}

const (
	sqlEntrancies = `SELECT account_id, event_id, entrant FROM account_entrants WHERE account_id = $1::UUID ORDER BY since DESC, event_id LIMIT 1000`
	sqlWhoIs      = `SELECT ` + accountColumns + ` FROM accounts
	WHERE account_id = (SELECT account_id FROM account_entrants WHERE event_id = $1::UUID AND entrant = $2::BYTEA)`
)

// Entrancies lists whom the account is, in its latest thousand events.
func Entrancies(ctx context.Context, q Querier, id uuid.UUID) ([]Entrancy, error) {
	rows, err := q.Query(ctx, sqlEntrancies, id)
	if err != nil {
		return nil, fmt.Errorf("list the events of an account: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (e Entrancy, err error) {
		var entrant []byte
		if err := row.Scan(&e.Account, &e.Event, &entrant); err != nil {
			return e, err
		}
		if len(entrant) != len(e.Entrant) {
			return e, fmt.Errorf("entrant of %d bytes", len(entrant))
		}
		e.Entrant = lottery.Entrant(entrant)
		return e, nil
	})
}

// WhoIs is the account of an entrant. ErrUnknown when the entrant is none's, as far as is known.
func WhoIs(ctx context.Context, q Querier, event uuid.UUID, entrant lottery.Entrant) (Account, error) {
	rows, err := q.Query(ctx, sqlWhoIs, event, entrant[:])
	if err != nil {
		return Account{}, fmt.Errorf("look whose entrant that is: %w", err)
	}
	a, err := pgx.CollectExactlyOneRow(rows, scanAccount)
	if errors.Is(err, pgx.ErrNoRows) {
		return Account{}, ErrUnknown
	}
	if err != nil {
		return Account{}, fmt.Errorf("look whose entrant that is: %w", err)
	}
	return a, nil
}
