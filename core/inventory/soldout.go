package inventory

import (
	"sync"
	"time"
)

// soldOut remembers which stock was seen full, so that the crowd after the last ticket does not queue at the writers.
// What it says may be as old as ttl: units that another core gives back in that time are missed, units that this core
// gives back are known at once. It only refuses; nothing is ever granted from memory.
type soldOut struct {
	ttl time.Duration

	mu   sync.RWMutex
	seen map[stockKey]time.Time // when the row was found full, before the reading began
}

// refuses tells whether a request is for units of general admission of which some are sold out. Requests that could be
// refused for a reason of their own go to the writer, which knows which reason comes first.
func (m *soldOut) refuses(o *op, now time.Time) bool {
	if m.ttl <= 0 {
		return false
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	if len(m.seen) == 0 {
		return false
	}
	full, units := false, 0
	for _, item := range o.items {
		tier, ok := o.offer.Tiers[item.Tier]
		if !ok || tier.Kind != General || len(item.Seats) > 0 {
			return false
		}
		units += item.Quantity
		at, ok := m.seen[stockKey{o.event, item.Tier, orElse(item.Allocation, tier.Allocation)}]
		full = full || ok && now.Sub(at) < m.ttl
	}
	return full && int64(units) <= o.offer.limit()
}

// forget lets a row be asked for again.
func (m *soldOut) forget(key stockKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.seen, key)
}

// learn takes note of the rows of a batch as they are after its commit. readAt is when the reading began.
func (m *soldOut) learn(snap *snapshot, p *plan, readAt time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, row := range snap.stock {
		taken := row.taken + p.stock[key]
		if written, ok := p.after[key]; ok {
			taken = written.Taken // others may have been there since the reading
		}
		if taken >= row.capacity {
			m.seen[key] = readAt
		} else {
			delete(m.seen, key)
		}
	}
	for key, change := range p.stock {
		if change < 0 {
			delete(m.seen, key)
		}
	}
}
