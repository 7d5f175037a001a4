package lottery

import "crypto/ed25519"

// longestSigned is the longest message that is signed or verified without allocating for it.
const longestSigned = 256

// SignTagged appends to b the Ed25519 signature of tag ‖ b[from:]. The tag keeps a signature of one kind of message from
// passing as that of another.
func SignTagged(b []byte, from int, tag string, priv ed25519.PrivateKey) []byte {
	var buf [longestSigned]byte
	message := append(append(buf[:0], tag...), b[from:]...)
	return append(b, ed25519.Sign(priv, message)...)
}

// VerifyTagged reports whether b ends in the signature that SignTagged made of what comes before it. False too for a key
// that is none, which ed25519.Verify answers with a panic.
func VerifyTagged(b []byte, tag string, key ed25519.PublicKey) bool {
	n := len(b) - ed25519.SignatureSize
	if n < 0 || len(key) != ed25519.PublicKeySize {
		return false
	}
	var buf [longestSigned]byte
	return ed25519.Verify(key, append(append(buf[:0], tag...), b[:n]...), b[n:])
}
