package payment

// Safeguard names one of the rules that keep money safe when calls are repeated, reordered, or late.
//
// A rule may be kept in several layers, of which each alone would do in most cases. A name covers all layers that are the rule,
// so that without it the rule is really gone. It does not cover what is another rule and happens to catch the same mishap: the
// state table, the ledger's refusal to end a pending transfer twice, the database's one ticket for a seat.
type Safeguard string

// The safeguards that a build with the tag sabotage can do without, by FAIRGATE_SABOTAGE. What follows when one is missing is
// what the soak must see (make soak-negative); nothing else is done wrong.
const (
	// IdempotencyKeys: the same step of the same payment has the same key for ever. One layer: Intent.Key and Refund.Key. Without
	// it each call has a key of its own, and what is repeated after a lost answer is done twice.
	IdempotencyKeys Safeguard = "idempotency_keys"
	// OutboxOrder: tasks of one order run one at a time, in the order in which they fell due. Three layers: the search and the
	// claim pass over tasks of orders of which one is leased, and of one search only the first of each order is claimed. Without
	// it an order's void finds nothing at the provider while its begin is still on its way there.
	OutboxOrder Safeguard = "outbox_order"
	// WebhookDedupe: an event counts once, however often it is told. Three layers: the inbox hands on only the first of an id;
	// the row of a payment or a dispute knows what it was told; what follows has an id made from what it is about, so that it is
	// found when it is made again. Without it a dispute's money is taken in the books again, and a capture issues tickets again.
	// Refunds keep a layer that is the ledger's: its pending transfers end once, by key.
	WebhookDedupe Safeguard = "webhook_dedupe"
	// LateMoneyRule: what is authorized or captured after its hold died is sold anew or given back. Two places: the void of a
	// dead order's payment, and the decision about late captures. Without it such money stays where it is; payments that are not
	// paid yet are still cancelled.
	LateMoneyRule Safeguard = "late_money_rule"
)

// Safeguards lists them.
func Safeguards() []Safeguard {
	return []Safeguard{IdempotencyKeys, OutboxOrder, WebhookDedupe, LateMoneyRule}
}
