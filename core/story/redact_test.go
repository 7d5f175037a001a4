package story

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestRawEventsLoseSecretsAndPersonalDataAndNothingElse(t *testing.T) {
	got := string(Redact([]byte(`{"id":"evt_1","amount":9007199254740993,"data":{"object":{"client_secret":"pi_1_secret_x","receipt_email":"a@example.org",
		"status":"succeeded","metadata":{"order_id":"o","attempt":"1"},"charges":[{"billing_details":{"name":"Ann","phone":null,"address":{"city":"Bern"}},
		"payment_method_details":{"card":{"brand":"visa","last4":"4242","exp_month":3,"fingerprint":"f","country":"CH"}}}],
		"note":"write to ann@example.org about pi_1_secret_x"}},"payer":{"email_address":"a@b.ch","payer_id":"P"},"ip":"192.0.2.1","shipping":3}`)))
	for _, gone := range []string{"secret_x", "example.org", "Ann", "Bern", "4242", `"exp_month":3`, `"f"`, "a@b.ch", `"P"`, "192.0.2.1"} {
		if strings.Contains(got, gone) {
			t.Errorf("%s is still there: %s", gone, got)
		}
	}
	for _, kept := range []string{`"id":"evt_1"`, "9007199254740993", `"status":"succeeded"`, `"order_id":"o"`, `"brand":"visa"`, `"country":"CH"`, `"phone":null`, `"shipping":3`,
		"write to [redacted] about [redacted]"} {
		if !strings.Contains(got, kept) {
			t.Errorf("%s is gone: %s", kept, got)
		}
	}
	for _, text := range []string{"", "<xml/>", `{"a":`, `{} {}`} {
		if got := string(Redact([]byte(text))); !strings.Contains(got, "that are no JSON]") {
			t.Errorf("%q: %s", text, got)
		}
	}
}

func FuzzRedact(f *testing.F) {
	f.Add([]byte(`{"client_secret":"pi_1_secret_x","a":[{"email":"a@example.org"}]}`))
	f.Add([]byte(strings.Repeat("[", 200) + strings.Repeat("]", 200)))
	f.Fuzz(func(t *testing.T, payload []byte) {
		got := Redact(payload)
		if !json.Valid(got) {
			t.Fatalf("not JSON: %s", got)
		}
		if again := Redact(got); string(again) != string(got) {
			t.Fatalf("redacted twice it differs: %s, %s", got, again)
		}
	})
}
