package edge

import (
	"bytes"
	"compress/gzip"
	"container/list"
	"sync"
	"sync/atomic"
	"time"
)

// shelf remembers core's answers to what anybody may ask, the list of events and their pages, for as long as core says they are fresh.
// A change of the catalog, which the feed tells, ends their freshness at once. Memory is bounded by entries and bytes; what was used
// longest ago goes first. Equal questions that come together are asked of core once.
//
// Any number of goroutines may use it; what it hands out is never changed. Its lock is never held while core is asked.
type shelf struct {
	cfg     CatalogConfig
	now     func() time.Time
	counts  *counts
	version atomic.Uint64 // of the catalog, the newest that any core told

	mu      sync.Mutex
	byKey   map[string]*list.Element // of *shelved
	used    *list.List               // the latest used first
	bytes   int
	flights map[string]*flight
}

// shelved is an answer of core that may be given to anybody.
type shelved struct {
	key         string
	etag        string
	contentType string
	body, gzip  []byte
	maxAge      time.Duration
	at          time.Time // when core was asked
	version     uint64    // of the catalog at that time
}

// shelvedOverhead is about what an entry takes besides its bytes.
const shelvedOverhead = 400

// gzipFrom is the size from which compressing an answer is worth it.
const gzipFrom = 1 << 10

// flight is one question to core that several wait for.
type flight struct {
	done  chan struct{} // closed when the outcome is there
	entry *shelved
	other *unkept
	err   error
}

// unkept is an answer of core that is not kept.
type unkept struct {
	status                                 int
	contentType, cacheControl, etag, retry string
	body                                   []byte
}

func newShelf(cfg CatalogConfig, now func() time.Time, counts *counts) *shelf {
	return &shelf{cfg: cfg, now: now, counts: counts, byKey: make(map[string]*list.Element), used: list.New(), flights: make(map[string]*flight)}
}

// heard notes a version of the catalog. Of several cores the newest counts.
func (s *shelf) heard(version uint64) {
	for {
		known := s.version.Load()
		if version <= known || s.version.CompareAndSwap(known, version) {
			return
		}
	}
}

// find is what is remembered of a question, nil for nothing, and whether it is still fresh.
func (s *shelf) find(key []byte) (entry *shelved, fresh bool) {
	s.mu.Lock()
	element := s.byKey[string(key)]
	if element != nil {
		s.used.MoveToFront(element)
		entry = element.Value.(*shelved)
	}
	s.mu.Unlock()
	return entry, entry != nil && s.fresh(entry)
}

func (s *shelf) fresh(e *shelved) bool {
	return e.version == s.version.Load() && s.now().Sub(e.at) < e.maxAge
}

// age is how old an entry is, in whole seconds.
func (s *shelf) age(e *shelved) int { return max(0, int(s.now().Sub(e.at)/time.Second)) }

// usable tells whether an entry that is not fresh may be shown while core cannot be asked.
func (s *shelf) usable(e *shelved) bool {
	return e != nil && s.now().Sub(e.at) < e.maxAge+s.cfg.StaleFor
}

// fetch asks core, or waits for somebody who is at it. ask gets what is remembered, to have it confirmed, and sets the outcome.
func (s *shelf) fetch(key string, known *shelved, ask func(f *flight, known *shelved)) *flight {
	s.mu.Lock()
	if f := s.flights[key]; f != nil {
		s.mu.Unlock()
		s.counts.shelfShared.Inc()
		<-f.done
		return f
	}
	f := &flight{done: make(chan struct{})}
	s.flights[key] = f
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.flights, key)
		s.mu.Unlock()
		close(f.done)
	}()
	ask(f, known)
	return f
}

// put remembers an entry and makes room for it.
func (s *shelf) put(e *shelved) {
	size := e.size()
	if size > s.cfg.Bytes/8 || s.cfg.Entries == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.byKey[e.key]; old != nil {
		s.dropLocked(old)
	}
	for s.used.Len() > 0 && (s.used.Len() >= s.cfg.Entries || s.bytes+size > s.cfg.Bytes) {
		s.dropLocked(s.used.Back())
		s.counts.shelfFull.Inc()
	}
	s.byKey[e.key] = s.used.PushFront(e)
	s.bytes += size
}

func (s *shelf) dropLocked(element *list.Element) {
	e := s.used.Remove(element).(*shelved)
	delete(s.byKey, e.key)
	s.bytes -= e.size()
}

func (e *shelved) size() int { return 2*len(e.key) + len(e.body) + len(e.gzip) + shelvedOverhead }

// held is how many entries and bytes there are.
func (s *shelf) held() (entries, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used.Len(), s.bytes
}

// compress makes the shorter form of a body, nil when there is none worth sending.
func compress(body []byte) []byte {
	if len(body) < gzipFrom {
		return nil
	}
	var out bytes.Buffer
	z := zippers.Get().(*gzip.Writer)
	defer zippers.Put(z)
	z.Reset(&out)
	if _, err := z.Write(body); err != nil {
		return nil
	}
	if err := z.Close(); err != nil || out.Len() > len(body)*9/10 {
		return nil
	}
	return out.Bytes()
}

// zippers are kept: one has some hundred kilobytes of tables.
var zippers = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level exists
	return z
}}
