package api

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"fairgate/core/db/dbtest"
	"fairgate/core/settlement"
)

func TestASettlementFileIsReconciledAndDecidedOverTheAdminAPI(t *testing.T) {
	d := dbtest.New(t)
	s := &Server{DB: d, AdminSecret: "secret", Log: slog.New(slog.DiscardHandler),
		Settlement: settlement.New(d, settlement.Config{Grace: time.Nanosecond, BookPlain: true})}
	ask := func(method, path, kind, body string, status int) map[string]any {
		t.Helper()
		request := httptest.NewRequest(method, "/admin/v1/"+path, strings.NewReader(body))
		request.Header.Set("Authorization", "Bearer secret")
		request.Header.Set("Content-Type", kind)
		request.Header.Set(OperatorHeader, "ann")
		answer := httptest.NewRecorder()
		s.Admin().ServeHTTP(answer, request)
		var fields map[string]any
		if err := json.Unmarshal(answer.Body.Bytes(), &fields); err != nil || answer.Code != status {
			t.Fatalf("%s: %d, %v: %s", path, answer.Code, err, answer.Body)
		}
		return fields
	}
	const day = "settlement/offline/days/2026-11-20"
	ask(http.MethodGet, day, "", "", 404)
	if p := ask(http.MethodPost, day, "application/json", "{}", 422); p["code"] != "settlement_unreadable" {
		t.Errorf("without a file: %v", p)
	}
	if p := ask(http.MethodPost, day, "text/csv", "id,kind\n", 422); p["code"] != "settlement_file" || !strings.Contains(p["detail"].(string), "no column gross") {
		t.Errorf("a file without columns: %v", p)
	}
	file := "id,kind,gross,currency,created_at\nb1,fee,-1.50,EUR,2026-11-20T10:00:00Z\nb2,charge,65.00,EUR,2026-11-20T11:00:00Z\n"
	if r := ask(http.MethodPost, day, "text/csv", file, 200); r["overdue"] != 1.0 || r["counts"].(map[string]any)["new"] != 2.0 {
		t.Errorf("report: %v", r)
	}
	items := ask(http.MethodGet, day+"/items?state=open", "", "", 200)["items"].([]any)
	if len(items) != 1 {
		t.Fatalf("items: %v", items)
	}
	id := items[0].(map[string]any)["id"].(string)
	if p := ask(http.MethodPost, "settlement-items/"+id+"/approve", "application/json", `{}`, 400); p["code"] != "bad_request" {
		t.Errorf("without a reason: %v", p)
	}
	done := ask(http.MethodPost, "settlement-items/"+id+"/approve", "application/json", `{"reason":"asked the bank"}`, 200)
	if done["state"] != "approved" || done["decided_by"] != "operator:ann" || len(done["transfers"].([]any)) != 1 {
		t.Errorf("approved: %v", done)
	}
	if p := ask(http.MethodPost, "settlement-items/"+id+"/reject", "application/json", `{"reason":"no"}`, 409); p["code"] != "item_decided" {
		t.Errorf("rejected later: %v", p)
	}
	if r := ask(http.MethodGet, day, "", "", 200); r["overdue"] != 0.0 || r["explained_ppm"] != 1e6 {
		t.Errorf("report afterwards: %v", r)
	}
}
