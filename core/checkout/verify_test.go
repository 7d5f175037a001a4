package checkout

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/edge/lottery"
)

// hears stores a webhook as the inbox does, and hands it on.
func (s *shop) hears(n *node, id string, o Order, state payment.OutcomeState) {
	s.t.Helper()
	payload := []byte(`{"id":"` + id + `","of":"` + o.ID.String() + `"}`)
	digest := sha256.Sum256(payload)
	s.exec(`INSERT INTO webhooks (provider, webhook_id, type, payload, received_at, handled_at, attempts, due_at, last_error, order_id)
		VALUES ('stripe', $1, $2, $3, now(), now(), 1, now(), '', $4)`, id, "payment."+string(state), payload, o.ID)
	err := n.Webhooks(s.t.Context(), []payment.Event{{Provider: "stripe", ID: id, Type: "payment." + string(state), OrderID: o.ID, PaymentID: o.Payment.ID,
		Outcome: payment.Outcome{State: state, Amount: o.Amount}, Digest: digest[:]}})
	if err != nil {
		s.t.Fatal(err)
	}
}

// bought is an order with its ticket, whose authorization came with a webhook of the order's name.
func (s *shop) bought(n *node, who byte) Order {
	s.t.Helper()
	entrant := lottery.Entrant{who}
	o := s.order(n, entrant, s.hold(n, entrant, fmt.Sprint(who), inventory.Item{Tier: "floor", Quantity: 1}))
	s.eventually("the intent is made", func() bool { return s.provider.confirm(o.Payment.ID, payment.Authorized) })
	s.hears(n, "evt_"+o.ID.String(), o, payment.Authorized)
	return s.await(n, o.ID, TicketIssued)
}

