package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db/dbtest"
)

func TestAMailIsSentOnceItsTransactionHasCommittedAndOnlyThen(t *testing.T) {
	d := dbtest.New(t)
	box := newPostbox(t, "", nil)
	undone, failure := about(1), errors.New("the sale fails")
	err := d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		if err := Queue(ctx, tx, undone); err != nil {
			return err
		}
		return failure
	})
	if !errors.Is(err, failure) {
		t.Fatal(err)
	}
	m := about(2)
	other := m
	other.To = "somebody.else@example.net" // the same key is the same mail
	queue(t, d, m, m)
	queue(t, d, other)
	start(t, quick(t, d, box))
	eventually(t, "the mail is sent", func() bool { return rowOf(t, d, m).State == "sent" })
	queue(t, d, m) // a repeated transaction, after all is over
	last := about(3)
	queue(t, d, last)
	eventually(t, "a later mail is sent", func() bool { return rowOf(t, d, last).State == "sent" })
	kept := box.mails()
	if len(kept) != 2 || kept[0].to != m.To || kept[1].to != last.To || kept[0].from != "tickets@example.org" {
		t.Fatalf("the server took %+v", kept)
	}
	head := kept[0].parse(t).Header
	for name, want := range map[string]string{"To": "<buyer2@example.net>", "From": `"Example Tickets" <tickets@example.org>`, "Subject": "Your tickets: Los Faros",
		"Message-Id": "<" + ID(m.Key).String() + "@example.org>", "Auto-Submitted": "auto-generated"} {
		if got := head.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if text := string(kept[0].raw); !strings.Contains(text, "Palau, Barcelona") || !strings.Contains(text, "text/html") {
		t.Errorf("the mail says\n%s", text)
	}
}

func TestAMailThatTheServerPutsOffIsTriedAgain(t *testing.T) {
	d := dbtest.New(t)
	var answers atomic.Int64
	box := newPostbox(t, "", func(p *postbox) {
		p.onRcpt = func(string) error {
			if answers.Add(1) <= 2 {
				return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "greylisted, come back"}
			}
			return nil
		}
	})
	m := about(1)
	queue(t, d, m)
	start(t, quick(t, d, box))
	eventually(t, "the mail is sent", func() bool { return rowOf(t, d, m).State == "sent" })
	if r := rowOf(t, d, m); r.Attempts != 3 || r.Error != "" || len(box.mails()) != 1 {
		t.Errorf("%+v, the server took %d", r, len(box.mails()))
	}
}

func TestTheWaitBetweenTriesGrowsWithinItsBounds(t *testing.T) {
	d := dbtest.New(t)
	box := newPostbox(t, "", func(p *postbox) {
		p.onRcpt = func(string) error {
			return &smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 2, 2}, Message: "mailbox full"}
		}
	})
	m := about(1)
	queue(t, d, m)
	cfg := quick(t, d, box)
	cfg.Backoff, cfg.BackoffMax, cfg.Jitter = time.Hour, 3*time.Hour, func() float64 { return 0.5 }
	mailer := New(cfg)
	for n, want := range []time.Duration{1, 2, 3, 3} {
		if got := mailer.cfg.backoff(n + 1); got != want*time.Hour {
			t.Errorf("after %d tries it waits %s", n+1, got)
		}
	}
	start(t, cfg)
	eventually(t, "the mail is put off", func() bool { return rowOf(t, d, m).Attempts == 1 && rowOf(t, d, m).DueIn > 59*time.Minute })
	if r := rowOf(t, d, m); r.State != "ready" || !strings.Contains(r.Error, "450") {
		t.Errorf("%+v", r)
	}
}

func TestAMailThatIsPutOffTooOftenIsDeadUntilAnOperatorTriesItAgain(t *testing.T) {
	d := dbtest.New(t)
	var open atomic.Bool
	box := newPostbox(t, "", func(p *postbox) {
		p.onRcpt = func(string) error {
			if open.Load() {
				return nil
			}
			return &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 3, 1}, Message: "try later"}
		}
	})
	m := about(1)
	queue(t, d, m)
	cfg := quick(t, d, box)
	start(t, cfg)
	eventually(t, "the mail is dead", func() bool { return rowOf(t, d, m).State == "dead" })
	if r := rowOf(t, d, m); r.Attempts != cfg.MaxAttempts {
		t.Errorf("%+v", r)
	}
	listed, err := List(t.Context(), d, Listing{Limit: 10})
	if err != nil || len(listed) != 1 || listed[0].ID != ID(m.Key) || listed[0].To != m.To || listed[0].State != "dead" {
		t.Errorf("listed %+v, %v", listed, err)
	}
	open.Store(true)
	if _, err := Retry(t.Context(), d, ID(m.Key), "other@example.net"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the mail is sent", func() bool { return rowOf(t, d, m).State == "sent" })
	if kept := box.mails(); len(kept) != 1 || kept[0].to != "other@example.net" {
		t.Errorf("the server took %+v", kept)
	}
	if _, err := Retry(t.Context(), d, ID(m.Key), ""); !errors.Is(err, ErrAlive) {
		t.Errorf("a mail that was sent is tried again: %v", err)
	}
	if _, err := Retry(t.Context(), d, ID("nobody's"), ""); !errors.Is(err, ErrUnknown) {
		t.Errorf("an unknown mail: %v", err)
	}
}

