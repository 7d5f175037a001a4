package notify

// Kind is what a mail is about. Each has one template per language, see Languages, in templates/KIND.LANGUAGE.tmpl, and a Composer.
type Kind string

// The kinds of mails. Each is added to Kinds.
const (
	// KindTickets brings the tickets of an order; the subject is the order.
	KindTickets Kind = "tickets"
)

// Kinds are all kinds, for tests and operators.
var Kinds = []Kind{KindTickets}

// Languages are those in which every mail can be written. The first stands in for every other.
var Languages = []string{"en", "es", "de"}
