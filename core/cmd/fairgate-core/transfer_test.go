package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"fairgate/core/notify"
	"fairgate/edge/lottery"
)

// member is a browser in which somebody is signed in.
type member struct {
	email   string
	device  lottery.DeviceHash
	account string
}

// signsIn asks for a code, reads it in the mail, and signs in with it.
func (r *rig) signsIn(email string) *member {
	r.t.Helper()
	m := &member{email: email, device: lottery.HashDevice([]byte(email))}
	r.call(r.member(m, http.MethodPost, "/v1/account/code", map[string]any{"email": email, "language": "es"}), http.StatusAccepted, nil)
	var text string
	if err := r.db.Pool.QueryRow(r.t.Context(), `SELECT data FROM mails WHERE kind = 'sign_in_code' AND recipient = $1`, email).Scan(&text); err != nil {
		r.t.Fatal(err)
	}
	var data struct {
		Code string `json:"code"`
	}
	if err := json.Unmarshal([]byte(text), &data); err != nil {
		r.t.Fatal(err)
	}
	var in struct {
		Session string `json:"session"`
	}
	r.call(r.member(m, http.MethodPost, "/v1/account/session", map[string]any{"email": email, "code": data.Code}), http.StatusOK, &in)
	m.account = in.Session
	return m
}

func (r *rig) member(m *member, method, path string, body any) *http.Request {
	req := r.request("edge", method, path, body)
	req.Header.Set("Fairgate-Device", m.device.String())
	if m.account != "" {
		req.Header.Set("Fairgate-Account", m.account)
	}
	req.Header.Set("Idempotency-Key", "k")
	return req
}

type handed struct {
	ID       uuid.UUID `json:"id"`
	TicketID uuid.UUID `json:"ticket_id"`
	State    string    `json:"state"`
	To       string    `json:"to"`
	From     string    `json:"from"`
}

type handedBoth struct {
	Given    []handed `json:"given"`
	Received []handed `json:"received"`
}

