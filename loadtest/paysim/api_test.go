package paysim

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAnIntentGoesFromCreateToCapture(t *testing.T) {
	a := newAPI(t, Config{})
	g := a.call("POST", "/v1/payment_intents", "amount", "1000", "currency", "EUR", "capture_method", "manual",
		"metadata[order_id]", "o1", "metadata[payment_id]", "p1", "description", "Two seats", "payment_method_types[0]", "card")
	a.expect("create", g, 200, "status", "requires_payment_method")
	if g.str("currency") != "eur" || g.num("amount") != 1000 || g.str("metadata", "order_id") != "o1" || g.header.Get("Request-Id") == "" {
		t.Errorf("created %s", g.text)
	}
	id, secret := g.str("id"), g.str("client_secret")
	a.expect("capture too early", a.call("POST", "/v1/payment_intents/"+id+"/capture"), 400, "error", "code", "payment_intent_unexpected_state")
	g = a.confirm(id, secret, "pm_card_visa_chargeDeclined")
	a.expect("declined", g, 402, "error", "decline_code", "generic_decline")
	a.expect("declined", g, 402, "error", "payment_intent", "last_payment_error", "code", "card_declined")
	g = a.confirm(id, secret, "pm_card_visa")
	a.expect("confirm", g, 200, "status", "requires_capture")
	if g.num("amount_capturable") != 1000 || g.body["last_payment_error"] != nil || g.body["metadata"] != nil {
		t.Errorf("a browser sees %s", g.text)
	}
	a.expect("confirm again", a.confirm(id, secret, "pm_card_visa"), 400, "error", "code", "payment_intent_unexpected_state")
	a.expect("too much", a.call("POST", "/v1/payment_intents/"+id+"/capture", "amount_to_capture", "1001"), 400, "error", "code", "amount_too_large")
	g = a.call("POST", "/v1/payment_intents/"+id+"/capture", "amount_to_capture", "900")
	a.expect("capture", g, 200, "status", "succeeded")
	if g.num("amount_received") != 900 || g.num("amount_capturable") != 0 {
		t.Errorf("captured %s", g.text)
	}
	a.expect("cancel", a.call("POST", "/v1/payment_intents/"+id+"/cancel"), 400, "error", "payment_intent", "status", "succeeded")
	a.expect("refund", a.call("POST", "/v1/refunds", "payment_intent", id, "amount", "400"), 200, "status", "succeeded")
	a.expect("refund too much", a.call("POST", "/v1/refunds", "payment_intent", id, "amount", "501"), 400, "error", "code", "charge_already_refunded")
	g = a.call("GET", "/v1/balance")
	a.expect("balance", g, 200, "object", "balance")
	if !strings.Contains(g.text, `"available":[{"amount":500,"currency":"eur"}]`) {
		t.Errorf("balance %s", g.text)
	}
	books := a.sim.Books()
	if books.Balances["EUR"] != 500 || books.Captured["EUR"] != 900 || books.Refunded["EUR"] != 400 || !books.Consistent {
		t.Errorf("books %+v", books)
	}
	if e := books.Intents[0]; e.Order != "o1" || e.Payment != "p1" || e.Captured != 900 || e.Refunded != 400 || e.Charges != 2 {
		t.Errorf("entry %+v", e)
	}
	a.expect("refund the rest", a.call("POST", "/v1/refunds", "payment_intent", id), 200)
	if left := a.sim.Balances()["EUR"]; left != 0 {
		t.Errorf("%d left", left)
	}
	automatic := a.call("POST", "/v1/payment_intents", "amount", "7", "currency", "jpy")
	a.expect("captured at once", a.confirm(automatic.str("id"), automatic.str("client_secret"), "pm_card_mastercard"), 200, "status", "succeeded")
	if held := a.sim.Balances()["JPY"]; held != 7 {
		t.Errorf("%d yen", held)
	}
}

