package paysim

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// params reads a call's form and remembers the first thing that is wrong with it, and which fields were asked for: any
// other is an error, as at Stripe.
type params struct {
	form  url.Values
	asked map[string]bool // whole names, and of groups and arrays what comes before the bracket
	fail  *failure
}

func readParams(form url.Values) *params {
	return &params{form: form, asked: map[string]bool{"expand": true}}
}

func (p *params) wrong(code, param, message string) {
	if p.fail == nil {
		p.fail = invalid(http.StatusBadRequest, code, param, message)
	}
}

// done is what is wrong with the call, if anything.
func (p *params) done() *failure {
	for name := range p.form {
		stem, _, _ := strings.Cut(name, "[")
		if !p.asked[stem] {
			p.wrong("parameter_unknown", name, "Received unknown parameter: "+name)
		}
	}
	return p.fail
}

// expands tells whether the call wants a field in full.
func (p *params) expands(field string) bool {
	for name, values := range p.form {
		if stem, _, _ := strings.Cut(name, "["); stem == "expand" && slices.Contains(values, field) {
			return true
		}
	}
	return false
}

func (p *params) text(name string) string {
	p.asked[name] = true
	return p.form.Get(name)
}

func (p *params) required(name string) string {
	value := p.text(name)
	if value == "" {
		p.wrong("parameter_missing", name, "Missing required param: "+name+".")
	}
	return value
}

// integer reads a whole number between low and high; one that is absent is the fallback.
func (p *params) integer(name string, low, high, fallback int64) int64 {
	text := p.text(name)
	if text == "" {
		return fallback
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		p.wrong("parameter_invalid_integer", name, "Invalid integer: "+text)
	case n < low:
		p.wrong("parameter_invalid_integer", name, "This value must be greater than or equal to "+strconv.FormatInt(low, 10)+".")
	case n > high:
		p.wrong("amount_too_large", name, "Amount must be no more than "+strconv.FormatInt(high, 10)+".")
	}
	return n
}

// group reads name[key]=value; deeper keys keep their inner brackets: "card][number".
func (p *params) group(name string) map[string]string {
	p.asked[name] = true
	group := make(map[string]string)
	for field, values := range p.form {
		if key, ok := strings.CutPrefix(field, name+"["); ok && strings.HasSuffix(key, "]") && len(values) > 0 {
			group[strings.TrimSuffix(key, "]")] = values[0]
		}
	}
	return group
}

// array reads name[0]=…, name[1]=… and name[]=….
func (p *params) array(name string) []string {
	group := p.group(name)
	list := append([]string(nil), p.form[name+"[]"]...)
	for n := range len(group) {
		if value, ok := group[strconv.Itoa(n)]; ok {
			list = append(list, value)
		}
	}
	return list
}

// challenge reads payment_method_options[card][request_three_d_secure].
func (p *params) challenge() bool {
	options := p.group("payment_method_options")
	for name := range options {
		if name != "card][request_three_d_secure" {
			p.wrong("parameter_unknown", "payment_method_options["+name+"]", "Received unknown parameter: payment_method_options["+name+"]")
		}
	}
	switch value := options["card][request_three_d_secure"]; value {
	case "", "automatic":
		return false
	case "any", "challenge":
		return true
	default:
		p.wrong("parameter_invalid_enum", "payment_method_options[card][request_three_d_secure]", "Invalid request_three_d_secure: must be one of any, automatic, or challenge")
		return false
	}
}
