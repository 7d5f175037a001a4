package guard

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"github.com/VictoriaMetrics/metrics"
	"github.com/bits-and-blooms/bloom/v3"
)

// maxFilterBytes bounds a ban filter: a million bans at one false positive in a million are 3.6 MB.
const maxFilterBytes = 16 << 20

// filterHeaderBytes is what a bloom filter writes before its bits: the counts m and k, and the length of the bits, 8 bytes each.
const filterHeaderBytes = 24

// Kind is what a ban names, as in core's table of bans.
type Kind string

// The kinds of ban.
const (
	BannedDevice  Kind = "device"  // subject: the 16-byte device hash
	BannedNetwork Kind = "network" // subject: the 8-byte network hash
	BannedEntrant Kind = "entrant" // subject: the 16-byte entrant
	BannedAccount Kind = "account" // subject: the 16-byte id of an account
	BannedCard    Kind = "card"    // subject: the 16-byte keyed hash of a card; an edge never has one to ask about
)

// Bans is the ban list as a bloom filter: a miss is certain, a hit is a question for core. The zero value bans nobody.
type Bans struct {
	current atomic.Pointer[banFilter]
	hits    *metrics.Counter
}

type banFilter struct {
	version uint64
	filter  *bloom.BloomFilter
}

// Load replaces the list by a filter in base64, as bloom.BloomFilter.WriteTo writes it. On an error the old list stays.
func (b *Bans) Load(version uint64, text string) error {
	if base64.StdEncoding.DecodedLen(len(text)) > maxFilterBytes {
		return fmt.Errorf("load ban filter: longer than %d bytes", maxFilterBytes)
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return fmt.Errorf("load ban filter: %w", err)
	}
	if err := checkFilterLength(raw); err != nil {
		return err
	}
	filter := new(bloom.BloomFilter)
	if _, err := filter.ReadFrom(bytes.NewReader(raw)); err != nil {
		return fmt.Errorf("load ban filter: %w", err)
	}
	b.current.Store(&banFilter{version: version, filter: filter})
	return nil
}

// checkFilterLength compares the announced number of bits with the bytes that came, since the decoder allocates by the
// announcement.
func checkFilterLength(raw []byte) error {
	if len(raw) < filterHeaderBytes {
		return fmt.Errorf("load ban filter: %d bytes are too few", len(raw))
	}
	bits, hashes, length := binary.BigEndian.Uint64(raw), binary.BigEndian.Uint64(raw[8:]), binary.BigEndian.Uint64(raw[16:])
	words := uint64(len(raw)-filterHeaderBytes) / 8
	if bits == 0 || bits != length || hashes == 0 || hashes > 64 || (length-1)/64+1 != words {
		return fmt.Errorf("load ban filter: %d bytes do not hold %d bits and %d hashes", len(raw), bits, hashes)
	}
	return nil
}

// Version is the version of the list in use; zero when there is none.
func (b *Bans) Version() uint64 {
	if current := b.current.Load(); current != nil {
		return current.version
	}
	return 0
}

// Maybe tells whether the subject may be banned.
func (b *Bans) Maybe(kind Kind, subject []byte) bool {
	current := b.current.Load()
	if current == nil {
		return false
	}
	var key [64]byte
	if !current.filter.Test(AppendBanKey(key[:0], kind, subject)) {
		return false
	}
	if b.hits != nil {
		b.hits.Inc()
	}
	return true
}

// AppendBanKey appends what the filter is asked for: the kind, a zero byte, and the subject.
func AppendBanKey(dst []byte, kind Kind, subject []byte) []byte {
	dst = append(dst, kind...)
	dst = append(dst, 0)
	return append(dst, subject...)
}
