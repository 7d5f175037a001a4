package access

import (
	"encoding/binary"
	"fmt"
	"time"

	"fairgate/edge/lottery"
)

// A block of the pool, as stored in draw_blocks.entries. Integers are big-endian.
//
//	header   version[1] = 1 ‖ receipt key number[4] ‖ acknowledged at, ms since 1970[8] ‖ entries[4]
//	entry    entrant[16] ‖ device[16] ‖ network[8] ‖ window[4] ‖ band[1] ‖ reason[1]
//
// Half a million entrants are 23 MB. The header says what the receipts of the block were signed with and when, so that
// the same receipt can be made again for a buyer who lost it.
const (
	blockVersion     = 1
	blockHeaderBytes = 1 + 4 + 8 + 4
	entryBytes       = 16 + 16 + 8 + 4 + 1 + 1
)

// Entry is one acknowledged entrant.
type Entry struct {
	Entrant lottery.Entrant
	Device  lottery.DeviceHash // whose browser may take the turn
	Network [8]byte
	Window  uint32
	Band    lottery.Band
	Reason  lottery.Reason
}

// block is a part of the pool that was acknowledged in one commit.
type block struct {
	keyNo   uint32
	at      time.Time // to the millisecond
	entries []Entry
}

// append appends the stored form of b.
func (b block) append(dst []byte) []byte {
	dst = append(dst, blockVersion)
	dst = binary.BigEndian.AppendUint32(dst, b.keyNo)
	dst = lottery.AppendTime(dst, b.at)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(b.entries)))
	for i := range b.entries {
		e := &b.entries[i]
		dst = append(dst, e.Entrant[:]...)
		dst = append(dst, e.Device[:]...)
		dst = append(dst, e.Network[:]...)
		dst = binary.BigEndian.AppendUint32(dst, e.Window)
		dst = append(dst, byte(e.Band), byte(e.Reason))
	}
	return dst
}

// parseBlock reads what append wrote.
func parseBlock(raw []byte) (block, error) {
	if len(raw) < blockHeaderBytes || raw[0] != blockVersion {
		return block{}, fmt.Errorf("a pool block of %d bytes has no header this release knows", len(raw))
	}
	at, ok := lottery.ReadTime(raw[5:13])
	if !ok {
		return block{}, fmt.Errorf("a pool block has no time")
	}
	b := block{keyNo: binary.BigEndian.Uint32(raw[1:]), at: at}
	count := int(binary.BigEndian.Uint32(raw[13:]))
	raw = raw[blockHeaderBytes:]
	if len(raw) != count*entryBytes {
		return block{}, fmt.Errorf("a pool block announces %d entries in %d bytes", count, len(raw))
	}
	b.entries = make([]Entry, count)
	for i := range b.entries {
		at := raw[i*entryBytes:]
		b.entries[i] = Entry{
			Entrant: lottery.Entrant(at[:16]), Device: lottery.DeviceHash(at[16:32]), Network: [8]byte(at[32:40]),
			Window: binary.BigEndian.Uint32(at[40:]), Band: lottery.Band(at[44]), Reason: lottery.Reason(at[45]),
		}
	}
	return b, nil
}
