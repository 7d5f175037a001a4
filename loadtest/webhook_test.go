package loadtest

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestWebhooksTwiceReversedAndEarly(t *testing.T) {
	// An event cannot come before everything else and after the next one at once, so these are two sales.
	t.Run("twice and reversed", func(t *testing.T) {
		s := newStage(t, stageConfig{faults: map[string]any{"webhook_twice": 1, "webhook_reorder": 1}})
		s.start()
		r := s.play(s.plan(150, 10), nil)
		w := s.checkPurchases(r)
		if w.Created == 0 || w.Repeated != w.Created {
			t.Errorf("%d events, %d of them twice", w.Created, w.Repeated)
		}
		reversed := s.reversed()
		t.Logf("%d intents whose first event came after a later one", reversed)
		if reversed == 0 {
			t.Error("no webhook came out of order: nothing was tested")
		}
	})
	t.Run("early and twice", func(t *testing.T) {
		s := newStage(t, stageConfig{faults: map[string]any{"webhook_twice": 1, "webhook_early": 1}})
		s.start()
		r := s.play(s.plan(150, 10), nil)
		w := s.checkPurchases(r)
		if w.Created == 0 || w.Early < w.Created*9/10 || w.Repeated != w.Created {
			t.Errorf("%d events, %d of them before the answer that names their object, %d twice", w.Created, w.Early, w.Repeated)
		}
	})
}

// webhookCounts is what the provider says of its webhooks.
type webhookCounts struct {
	Created   int64 `json:"created"`
	Delivered int64 `json:"delivered"`
	Early     int64 `json:"early"`
	Repeated  int64 `json:"repeated"`
	Retried   int64 `json:"retried"`
	GivenUp   int64 `json:"given_up"`
	Pending   int64 `json:"pending"`
}

// checkPurchases asks that every order whose money was taken ended with its tickets, that none is under way, and that every webhook
// was taken in. It waits for those that are still to come, and looks again then.
func (s *stage) checkPurchases(r *Rehearsal) webhookCounts {
	s.t.Helper()
	ctx := s.t.Context()
	orders := s.orders()
	var books struct {
		Webhooks webhookCounts `json:"webhooks"`
	}
	s.until(ctx, "the provider has delivered all", 15*time.Second, func() bool {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.plan.Targets.Paysim+"/_paysim/books?entries=0", nil)
		if err == nil {
			err = fetch(http.DefaultClient, req, &books)
		}
		if err != nil {
			s.t.Fatal(err)
		}
		return books.Webhooks.Pending == 0 && books.Webhooks.Delivered >= books.Webhooks.Created+books.Webhooks.Repeated
	})
	s.until(ctx, "all webhooks are handled", 10*time.Second, func() bool { return s.count(`SELECT count(*) FROM webhooks WHERE handled_at IS NULL`) == 0 })
	s.t.Logf("orders %v; webhooks %+v", orders, books.Webhooks)
	for state := range orders {
		switch state {
		case "ticket_issued", "payment_failed", "expired", "cancelled":
		default:
			s.t.Errorf("%d orders ended %s", orders[state], state)
		}
	}
	if orders["ticket_issued"] == 0 {
		s.t.Error("no order was issued")
	}
	for state, n := range s.orders() {
		if orders[state] != n {
			s.t.Errorf("%d orders were %s, %d are after the last webhooks", orders[state], state, n)
		}
	}
	if n := s.count(`SELECT count(*) FROM webhooks`); n != books.Webhooks.Created {
		s.t.Errorf("core has %d webhooks, the provider made %d", n, books.Webhooks.Created)
	}
	if n := s.count(`SELECT count(*) FROM webhooks WHERE last_error <> ''`); n > 0 {
		s.t.Errorf("%d webhooks could not be handled", n)
	}
	if n := s.count(`SELECT count(*) FROM outbox WHERE state = 'dead'`); n > 0 {
		s.t.Errorf("%d tasks are dead", n)
	}
	return books.Webhooks
}

// orders counts the orders by state.
func (s *stage) orders() map[string]int64 {
	s.t.Helper()
	rows, err := s.db.Reader.Query(s.t.Context(), `SELECT state, count(*) FROM orders GROUP BY state ORDER BY state`)
	if err != nil {
		s.t.Fatal(err)
	}
	all := map[string]int64{}
	var state string
	var n int64
	if _, err := pgx.ForEachRow(rows, []any{&state, &n}, func() error { all[state] = n; return nil }); err != nil {
		s.t.Fatal(err)
	}
	return all
}

// reversed counts the intents whose creation core heard of after something that happened to them.
func (s *stage) reversed() int {
	s.t.Helper()
	rows, err := s.db.Reader.Query(s.t.Context(), `SELECT type, payload FROM webhooks ORDER BY received_at, webhook_id`)
	if err != nil {
		s.t.Fatal(err)
	}
	heard, n := map[string]bool{}, 0
	var kind string
	var payload []byte
	_, err = pgx.ForEachRow(rows, []any{&kind, &payload}, func() error {
		var e struct {
			Data struct {
				Object struct {
					ID string `json:"id"`
				} `json:"object"`
			} `json:"data"`
		}
		if err := json.Unmarshal(payload, &e); err != nil {
			return err
		}
		if strings.HasSuffix(kind, ".created") && heard[e.Data.Object.ID] {
			n++
		}
		heard[e.Data.Object.ID] = true
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func TestTwoRehearsalsSideBySide(t *testing.T) {
	for _, name := range []string{"one", "other"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, stageConfig{})
			s.start()
			plan := s.plan(20, 5)
			plan.Limits.Duration = Duration(6 * time.Second)
			s.play(plan, nil)
		})
	}
}
