package notify

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	netmail "net/mail"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/ledger"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// postbox is a mail server that keeps what it takes. Its hooks, which may answer with an error, are set before it is used.
type postbox struct {
	addr   *net.TCPAddr
	server *smtp.Server

	onMail  func(from string) error
	onRcpt  func(to string) error
	onTaken func(m taken) error // after it was kept, before the answer

	mu   sync.Mutex
	kept []taken
}

// taken is a mail that the server took.
type taken struct {
	from, to string
	raw      []byte
}

func (m taken) parse(t *testing.T) *netmail.Message {
	t.Helper()
	msg, err := netmail.ReadMessage(bytes.NewReader(m.raw))
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

// newPostbox starts a server on loopback, on an address if one is given; adjust changes it before it starts.
func newPostbox(t *testing.T, addr string, adjust func(*postbox)) *postbox {
	t.Helper()
	p := &postbox{}
	p.server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &delivery{box: p}, nil }))
	p.server.Domain = "mail.test"
	p.server.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	if adjust != nil {
		adjust(p)
	}
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	p.addr = l.Addr().(*net.TCPAddr)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = p.server.Serve(l) // ends when it is closed
	}()
	t.Cleanup(func() { p.server.Close(); <-done })
	return p
}

func (p *postbox) mails() []taken {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]taken(nil), p.kept...)
}

// delivery is one session of a postbox.
type delivery struct {
	box      *postbox
	from, to string
}

func (d *delivery) Reset()        { d.from, d.to = "", "" }
func (d *delivery) Logout() error { return nil }

func (d *delivery) Mail(from string, _ *smtp.MailOptions) error {
	d.from = from
	if hook := d.box.onMail; hook != nil {
		return hook(from)
	}
	return nil
}

func (d *delivery) Rcpt(to string, _ *smtp.RcptOptions) error {
	d.to = to
	if hook := d.box.onRcpt; hook != nil {
		return hook(to)
	}
	return nil
}

func (d *delivery) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m := taken{from: d.from, to: d.to, raw: raw}
	d.box.mu.Lock()
	d.box.kept = append(d.box.kept, m)
	d.box.mu.Unlock()
	if hook := d.box.onTaken; hook != nil {
		return hook(m)
	}
	return nil
}

// smtpAt is our side of a server on loopback.
func smtpAt(t *testing.T, addr *net.TCPAddr) *SMTP {
	t.Helper()
	s, err := NewSMTP(SMTPConfig{Host: addr.IP.String(), Port: addr.Port, TLS: TLSNone, From: "Example Tickets <tickets@example.org>", Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// someTickets are values of KindTickets.
func someTickets() Tickets {
	zone := time.FixedZone("CEST", 2*60*60)
	return Tickets{
		Event: Event{Name: "Los Faros", Venue: "Palau", City: "Barcelona", StartsAt: time.Date(2027, 6, 12, 20, 30, 0, 0, zone), URL: "https://t.example.org/e/faros"},
		Order: uuid.MustParse("0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11"), URL: "https://t.example.org/e/faros?order=0b0f1f0e-6d0d-5a57-9d3c-3a0e3c9f2b11",
		Places: []Place{{Tier: "Lower", Seat: "101/A/7"}, {Tier: "Floor"}}, Paid: ledger.Amount{Minor: 123450, Currency: "EUR"},
	}
}

// composeTickets is a composer for tests.
func composeTickets(context.Context, Message) (Letter, error) {
	return Letter{Values: someTickets()}, nil
}

// quick is a Mailer's configuration that lets a test see retries.
func quick(t *testing.T, d *db.DB, box *postbox) Config {
	c := Config{DB: d, Composers: map[Kind]Composer{KindTickets: composeTickets}, Workers: 2, Poll: 10 * time.Millisecond,
		Backoff: time.Millisecond, BackoffMax: 5 * time.Millisecond, MaxAttempts: 4, Log: slog.New(slog.DiscardHandler)}
	if box != nil {
		c.SMTP = smtpAt(t, box.addr)
	}
	return c
}

// start runs a mailer until the returned function is called or the test ends.
func start(t *testing.T, cfg Config) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	m, done := New(cfg), make(chan struct{})
	go func() {
		defer close(done)
		if err := m.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

func queue(t *testing.T, d *db.DB, messages ...Message) {
	t.Helper()
	if err := d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error { return QueueAll(ctx, tx, messages) }); err != nil {
		t.Fatal(err)
	}
}

// about is a mail to somebody.
func about(n int) Message {
	order := uuid.NewSHA1(uuid.NameSpaceOID, []byte(strconv.Itoa(n)))
	return Message{Key: "tickets/" + order.String(), Kind: KindTickets, To: "buyer" + strconv.Itoa(n) + "@example.net", Language: "en", Subject: order}
}

// row is how a mail stands.
type row struct {
	State, Error, Data string
	Attempts           int
	DueIn              time.Duration
}

func rowOf(t *testing.T, d *db.DB, m Message) (r row) {
	t.Helper()
	var due float64
	err := d.Reader.QueryRow(t.Context(), `SELECT state, last_error, data, attempts, EXTRACT(EPOCH FROM due_at - now())::FLOAT8 FROM mails WHERE mail_id = $1`, ID(m.Key)).
		Scan(&r.State, &r.Error, &r.Data, &r.Attempts, &due)
	if err != nil {
		t.Fatal(err)
	}
	r.DueIn = time.Duration(due * float64(time.Second))
	return r
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("not within a minute: %s", what)
}
