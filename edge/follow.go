package edge

import "sync"

// followsPerSession is how many looks at orders one session may have waiting for news: a page in two tabs, and one that is loaded again.
const followsPerSession = 3

// follows are the looks at orders that wait at core for news. Any goroutine may enter and leave.
type follows struct {
	limit int // of all sessions together; fixed

	mu        sync.Mutex
	all       int
	bySession map[[16]byte]int
}

// enter takes a place for a session; false when there is none. leave gives it back.
func (f *follows) enter(session [16]byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all >= f.limit || f.bySession[session] >= followsPerSession {
		return false
	}
	if f.bySession == nil {
		f.bySession = make(map[[16]byte]int)
	}
	f.all++
	f.bySession[session]++
	return true
}

func (f *follows) leave(session [16]byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all--
	if f.bySession[session]--; f.bySession[session] == 0 {
		delete(f.bySession, session)
	}
}
