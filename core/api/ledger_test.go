package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db/dbtest"
	"fairgate/ledger"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

func TestTheLedgersReportsAreToldOverTheAdminAPI(t *testing.T) {
	d := dbtest.New(t)
	s := &Server{DB: d, AdminSecret: "secret", Log: slog.New(slog.DiscardHandler)}
	eur := func(minor int64) ledger.Amount { return ledger.Amount{Minor: minor, Currency: "EUR"} }
	sale, err := ledger.SaleTransfers(uuid.New(), "lumen-live", "stripe", eur(5000), eur(432), eur(634))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		return ledger.NewWriter(d.Reader).Record(ctx, tx, append(sale, ledger.PostAll(sale)...))
	}); err != nil {
		t.Fatal(err)
	}
	ask := func(path string, status int) map[string]any {
		t.Helper()
		request := httptest.NewRequest(http.MethodGet, "/admin/v1/ledger/"+path, http.NoBody)
		request.Header.Set("Authorization", "Bearer secret")
		answer := httptest.NewRecorder()
		s.Admin().ServeHTTP(answer, request)
		var fields map[string]any
		if err := json.Unmarshal(answer.Body.Bytes(), &fields); err != nil || answer.Code != status {
			t.Fatalf("%s: %d, %v: %s", path, answer.Code, err, answer.Body)
		}
		return fields
	}
	past, future := "at=2001-01-01T00:00:00Z", "at="+time.Now().Add(24*time.Hour).UTC().Format(time.RFC3339)

	if all := ask("balances", 200)["balances"].([]any); len(all) != 5 {
		t.Errorf("balances: %v", all)
	}
	if all := ask("balances?"+past, 200)["balances"].([]any); len(all) != 0 {
		t.Errorf("balances long ago: %v", all)
	}
	one := ask("balances?account=platform_fees&currency=EUR", 200)["balances"].([]any)[0].(map[string]any)
	if one["credits_posted"] != 432.0 || one["credits_pending"] != 0.0 {
		t.Errorf("platform_fees: %v", one)
	}
	if trial := ask("trial-balance", 200); trial["zero"] != true || len(trial["currencies"].([]any)) != 1 {
		t.Errorf("trial balance: %v", trial)
	}
	for _, query := range []string{"recompute=true", future} {
		if trial := ask("trial-balance?"+query, 200); trial["zero"] != true || trial["transfers"] != 8.0 {
			t.Errorf("trial balance with %s: %v", query, trial)
		}
	}
	var lines, pages int
	for next := ""; ; pages++ {
		page := ask("statement?account=buyer_clearing&currency=EUR&limit=3&after="+next, 200)
		lines += len(page["lines"].([]any))
		if next = page["next"].(string); next == "" {
			break
		}
	}
	if lines != 8 || pages != 2 {
		t.Errorf("the statement has %d lines, %d pages before the last", lines, pages)
	}
	if s := ask("settlement?organizer=lumen-live&currency=EUR", 200); s["sold"] != 5000.0 || s["due"] != 5000.0 || s["fees"] != 432.0 || s["taxes"] != 634.0 {
		t.Errorf("settlement: %v", s)
	}
	if late := ask("clearing", 200)["late"].([]any); len(late) != 0 {
		t.Errorf("late: %v", late)
	}
	if s.ClearingDeadlines, err = ledger.DefaultDeadlines().With(map[string]time.Duration{"provider_clearing": time.Hour}); err != nil {
		t.Fatal(err)
	}
	late := ask("clearing?"+future, 200)["late"].([]any)
	if len(late) != 1 || late[0].(map[string]any)["reference"] != sale[0].Reference.String() || late[0].(map[string]any)["net"] != -6066.0 {
		t.Errorf("late: %v", late)
	}
	for path, code := range map[string]string{
		"balances?account=nobody&currency=EUR": "account_unknown", "settlement?organizer=nobody&currency=EUR": "account_unknown",
		"statement?account=nobody&currency=EUR": "account_unknown",
	} {
		if p := ask(path, 404); p["code"] != code {
			t.Errorf("%s: %v", path, p)
		}
	}
	for _, path := range []string{"balances?at=yesterday", "trial-balance?at=1", "clearing?limit=0", "statement?account=a&currency=EUR&after=x", "statement?account=a&currency=EUR&after=1.2.3"} {
		if p := ask(path, 400); p["code"] != "bad_request" {
			t.Errorf("%s: %v", path, p)
		}
	}
}
