package code

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"fmt"
	"sync"

	"filippo.io/edwards25519"
)

// A gate checks tens of thousands of signatures by the same one or two keys, and the standard library multiplies each key anew. With
// the key's multiples at hand (the fixed-base windowing method: Brickell, Gordon, McCurley, Wilson, "Fast exponentiation with
// precomputation", EUROCRYPT '92; here with signed digits) a check needs additions of points and no doublings, and takes about
// a third of the time. Nothing here is secret, so the time may depend on what is checked. What is accepted is exactly what
// crypto/ed25519 accepts (RFC 8032, without cofactor); tests compare the two.
const (
	keyWindow  = 6   // bits: 43 rows of 32 points, 220 KiB a key
	baseWindow = 8   // bits: 32 rows of 128 points, 655 KiB once
	mostTables = 128 // keys whose multiples are kept, 28 MiB
	scalarSize = 32
)

// multiples are of one point: row i has 1 to 2^(bits-1) times 2^(bits·i) times the point.
type multiples struct {
	bits uint
	rows [][]edwards25519.Point
}

func multiplesOf(point *edwards25519.Point, bits uint) *multiples {
	m := &multiples{bits: bits, rows: make([][]edwards25519.Point, (8*scalarSize+bits-1)/bits)}
	first := new(edwards25519.Point).Set(point)
	for i := range m.rows {
		row := make([]edwards25519.Point, 1<<(bits-1))
		row[0].Set(first)
		for j := 1; j < len(row); j++ {
			row[j].Add(&row[j-1], first)
		}
		m.rows[i] = row
		first.Add(&row[len(row)-1], &row[len(row)-1])
	}
	return m
}

// add adds sign times scalar times the point to sum; scalar is little-endian and below 2^253.
func (m *multiples) add(sum *edwards25519.Point, scalar []byte, sign int) {
	carry := 0
	for i := range m.rows {
		at := uint(i) * m.bits
		window := int(scalar[at/8])
		if at/8+1 < scalarSize {
			window |= int(scalar[at/8+1]) << 8
		}
		digit := window>>(at%8)&(1<<m.bits-1) + carry
		if carry = 0; digit > 1<<(m.bits-1) {
			digit -= 1 << m.bits
			carry = 1
		}
		switch digit *= sign; {
		case digit > 0:
			sum.Add(sum, &m.rows[i][digit-1])
		case digit < 0:
			sum.Subtract(sum, &m.rows[i][-digit-1])
		}
	}
}

// verifier checks the signatures of one key.
type verifier struct {
	key []byte
	of  *multiples
}

// verify is ed25519.Verify.
func (v *verifier) verify(message, signature []byte) bool {
	if len(signature) != ed25519.SignatureSize {
		return false
	}
	hash := sha512.New()
	hash.Write(signature[:scalarSize])
	hash.Write(v.key)
	hash.Write(message)
	k, err := edwards25519.NewScalar().SetUniformBytes(hash.Sum(nil))
	if err != nil {
		return false
	}
	s, err := edwards25519.NewScalar().SetCanonicalBytes(signature[scalarSize:])
	if err != nil {
		return false
	}
	r := edwards25519.NewIdentityPoint()
	base().add(r, s.Bytes(), 1)
	v.of.add(r, k.Bytes(), -1)
	return bytes.Equal(r.Bytes(), signature[:scalarSize])
}

var base = sync.OnceValue(func() *multiples { return multiplesOf(edwards25519.NewGeneratorPoint(), baseWindow) })

// tables are the verifiers of keys that were used lately. It may be used by any goroutine.
type tables struct {
	mu    sync.RWMutex
	byKey map[[ed25519.PublicKeySize]byte]*verifier
}

var known = tables{byKey: make(map[[ed25519.PublicKeySize]byte]*verifier)}

// of is the verifier of a key. One that is not at hand takes about half a millisecond, and where there are too many any of them makes room.
func (t *tables) of(key ed25519.PublicKey) (*verifier, error) {
	if len(key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("public key of %d bytes", len(key))
	}
	id := [ed25519.PublicKeySize]byte(key)
	t.mu.RLock()
	v := t.byKey[id]
	t.mu.RUnlock()
	if v != nil {
		return v, nil
	}
	point, err := new(edwards25519.Point).SetBytes(key)
	if err != nil {
		return nil, fmt.Errorf("no public key: %w", err)
	}
	v = &verifier{key: bytes.Clone(key), of: multiplesOf(point, keyWindow)}
	t.mu.Lock()
	defer t.mu.Unlock()
	for old := range t.byKey {
		if len(t.byKey) < mostTables {
			break
		}
		delete(t.byKey, old)
	}
	t.byKey[id] = v
	return v, nil
}
