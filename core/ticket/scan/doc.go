// Package scan owns the tables gates, scans and entries: gates on line, and what those off line bring home.
//
// On line the state is exact. A scan is one serializable transaction that reads the ticket, moves its entry and writes the scan: of
// two at once the first wins, and the second is refused with the time and the gate of the first. What decides is package gate's, the
// same as off line.
//
//   - The process dies before the commit: nothing happened, the gate asks again. After it: the gate asks again with the same scan id and
//     gets the answer that was committed.
//   - A ticket is refunded at the same instant: one of the two is first. Who was inside before stays inside, and the scan is kept.
//   - A log is merged twice, or two logs in any order: scans have ids, and entries are made anew from all passes of a ticket by time
//     (gate.Rules.Replay), so it comes to the same. Passes that another one before should have prevented are found as duplicates;
//     passes off line with a code that was dead by then are found as void or superseded.
//   - Companions come with or after those whom they accompany, where the event says so (companion.go).
//   - The event is cancelled: from the commit on every ticket of it is void at the gates.
//   - A scan is undone: it stays, with who undid it and why, and counts for nothing.
//
// A gate has a credential that is good for its own event and gate alone: it scans, undoes its own scans, merges its own log and reads the
// pack. Codes are never stored here, nor is the secret of a credential.
//
// A Service may be used from many goroutines.
package scan
