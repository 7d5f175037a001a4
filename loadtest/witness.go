package loadtest

import (
	"maps"
	"slices"
	"sync"

	"fairgate/edge/lottery"
)

// Witness is what buyers and bots can testify: the audit holds it against the database, the provider's books and the transcript.
// All methods may be called by any goroutine.
type Witness struct {
	mu       sync.Mutex
	receipts []SeenReceipt
	tickets  []SeenTicket
	orders   []SeenOrder
	bots     map[lottery.Entrant]string // entrants that bots joined as, by kind
	crimes   []Crime
	attempts map[string]int64 // forbidden things tried, by name
	doors    *DoorsSeen       // nil until the gates have closed
	between  *AfterwardsSeen  // nil unless something was sold on or handed on
}

// SeenReceipt is a signed receipt that somebody was given at joining.
type SeenReceipt struct {
	Entrant lottery.Entrant
	Receipt []byte
}

// SeenTicket is a ticket that somebody has in hand.
type SeenTicket struct {
	ID, Order, Tier, Seat, Code string

	Dead []string // codes it had before and must not enter with
	Gone bool     // sold on: Dead is all that is left of it
}

// SeenOrder is an order somebody was told is complete.
type SeenOrder struct {
	ID       string
	Minor    int64
	Currency string
	Tickets  int
}

// Crime is a forbidden thing that worked.
type Crime struct {
	Bot    int    `json:"bot"`
	Kind   string `json:"kind"`
	Try    string `json:"try"`
	Detail string `json:"detail"`
}

// NewWitness has seen nothing yet.
func NewWitness() *Witness {
	return &Witness{bots: make(map[lottery.Entrant]string), attempts: make(map[string]int64)}
}

// Receipt testifies that an entrant was given a receipt.
func (w *Witness) Receipt(e lottery.Entrant, receipt []byte) {
	w.mu.Lock()
	w.receipts = append(w.receipts, SeenReceipt{e, receipt})
	w.mu.Unlock()
}

// Ticket testifies that a buyer has a ticket.
func (w *Witness) Ticket(t SeenTicket) {
	w.mu.Lock()
	w.tickets = append(w.tickets, t)
	w.mu.Unlock()
}

// Order testifies that a buyer was told an order is complete.
func (w *Witness) Order(o SeenOrder) {
	w.mu.Lock()
	w.orders = append(w.orders, o)
	w.mu.Unlock()
}

// Bot testifies that an entrant is a bot's.
func (w *Witness) Bot(e lottery.Entrant, kind string) {
	w.mu.Lock()
	w.bots[e] = kind
	w.mu.Unlock()
}

// Tried counts a forbidden thing that a bot tried and whether it worked.
func (w *Witness) Tried(try string, worked bool, bot int, kind, detail string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.attempts[try]++
	if worked {
		w.crimes = append(w.crimes, Crime{Bot: bot, Kind: kind, Try: try, Detail: detail})
	}
}

// loot is what a bot can steal from an honest buyer: everything but the device secret, which never leaves its browser.
type loot struct {
	pass    cookie
	session cookie
	token   string // text of an admission token
	hold    string // id
	order   string
}

// maxLoot bounds the pot: enough to choose from.
const maxLoot = 512

// pot is where honest buyers' passes, tokens and sessions leak to bots.
type pot struct {
	mu  sync.Mutex
	all []loot
}

func (p *pot) put(l loot) {
	p.mu.Lock()
	if len(p.all) < maxLoot {
		p.all = append(p.all, l)
	}
	p.mu.Unlock()
}

// steal returns the n-th loot, counting around. False while nothing has leaked.
func (p *pot) steal(n int) (loot, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.all) == 0 {
		return loot{}, false
	}
	return p.all[n%len(p.all)], true
}

// Receipts are the receipts given at joining.
func (w *Witness) Receipts() []SeenReceipt {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.receipts)
}

// Tickets are the tickets in hand.
func (w *Witness) Tickets() []SeenTicket {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.tickets)
}

// Orders are the orders that buyers were told are complete.
func (w *Witness) Orders() []SeenOrder {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.orders)
}

// Crimes are the forbidden things that worked.
func (w *Witness) Crimes() []Crime {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.crimes)
}

// Between testifies what happened between the sale and the doors.
func (w *Witness) Between(seen AfterwardsSeen) {
	w.mu.Lock()
	w.between = &seen
	w.mu.Unlock()
}

// Afterwards is what happened between the sale and the doors; nil when nothing was to happen.
func (w *Witness) Afterwards() *AfterwardsSeen {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.between
}

// Changed testifies that a ticket has another code by now.
func (w *Witness) Changed(ticket, code string) {
	w.retire(ticket, func(t *SeenTicket) { t.Code = code })
}

// Gone testifies that a ticket was sold on.
func (w *Witness) Gone(ticket string) {
	w.retire(ticket, func(t *SeenTicket) { t.Code, t.Gone = "", true })
}

// retire ends a ticket's code.
func (w *Witness) retire(ticket string, change func(*SeenTicket)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.tickets {
		if t := &w.tickets[i]; t.ID == ticket {
			t.Dead = append(t.Dead, t.Code)
			change(t)
		}
	}
}

// AtDoors testifies what happened at the gates.
func (w *Witness) AtDoors(seen DoorsSeen) {
	w.mu.Lock()
	w.doors = &seen
	w.mu.Unlock()
}

// Doors is what happened at the gates; nil when nobody went there.
func (w *Witness) Doors() *DoorsSeen {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.doors
}

// Attempts counts the forbidden things that were tried, by name.
func (w *Witness) Attempts() map[string]int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.attempts)
}

// BotEntrants are the entrants that bots joined as, with the bot's kind.
func (w *Witness) BotEntrants() map[lottery.Entrant]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.bots)
}
