package loadtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// After the sale some of those who bought sell a ticket on, and some hand one to a friend.

const (
	// friendsAtOnce and sellersAtOnce bound who is at it at the same time.
	friendsAtOnce, sellersAtOnce = 8, 8
	// mailWithin bounds the wait for a mail.
	mailWithin = 15 * time.Second
)

// owner is an honest buyer who has tickets.
type owner struct {
	*buyer
	order   orderBody
	tickets []ticketBody
}

// owners collects them. Its methods may be called by many goroutines.
type owners struct {
	mu  sync.Mutex
	all []owner
}

func (o *owners) add(one owner) {
	o.mu.Lock()
	o.all = append(o.all, one)
	o.mu.Unlock()
}

// AfterwardsSeen is what happened between the sale and the doors.
type AfterwardsSeen struct {
	Resold, Transferred int
	Refused             int      // tries that had to be refused, and were
	Wrong               []string // what should not have been
}

// aftermarket plays the chapter. Its methods may be called by many goroutines.
type aftermarket struct {
	run *Rehearsal

	mu   sync.Mutex
	seen AfterwardsSeen
}

// Afterwards has some owners sell a ticket to another, and some hand one to a friend who signs in by e-mail. Those who bought last do so:
// their sessions live longest. It returns when all of that is done; what happened is for the audit. It is to come before Doors.
func (r *Rehearsal) Afterwards(ctx context.Context) error {
	p := r.plan.Afterwards
	if p.Resell+p.Transfer == 0 {
		return nil
	}
	m := &aftermarket{run: r}
	r.owners.mu.Lock()
	all := slices.Clone(r.owners.all)
	r.owners.mu.Unlock()
	slices.Reverse(all)
	var few, many []owner // buyers of what is resold may have one ticket more; sellers and givers keep one
	for _, o := range all {
		if len(o.tickets) == 1 {
			few = append(few, o)
		} else {
			many = append(many, o)
		}
	}
	sellers := many[:min(p.Resell, len(many), len(few)/2)]
	givers := many[len(sellers):]
	givers = givers[:min(p.Transfer, len(givers))]
	var work sync.WaitGroup
	work.Go(func() {
		each(sellersAtOnce, sellers, func(i int, seller owner) { m.resell(ctx, seller, few[2*i], few[2*i+1]) })
	})
	work.Go(func() {
		each(friendsAtOnce, givers, func(i int, giver owner) { m.handOn(ctx, giver, i) })
	})
	work.Wait()
	r.witness.Between(m.seen)
	return ctx.Err()
}

// each calls do for every one, so many at once.
func each[T any](atOnce int, all []T, do func(int, T)) {
	var work sync.WaitGroup
	gate := make(chan struct{}, atOnce)
	for i, one := range all {
		gate <- struct{}{}
		work.Go(func() {
			defer func() { <-gate }()
			do(i, one)
		})
	}
	work.Wait()
}

// resell has a seller list a ticket and two others try to buy it at the same instant.
func (m *aftermarket) resell(ctx context.Context, seller owner, first, second owner) {
	sold := seller.tickets[len(seller.tickets)-1]
	paid := seller.order.Amount.Minor / int64(len(seller.tickets))
	list := func(minor int64) call {
		return call{op: OpResale, method: "POST", path: "/v1/tickets/" + sold.ID + "/listing", key: seller.key(),
			body: jsonBody(map[string]moneyBody{"price": {minor, seller.order.Amount.Currency}})}
	}
	m.refused(ctx, seller.visitor, list(10*paid), "price_over_cap")
	m.refused(ctx, first.visitor, list(paid/2), "ticket_not_yours")
	a, alive := seller.retry(ctx, list(paid/2))
	var listing struct {
		ID    string    `json:"id"`
		Price moneyBody `json:"price"`
	}
	if !alive || !a.decode(&listing) {
		m.wrong("list ticket %s: %d %s %s", sold.ID, a.status, a.code, a.detail)
		return
	}
	m.refused(ctx, seller.visitor, list(paid/2), "ticket_listed")
	var tries [2]answer
	var both sync.WaitGroup
	for i, b := range []owner{first, second} {
		both.Go(func() {
			tries[i], _ = b.retry(ctx, call{op: OpHold, method: "POST", path: "/v1/holds", key: b.key(),
				body: jsonBody(map[string]any{"event": m.run.plan.Event, "items": []map[string]string{{"listing": listing.ID}}})})
		})
	}
	both.Wait()
	winner, hold := first, holdBody{}
	won := tries[0].decode(&hold)
	if !won {
		winner, won = second, tries[1].decode(&hold)
	}
	switch {
	case tries[0].ok() && tries[1].ok():
		m.wrong("listing %s was held by two at once", listing.ID)
		return
	case !won:
		m.wrong("nobody could hold listing %s: %s and %s", listing.ID, tries[0].code, tries[1].code)
		return
	}
	m.count(func(s *AfterwardsSeen) { s.Refused++ })
	if hold.Amount != listing.Price {
		m.wrong("listing %s costs %d and is held for %d", listing.ID, listing.Price.Minor, hold.Amount.Minor)
	}
	winner.hurry, winner.decline = true, false
	if outcome := winner.checkout(ctx, hold); outcome != outcomeBought {
		m.wrong("buying listing %s ended %s", listing.ID, outcome)
		return
	}
	m.run.witness.Gone(sold.ID)
	m.count(func(s *AfterwardsSeen) { s.Resold++ })
}

