package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

var (
	// ErrAddress means that no mail can be sent to an address.
	ErrAddress = errors.New("notify: address invalid")
	// ErrMessage means that a message has no key or kind, or holds more than fits.
	ErrMessage = errors.New("notify: message invalid")
)

// Bounds of a message.
const (
	maxAddress  = 254 // the longest address SMTP knows (RFC 5321)
	maxKey      = 200
	maxLanguage = 35 // the longest language tag that BCP 47 wants everybody to keep
	maxData     = 4 << 10
)

// Message is a mail to come. What it says is composed when it is sent.
type Message struct {
	Key      string // the same key twice is one mail, whatever else the second one holds
	Kind     Kind
	To       string    // a plain address, without a name
	Language string    // a language tag such as "es" or "de-AT"; English where there is no text in it
	Subject  uuid.UUID // the order, ticket, transfer … that a composer loads
	// Data is what the composer needs besides and cannot load. No secrets but a one-time code, for which Within is set.
	Data map[string]string
	// Within is how long the mail is of use, whole microseconds; 0: for as long as mails are kept trying. A mail with a bound goes before
	// others.
	Within time.Duration
}

// mailSpace is the name space of mail ids.
var mailSpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("fairgate:mail"))

// ID names the mail of a key, whether there is one or not.
func ID(key string) uuid.UUID { return uuid.NewSHA1(mailSpace, []byte(key)) }

// Addressable tells whether mail can be sent to an address: one plain address, and nothing that could end a header.
func Addressable(address string) bool {
	parsed, err := mail.ParseAddress(address)
	return err == nil && parsed.Address == address && len(address) <= maxAddress && !strings.ContainsFunc(address, unicode.IsControl)
}

func (m *Message) check() error {
	switch {
	case !Addressable(m.To):
		return ErrAddress // which, is personal
	case m.Key == "" || len(m.Key) > maxKey || m.Kind == "":
		return fmt.Errorf("%w: key %q, kind %q", ErrMessage, m.Key, m.Kind)
	case len(m.Language) > maxLanguage || strings.ContainsRune(m.Language, 0):
		return fmt.Errorf("%w: the language of %q", ErrMessage, m.Key)
	case m.Within < 0:
		return fmt.Errorf("%w: %q is of no use", ErrMessage, m.Key)
	}
	return nil
}

// A key that is known stays what it is.
const sqlQueue = `INSERT INTO mails
    (mail_id, key, kind, recipient, language, subject_id, data, state, attempts, queued_at, due_at, expires_at, lease_until, claim_id, last_error, created_at, ended_at)
SELECT u.mail_id, u.key, u.kind, u.recipient, u.language, u.subject_id, u.data, 'ready', 0, now(), now(),
    CASE WHEN u.within_us > 0 THEN now() + u.within_us * INTERVAL '1 microsecond' ELSE NULL END, NULL, NULL, '', now(), NULL
FROM unnest($1::UUID[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::TEXT[], $6::UUID[], $7::TEXT[], $8::INT8[])
    AS u (mail_id, key, kind, recipient, language, subject_id, data, within_us)
ON CONFLICT (mail_id) DO NOTHING`

// Queue puts a mail into the outbox as part of tx: it is sent once tx has committed, and only then. ErrAddress, ErrMessage.
func Queue(ctx context.Context, tx pgx.Tx, m Message) error { return QueueAll(ctx, tx, []Message{m}) }

// QueueAll is Queue for many mails in one statement: all of them or none.
func QueueAll(ctx context.Context, tx pgx.Tx, messages []Message) error {
	n := len(messages)
	if n == 0 {
		return nil
	}
	ids, subjects, within := make([]uuid.UUID, 0, n), make([]uuid.UUID, 0, n), make([]int64, 0, n)
	keys, kinds, to := make([]string, 0, n), make([]string, 0, n), make([]string, 0, n)
	languages, data := make([]string, 0, n), make([]string, 0, n)
	seen := make(map[uuid.UUID]bool, n)
	for i := range messages {
		m := &messages[i]
		if err := m.check(); err != nil {
			return err
		}
		id := ID(m.Key)
		if seen[id] {
			continue
		}
		seen[id] = true
		text, err := encodeData(m.Data)
		if err != nil {
			return fmt.Errorf("%w: the data of %q", err, m.Key)
		}
		ids, subjects, within = append(ids, id), append(subjects, m.Subject), append(within, m.Within.Microseconds())
		keys, kinds, to = append(keys, m.Key), append(kinds, string(m.Kind)), append(to, m.To)
		languages, data = append(languages, m.Language), append(data, text)
	}
	if _, err := tx.Exec(ctx, sqlQueue, ids, keys, kinds, to, languages, subjects, data, within); err != nil {
		return fmt.Errorf("queue %d mails: %w", len(ids), err)
	}
	return nil
}

// noData is an empty object.
const noData = "{}"

func encodeData(data map[string]string) (string, error) {
	if len(data) == 0 {
		return noData, nil
	}
	text, err := json.Marshal(data)
	if err != nil || len(text) > maxData {
		return "", ErrMessage
	}
	return string(text), nil
}
