package account

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/edge/lottery"
)

// TooManyCodes means that an address, or a network, has had as many codes as it may; nothing was mailed.
type TooManyCodes struct{ Wait time.Duration }

func (e *TooManyCodes) Error() string { return "account: too many codes" }

// ErrTooManyCodes is what every TooManyCodes is.
var ErrTooManyCodes = errors.New("account: too many codes")

// Is makes a TooManyCodes an ErrTooManyCodes.
func (e *TooManyCodes) Is(target error) bool { return target == ErrTooManyCodes }

// Tags keep the keyed hashes apart.
const (
	emailTag   = "fairgate-account-email-v1"
	networkTag = "fairgate-account-network-v1"
	codeTag    = "fairgate-account-code-v1"
)

// codeDigits and codes: a code is one of so many, each as likely.
const codeDigits = 6

var codes = big.NewInt(1_000_000)

// keepCodes is how long codes are remembered: as long as a limit looks back.
const keepCodes = 24 * time.Hour

// Ask asks for a code.
type Ask struct {
	Email    string
	Language string // of the page; "" means English
	Device   lottery.DeviceHash
	Network  string // of the client, see event.NetworkOf; what is not known counts together
}

const (
	sqlCountCodes = `SELECT now(),
	(SELECT count(*) FROM account_codes WHERE email_mark = $1::BYTEA AND created_at > now() - INTERVAL '1 hour'),
	(SELECT min(created_at) FROM account_codes WHERE email_mark = $1::BYTEA AND created_at > now() - INTERVAL '1 hour'),
	(SELECT count(*) FROM account_codes WHERE email_mark = $1::BYTEA AND created_at > now() - INTERVAL '1 day'),
	(SELECT min(created_at) FROM account_codes WHERE email_mark = $1::BYTEA AND created_at > now() - INTERVAL '1 day'),
	(SELECT count(*) FROM account_codes WHERE network_mark = $2::BYTEA AND created_at > now() - INTERVAL '1 hour'),
	(SELECT min(created_at) FROM account_codes WHERE network_mark = $2::BYTEA AND created_at > now() - INTERVAL '1 hour')`
	sqlAddCode = `INSERT INTO account_codes (code_id, email_mark, device, network_mark, code_hash, attempts, created_at, expires_at, used_at)
	VALUES ($1::UUID, $2::BYTEA, $3::BYTEA, $4::BYTEA, $5::BYTEA, 0, now(), now() + $6::INT8 * INTERVAL '1 millisecond', NULL)`
)

// SendCode mails a code to an address, if it and the network have not had too many: ErrEmail, ErrTooManyCodes. It does and answers the same
// whether or not there is an account.
func (s *Service) SendCode(ctx context.Context, ask Ask) error {
	normalized, err := Normalize(ask.Email)
	if err != nil {
		return err
	}
	key, err := s.markKey(ctx)
	if err != nil {
		return err
	}
	n, err := rand.Int(rand.Reader, codes)
	if err != nil {
		return fmt.Errorf("make a code: %w", err)
	}
	id, text := uuid.New(), fmt.Sprintf("%0*d", codeDigits, n)
	email, network := lottery.MAC(key, emailTag, []byte(normalized)), lottery.MAC(key, networkTag, []byte(ask.Network))
	hash := hashCode(key, id, ask.Device, text)
	err = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if err := s.checkLimits(ctx, tx, email[:], network[:]); err != nil {
			return err
		}
		to := ask.Email
		known, err := loadAll(ctx, tx, sqlAccountByEmail, normalized)
		if err != nil {
			return err
		}
		for _, a := range known {
			to = a.Email
		}
		if _, err := tx.Exec(ctx, sqlAddCode, id, email[:], ask.Device[:], network[:], hash[:], s.cfg.CodeTTL.Milliseconds()); err != nil {
			return fmt.Errorf("write a code: %w", err)
		}
		return s.cfg.Send(ctx, tx, Mail{ID: id, To: to, Language: language(ask.Language), Code: text, Valid: s.cfg.CodeTTL})
	})
	switch {
	case errors.Is(err, ErrTooManyCodes):
		codesRefused.Inc()
	case err == nil:
		codesSent.Inc()
	}
	if err != nil {
		return fmt.Errorf("send a code: %w", err)
	}
	return nil
}

// checkLimits counts the codes of an address and of a network.
func (s *Service) checkLimits(ctx context.Context, tx pgx.Tx, email, network []byte) error {
	var now time.Time
	var hour, day, near int64
	var firstHour, firstDay, firstNear *time.Time
	if err := tx.QueryRow(ctx, sqlCountCodes, email, network).Scan(&now, &hour, &firstHour, &day, &firstDay, &near, &firstNear); err != nil {
		return fmt.Errorf("count codes: %w", err)
	}
	var wait time.Duration
	for _, limit := range []struct {
		had   int64
		most  int
		first *time.Time
		over  time.Duration
	}{{hour, s.cfg.PerEmailHour, firstHour, time.Hour}, {day, s.cfg.PerEmailDay, firstDay, keepCodes}, {near, s.cfg.PerNetwork, firstNear, time.Hour}} {
		if limit.had >= int64(limit.most) && limit.first != nil {
			wait = max(wait, limit.first.Add(limit.over).Sub(now), time.Second)
		}
	}
	if wait > 0 {
		return &TooManyCodes{Wait: wait}
	}
	return nil
}

// markKey is the oldest key of its ring: with another one all counts would begin anew, and codes under way would be worth nothing.
func (s *Service) markKey(ctx context.Context) ([]byte, error) {
	ring, err := s.cfg.Marking(ctx)
	if err != nil {
		return nil, fmt.Errorf("find the key of codes: %w", err)
	}
	return ring[len(ring)-1].Secret, nil
}

// hashCode binds a code to its row and to the browser that asked for it.
func hashCode(key []byte, id uuid.UUID, device lottery.DeviceHash, text string) [32]byte {
	message := append(append(append([]byte{}, id[:]...), device[:]...), text...)
	return lottery.MAC(key, codeTag, binary.BigEndian.AppendUint32(message, uint32(len(text))))
}
