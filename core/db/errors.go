package db

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Outcomes of a transaction that callers branch on.
var (
	// ErrAmbiguous means the transaction may or may not have been committed. Find out by its idempotency key; never
	// assume either way and never simply run it again.
	ErrAmbiguous = errors.New("the outcome of the commit is unknown")
	// ErrUnavailable means the database could not do the work now and nothing was committed: it cannot be reached, is
	// shutting down, has no connection free, or conflicts did not end within the retry bound. Trying later is safe.
	ErrUnavailable = errors.New("the database is not available")
	// ErrConflict comes together with ErrUnavailable when the retry bound was used up by serialization failures.
	ErrConflict = errors.New("conflicts with other transactions did not end within the retry bound")
)

// SQLSTATE codes the package acts on.
const (
	codeSerialization   = "40001"
	codeUnknownOutcome  = "40003"
	codeDeadlock        = "40P01"
	codeUniqueViolation = "23505"
	codeCheckViolation  = "23514"
	codePrivilege       = "42501"
	codeUndefinedTable  = "42P01"
	codeCockroachRetry  = "CR000"
)

// pgErrorOf finds the server's own error in the chain, or nil.
func pgErrorOf(err error) *pgconn.PgError {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg
	}
	return nil
}

// Violates tells whether err is a violation of the named constraint or unique index.
func Violates(err error, constraint string) bool {
	pg := pgErrorOf(err)
	return pg != nil && strings.HasPrefix(pg.Code, "23") && pg.ConstraintName == constraint
}

// IsUnique tells whether err is a violation of a primary key, UNIQUE constraint or unique index.
func IsUnique(err error) bool {
	pg := pgErrorOf(err)
	return pg != nil && pg.Code == codeUniqueViolation
}

// IsCheck tells whether err is a violation of a CHECK constraint.
func IsCheck(err error) bool {
	pg := pgErrorOf(err)
	return pg != nil && pg.Code == codeCheckViolation
}

// IsUnavailable tells whether err means that the database cannot serve now: ErrUnavailable, or an outage met by a
// statement that ran outside InTx.
func IsUnavailable(err error) bool { return errors.Is(err, ErrUnavailable) || isOutage(err) }

// isRetryable tells whether the server asks to run the whole transaction again.
func isRetryable(err error) bool {
	pg := pgErrorOf(err)
	return pg != nil && (pg.Code == codeSerialization || pg.Code == codeDeadlock || pg.Code == codeCockroachRetry)
}

// isOutage tells whether err says that the server or the way to it is gone, as opposed to a statement being wrong.
func isOutage(err error) bool {
	if pg := pgErrorOf(err); pg != nil {
		return outageCode(pg.Code)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false // the caller's own clock, unless it says otherwise
	}
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || isClosed(err)
}

// outageCode lists the classes and codes in which a server says that it cannot serve now.
func outageCode(code string) bool {
	switch code {
	case "57P01", // admin_shutdown
		"57P02", // crash_shutdown
		"57P03": // cannot_connect_now: starting up or shutting down
		return true
	}
	return strings.HasPrefix(code, "08") || // connection exceptions
		strings.HasPrefix(code, "53") // out of connections, memory or disk
}

// commitIsUndone tells whether an error that COMMIT (or CockroachDB's RELEASE) answered proves that nothing was
// committed. Only a plain error report of a server that keeps the connection open does. pgconn.SafeToRetry must not be
// asked here: a connection lost while the answer is read is reported as one that was closed before anything was sent.
func commitIsUndone(err error) bool {
	pg := pgErrorOf(err)
	return pg != nil && pg.Severity == "ERROR" && pg.Code != codeUnknownOutcome && !outageCode(pg.Code)
}
