package settlement

import (
	"errors"
	"strings"
	"testing"
	"time"

	"fairgate/core/payment"
)

func TestASettlementFileThatCannotBeReadSaysWhatIsExpected(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"id;kind;gross;currency;created_at;source_ref\nb1;charge;1;EUR;2027-01-01T00:00:00Z;x\n": "commas are expected, and the columns id, kind, gross, currency, created_at",
		"id,kind\n":                           "no column gross; it needs id, kind, gross, currency, created_at",
		"id,kind,gross,currency,created_at\n": "it has no rows",
	} {
		err := NewFile(strings.NewReader(file)).Settlement(t.Context(), time.Time{}, time.Now(), func(payment.SettlementRow) error { return nil })
		if !errors.Is(err, ErrFile) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", file, err)
		}
	}
}
