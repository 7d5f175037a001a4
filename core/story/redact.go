package story

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// redacted stands where something was taken out.
const redacted = "[redacted]"

// maxDepth bounds how deep a payload is looked into; what lies deeper is taken out whole.
const maxDepth = 64

// private are names of fields whose values are taken out, whatever they are: secrets, personal data, and what of a card is
// more than its kind. A field is private if its name, in small letters, has one of these in it.
var private = []string{"secret", "email", "phone", "address", "name", "surname", "birth", "tax_id", "last4", "last_digits", "fingerprint",
	"exp_month", "exp_year", "expiry", "iban", "token", "ip", "payer_id", "account_id", "description"}

// public are names that would be private by a part of them, and are not.
var public = map[string]bool{"address_line1_check": true, "address_postal_code_check": true}

// address finds e-mail addresses in texts.
var address = regexp.MustCompile(`[^\s"'<>@,;:]+@[^\s"'<>@,;:]+\.[^\s"'<>@,;:]+`)

// clientSecret finds the secrets by which a buyer's browser may pay.
var clientSecret = regexp.MustCompile(`\b\w+_secret_\w+`)

// Redact returns a provider's event as JSON without secrets and personal data. What is no JSON is described by its length.
func Redact(payload []byte) json.RawMessage {
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil || d.More() {
		v = fmt.Sprintf("[%d bytes that are no JSON]", len(payload))
	}
	out, err := json.Marshal(clean(v, 0))
	if err != nil {
		return json.RawMessage(`"` + redacted + `"`)
	}
	return out
}

func clean(v any, depth int) any {
	if depth > maxDepth {
		return redacted
	}
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			if isPrivate(name) && value != nil {
				v[name] = redacted
				continue
			}
			v[name] = clean(value, depth+1)
		}
		return v
	case []any:
		for i := range v {
			v[i] = clean(v[i], depth+1)
		}
		return v
	case string:
		return clientSecret.ReplaceAllString(address.ReplaceAllString(v, redacted), redacted)
	}
	return v
}

func isPrivate(name string) bool {
	name = strings.ToLower(name)
	if public[name] {
		return false
	}
	for _, part := range private {
		if part == "ip" || part == "name" {
			if name == part || strings.HasSuffix(name, "_"+part) || strings.HasPrefix(name, part+"_") {
				return true
			}
			continue
		}
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}
