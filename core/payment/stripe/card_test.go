package stripe_test

import (
	"testing"

	"fairgate/core/payment"
	"fairgate/loadtest/paysim"
)

func TestLookupTellsTheCardByTheSameNameEachTime(t *testing.T) {
	a := newAccount(t, paysim.Config{})
	card := func(number string, lost bool) string {
		t.Helper()
		i := a.authorized(number)
		if lost {
			i.ProviderRef = "" // found by its metadata
		}
		looked, err := a.provider.Lookup(t.Context(), i)
		a.expect("lookup", looked, err, payment.Authorized, nil)
		return looked.Card
	}
	one, again, found := card("4242 4242 0000 0018", false), card("4242424200000018", false), card("4242424200000018", true)
	if one == "" || one != again || one != found {
		t.Errorf("one card is called %q, %q and %q", one, again, found)
	}
	if other := card("4242424200000026", false); other == one || other == "" {
		t.Errorf("another card is called %q", other)
	}
	begun, _ := a.began()
	looked, err := a.provider.Lookup(t.Context(), begun)
	a.expect("lookup", looked, err, payment.Begun, nil)
	if looked.Card != "" {
		t.Errorf("before there is one, the card is %q", looked.Card)
	}
}
