package ctl_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const fakeSecret = "only-for-tests"

// fakeCore keeps what an admin API has to keep, so that commands can be tested one after the other. What it answers has
// the form of core's answers.
type fakeCore struct {
	*httptest.Server

	mu          sync.Mutex
	events      map[string]*fakeEvent
	bans        []map[string]any
	orders      []map[string]any
	transcript  []byte
	ledgerOK    bool
	auditBroken bool
	busy        bool // answers 503
	batches     int
	clock       time.Time
	submitted   bool   // the evidence of the dispute is in
	decided     string // what became of the order in review
	receipts    map[string]map[string]any
	forgotten   bool // the only account
}

type fakeEvent struct {
	text     string
	revision int
	sale     map[string]any
}

func newFakeCore(transcript []byte) *fakeCore {
	f := &fakeCore{transcript: transcript, events: map[string]*fakeEvent{}, ledgerOK: true, clock: time.Date(2027, 2, 1, 12, 0, 0, 0, time.UTC)}
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /admin/v1/events", f.apply)
	mux.HandleFunc("POST /admin/v1/events:batch", f.applyBatch)
	mux.HandleFunc("GET /admin/v1/catalog", f.search)
	mux.HandleFunc("GET /admin/v1/events", f.listEvents)
	mux.HandleFunc("GET /admin/v1/events/{id}", f.withEvent(f.showEvent))
	mux.HandleFunc("POST /admin/v1/events/{id}/onsale/{verb}", f.withEvent(f.changeSale))
	mux.HandleFunc("GET /admin/v1/events/{id}/onsale", f.withEvent(f.showSale))
	mux.HandleFunc("GET /admin/v1/events/{id}/changes", func(w http.ResponseWriter, r *http.Request) {
		changes := []any{}
		if r.PathValue("id") == "arena" {
			changes = append(changes, map[string]any{"revision": 3, "was_starts_at": "2027-06-12T21:00:00+02:00", "starts_at": "2027-06-13T21:00:00+02:00",
				"was_venue": "Arena del Puerto, Valencia", "venue": "Arena Nueva, Valencia", "changed_at": "2027-05-01T10:00:00.000Z", "refund_until": "2027-05-15T10:00:00.000Z"})
		}
		answer(w, 200, map[string]any{"changes": changes})
	})
	mux.HandleFunc("GET /admin/v1/events/{id}/lottery", f.withEvent(f.lottery))
	mux.HandleFunc("POST /admin/v1/events/{id}/lottery/beacon", f.withEvent(f.beacon))
	mux.HandleFunc("GET /admin/v1/orders", f.listOrders)
	mux.HandleFunc("GET /admin/v1/orders/verify", f.verifyOrders)
	mux.HandleFunc("GET /admin/v1/orders/{id}", f.showOrder)
	f.money(mux)
	f.payments(mux)
	f.refundRoutes(mux)
	f.ticketRoutes(mux)
	mux.HandleFunc("GET /admin/v1/ledger/verify", f.verifyLedger)
	mux.HandleFunc("GET /admin/v1/ledger/{report}", f.ledgerReport)
	f.settlement(mux)
	f.outbox(mux)
	f.mail(mux)
	f.payouts(mux)
	f.resale(mux)
	f.waitlist(mux)
	f.bookings(mux)
	f.guardRoutes(mux)
	f.edgeRoutes(mux)
	mux.HandleFunc("POST /admin/v1/accounts:find", f.findAccount)
	mux.HandleFunc("POST /admin/v1/accounts/{id}/forget", f.forgetAccount)
	mux.HandleFunc("GET /admin/v1/bans", f.listBans)
	mux.HandleFunc("POST /admin/v1/bans", f.addBan)
	mux.HandleFunc("DELETE /admin/v1/bans/{kind}/{subject}", f.liftBan)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { refuse(w, 404, "not_found", "There is nothing here.") })
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		switch {
		case r.Header.Get("Authorization") != "Bearer "+fakeSecret:
			refuse(w, 401, "unauthorized", "The bearer secret is missing or wrong.")
		case f.busy:
			refuse(w, 503, "overloaded", "Too many requests are waiting. Nothing was done; try again.", "retry_after", 7)
		default:
			mux.ServeHTTP(w, r)
		}
	}))
	return f
}

