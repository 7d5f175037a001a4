package passes

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"

	"fairgate/core/db"
	"fairgate/core/ticket"
	"fairgate/core/ticket/wallet"
)

// ErrToken means that whoever asks does not prove that they have the pass, or that there is none: both look the same.
var ErrToken = errors.New("passes: not the pass's token")

// Config is what a Service is made of. DB, Keys and Describe are required.
type Config struct {
	DB *db.DB
	// Keys are the MAC keys of tokens, the newest first.
	Keys func(ctx context.Context) ([][]byte, error)
	// Describe says what a pass that was given out shows, as its ticket is now.
	Describe func(ctx context.Context, s Saved, t ticket.Ticket) (wallet.Pass, error)
	Push     *APNs      // nil: no phone is told of changes to Apple's passes
	Google   *GoogleAPI // nil: Google is not told

	Workers    int            // how many of each kind of wallet are told at a time; default 4
	Poll       time.Duration  // longest wait between two looks at the table; default 1 s
	Lease      time.Duration  // how long a claimed pass is left alone, twice what telling may take; default 1 min
	Backoff    time.Duration  // mean wait before the second attempt, doubling; default 5 s
	BackoffMax time.Duration  // longest mean wait between two attempts; default 10 min
	MaxAge     time.Duration  // how long a change is tried to be told; default 24 h
	Again      time.Duration  // when Google is told once more of a change to a pass that it does not have yet; default 5 min
	Jitter     func() float64 // uniform in [0, 1); default math/rand/v2
	Log        *slog.Logger   // default slog.Default()
}

// Service knows the passes that were given out.
type Service struct {
	cfg     Config
	refused sync.Once // logs that Apple refuses push tokens
}

// New makes a Service. It tells nobody anything until Run.
func New(cfg Config) *Service {
	set := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	set(&cfg.Poll, time.Second)
	set(&cfg.Lease, time.Minute)
	set(&cfg.Backoff, 5*time.Second)
	set(&cfg.BackoffMax, 10*time.Minute)
	set(&cfg.MaxAge, 24*time.Hour)
	set(&cfg.Again, 5*time.Minute)
	if cfg.Workers <= 0 {
		cfg.Workers = 4
	}
	if cfg.Jitter == nil {
		cfg.Jitter = rand.Float64
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return &Service{cfg: cfg}
}

// tokenDomain keeps these MACs apart from any other under the same key.
const tokenDomain = "fairgate-wallet-pass-v1"

// tokenOf is HMAC-SHA256(key, tokenDomain ‖ ticket ‖ epoch in the name, 4 bytes, big endian), in 43 characters of base64.
func tokenOf(key []byte, id uuid.UUID, named uint32) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(tokenDomain))
	mac.Write(id[:])
	mac.Write(binary.BigEndian.AppendUint32(nil, named))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// Token is what is in a pass for a phone to prove that it has it.
func (s *Service) Token(ctx context.Context, saved Saved) (string, error) {
	keys, err := s.cfg.Keys(ctx)
	if err != nil {
		return "", fmt.Errorf("find the keys of passes: %w", err)
	}
	return tokenOf(keys[0], saved.Ticket, saved.Named), nil
}

// Check tells whether a token is that of the pass of a name: ErrToken when it is not. It takes as long whatever is wrong with it.
func (s *Service) Check(ctx context.Context, id uuid.UUID, named uint32, token string) error {
	keys, err := s.cfg.Keys(ctx)
	if err != nil {
		return fmt.Errorf("find the keys of passes: %w", err)
	}
	same := false
	for _, key := range keys {
		same = hmac.Equal([]byte(tokenOf(key, id, named)), []byte(token)) || same
	}
	if !same {
		return ErrToken
	}
	return nil
}
