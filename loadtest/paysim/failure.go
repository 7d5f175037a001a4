package paysim

import (
	"encoding/json"
	"net/http"
)

// failure is an answer that refuses a call, in Stripe's words.
type failure struct {
	status  int
	Type    string `json:"type"`
	Code    string `json:"code,omitempty"`
	Decline string `json:"decline_code,omitempty"`
	Message string `json:"message"`
	Param   string `json:"param,omitempty"`
	DocURL  string `json:"doc_url,omitempty"`
	Charge  string `json:"charge,omitempty"`

	intent *snapshot // the intent as it is, where it explains the refusal
	method *card     // the card that was declined
}

const (
	typeInvalid     = "invalid_request_error"
	typeAPI         = "api_error"
	typeCard        = "card_error"
	typeIdempotency = "idempotency_error"
)

func invalid(status int, code, param, message string) *failure {
	return &failure{status: status, Type: typeInvalid, Code: code, Param: param, Message: message, DocURL: docURL(code)}
}

func docURL(code string) string {
	if code == "" {
		return ""
	}
	return "https://stripe.com/docs/error-codes/" + code
}

// missing is the answer about an object that does not exist.
func missing(what, id string) *failure {
	param := "id"
	if what == "payment_intent" {
		param = "intent"
	}
	return invalid(http.StatusNotFound, "resource_missing", param, "No such "+what+": '"+id+"'")
}

// wrongState is the answer to a call that an intent's status forbids.
func wrongState(s snapshot, verb string) *failure {
	f := invalid(http.StatusBadRequest, "payment_intent_unexpected_state", "", "This PaymentIntent could not be "+verb+
		" because it has a status of "+string(s.status)+".")
	f.intent = &s
	return f
}

// ownFault is the answer of a provider that failed.
func ownFault() *failure {
	return &failure{status: http.StatusInternalServerError, Type: typeAPI, Message: "An unknown error occurred."}
}

// errorJSON is the body of a refusal.
type errorJSON struct {
	Error struct {
		*failure
		PaymentIntent *intentJSON `json:"payment_intent,omitempty"`
		PaymentMethod *methodJSON `json:"payment_method,omitempty"`
	} `json:"error"`
}

func (f *failure) body() []byte {
	var e errorJSON
	e.Error.failure = f
	if f.intent != nil {
		e.Error.PaymentIntent = f.intent.json(false)
	}
	if f.method != nil {
		e.Error.PaymentMethod = f.method.json()
	}
	return encode(e)
}

// encode is JSON of something that is known to have one.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("paysim: " + err.Error()) // a type of this package that JSON cannot show
	}
	return append(b, '\n')
}
