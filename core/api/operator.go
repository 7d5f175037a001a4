package api

import (
	"net/http"
	"strings"
)

// OperatorHeader is the header in which an operator's tool says who uses it. The admin secret proves that it is an operator;
// the name is their word, for the audit trail.
const OperatorHeader = "Fairgate-Operator"

// maxOperator bounds the name.
const maxOperator = 64

// operatorOf names who asks for something on the admin listener, as audit trails have it: "operator:NAME", or "operator" of
// one who did not say. What is no letter, digit or one of ._@- is left out of the name.
func operatorOf(r *http.Request) string {
	name := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._@-", c) {
			return c
		}
		return -1
	}, r.Header.Get(OperatorHeader))
	if name == "" {
		return "operator"
	}
	return "operator:" + name[:min(len(name), maxOperator)]
}
