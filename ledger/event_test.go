package ledger_test

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"

	"fairgate/ledger"
)

// section reads the rows of the table under a heading of the package comment, split at two spaces or more; cells that are empty at
// the beginning stay empty.
func section(t *testing.T, heading string) [][]string {
	t.Helper()
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "// # "+heading+"\n")
	if !found {
		t.Fatalf("doc.go has no section %q", heading)
	}
	rest, _, _ = strings.Cut(rest, "\n// # ")
	var rows [][]string
	gap := regexp.MustCompile(` {2,}`)
	for line := range strings.Lines(rest) {
		cells, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "//\t")
		if ok {
			rows = append(rows, gap.Split(cells, -1))
		}
	}
	if len(rows) < 2 {
		t.Fatalf("section %q has no table", heading)
	}
	return rows[1:] // without its head
}

// amounts are what the table's words stand for in the test.
var amounts = map[string]int64{
	"face": 5901, "fee": 433, "tax": 634, "total": 6969, "cost": 1500, "due": 5468, "reserve": 1100, "changed": 4711, "royalty": 590, "commission": 295,
}

// evaluate reads sums like "total - face - fee".
func evaluate(t *testing.T, expression string) int64 {
	t.Helper()
	var sum int64
	sign := int64(1)
	for word := range strings.FieldsSeq(expression) {
		switch word {
		case "+":
			sign = 1
		case "-":
			sign = -1
		default:
			minor, ok := amounts[word]
			if !ok {
				t.Fatalf("what is %q in %q?", word, expression)
			}
			sum += sign * minor
		}
	}
	return sum
}

var (
	theOrder, theRefund, theDispute    = uuid.UUID{1, 1}, uuid.UUID{2, 2}, uuid.UUID{3, 3}
	theRun, thePayout, theSettlement   = uuid.UUID{4, 4}, uuid.UUID{5, 5}, uuid.UUID{6, 6}
	theConversion, theResale, theTax   = uuid.UUID{7, 7}, uuid.UUID{8, 8}, uuid.UUID{9, 9}
	theSellerPayout, theRoundingsClose = uuid.UUID{10, 10}, uuid.UUID{11, 11}
	theReceipt, thePayment             = uuid.UUID{12, 12}, uuid.UUID{13, 13}
)

