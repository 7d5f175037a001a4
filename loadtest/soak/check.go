package soak

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/google/uuid"

	"fairgate/loadtest"
)

// final are the states in which an order may be when everything is at rest.
var final = map[string]bool{
	"ticket_issued": true, "expired": true, "cancelled": true, "capture_failed": true, "refunded": true, "dispute_lost": true,
}

// checkRest asks that nothing is under way, and nothing was given up.
func (e *evidence) checkRest() loadtest.Verdict {
	q := loadtest.Inquire("rest", "Everything has come to its end", "holds, orders and payments")
	q.Checked(len(e.holds) + len(e.orders) + len(e.payments))
	q.That(e.left == underWay{}, "still under way: %s", e.left)
	for _, t := range e.tasks {
		q.Wrong("task %s of order %s is %s after %d attempts: %s", t.Kind, t.Order, t.State, t.Attempts, t.Error)
	}
	return q.Verdict()
}

// checkOrders asks that every order is over and as its payments say.
func (e *evidence) checkOrders() loadtest.Verdict {
	q := loadtest.Inquire("orders", "Orders are over and agree with their payments", "orders")
	captured := make(map[uuid.UUID]int)
	for _, p := range e.payments {
		switch p.State {
		case "captured":
			captured[p.Order]++
		case "voided", "capture_failed":
		default:
			q.Wrong("attempt %d of order %s is still %s", p.Attempt, p.Order, p.State)
		}
	}
	for _, o := range e.orders {
		q.Checked(1)
		q.That(final[o.State], "order %s is still %s", o.ID, o.State)
		q.That(captured[o.ID] <= 1, "order %s has %d captured payments", o.ID, captured[o.ID])
		if o.State == "ticket_issued" {
			q.That(captured[o.ID] == 1, "order %s has its tickets and no captured payment", o.ID)
		}
	}
	return q.Verdict()
}

// checkCharges matches the provider's books with the orders one by one: nobody was charged twice, nothing is reserved for ever,
// nobody could still pay for an order that is over.
func (e *evidence) checkCharges() loadtest.Verdict {
	q := loadtest.Inquire("charges", "No order was charged twice or for nothing", "payments of the provider")
	orders := make(map[string]orderRow, len(e.orders))
	for _, o := range e.orders {
		orders[o.ID.String()] = o
	}
	live := make(map[string]bool)
	for _, p := range e.payments {
		live[p.ID.String()] = p.State == "created" || p.State == "begun" || p.State == "authorized"
	}
	kept, taken := make(map[string]int64), make(map[string]int)
	for _, i := range e.books.intents() {
		q.Checked(1)
		o, ok := orders[i.Order]
		if !ok {
			q.Wrong("%s is for order %q, which does not exist", i.ID, i.Order)
			continue
		}
		switch i.Status {
		case "succeeded", "canceled", "captured", "voided":
		case "created", "payer_action_required", "approved": // of PayPal: nothing comes of it unless we authorize it
			q.That(!live[i.Payment], "%s of payment %s is still %s", i.ID, i.Payment, i.Status)
		case "requires_capture", "authorized":
			q.Wrong("%s: %d %s of order %s (%s) are reserved and neither captured nor given back", i.ID, i.Amount, i.Currency, i.Order, o.State)
		default:
			q.Wrong("%s of order %s (%s) is still open at the provider: %s", i.ID, i.Order, o.State, i.Status)
		}
		q.That(strings.EqualFold(i.Currency, o.Currency), "%s: order %s is in %s and was charged in %s", i.ID, i.Order, o.Currency, i.Currency)
		q.That(i.Captured == 0 || i.Captured == o.Minor, "%s: %d of %d were captured", i.ID, i.Captured, o.Minor)
		kept[i.Order] += i.kept()
		if i.Captured > 0 {
			taken[i.Order]++
		}
	}
	for id, o := range orders {
		q.That(taken[id] <= 1, "order %s was charged %d times", id, taken[id])
		due := e.worth(o)
		if !e.lost(o.ID) { // the bank takes all that is left, what was paid otherwise too
			due += e.otherwise(o.ID)
		}
		q.That(kept[id] == due, "order %s is %s, is due %d for its valid tickets and what was paid back otherwise, and the provider kept %d", id, o.State, due, kept[id])
	}
	return q.Verdict()
}

