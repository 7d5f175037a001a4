package api

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"fairgate/ledger"
)

// mostLate is how many late items of one account are told at once.
const mostLate = 100

type checkJSON struct {
	Name    string `json:"name"`
	Checked int64  `json:"checked"`
	Failed  int64  `json:"failed"`
	Detail  string `json:"detail"`
}

func (s *Server) verifyLedger(w http.ResponseWriter, r *http.Request) error {
	report, err := ledger.Verify(r.Context(), s.DB.Reader)
	if err != nil {
		return err
	}
	checks := make([]checkJSON, len(report.Checks))
	for i, c := range report.Checks {
		checks[i] = checkJSON{Name: c.Name, Checked: c.Checked, Failed: c.Failed, Detail: c.Detail}
	}
	writeJSON(w, http.StatusOK, map[string]any{"ok": report.OK, "transfers": report.Transfers, "accounts": report.Accounts, "checks": checks})
	return nil
}

type balanceJSON struct {
	Account        string `json:"account"`
	Currency       string `json:"currency"`
	DebitsPending  int64  `json:"debits_pending"`
	CreditsPending int64  `json:"credits_pending"`
	DebitsPosted   int64  `json:"debits_posted"`
	CreditsPosted  int64  `json:"credits_posted"`
}

func balanceOf(b ledger.Balance) balanceJSON {
	return balanceJSON{b.Code, b.Currency, b.DebitsPending, b.CreditsPending, b.DebitsPosted, b.CreditsPosted}
}

func balancesOf(all []ledger.Balance) []balanceJSON {
	list := make([]balanceJSON, len(all))
	for i, b := range all {
		list[i] = balanceOf(b)
	}
	return list
}

// momentOf reads a parameter with a time in RFC 3339.
func momentOf(r *http.Request, name string) (at time.Time, given bool, err error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return time.Time{}, false, nil
	}
	at, err = time.Parse(time.RFC3339, text)
	if err != nil || at.Year() < 1970 || at.Year() > 9999 {
		return time.Time{}, false, &detailed{errRequest, name + " must be a time such as 2027-06-12T19:00:00Z."}
	}
	return at, true, nil
}

// atOrNow is the parameter at, or the database's clock.
func (s *Server) atOrNow(r *http.Request) (time.Time, error) {
	at, given, err := momentOf(r, "at")
	if err != nil || given {
		return at, err
	}
	return s.DB.Now(r.Context())
}

func (s *Server) trial(r *http.Request) (ledger.Trial, error) {
	at, given, err := momentOf(r, "at")
	switch {
	case err != nil:
		return ledger.Trial{}, err
	case given:
		return ledger.TrialBalanceAt(r.Context(), s.DB.Reader, at)
	}
	return ledger.TrialBalance(r.Context(), s.DB.Reader)
}

// balances answers GET /admin/v1/ledger/balances?at=: every account, or the one named by account and currency.
//
//	{"balances":[{"account","currency","debits_pending","credits_pending","debits_posted","credits_posted"}]}
func (s *Server) balances(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	var found []ledger.Balance
	if account := q.Get("account"); account != "" {
		at, err := s.atOrNow(r)
		if err != nil {
			return err
		}
		one, err := ledger.BalanceAt(r.Context(), s.DB.Reader, account, q.Get("currency"), at)
		if err != nil {
			return err
		}
		found = append(found, one)
	} else {
		t, err := s.trial(r)
		if err != nil {
			return err
		}
		found = t.Accounts
	}
	writeJSON(w, http.StatusOK, map[string]any{"balances": balancesOf(found)})
	return nil
}

// trialBalance answers GET /admin/v1/ledger/trial-balance?at=&recompute=true: what all accounts of a currency add up to. With at or
// recompute it adds up the transfers and says how many.
//
//	{"zero":true,"transfers":0,"currencies":[{"currency","debits_pending",…}],"balances":[…]}
func (s *Server) trialBalance(w http.ResponseWriter, r *http.Request) error {
	t, err := s.trial(r)
	if err == nil && r.URL.Query().Get("recompute") == "true" && r.URL.Query().Get("at") == "" {
		t, err = ledger.Recompute(r.Context(), s.DB.Reader)
	}
	if err != nil {
		return err
	}
	if t.Currencies == nil {
		t.Currencies = []ledger.Total{}
	}
	writeJSON(w, http.StatusOK, map[string]any{"zero": t.Zero(), "transfers": t.Transfers, "currencies": t.Currencies, "balances": balancesOf(t.Accounts)})
	return nil
}

type statementLineJSON struct {
	ID        uuid.UUID `json:"id"`
	At        timeJSON  `json:"at"`
	Kind      string    `json:"kind"`
	Code      string    `json:"code"`
	Other     string    `json:"other"`
	Reference uuid.UUID `json:"reference"`
	Debit     int64     `json:"debit"`
	Credit    int64     `json:"credit"`
	Balance   int64     `json:"balance"` // credits minus debits after the line, final ones only
}

