package api

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAReasonWithControlCharactersIsRefusedWithASentence(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"a\x00b", "a\x1bb", "a\u0085b", "a\u202eb", "a\u2066b", "a\u2069b"} {
		if plainText(text, 1, 100) {
			t.Errorf("%q is plain text", text)
		}
		if err := reasonable(text); err == nil || problemOf(err).Status != 400 {
			t.Errorf("%q is a reason: %v", text, err)
		}
	}
	if !plainText("Grüße,\n\tשלום", 1, 100) {
		t.Error("what people write is refused")
	}
	var d decision
	if err := d.read(httptest.NewRequest("POST", "/", strings.NewReader(`{"reason":"a\u0000b"}`))); err == nil || problemOf(err).Status != 400 {
		t.Errorf("a decision: %v", err)
	}
}
