package lottery

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
)

const (
	leafTag  = "fairgate-leaf-v1"
	nodeTag  = "fairgate-node-v1"
	emptyTag = "fairgate-empty-v1"
	// leafSize is entrant[16] ‖ band[1] ‖ reason[1].
	leafSize = 18
)

// ErrNotInPool means the entrant is not among the leaves.
var ErrNotInPool = errors.New("lottery: entrant is not in the pool")

// Band is a class of entrants within a window. All of a lower band go before all of a higher one.
type Band uint8

// Reason is why an entrant is not in band 0. It is sealed with the band.
type Reason uint8

// The reasons there are.
const (
	// ReasonNone goes with band 0, and only with it.
	ReasonNone Reason = iota
	// ReasonNetworkSurplus: more free device entries came from this network than the event allows in band 0.
	ReasonNetworkSurplus
	reasons // how many there are
)

// String is the reason in snake_case.
func (r Reason) String() string {
	switch r {
	case ReasonNone:
		return "none"
	case ReasonNetworkSurplus:
		return "network_surplus"
	default:
		return "unknown"
	}
}

// Leaf is an entrant as sealed into a window.
type Leaf struct {
	Entrant Entrant
	Band    Band
	Reason  Reason
}

// Append appends the 18 bytes of the leaf: entrant[16] ‖ band[1] ‖ reason[1].
func (l Leaf) Append(dst []byte) []byte {
	return append(append(dst, l.Entrant[:]...), byte(l.Band), byte(l.Reason))
}

func (l Leaf) compare(m Leaf) int {
	if c := bytes.Compare(l.Entrant[:], m.Entrant[:]); c != 0 {
		return c
	}
	if c := cmp.Compare(l.Band, m.Band); c != 0 {
		return c
	}
	return cmp.Compare(l.Reason, m.Reason)
}

func (l Leaf) hash() [32]byte {
	var b [len(leafTag) + leafSize]byte
	return sha256.Sum256(l.Append(append(b[:0], leafTag...)))
}

// Leaves are the leaves of a window. JSON shows their bytes, one after the other, as base64.
type Leaves []Leaf

// MarshalText is the base64 of all leaves; 18 bytes each never need padding.
func (l Leaves) MarshalText() ([]byte, error) {
	b := make([]byte, 0, leafSize*len(l))
	for _, leaf := range l {
		b = leaf.Append(b)
	}
	return base64.StdEncoding.AppendEncode(nil, b), nil
}

// UnmarshalText reads what MarshalText wrote, else ErrMalformed.
func (l *Leaves) UnmarshalText(text []byte) error {
	b, err := base64.StdEncoding.Strict().AppendDecode(nil, text)
	if err != nil || len(b)%leafSize != 0 {
		return ErrMalformed
	}
	leaves := make(Leaves, len(b)/leafSize)
	for i := range leaves {
		at := b[i*leafSize:]
		leaves[i] = Leaf{Entrant: Entrant(at[:16]), Band: Band(at[16]), Reason: Reason(at[17])}
	}
	*l = leaves
	return nil
}

// Root is the Merkle root of the leaves, in whatever order they come. They are not changed.
func Root(leaves []Leaf) [32]byte {
	level := hashes(sorted(leaves))
	if len(level) == 0 {
		return sha256.Sum256([]byte(emptyTag))
	}
	for len(level) > 1 {
		level = reduce(level)
	}
	return level[0]
}

// Proof shows that a leaf is under a root: its index among Size leaves, and the siblings on its way up.
type Proof struct {
	Index uint32  `json:"index"`
	Size  uint32  `json:"size"`
	Path  []Hex32 `json:"path"`
}

// Prove is the proof for e, or ErrNotInPool. It costs as much as Root.
func Prove(leaves []Leaf, e Entrant) (Proof, error) {
	ordered := sorted(leaves)
	i, found := slices.BinarySearchFunc(ordered, e, func(l Leaf, e Entrant) int { return bytes.Compare(l.Entrant[:], e[:]) })
	if !found {
		return Proof{}, ErrNotInPool
	}
	p := Proof{Index: uint32(i), Size: uint32(len(ordered)), Path: []Hex32{}}
	for level := hashes(ordered); len(level) > 1; level, i = reduce(level), i/2 {
		if i^1 < len(level) {
			p.Path = append(p.Path, level[i^1])
		}
	}
	return p, nil
}

// Verify reports whether leaf is under root. Index and Size are only the way up: root does not fix how many leaves there are.
func (p Proof) Verify(root [32]byte, leaf Leaf) bool {
	if p.Index >= p.Size {
		return false
	}
	h, path := leaf.hash(), p.Path
	for i, size := uint64(p.Index), uint64(p.Size); size > 1; i, size = i/2, (size+1)/2 {
		if i^1 >= size {
			continue
		}
		if len(path) == 0 {
			return false
		}
		if i%2 == 0 {
			h = node(h, path[0])
		} else {
			h = node(path[0], h)
		}
		path = path[1:]
	}
	return len(path) == 0 && h == root
}

func sorted(leaves []Leaf) []Leaf {
	ordered := slices.Clone(leaves)
	slices.SortFunc(ordered, Leaf.compare)
	return ordered
}

func hashes(leaves []Leaf) [][32]byte {
	level := make([][32]byte, len(leaves))
	for i, l := range leaves {
		level[i] = l.hash()
	}
	return level
}

// reduce makes the level above in the memory of this one. A last node without a sibling rises as it is.
func reduce(level [][32]byte) [][32]byte {
	n := len(level) / 2
	for i := range n {
		level[i] = node(level[2*i], level[2*i+1])
	}
	if len(level)%2 == 1 {
		level[n] = level[len(level)-1]
		n++
	}
	return level[:n]
}

func node(left, right [32]byte) [32]byte {
	var b [len(nodeTag) + 64]byte
	copy(b[:], nodeTag)
	copy(b[len(nodeTag):], left[:])
	copy(b[len(nodeTag)+32:], right[:])
	return sha256.Sum256(b[:])
}
