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
//	GET  /v1/charges/{id}                   one card charged, or declined       secret key
//	POST /v1/refunds                        give it back; GET lists             secret key
//	GET  /v1/refunds/{id}                   retrieve         secret key
//	GET  /v1/disputes, /v1/disputes/{id}    list, retrieve   secret key
//	POST /v1/disputes/{id}                  evidence[…], submit                 secret key
//	GET  /v1/balance                        what we hold     secret key
//	GET  /v1/balance_transactions[/{id}]    what moved it    secret key
//	GET  /v1/payouts[/{id}]                 what went to the merchant's bank    secret key
//	POST /v1/webhook_endpoints              where events go  secret key; field url
//	GET  /pay/{id}?client_secret=…          the form a person pays with; embed=1 and parent=ORIGIN in a frame
//	POST /pay/{id}                          fields client_secret, card (or number), return_url
//	GET  /_paysim/books                     the books, as JSON; entries=0 without lists, offset= and limit= in parts
//	GET  /_paysim/books.jsonl               a line for each entry, then the totals
//	GET  /_paysim/orders/{order}            what is on record about one order
//	POST /_paysim/clock                     {"advance":"72h"} moves the provider's clock; GET shows it   secret key
//	POST /_paysim/dispute                   {"payment_intent":"pi_…"} opens a dispute                  secret key
//	GET  /_paysim/health
//
// # What it copies faithfully
//
// Idempotency keys: the first answer to a key is kept for 24 hours and repeated, failures of the server too, with
// Idempotent-Replayed: true; the same key with other parameters is status 400; the same key while the first call runs is
// 409; what fails validation is not kept. Errors, declines by test card number, requires_action, partial capture, the
// signature of webhooks, their retries, and a rate limit that answers 429.
//
// Refunds that are pending or fail later, disputes from the first question to the bank's decision, fees, exchange rates,
// money that waits before it is available, daily payouts. A form in a frame posts {type: "paysim:done", status, height} to
// its parent, or "paysim:open" while the buyer has something to do.
//
// # Two clocks
//
// What takes days at a provider goes by the provider's own clock, which can be moved forward by hand or run faster:
// creation times, keys, authorizations (7 days), refunds, disputes, settlements, payouts. What happens between two programs
// goes by Config.Now: webhooks with their delays and retries, signatures, the rate limit, slow answers.
//
// # Misbehaviour
//
// On a seed, each with its own probability: answers lost after the work was done, connections cut before it, status 500
// before or after it, slow answers, calls that arrive late, bursts of 429, good cards declined, 3-D Secure never ended, captures refused because
// the authorization is gone, refunds and payouts that fail, disputes, webhooks twice, out of order, late, never, and before
// the answer to the call that caused them, statements with rows missing, made up or altered. See Faults.
//
// Whether something happens depends on the seed and on the merchant's own name of the thing (metadata payment_id or
// refund_id, the step, how often it was tried), not on the order in which calls arrive. So the same seed does the same to
// the same payments, whatever the interleaving.
//
// # What it does not do
//
// Customers, setup, files, currencies' minimum amounts and everything else of Stripe. A card that is asked for 3-D Secure by
// request_three_d_secure always asks its owner, unless it does not know 3-D Secure; Stripe lets some pass.
//
// # PayPal
//
// The same address speaks PayPal's protocol too, with books of its own under "paypal" in the books, and the same faults on
// the same seed. A token comes from POST /v1/oauth2/token with PayPal.ClientID and ClientSecret.
//
//	POST  /v2/checkout/orders                           intent AUTHORIZE only
//	GET   /v2/checkout/orders/{id}
//	PATCH /v2/checkout/orders/{id}                      custom_id only
//	POST  /v2/checkout/orders/{id}/authorize
//	GET   /v2/payments/authorizations/{id}              POST …/capture, …/void, …/reauthorize
//	GET   /v2/payments/captures/{id}                    POST …/refund
//	GET   /v2/payments/refunds/{id}
//	GET   /v1/customer/disputes, …/disputes/{id}        POST …/provide-evidence
//	GET   /v1/reporting/transactions                    at most 31 days and 10,000 rows
//	POST  /v1/notifications/verify-webhook-signature
//	GET   /v1/notifications/certs/{name}                the certificate that webhooks are signed with
//	GET   /checkoutnow?token={order}                    the page on which a person approves or cancels
//	POST  /checkoutnow                                  token, action: approve, decline or cancel; JSON if that is accepted
//	GET   /_paysim/paypal/ca.pem                        who vouches for the certificate, made anew at each start
//	POST  /_paysim/paypal/disputes                      secret key; capture or payment, reason, stage
//	POST  /_paysim/paypal/disputes/{id}                 secret key; outcome, amount_refunded, or stage=CHARGEBACK
//
// A PayPal-Request-Id is kept for 6 hours for orders and 45 days for payments; a repeated call is answered with what the
// object is like by then. An order ends after 6 hours, an authorization after 29 days, by the provider's clock.
//
// # Concurrency
//
// A Server is safe for concurrent use. One mutex guards all that is on record, and is never held across I/O. Deliver owns
// the goroutines that send webhooks and let time pass, and waits for them.
package paysim