func TestTestCardsBehaveAsTheirNumbersSay(t *testing.T) {
	a := newAPI(t, Config{})
	for _, c := range cards {
		if !luhn(c.number) {
			t.Errorf("%s is no card number", c.number)
		}
		id, secret := a.create()
		byMethod := a.confirm(id, secret, c.method)
		id, secret = a.create()
		byNumber := a.call("POST", "/v1/payment_intents/"+id+"/confirm", "client_secret", secret,
			"payment_method_data[type]", "card", "payment_method_data[card][number]", c.number)
		for _, g := range []got{byMethod, byNumber} {
			switch c.verdict {
			case approved, refusesAtTake:
				a.expect(c.method, g, 200, "status", "requires_capture")
			case needsAction:
				a.expect(c.method, g, 200, "next_action", "type", "redirect_to_url")
			case declined:
				a.expect(c.method, g, 402, "error", "code", c.code)
				if g.str("error", "message") == "" || g.str("error", "type") != "card_error" {
					t.Errorf("%s: %s", c.method, g.text)
				}
			}
		}
	}
	for number, code := range map[string]string{"4242424242424241": "incorrect_number", "42": "incorrect_number", "": "", "4539578763621486": "card_declined"} {
		if number == "" {
			continue
		}
		if c := cardByNumber(number); c.verdict != declined || c.code != code || len(c.number) > 4 {
			t.Errorf("%s: %+v", number, c)
		}
	}
	id, secret := a.create()
	a.expect("refused capture: authorize", a.confirm(id, secret, "pm_card_captureRefused"), 200)
	g := a.call("POST", "/v1/payment_intents/"+id+"/capture")
	a.expect("refused capture", g, 400, "error", "code", "charge_expired_for_capture")
	a.expect("refused capture", g, 400, "error", "payment_intent", "status", "canceled")
}

func TestKeysDecideWhoMayCallWhat(t *testing.T) {
	a := newAPI(t, Config{})
	id, secret := a.create()
	one := "/v1/payment_intents/" + id
	for name, c := range map[string]struct {
		method, path, key string
		status            int
	}{
		"no key":                         {"GET", one, "", 401},
		"wrong key":                      {"GET", one, "Bearer sk_test_somebody_else_1234", 401},
		"basic":                          {"GET", one, "Basic c2tfdGVzdF9wYXlzaW06", 200},
		"browser without client secret":  {"GET", one, "Bearer pk_test_paysim", 404},
		"browser creates":                {"POST", "/v1/payment_intents", "Bearer pk_test_paysim", 403},
		"browser captures":               {"POST", one + "/capture", "Bearer pk_test_paysim", 403},
		"browser reads the balance":      {"GET", "/v1/balance", "Bearer pk_test_paysim", 403},
		"a path that does not exist":     {"GET", "/v1/nothing", "Bearer sk_test_paysim", 404},
		"an intent that does not exist":  {"POST", "/v1/payment_intents/pi_0/capture", "Bearer sk_test_paysim", 404},
		"a method that is not supported": {"DELETE", one, "Bearer sk_test_paysim", 404},
	} {
		g := a.call(c.method, c.path, "Authorization", c.key)
		a.expect(name, g, c.status)
		if strings.Contains(g.text, "somebody_else") {
			t.Errorf("%s: the answer tells the key: %s", name, g.text)
		}
	}
	wrong := a.call("GET", one, "Authorization", "Bearer pk_test_paysim", "client_secret", secret+"x")
	a.expect("browser with another client secret", wrong, 404, "error", "code", "resource_missing")
	right := a.call("GET", one, "Authorization", "Bearer pk_test_paysim", "client_secret", secret)
	a.expect("browser with the client secret", right, 200, "id", id)
}

