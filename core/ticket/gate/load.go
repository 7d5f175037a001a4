package gate

import (
	"crypto/ed25519"
	"fmt"
)

// Append puts a sealed pack or delta behind others in the form that Load reads.
func Append(file, sealed []byte) []byte {
	return append(order.AppendUint32(file, uint32(len(sealed))), sealed...)
}

// Load reads a file of one pack and the deltas behind it. A torn last delta is left out: the pack is older then, and says so.
// Errors: ErrPack, ErrPackForged, ErrGap, ErrPackEvent.
func Load(file []byte, trusted ...ed25519.PublicKey) (*Pack, error) {
	var pack *Pack
	for n := 0; len(file) > 0; n++ {
		if len(file) < 4 || uint64(order.Uint32(file)) > uint64(len(file)-4) {
			break
		}
		size := int(order.Uint32(file))
		next, err := Open(file[4:4+size], trusted...)
		if err != nil {
			return nil, fmt.Errorf("part %d of the pack: %w", n, err)
		}
		file = file[4+size:]
		switch {
		case pack != nil:
			if pack, err = pack.Apply(next); err != nil {
				return nil, fmt.Errorf("part %d of the pack: %w", n, err)
			}
		case !next.Base.IsZero():
			return nil, fmt.Errorf("%w: it begins with a delta", ErrPack)
		default:
			pack = next
		}
	}
	if pack == nil {
		return nil, fmt.Errorf("%w: it is empty or torn", ErrPack)
	}
	return pack, nil
}
