package notify

import (
	"time"

	"github.com/google/uuid"

	"fairgate/ledger"
)

// What the templates of the kinds of this package are given.

// Event is what mails say of an event.
type Event struct {
	Name     string
	Venue    string
	City     string
	StartsAt time.Time // in the venue's zone
	URL      string    // of its page; empty where core does not know the pages' address
}

// Place is one ticket in words: its tier and, where it has one, its seat.
type Place struct {
	Tier string
	Seat string // "section/row/number"
}

// Tickets are the values of KindTickets.
type Tickets struct {
	Event  Event
	Order  uuid.UUID
	URL    string // of the order's page; empty where core does not know the pages' address
	Places []Place
	Paid   ledger.Amount
	// Rotating says that the codes change all the time: on paper there is none.
	Rotating bool
	Wallet   bool // passes for a wallet are attached
}

// Refunded are the values of KindRefunded.
type Refunded struct {
	Event  Event
	Order  uuid.UUID
	Amount ledger.Amount
	Late   bool // the money came too late to buy anything
}

// Cancelled are the values of KindEventCancelled.
type Cancelled struct {
	Event  Event
	Order  uuid.UUID
	Amount ledger.Amount // that goes back
}

// TicketNews are the values of KindTicketNews. Nothing in them is of who paid for the ticket.
type TicketNews struct {
	What        string // cancelled, refunded, disputed, lost, restored, moved, changed
	Event       Event  // as it is now
	Place       Place
	From        string    // of moved: the seat that it had
	WasStartsAt time.Time // of changed, in the venue's zone; zero when the time is the same
	WasPlace    string    // of changed: name and city; empty when the venue is the same
}

// Transfer are the values of the TransferKinds. Whose address may not be shown whole is masked.
type Transfer struct {
	Event   Event
	Place   Place
	From    string    // the giver, masked
	To      string    // the receiver; to the giver, who wrote it
	Expires time.Time // in the venue's zone
	Site    string    // where to sign in; empty where core does not know the pages' address
}

// WaitlistOffer are the values of KindWaitlistOffer.
type WaitlistOffer struct {
	Event   Event
	Tier    string
	Seats   []string // "section/row/number"; none where there are none
	Units   int
	Wanted  int  // as many as were asked for
	Resold  bool // from another buyer
	Amount  ledger.Amount
	Expires time.Time // in the venue's zone
	Site    string    // where offers are answered, after signing in; empty where core does not know the pages' address
}

// UnpaidOrder are the values of KindUnpaidOrder.
type UnpaidOrder struct {
	Event  Event
	Places []Place
	Amount ledger.Amount
	Until  time.Time // in the venue's zone: the places are kept until then
	URL    string    // where to go on; whoever has it can pay, so it is in no log and no database
	Site   string    // where orders are found again after signing in, without a script; empty where core does not know the pages' address
}

// Reminder are the values of KindReminder.
type Reminder struct {
	Event    Event
	Occasion string // room_opens, sale_opens or returned
	Sale     string // the presale's name; empty: general sale
	// Unsubscribe is where reminders of the event are withdrawn; empty: nowhere.
	Unsubscribe string
}
