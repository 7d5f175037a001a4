package notify

// Kind is what a mail is about. Each has one template per language, see Languages, in templates/KIND.LANGUAGE.tmpl, and a Composer.
type Kind string

// The kinds of mails. Each is added to Kinds.
const (
	// KindTickets brings the tickets of an order; the subject is the order.
	KindTickets Kind = "tickets"
	// KindRefunded tells that money has gone back; the subject is the order, DataRefund the refund.
	KindRefunded Kind = "refunded"
	// KindEventCancelled tells that an event will not take place and its money goes back; the subject is the order.
	KindEventCancelled Kind = "event_cancelled"
	// KindSignInCode brings a one-time code, "code" of its data, to the address that it proves; the subject is the code's id.
	KindSignInCode Kind = "sign_in_code"
	// KindEventChanged says that an event takes place at another time or venue; the subject is the order.
	KindEventChanged Kind = "event_changed"
	// KindTicketMoved says that a ticket has another seat; the subject is the ticket.
	KindTicketMoved Kind = "ticket_moved"
	// KindTicketNews tells who has a ticket that somebody else paid for what becomes of it; the subject is the ticket, "what" of the data
	// what it is: cancelled, refunded, disputed, lost, restored, moved, changed.
	KindTicketNews Kind = "ticket_news"
	// KindTransferOffer tells somebody of a ticket that is offered, KindTransferCancelled that it no longer is; the others tell the giver
	// what became of it. The subject is the transfer.
	KindTransferOffer     Kind = "transfer_offer"
	KindTransferAccepted  Kind = "transfer_accepted"
	KindTransferDeclined  Kind = "transfer_declined"
	KindTransferExpired   Kind = "transfer_expired"
	KindTransferCancelled Kind = "transfer_cancelled"
	// KindWaitlistOffer tells somebody on a waiting list of an offer, the subject.
	KindWaitlistOffer Kind = "waitlist_offer"
	// KindUnpaidOrder leads back to an order that is not paid yet, its subject.
	KindUnpaidOrder Kind = "unpaid_order"
	// KindReminder tells who asked for it that a waiting room or a sale has opened, or that tickets are back; the subject is the event,
	// DataOccasion which of them.
	KindReminder Kind = "reminder"
)

// DataRefund is the refund in the data of KindRefunded.
const DataRefund = "refund"

// DataOccasion is the occasion in the data of KindReminder: room_opens, sale_opens or returned, with ":" and its id of a presale. DataAccount is
// whose reminder it is.
const DataOccasion, DataAccount = "occasion", "account"

// TransferKinds are those about a transfer, whose composer gives them a Transfer.
var TransferKinds = []Kind{KindTransferOffer, KindTransferAccepted, KindTransferDeclined, KindTransferExpired, KindTransferCancelled}

// Kinds are all kinds, for tests and operators.
var Kinds = append([]Kind{KindTickets, KindRefunded, KindEventCancelled, KindSignInCode, KindEventChanged, KindTicketMoved, KindTicketNews, KindWaitlistOffer, KindReminder, KindUnpaidOrder}, TransferKinds...)

// Languages are those in which every mail can be written. The first stands in for every other.
var Languages = []string{"en", "es", "de"}