func (s *shop) verify(n *node, order uuid.UUID) Verification {
	s.t.Helper()
	v, err := n.Verify(s.t.Context(), order)
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

func (s *shop) seal(n *node) int {
	s.t.Helper()
	sealed, err := n.Seal(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return sealed
}

func TestAnUntouchedAuditTrailVerifiesAndNamesWhatCausedEachStep(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	orders := []Order{s.bought(n, 1), s.bought(n, 2), s.bought(n, 3)}
	if v := s.verify(n, uuid.Nil); !v.OK() || v.Orders != 3 || v.Steps != 15 || v.Webhooks != 3 || v.Unsealed != 3 || v.Seals != 0 {
		t.Errorf("before a seal: %+v", v)
	}
	if sealed := s.seal(n); sealed != 3 {
		t.Errorf("sealed %d orders", sealed)
	}
	if sealed := s.seal(n); sealed != 0 {
		t.Errorf("sealed %d orders that had not moved", sealed)
	}
	if v := s.verify(n, uuid.Nil); !v.OK() || v.Unsealed != 0 || v.Seals != 1 || v.Heads != 3 || v.Unchained != 0 {
		t.Errorf("after a seal: %+v", v)
	}
	if v := s.verify(n, orders[1].ID); !v.OK() || v.Orders != 1 || v.Steps != 5 || v.Webhooks != 1 {
		t.Errorf("one order: %+v", v)
	}
	if _, err := n.Verify(t.Context(), uuid.New()); !errors.Is(err, ErrOrderUnknown) {
		t.Errorf("an order that never was: %v", err)
	}
	for cause, source := range map[Cause]string{
		CauseOpened:     "",
		CauseBegun:      "begin/" + payment.TaskID(orders[0].Payment.ID, payment.KindBegin).String(),
		CauseAuthorized: "stripe/evt_" + orders[0].ID.String(),
		CauseIssued:     "capture/" + payment.TaskID(orders[0].Payment.ID, payment.KindCapture).String(),
	} {
		if n := s.count(`SELECT count(*) FROM order_events WHERE order_id = $1 AND cause = $2 AND source = $3`, orders[0].ID, string(cause), source); n != 1 {
			t.Errorf("%s does not come from %q", cause, source)
		}
	}
	if early := s.count(`SELECT count(*) FROM order_events AS a JOIN order_events AS b ON b.order_id = a.order_id AND b.seq = a.seq + 1 WHERE b.at < a.at`); early != 0 {
		t.Errorf("%d steps are earlier than the one before", early)
	}
}

func TestWhateverIsDoneToTheAuditTrailIsFound(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	const swap = `UPDATE order_events SET seq = CASE WHEN seq = 1 THEN 2 ELSE 1 END + 100 WHERE order_id = $1 AND seq IN (1, 2)`
	cases := []struct {
		name string
		kind FindingKind
		// statements have the order as $1
		statements []string
	}{
		{"a row's reason is altered", StepAltered, []string{`UPDATE order_events SET reason = 'told so' WHERE order_id = $1 AND seq = 2`}},
		{"a row's time is altered", StepAltered, []string{`UPDATE order_events SET at = at - INTERVAL '1 second' WHERE order_id = $1 AND seq = 1`}},
		{"a row's actor is altered", StepAltered, []string{`UPDATE order_events SET actor = 'lookup' WHERE order_id = $1 AND seq = 4`}},
		{"a row names another webhook", StepAltered, []string{`UPDATE order_events SET source = '', source_hash = '' WHERE order_id = $1 AND seq = 2`}},
		{"a row loses its hash", StepAltered, []string{`UPDATE order_events SET hash = '' WHERE order_id = $1 AND seq = 2`}},
		{"a row is deleted", StepMissing, []string{`DELETE FROM order_events WHERE order_id = $1 AND seq = 2`}},
		{"the first row is deleted", StepMissing, []string{`DELETE FROM order_events WHERE order_id = $1 AND seq = 0`}},
		{"a row is deleted and the others moved up", StepMissing, []string{`DELETE FROM order_events WHERE order_id = $1 AND seq = 2`,
			`UPDATE order_events SET seq = 2 WHERE order_id = $1 AND seq = 3`, `UPDATE order_events SET seq = 3 WHERE order_id = $1 AND seq = 4`}},
		{"a row is inserted at the end", StepInserted, []string{`INSERT INTO order_events SELECT order_id, 5, cause, from_state, to_state, actor, reason, at, source, source_hash, hash FROM order_events WHERE order_id = $1 AND seq = 2`}},
		{"a row is inserted between others", StepInserted, []string{`UPDATE order_events SET seq = 5 WHERE order_id = $1 AND seq = 4`, `UPDATE order_events SET seq = 4 WHERE order_id = $1 AND seq = 3`,
			`INSERT INTO order_events SELECT order_id, 3, 'declined', from_state, to_state, actor, reason, at, source, source_hash, hash FROM order_events WHERE order_id = $1 AND seq = 2`}},
		{"two rows change places", StepMoved, []string{swap, `UPDATE order_events SET seq = seq - 100 WHERE order_id = $1 AND seq > 100`}},
		{"a webhook's payload is altered", WebhookAltered, []string{`UPDATE webhooks SET payload = '{}' WHERE order_id = $1`}},
		{"a webhook is deleted", WebhookMissing, []string{`DELETE FROM webhooks WHERE order_id = $1`}},
		{"the order forgets its head", HeadDiffers, []string{`UPDATE orders SET head = '' WHERE order_id = $1`}},
		{"the tail is cut off", StepMissing, []string{`DELETE FROM order_events WHERE order_id = $1 AND seq = 4`}},
		{"the tail is cut off and the order's row knows", TailMissing, []string{`DELETE FROM order_events WHERE order_id = $1 AND seq = 4`,
			`UPDATE orders SET events = 4, head = e.hash FROM order_events AS e WHERE e.order_id = $1 AND e.seq = 3 AND orders.order_id = $1`}},
		{"the order is deleted", OrderMissing, []string{`DELETE FROM orders WHERE order_id = $1`}},
		{"the order is deleted with its steps", OrderMissing, []string{`DELETE FROM orders WHERE order_id = $1`, `DELETE FROM order_events WHERE order_id = $1`}},
	}
	orders := make([]Order, len(cases))
	for i := range cases {
		orders[i] = s.bought(n, byte(i+1))
	}
	s.seal(n)
	if v := s.verify(n, uuid.Nil); !v.OK() || v.Orders != int64(len(cases)) {
		t.Fatalf("before anything is done: %+v", v)
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for _, statement := range c.statements {
				s.exec(statement, orders[i].ID)
			}
			for _, order := range []uuid.UUID{orders[i].ID, uuid.Nil} {
				v := s.verify(n, order)
				if !slices.ContainsFunc(v.Findings, func(f Finding) bool { return f.Order == orders[i].ID && f.Kind == c.kind }) {
					t.Errorf("verifying %s does not find %s: %+v", order, c.kind, v.Findings)
				}
				for _, f := range v.Findings {
					if order != uuid.Nil && f.Order != order {
						t.Errorf("found of another order: %+v", f)
					}
				}
			}
		})
	}
}

