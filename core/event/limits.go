package event

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"net/netip"

	"go.yaml.in/yaml/v3"
)

// Tour is a set of events that share limits: units count over all of them. An event outside of tours has the zero Tour.
// Entrants, of accounts too, are pseudonyms of one event each, so there is no limit on them here.
type Tour struct {
	ID         string `json:"id"`
	PerDevice  int    `json:"per_device,omitempty"`
	PerAddress int    `json:"per_address,omitempty"`
	PerCard    int    `json:"per_card,omitempty"`
}

// maxPerMark bounds limits by what many may share, such as the address of an office.
const maxPerMark = 10_000

// limit reads a limit into an int.
func (d *decoder) limit(name string, most int64, into *int) key {
	return key{name, false, func(n *yaml.Node, path string) { *into = int(d.integer(n, path, 1, most)) }}
}

func (d *decoder) limits(n *yaml.Node, path string, l *Limits) {
	d.mapping(n, path,
		d.limit("per_buyer", maxPerBuyer, &l.PerBuyer),
		d.limit("per_account", maxPerMark, &l.PerAccount),
		d.limit("per_device", maxPerMark, &l.PerDevice),
		d.limit("per_address", maxPerMark, &l.PerAddress),
		d.limit("per_card", maxPerMark, &l.PerCard),
	)
}

func (d *decoder) tour(n *yaml.Node, path string, t *Tour) {
	d.mapping(n, path,
		key{"id", true, func(n *yaml.Node, path string) { t.ID = d.name(n, path, slugForm, slugRule) }},
		d.limit("per_device", maxPerMark, &t.PerDevice),
		d.limit("per_address", maxPerMark, &t.PerAddress),
		d.limit("per_card", maxPerMark, &t.PerCard),
	)
	if *t == (Tour{ID: t.ID}) && t.ID != "" {
		d.add(path, "has no limit: give it one of per_device, per_address and per_card")
	}
}

// TourScope is the scope of a tour's keys.
func TourScope(tour string) string { return "tour/" + tour }

// LimitKey is what addresses and cards are hashed with before they are counted: a key of the tour, so that its events
// count the same, or else one that follows from the event's.
func (s *Store) LimitKey(ctx context.Context, e *Event) ([]byte, error) {
	if tour := e.Spec.Tour.ID; tour != "" {
		ring, err := s.Keys(ctx, LimitPurpose, TourScope(tour))
		if err != nil {
			return nil, fmt.Errorf("find the limit key of tour %s: %w", tour, err)
		}
		return ring[len(ring)-1].Secret, nil // the oldest: with another one all counts would begin anew
	}
	h := hmac.New(sha256.New, e.PseudonymKey)
	h.Write([]byte("fairgate limits"))
	return h.Sum(nil), nil
}

// Mark hashes what a buyer is known by, such as an address, with a limit key.
func Mark(key []byte, kind, text string) (mark [16]byte) {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(kind + "\x00" + text))
	copy(mark[:], h.Sum(nil))
	return mark
}

// NetworkOf is the part of a client's address that counts: an IPv4 address, or the /64 of an IPv6 one, which is what one
// household has. What is no address is "": all of those count together.
func NetworkOf(client string) string {
	address, err := netip.ParseAddr(client)
	if err != nil {
		return ""
	}
	address = address.Unmap().WithZone("")
	if address.Is4() {
		return address.String()
	}
	prefix, _ := address.Prefix(64) // an IPv6 address has that many bits
	return prefix.String()
}
