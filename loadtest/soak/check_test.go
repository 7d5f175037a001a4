package soak

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"fairgate/loadtest"
)

// ids names rows by a letter.
func ids(letter byte) uuid.UUID {
	var id uuid.UUID
	for i := range id {
		id[i] = letter
	}
	return id
}

const lines = `[{"tier":"floor","face":3000,"fee":150,"tax":0},{"tier":"floor","face":3000,"fee":150,"tax":0}]`

// clean is evidence of two orders, one paid with a card and one expired, that nothing is wrong with.
func clean() *evidence {
	paid, gone := ids('a'), ids('b')
	hold, dead := ids('h'), ids('i')
	e := &evidence{
		report: &Report{CoreKills: 3, DatabaseStops: 2, Troubles: map[string]int64{"40001 at commit": 1}},
		orders: []orderRow{
			{ID: paid, Hold: hold, State: "ticket_issued", Minor: 6300, Currency: "EUR", Lines: lines},
			{ID: gone, Hold: dead, State: "expired", Minor: 6300, Currency: "EUR", Lines: lines},
		},
		payments: []paymentRow{
			{Order: paid, Attempt: 1, ID: ids('p'), Provider: "stripe", ProviderRef: "pi_1", State: "captured", Minor: 6300},
			{Order: gone, Attempt: 1, ID: ids('q'), Provider: "stripe", ProviderRef: "pi_2", State: "voided", Minor: 6300},
		},
		tickets: []ticketRow{{ID: ids('t'), Order: paid, Item: 0, State: "valid"}, {ID: ids('u'), Order: paid, Item: 1, State: "valid"}},
		holds:   []holdRow{{ID: hold, State: "sold", Units: 2}, {ID: dead, State: "expired", Units: 2}},
		stock:   []stockRow{{Tier: "floor", Allocation: "general", Capacity: 10, Taken: 2}},
		seats:   []seatRow{{Seat: "101/A/1", State: "sold", Hold: &hold}, {Seat: "101/A/2", State: "free"}},
		references: []referenceRow{
			{Account: "provider_clearing/stripe", Currency: "EUR", Reference: paid, Final: 6300},
			{Account: "buyer_clearing", Currency: "EUR", Reference: paid},
		},
	}
	e.books.account = account{
		Intents: []intent{
			{ID: "pi_1", Order: paid.String(), Payment: ids('p').String(), Status: "succeeded", Amount: 6300, Captured: 6300, Currency: "EUR", Charges: 1},
			{ID: "pi_2", Order: gone.String(), Payment: ids('q').String(), Status: "canceled", Amount: 6300, Currency: "EUR"},
		},
		Balances: map[string]int64{"EUR": 6300}, Consistent: true,
	}
	e.ledger.OK, e.ledger.Transfers = true, 8
	e.trail.OK, e.trail.Steps = true, 9
	back := ids('f')
	e.refunds = []refundRow{{ID: back, Order: gone, Provider: "stripe", State: "succeeded", Minor: 100}}
	e.books.Refunds = []refund{{ID: "re_1", Refund: back.String(), Order: gone.String(), Amount: 100, Status: "succeeded"}}
	e.disputes = []disputeRow{{Ref: "dp_1", Provider: "stripe", Order: gone, Minor: 200, State: "lost", Taken: true}}
	e.books.Disputes = []dispute{{ID: "dp_1", Order: gone.String(), Amount: 200, Status: "lost", Withdrawn: true}}
	e.settled = []settled{{provider: "stripe", day: "1970-01-02", items: []settlementItem{{Class: "theirs_only", Row: "txn_made_up"}}}}
	e.settled[0].Counts.Rows = 3
	e.books.Statement.Extra = []mistake{{Row: "txn_made_up", Type: "charge", Order: paid.String(), Amount: 6300, Shown: 6300, Created: 90000}}
	return e
}

// twin accuses the true row beside the made-up one.
func twin(e *evidence, minor int64) settlementItem {
	extra := e.books.Statement.Extra[0]
	i := settlementItem{Class: "duplicated", Row: "txn_true",
		Why: fmt.Sprintf("A second row for what row %s settles already: sale_payment of order %s.", extra.Row, extra.Order)}
	i.Amount.Minor = minor
	return i
}