func TestAChainThatIsWrittenAnewIsNotTheOneThatWasSealed(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	o := s.bought(n, 1)
	s.seal(n)
	// Somebody with all rights and this program rewrites the chain from the third step on.
	v := &verifying{}
	tx, err := s.db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v.tx = tx
	trails, err := v.read(t.Context(), sqlVerifyOrder, o.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	var previous []byte
	for _, e := range trails[0].steps {
		if e.seq == 2 {
			e.reason = "as agreed by telephone"
		}
		hash := e.sum(previous)
		s.exec(`UPDATE order_events SET reason = $3, hash = $4 WHERE order_id = $1 AND seq = $2`, o.ID, e.seq, e.reason, hash)
		previous = hash
	}
	s.exec(`UPDATE orders SET head = $2 WHERE order_id = $1`, o.ID, previous)
	if found := s.verify(n, o.ID); len(found.Findings) != 1 || found.Findings[0].Kind != SealDiffers {
		t.Errorf("got %+v", found)
	}
	// And the sealed head with it.
	s.exec(`UPDATE order_heads SET head = $2 WHERE order_id = $1`, o.ID, previous)
	if found := s.verify(n, uuid.Nil); len(found.Findings) != 1 || found.Findings[0].Kind != SealBroken {
		t.Errorf("got %+v", found)
	}
}

func TestWhateverIsDoneToSealsIsFound(t *testing.T) {
	for name, statement := range map[string]string{
		"a head is deleted":         `DELETE FROM order_heads WHERE order_id = (SELECT order_id FROM order_heads ORDER BY order_id LIMIT 1)`,
		"a head says less":          `UPDATE order_heads SET events = 4 WHERE order_id = (SELECT order_id FROM order_heads ORDER BY order_id LIMIT 1)`,
		"a seal is deleted":         `DELETE FROM order_seals WHERE sequence = 1`,
		"a seal has another time":   `UPDATE order_seals SET sealed_at = sealed_at - INTERVAL '1 hour' WHERE sequence = 2`,
		"a seal has another hash":   `UPDATE order_seals SET hash = '\x00' WHERE sequence = 1`,
		"a seal is of other writer": `UPDATE order_seals SET writer = '00000000-0000-4000-8000-000000000001' WHERE sequence = 2`,
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			n := s.open(true)
			for i := range 3 {
				s.bought(n, byte(i+1))
				s.seal(n)
			}
			if v := s.verify(n, uuid.Nil); !v.OK() || v.Seals != 3 {
				t.Fatalf("before: %+v", v)
			}
			s.exec(statement)
			if v := s.verify(n, uuid.Nil); !slices.ContainsFunc(v.Findings, func(f Finding) bool { return f.Kind == SealBroken }) {
				t.Errorf("got %+v", v)
			}
		})
	}
}

// Who owns the database can take the last seal away with what it covers, and the trail is whole again; a seal that was noted
// elsewhere tells.
func TestASealThatWasNotedElsewhereHasToBeThere(t *testing.T) {
	s := newShop(t)
	n := s.open(true)
	s.bought(n, 1)
	s.seal(n)
	s.bought(n, 2)
	s.seal(n)
	v := s.verify(n, uuid.Nil)
	if len(v.Newest) != 1 || v.Newest[0].Sequence != 2 {
		t.Fatalf("newest: %v", v.Newest)
	}
	noted, err := ParseSealNote(v.Newest[0].String())
	if err != nil {
		t.Fatal(err)
	}
	if v, err := n.Verify(t.Context(), uuid.Nil, noted); err != nil || !v.OK() {
		t.Errorf("a seal that is there: %+v, %v", v, err)
	}
	s.exec(`DELETE FROM order_heads WHERE sequence = 2`)
	s.exec(`DELETE FROM order_seals WHERE sequence = 2`)
	if v := s.verify(n, uuid.Nil); !v.OK() {
		t.Errorf("without the note: %+v", v)
	}
	if v, err := n.Verify(t.Context(), uuid.Nil, noted); err != nil || !slices.ContainsFunc(v.Findings, func(f Finding) bool { return f.Kind == SealMissing }) {
		t.Errorf("with the note: %+v, %v", v, err)
	}
	for _, text := range []string{"", "x/1/00", noted.Writer.String() + "/0/" + strings.Repeat("00", 32), noted.Writer.String() + "/1/00", noted.String() + "/"} {
		if _, err := ParseSealNote(text); !errors.Is(err, ErrSealNote) {
			t.Errorf("%q is read as a note: %v", text, err)
		}
	}
}

