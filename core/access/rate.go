package access

import (
	"sync"
	"time"
)

// maxRated bounds whom one of the rates below remembers, some 60 bytes each.
const maxRated = 100_000

// rates limits how often each key does something, by the generic cell rate algorithm: burst at once, and one each every after that. It is
// this core's alone, and remembers nothing of who has been quiet. Any goroutine may use it.
type rates[K comparable] struct {
	burst int
	every time.Duration

	mu  sync.Mutex
	due map[K]time.Time // when a key that comes evenly would come next
}

func newRates[K comparable](burst int, every time.Duration) *rates[K] {
	return &rates[K]{burst: burst, every: every, due: make(map[K]time.Time)}
}

// wait is how long the key has to wait, 0 when it need not; it counts nothing.
func (r *rates[K]) wait(key K, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(0, r.dueOf(key, now).Sub(now)-time.Duration(r.burst-1)*r.every)
}

// take counts one of the key, if it need not wait; else it says how long.
func (r *rates[K]) take(key K, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	due := r.dueOf(key, now)
	if wait := due.Sub(now) - time.Duration(r.burst-1)*r.every; wait > 0 {
		return wait
	}
	if _, known := r.due[key]; !known && len(r.due) >= maxRated {
		r.forget(now)
	}
	r.due[key] = due.Add(r.every)
	return 0
}

// add counts one of the key, whether or not it has to wait.
func (r *rates[K]) add(key K, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	due := r.dueOf(key, now)
	if _, known := r.due[key]; !known && len(r.due) >= maxRated {
		r.forget(now)
	}
	r.due[key] = due.Add(r.every)
}

// undo takes back one that was counted.
func (r *rates[K]) undo(key K, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if due := r.due[key].Add(-r.every); due.After(now) {
		r.due[key] = due
	} else {
		delete(r.due, key)
	}
}

// idle is how long a key has to be quiet until it has used nothing of its burst.
func (r *rates[K]) idle(key K, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dueOf(key, now).Sub(now)
}

// used is how much of its burst a key has used at the moment, from 0 to 1 and above.
func (r *rates[K]) used(key K, now time.Time) float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dueOf(key, now).Sub(now).Seconds() / (float64(r.burst) * r.every.Seconds())
}

// dueOf is when the key would come next, now for one that has been quiet.
func (r *rates[K]) dueOf(key K, now time.Time) time.Time {
	if due := r.due[key]; due.After(now) {
		return due
	}
	return now
}

// forget drops the keys that have been quiet; when none has, one of them, which gets its burst anew.
func (r *rates[K]) forget(now time.Time) {
	var any K
	for key, due := range r.due {
		if any = key; !due.After(now) {
			delete(r.due, key)
		}
	}
	if len(r.due) >= maxRated {
		delete(r.due, any)
	}
}