// worth is what an order's valid tickets cost.
func (e *evidence) worth(o orderRow) int64 {
	var lines []lineTotal
	if json.Unmarshal([]byte(o.Lines), &lines) != nil {
		return -1
	}
	total := int64(0)
	for _, t := range e.ticketsOf()[o.ID] {
		if t.State == "valid" && int(t.Item) < len(lines) {
			l := lines[t.Item]
			total += l.Face + l.Fee + l.Tax
		}
	}
	return total
}

// lost tells whether a dispute of an order was lost.
func (e *evidence) lost(order uuid.UUID) bool {
	return slices.ContainsFunc(e.disputes, func(d disputeRow) bool { return d.Order == order && d.State == "lost" })
}

// otherwise is what an order's buyer got back without the provider.
func (e *evidence) otherwise(order uuid.UUID) (minor int64) {
	for _, f := range e.refunds {
		if f.Order == order && f.Resolution == "paid_otherwise" {
			minor += f.Minor
		}
	}
	return minor
}

// ticketsOf are the tickets by order.
func (e *evidence) ticketsOf() map[uuid.UUID][]ticketRow {
	if e.byOrder == nil {
		e.byOrder = make(map[uuid.UUID][]ticketRow, len(e.orders))
		for _, t := range e.tickets {
			e.byOrder[t.Order] = append(e.byOrder[t.Order], t)
		}
	}
	return e.byOrder
}

// checkTickets asks that every valid ticket was paid for, and that who paid has all of theirs.
func (e *evidence) checkTickets() loadtest.Verdict {
	q := loadtest.Inquire("tickets", "No ticket without a charge, no charge without one", "tickets")
	captured := make(map[string]int64)
	for _, i := range e.books.intents() {
		captured[i.Order] += i.Captured
	}
	orders := make(map[uuid.UUID]orderRow, len(e.orders))
	for _, o := range e.orders {
		orders[o.ID] = o
	}
	for _, t := range e.tickets {
		q.Checked(1)
		o, ok := orders[t.Order]
		q.That(ok, "ticket %s is of order %s, which does not exist", t.ID, t.Order)
		q.That(captured[t.Order.String()] > 0, "ticket %s of order %s (%s) was never paid for", t.ID, t.Order, o.State)
	}
	for _, o := range e.orders {
		if o.State != "ticket_issued" {
			continue
		}
		var lines []lineTotal
		q.That(json.Unmarshal([]byte(o.Lines), &lines) == nil, "order %s: its lines cannot be read", o.ID)
		q.That(len(e.ticketsOf()[o.ID]) == len(lines), "order %s has %d tickets for %d places", o.ID, len(e.ticketsOf()[o.ID]), len(lines))
	}
	return q.Verdict()
}

// checkProviderBalance holds what the providers have of ours against the ledger's clearing accounts.
func (e *evidence) checkProviderBalance() loadtest.Verdict {
	q := loadtest.Inquire("provider_balance", "The providers' balances are the ledger's", "currencies and orders")
	for provider, side := range e.books.sides() {
		q.That(side.Consistent || len(side.Intents) == 0, "the books of %s contradict themselves", provider)
		ours := make(map[string]int64)
		byOrder := make(map[string]int64)
		for _, r := range e.references {
			// The provider's costs are booked off what it has; its books tell them apart.
			if r.Account == "provider_clearing/"+provider || r.Account == "provider_costs/"+provider {
				ours[r.Currency] += r.Final
				byOrder[r.Reference.String()] += r.Final
				q.That(r.Pending == 0, "%s still has %d pending of %s", r.Account, r.Pending, r.Reference)
			}
		}
		for currency := range merged(ours, side.Balances) {
			q.Checked(1)
			q.That(ours[currency] == side.Balances[currency], "the ledger has %d %s at %s, which says %d", ours[currency], currency, provider, side.Balances[currency])
		}
		kept := make(map[string]int64)
		for _, i := range side.Intents {
			kept[i.Order] += i.kept()
		}
		for id := range merged(byOrder, kept) {
			q.Checked(1)
			q.That(byOrder[id] == kept[id], "order %s: the ledger has %d at %s, which has %d", id, byOrder[id], provider, kept[id])
		}
	}
	return q.Verdict()
}

