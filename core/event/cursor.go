package event

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"fairgate/edge/lottery"
)

// ErrCursor means that a text is no cursor a list of events gave.
var ErrCursor = errors.New("event: malformed cursor")

// lastMicros is after every start an event file may have.
const lastMicros = 7_289_654_400_000_000 // 2201

// Cursor is the last event of a page: lists of events are ordered by start and slug, and go on after it whatever was added or
// removed meanwhile.
type Cursor struct {
	StartsAt time.Time
	Slug     string
}

// String is the cursor's opaque form: base64url of microseconds, a space and the slug.
func (c Cursor) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(c.StartsAt.UnixMicro(), 10) + " " + c.Slug))
}

// ParseCursor reads it back; empty is before every event.
func ParseCursor(text string) (Cursor, error) {
	if text == "" {
		return Cursor{StartsAt: time.Unix(0, 0).UTC()}, nil
	}
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return Cursor{}, fmt.Errorf("%w: not base64url", ErrCursor)
	}
	micros, slug, found := strings.Cut(string(decoded), " ")
	n, err := strconv.ParseInt(micros, 10, 64)
	if !found || err != nil || n < 0 || n > lastMicros || !lottery.ValidSlug(slug) {
		return Cursor{}, fmt.Errorf("%w: no instant and slug in it", ErrCursor)
	}
	return Cursor{StartsAt: time.UnixMicro(n).UTC(), Slug: slug}, nil
}
