package soak

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"fairgate/loadtest/stage"
)

// keep is what becomes of tickets that a buyer has: most are kept, some are given back, in one of the ways there are.
func (b *buyer) keep(ctx context.Context, o orderBody) string {
	dice := b.rng.IntN(100)
	if b.manner == disputes {
		dice = 100 // the bank will see to that
	}
	refunds := "/admin/v1/orders/" + o.ID + "/refunds"
	whole := []byte(`{"reason":"asked for"}`)
	key := fmt.Sprintf("refund-%d", b.n)
	switch {
	case dice < 5: // two operators at once, each with a request of their own
		b.run.operation.add("refunded whole by two operators at once")
		var second sync.WaitGroup
		second.Go(func() { b.run.operate(ctx, 0, http.MethodPost, refunds, key+"-a", whole, nil) })
		b.run.operate(ctx, 1, http.MethodPost, refunds, key+"-b", whole, nil)
		second.Wait()
	case dice < 9: // one operator who clicks twice
		b.run.operation.add("refunded whole by one operator, twice")
		var second sync.WaitGroup
		second.Go(func() { b.run.operate(ctx, 0, http.MethodPost, refunds, key, whole, nil) })
		b.run.operate(ctx, 1, http.MethodPost, refunds, key, whole, nil)
		second.Wait()
	case dice < 15 && len(o.Tickets) > 1:
		b.run.operation.add("refunded by ticket")
		one := b.json(m{"tickets": o.Tickets[:1], "reason": "cannot come"})
		b.run.operate(ctx, b.core, http.MethodPost, refunds, key, one, nil)
	case dice < 18:
		b.run.operation.add("given back by the buyer")
		_, _ = b.insist(ctx, http.MethodPost, "/v1/orders/"+o.ID+"/refund", key, []byte("{}")) // the audit sees what became of it
	default:
		return o.State
	}
	return "ticket_issued, then given back"
}

// operatorsClient waits longer than buyers do: a day's reconciliation is hundreds of pages of a provider that misbehaves, and days that
// pass there are thousands of things that come to pass.
var operatorsClient = sync.OnceValue(func() *http.Client { return newClient(10 * time.Minute) })

// operate makes a request of an operator until it is answered for certain, and tells the status.
func (r *run) operate(ctx context.Context, core int, method, path, key string, body []byte, into any) int {
	if into == nil {
		into = new(json.RawMessage)
	}
	for until := time.Now().Add(patience); ctx.Err() == nil && time.Now().Before(until); core = (core + 1) % cores {
		status := send(ctx, operatorsClient(), r.theatre.admin[core]+path, method, map[string]string{
			"Authorization": "Bearer " + r.adminSecret, "Idempotency-Key": key, "Content-Type": "application/json", "Fairgate-Operator": "soak"}, body, into)
		if status >= 200 && status < 500 && status != http.StatusTooManyRequests {
			return status
		}
		stage.Sleep(ctx, 200*time.Millisecond)
	}
	return 0
}

