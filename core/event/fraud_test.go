package event_test

import (
	"strings"
	"testing"

	"fairgate/core/event"
)

func TestAnEventFileMayBeStricterWithPaymentsAndSayWhatLostDisputesLeaveBehind(t *testing.T) {
	text := strings.Replace(hall, "name: Chamber Music", "name: Chamber Music\nfraud: {challenge_everybody: true, challenge_from: 10, review_from: 20, deny_from: 30}\ndisputes: {resell_lost: true}", 1)
	spec, err := event.Parse([]byte(text))
	if err != nil || spec.Fraud != (event.Fraud{true, 10, 20, 30}) || !spec.Disputes.ResellLost {
		t.Errorf("%+v, %+v, %v", spec.Fraud, spec.Disputes, err)
	}
	for _, bad := range []string{"fraud: {review_from: 0}", "fraud: {deny_from: 1001}", "fraud: {challenge_everybody: 3}", "disputes: {resell: true}"} {
		if _, err := event.Parse([]byte(strings.Replace(hall, "name: Chamber Music", "name: Chamber Music\n"+bad, 1))); err == nil || !strings.Contains(err.Error(), bad[:5]) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
