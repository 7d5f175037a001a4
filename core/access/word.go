package access

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/text/unicode/norm"

	"fairgate/edge/lottery"
)

// A presale can be for everybody of a club who knows a word. The word makes nobody an entrant, since anybody may tell it to anybody: it puts
// accounts on the presale's list, one entry each. It is kept as a salted and stretched hash, compared in constant time, and guessed at a
// bounded rate: by account, and wrong ones by network too. One that is right costs the network nothing, and where others of a network have
// guessed too often, an account that has not tried just before is still looked at: a club behind one address gets in, whoever else is there.

var (
	// ErrWordUnset means that no word was set for the presale, so that nobody can know it.
	ErrWordUnset = errors.New("the presale has no word yet")
	// ErrWordWrong means that it is not the presale's word.
	ErrWordWrong = errors.New("that is not the word of the presale")
	// ErrWordInvalid means that a word is too short, too long or for no presale that asks for one.
	ErrWordInvalid = errors.New("the word cannot be set")
	// ErrWordTries is what every WordTries is.
	ErrWordTries = errors.New("too many words were tried")
)

// WordTries means that an account has tried as many words as it may, or again where its network has; this one was not looked at.
type WordTries struct{ Wait time.Duration }

func (e *WordTries) Error() string { return ErrWordTries.Error() }

// Is makes a WordTries an ErrWordTries.
func (e *WordTries) Is(target error) bool { return target == ErrWordTries }

const (
	// minWord and maxWord bound a word, in bytes of its plain form.
	minWord, maxWord = 6, 100
	// wordRounds is how often a word is hashed: some 15 ms on one core.
	wordRounds = 100_000
	// wordHashes is how many words are hashed at a time.
	wordHashes = 2
	// wordTTL is for how long the stored hash is believed: a word that is set anew counts everywhere after this.
	wordTTL = 5 * time.Second
	// accountTries and networkTries are how many words may be tried at once, and then one each accountTryEvery and networkTryEvery.
	accountTries, networkTries       = 5, 30
	accountTryEvery, networkTryEvery = time.Minute, 20 * time.Second
)

const (
	sqlSetWord = `INSERT INTO presale_words (event_id, presale, salt, rounds, hash, set_at, set_by) VALUES ($1, $2, $3, $4, $5, now(), $6)
	ON CONFLICT (event_id, presale) DO UPDATE SET salt = excluded.salt, rounds = excluded.rounds, hash = excluded.hash, set_at = now(), set_by = excluded.set_by`
	sqlWordOf  = `SELECT salt, rounds, hash FROM presale_words WHERE event_id = $1 AND presale = $2`
	sqlHasWord = `SELECT EXISTS (SELECT 1 FROM presale_words WHERE event_id = $1 AND presale = $2)`
)

// Try is somebody's try to register for a presale. Word is looked at where the presale asks for one.
type Try struct {
	Account uuid.UUID
	Entrant lottery.Entrant
	Network string // of the client, see event.NetworkOf
	Word    string
}

// words checks the words of presales. Any goroutine may use it.
type words struct {
	byAccount *rates[uuid.UUID]
	byNetwork *rates[string]
	hashing   chan struct{}
	quick     []byte // key of this process, with which a word that was right once is recognised

	mu    sync.Mutex
	known map[wordKey]knownWord
}

type wordKey struct {
	event   uuid.UUID
	presale string
}

// knownWord is a presale's word as it is stored, and once somebody has said it, its quick hash.
type knownWord struct {
	salt, hash []byte
	rounds     int
	readAt     time.Time
	right      []byte
}

func newWords() *words {
	w := &words{byAccount: newRates[uuid.UUID](accountTries, accountTryEvery), byNetwork: newRates[string](networkTries, networkTryEvery),
		hashing: make(chan struct{}, wordHashes), quick: make([]byte, 32), known: make(map[wordKey]knownWord)}
	_, _ = rand.Read(w.quick) // never fails
	return w
}

// plain is a word as it counts: however it is written, spaced at its ends or capitalised.
func plain(word string) string {
	return strings.ToLower(strings.TrimSpace(norm.NFKC.String(word[:min(len(word), 4*maxWord)])))
}

// SetWord sets the word of a presale, in place of an earlier one. Who is on the list stays there. ErrPresaleUnknown, ErrWordInvalid.
func (r *Room) SetWord(ctx context.Context, slug, presale, word, actor string) error {
	p, err := r.presaleOf(ctx, slug, presale)
	if err != nil {
		return err
	}
	long := len(word) > 4*maxWord // of which plain would see a part
	word = plain(word)
	if long || !p.Word || len(word) < minWord || len(word) > maxWord {
		return fmt.Errorf("%w: it takes %d to %d bytes, and a presale that asks for one", ErrWordInvalid, minWord, maxWord)
	}
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	hash, err := pbkdf2.Key(sha256.New, word, salt, wordRounds, sha256.Size)
	if err != nil {
		return fmt.Errorf("hash a word: %w", err)
	}
	if _, err := r.db.Exec(ctx, sqlSetWord, lottery.EventID(slug), presale, salt, int64(wordRounds), hash, actor); err != nil {
		return fmt.Errorf("set the word of a presale: %w", err)
	}
	r.words.mu.Lock()
	defer r.words.mu.Unlock()
	delete(r.words.known, wordKey{lottery.EventID(slug), presale})
	return nil
}