func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}

func refuse(w http.ResponseWriter, status int, code, detail string, more ...any) {
	problem := map[string]any{"type": "about:blank", "title": http.StatusText(status), "status": status, "code": code, "detail": detail}
	for i := 0; i+1 < len(more); i += 2 {
		problem[more[i].(string)] = more[i+1]
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(problem)
}

func (f *fakeCore) withEvent(h func(http.ResponseWriter, *http.Request, *fakeEvent)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		e, ok := f.events[r.PathValue("id")]
		if !ok {
			refuse(w, 404, "event_unknown", "There is no such event.")
			return
		}
		h(w, r, e)
	}
}

// apply takes the word WRONG in a file for a mistake, with its place.
func (f *fakeCore) apply(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	text := string(body)
	var problems []map[string]any
	for i, line := range strings.Split(text, "\n") {
		if column := strings.Index(line, "WRONG"); column >= 0 {
			key, _, _ := strings.Cut(strings.TrimSpace(line), ":")
			problems = append(problems, map[string]any{"line": i + 1, "column": column + 1, "path": key, "message": "must not be WRONG"})
		}
	}
	match := regexp.MustCompile(`(?m)^id: (\S+)$`).FindStringSubmatch(text)
	if match == nil {
		problems = append(problems, map[string]any{"line": 0, "column": 0, "path": "", "message": "id is missing"})
	}
	if problems != nil {
		refuse(w, 422, "event_invalid", "The event file has mistakes. Nothing was changed.", "problems", problems)
		return
	}
	id := match[1]
	e, known := f.events[id]
	switch {
	case !known:
		f.events[id] = &fakeEvent{text: text, revision: 1}
		answer(w, 200, map[string]any{"event": id, "revision": 1, "changed": true, "changes": []string{}})
	case e.text == text:
		answer(w, 200, map[string]any{"event": id, "revision": e.revision, "changed": false, "changes": []string{}})
	default:
		e.text = text
		e.revision++
		answer(w, 200, map[string]any{"event": id, "revision": e.revision, "changed": true, "changes": []string{"capacity of floor: 10 → 20"}})
	}
}

// applyBatch keeps texts; the second request is refused once, as by a core that is busy.
func (f *fakeCore) applyBatch(w http.ResponseWriter, r *http.Request) {
	var body struct{ Files []string }
	_ = json.NewDecoder(r.Body).Decode(&body)
	f.batches++
	if f.batches == 2 {
		refuse(w, 503, "overloaded", "Too many requests are waiting. Nothing was done; try again.", "retry_after", 1)
		return
	}
	done := []any{}
	for _, text := range body.Files {
		id := regexp.MustCompile(`(?m)^id: (\S+)$`).FindStringSubmatch(text)[1]
		e, known := f.events[id]
		changed := !known || e.text != text
		if !known {
			e = &fakeEvent{}
			f.events[id] = e
		}
		if changed {
			e.text = text
			e.revision++
		}
		done = append(done, map[string]any{"event": id, "revision": e.revision, "changed": changed, "changes": []string{}})
	}
	answer(w, 200, map[string]any{"applied": done})
}

// search finds ids that have the words, and tells what else it was asked.
func (f *fakeCore) search(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, _ := strconv.Atoi(q.Get("limit"))
	if limit < 1 || limit > 200 || q.Get("currency") == "" && q.Get("price_max") != "" {
		refuse(w, 400, "bad_request", "limit must be from 1 to 200, and prices need a currency.")
		return
	}
	list, next := []any{}, ""
	for _, id := range slices.Sorted(maps.Keys(f.events)) {
		if !strings.Contains(id, q.Get("q")) || id <= q.Get("after") {
			continue
		}
		if len(list) == limit {
			next = id
			break
		}
		view := f.summary(id)
		view["category"] = strings.Join([]string{q.Get("city"), q.Get("country"), q.Get("from"), q.Get("to")}, "/")
		view["price_range"] = map[string]any{"from": euros(1200), "to": euros(4500)}
		list = append(list, view)
	}
	answer(w, 200, map[string]any{"events": list, "next": next, "total": len(list)})
}

