package notify

import (
	"regexp"
	"strings"
)

// maxErrorBytes bounds the text of an error that is kept in a row.
const maxErrorBytes = 500

// anyAddress is whatever looks like an address.
var anyAddress = regexp.MustCompile(`[^\s<>"'(),;:\[\]]+@[^\s<>"'(),;:\[\]]+`)

// errorText is an error as a row and a log can keep it: valid UTF-8 on one line, short, and without the recipient, whom servers like to name.
func errorText(err error, recipient string) string {
	text := anyAddress.ReplaceAllString(strings.ToValidUTF8(err.Error(), ""), "…")
	local, domain, _ := strings.Cut(recipient, "@")
	for _, part := range []string{local, domain} {
		if part != "" {
			text = regexp.MustCompile(`(?i)(^|[^\pL\pN])`+regexp.QuoteMeta(part)+`([^\pL\pN]|$)`).ReplaceAllString(text, "${1}…${2}")
		}
	}
	text = oneLine(text)
	if len(text) > maxErrorBytes {
		text = strings.ToValidUTF8(text[:maxErrorBytes], "")
	}
	return text
}

// oneLine is a text whose control characters and runs of white space are single spaces.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return r <= ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\u2028' || r == '\u2029'
	}), " ")
}