func TestAMailThatIsRefusedForGoodBouncesAtOnceAndOthersGoOn(t *testing.T) {
	d := dbtest.New(t)
	wrong, spam, fine := about(1), about(2), about(3)
	box := newPostbox(t, "", func(p *postbox) {
		p.onRcpt = func(to string) error {
			if to == wrong.To {
				return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "<" + to + ">: no user buyer1 at EXAMPLE.net"}
			}
			return nil
		}
		p.onTaken = func(m taken) error {
			if m.to == spam.To {
				return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "this looks like spam to Buyer2@example.net"}
			}
			return nil
		}
	})
	var log logged
	cfg := quick(t, d, box)
	cfg.Workers, cfg.Log = 1, log.logger()
	queue(t, d, wrong, spam, fine)
	stop := start(t, cfg)
	eventually(t, "everything has ended", func() bool {
		return rowOf(t, d, wrong).State == "bounced" && rowOf(t, d, spam).State == "bounced" && rowOf(t, d, fine).State == "sent"
	})
	stop()
	for m, code := range map[string]string{wrong.Key: "550", spam.Key: "554"} {
		r, err := Find(t.Context(), d, ID(m))
		if err != nil || r.Attempts != 1 || !strings.Contains(r.Error, code) {
			t.Errorf("%+v, %v", r, err)
		}
		for _, personal := range []string{"buyer", "example.net"} {
			if strings.Contains(strings.ToLower(r.Error), personal) {
				t.Errorf("the error names the recipient: %s", r.Error)
			}
		}
	}
	if text := strings.ToLower(log.String()); strings.Contains(text, "buyer") || strings.Contains(text, "example.net") || !strings.Contains(text, "bounced") {
		t.Errorf("the log says\n%s", text)
	}
}

// The process dies after the server took the mail: before it could write that, and before it heard that it had been written.
func TestAMailWhoseProcessDiesIsSentAgainUnderItsMessageID(t *testing.T) {
	for name, written := range map[string]bool{"before it is written": false, "after it is written": true} {
		t.Run(name, func(t *testing.T) {
			d := dbtest.New(t)
			box := newPostbox(t, "", nil)
			m := about(1)
			queue(t, d, m)
			dying, died := dbtest.Dying(t, d, 3, written) // the first look through the table, the claim, the end
			first := quick(t, dying, box)
			first.Lease = 20 * time.Second // of which a quarter is for trying to write the end
			stop := start(t, first)
			eventually(t, "the process dies", died)
			stop()
			if _, err := d.Pool.Exec(t.Context(), `UPDATE mails SET lease_until = now() WHERE lease_until IS NOT NULL`); err != nil {
				t.Fatal(err)
			}
			start(t, quick(t, d, box))
			eventually(t, "the mail is sent", func() bool { return rowOf(t, d, m).State == "sent" })
			kept, want := box.mails(), 2
			if written {
				want = 1
			}
			if len(kept) != want {
				t.Fatalf("the server took %d mails, want %d", len(kept), want)
			}
			for _, k := range kept {
				if got := k.parse(t).Header.Get("Message-Id"); got != "<"+ID(m.Key).String()+"@example.org>" {
					t.Errorf("Message-ID %s", got)
				}
			}
		})
	}
}

func TestTwoProcessesSendEachMailOnce(t *testing.T) {
	d := dbtest.New(t)
	box := newPostbox(t, "", nil)
	const mails = 60
	all := make([]Message, mails)
	for i := range all {
		all[i] = about(i)
	}
	queue(t, d, all...)
	for range 2 {
		cfg := quick(t, d, box)
		cfg.Workers = 4
		start(t, cfg)
	}
	eventually(t, "every mail is sent", func() bool {
		var left int
		if err := d.Reader.QueryRow(t.Context(), `SELECT count(*) FROM mails WHERE state <> 'sent'`).Scan(&left); err != nil {
			t.Fatal(err)
		}
		return left == 0
	})
	times := map[string]int{}
	for _, k := range box.mails() {
		times[k.to]++
	}
	for _, m := range all {
		if times[m.To] != 1 {
			t.Errorf("%s got %d mails", m.To, times[m.To])
		}
	}
}

