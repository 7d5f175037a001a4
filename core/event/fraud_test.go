package event

import (
	"strings"
	"testing"
)

func TestAnEventFileMayBeStricterWithPaymentsAndSayWhatLostDisputesLeaveBehind(t *testing.T) {
	text := edit(t, hall, "name: Chamber Music", "name: Chamber Music\nfraud: {challenge_everybody: true, challenge_from: 10, review_from: 20, deny_from: 30}\ndisputes: {resell_lost: true}")
	spec, err := Parse([]byte(text))
	if err != nil || spec.Fraud != (Fraud{true, 10, 20, 30}) || !spec.Disputes.ResellLost {
		t.Errorf("%+v, %+v, %v", spec.Fraud, spec.Disputes, err)
	}
	for _, bad := range []string{"fraud: {review_from: 0}", "fraud: {deny_from: 1001}", "fraud: {challenge_everybody: 3}", "disputes: {resell: true}"} {
		if _, err := Parse([]byte(edit(t, hall, "name: Chamber Music", "name: Chamber Music\n"+bad))); err == nil || !strings.Contains(err.Error(), bad[:5]) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
