package stripe_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fairgate/core/payment"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// reading is what an event was read as, without what every event has.
type reading struct {
	Type    string
	Payment string               `json:",omitempty"`
	Outcome *payment.Outcome     `json:",omitempty"`
	Refund  *payment.RefundNews  `json:",omitempty"`
	Dispute *payment.DisputeNews `json:",omitempty"`
}

func TestEachKindOfWebhookIsReadAsItWas(t *testing.T) {
	p := newProvider(t, "http://127.0.0.1:1")
	files, err := filepath.Glob("testdata/webhooks/*.json")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d webhooks, %v", len(files), err)
	}
	var all bytes.Buffer
	for _, file := range files {
		e, err := p.Parse(example(t, filepath.Base(file)))
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		all.WriteString(strings.TrimSuffix(filepath.Base(file), ".json") + "\n")
		r := reading{Type: e.Type, Refund: e.Refund, Dispute: e.Dispute}
		if e.PaymentID != [16]byte{} {
			r.Payment = e.PaymentID.String()
		}
		if e.Outcome != (payment.Outcome{}) {
			r.Outcome = &e.Outcome
		}
		if !e.Relevant() {
			all.WriteString("  says nothing of a payment\n")
			continue
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString("  " + string(text) + "\n")
	}
	const golden = "testdata/webhooks.golden"
	if *update {
		if err := os.WriteFile(golden, all.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got := all.Bytes(); !bytes.Equal(got, want) {
		t.Errorf("the webhooks are read as\n%s\nwant\n%s", got, want)
	}
}
