package lottery

import (
	"unicode"
	"unicode/utf8"
)

const (
	beaconTag = "fairgate-beacon-v1"
	// MaxBeaconName is the longest name of a beacon in bytes.
	MaxBeaconName = 200
	// MaxBeaconValue is the longest value of a beacon in bytes.
	MaxBeaconValue = 1024
)

// Commit is the commitment of a draw: the end of its chain, and with it the name of its beacon, so that nobody can choose
// another public value once it is known which of them would please. Without a beacon it is the end of the chain alone.
func Commit(chainEnd [32]byte, beacon string) [32]byte {
	if beacon == "" {
		return chainEnd
	}
	return tagged(beaconTag, append(chainEnd[:], beacon...))
}

// ValidBeaconName reports whether a text may name a beacon: it says where and when a public value can be read, in 1 to 200
// bytes of printable UTF-8.
func ValidBeaconName(s string) bool {
	if s == "" || len(s) > MaxBeaconName || !utf8.ValidString(s) {
		return false
	}
	for _, c := range s {
		if !unicode.IsPrint(c) {
			return false
		}
	}
	return true
}

// ValidBeaconValue reports whether bytes may be the value of a beacon: 1 to 1,024 of them.
func ValidBeaconValue(b []byte) bool { return len(b) >= 1 && len(b) <= MaxBeaconValue }