// happenings calls the constructor of every event in the table.
func happenings(t *testing.T) map[string][]ledger.Transfer {
	t.Helper()
	must := func(transfers []ledger.Transfer, err error) []ledger.Transfer {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return transfers
	}
	eur := func(word string) ledger.Amount { return euros(amounts[word]) }
	terms := ledger.Terms{Order: theOrder, Organizer: "lumen-live", Provider: "stripe", Currency: "EUR"}
	resold := terms
	resold.Order = theResale
	parts := ledger.Parts{Face: amounts["face"], Fee: amounts["fee"], Tax: amounts["tax"]}
	sum := parts.Face + parts.Fee + parts.Tax
	twice := ledger.OrderMoney{Currency: "EUR", Captured: ledger.Parts{Face: 2 * parts.Face, Fee: 2 * parts.Fee, Tax: 2 * parts.Tax}, CapturedMinor: 2 * sum}
	h := map[string][]ledger.Transfer{
		"sale":             must(ledger.SaleTransfers(theOrder, "lumen-live", "stripe", eur("face"), eur("fee"), eur("tax"))),
		"refund":           must(ledger.RefundTransfers(terms, theRefund, twice, parts, amounts["total"])),
		"refund, fee kept": must(ledger.RefundTransfers(terms, theRefund, twice, ledger.Parts{Face: parts.Face, Tax: parts.Tax}, parts.Face+parts.Tax)),
		"refund otherwise": must(ledger.RefundOtherwiseTransfers(terms, theRefund, amounts["total"])),
		"dispute opened":   must(ledger.DisputeOpenedTransfers(terms, theDispute, amounts["total"], amounts["cost"])),
		"dispute won":      must(ledger.DisputeWonTransfers(terms, theDispute, amounts["total"], amounts["cost"])),
		"dispute lost":     must(ledger.DisputeLostTransfers(terms, theDispute, ledger.Loss{Parts: parts}, amounts["total"])),
		"dispute lost twice": must(ledger.DisputeLostTransfers(terms, theDispute,
			ledger.Loss{Parts: ledger.Parts{Face: parts.Face}, ExcessMinor: amounts["total"] - parts.Face}, amounts["total"])),
		"late dispute lost": must(ledger.DisputeLostTransfers(terms, theDispute,
			ledger.Loss{LateMinor: sum, ExcessMinor: amounts["total"] - sum}, amounts["total"])),
		"dispute charged":     must(ledger.DisputeChargedTransfers(terms, theRefund, ledger.Loss{Parts: parts}, amounts["total"])),
		"late money":          must(ledger.LateMoneyTransfers(terms, sum)),
		"late sale":           must(ledger.LateSaleTransfers(terms, parts)),
		"late refund":         must(ledger.LateRefundTransfers(terms, theRefund, sum)),
		"receipt held":        must(ledger.ReceiptHeldTransfers(theReceipt, "stripe", eur("due"))),
		"receipt used":        must(ledger.ReceiptUsedTransfers(theReceipt, thePayment, "stripe", eur("due"))),
		"receipt returned":    must(ledger.ReceiptReturnedTransfers(theReceipt, "stripe", eur("due"))),
		"payout released":     must(ledger.PayoutReleasedTransfers(theRun, "lumen-live", eur("due"), eur("reserve"))),
		"reserve released":    must(ledger.ReserveReleasedTransfers(theRun, "lumen-live", eur("reserve"))),
		"reserve used":        must(ledger.ReserveUsedTransfers(theRun, "lumen-live", eur("reserve"))),
		"available used":      must(ledger.AvailableUsedTransfers(theRun, "lumen-live", eur("due"))),
		"payout sent":         must(ledger.PayoutSentTransfers(thePayout, "lumen-live", eur("due"))),
		"payout arrived":      must(ledger.PayoutArrivedTransfers(thePayout, eur("due"))),
		"provider settles":    must(ledger.SettlementSentTransfers(theSettlement, "stripe", eur("due"), eur("cost"))),
		"provider gives back": must(ledger.ProviderCreditTransfers(theSettlement, "stripe", eur("cost"))),
		"settlement arrived":  must(ledger.SettlementArrivedTransfers(theSettlement, "stripe", eur("due"))),
		"provider converts":   must(ledger.ConversionTransfers(theConversion, "stripe", eur("due"), ledger.Amount{Minor: amounts["changed"], Currency: "USD"})),
		"resale":              must(ledger.ResaleTransfers(resold, parts)),
		"ticket handed over":  must(ledger.ResaleSplitTransfers(resold, "alma", eur("face"), amounts["royalty"], amounts["commission"])),
		"resale undone":       must(ledger.ResaleUndoneTransfers(resold, "alma", parts.Face-amounts["royalty"]-amounts["commission"], amounts["commission"])),
		"resale lost in part": must(ledger.ResaleLostTransfers(resold, theDispute, "alma", amounts["due"], amounts["commission"])),
		"resale returned":     must(ledger.ResaleReturnedTransfers(resold, parts)),
		"seller sent":         must(ledger.SellerPaidTransfers(theSellerPayout, "alma", euros(parts.Face-amounts["royalty"]-amounts["commission"]))),
		"tax paid":            must(ledger.TaxPaidTransfers(theTax, eur("due"))),
		"rounding cleared":    must(ledger.RoundingClearedTransfers(theRoundingsClose, eur("due"))),
	}
	for name, base := range map[string]string{"captured": "sale", "refund paid": "refund", "late refund paid": "late refund", "resale captured": "resale", "resale return paid": "resale returned"} {
		h[name] = ledger.PostAll(h[base])
	}
	for name, base := range map[string]string{"capture failed": "sale", "refund failed": "refund", "late refund failed": "late refund", "resale capture failed": "resale", "resale return failed": "resale returned"} {
		h[name] = ledger.VoidAll(h[base])
	}
	h["seller came back"] = ledger.ReverseAll(h["seller sent"])
	h["settlement came back"] = ledger.ReverseAll(h["provider settles"])
	h["payout came back"] = ledger.ReverseAll(h["payout sent"])
	return h
}

// pattern is an account as the table writes it.
func pattern(a ledger.Account) string {
	for name, word := range map[string]string{"/stripe": "/<provider>", "/lumen-live": "/<organizer>", "/alma": "/<seller>"} {
		if base, ok := strings.CutSuffix(a.Code, name); ok {
			return base + word
		}
	}
	return a.Code
}

func TestTheTableOfEventsIsWhatTheConstructorsMake(t *testing.T) {
	happened := happenings(t)
	wanted := map[string][][]string{}
	event := ""
	for _, row := range section(t, "What happens") {
		if row[0] != "" {
			event = row[0]
		}
		wanted[event] = append(wanted[event], row[1:])
	}
	known := map[string]bool{}
	for _, row := range section(t, "Chart of accounts") {
		known[row[0]] = true
	}
	used := map[string]bool{}
	for event, rows := range wanted {
		got := happened[event]
		if base, ok := strings.CutPrefix(rows[0][0], "each of "); ok {
			var answered []uuid.UUID
			for _, x := range got {
				answered = append(answered, x.PriorID)
				if string(x.Kind) != rows[0][1] {
					t.Errorf("%s: %s is a %s", event, x.Code, x.Kind)
				}
			}
			for _, x := range happened[base] {
				if !slices.Contains(answered, x.ID) {
					t.Errorf("%s: %s of %s stays as it is", event, x.Code, base)
				}
			}
			if len(got) != len(happened[base]) || len(got) == 0 {
				t.Errorf("%s: %d transfers, %s has %d", event, len(got), base, len(happened[base]))
			}
			continue
		}
		if len(got) != len(rows) {
			t.Errorf("%s: the table has %d transfers, the constructor makes %d", event, len(rows), len(got))
			continue
		}
		for i, x := range got {
			line := []string{x.Code, string(x.Kind), pattern(x.Debit), pattern(x.Credit), strconv.FormatInt(x.Amount.Minor, 10)}
			want := append(slices.Clone(rows[i][:4]), strconv.FormatInt(evaluate(t, rows[i][4]), 10))
			if !slices.Equal(line, want) {
				t.Errorf("%s: the table says %v, the constructor %v", event, want, line)
			}
			for _, account := range []string{pattern(x.Debit), pattern(x.Credit)} {
				used[account] = true
				if !known[account] {
					t.Errorf("%s: the chart has no %s", event, account)
				}
			}
		}
	}
	for event := range happened {
		if wanted[event] == nil {
			t.Errorf("the table has no %q", event)
		}
	}
	for account := range known {
		if !used[account] {
			t.Errorf("no event touches %s", account)
		}
	}
	if len(wanted) < 30 {
		t.Errorf("only %d events were compared", len(wanted))
	}
}