func TestAServerThatIsAwayCostsNoMailAnAttempt(t *testing.T) {
	d := dbtest.New(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr)
	l.Close()
	m := about(1)
	queue(t, d, m)
	cfg := quick(t, d, nil)
	cfg.SMTP = smtpAt(t, addr)
	start(t, cfg)
	eventually(t, "it was tried", func() bool { return rowOf(t, d, m).Error != "" })
	box := newPostbox(t, addr.String(), nil)
	eventually(t, "the mail is sent", func() bool { return rowOf(t, d, m).State == "sent" })
	if r := rowOf(t, d, m); r.Attempts != 1 || len(box.mails()) != 1 {
		t.Errorf("%+v, and the server took %d", r, len(box.mails()))
	}
}

// A server that does not want us, for whatever reason, is no reason to bounce a mail.
func TestWhatIsRefusedToUsBouncesNoMail(t *testing.T) {
	d := dbtest.New(t)
	for name, adjust := range map[string]func(*postbox){
		"the sender is refused": func(p *postbox) {
			p.onMail = func(string) error {
				return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "who are you"}
			}
		},
		"the server closes": func(p *postbox) {
			p.onRcpt = func(string) error {
				return &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 3, 2}, Message: "shutting down"}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			box := newPostbox(t, "", adjust)
			m := about(len(name))
			queue(t, d, m)
			start(t, quick(t, d, box))
			eventually(t, "it was tried", func() bool { return rowOf(t, d, m).Error != "" })
			if r := rowOf(t, d, m); r.State != "ready" || r.Attempts > 1 {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestWithoutAServerMailsWaitUntilTheyAreTooOldAndCoreSaysSo(t *testing.T) {
	d := dbtest.New(t)
	m, code := about(1), about(2)
	code.Within, code.Data = time.Microsecond, map[string]string{"code": "123456"}
	queue(t, d, m, code)
	var log logged
	cfg := quick(t, d, nil)
	cfg.Log, cfg.MaxAge = log.logger(), 300*time.Millisecond
	stop := start(t, cfg)
	eventually(t, "both are dead", func() bool { return rowOf(t, d, m).State == "dead" && rowOf(t, d, code).State == "dead" })
	stop()
	if r := rowOf(t, d, code); r.Data != "{}" {
		t.Errorf("the code is still there: %+v", r)
	}
	if n := strings.Count(log.String(), "no server for mail is configured"); n != 1 {
		t.Errorf("it is said %d times", n)
	}
	if _, err := Retry(t.Context(), d, ID(code.Key), ""); !errors.Is(err, ErrOver) {
		t.Errorf("a code that is over is tried again: %v", err)
	}
}

func TestACodeGoesBeforeEverythingElseAndIsGoneOnceItIsSent(t *testing.T) {
	d := dbtest.New(t)
	box := newPostbox(t, "", nil)
	for i := range 20 {
		queue(t, d, about(i))
	}
	code := about(99)
	code.Within, code.Data = time.Hour, map[string]string{"code": "123456"}
	queue(t, d, code)
	var seen atomic.Value
	cfg := quick(t, d, box)
	cfg.Workers = 1
	cfg.Composers = map[Kind]Composer{KindTickets: func(_ context.Context, m Message) (Letter, error) {
		seen.CompareAndSwap(nil, m.Data["code"])
		return Letter{Values: someTickets()}, nil
	}}
	start(t, cfg)
	eventually(t, "the code is sent", func() bool { return rowOf(t, d, code).State == "sent" })
	if got := seen.Load(); got != "123456" {
		t.Errorf("the first mail that was composed had the code %v", got)
	}
	if r := rowOf(t, d, code); r.Data != "{}" {
		t.Errorf("the code is still there: %+v", r)
	}
}

func TestAComposerDecidesWhatBecomesOfAMail(t *testing.T) {
	d := dbtest.New(t)
	box := newPostbox(t, "", nil)
	moot, broken, panics, fine := about(1), about(2), about(3), about(4)
	cfg := quick(t, d, box)
	cfg.Composers = map[Kind]Composer{KindTickets: func(_ context.Context, m Message) (Letter, error) {
		switch m.Subject {
		case moot.Subject:
			return Letter{}, fmt.Errorf("%w: refunded", ErrMoot)
		case broken.Subject:
			return Letter{Values: map[string]string{"nothing": "that the template asks for"}}, nil
		case panics.Subject:
			panic("a bug")
		}
		return Letter{Values: someTickets()}, nil
	}}
	queue(t, d, moot, broken, panics, fine)
	start(t, cfg)
	eventually(t, "everything has ended", func() bool {
		return rowOf(t, d, moot).State == "moot" && rowOf(t, d, broken).State == "dead" && rowOf(t, d, panics).State == "dead" && rowOf(t, d, fine).State == "sent"
	})
	if len(box.mails()) != 1 {
		t.Errorf("the server took %d mails", len(box.mails()))
	}
}

// logged is a log that is kept.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
