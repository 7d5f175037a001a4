// Package proof checks recorded histories (package history) against what an inventory promises: that it behaves as if
// every operation happened at one instant between its invocation and its response, in the order of the commit numbers;
// that nothing is sold twice; that what was acknowledged stays.
//
// It owns the checks and their verdict. It refuses to call a history proved in which there was nothing to check.
//
// # What is checked
//
//   - commits: the commit numbers of a stock row leave no gap, but for changes of its capacity, and are given once; the units that the recorded operations
//     take and give back are what the row says is taken, never below 0 or above capacity.
//   - real time: who was answered before another one asked has the smaller number.
//   - one order: there is a single order of all commits, over all rows, that agrees with every row's numbers and with
//     real time.
//   - holds: each is granted once, and closed at most once: released by its owner, or expired not before its deadline, or
//     sold, or sold and then taken back, whole or in parts; it gives back what it took and no more.
//   - answers: what a client was told of a hold was committed, is told the same whenever it is told again, and is not
//     told as active after it was closed; a release that was acknowledged has happened.
//   - refusals: "sold out", "not enough left" and "seat taken" were true at some moment between invocation and response,
//     or at most Options.Staleness before it where a client was told "sold out" from core's memory.
//   - counts: what was read of a stock row is a state it had at some moment of the reading.
//   - seats: the history of each seat is linearizable, as porcupine decides without the commit numbers.
//   - slices: so are slices of each stock row's history of up to 1,000 operations.
//
// All but the last two are one pass each over the operations in the order of their witness.
//
// # Unknown outcomes
//
// An operation without an answer may have happened or not. It is taken to have happened if something proves it: another
// commit has a later number and no other attempt can have had this one, or somebody was told of its hold. It is taken not
// to have happened if another commit has its number. What is neither proved nor refuted stays open and breaks nothing.
//
// # Histories of clients alone
//
// Without core's own histories the commits in between are not known: of such rows only real time, answers and the
// certainly simultaneous holds of a seat are checked. Holds of which the client did not hear again may have expired after
// their deadline.
package proof
