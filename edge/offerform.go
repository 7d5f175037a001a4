package edge

import (
	"encoding/json"
	"strconv"

	"github.com/valyala/fasthttp"

	"fairgate/edge/guard"
	"fairgate/edge/web"
)

// maxTicked bounds how many boxes of a kind a form may have ticked.
const maxTicked = 20

// takeLater takes a form about what an account waits for or is offered, and shows the page again; an offer that is accepted leads on to its
// order. Sent twice, each does the same.
func (s *Server) takeLater(ctx *fasthttp.RequestCtx, view web.AccountView, step string) {
	now, client := s.now(), s.proxies.client(ctx)
	if s.crowded(ctx, now, client) {
		return
	}
	signed, none := s.accountOf(ctx, now)
	if none != nil {
		s.refuseAccount(ctx, none)
		view.Problem = s.said(ctx)
		s.writeAccount(ctx, none.status, view)
		return
	}
	if s.limited(ctx, guard.Session, now, signed.token.Account[:]) || !s.enter(ctx) {
		return
	}
	defer s.leave()
	offer := formField(ctx, "offer")
	aboutOffer := step == "accept" || step == "decline"
	if aboutOffer && !validUUID([]byte(offer)) || !aboutOffer && view.Event == "" {
		ctx.SetStatusCode(fasthttp.StatusBadRequest)
		view.Problem = s.language(ctx).T("account.not_a_form")
		s.showSigned(ctx, &signed, view)
		return
	}
	if step == "accept" {
		s.acceptByForm(ctx, &signed, view, offer)
		return
	}
	var got answer
	ok := true
	switch of := "/v1/events/" + view.Event; step {
	case "decline":
		got, ok = s.doForAccount(ctx, &signed, fasthttp.MethodPost, "/v1/offers/"+offer+"/decline", "", map[string]any{})
	case "leave":
		got, ok = s.doForAccount(ctx, &signed, fasthttp.MethodDelete, of+"/"+waitlistEntry, "", nil)
	case "withdraw":
		got, ok = s.doForAccount(ctx, &signed, fasthttp.MethodDelete, of+"/reminders", "", nil)
	case "remind":
		got, ok = s.doForAccount(ctx, &signed, fasthttp.MethodPut, of+"/reminders", "", map[string]any{"occasions": ticked(ctx, "occasion"), "language": s.language(ctx).Code})
	case "ask":
		wish := s.wishOf(ctx)
		if len(wish.Tiers) == 0 {
			ctx.SetStatusCode(fasthttp.StatusUnprocessableEntity)
			view.Problem = s.language(ctx).T("offers.which")
			s.showSigned(ctx, &signed, view)
			return
		}
		got, ok = s.doForAccount(ctx, &signed, fasthttp.MethodPut, of+"/"+waitlistEntry, "", wish)
	}
	if !ok || got.status >= fasthttp.StatusMultipleChoices {
		s.refuseLater(ctx, &signed, view, got, ok)
		return
	}
	to := accountPage
	if view.Event != "" && view.Then {
		to += "?" + view.Query()
	}
	s.afterForm(ctx, to+"#offers")
}

// refuseLater shows the page with what core said against a form.
func (s *Server) refuseLater(ctx *fasthttp.RequestCtx, signed *signedIn, view web.AccountView, got answer, answered bool) {
	if answered {
		answerFromCore(ctx, got)
	}
	view.Problem = s.said(ctx)
	if ctx.Response.StatusCode() < fasthttp.StatusBadRequest { // nothing that core says
		ctx.SetStatusCode(fasthttp.StatusBadGateway)
	}
	s.showSigned(ctx, signed, view)
}

// wish is what somebody asks the waiting list for.
type wish struct {
	Tiers    []string `json:"tiers"`
	Quantity int      `json:"quantity"`
	Together bool     `json:"together"`
	Resold   bool     `json:"resold"`
	Language string   `json:"language"`
}

func (s *Server) wishOf(ctx *fasthttp.RequestCtx) wish {
	n, err := strconv.Atoi(formField(ctx, "quantity"))
	if err != nil || n < 1 || n > maxPerForm {
		n = 0 // which core refuses
	}
	return wish{ticked(ctx, "tier"), n, formField(ctx, "together") != "", formField(ctx, "resold") != "", s.language(ctx).Code}
}