// Of two rows that are alike either may be called the other's duplicate, and a made-up one whose true row is missing is not found.
func TestNobodyHasToTellARowFromItsTwin(t *testing.T) {
	for name, plant := range map[string]func(e *evidence){
		"the true one accused": func(e *evidence) { e.settled[0].items[0] = twin(e, 6300) },
		"the true one missing": func(e *evidence) {
			e.settled[0].items = nil
			gone := e.books.Statement.Extra[0]
			gone.Row = "txn_true"
			e.books.Statement.Missing = []mistake{gone}
		},
		"the true one altered": func(e *evidence) {
			gone := e.books.Statement.Extra[0]
			gone.Row, gone.Shown = "txn_true", 6500
			e.books.Statement.Altered = []mistake{gone}
			e.settled[0].items[0] = settlementItem{Class: "amount_differs", Row: "txn_true"}
		},
		"of another day": func(e *evidence) { e.settled[0].items, e.books.Statement.Extra[0].Created = nil, 0 },
	} {
		e := clean()
		plant(e)
		if v := e.checkSettlement(); !v.Passed {
			t.Errorf("%s: %q", name, v.Failures)
		}
	}
}

func judged(e *evidence) []loadtest.Verdict {
	return e.judge(&run{Options: Options{Misbehave: -1, Restarts: 2, Trouble: 1}})
}

func TestCleanEvidencePassesEveryCheck(t *testing.T) {
	for _, v := range judged(clean()) {
		if !v.Passed {
			t.Errorf("%s: %q", v, v.Failures)
		}
	}
}

// Nothing to look at is a failure of every check that looks at something.
func TestAnEmptySoakIsNotClean(t *testing.T) {
	e := &evidence{report: &Report{}}
	e.ledger.OK = true
	for _, v := range judged(e) {
		if v.Passed {
			t.Errorf("%s passed and had nothing to look at", v.Name)
		}
	}
}

