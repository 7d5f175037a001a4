package api

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// patientWriter is told until when an answer may be written.
type patientWriter struct {
	*httptest.ResponseRecorder
	until time.Time
}

func (w *patientWriter) SetReadDeadline(time.Time) error { return nil }
func (w *patientWriter) SetWriteDeadline(at time.Time) error {
	w.until = at
	return nil
}

func TestAVerificationMayTakeAsLongAsAReconciliation(t *testing.T) {
	s := &Server{AdminSecret: "secret", Log: slog.New(slog.DiscardHandler)}
	for _, path := range []string{"/admin/v1/orders/verify", "/admin/v1/ledger/verify"} {
		answer := &patientWriter{ResponseRecorder: httptest.NewRecorder()}
		began := time.Now()
		s.Admin().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		if answer.Code != http.StatusUnauthorized {
			t.Errorf("%s without the secret: %d", path, answer.Code)
		}
		if answer.until.Before(began.Add(reconcileTimeout)) {
			t.Errorf("%s has until %s, from %s", path, answer.until, began)
		}
	}
}
