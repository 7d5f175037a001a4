package payment

// Safeguard names one of the rules that keep money safe when calls are repeated, reordered, or late.
type Safeguard string

// The safeguards that a build with the tag sabotage can do without, by FAIRGATE_SABOTAGE.
const (
	// IdempotencyKeys: the same step of the same payment has the same key for ever.
	IdempotencyKeys Safeguard = "idempotency_keys"
	// OutboxOrder: tasks of one order run one at a time, in the order in which they fell due.
	OutboxOrder Safeguard = "outbox_order"
	// WebhookDedupe: an event counts once, however often it is told.
	WebhookDedupe Safeguard = "webhook_dedupe"
	// LateMoneyRule: what is authorized after its hold died is sold anew or given back.
	LateMoneyRule Safeguard = "late_money_rule"
)

// Safeguards lists them.
func Safeguards() []Safeguard {
	return []Safeguard{IdempotencyKeys, OutboxOrder, WebhookDedupe, LateMoneyRule}
}
