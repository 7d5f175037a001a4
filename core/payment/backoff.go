package payment

import (
	"strings"
	"time"
)

// maxErrorBytes bounds the text of an error that is kept in a row.
const maxErrorBytes = 500

// backoff is how long to wait after the n-th failed attempt, counted from 1: base doubled each time up to ceiling, then
// between half and one and a half of that, so that tasks that failed together do not come back together.
func backoff(base, ceiling time.Duration, n int, jitter func() float64) time.Duration {
	mean := base
	for ; n > 1 && mean < ceiling; n-- {
		mean *= 2
	}
	mean = min(mean, ceiling)
	return time.Duration(float64(mean) * (0.5 + jitter()))
}

// errorText is an error as a row can keep it: valid UTF-8 without zero bytes, and short.
func errorText(err error) string {
	if err == nil {
		return ""
	}
	text := strings.ReplaceAll(err.Error(), "\x00", "")
	if len(text) > maxErrorBytes {
		text = text[:maxErrorBytes]
	}
	return strings.ToValidUTF8(text, "")
}
