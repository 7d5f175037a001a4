// Package paysim is a stand-in for a payment provider. It speaks Stripe's HTTP protocol as far as Fairgate and a buyer's
// browser use it, moves no money, and keeps books of its own against which an audit can hold Fairgate's.
//
//	POST /v1/payment_intents                create           secret key
//	GET  /v1/payment_intents                list             secret key
//	GET  /v1/payment_intents/search         by metadata      secret key
//	GET  /v1/payment_intents/{id}           retrieve         secret key, or publishable key and client_secret
//	POST /v1/payment_intents/{id}/confirm   pay              publishable key and client_secret, or secret key
//	POST /v1/payment_intents/{id}/capture   take the money   secret key
//	POST /v1/payment_intents/{id}/cancel    let it go        secret key
//	POST /v1/refunds                        give it back     secret key
//	GET  /v1/balance                        what we hold     secret key
//	POST /v1/webhook_endpoints              where events go  secret key; field url
//	GET  /pay/{id}?client_secret=…          the form a person pays with
//	POST /pay/{id}                          fields client_secret, card (or number), return_url
//	GET  /_paysim/books                     the books, as JSON
//	GET  /_paysim/health
//
// # What it copies faithfully
//
// Idempotency keys: the first answer to a key is kept for 24 hours and repeated, failures of the server too, with
// Idempotent-Replayed: true; the same key with other parameters is status 400; the same key while the first call runs is
// 409; what fails validation is not kept. Errors, declines by test card number, requires_action, partial capture, the
// signature of webhooks, their retries, and a rate limit that answers 429.
//
// # Misbehaviour
//
// On a seed, each with its own probability: answers lost after the work was done, status 500 before or after it, slow
// answers, captures refused because the authorization is gone, webhooks twice, out of order, late, never, and before the
// answer to the call that caused them. See Faults. The n-th throw of a die is the same for the same seed; which request it
// falls on depends on the order of arrival.
//
// # What it does not do
//
// Customers, setup, disputes, payouts, currencies' minimum amounts and everything else of Stripe.
//
// # Concurrency
//
// A Server is safe for concurrent use. One mutex guards intents, keys and balances, and is never held across I/O. Deliver
// owns the goroutines that send webhooks and waits for them.
package paysim