// merged has the keys of both.
func merged(a, b map[string]int64) map[string]bool {
	keys := make(map[string]bool, len(a)+len(b))
	for k := range a {
		keys[k] = true
	}
	for k := range b {
		keys[k] = true
	}
	return keys
}

// clearing are the accounts on which a reference has nothing left when everything is at rest.
var clearing = []string{"buyer_clearing", "refunds", "late_money", "payout_clearing", "resale_escrow"}

// checkClearing asks that every clearing account is explained, reference by reference.
func (e *evidence) checkClearing() loadtest.Verdict {
	q := loadtest.Inquire("clearing", "Every clearing account is explained", "references on clearing accounts")
	for _, r := range e.references {
		for _, account := range clearing {
			if r.Account == account {
				q.Checked(1)
				q.That(r.Final == 0 && r.Pending == 0, "%s has %d %s left of %s, %d pending", account, r.Final, r.Currency, r.Reference, r.Pending)
			}
		}
	}
	return q.Verdict()
}

// checkRefunds matches our refunds with the provider's, one by one: none was paid twice, none was promised and not paid.
func (e *evidence) checkRefunds() loadtest.Verdict {
	q := loadtest.Inquire("refunds", "Every refund was paid once, and no other", "refunds of both sides")
	paid := make(map[string]int64)
	for _, side := range e.books.sides() {
		for _, f := range side.Refunds {
			q.Checked(1)
			q.That(f.Refund != "", "refund %s of order %s is none of ours", f.ID, f.Order)
			q.That(f.Status != "pending", "refund %s of order %s is still pending", f.ID, f.Order)
			if f.Status == "succeeded" {
				paid[f.Refund] += f.Amount
			}
		}
	}
	for _, f := range e.refunds {
		q.Checked(1)
		due := int64(0)
		switch {
		case f.State == "succeeded":
			due = f.Minor
		case f.State != "failed":
			q.Wrong("refund %s of order %s is still %s", f.ID, f.Order, f.State)
			continue
		default:
			q.That(f.Resolution != "", "refund %s of order %s failed and nobody saw to it", f.ID, f.Order)
		}
		q.That(paid[f.ID.String()] == due, "refund %s of order %s (%s, %s) is over %d, the provider paid %d", f.ID, f.Order, f.State, f.Resolution, due, paid[f.ID.String()])
		delete(paid, f.ID.String())
	}
	for id, minor := range paid {
		q.Wrong("the provider paid %d for refund %s, which does not exist", minor, id)
	}
	return q.Verdict()
}

// checkDisputes matches our disputes with the provider's.
func (e *evidence) checkDisputes() loadtest.Verdict {
	q := loadtest.Inquire("disputes", "Every dispute is known, decided and booked", "disputes of both sides")
	ours := make(map[string]disputeRow)
	for _, d := range e.disputes {
		q.Checked(1)
		ours[d.Provider+"/"+d.Ref] = d
		q.That(d.State == "won" || d.State == "lost", "dispute %s of order %s is still %s", d.Ref, d.Order, d.State)
	}
	for provider, side := range e.books.sides() {
		for _, d := range side.Disputes {
			q.Checked(1)
			row, known := ours[provider+"/"+d.ID]
			q.That(known, "dispute %s of order %s (%s) is not known", d.ID, d.Order, d.Status)
			if known {
				q.That(d.Withdrawn == (row.State == "lost"), "dispute %s of order %s: %s for us, %s for the provider", d.ID, d.Order, row.State, d.Status)
				q.That(row.Minor == d.Amount, "dispute %s of order %s is over %d for us and %d for the provider", d.ID, d.Order, row.Minor, d.Amount)
			}
		}
	}
	return q.Verdict()
}

// trailReport is GET /admin/v1/orders/verify.
type trailReport struct {
	OK       bool `json:"ok"`
	Steps    int  `json:"steps"`
	Findings []struct {
		Order  string `json:"order"`
		Kind   string `json:"kind"`
		Detail string `json:"detail"`
	} `json:"findings"`
}

