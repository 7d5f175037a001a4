//go:build sabotage

package payment

import (
	"log/slog"
	"os"
	"strings"

	"github.com/google/uuid"
)

// off is the safeguard that this process does without. It is read once: a build with the tag sabotage is for the negative
// controls of the soak and refuses nothing, so it must never serve buyers.
var off = func() Safeguard {
	s := Safeguard(os.Getenv("FAIRGATE_SABOTAGE"))
	slog.Warn("THIS BUILD IS FOR NEGATIVE CONTROLS: a safeguard may be switched off", "switched_off", string(s))
	return s
}()

// Sabotaged tells whether a safeguard is switched off.
func Sabotaged(s Safeguard) bool { return s == off }

// CountsAgain tells whether the event was told before and counts once more all the same: without WebhookDedupe.
func (e Event) CountsAgain() bool { return e.repeated && Sabotaged(WebhookDedupe) }

// claimSQL are the search for due tasks and their claim; without the order, tasks are taken while others of their order run.
func claimSQL() (due, claim string) {
	if !Sabotaged(OutboxOrder) {
		return sqlDue, sqlClaim
	}
	due, _, _ = strings.Cut(sqlDue, "\n\tAND (SELECT count(*) FROM outbox AS l")
	claim, _, _ = strings.Cut(sqlClaim, "\n\tAND (SELECT count(*) FROM outbox AS l")
	_, order, _ := strings.Cut(sqlDue, "ORDER BY")
	_, returning, _ := strings.Cut(sqlClaim, "RETURNING")
	return due + "\nORDER BY" + order, claim + "\nRETURNING" + returning
}

// salt makes every key another one where keys are switched off.
func salt() string {
	if Sabotaged(IdempotencyKeys) {
		return ":" + uuid.NewString()
	}
	return ""
}