// handOn has a giver offer a ticket to a friend who was never there, and the friend accept it.
func (m *aftermarket) handOn(ctx context.Context, giver owner, i int) {
	given := giver.tickets[len(giver.tickets)-1]
	friend, stranger := newVisitor(m.run, m.run.plan.Buyers.Count+2*i, botNone), newVisitor(m.run, m.run.plan.Buyers.Count+2*i+1, botNone)
	email := fmt.Sprintf("friend-%d@example.com", i)
	if !m.signIn(ctx, friend, email) || !m.signIn(ctx, stranger, fmt.Sprintf("stranger-%d@example.com", i)) {
		return
	}
	offer := call{op: OpTransfer, method: "POST", path: "/v1/tickets/" + given.ID + "/transfers", key: giver.key(), body: jsonBody(map[string]string{"email": email})}
	a, alive := giver.retry(ctx, offer)
	var made struct {
		ID string `json:"id"`
	}
	if !alive || !a.decode(&made) {
		m.wrong("offer ticket %s: %d %s %s", given.ID, a.status, a.code, a.detail)
		return
	}
	accept := call{op: OpTransfer, method: "POST", path: "/v1/transfers/" + made.ID + "/accept", body: []byte("{}"), key: friend.key()}
	m.refused(ctx, stranger, accept, "transfer_other_account", "transfer_unknown")
	if a, alive = friend.retry(ctx, accept); !alive || !a.ok() {
		m.wrong("accept transfer %s: %d %s %s", made.ID, a.status, a.code, a.detail)
		return
	}
	m.refused(ctx, giver.visitor, call{op: OpTicket, method: "GET", path: "/v1/tickets/" + given.ID}, "ticket_unknown")
	a, alive = friend.retry(ctx, call{op: OpTicket, method: "GET", path: "/v1/tickets/" + given.ID})
	var t ticketBody
	if !alive || !a.decode(&t) {
		m.wrong("the friend's ticket %s: %d %s %s", given.ID, a.status, a.code, a.detail)
		return
	}
	if t.Code == given.Code {
		m.wrong("ticket %s has a new owner and its old code", given.ID)
	}
	m.run.witness.Changed(given.ID, t.Code)
	m.count(func(s *AfterwardsSeen) { s.Transferred++ })
}

// signIn signs a visitor in with the code that is mailed to the address.
func (m *aftermarket) signIn(ctx context.Context, v *visitor, email string) bool {
	a, alive := v.retry(ctx, call{op: OpSignIn, method: "POST", path: "/v1/account/code", body: jsonBody(map[string]string{"email": email})})
	if !alive || !a.ok() {
		m.wrong("ask for a code: %d %s %s", a.status, a.code, a.detail)
		return false
	}
	code, err := m.run.mailedCode(ctx, email)
	if err != nil {
		m.wrong("the code for %s: %v", email, err)
		return false
	}
	a, alive = v.retry(ctx, call{op: OpSignIn, method: "POST", path: "/v1/account/session", body: jsonBody(map[string]string{"email": email, "code": code})})
	if !alive || !a.ok() {
		m.wrong("sign in: %d %s %s", a.status, a.code, a.detail)
		return false
	}
	return true
}

