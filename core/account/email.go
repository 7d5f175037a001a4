package account

import (
	"errors"
	"net/mail"
	"strings"
	"unicode"
)

// ErrEmail means that no code can be mailed to an address.
var ErrEmail = errors.New("account: not an e-mail address")

// maxEmail is the longest address SMTP knows (RFC 5321).
const maxEmail = 254

// Normalize is the form in which addresses are compared: ASCII letters small, everything else as it is. Other letters stay what they are,
// since folding them makes one address of two that belong to two people, such as k and the Kelvin sign. ErrEmail for what is none.
func Normalize(email string) (string, error) {
	parsed, err := mail.ParseAddress(email)
	if err != nil || parsed.Address != email || len(email) > maxEmail || strings.ContainsFunc(email, unicode.IsControl) {
		return "", ErrEmail
	}
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, email), nil
}

// languages are those that mails and pages are written in; the first is for everybody else.
var languages = []string{"en", "es", "de"}

// language is the one of ours that a tag like "es-ES" asks for.
func language(tag string) string {
	base, _, _ := strings.Cut(strings.ToLower(tag), "-")
	for _, known := range languages {
		if base == known {
			return known
		}
	}
	return languages[0]
}