// checkTrail asks core to recompute the audit trail.
func (e *evidence) checkTrail() loadtest.Verdict {
	q := loadtest.Inquire("trail", "The audit trail of orders verifies", "steps of orders")
	q.Checked(e.trail.Steps)
	q.That(e.trail.OK, "the audit trail does not verify")
	for _, f := range e.trail.Findings {
		q.Wrong("order %s: %s: %s", f.Order, f.Kind, f.Detail)
	}
	return q.Verdict()
}

// checkLedger asks core to recompute its books.
func (e *evidence) checkLedger() loadtest.Verdict {
	q := loadtest.Inquire("ledger", "The ledger verifies", "transfers")
	q.Checked(int(e.ledger.Transfers))
	q.That(e.ledger.OK, "the ledger does not verify")
	for _, c := range e.ledger.Checks {
		q.That(c.Failed == 0, "%s: %d wrong of %d: %s", c.Name, c.Failed, c.Checked, c.Detail)
	}
	return q.Verdict()
}

// checkStock asks that what is taken is what sold holds have, and that each sold seat is somebody's.
func (e *evidence) checkStock() loadtest.Verdict {
	q := loadtest.Inquire("stock", "What is taken is what was sold", "units and seats")
	sold, units := make(map[uuid.UUID]bool), int64(0)
	for _, h := range e.holds {
		if h.State == "sold" {
			sold[h.ID], units = true, units+h.Units
		}
	}
	taken := int64(0)
	for _, s := range e.stock {
		q.That(s.Taken >= 0 && s.Taken <= s.Capacity, "%s/%s: %d taken of %d", s.Tier, s.Allocation, s.Taken, s.Capacity)
		taken += s.Taken
	}
	q.Checked(int(units))
	q.That(taken == units, "%d units are taken and %d sold", taken, units)
	for _, s := range e.seats {
		q.Checked(1)
		q.That(s.State == "free" || s.State == "sold" && s.Hold != nil && sold[*s.Hold], "seat %s is %s without a sold hold", s.Seat, s.State)
	}
	// A void ticket's unit is on sale again, or kept off it: of a lost dispute, of a cancelled event.
	of := make(map[uuid.UUID]int64, len(e.holds))
	for _, h := range e.holds {
		if h.State == "sold" {
			of[h.ID] = h.Units
		}
	}
	for _, o := range e.orders {
		valid := int64(0)
		for _, t := range e.ticketsOf()[o.ID] {
			if t.State == "valid" {
				valid++
			}
		}
		all := int64(len(e.ticketsOf()[o.ID]))
		q.That(valid <= of[o.Hold] && of[o.Hold] <= all, "order %s has %d tickets, %d of them valid, and %d sold units", o.ID, all, valid, of[o.Hold])
	}
	return q.Verdict()
}

// met are the causes that a long soak must have met, or it has shown nothing about them.
var met = []string{
	"authorized", "captured", "declined", "voided", "hold_expired", "hold_released", "capture_refused", "reseated", "late_money",
	"refund_requested", "refunded", "refund_failed", "refund_retried", "part_refund_requested", "part_refunded", "dispute_opened", "dispute_won", "dispute_lost",
}

// longSoak is how many orders make a soak long.
const longSoak = 1000

// checkTrouble asks that there was something to withstand.
func (e *evidence) checkTrouble(r *run) loadtest.Verdict {
	q := loadtest.Inquire("trouble", "Everything that can go wrong did", "kinds of trouble")
	seen := make(map[string]int64)
	for _, c := range e.causes {
		seen[c.Cause] = c.Count
	}
	for _, cause := range met {
		if r.Orders >= longSoak {
			q.Checked(1)
			q.That(seen[cause] > 0, "no order met %s", cause)
		}
	}
	if r.Misbehave > 0 {
		for name, n := range e.books.misbehaved() {
			q.Checked(1)
			q.That(n > 0, "there were no %s", name)
		}
	}
	for name, n := range map[string]int64{"cores killed": e.report.CoreKills, "restarts of the database": e.report.DatabaseStops} {
		q.Checked(1)
		q.That(n > 0, "there were no %s", name)
	}
	q.That(e.report.DatabaseStops >= int64(r.Restarts), "%d restarts of the database instead of %d", e.report.DatabaseStops, r.Restarts)
	if r.Trouble > 0 {
		for name, n := range e.report.Troubles {
			q.Checked(1)
			q.That(n > 0, "no COMMIT was troubled: %s", name)
		}
	}
	return q.Verdict()
}
