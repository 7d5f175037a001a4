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

// ErrCursor means that a text is no cursor List gave.
var ErrCursor = errors.New("event: malformed cursor")

// cursor is the last event of a page: the keyset of List.
type cursor struct {
	startsAt time.Time
	slug     string
}

// String is the cursor's opaque form: base64url of microseconds, a space and the slug.
func (c cursor) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(c.startsAt.UnixMicro(), 10) + " " + c.slug))
}

// parseCursor reads it back; empty is before every event.
func parseCursor(text string) (cursor, error) {
	if text == "" {
		return cursor{startsAt: time.Unix(0, 0).UTC()}, nil
	}
	decoded, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return cursor{}, fmt.Errorf("%w: not base64url", ErrCursor)
	}
	micros, slug, found := strings.Cut(string(decoded), " ")
	n, err := strconv.ParseInt(micros, 10, 64)
	if !found || err != nil || n < 0 || !lottery.ValidSlug(slug) {
		return cursor{}, fmt.Errorf("%w: no instant and slug in it", ErrCursor)
	}
	return cursor{startsAt: time.UnixMicro(n).UTC(), slug: slug}, nil
}