func (f *fakeCore) summary(id string) map[string]any {
	e := f.events[id]
	view := map[string]any{
		"id": id, "name": "Night at the " + id, "starts_at": "2027-03-02T20:30:00.000Z", "time_zone": "Europe/Madrid", "currency": "EUR",
		"venue": map[string]any{"name": "Hall", "city": "Madrid", "country": "ES"}, "on_sale": nil,
	}
	if e.sale != nil {
		view["on_sale"] = map[string]any{"phase": e.sale["phase"], "opens_at": e.sale["opens_at"]}
	}
	return view
}

func (f *fakeCore) listEvents(w http.ResponseWriter, r *http.Request) {
	ids := slices.Sorted(maps.Keys(f.events))
	ids = slices.DeleteFunc(ids, func(id string) bool { return id <= r.URL.Query().Get("after") })
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	next := ""
	if len(ids) > limit {
		ids = ids[:limit]
		next = ids[limit-1]
	}
	list := []any{}
	for _, id := range ids {
		list = append(list, f.summary(id))
	}
	answer(w, 200, map[string]any{"events": list, "next": next})
}

func (f *fakeCore) showEvent(w http.ResponseWriter, r *http.Request, e *fakeEvent) {
	view := f.summary(r.PathValue("id"))
	view["state"], view["revision"], view["per_buyer"], view["identity"] = "active", e.revision, 4, "device"
	view["tiers"] = []any{map[string]any{"id": "floor", "name": "Floor", "kind": "general", "price": euros(6550), "left": 1900}}
	view["stock"] = fakeStock()
	view["sections"] = []string{"A", "B"}
	answer(w, 200, view)
}

func euros(minor int) map[string]any { return map[string]any{"minor": minor, "currency": "EUR"} }

func fakeStock() []any {
	return []any{map[string]any{"tier": "floor", "allocation": "general", "capacity": 2000, "taken": 100}}
}

func (f *fakeCore) changeSale(w http.ResponseWriter, r *http.Request, e *fakeEvent) {
	var body struct {
		OpensAt time.Time `json:"opens_at"`
		EndsAt  time.Time `json:"ends_at"`
		Beacon  string    `json:"beacon"`
		Message string    `json:"message"`
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		refuse(w, 400, "bad_json", "The body is not the JSON this needs.")
		return
	}
	verb := r.PathValue("verb")
	switch {
	case verb == "schedule" && body.OpensAt.Before(f.clock):
		refuse(w, 422, "times_invalid", "The times do not fit: joining, then the sale instant in the future, then the end.")
		return
	case verb == "schedule" || verb == "open" && e.sale == nil:
		e.sale = map[string]any{
			"event": r.PathValue("id"), "generation": 1, "phase": "announced", "message": "", "joining_at": body.OpensAt.Add(-time.Hour),
			"opens_at": body.OpensAt, "ends_at": body.OpensAt.Add(24 * time.Hour), "commitment": strings.Repeat("ab", 32), "chain_length": 4096,
			"joined": 0, "drawn": 0, "called": 0, "cursor": nil, "sessions": 0, "inside": 0, "live_edges": 2, "driver": "room-1", "epoch": 1, "windows": []any{},
		}
		if body.Beacon != "" {
			e.sale["beacon"] = map[string]any{"name": body.Beacon, "value": "", "due": true}
		}
	case e.sale == nil:
		refuse(w, 409, "sale_not_open", "The event has no on-sale yet. Schedule one first.")
		return
	}
	if verb != "schedule" {
		e.sale["phase"] = map[string]string{"open": "open", "pause": "paused", "resume": "open", "end": "ended"}[verb]
		e.sale["message"] = body.Message
		e.sale["joined"], e.sale["drawn"], e.sale["called"] = 20000, 20000, 1200
		e.sale["windows"] = []any{map[string]any{"window": 0, "sealed": true, "entrants": 20000, "root": strings.Repeat("cd", 32)}}
	}
	f.showSale(w, r, e)
}

