package offline

import (
	"encoding/base32"
	"strings"

	"github.com/google/uuid"
)

// The characters of a reference are letters and digits; the alphabet leaves out those that people mistake for others.
var letters = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// Reference is what a buyer quotes with a transfer: a structured creditor reference by ISO 11649, "RF", two check digits
// and 16 characters of the payment's id. A slip of the pen does not pass Valid.
func Reference(payment uuid.UUID) string {
	body := letters.EncodeToString(payment[6:16])
	check := 98 - remainder(body+"RF00")
	return "RF" + string([]byte{byte('0' + check/10), byte('0' + check%10)}) + body
}

// Normal is a reference as it is stored: without spaces, in capitals.
func Normal(text string) string {
	return strings.ToUpper(strings.Join(strings.Fields(text), ""))
}

// Valid tells whether a normal reference is one by ISO 11649 with check digits that fit.
func Valid(reference string) bool {
	if len(reference) < 5 || len(reference) > 25 || !strings.HasPrefix(reference, "RF") {
		return false
	}
	for _, c := range []byte(reference) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return remainder(reference[4:]+reference[:4]) == 1
}

// remainder is that of ISO 7064, MOD 97-10: letters count as two digits from 10 up.
func remainder(text string) int {
	rest := 0
	for _, c := range []byte(text) {
		if c >= 'A' {
			rest = (rest*100 + int(c-'A') + 10) % 97
		} else {
			rest = (rest*10 + int(c-'0')) % 97
		}
	}
	return rest
}