func TestParametersAreChecked(t *testing.T) {
	a := newAPI(t, Config{})
	for name, c := range map[string]struct{ fields, code string }{
		"no amount":                {"currency=eur", "parameter_missing"},
		"no currency":              {"amount=1", "parameter_missing"},
		"zero":                     {"amount=0&currency=eur", "parameter_invalid_integer"},
		"a fraction":               {"amount=1.5&currency=eur", "parameter_invalid_integer"},
		"too much":                 {"amount=100000000&currency=eur", "amount_too_large"},
		"unknown":                  {"amount=1&currency=eur&colour=red", "parameter_unknown"},
		"capture method":           {"amount=1&currency=eur&capture_method=later", "parameter_invalid_enum"},
		"both methods":             {"amount=1&currency=eur&payment_method_types[]=card&automatic_payment_methods[enabled]=true", ""},
		"no currency is that long": {"amount=1&currency=euro", ""},
	} {
		var fields []string
		for _, pair := range strings.Split(c.fields, "&") {
			key, value, _ := strings.Cut(pair, "=")
			fields = append(fields, key, value)
		}
		a.expect(name, a.call("POST", "/v1/payment_intents", fields...), 400, "error", "code", c.code)
	}
	id, secret := a.create()
	a.expect("no method", a.confirm(id, secret, ""), 400, "error", "code", "parameter_missing")
	a.expect("unknown method", a.confirm(id, secret, "pm_1"), 400, "error", "code", "resource_missing")
	a.expect("unknown reason", a.call("POST", "/v1/payment_intents/"+id+"/cancel", "cancellation_reason", "bored"), 400, "error", "code", "parameter_invalid_enum")
	a.expect("a search that is none", a.call("GET", "/v1/payment_intents/search", "query", "amount>1"), 400)
	if n := len(a.sim.Books().Intents); n != 1 {
		t.Errorf("%d intents, want the one that was right", n)
	}
}

func TestAnIdempotencyKeyRepeatsTheFirstAnswer(t *testing.T) {
	var mu sync.Mutex
	now := time.Unix(1_800_000_000, 0)
	a := newAPI(t, Config{Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now }})
	create := func(key string, more ...string) got {
		return a.call("POST", "/v1/payment_intents", append([]string{"Idempotency-Key", key, "amount", "1000", "currency", "eur", "capture_method", "manual"}, more...)...)
	}
	first := create("k1")
	id := first.str("id")
	a.confirm(id, first.str("client_secret"), "pm_card_visa")
	again := create("k1")
	if again.text != first.text || again.header.Get("Idempotent-Replayed") != "true" || first.header.Get("Idempotent-Replayed") != "" ||
		again.header.Get("Original-Request") != first.header.Get("Request-Id") {
		t.Errorf("repeated: %v %s\nfirst: %s", again.header, again.text, first.text)
	}
	a.expect("other parameters", create("k1", "description", "x"), 400, "error", "type", "idempotency_error")
	a.expect("another path", a.call("POST", "/v1/payment_intents/"+id+"/capture", "Idempotency-Key", "k1"), 400, "error", "type", "idempotency_error")

	a.expect("capture", a.call("POST", "/v1/payment_intents/"+id+"/capture", "Idempotency-Key", "k2"), 200, "status", "succeeded")
	a.expect("capture repeated", a.call("POST", "/v1/payment_intents/"+id+"/capture", "Idempotency-Key", "k2"), 200, "status", "succeeded")
	a.expect("capture anew", a.call("POST", "/v1/payment_intents/"+id+"/capture", "Idempotency-Key", "k3"), 400)
	g := a.call("POST", "/v1/payment_intents/"+id+"/capture", "Idempotency-Key", "k3")
	a.expect("a refusal is kept too", g, 400)
	if g.header.Get("Idempotent-Replayed") != "true" {
		t.Error("it was decided again")
	}

	a.expect("not valid", create("k4", "colour", "red"), 400)
	a.expect("what was not valid is not kept", create("k4"), 200)

	mu.Lock()
	now = now.Add(25 * time.Hour)
	mu.Unlock()
	if later := create("k1"); later.str("id") == id || later.status != 200 {
		t.Errorf("after 25 hours the key still means %s", later.text)
	}
	if held := a.sim.Balances()["EUR"]; held != 1000 {
		t.Errorf("the provider holds %d", held)
	}
}

func TestAKeyInUseIsAConflict(t *testing.T) {
	a := newAPI(t, Config{})
	print := fingerprint("POST", "/v1/payment_intents", nil)
	a.sim.mu.Lock()
	if stored, refused := a.sim.keys.begin("k1", "req_1", print, time.Now()); stored != nil || refused != nil {
		t.Error("a new key is known")
	}
	_, refused := a.sim.keys.begin("k1", "req_2", print, time.Now())
	a.sim.mu.Unlock()
	if refused == nil || refused.status != http.StatusConflict || refused.Code != "idempotency_key_in_use" {
		t.Errorf("refused with %+v", refused)
	}
}

