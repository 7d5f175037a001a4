package access

import "errors"

// What callers branch on. Everything else is the database's own error, wrapped.
var (
	// ErrNoSale means the event has no on-sale yet.
	ErrNoSale = errors.New("the event has no on-sale")
	// ErrNotOpen means joining has not begun.
	ErrNotOpen = errors.New("the waiting room is not open yet")
	// ErrEnded means the on-sale is over.
	ErrEnded = errors.New("the on-sale is over")
	// ErrCancelled means the event will not take place: it is not put on sale any more.
	ErrCancelled = errors.New("the event is cancelled")
	// ErrStarted means the on-sale is past its sale instant and cannot be scheduled anew before it has ended.
	ErrStarted = errors.New("the on-sale has started")
	// ErrTimes means the times of an on-sale contradict each other or the clock.
	ErrTimes = errors.New("the times of the on-sale do not fit")
	// ErrGeneration means the caller speaks of an on-sale of the event that is not the current one.
	ErrGeneration = errors.New("another on-sale of the event is current")
	// ErrTooMany means a batch is longer than allowed.
	ErrTooMany = errors.New("the batch is too long")

	// ErrTokenMalformed means the bytes are no admission token.
	ErrTokenMalformed = errors.New("the admission token is malformed")
	// ErrTokenForged means no registered key made the token's signature.
	ErrTokenForged = errors.New("the admission token is forged")
	// ErrTokenExpired means the token was good once.
	ErrTokenExpired = errors.New("the admission token has expired")
	// ErrTokenKeyUnknown means the token names a key that is not registered, was revoked, or was not valid when it signed.
	ErrTokenKeyUnknown = errors.New("the key of the admission token is unknown")
	// ErrTokenOtherEvent means token, key and request do not speak of one and the same on-sale.
	ErrTokenOtherEvent = errors.New("the admission token is for another on-sale")
	// ErrNotInPool means the entrant is in no sealed window.
	ErrNotInPool = errors.New("the entrant is not in the sealed pool")
	// ErrNotCalled means the entrant's turn has not come.
	ErrNotCalled = errors.New("the entrant has not been called yet")
	// ErrRoomFull means the entrant's turn has come and as many as allowed are inside. The turn is kept; asking again is right.
	ErrRoomFull = errors.New("the room is full")
	// ErrBoundElsewhere means the entrant belongs to another device.
	ErrBoundElsewhere = errors.New("the entrant is bound to another device")
	// ErrAccountNeeded means the on-sale is for signed-in accounts, and the entrant is not the one who is signed in in this browser.
	ErrAccountNeeded = errors.New("the entrant's account is not signed in")
	// ErrPaused means the operator has paused the on-sale.
	ErrPaused = errors.New("the on-sale is paused")
	// ErrSoldOut means nothing is left and nothing can come back for now.
	ErrSoldOut = errors.New("the event is sold out")
	// ErrBanned means the entrant, their device or their network is banned.
	ErrBanned = errors.New("banned")

	// ErrSessionMalformed means the bytes are no session.
	ErrSessionMalformed = errors.New("the session is malformed")
	// ErrSessionForged means core did not make the session.
	ErrSessionForged = errors.New("the session is forged")
	// ErrSessionExpired means the session was good once.
	ErrSessionExpired = errors.New("the session has expired")
	// ErrSessionMoved means the entrant's account has taken its turn to another browser since.
	ErrSessionMoved = errors.New("the session was taken to another browser")
	// ErrDeviceMismatch means a session or token is shown by another device than its own.
	ErrDeviceMismatch = errors.New("shown by another device")

	// ErrEdgeUnknown means the edge token names no enrolled edge, or an earlier boot of it.
	ErrEdgeUnknown = errors.New("the edge is not enrolled")
	// ErrKeyRefused means an edge's signing key cannot be registered as asked.
	ErrKeyRefused = errors.New("the signing key is refused")

	// ErrBanInvalid means a ban names no subject there can be.
	ErrBanInvalid = errors.New("the ban is invalid")
	// ErrBanUnknown means there is no such ban in force.
	ErrBanUnknown = errors.New("no such ban is in force")
)

// errFenced means another core drives the on-sale now. It never leaves the package.
var errFenced = errors.New("the lease of the on-sale is lost")

// errOvertaken means the row changed since the driver looked; it looks again at its next tick.
var errOvertaken = errors.New("the on-sale changed meanwhile")
