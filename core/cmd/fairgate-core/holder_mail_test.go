package main

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
)

// Somebody was handed a ticket, and has an account and no order: they are told that the event is off, in their language, and nothing of who paid.
func TestWhoWasHandedATicketReadsThatTheEventIsOffAndNothingOfWhoPaid(t *testing.T) {
	box := newLetterbox(t)
	r := newMailRig(t, box, "")
	slug, tier := r.firstEvent()
	s := r.open(slug, 1)[0]
	r.admit(slug, s)
	o := r.buys(s, slug, tier, 1, "payer@example.net", "en")
	ben := &member{email: "ben@example.org", device: lottery.HashDevice([]byte("ben"))}
	r.call(r.member(ben, http.MethodPost, "/v1/account/code", map[string]any{"email": ben.email, "language": "es"}), http.StatusAccepted, nil)
	r.eventually("the code is sent", func() bool { return len(box.of(ben.email, "Tu código")) == 1 })
	code := regexp.MustCompile(`\d{6}`).FindString(box.of(ben.email, "Tu código")[0].subject)
	var in struct {
		Session string `json:"session"`
	}
	r.call(r.member(ben, http.MethodPost, "/v1/account/session", map[string]any{"email": ben.email, "code": code, "language": "es"}), http.StatusOK, &in)
	ben.account = in.Session
	var x handed
	r.call(r.as(s, http.MethodPost, "/v1/tickets/"+o.Tickets[0].String()+"/transfers", map[string]any{"email": ben.email, "language": "es"}), http.StatusCreated, &x)
	r.call(r.member(ben, http.MethodPost, "/v1/transfers/"+x.ID.String()+"/accept", nil), http.StatusOK, &x)

	r.admin(http.MethodPost, "/admin/v1/events/"+slug+"/cancel", map[string]any{"reason": "storm"}, http.StatusAccepted, nil)
	r.eventually("who has the ticket is told", func() bool { return len(box.of(ben.email, "Cancelado: Tuesday Jazz")) == 1 })
	r.eventually("who paid is told", func() bool { return len(box.of("payer@example.net", "Cancelled: Tuesday Jazz")) == 1 })
	text := box.of(ben.email, "Cancelado")[0].parts["text/plain"]
	if !strings.Contains(text, "ya no es válida") || !strings.Contains(text, "The Cellar, Lisbon") {
		t.Errorf("it says\n%s", text)
	}
	for _, secret := range []string{"payer@", o.ID.String(), "EUR", "12,00", uuid.Nil.String()} {
		if strings.Contains(text, secret) {
			t.Errorf("it says %q:\n%s", secret, text)
		}
	}
}
