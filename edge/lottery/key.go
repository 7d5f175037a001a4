package lottery

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
)

// shortMessage is the longest tag and message together that MAC authenticates without allocating: more than any layout.
const shortMessage = 192

// MACKey is a numbered secret key. Numbers count from 1; a message says by which number it was made.
type MACKey struct {
	No  uint32 `json:"no"`
	Key Hex32  `json:"key"`
}

// MACKeys are the keys in force for one purpose: few, so a search goes through them one by one.
type MACKeys []MACKey

// Find is the key of that number, or nil.
func (k MACKeys) Find(no uint32) []byte {
	for i := range k {
		if k[i].No == no {
			return k[i].Key[:]
		}
	}
	return nil
}

// Newest is the key with the highest number, the one to make new messages with; false when there is none.
func (k MACKeys) Newest() (MACKey, bool) {
	var newest MACKey
	for _, key := range k {
		if key.No >= newest.No {
			newest = key
		}
	}
	return newest, len(k) > 0
}

// PublicKey is a numbered Ed25519 public key.
type PublicKey struct {
	No     uint32 `json:"no"`
	Public Hex32  `json:"public"`
}

// PublicKeys are the public keys in force for one purpose.
type PublicKeys []PublicKey

// Find is the key of that number, or nil.
func (k PublicKeys) Find(no uint32) ed25519.PublicKey {
	for i := range k {
		if k[i].No == no {
			return k[i].Public[:]
		}
	}
	return nil
}

// MAC is HMAC-SHA256(key, tag ‖ message), without allocating for the short messages Fairgate authenticates.
func MAC(key []byte, tag string, message []byte) [sha256.Size]byte {
	if len(key) > sha256.BlockSize || len(tag)+len(message) > shortMessage {
		return longMAC(key, tag, message)
	}
	var inner [sha256.BlockSize + shortMessage]byte
	var outer [sha256.BlockSize + sha256.Size]byte
	copy(inner[:], key)
	copy(outer[:], key)
	for i := range sha256.BlockSize {
		inner[i] ^= 0x36
		outer[i] ^= 0x5c
	}
	n := sha256.BlockSize
	n += copy(inner[n:], tag)
	n += copy(inner[n:], message)
	sum := sha256.Sum256(inner[:n])
	copy(outer[sha256.BlockSize:], sum[:])
	return sha256.Sum256(outer[:])
}

// longMAC copies what it hands to the hash, an interface: else the arguments of every MAC would be allocated.
func longMAC(key []byte, tag string, message []byte) [sha256.Size]byte {
	mac := hmac.New(sha256.New, bytes.Clone(key))
	mac.Write(append([]byte(tag), message...))
	return [sha256.Size]byte(mac.Sum(nil))
}