// aftermath is what comes after the sale: an event is cancelled, and days pass at the provider, in which refunds that were
// pending end one way or the other, and buyers dispute what they paid.
func (r *run) aftermath(ctx context.Context) error {
	if err := r.cancel(ctx); err != nil {
		return err
	}
	if _, err := r.refunds(ctx); err != nil {
		return err
	}
	// Disputes are opened, half of them are answered, and each is decided.
	for _, days := range []int{4, 9, 4} {
		if err := r.pass(ctx, time.Duration(days)*24*time.Hour); err != nil {
			return err
		}
		if err := r.answerDisputes(ctx); err != nil {
			return err
		}
	}
	until := time.Now().Add(r.Patience)
	for more := true; more && ctx.Err() == nil && time.Now().Before(until); {
		// News that come late may say of a refund that it has failed.
		if err := r.quiet(ctx, r.Patience); err != nil {
			return err
		}
		var err error
		if more, err = r.refunds(ctx); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// cancel cancels the second event, and waits until all its buyers have their refunds on the way.
func (r *run) cancel(ctx context.Context) error {
	if status := r.operate(ctx, 0, http.MethodPost, "/admin/v1/events/"+cancelledSlug+"/cancel", "", []byte(`{"reason":"The soak calls it off"}`), nil); status/100 != 2 {
		return fmt.Errorf("cancel the event: status %d", status)
	}
	for until := time.Now().Add(r.Patience); time.Now().Before(until); {
		var state struct {
			State             string
			Orders, Refunded  int64
			Failed, Skipped   int64
			Waiting, Open     int64
			CreatedAt, DoneAt time.Time
		}
		if r.operate(ctx, 0, http.MethodGet, "/admin/v1/events/"+cancelledSlug+"/refunds", "", nil, &state) == http.StatusOK && state.State != "running" {
			return nil
		}
		if !stage.Sleep(ctx, 500*time.Millisecond) {
			return ctx.Err()
		}
	}
	return nil // the audit sees what is left
}

// lastTries is after how many rounds refunds that fail are paid otherwise.
const lastTries = 3

// refundsWithin bounds how long refunds that are under way may take: a minute, or of many orders twenty milliseconds each.
func (r *run) refundsWithin() time.Duration {
	return max(time.Minute, time.Duration(r.Orders)*20*time.Millisecond)
}

// refunds has hours pass until no refund is under way, and sees to those that failed: they are tried again, and in the end paid
// another way. seen tells whether there was one.
func (r *run) refunds(ctx context.Context) (seen bool, err error) {
	until := time.Now().Add(r.refundsWithin())
	for round := 0; time.Now().Before(until); round++ {
		if err := r.pass(ctx, 3*time.Hour); err != nil {
			return seen, err
		}
		failed, err := r.listRefunds(ctx, "state=failed&unsettled=true")
		if err != nil {
			return seen, err
		}
		pending, err := r.listRefunds(ctx, "state=pending")
		if err != nil {
			return seen, err
		}
		if len(failed)+len(pending) == 0 {
			return seen, nil
		}
		seen = true
		for _, id := range failed {
			body := []byte("{}")
			if round >= lastTries {
				body = []byte(`{"paid_otherwise":"by bank transfer"}`)
				r.operation.add("failed refund paid another way")
			} else {
				r.operation.add("failed refund tried again")
			}
			var refusal struct{ Code string }
			if r.operate(ctx, round%cores, http.MethodPost, "/admin/v1/refunds/"+id+"/retry", fmt.Sprintf("retry-%s-%d", id, round), body, &refusal)/100 == 4 {
				r.operation.add("failed refund not settled: " + refusal.Code)
			}
		}
	}
	return false, nil // the audit sees what is left
}

// listRefunds lists the ids of refunds, as many as one page has.
func (r *run) listRefunds(ctx context.Context, which string) ([]string, error) {
	var list struct {
		Refunds []struct {
			ID string `json:"id"`
		} `json:"refunds"`
	}
	if status := r.operate(ctx, 0, http.MethodGet, "/admin/v1/refunds?limit=500&"+which, "", nil, &list); status != http.StatusOK {
		return nil, fmt.Errorf("list refunds: status %d", status)
	}
	ids := make([]string, len(list.Refunds))
	for i, f := range list.Refunds {
		ids[i] = f.ID
	}
	return ids, nil
}

// pass has time pass at the provider, and waits a little while what came of it is handled.
func (r *run) pass(ctx context.Context, d time.Duration) error {
	body := fmt.Appendf(nil, `{"advance":%q}`, d)
	if status := send(ctx, operatorsClient(), r.theatre.provider+"/_paysim/clock", http.MethodPost,
		map[string]string{"Authorization": "Bearer " + r.theatre.apiKey, "Content-Type": "application/json"}, body, new(json.RawMessage)); status != http.StatusOK {
		return fmt.Errorf("move the provider's clock: status %d", status)
	}
	return r.calm(ctx, passPatience)
}

// passPatience is how long things may take to calm down before more time passes.
const passPatience = 8 * time.Second

// answerDisputes hands in evidence for every other dispute that is open.
func (r *run) answerDisputes(ctx context.Context) error {
	var list struct {
		Disputes []struct {
			Ref string `json:"ref"`
		} `json:"disputes"`
	}
	if status := r.operate(ctx, 0, http.MethodGet, "/admin/v1/disputes?state=open&limit=500", "", nil, &list); status != http.StatusOK {
		return fmt.Errorf("list disputes: status %d", status)
	}
	for n, d := range list.Disputes {
		if n%2 == 0 {
			r.operation.add("dispute answered")
			r.operate(ctx, n%cores, http.MethodPost, "/admin/v1/disputes/"+d.Ref+"/submit", "submit-"+d.Ref, []byte("{}"), nil)
		}
	}
	return nil
}
