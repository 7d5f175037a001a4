//go:build !sabotage

package payment

// Sabotaged tells whether a safeguard is switched off. It never is: see sabotage_on.go for the build in which it can be, to
// show that the soak of the money notices.
func Sabotaged(Safeguard) bool { return false }

// CountsAgain tells whether the event was told before and counts once more all the same. It never does.
func (e Event) CountsAgain() bool { return false }

// claimSQL are the search for due tasks and their claim.
func claimSQL() (due, claim string) { return sqlDue, sqlClaim }

// salt is nothing: keys follow from what they are for.
func salt() string { return "" }
