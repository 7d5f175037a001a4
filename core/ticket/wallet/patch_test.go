package wallet

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/uuid"
)

func FuzzANameIsReadAsItWasWrittenAndInNoOtherForm(f *testing.F) {
	f.Add(Name(uuid.New(), 1))
	f.Add("00000000-0000-0000-0000-000000000000-01")
	f.Add("00000000-0000-0000-0000-000000000000-4294967296")
	f.Add("{00000000-0000-0000-0000-00000000000}-1")
	f.Fuzz(func(t *testing.T, name string) {
		if id, epoch, ok := ParseName(name); ok && Name(id, epoch) != name {
			t.Errorf("%q is read as %s and %d", name, id, epoch)
		}
	})
}

func TestOfAVoidTicketGoogleIsToldThatAlone(t *testing.T) {
	g := &Google{cfg: GoogleConfig{IssuerID: "33", ClassPrefix: "t", Updates: true}}
	p := Pass{Ticket: uuid.New(), Epoch: 4, Named: 2, Code: "the-code", Seat: "101/A/1", Tier: "Lower", Event: Event{Slug: "arena", Name: "Show"}}
	class, object, err := g.Patches(p)
	if err != nil || class.ID != "33.t-arena" || object.ID != "33.t-"+Name(p.Ticket, 2) || !strings.Contains(string(object.Body), "the-code") {
		t.Errorf("%+v, %+v, %v", class, object, err)
	}
	p.Void = true
	if _, object, err = g.Patches(p); err != nil || string(object.Body) != `{"state":"INACTIVE"}` {
		t.Errorf("void: %s, %v", object.Body, err)
	}
	p.Event.Name = "Another show"
	if moved, _, err := g.Patches(p); err != nil || moved.ID != class.ID || string(moved.Body) == string(class.Body) {
		t.Errorf("after a change: %+v, %v", moved, err)
	}
}

func TestAPassNamesItsWebServiceWhereThereIsOneAndItHasAToken(t *testing.T) {
	p := Pass{Ticket: uuid.New(), Epoch: 4, Named: 2, Token: "a-token", Event: Event{Slug: "arena", Name: "Show"}}
	for service, want := range map[string]bool{"https://example.org/wallet": true, "": false} {
		a := &Apple{cfg: AppleConfig{WebService: service}}
		for _, token := range []string{"a-token", ""} {
			p.Token = token
			text, err := json.Marshal(a.describe(p))
			if err != nil {
				t.Fatal(err)
			}
			if named := strings.Contains(string(text), "webServiceURL") && strings.Contains(string(text), "authenticationToken"); named != (want && token != "") {
				t.Errorf("service %q, token %q: %s", service, token, text)
			}
			if !strings.Contains(string(text), `"serialNumber":"`+Name(p.Ticket, 2)+`"`) {
				t.Errorf("its name: %s", text)
			}
		}
	}
}