func TestWhatADeadCoreLeftUnsealedAnotherSeals(t *testing.T) {
	s := newShop(t)
	dead := s.open(true)
	o := s.bought(dead, 1)
	fresh := s.bought(dead, 2)
	dead.touched.take() // it dies here
	s.exec(`UPDATE orders SET updated_at = now() - INTERVAL '2 minutes' WHERE order_id = $1`, o.ID)
	n := s.open(false)
	if _, err := n.searchUnsealed(t.Context(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if sealed := s.count(`SELECT count(*) FROM order_heads WHERE order_id = $1 AND events = 5`, o.ID); sealed != 1 {
		t.Errorf("%d sealed heads of the order that was left behind", sealed)
	}
	if sealed := s.count(`SELECT count(*) FROM order_heads WHERE order_id = $1`, fresh.ID); sealed != 0 {
		t.Errorf("an order that its own core may be about to seal was sealed")
	}
	if v := s.verify(n, uuid.Nil); !v.OK() || v.Unsealed != 1 {
		t.Errorf("got %+v", v)
	}
}

func TestASearchForUnsealedOrdersGoesNoFurtherBackThanItIsTold(t *testing.T) {
	s := newShop(t)
	dead := s.open(true)
	old, late := s.bought(dead, 1), s.bought(dead, 2)
	dead.touched.take() // it dies here
	s.exec(`UPDATE orders SET updated_at = now() - INTERVAL '2 hours' WHERE order_id = $1`, old.ID)
	s.exec(`UPDATE orders SET updated_at = now() - INTERVAL '2 minutes' WHERE order_id = $1`, late.ID)
	n := s.open(false)
	now, err := s.db.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sealed := func(o Order) int64 {
		return s.count(`SELECT count(*) FROM order_heads WHERE order_id = $1 AND events = 5`, o.ID)
	}
	began, err := n.searchUnsealed(t.Context(), now.Add(-time.Hour))
	if err != nil || began.Before(now) || began.After(now.Add(time.Minute)) {
		t.Fatalf("began at %s, %v", began, err)
	}
	if sealed(late) != 1 || sealed(old) != 0 {
		t.Errorf("of the last hour %d orders are sealed, of before %d", sealed(late), sealed(old))
	}
	if _, err := n.searchUnsealed(t.Context(), time.Time{}); err != nil || sealed(old) != 1 {
		t.Errorf("the whole search sealed %d, %v", sealed(old), err)
	}
	if v := s.verify(n, uuid.Nil); !v.OK() || v.Unsealed != 0 {
		t.Errorf("got %+v", v)
	}
}

func TestTwoCoresSealTheSameOrdersOnce(t *testing.T) {
	s := newShop(t)
	a, b := s.open(true), s.open(false)
	var orders []uuid.UUID
	for i := range 8 {
		orders = append(orders, s.bought(a, byte(i+1)).ID)
	}
	a.touched.take()
	for range 5 {
		var wg sync.WaitGroup
		for _, n := range []*node{a, b} {
			n.touched.add(orders)
			wg.Go(func() {
				if _, err := n.Seal(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	if v := s.verify(a, uuid.Nil); !v.OK() || v.Heads != 8 || v.Unsealed != 0 {
		t.Errorf("got %+v", v)
	}
}

func TestStepsFromBeforeThereWereChainsAreCountedAndNotCondemned(t *testing.T) {
	s := newShop(t)
	n := s.open(false)
	o := s.order(n, buyer, s.hold(n, buyer, "k", inventory.Item{Tier: "floor", Quantity: 1}))
	s.exec(`UPDATE orders SET head = '' WHERE order_id = $1`, o.ID)
	s.exec(`UPDATE order_events SET hash = '', source = '', source_hash = '' WHERE order_id = $1`, o.ID)
	if v := s.verify(n, o.ID); !v.OK() || v.Unchained != 1 {
		t.Errorf("got %+v", v)
	}
	if err := n.Apply(t.Context(), Outcome{Order: o.ID, Payment: o.Payment.ID, Cause: CauseBegun, Actor: "outbox"}); err != nil {
		t.Fatal(err)
	}
	if v := s.verify(n, o.ID); !v.OK() || v.Unchained != 1 || v.Steps != 2 {
		t.Errorf("got %+v", v)
	}
}
