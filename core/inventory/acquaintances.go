package inventory

import (
	"sync"

	"github.com/bits-and-blooms/bloom/v3"
)

const (
	// metBuyers is how many buyers one filter takes before the next is begun; two are kept. At one stranger in a thousand
	// taken for an acquaintance, who is only looked up without need, each filter has 1.8 MB.
	metBuyers = 1_000_000
	metErrors = 0.001
	// cautious is how many batches are read in full after somebody taken for a stranger was none: a core that restarts, or
	// takes over from another, would otherwise meet one in every batch.
	cautious = 200
)

// acquaintances remember whose rows of quota this process has made or seen. Who is not among them is nearly always new.
// The zero value knows nobody. Any goroutine may use it.
type acquaintances struct {
	mu         sync.Mutex
	young, old *bloom.BloomFilter
	met        int // buyers in young
	caution    int // batches still to be read in full
}

// trust tells whether strangers of the next batch may be taken for new without looking.
func (a *acquaintances) trust() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.caution > 0 {
		a.caution--
		return false
	}
	return true
}

// mistook notes that somebody taken for new was not.
func (a *acquaintances) mistook() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.caution = cautious
}

// knowAny tells whether one of the counts belongs to somebody met before, or seems to.
func (a *acquaintances) knowAny(counts []count) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range counts {
		if a.young != nil && a.young.Test(counts[i].id[:]) || a.old != nil && a.old.Test(counts[i].id[:]) {
			return true
		}
	}
	return false
}

// meet remembers everybody a batch has read or written.
func (a *acquaintances) meet(snap *snapshot, p *plan) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id := range snap.quota {
		a.add(id[:])
	}
	for id, change := range p.quota {
		if change.fresh {
			a.add(id[:])
		}
	}
}

// add puts one more into the young filter. The caller holds a.mu.
func (a *acquaintances) add(id []byte) {
	if a.young == nil || a.met >= metBuyers {
		a.young, a.old, a.met = bloom.NewWithEstimates(metBuyers, metErrors), a.young, 0
	}
	a.young.Add(id)
	a.met++
}