func (f *fakeCore) showSale(w http.ResponseWriter, _ *http.Request, e *fakeEvent) {
	if e.sale == nil {
		refuse(w, 409, "sale_not_open", "The event has no on-sale yet. Schedule one first.")
		return
	}
	view := maps.Clone(e.sale)
	view["server_time"], view["holds_active"], view["stock"] = f.clock, 37, fakeStock()
	view["orders"] = map[string]any{"ticket_issued": 60, "payment_pending": 3}
	answer(w, 200, view)
}

func (f *fakeCore) beacon(w http.ResponseWriter, r *http.Request, e *fakeEvent) {
	var body struct {
		Value string `json:"value"`
	}
	named, ok := e.sale["beacon"].(map[string]any)
	switch {
	case !ok:
		refuse(w, 409, "beacon_none", "The on-sale was scheduled without a beacon.")
		return
	case json.NewDecoder(r.Body).Decode(&body) != nil:
		refuse(w, 400, "bad_json", "The body is not the JSON this needs.")
		return
	}
	e.sale["beacon"] = map[string]any{"name": named["name"], "value": body.Value, "due": false}
	f.showSale(w, r, e)
}

func (f *fakeCore) lottery(w http.ResponseWriter, _ *http.Request, _ *fakeEvent) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(f.transcript)
}

// addOrders makes n orders of an event, as if they had been bought.
func (f *fakeCore) addOrders(event string, n int) {
	for i := range n {
		state := []string{"ticket_issued", "payment_failed"}[i%2]
		at := f.clock.Add(time.Duration(i) * time.Second)
		f.orders = append(f.orders, map[string]any{
			"id": fmt.Sprintf("00000000-0000-0000-0000-%012d", i+1), "event": event, "state": state, "amount": euros(13100),
			"tickets": []string{}, "created_at": at, "updated_at": at,
		})
	}
}

func (f *fakeCore) listOrders(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if _, ok := f.events[q.Get("event")]; !ok {
		refuse(w, 404, "event_unknown", "There is no such event.")
		return
	}
	limit, _ := strconv.Atoi(q.Get("limit"))
	list, next := []any{}, ""
	for _, o := range f.orders {
		id := o["id"].(string)
		if o["event"] != q.Get("event") || q.Get("state") != "" && o["state"] != q.Get("state") || id <= q.Get("after") {
			continue
		}
		if len(list) == limit {
			break
		}
		line := maps.Clone(o)
		line["tickets"] = len(o["tickets"].([]string))
		list = append(list, line)
		next = id
	}
	if len(list) < limit {
		next = ""
	}
	answer(w, 200, map[string]any{"orders": list, "next": next})
}

func (f *fakeCore) showOrder(w http.ResponseWriter, r *http.Request) {
	for _, o := range f.orders {
		if o["id"] != r.PathValue("id") {
			continue
		}
		view := maps.Clone(o)
		view["hold_id"], view["email"], view["entrant"] = "11111111-0000-0000-0000-000000000001", "ann@example.org", strings.Repeat("00", 16)
		view["deadline"], view["server_time"] = f.clock.Add(time.Minute), f.clock
		view["lines"] = []any{map[string]any{"tier": "floor", "seat": "", "face": euros(6000), "fee": euros(500), "tax": euros(50)}}
		view["payment"] = map[string]any{"attempt": 2, "provider": "stripe", "state": "failed", "provider_ref": "pi_1", "failure": "card_declined"}
		view["story"] = fakeStory(f.clock, r.URL.Query().Get("raw") == "true")
		view["audit"] = f.audit(1)
		answer(w, 200, view)
		return
	}
	refuse(w, 404, "order_unknown", "There is no such order.")
}

