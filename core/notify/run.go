package notify

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// ErrMoot, wrapped in a Composer's error, ends a mail that has lost its reason: there is nothing to say any more.
var ErrMoot = errors.New("notify: there is nothing to say any more")

// errAway means that the server could not be reached, or refuses to work for us: no mail is to blame.
var errAway = errors.New("notify: the server is away")

// expireEvery is how often old mails are looked for.
const expireEvery = 30 * time.Second

// awayMin and awayMax bound the pause of the whole process after the server was found to be away; it doubles.
const (
	awayMin = time.Second
	awayMax = time.Minute
)

// Mailer sends what is in the outbox. See the package comment for a mail's life.
type Mailer struct {
	cfg   Config
	kinds []string
	limit *rate.Limiter

	mu    sync.Mutex
	away  time.Duration // the pause after the server was last found to be away; 0: it is there
	until time.Time     // when that is over
}

// New makes a Mailer. It does nothing until Run.
func New(cfg Config) *Mailer {
	m := &Mailer{cfg: cfg.withDefaults(), limit: rate.NewLimiter(rate.Inf, 1)}
	for kind := range cfg.Composers {
		m.kinds = append(m.kinds, string(kind))
	}
	if cfg.Rate > 0 {
		m.limit = rate.NewLimiter(rate.Limit(cfg.Rate), max(1, int(math.Ceil(cfg.Rate))))
	}
	return m
}

// Run sends mails until ctx ends; then it claims no more, finishes those under way, which takes no longer than the server's timeout, and
// returns nil. It is called once per process.
func (m *Mailer) Run(ctx context.Context) error {
	var all sync.WaitGroup
	all.Go(func() { m.expireAll(ctx) })
	if m.cfg.SMTP == nil {
		m.cfg.Log.Warn("no server for mail is configured (mail.host): nothing is sent; mails wait and are given up when they are too old",
			"max_age", m.cfg.MaxAge.String())
		all.Wait()
		return nil
	}
	mails := make(chan claimed) // handed over only to a free worker, but for one round of claims
	for range m.cfg.Workers {
		all.Go(func() { m.work(ctx, mails) })
	}
	m.claimAll(ctx, mails)
	close(mails)
	all.Wait()
	return nil
}

// claimAll is the claimer's loop. It claims as many as there are workers and hands them over one by one, so a mail waits for no more than
// one other.
func (m *Mailer) claimAll(ctx context.Context, mails chan<- claimed) {
	for ctx.Err() == nil {
		if wait := m.awayFor(); wait > 0 {
			sleep(ctx, min(wait, m.cfg.Poll))
			continue
		}
		batch, err := m.claim(ctx, m.cfg.Workers)
		if err != nil && ctx.Err() == nil {
			databaseErrors.Inc()
			m.cfg.Log.Warn("the mails cannot be read", "error", err.Error())
		}
		for _, c := range batch {
			mails <- c
		}
		if len(batch) < m.cfg.Workers {
			sleep(ctx, m.cfg.Poll)
		}
	}
}

// idleConnection is how long a connection to the server is kept without a mail; many servers hang up after a minute or some more.
const idleConnection = 10 * time.Second

// work is a worker's loop. It keeps its connection as long as there are mails. Once ctx has ended it gives mails back unsent.
func (m *Mailer) work(ctx context.Context, mails <-chan claimed) {
	link := &link{smtp: m.cfg.SMTP}
	defer link.close()
	idle := time.NewTimer(idleConnection)
	defer idle.Stop()
	for {
		select {
		case c, open := <-mails:
			if !open {
				return
			}
			m.write(m.run(ctx, link, c))
			idle.Reset(idleConnection)
		case <-idle.C:
			link.close()
		}
	}
}

