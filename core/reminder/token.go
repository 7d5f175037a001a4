package reminder

import (
	"context"
	"crypto/hmac"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
)

// ErrToken means that an address to unsubscribe by is none of ours.
var ErrToken = errors.New("reminder: not an address to unsubscribe by")

const (
	tokenTag     = "fairgate-unsubscribe-v1"
	tokenVersion = 1
	tokenFields  = 33
	tokenSize    = tokenFields + tokenMAC
	tokenMAC     = 16
)

// Token is what somebody withdraws an event's reminders with, without signing in: it does nothing else, and does not end, since unsubscribing
// always has to work. Its bytes, in unpadded base64url:
//
//	 0  version, 1
//	 1  account [16]
//	17  event   [16]
//	33  HMAC-SHA256 of "fairgate-unsubscribe-v1" and bytes 0 to 32  [16]
func (s *Service) Token(ctx context.Context, account, event uuid.UUID) (string, error) {
	if s.cfg.Key == nil {
		return "", nil
	}
	keys, err := s.cfg.Key(ctx)
	if err != nil || len(keys) == 0 {
		return "", fmt.Errorf("find the key to unsubscribe with: %w", err)
	}
	b := append(append([]byte{tokenVersion}, account[:]...), event[:]...)
	sum := lottery.MAC(keys[0], tokenTag, b)
	return base64.RawURLEncoding.EncodeToString(append(b, sum[:tokenMAC]...)), nil
}

// Unsubscribe withdraws all reminders that a token is for, and says of which event. Doing it again changes nothing. ErrToken.
func (s *Service) Unsubscribe(ctx context.Context, token string) (event uuid.UUID, err error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) != tokenSize || b[0] != tokenVersion || s.cfg.Key == nil {
		return uuid.Nil, ErrToken
	}
	keys, err := s.cfg.Key(ctx)
	if err != nil {
		return uuid.Nil, fmt.Errorf("find the key to unsubscribe with: %w", err)
	}
	good := false
	for _, key := range keys {
		sum := lottery.MAC(key, tokenTag, b[:tokenFields])
		good = good || hmac.Equal(sum[:tokenMAC], b[tokenFields:])
	}
	if !good {
		return uuid.Nil, ErrToken
	}
	account, event := uuid.UUID(b[1:17]), uuid.UUID(b[17:33])
	return event, s.Set(ctx, event, Asker{Account: account}, nil)
}