// ticked are the boxes of a name that are ticked in a form.
func ticked(ctx *fasthttp.RequestCtx, name string) []string {
	values := []string{}
	for _, value := range ctx.PostArgs().PeekMulti(name) {
		if len(values) < maxTicked && len(value) <= maxField {
			values = append(values, string(value))
		}
	}
	return values
}

// acceptByForm accepts an offer, opens the order of what is held, and leads on to it. The order's key is of the offer: whoever comes back, or sends
// the form twice, comes to the same order.
func (s *Server) acceptByForm(ctx *fasthttp.RequestCtx, signed *signedIn, view web.AccountView, offer string) {
	method := formField(ctx, "method")
	got, ok := s.doForAccount(ctx, signed, fasthttp.MethodPost, "/v1/offers/"+offer+"/accept", "", map[string]any{})
	var accepted struct {
		Event string
		Hold  string `json:"hold_id"`
	}
	if !ok || got.status != fasthttp.StatusOK || json.Unmarshal(got.body, &accepted) != nil || !validUUID([]byte(accepted.Hold)) {
		s.refuseLater(ctx, signed, view, got, ok)
		return
	}
	got, ok = s.askAccount(ctx, signed, "/v1/account")
	var who struct{ Email string }
	if !ok || got.status != fasthttp.StatusOK || json.Unmarshal(got.body, &who) != nil {
		s.refuseLater(ctx, signed, view, got, ok)
		return
	}
	order := map[string]any{"hold_id": accepted.Hold, "email": who.Email, "language": s.language(ctx).Code}
	if method != "" {
		order["method"] = method
	}
	got, ok = s.doForAccount(ctx, signed, fasthttp.MethodPost, "/v1/orders", "offer-"+offer, order)
	var made struct{ ID string }
	if ok && (got.status == fasthttp.StatusCreated || got.status == fasthttp.StatusOK) && json.Unmarshal(got.body, &made) == nil && validUUID([]byte(made.ID)) {
		s.afterForm(ctx, orderPage(accepted.Event, made.ID))
		return
	}
	if code := readProblem(got.body).Code; ok && (code == "order_exists" || code == "idempotency_key_reused") {
		if id := s.openOrder(ctx, signed, accepted.Event); id != "" { // opened before, in another language or with another way to pay
			s.afterForm(ctx, orderPage(accepted.Event, id))
			return
		}
	}
	s.refuseLater(ctx, signed, view, got, ok)
}

// openOrder is the account's latest order of an event that is to be paid; "" none is.
func (s *Server) openOrder(ctx *fasthttp.RequestCtx, signed *signedIn, event string) string {
	got, ok := s.askAccount(ctx, signed, "/v1/account/orders")
	var list struct {
		Orders []struct{ ID, Event, State string }
	}
	if !ok || got.status != fasthttp.StatusOK || json.Unmarshal(got.body, &list) != nil {
		return ""
	}
	for _, o := range list.Orders {
		unpaid := o.State == "reserved" || o.State == "payment_pending" || o.State == "payment_failed"
		if o.Event == event && unpaid && validUUID([]byte(o.ID)) {
			return o.ID
		}
	}
	return ""
}

// addLater adds what an account waits for and is offered. Tickets are shown without it when core does not say.
func (s *Server) addLater(ctx *fasthttp.RequestCtx, signed *signedIn, view *web.AccountView) {
	said := func(path string) []byte {
		if got, ok := s.askAccount(ctx, signed, path); ok && got.status == fasthttp.StatusOK {
			return got.body
		}
		return nil
	}
	later := web.Later{Entries: said("/v1/waitlist"), Reminders: said("/v1/reminders"), Offer: func(id string) []byte {
		if !validUUID([]byte(id)) {
			return nil
		}
		return said("/v1/offers/" + id)
	}, Event: func(slug string) []byte {
		path := "/v1/events/" + slug
		if entry, _ := s.shelf.find([]byte(path)); entry != nil {
			return entry.body
		}
		return said(path)
	}}
	if view.Event != "" {
		later.List, later.Sale = said("/v1/events/"+view.Event+"/waitlist"), s.saleOf(view.Event)
	}
	if later.Entries == nil || later.Reminders == nil || view.FillLater(s.language(ctx), &later) != nil {
		view.LaterView = web.LaterView{}
		if view.Problem == "" {
			view.Problem = s.language(ctx).T("offers.unavailable")
		}
	}
}