// statement answers GET /admin/v1/ledger/statement?account=&currency=&from=&at=&after=&limit=: one page of an account's transfers in
// the order of time, recorded after from and until at. next continues it.
//
//	{"opening":{…},"lines":[{"id","at","kind","code","other","reference","debit","credit","balance"}],"closing":{…},"next":""}
func (s *Server) statement(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	limit, err := limitOf(q.Get("limit"))
	if err != nil {
		return err
	}
	until, err := s.atOrNow(r)
	if err != nil {
		return err
	}
	from, _, err := momentOf(r, "from")
	if err != nil {
		return err
	}
	place := ledger.Place{At: from}
	if after := q.Get("after"); after != "" {
		if place, err = parsePlace(after); err != nil {
			return err
		}
	}
	page, err := ledger.ReadStatement(r.Context(), s.DB.Reader, q.Get("account"), q.Get("currency"), place, until, limit)
	if err != nil {
		return err
	}
	lines, next := make([]statementLineJSON, len(page.Lines)), ""
	for i, l := range page.Lines {
		lines[i] = statementLineJSON{ID: l.ID, At: timeJSON(l.At), Kind: string(l.Kind), Code: l.Code, Other: l.Other, Reference: l.Reference, Balance: l.Balance.Minor}
		if l.Debit {
			lines[i].Debit = l.Amount.Minor
		} else {
			lines[i].Credit = l.Amount.Minor
		}
	}
	if page.More {
		next = placeText(page.Next)
	}
	writeJSON(w, http.StatusOK, map[string]any{"opening": balanceOf(page.Opening), "lines": lines, "closing": balanceOf(page.Closing), "next": next})
	return nil
}

func placeText(p ledger.Place) string {
	return strconv.FormatInt(p.At.UnixMicro(), 16) + "." + strconv.FormatInt(p.Sequence, 16) + "." + p.ID.String()
}

func parsePlace(text string) (ledger.Place, error) {
	parts := strings.Split(text, ".")
	if len(parts) == 3 {
		micros, err := strconv.ParseInt(parts[0], 16, 64)
		sequence, sequenceErr := strconv.ParseInt(parts[1], 16, 64)
		id, idErr := uuid.Parse(parts[2])
		if at := time.UnixMicro(micros); err == nil && sequenceErr == nil && idErr == nil && at.Year() > 0 && at.Year() <= 9999 {
			return ledger.Place{At: at, Sequence: sequence, ID: id}, nil
		}
	}
	return ledger.Place{}, &detailed{errRequest, "after must be the next of an earlier page."}
}

type settlementJSON struct {
	Organizer string   `json:"organizer"`
	Currency  string   `json:"currency"`
	At        timeJSON `json:"at"`
	Sold      int64    `json:"sold"`
	Royalties int64    `json:"royalties"`
	Refunded  int64    `json:"refunded"`
	Disputed  int64    `json:"disputed"`
	Fees      int64    `json:"fees"`
	Taxes     int64    `json:"taxes"`
	Payable   int64    `json:"payable"`
	Reserve   int64    `json:"reserve"`
	Available int64    `json:"available"`
	Sent      int64    `json:"sent"`
	InTransit int64    `json:"in_transit"`
	PaidOut   int64    `json:"paid_out"`
	Due       int64    `json:"due"`
}

// settlement answers GET /admin/v1/ledger/settlement?organizer=&currency=&at=: how things stood with an organizer, in minor units. The
// fields are those of ledger.Settlement: sold + royalties - refunded - disputed - sent = due = payable + reserve + available.
func (s *Server) settlement(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	at, err := s.atOrNow(r)
	if err != nil {
		return err
	}
	f, err := ledger.ReadSettlement(r.Context(), s.DB.Reader, q.Get("organizer"), q.Get("currency"), at)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, settlementJSON{f.Organizer, f.Currency, timeJSON(f.At), f.Sold, f.Royalties, f.Refunded, f.Disputed, f.Fees, f.Taxes,
		f.Payable, f.Reserve, f.Available, f.Sent, f.InTransit, f.PaidOut, f.Due})
	return nil
}

type lateJSON struct {
	Account       string    `json:"account"`
	Currency      string    `json:"currency"`
	Reference     uuid.UUID `json:"reference"`
	Net           int64     `json:"net"`     // credits minus debits
	Pending       int64     `json:"pending"` // reserved and not ended, on both sides together
	Since         timeJSON  `json:"since"`
	AgeSeconds    int64     `json:"age_seconds"`
	WithinSeconds int64     `json:"within_seconds"`
	Why           string    `json:"why"`
}

// clearing answers GET /admin/v1/ledger/clearing?at=&limit=: what is in clearing accounts for longer than their deadlines, and the sellers
// (seller_payable) who should have been paid, since when that was due, the oldest
// first; at most limit items of each account. more says that there are others.
//
//	{"late":[{"account","currency","reference","net","pending","since","age_seconds","within_seconds","why"}],"more":false}
func (s *Server) clearing(w http.ResponseWriter, r *http.Request) error {
	limit := mostLate
	if text := r.URL.Query().Get("limit"); text != "" {
		var err error
		if limit, err = limitOf(text); err != nil {
			return err
		}
	}
	at, err := s.atOrNow(r)
	if err != nil {
		return err
	}
	deadlines := s.ClearingDeadlines
	if deadlines == nil {
		deadlines = ledger.DefaultDeadlines()
	}
	accounts, err := ledger.ReadClearing(r.Context(), s.DB.Reader, deadlines, at, limit)
	if err != nil {
		return fmt.Errorf("read what is late: %w", err)
	}
	if s.Resale != nil && s.SellersWithin > 0 {
		sellers, err := s.Resale.LateShares(r.Context(), at, s.SellersWithin, limit)
		if err != nil {
			return fmt.Errorf("read which sellers are late to be paid: %w", err)
		}
		accounts = append(accounts, sellers...)
	}
	list, more := []lateJSON{}, false
	for _, l := range ledger.OldestFirst(accounts) {
		list = append(list, lateJSON{l.Account.Code, l.Account.Currency, l.Reference, l.Net.Minor, l.Pending.Minor, timeJSON(l.Since),
			int64(l.Age.Seconds()), int64(l.Within.Seconds()), l.Why()})
	}
	for _, a := range accounts {
		more = more || a.More
	}
	writeJSON(w, http.StatusOK, map[string]any{"late": list, "more": more})
	return nil
}