// chains are the ways through each clearing account, from what opens it to what closes it.
var chains = map[string][][]string{
	"buyer_clearing":               {{"sale", "captured"}, {"sale", "capture failed"}, {"resale", "resale captured"}, {"resale", "resale capture failed"}},
	"provider_clearing/<provider>": {{"sale", "captured", "provider settles"}, {"late money", "provider settles"}},
	"provider_transit/<provider>":  {{"provider settles", "settlement arrived"}},
	"refunds":                      {{"refund", "refund paid"}, {"refund", "refund failed"}, {"resale", "resale captured", "resale returned", "resale return paid"}},
	"disputes/<provider>":          {{"dispute opened", "dispute won"}, {"dispute opened", "dispute lost"}},
	"late_money": {{"late money", "late sale"}, {"late money", "late refund", "late refund paid"}, {"late money", "late dispute lost"},
		{"receipt held", "receipt used"}, {"receipt held", "receipt returned"}},
	"payout_clearing": {{"payout released", "payout sent", "payout arrived"}, {"payout released", "payout sent", "payout came back"},
		{"resale", "resale captured", "ticket handed over", "seller sent", "seller came back"}},
	"resale_escrow": {{"resale", "resale captured", "ticket handed over"}, {"resale", "resale captured", "resale returned", "resale return paid"}},
}

func TestEveryClearingAccountIsOpenedAndClosedAsTheTableSays(t *testing.T) {
	happened := happenings(t)
	rules := ledger.DefaultDeadlines()
	seen := 0
	for _, row := range section(t, "Clearing") {
		account, opened, closed := row[0], strings.Split(row[1], ", "), strings.Split(row[2], ", ")
		name, _, _ := strings.Cut(account, "/")
		rule, ok := rules[name]
		if !ok || rule.Within.Hours() != hours(t, row[3]) || rule.Pooled != (row[4] == "pooled") {
			t.Errorf("%s: the table says %v, the default is %+v", account, row[3:], rule)
		}
		for _, chain := range chains[account] {
			m := &model{recorded: map[uuid.UUID]ledger.Transfer{}, balances: map[ledger.Account]*[4]int64{}}
			for i, event := range chain {
				if err := m.record(happened[event]); err != nil {
					t.Fatalf("%s: %s: %v", account, event, err)
				}
				open := false
				for a, b := range m.balances {
					open = open || pattern(a) == account && (b[0] != 0 || b[1] != 0 || b[2] != b[3])
				}
				before, last := i == len(chain)-2, i == len(chain)-1
				if before && !open || last && open && len(chain) > 1 {
					t.Errorf("%s: after %v it is open: %t", account, chain[:i+1], open)
				}
			}
			opened = slices.DeleteFunc(opened, func(e string) bool { return slices.Contains(chain, e) })
			closed = slices.DeleteFunc(closed, func(e string) bool { return slices.Contains(chain, e) })
			seen++
		}
		if len(opened)+len(closed) > 0 {
			t.Errorf("%s: no chain goes through %v %v", account, opened, closed)
		}
		delete(rules, name)
	}
	if len(rules) > 0 || seen < 15 {
		t.Errorf("%d chains; the table lacks %v", seen, rules)
	}
}

func hours(t *testing.T, text string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(strings.TrimSuffix(text, "h"), 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// The sums of what an event moves are zero in each currency: whatever is taken from one account is given to another.
func TestEveryEventsTransfersSumToZeroPerCurrency(t *testing.T) {
	for event, transfers := range happenings(t) {
		net := map[string]int64{}
		for _, x := range transfers {
			if x.Debit.Currency != x.Amount.Currency || x.Credit.Currency != x.Amount.Currency {
				t.Errorf("%s: %s crosses currencies", event, x.Code)
			}
			net[x.Debit.Currency] -= x.Amount.Minor
			net[x.Credit.Currency] += x.Amount.Minor
		}
		for currency, minor := range net {
			if minor != 0 {
				t.Errorf("%s: %d %s", event, minor, currency)
			}
		}
		if len(net) == 0 {
			t.Errorf("%s moves nothing", event)
		}
	}
}