// Each thing that a soak is there to find is found, by the check that is there for it.
func TestWhatIsWrongIsFound(t *testing.T) {
	for name, c := range map[string]struct {
		plant func(e *evidence)
		by    string
	}{
		"an order is charged twice": {func(e *evidence) {
			second := e.books.Intents[0]
			second.ID = "pi_3"
			e.books.Intents = append(e.books.Intents, second)
		}, "charges"},
		"another amount is captured":      {func(e *evidence) { e.books.Intents[0].Captured = 6200 }, "charges"},
		"money of nobody":                 {func(e *evidence) { e.books.Intents[0].Order = ids('z').String() }, "charges"},
		"another currency":                {func(e *evidence) { e.books.Intents[0].Currency = "USD" }, "charges"},
		"an expired order was charged":    {func(e *evidence) { e.books.Intents[1].Status, e.books.Intents[1].Captured = "succeeded", 6300 }, "charges"},
		"money is reserved for ever":      {func(e *evidence) { e.books.Intents[1].Status = "requires_capture" }, "charges"},
		"a dead order can still be paid":  {func(e *evidence) { e.books.Intents[1].Status = "requires_payment_method" }, "charges"},
		"a charge without its tickets":    {func(e *evidence) { e.tickets = nil }, "charges"},
		"a charge with one ticket less":   {func(e *evidence) { e.tickets = e.tickets[:1] }, "tickets"},
		"a ticket that nobody paid":       {func(e *evidence) { e.tickets[0].Order = ids('b') }, "tickets"},
		"a ticket of no order":            {func(e *evidence) { e.tickets[0].Order = ids('z') }, "tickets"},
		"a payment that is not over":      {func(e *evidence) { e.payments[1].State = "begun" }, "orders"},
		"an order that is not over":       {func(e *evidence) { e.orders[1].State = "payment_pending" }, "orders"},
		"tickets without a captured one":  {func(e *evidence) { e.payments[0].State = "voided" }, "orders"},
		"a hold that is still active":     {func(e *evidence) { e.left.Holds = 1 }, "rest"},
		"a task that was given up":        {func(e *evidence) { e.tasks = []taskRow{{Kind: "capture", State: "dead"}} }, "rest"},
		"the provider has more of ours":   {func(e *evidence) { e.books.Balances["EUR"]++ }, "provider_balance"},
		"its books contradict themselves": {func(e *evidence) { e.books.Consistent = false }, "provider_balance"},
		"pending for ever":                {func(e *evidence) { e.references[0].Pending = 1 }, "provider_balance"},
		"an order booked twice": {func(e *evidence) {
			e.references[0].Final, e.books.Balances["EUR"] = 12600, 12600
		}, "provider_balance"},
		"money left in clearing": {func(e *evidence) { e.references[1].Final = 5 }, "clearing"},
		"a ledger that does not add up": {func(e *evidence) {
			e.ledger.OK = false
		}, "ledger"},
		"stock that nobody has":          {func(e *evidence) { e.stock[0].Taken = 3 }, "stock"},
		"a seat of a hold that died":     {func(e *evidence) { e.seats[0].Hold = &e.holds[1].ID }, "stock"},
		"more units than tickets":        {func(e *evidence) { e.holds[0].Units, e.stock[0].Taken = 3, 3 }, "stock"},
		"a refund paid twice":            {func(e *evidence) { e.books.Refunds = append(e.books.Refunds, e.books.Refunds[0]) }, "refunds"},
		"a refund promised and not paid": {func(e *evidence) { e.books.Refunds[0].Status = "failed" }, "refunds"},
		"a refund of nobody":             {func(e *evidence) { e.refunds = nil }, "refunds"},
		"a failed refund left alone":     {func(e *evidence) { e.refunds[0].State = "failed" }, "refunds"},
		"a dispute that nobody knows":    {func(e *evidence) { e.disputes = nil }, "disputes"},
		"a dispute left open":            {func(e *evidence) { e.disputes[0].State = "open" }, "disputes"},
		"a dispute won and money gone":   {func(e *evidence) { e.disputes[0].State = "won" }, "disputes"},
		"a true row accused":             {func(e *evidence) { e.settled[0].items[0].Row = "txn_true" }, "settlement"},
		"a made-up row overlooked":       {func(e *evidence) { e.settled[0].items = nil }, "settlement"},
		"a made-up row accused twice":    {func(e *evidence) { e.settled[0].items = append(e.settled[0].items, twin(e, 6300)) }, "settlement"},
		"a row unlike the made-up one":   {func(e *evidence) { e.settled[0].items[0] = twin(e, 6200) }, "settlement"},
		"a failed refund's row accused": {func(e *evidence) {
			e.books.Refunds[0].Status = "failed"
			e.settled[0].items = append(e.settled[0].items, settlementItem{Class: "theirs_only", Row: e.books.Refunds[0].ID})
		}, "settlement"},
		"tickets issued twice": {func(e *evidence) {
			again := e.tickets[0]
			again.ID, again.Item = uuid.New(), 7
			e.tickets = append(e.tickets, again)
		}, "tickets"},
		"an unexplained row too old": {func(e *evidence) { e.settled[0].Overdue = 1 }, "settlement"},
		"a step that was altered":    {func(e *evidence) { e.trail.OK = false }, "trail"},
		"no core was killed":         {func(e *evidence) { e.report.CoreKills = 0 }, "trouble"},
		"no restart":                 {func(e *evidence) { e.report.DatabaseStops = 1 }, "trouble"},
		"no troubled commit":         {func(e *evidence) { e.report.Troubles["40001 at commit"] = 0 }, "trouble"},
	} {
		t.Run(name, func(t *testing.T) {
			e := clean()
			c.plant(e)
			var by []string
			for _, v := range judged(e) {
				if !v.Passed {
					by = append(by, v.Name)
				}
			}
			if !slices.Contains(by, c.by) {
				t.Errorf("found by %v, not by %s", by, c.by)
			}
		})
	}
}

// The soak reads what the provider writes: a field that it calls otherwise would be zero, and checked against nothing.
func TestTheBooksAreReadAsTheProviderWritesThem(t *testing.T) {
	var b books
	text := `{"intents":[{"id":"pi_1","order":"o","payment":"p","status":"succeeded","amount":1,"captured":2,"refunded":3,"currency":"EUR","charges":4}],
		"balances":{"EUR":5},"consistent":true,"paypal":{"intents":[{"id":"PP1","captured":6}],"balances":{"EUR":7},"consistent":true}}`
	if err := json.NewDecoder(strings.NewReader(text)).Decode(&b); err != nil {
		t.Fatal(err)
	}
	all := b.intents()
	if len(all) != 2 || all[0].Captured != 2 || all[0].Charges != 4 || all[1].Captured != 6 || b.Balances["EUR"] != 5 || b.PayPal.Balances["EUR"] != 7 {
		t.Errorf("read %+v", b)
	}
}