// run sends one mail and says how that ended.
func (m *Mailer) run(ctx context.Context, l *link, c claimed) (r result) {
	r.mail = c
	defer func() {
		if p := recover(); p != nil {
			m.cfg.Log.Error("a mail's composer panicked", "kind", c.Kind, "mail_id", c.id.String(), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			l.close()
			r = m.failed(c, fmt.Errorf("the composer panicked: %v", p))
		}
	}()
	if c.attempt > m.cfg.MaxAttempts {
		return result{mail: c, state: "dead", why: "no attempt came to an end: each time the process died"}
	}
	preparing, cancel := context.WithDeadline(context.WithoutCancel(ctx), c.until)
	defer cancel()
	if wait := m.awayFor(); wait > 0 || ctx.Err() != nil {
		return result{mail: c, state: "ready", after: max(wait, 0), undo: true}
	}
	if err := m.limit.Wait(preparing); err != nil { // it would take longer than there is
		return result{mail: c, state: "ready", undo: true}
	}
	letter, err := m.cfg.Composers[c.Kind](preparing, c.Message)
	if errors.Is(err, ErrMoot) {
		return result{mail: c, state: "moot", why: errorText(err, c.To)}
	}
	if err != nil {
		return m.failed(c, fmt.Errorf("compose: %w", err))
	}
	msg, err := m.cfg.SMTP.compose(&c, letter)
	if err != nil {
		return m.failed(c, fmt.Errorf("compose: %w", err))
	}
	started := time.Now()
	if started.After(c.until) {
		return m.failed(c, errors.New("composing takes too long"))
	}
	err = l.send(context.WithoutCancel(ctx), msg)
	sendSeconds.UpdateDuration(started)
	return m.judge(c, err)
}

// judge says what follows from a server's answer.
func (m *Mailer) judge(c claimed, err error) result {
	var refused *refusal
	switch {
	case err == nil:
		m.there()
		return result{mail: c, state: "sent"}
	case errors.As(err, &refused) && refused.permanent:
		m.there()
		return result{mail: c, state: "bounced", why: errorText(err, c.To)}
	case errors.Is(err, errAway):
		wait := m.wentAway(err, c.To)
		return result{mail: c, state: "ready", after: wait, undo: true, why: errorText(err, c.To)}
	default:
		return m.failed(c, err)
	}
}

// failed is the end of an attempt that is to be made again, if any is left.
func (m *Mailer) failed(c claimed, err error) result {
	if c.attempt >= m.cfg.MaxAttempts {
		return result{mail: c, state: "dead", why: errorText(err, c.To)}
	}
	return result{mail: c, state: "ready", after: m.cfg.backoff(c.attempt), why: errorText(err, c.To)}
}

// write writes how a run ended, again and again while its lease lasts. What is not written is run again when that ends.
func (m *Mailer) write(r result) {
	ctx, cancel := context.WithTimeout(context.Background(), m.cfg.Lease/4)
	defer cancel()
	for n := 1; ; n++ {
		err := m.settle(ctx, r)
		if err == nil {
			m.count(r)
			return
		}
		databaseErrors.Inc()
		m.cfg.Log.Warn("a mail cannot be settled", "kind", r.mail.Kind, "mail_id", r.mail.id.String(), "state", r.state, "error", err.Error())
		if sleep(ctx, min(m.cfg.Poll, time.Duration(n)*100*time.Millisecond)); ctx.Err() != nil {
			return
		}
	}
}

// count makes the end of a run visible, without anything personal.
func (m *Mailer) count(r result) {
	attrs := []any{"kind", r.mail.Kind, "mail_id", r.mail.id.String(), "subject", r.mail.Subject.String(), "attempts", r.mail.attempt, "why", r.why}
	switch {
	case r.state == "sent":
		mailsSent.Inc()
	case r.state == "moot":
		mailsMoot.Inc()
		m.cfg.Log.Info("a mail has lost its reason", attrs...)
	case r.state == "bounced":
		mailsBounced.Inc()
		m.cfg.Log.Warn("a mail bounced", attrs...)
	case r.state == "dead":
		mailsDead.Inc()
		m.cfg.Log.Error("a mail is dead", attrs...)
	case r.undo:
		mailsPostponed.Inc()
	default:
		mailsRetried.Inc()
		m.cfg.Log.Info("a mail is tried again later", append(attrs, "after", r.after.String())...)
	}
}

// awayFor is how long the server is left alone for now.
func (m *Mailer) awayFor() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Until(m.until)
}

// wentAway begins a pause of the process, once for all workers that notice at the same time, and tells when it is over.
func (m *Mailer) wentAway(err error, to string) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if wait := time.Until(m.until); wait > 0 {
		return wait
	}
	if m.away == 0 {
		m.cfg.Log.Warn("the server for mail is away", "error", errorText(err, to))
	}
	m.away = min(max(2*m.away, awayMin), awayMax)
	m.until = time.Now().Add(time.Duration(float64(m.away) * (0.5 + m.cfg.Jitter())))
	return time.Until(m.until)
}

func (m *Mailer) there() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away > 0 {
		m.cfg.Log.Info("the server for mail is back")
	}
	m.away, m.until = 0, time.Time{}
}

// expireAll gives up old mails now and then, and tells the metrics how the outbox stands, until ctx ends.
func (m *Mailer) expireAll(ctx context.Context) {
	for ctx.Err() == nil {
		n, err := m.expire(ctx)
		if err == nil {
			mailsDead.Add(int(n))
			if n > 0 {
				m.cfg.Log.Error("mails are given up: they are too old", "mails", n)
			}
			err = m.watch(ctx)
		}
		if err != nil && ctx.Err() == nil {
			databaseErrors.Inc()
			m.cfg.Log.Warn("the mails cannot be looked through", "error", err.Error())
		}
		if n < expireAtOnce {
			sleep(ctx, min(expireEvery, m.cfg.MaxAge))
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
