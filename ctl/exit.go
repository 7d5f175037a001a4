package ctl

import (
	"errors"
	"fmt"
	"net/http"
)

// Exit codes. Scripts may rely on them.
const (
	ExitOK          = 0 // done
	ExitFailure     = 1 // anything not listed below
	ExitUsage       = 2 // unknown command or flag, missing or malformed argument or setting
	ExitVerdict     = 3 // a verification ran and found something wrong
	ExitUnreachable = 4 // core or the database does not answer, or cannot serve now
	ExitNotFound    = 5 // there is no such event, order, ban …
	ExitRefused     = 6 // core refused, or a file is not what it should be: wrong secret, invalid input, not possible in this state
)

const exitCodesHelp = `Exit codes of every command:

  0  done
  1  anything not listed below
  2  unknown command or flag, missing or malformed argument or setting
  3  a verification ran and found something wrong
  4  core or the database does not answer, or cannot serve now
  5  there is no such event, order, ban …
  6  core refused, or a file is not what it should be: wrong secret, invalid input, not possible in this state`

// errNotVerified means that a verification ran and found something wrong. What it found is on standard output.
var errNotVerified = errors.New("verification failed")

// errDatabaseAway means that the database does not answer.
var errDatabaseAway = errors.New("the database does not answer")

// usageError is a mistake in the command line, the environment or the settings file.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// inputError is a file that is not what it should be.
type inputError struct{ err error }

func (e inputError) Error() string { return e.err.Error() }
func (e inputError) Unwrap() error { return e.err }

// exitCode says how the process ends after err.
func exitCode(err error) int {
	var usage usageError
	var input inputError
	var problem *problemError
	var unreachable *unreachableError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &input):
		return ExitRefused
	case errors.As(err, &usage):
		return ExitUsage
	case errors.Is(err, errNotVerified), errors.Is(err, ErrVerdict):
		return ExitVerdict
	case errors.As(err, &unreachable), errors.Is(err, errDatabaseAway):
		return ExitUnreachable
	case errors.As(err, &problem):
		return problem.exitCode()
	default:
		return ExitFailure
	}
}

// exitCode sorts a problem by its HTTP status.
func (p *problemError) exitCode() int {
	switch {
	case p.Status == http.StatusNotFound:
		return ExitNotFound
	case p.Status == http.StatusServiceUnavailable, p.Status == http.StatusTooManyRequests, p.Status == http.StatusBadGateway, p.Status == http.StatusGatewayTimeout:
		return ExitUnreachable
	case p.Status >= 400 && p.Status < 500:
		return ExitRefused
	default:
		return ExitFailure
	}
}