// fakeStory has every shape of an entry.
func fakeStory(at time.Time, raw bool) []any {
	entry := func(after time.Duration, kind, who, text string, lines ...string) map[string]any {
		return map[string]any{"at": at.Add(after), "kind": kind, "who": who, "text": text, "lines": lines, "source": ""}
	}
	webhook := entry(2*time.Second, "webhook", "stripe", "payment_intent.amount_capturable_updated evt_1, signature verified",
		"handled at 12:00:02.100", "came again 2 times, last at 12:00:05.000", "caused step 3: authorized")
	if raw {
		webhook["raw"] = map[string]any{"id": "evt_1", "data": map[string]any{"client_secret": "[redacted]"}}
	}
	return []any{
		entry(0, "hold", "buyer", "holds 2 × floor, 3 × lower (A/1/1, A/1/2, A/1/3), 4 × upper, 1 × standing for 1310.00 EUR until 12:08:00.000"),
		entry(time.Second, "step", "buyer", "step 1: opened", "reserved → payment_pending"),
		webhook,
		entry(2050*time.Millisecond, "step", "webhook", "step 3: authorized", "stays payment_pending", "by stripe/evt_1"),
		entry(25*time.Hour-time.Second, "refund", "operator:ann", "66.55 EUR back for some tickets", "22222222-0000-0000-0000-000000000001", "ill"),
		entry(25*time.Hour, "step", "operator:ann", "step 4: refunded\x1b[31m", "ticket_issued → refunded"),
		entry(97*time.Hour, "dispute", "stripe", "the buyer's bank disputes 131.00 EUR: fraudulent", "reference dp_1", "the provider charges 15.00 EUR"),
		entry(98*time.Hour, "dispute", "stripe", "the dispute is lost"),
	}
}

func (f *fakeCore) audit(orders int) map[string]any {
	found := []any{}
	if f.auditBroken {
		found = append(found, map[string]any{"order": "00000000-0000-0000-0000-000000000001", "kind": "step_altered", "detail": "step 2 (begun) does not follow from the one before it"},
			map[string]any{"order": "", "kind": "seal_broken", "detail": "seals 2 to 3 are gone"})
	}
	return map[string]any{"ok": !f.auditBroken, "orders": orders, "steps": 5 * orders, "webhooks": orders, "seals": orders - 1, "heads": 0, "unsealed": 1, "unchained": 0,
		"found": 2 * len(found), "findings": found}
}

func (f *fakeCore) verifyOrders(w http.ResponseWriter, r *http.Request) {
	if order := r.URL.Query().Get("order"); order != "" {
		answer(w, 200, f.audit(1))
		return
	}
	answer(w, 200, f.audit(len(f.orders)))
}

func (f *fakeCore) verifyLedger(w http.ResponseWriter, _ *http.Request) {
	failed := 0
	if !f.ledgerOK {
		failed = 1
	}
	answer(w, 200, map[string]any{"ok": f.ledgerOK, "transfers": 120, "accounts": 6, "checks": []any{
		map[string]any{"name": "balances", "checked": 6, "failed": failed, "detail": map[bool]string{true: "", false: "taxes_payable is off by 50"}[f.ledgerOK]},
		map[string]any{"name": "chains", "checked": 120, "failed": 0, "detail": ""},
	}})
}

// ledgerReport answers the reports of the ledger; their figures are core's own tests' business.
func (f *fakeCore) ledgerReport(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	fees := map[string]any{"account": "platform_fees", "currency": "EUR", "debits_pending": 0, "credits_pending": 43, "debits_posted": 100, "credits_posted": 532}
	switch r.PathValue("report") {
	case "balances":
		if q.Get("account") == "nobody" {
			refuse(w, 404, "account_unknown", "The ledger has no such account in this currency.")
			return
		}
		if at := q.Get("at"); at != "" {
			fees["credits_posted"] = 132
		}
		answer(w, 200, map[string]any{"balances": []any{fees}})
	case "trial-balance":
		fees["debits_posted"] = map[bool]int{true: 532, false: 531}[f.ledgerOK]
		answer(w, 200, map[string]any{"zero": f.ledgerOK, "transfers": 8, "currencies": []any{fees}, "balances": []any{}})
	case "statement":
		answer(w, 200, map[string]any{"opening": fees, "closing": fees, "next": "1.2." + q.Get("account"), "lines": []any{map[string]any{
			"id": "00000000-0000-4000-8000-000000000001", "at": f.clock, "kind": "post", "code": "sale_fee", "other": "buyer_clearing",
			"reference": "00000000-0000-4000-8000-000000000002", "debit": 0, "credit": 432, "balance": 432}}})
	case "settlement":
		answer(w, 200, map[string]any{"organizer": q.Get("organizer"), "currency": q.Get("currency"), "sold": 9000, "refunded": 1000, "sent": 5000, "paid_out": 4000,
			"in_transit": 1000, "due": 3000, "payable": 2000, "reserve": 700, "available": 300, "fees": 432, "taxes": 634})
	case "clearing":
		if f.ledgerOK {
			answer(w, 200, map[string]any{"late": []any{}, "more": false})
			return
		}
		answer(w, 200, map[string]any{"more": true, "late": []any{map[string]any{"account": "late_money", "currency": "EUR",
			"reference": "00000000-0000-4000-8000-000000000003", "net": 6975, "pending": 0, "since": f.clock, "age_seconds": 90000, "within_seconds": 86400,
			"why": "paid for nothing, and neither sold nor refunded"}}})
	default:
		refuse(w, 404, "not_found", "There is nothing here.")
	}
}