func TestATicketIsHandedOnOverHTTPAndEverybodySeesWhatIsTheirs(t *testing.T) {
	r := newRig(t, "")
	r.with("\nrefunds: {by: buyer}\n")
	slug, tier := r.firstEvent()
	shoppers := r.open(slug, 2)
	r.admit(slug, shoppers...)
	s, stranger := shoppers[0], shoppers[1]
	o := r.bought(s, slug, tier, 2)
	id := o.Tickets[0]
	before := r.codeOf(s, id)
	ben, cleo := r.signsIn("ben@example.org"), r.signsIn("cleo@example.org")
	offer := func(from *shopper, to string) *http.Request {
		return r.as(from, http.MethodPost, "/v1/tickets/"+id.String()+"/transfers", map[string]any{"email": to, "language": "de"})
	}
	refuse := func(what string, req *http.Request, status int, want string) {
		t.Helper()
		if got := r.code(req, status); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	refuse("a stranger's ticket", offer(stranger, ben.email), 404, "ticket_unknown")
	refuse("by an account that does not own it", r.member(cleo, http.MethodPost, "/v1/tickets/"+id.String()+"/transfers", map[string]any{"email": ben.email}), 404, "ticket_unknown")
	refuse("to no address", offer(s, "ben"), 422, "email_invalid")
	nokey := offer(s, ben.email)
	nokey.Header.Del("Idempotency-Key")
	refuse("without a key", nokey, 400, "idempotency_key_missing")

	var x handed
	r.call(offer(s, "Ben@Example.org"), http.StatusCreated, &x)
	if x.State != "offered" || x.To != ben.email || x.TicketID != id || x.From != "" {
		t.Errorf("the offer: %+v", x)
	}
	other := offer(s, cleo.email)
	other.Header.Set("Idempotency-Key", "another")
	refuse("twice", other, 409, "ticket_offered")
	path := "/v1/transfers/" + x.ID.String()
	var mine, theirs handedBoth
	r.call(r.as(s, http.MethodGet, "/v1/transfers", nil), http.StatusOK, &mine)
	r.call(r.member(ben, http.MethodGet, "/v1/transfers", nil), http.StatusOK, &theirs)
	if len(mine.Given) != 1 || mine.Given[0].To != ben.email || len(mine.Received) != 0 || len(theirs.Received) != 1 || theirs.Received[0].To != "" || len(theirs.Given) != 0 {
		t.Errorf("the giver sees %+v, the receiver %+v", mine, theirs)
	}
	refuse("shown to another", r.member(cleo, http.MethodGet, path, nil), 404, "transfer_unknown")
	refuse("accepted by nobody", r.as(s, http.MethodPost, path+"/accept", nil), 401, "signed_out")
	refuse("accepted by another", r.member(cleo, http.MethodPost, path+"/accept", nil), 403, "transfer_other_account")
	refuse("declined by another", r.member(cleo, http.MethodPost, path+"/decline", nil), 403, "transfer_other_account")
	refuse("cancelled by the receiver", r.member(ben, http.MethodDelete, path, nil), 404, "transfer_unknown")
	refuse("the receiver before", r.member(ben, http.MethodGet, "/v1/tickets/"+id.String(), nil), 404, "ticket_unknown")

	r.call(r.member(ben, http.MethodPost, path+"/accept", nil), http.StatusOK, &x)
	var held struct {
		Epoch int    `json:"epoch"`
		Code  string `json:"code"`
	}
	r.call(r.member(ben, http.MethodGet, "/v1/tickets/"+id.String(), nil), http.StatusOK, &held)
	if x.State != "accepted" || held.Epoch != 2 || held.Code == before {
		t.Errorf("accepted: %+v, %+v", x, held)
	}
	refuse("the giver afterwards", r.as(s, http.MethodGet, "/v1/tickets/"+id.String(), nil), 404, "ticket_unknown")
	gate := r.addGate(slug, "north", "")
	scan := func(code string) *http.Request {
		return r.atGate(gate, http.MethodPost, "/gate/v1/scans", map[string]any{"id": uuid.New(), "code": code, "direction": "in"})
	}
	refuse("the code before", scan(before), 410, "ticket_superseded")
	refuse("a refund of all", r.as(s, http.MethodPost, "/v1/orders/"+o.ID.String()+"/refund", map[string]any{}), 409, "ticket_transferred")
	back := r.as(s, http.MethodPost, "/v1/orders/"+o.ID.String()+"/refund", map[string]any{"tickets": []uuid.UUID{o.Tickets[1]}})
	back.Header.Set("Idempotency-Key", "the-other")
	r.call(back, http.StatusOK, nil)
	r.call(scan(held.Code), http.StatusOK, nil)
	refuse("after entry", r.member(ben, http.MethodPost, "/v1/tickets/"+id.String()+"/transfers", map[string]any{"email": cleo.email}), 409, "ticket_entered")

	for kind, want := range map[notify.Kind]int64{notify.KindTransferOffer: 1} {
		if n := r.number(`SELECT count(*) FROM mails WHERE kind = '` + string(kind) + `'`); n != want {
			t.Errorf("%d mails %s", n, kind)
		}
	}
	for want, said := range map[string]string{
		"accepted":                    r.ticketctl("", 0, "tickets", "transfers", slug),
		ben.email:                     r.ticketctl("", 0, "tickets", "transfers", "--ticket", id.String()),
		"epoch 2: transfer from":      r.ticketctl("", 0, "tickets", "title", id.String()),
		"the chain of title is whole": r.ticketctl("", 0, "tickets", "title", o.Tickets[1].String()),
	} {
		if !strings.Contains(said, want) {
			t.Errorf("nothing of %q: %s", want, said)
		}
	}
	if _, err := r.db.Pool.Exec(t.Context(), `UPDATE title_steps SET note = 'altered'`); err != nil {
		t.Fatal(err)
	}
	if said := r.ticketctl("", 3, "tickets", "title", id.String()); !strings.Contains(said, "BROKEN") {
		t.Errorf("altered: %s", said)
	}
}
