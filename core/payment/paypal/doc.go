// Package paypal makes payments with PayPal's Orders API: approved by the buyer on PayPal's own page, authorized by us once
// they have approved, captured later, in full or not at all. Requests are made with plutov/paypal; what that library leaves
// out (the idempotency key of some calls, one token for all goroutines, bounds of answers) is added here.
//
// It refuses to retry on its own: the outbox repeats calls, with the same key. It never puts a secret, a token or a
// provider's raw answer into an error or a log.
//
// # One payment at PayPal
//
//	Begin    POST /v2/checkout/orders, intent AUTHORIZE      order CREATED; its approval link is the client secret
//	buyer    approves on PayPal's page                        order APPROVED, webhook CHECKOUT.ORDER.APPROVED
//	Lookup   POST …/orders/{id}/authorize                     order COMPLETED with an authorization in it
//	Capture  POST …/authorizations/{id}/capture               final, of the whole amount
//	Void     POST …/authorizations/{id}/void                  or the order is closed, see below
//
// The payment's reference is the id of the order for all of its life. The authorization and the capture are found in the
// order. custom_id, which every object of PayPal's carries along, names payment, order and attempt: see custom.go.
//
// # Who authorizes
//
// Only Lookup, and only an order that is not closed. PayPal reserves nothing before that call, whatever the buyer does: an
// order is not authorized by being approved. PayPal cannot cancel an order either, so Void closes one that was never
// authorized by changing its custom_id, which only we can do and which every Lookup reads before it authorizes and again
// after. A Lookup that authorized while the order was being closed finds that out and voids the authorization itself. Void
// says Voided of an order that the buyer had approved only SettleAfter after it was closed, when no authorize call of before
// can be under way any more and none has left its mark; of one that was not approved at once, since whoever finds it
// approved later finds it closed as well. An approval that comes later than that moves no money, and PayPal lets the order
// expire within hours.
//
// # Keys
//
// Every call that changes something carries PayPal-Request-Id: Intent.Key(step). PayPal keeps the ids of orders for 6 hours
// and those of authorizations, captures and refunds for 45 days, and answers a repeated one with the latest state of what
// it made. Without a key nothing would be done twice either, only not be told: an order is authorized once, an authorization
// captured once, and an order that was begun twice has one approval link that a buyer sees.
//
// # Authorizations grow old
//
// PayPal honours an authorization for three days and keeps it for 29. One that is older is authorized anew before it is
// captured; if PayPal refuses that, the old one is tried.
//
// # Webhooks
//
// The signature is checked here, with a certificate that is fetched from PayPal's own hosts only and must be signed, through
// its chain, by a root of the system. An address at which PayPal has none is made up, and so is the webhook. Only when the
// certificate cannot be had does the webhook go to PayPal's call that verifies signatures; strangers can bring that about, so
// it has a small allowance of its own, beside the one that payments are made with, and what PayPal does not know is not asked
// about again for an hour.
//
// A Provider is safe for concurrent use.
package paypal