func (f *fakeCore) addBan(w http.ResponseWriter, r *http.Request) {
	var body map[string]any
	length := map[string]int{"device": 16, "network": 8, "entrant": 16, "account": 16, "card": 16}
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		refuse(w, 400, "bad_json", "The body is not the JSON this needs.")
		return
	}
	subject, err := hex.DecodeString(body["subject"].(string))
	if err != nil || len(subject) == 0 || len(subject) != length[body["kind"].(string)] {
		refuse(w, 422, "ban_invalid", "A ban names a kind (device, network, entrant, account or card) and a subject in hex of that kind's length.")
		return
	}
	body["actor"], body["created_at"] = "operator", f.clock
	f.bans = append(f.bans, body)
	answer(w, 201, map[string]any{"kind": body["kind"], "subject": body["subject"], "reason": body["reason"]})
}

const fakeAccount = "0b9d7d2f-7a11-4c1e-9f3b-6f6c0f9f4e9a"

func (f *fakeCore) account() map[string]any {
	a := map[string]any{"id": fakeAccount, "email": "Ann@example.org", "language": "es", "epoch": 2, "created_at": f.clock, "forgotten": nil,
		"events": []any{map[string]any{"event": "arena", "entrant": "00112233445566778899aabbccddeeff"}}}
	if f.forgotten {
		a["email"], a["forgotten"], a["events"] = "", f.clock, []any{}
	}
	return a
}

func (f *fakeCore) findAccount(w http.ResponseWriter, r *http.Request) {
	var body map[string]string
	_ = json.NewDecoder(r.Body).Decode(&body)
	if body["id"] != fakeAccount && (f.forgotten || !strings.EqualFold(body["email"], "ann@example.org")) {
		refuse(w, 404, "buyer_account_unknown", "There is no such account, or it was forgotten.")
		return
	}
	answer(w, 200, f.account())
}

func (f *fakeCore) forgetAccount(w http.ResponseWriter, r *http.Request) {
	if r.PathValue("id") != fakeAccount {
		refuse(w, 404, "buyer_account_unknown", "There is no such account, or it was forgotten.")
		return
	}
	f.forgotten = true
	answer(w, 200, f.account())
}

func (f *fakeCore) listBans(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	key := func(b map[string]any) string { return b["kind"].(string) + " " + b["subject"].(string) }
	all := slices.Clone(f.bans)
	slices.SortFunc(all, func(a, b map[string]any) int { return strings.Compare(key(a), key(b)) })
	limit, _ := strconv.Atoi(q.Get("limit"))
	list := []any{}
	for _, b := range all {
		if key(b) > q.Get("after_kind")+" "+q.Get("after_subject") && len(list) < limit {
			list = append(list, b)
		}
	}
	answer(w, 200, map[string]any{"bans": list})
}

func (f *fakeCore) liftBan(w http.ResponseWriter, r *http.Request) {
	for _, b := range f.bans {
		if b["kind"] == r.PathValue("kind") && b["subject"] == r.PathValue("subject") && b["lifted_at"] == nil {
			b["lifted_at"] = f.clock
			w.WriteHeader(http.StatusNoContent)
			return
		}
	}
	refuse(w, 404, "ban_unknown", "There is no such ban in force.")
}
