package api

import (
	"net/http"
	"strings"
	"testing"
)

func TestAnOperatorIsNamedAsTheySayWithinBounds(t *testing.T) {
	for said, want := range map[string]string{
		"":                       "operator",
		"ann":                    "operator:ann",
		"ann.b@example.org":      "operator:ann.b@example.org",
		"<b>an n</b>\x1b":        "operator:bannb",
		"ü":                      "operator",
		strings.Repeat("x", 200): "operator:" + strings.Repeat("x", 64),
	} {
		r := &http.Request{Header: http.Header{OperatorHeader: {said}}}
		if got := operatorOf(r); got != want {
			t.Errorf("%q: got %q, want %q", said, got, want)
		}
	}
}
