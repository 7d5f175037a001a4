package notify

import "time"

// EventChanged are the values of KindEventChanged.
type EventChanged struct {
	Event       Event     // as it is now
	WasStartsAt time.Time // in the venue's zone; zero when the time is the same
	WasPlace    string    // name and city; empty when the venue is the same
	RefundUntil time.Time // in the venue's zone
}

// TicketMoved are the values of KindTicketMoved.
type TicketMoved struct {
	Event    Event
	From, To string // seats, "section/row/number"
}
