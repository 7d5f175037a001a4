package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db/dbtest"
	"fairgate/core/payout"
	"fairgate/ledger"
)

func TestAPayoutIsProposedApprovedAndSentOverTheAdminAPI(t *testing.T) {
	d := dbtest.New(t)
	s := &Server{DB: d, AdminSecret: "secret", Log: slog.New(slog.DiscardHandler), Payouts: payout.New(d, payout.Config{Rules: payout.DefaultRules()})}
	if _, err := d.Exec(t.Context(), `INSERT INTO events (event_id, slug, name, state, organizer, currency, time_zone, starts_at, spec, spec_hash, revision, pseudonym_key)
		VALUES ($1, 'club', 'Club', 'active', 'lumen-live', 'EUR', 'UTC', now(), '{}', '', 1, '')`, uuid.New()); err != nil {
		t.Fatal(err)
	}
	eur := func(minor int64) ledger.Amount { return ledger.Amount{Minor: minor, Currency: "EUR"} }
	made, err := ledger.SaleTransfers(uuid.New(), "lumen-live", "stripe", eur(9000), eur(0), eur(0))
	if err != nil {
		t.Fatal(err)
	}
	freed, err := ledger.PayoutReleasedTransfers(uuid.New(), "lumen-live", eur(8000), eur(1000))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		return ledger.NewWriter(d.Reader).Record(ctx, tx, append(append(made, ledger.PostAll(made)...), freed...))
	}); err != nil {
		t.Fatal(err)
	}
	ask := func(method, path, body string, status int) map[string]any {
		t.Helper()
		request := httptest.NewRequest(method, "/admin/v1/"+path, strings.NewReader(body))
		request.Header.Set("Authorization", "Bearer secret")
		request.Header.Set(OperatorHeader, "ann")
		answer := httptest.NewRecorder()
		s.Admin().ServeHTTP(answer, request)
		var fields map[string]any
		if err := json.Unmarshal(answer.Body.Bytes(), &fields); err != nil || answer.Code != status {
			t.Fatalf("%s: %d, %v: %s", path, answer.Code, err, answer.Body)
		}
		return fields
	}
	first := ask(http.MethodPost, "payouts:run", "{}", 200)
	again := ask(http.MethodPost, "payouts:run", "{}", 200)
	if lines := first["lines"].([]any); len(lines) != 1 || first["run_id"] != again["run_id"] || len(again["lines"].([]any)) != 1 {
		t.Fatalf("run %v, again %v", first, again)
	}
	list := ask(http.MethodGet, "payouts?state=proposed", "", 200)["payouts"].([]any)
	if len(list) != 1 || list[0].(map[string]any)["amount"].(map[string]any)["minor"] != 8000.0 {
		t.Fatalf("payouts %v", list)
	}
	id := list[0].(map[string]any)["id"].(string)
	if p := ask(http.MethodPost, "payouts/"+id+"/sent", `{"reason":"early"}`, 409); p["code"] != "payout_state" {
		t.Errorf("sent too early: %v", p)
	}
	ask(http.MethodPost, "payouts/"+id+"/approve", `{}`, 400)
	ask(http.MethodPost, "payouts/"+id+"/approve", `{"reason":"ok"}`, 200)
	if p := ask(http.MethodPost, "payouts/"+id+"/sent", `{"reason":"bank order 1"}`, 200); p["state"] != "sent" || len(p["history"].([]any)) != 3 {
		t.Errorf("sent: %v", p)
	}
	if p := ask(http.MethodPost, "payouts/"+uuid.NewString()+"/sent", `{"reason":"x"}`, 404); p["code"] != "payout_unknown" {
		t.Errorf("unknown: %v", p)
	}
}
