package lottery

import "github.com/google/uuid"

// maxSlug is the longest slug there may be: that of a DNS label.
const maxSlug = 63

// namespace makes event ids: fixed for ever, since every pass, receipt and seed contains an id made with it.
var namespace = uuid.UUID{0x6f, 0x1d, 0x3a, 0x52, 0x9c, 0x0b, 0x4e, 0x57, 0x8b, 0x1e, 0x2f, 0x6a, 0x8d, 0x40, 0xc7, 0xe3}

// EventID is the id of the event called slug, the same on every edge and core: a UUIDv5 in Fairgate's namespace.
func EventID(slug string) uuid.UUID { return uuid.NewSHA1(namespace, []byte(slug)) }

// ValidSlug reports whether s may name an event: ^[a-z0-9][a-z0-9-]{0,62}$.
func ValidSlug(s string) bool {
	if len(s) == 0 || len(s) > maxSlug || s[0] == '-' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
