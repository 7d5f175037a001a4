// Package fraud judges payments: how fast cards, accounts and addresses turn up together, what does not match, and what the provider
// makes of it. It owns the tables fraud_observations and fraud_verdicts.
//
// It refuses to know anybody: accounts, addresses and cards come to it as keyed hashes (Marker), and no text of it has more than
// counts and country codes. It decides nothing about orders; package checkout asks it and acts.
//
// # Verdicts
//
//	allow      go on
//	challenge  go on if the buyer proves to their bank who they are (3-D Secure); paid without that proof it is a review
//	review     an operator decides before anything is sold; while nothing is paid yet it asks for the proof as well
//	deny       take no money
//
// A rule counts what was seen of a subject within a window, and has a verdict for more than so many. A signal has a weight; the
// weights add up to a score, which has a threshold for each verdict. The severest verdict counts, and every reason is kept with it.
//
// Nobody proves the e-mail address they write. What was seen of one may be a stranger's doing, so it has no verdict of its own: it
// is a signal beside others and leads to a challenge at most. Reviews and refusals follow from the entrant, the card and the provider.
//
// # When it is asked
//
// Twice for each payment. Before the provider is called (Begin) only account and address are known. When the money is authorized and
// nothing is sold yet (Authorized) the card and the provider's own signals may be. What was seen is inserted first, in a transaction of
// its own, and counted after it: of two cores that see the fourth card at the same moment at least one counts four.
//
// # When it cannot answer
//
// Judge always answers, within Config.Timeout. If the store is missing or slow it answers what Config.OnFailure says, with the
// reason store_unavailable and Stored false; payments go on.
//
// # Cost
//
// Questions are answered in batches, in a lane beside that of orders: per batch one insert of what was seen, one read and one insert
// of verdicts, whatever the number of payments. Rows live two days at most (Run sweeps them). Windows are rounded up to whole minutes.
//
// A Screen is safe for concurrent use.
package fraud