const sqlMailedCode = `SELECT data FROM mails WHERE kind = 'sign_in_code' AND recipient = $1 ORDER BY created_at DESC LIMIT 1`

// mailedCode reads a mail that waits to be sent: a rehearsal has no mailbox, and its core no mail server.
func (r *Rehearsal) mailedCode(ctx context.Context, email string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, mailWithin)
	defer cancel()
	conn, err := pgx.Connect(ctx, r.plan.Targets.DatabaseURL)
	if err != nil {
		return "", fmt.Errorf("connect for a mail: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for {
		var text string
		err := pgx.BeginTxFunc(ctx, conn, asOfNow, func(tx pgx.Tx) error { return tx.QueryRow(ctx, sqlMailedCode, email).Scan(&text) })
		var data struct {
			Code string `json:"code"`
		}
		if err == nil && json.Unmarshal([]byte(text), &data) == nil && data.Code != "" {
			return data.Code, nil
		}
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return "", fmt.Errorf("read a mail: %w", err)
		}
		if !r.sleep(ctx, 100*time.Millisecond) {
			return "", errors.New("no mail came")
		}
	}
}

// refused makes a request that must be refused for one of the given reasons.
func (m *aftermarket) refused(ctx context.Context, v *visitor, c call, reasons ...string) {
	for try := 1; ; try++ {
		a := v.run.edges[v.edge].send(c, &v.jar, v.from, v.run.plan.Limits.RequestTimeout.D())
		switch {
		case slices.Contains(reasons, a.code):
			m.count(func(s *AfterwardsSeen) { s.Refused++ })
			return
		case (a.err != nil || waits(a)) && try < maxUnreachable:
			if !v.run.sleep(ctx, max(a.retryAfter, v.backoff(try))) {
				return
			}
		default:
			m.wrong("%s %s answered %d %s, not %v", c.method, c.path, a.status, a.code, reasons)
			return
		}
	}
}

func (m *aftermarket) count(f func(*AfterwardsSeen)) {
	m.mu.Lock()
	f(&m.seen)
	m.mu.Unlock()
}

func (m *aftermarket) wrong(format string, args ...any) {
	m.count(func(s *AfterwardsSeen) { s.Wrong = append(s.Wrong, fmt.Sprintf(format, args...)) })
}

const sqlAuditTitles = `SELECT s.ticket_id, count(*)::INT8 FROM title_steps AS s JOIN tickets AS t ON t.ticket_id = s.ticket_id
WHERE t.event_id = $1 GROUP BY s.ticket_id ORDER BY s.ticket_id`

// titleRow is how often a ticket changed hands.
type titleRow struct {
	Ticket uuid.UUID
	Steps  int64
}

// checkAfterwards asks that what was sold on and handed on is somebody else's now, and that nothing else was possible.
func checkAfterwards(e *evidence) Verdict {
	q := Inquire("afterwards", "What was resold or handed on has one owner", "tickets that changed hands, and refused tries")
	seen := e.witness.Afterwards()
	q.Checked(seen.Resold + seen.Transferred + seen.Refused)
	for _, w := range seen.Wrong {
		q.Wrong("%s", w)
	}
	valid := make(map[string]bool)
	for _, t := range e.tickets {
		valid[t.ID.String()] = t.State == "valid"
	}
	gone, changed := 0, 0
	for _, t := range e.witness.Tickets() {
		switch {
		case t.Gone:
			gone++
			q.That(!valid[t.ID], "ticket %s was sold on and is valid", t.ID)
		case len(t.Dead) > 0:
			changed++
			q.That(valid[t.ID], "ticket %s was handed on and is not valid", t.ID)
		}
	}
	q.That(gone == seen.Resold && changed == seen.Transferred, "%d tickets were sold on, %d handed on; the owners tell of %d and %d", seen.Resold, seen.Transferred, gone, changed)
	steps := 0
	for _, row := range e.titles {
		steps += int(row.Steps)
	}
	q.That(steps == seen.Resold+seen.Transferred, "%d changes of hands and %d steps of titles", seen.Resold+seen.Transferred, steps)
	return q.Verdict()
}
