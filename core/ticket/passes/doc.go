// Package passes keeps the passes that are in wallets as their tickets are. It owns the tables wallet_passes and apple_registrations.
//
// A pass is one ticket in one kind of wallet of one owner; it is written down when it is given out (Service.Save). It shows the ticket as
// long as the ticket is its owner's, whatever seat and code that gets; once the ticket is somebody else's, or void, or listed for resale,
// the pass is void, and says nothing of what has become of the ticket. If the ticket comes back, so does the pass.
//
// # How wallets hear of a change
//
// Package ticket marks passes in the transaction that changes a ticket, and checkout those of an event that is moved, page by page while it
// tells the buyers: the version is one more, and the row is due. Run takes what is due:
//
//	            ticket changes                claimed: due is the end of a lease
//	at rest ───────────────────────▶ due ──────────────────────────────────────▶ telling
//	   ▲                              ▲  │ older than a day: given up               │
//	   │                              │  └──────────────▶ at rest                   │
//	   │                              ├─── failed: due later ───────────────────────┤
//	   │                              └─── told, but changed meanwhile: due now ────┤
//	   └────────────────────────────────── told ────────────────────────────────────┘
//
// Apple: every phone that has registered for the pass is sent a push that says nothing, and asks the web service what has changed. Google:
// the ticket's object and its event's class are patched. A process that dies in between leaves a lease that ends; then another core tells
// again. Telling is saying how it is now, so telling twice, or late, does no harm, and telling once says all that has changed before. A pass
// that is given up is still right for phones that ask. What Google does not have may be saved a moment later with a link that was opened before
// the change, and then be the former pass: it is told once more some minutes after (Config.Again). A link that is used later still is not noticed
// before the next change.
//
// Calls are made outside of transactions and bounded in time; Google's are limited to what Google takes. Each kind of wallet is told by itself, so
// that one whose service is slow or away keeps no other waiting.
//
// # Apple's web service
//
// https://developer.apple.com/documentation/walletpasses/adding-a-web-service-to-update-passes. Phones ask at edges, which pass on to
// package api. A phone proves with the token in the pass that it has it: HMAC-SHA256 under a key of core of the pass's name; every key of the
// ring is good, since a pass cannot be given another token. A phone asks for the list of its changed passes with its device id alone, which
// it alone knows. One pass has at most maxDevices phones, and one phone maxPasses passes.
//
// The tag that a phone is given, and gives back when it asks what has changed since, is a time somewhat before the database's when it asked:
// a change is dated when its transaction began, so one that has just been committed can be older than that. A phone may so be told twice.
// The time of a pass is whole seconds; see Saved.LastModified.
//
// Device ids and push tokens are kept no longer than they are of use: until the phone has the pass no more, the account that the pass was given
// to is forgotten (Forget), or the event has been over for some days (Sweeper). The pass itself names nobody, and stays.
//
// Everything here may be used from many goroutines.
package passes
