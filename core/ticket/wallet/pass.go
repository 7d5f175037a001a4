package wallet

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

var (
	// ErrUnavailable means that this ticket cannot be put into that wallet here: it is not configured, its certificate is not valid
	// now, or the ticket's codes change and there is no page to show them.
	ErrUnavailable = errors.New("wallet: unavailable")
	// ErrBusy means that too much is being signed; asking again later is all there is to do.
	ErrBusy = errors.New("wallet: busy")
)

// Pass is what a wallet is told of a ticket.
type Pass struct {
	Ticket uuid.UUID
	Epoch  uint32
	Named  uint32 // the epoch in the pass's name, which it keeps while the ticket changes; 0: the ticket's own
	Token  string // what a phone proves with that it has the pass when it asks for changes; empty: the pass stays as it is
	Code   string // what the QR code shows, see package code
	Seed   []byte // of the code's rotating part; nil where codes stand still
	Void   bool
	Tier   string // as buyers read it
	Seat   string // "section/row/number", empty for general admission
	Page   string // where the ticket is shown; empty: nowhere

	Event    Event
	StartsAt time.Time // in the event's zone
	ClosesAt time.Time // from when on the ticket opens no gate
}

// Event is what a pass says of its event.
type Event struct {
	Slug    string
	Name    string
	Venue   string
	Address string // city and country
	Place   *Place // nil where it is not known
}

// Place is a point on the earth, in degrees.
type Place struct{ Latitude, Longitude float64 }

// Name is that of a pass within a wallet.
func Name(ticket uuid.UUID, epoch uint32) string {
	return ticket.String() + "-" + strconv.FormatUint(uint64(epoch), 10)
}

// ParseName reads what Name writes, and nothing else.
func ParseName(name string) (ticket uuid.UUID, epoch uint32, ok bool) {
	if len(name) < 38 || name[36] != '-' {
		return uuid.Nil, 0, false
	}
	ticket, err := uuid.Parse(name[:36])
	n, err2 := strconv.ParseUint(name[37:], 10, 32)
	epoch = uint32(n)
	return ticket, epoch, err == nil && err2 == nil && Name(ticket, epoch) == name
}

// name is the pass's own.
func (p Pass) name() string {
	if p.Named != 0 {
		return Name(p.Ticket, p.Named)
	}
	return Name(p.Ticket, p.Epoch)
}

// seat is the place in three parts; the section alone where a name has fewer.
func (p Pass) seat() (section, row, number string) {
	parts := strings.SplitN(p.Seat, "/", 3)
	if len(parts) < 3 {
		return p.Seat, "", ""
	}
	return parts[0], parts[1], parts[2]
}

// place is what stands below a code for the eye of the person at the gate.
func (p Pass) place() string {
	if p.Seat != "" {
		return p.Seat
	}
	return p.Tier
}