// HasWord tells whether a word was set for a presale.
func (r *Room) HasWord(ctx context.Context, slug, presale string) (has bool, err error) {
	if err := r.db.Reader.QueryRow(ctx, sqlHasWord, lottery.EventID(slug), presale).Scan(&has); err != nil {
		return false, fmt.Errorf("look for the word of a presale: %w", err)
	}
	return has, nil
}

// RegisterSelf is Register of one account by itself, which has to know the presale's word if that asks for one: ErrWordUnset, ErrWordWrong,
// ErrWordTries.
func (r *Room) RegisterSelf(ctx context.Context, slug, presale string, try Try) error {
	p, err := r.presaleOf(ctx, slug, presale)
	if err != nil {
		return err
	}
	if p.Word {
		if err := r.knows(ctx, wordKey{lottery.EventID(slug), presale}, &try); err != nil {
			return err
		}
	}
	_, err = r.Register(ctx, slug, presale, []lottery.Entrant{try.Entrant})
	return err
}

// knows tells whether a try has the right word.
func (r *Room) knows(ctx context.Context, key wordKey, try *Try) error {
	w, now := r.words, r.cfg.Clock()
	if wait := w.byNetwork.wait(try.Network, now); wait > 0 && w.byAccount.used(try.Account, now) > 0 {
		return &WordTries{min(wait, w.byAccount.idle(try.Account, now))}
	}
	if wait := w.byAccount.take(try.Account, now); wait > 0 {
		return &WordTries{wait}
	}
	right, err := w.right(ctx, r, key, plain(try.Word))
	if err != nil {
		return err
	}
	if !right {
		w.byNetwork.take(try.Network, now)
		return ErrWordWrong
	}
	return nil
}

// right compares a word with the presale's, in constant time. The slow hash is made until somebody has said the right word; from then on
// its quick one tells any other from it.
func (w *words) right(ctx context.Context, r *Room, key wordKey, word string) (bool, error) {
	known, err := w.load(ctx, r, key)
	if err != nil {
		return false, err
	}
	mac := hmac.New(sha256.New, w.quick)
	mac.Write(key.event[:])
	mac.Write([]byte(key.presale + "\x00" + word))
	sum := mac.Sum(nil)
	if known.right != nil {
		return subtle.ConstantTimeCompare(sum, known.right) == 1, nil
	}
	select {
	case w.hashing <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	hash, err := pbkdf2.Key(sha256.New, word, known.salt, known.rounds, len(known.hash))
	<-w.hashing
	if err != nil {
		return false, fmt.Errorf("hash a word: %w", err)
	}
	if subtle.ConstantTimeCompare(hash, known.hash) != 1 {
		return false, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := w.known[key]; subtle.ConstantTimeCompare(now.hash, known.hash) == 1 {
		now.right = sum
		w.known[key] = now
	}
	return true, nil
}

// load is the presale's word as it is stored, read anew when that was a while ago.
func (w *words) load(ctx context.Context, r *Room, key wordKey) (knownWord, error) {
	w.mu.Lock()
	known, ok := w.known[key]
	w.mu.Unlock()
	if ok && time.Since(known.readAt) < wordTTL {
		return known, nil
	}
	read := knownWord{readAt: time.Now()}
	var rounds int64
	err := r.db.Reader.QueryRow(ctx, sqlWordOf, key.event, key.presale).Scan(&read.salt, &rounds, &read.hash)
	if errors.Is(err, pgx.ErrNoRows) {
		return knownWord{}, ErrWordUnset
	}
	if err != nil {
		return knownWord{}, fmt.Errorf("read the word of a presale: %w", err)
	}
	read.rounds = int(rounds)
	if ok && subtle.ConstantTimeCompare(read.hash, known.hash) == 1 {
		read.right = known.right
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.known[key] = read
	return read, nil
}

// presaleOf is a presale of an event; ErrPresaleUnknown.
func (r *Room) presaleOf(ctx context.Context, slug, presale string) (Presale, error) {
	sale, err := r.deps.Sales(ctx, slug)
	if err != nil {
		return Presale{}, fmt.Errorf("load the event %q: %w", slug, err)
	}
	return sale.presale(presale)
}