func TestAStoredFailureIsRepeatedForEver(t *testing.T) {
	a := newAPI(t, Config{Seed: 5, Faults: Faults{AnswerError: 1}})
	carriedOut := 0
	for n := range 12 {
		key := "k" + string(rune('a'+n))
		before := len(a.sim.Books().Intents)
		for round := range 3 {
			g := a.call("POST", "/v1/payment_intents", "Idempotency-Key", key, "amount", "1000", "currency", "eur")
			a.expect("failure", g, 500, "error", "type", "api_error")
			if replayed := g.header.Get("Idempotent-Replayed") == "true"; replayed != (round > 0) {
				t.Errorf("round %d replayed %v", round, replayed)
			}
		}
		switch made := len(a.sim.Books().Intents) - before; made {
		case 1:
			carriedOut++
		case 0:
		default:
			t.Errorf("three calls with one key made %d intents", made)
		}
	}
	if carriedOut == 0 || carriedOut == 12 {
		t.Errorf("of 12 failures %d came after the work was done, want some and not all", carriedOut)
	}
}

func TestTheRateLimitAnswers429(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	a := newAPI(t, Config{Rate: 3, Now: func() time.Time { return now }})
	for n := range 5 {
		g := a.call("GET", "/v1/balance")
		if want := map[bool]int{true: 200, false: 429}[n < 3]; g.status != want {
			t.Errorf("call %d: %d", n, g.status)
		}
	}
	if n := a.sim.Books().Calls.Limited; n != 2 {
		t.Errorf("%d counted", n)
	}
}

func TestListAndSearchFindIntents(t *testing.T) {
	a := newAPI(t, Config{})
	var ids []string
	for n := range 5 {
		id, _ := a.create("metadata[payment_id]", "p"+string(rune('0'+n)), "metadata[colour]", []string{"red", "blue"}[n%2])
		ids = append(ids, id)
	}
	page := func(path string, fields ...string) (found []string, more bool) {
		g := a.call("GET", path, fields...)
		a.expect(path, g, 200)
		for _, one := range g.body["data"].([]any) {
			found = append(found, one.(map[string]any)["id"].(string))
		}
		return found, g.body["has_more"].(bool)
	}
	found, more := page("/v1/payment_intents", "limit", "2")
	if len(found) != 2 || found[0] != ids[4] || found[1] != ids[3] || !more {
		t.Errorf("first page %v %v of %v", found, more, ids)
	}
	found, more = page("/v1/payment_intents", "limit", "3", "starting_after", ids[3])
	if len(found) != 3 || found[0] != ids[2] || found[2] != ids[0] || more {
		t.Errorf("second page %v %v", found, more)
	}
	found, _ = page("/v1/payment_intents", "created[gte]", "99999999999")
	if len(found) != 0 {
		t.Errorf("from the future: %v", found)
	}
	found, _ = page("/v1/payment_intents/search", "query", `metadata['payment_id']:'p3'`)
	if len(found) != 1 || found[0] != ids[3] {
		t.Errorf("by payment: %v", found)
	}
	found, _ = page("/v1/payment_intents/search", "query", `metadata["colour"]:"red"`)
	if len(found) != 3 || found[0] != ids[4] {
		t.Errorf("by colour: %v", found)
	}
	found, _ = page("/v1/payment_intents/search", "query", `metadata['payment_id']:'p9'`)
	if len(found) != 0 {
		t.Errorf("nothing: %v", found)
	}
}

func TestIdsOfTwoStartsDiffer(t *testing.T) {
	a, b := newAPI(t, Config{Seed: 1}), newAPI(t, Config{Seed: 1})
	first, _ := a.create()
	second, _ := b.create()
	if first == second {
		t.Errorf("two providers made intent %s", first)
	}
}

func TestConfigurationIsCheckedAtOnce(t *testing.T) {
	_, err := New(Config{WebhookURL: "localhost", Rate: -1, SecretKey: "x", PublishableKey: "x",
		Faults: Faults{AnswerLost: 2, WebhookDelayMin: time.Second}})
	for _, part := range []string{"webhook_url", "rate", "same", "answer_lost", "webhook_delay_max"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("nothing about %s in: %v", part, err)
		}
	}
}
