package edge

import (
	"crypto/rand"
	"encoding/json"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	"fairgate/edge/lottery"
	"fairgate/edge/web"
)

// maxPerForm bounds the tickets of one tier in a form; the event's own limits are core's.
const maxPerForm = 100

// buyPage is where places without a number are bought without a script.
func buyPage(slug string) string { return web.EventPrefix + slug + "/buy" }

// orderPage is where an order is shown without a script.
func orderPage(slug, order string) string { return web.EventPrefix + slug + "/order/" + order }

// serveBuy shows what can be chosen, or takes the choice: holds it, opens the order, and goes to the order's page. The key in the form makes
// of a form that is sent twice one hold and one order.
func (s *Server) serveBuy(ctx *fasthttp.RequestCtx, slug string) {
	if len(ctx.Request.Header.Cookie(s.cookies.sess+slug)) == 0 {
		s.afterForm(ctx, placePage(slug))
		return
	}
	if !ctx.IsPost() {
		s.showBuy(ctx, slug, fasthttp.StatusOK, web.BuyView{})
		return
	}
	view := web.BuyView{Key: formField(ctx, "key"), Email: formField(ctx, "email")}
	if _, err := uuid.Parse(view.Key); err != nil {
		view.Key = ""
		s.showBuy(ctx, slug, fasthttp.StatusBadRequest, view)
		return
	}
	method, items := formField(ctx, "method"), s.chosen(ctx)
	if len(items) == 0 {
		view.Problem = s.language(ctx).T("buy.nothing")
		s.showBuy(ctx, slug, fasthttp.StatusUnprocessableEntity, view)
		return
	}
	asJSON(ctx, map[string]any{"event": slug, "items": items})
	ctx.Request.Header.Set(headerKey, "form-"+view.Key+"-hold")
	s.createHold(ctx)
	hold, ok := made(ctx)
	if !ok {
		s.refuseBuy(ctx, slug, view)
		return
	}
	order := map[string]any{"hold_id": hold, "email": view.Email, "language": s.language(ctx).Code}
	if method != "" {
		order["method"] = method
	}
	asJSON(ctx, order)
	ctx.Request.SetRequestURI("/v1/orders")
	ctx.Request.Header.Set(headerKey, "form-"+view.Key+"-order")
	s.forwardPrivate(ctx, true)
	id, ok := made(ctx)
	if !ok {
		s.refuseBuy(ctx, slug, view)
		return
	}
	s.afterForm(ctx, orderPage(slug, id))
}

// chosenItem is a number of places of a tier, as core wants it.
type chosenItem struct {
	Tier     string `json:"tier"`
	Quantity int    `json:"quantity"`
}

// chosen are the items of the form.
func (s *Server) chosen(ctx *fasthttp.RequestCtx) []chosenItem {
	var items []chosenItem
	for name, value := range ctx.PostArgs().All() {
		const prefix = "tier-"
		n, err := strconv.Atoi(string(value))
		if len(name) <= len(prefix) || len(name) > 64 || string(name[:len(prefix)]) != prefix || err != nil || n < 1 || n > maxPerForm || len(items) >= maxPerForm {
			continue
		}
		items = append(items, chosenItem{string(name[len(prefix):]), n})
	}
	return items
}

// made is the id of what core has just made.
func made(ctx *fasthttp.RequestCtx) (string, bool) {
	var got struct{ ID string }
	status := ctx.Response.StatusCode()
	if status != fasthttp.StatusCreated && status != fasthttp.StatusOK || json.Unmarshal(ctx.Response.Body(), &got) != nil || !validUUID([]byte(got.ID)) {
		return "", false
	}
	return got.ID, true
}

// saleOver tells whether core refuses because the sale that let somebody in is over. There may be another.
func saleOver(code string) bool { return code == "sale_ended" || code == "presale_over" }

// refuseBuy shows why the choice was refused. Who has no session any more, or one of a sale that is over, goes back to the waiting room.
func (s *Server) refuseBuy(ctx *fasthttp.RequestCtx, slug string, view web.BuyView) {
	status := ctx.Response.StatusCode()
	if status == fasthttp.StatusUnauthorized || saleOver(readProblem(ctx.Response.Body()).Code) {
		s.afterForm(ctx, placePage(slug))
		return
	}
	if status < fasthttp.StatusBadRequest {
		status = fasthttp.StatusServiceUnavailable
	}
	view.Problem = s.said(ctx)
	if status < fasthttp.StatusInternalServerError && status != fasthttp.StatusTooManyRequests {
		view.Key = "" // decided: another choice is another hold
	}
	s.showBuy(ctx, slug, status, view)
}

// showBuy writes the page on which one chooses.
func (s *Server) showBuy(ctx *fasthttp.RequestCtx, slug string, status int, view web.BuyView) {
	found, body, _ := s.knownOf(ctx, slug)
	if body == nil {
		if found == fasthttp.StatusNotFound {
			s.toEvent(ctx, []byte(slug))
			return
		}
		refuseUntil(ctx, problemCoreUnreachable, coreRetry)
		return
	}
	if view.Slug, view.Event = slug, body; view.Key == "" {
		var key uuid.UUID
		rand.Read(key[:])
		view.Key = key.String()
	}
	s.writeForm(ctx, status, func() ([]byte, error) { return s.pages.Buy(s.language(ctx), view) })
}

// serveOrder shows an order and its tickets to who bought them.
func (s *Server) serveOrder(ctx *fasthttp.RequestCtx, slug, order string) {
	s.withOrder(ctx, slug, order, func(body []byte) {
		again := time.Duration(0)
		_, known, _ := s.knownOf(ctx, slug)
		returned := len(ctx.QueryArgs().Peek("redirect_status"))+len(ctx.QueryArgs().Peek("token")) > 0 // as Stripe and PayPal say it
		s.writeForm(ctx, fasthttp.StatusOK, func() (page []byte, err error) {
			page, again, err = s.pages.Order(s.language(ctx), slug, body, known, s.ownOrigin(ctx)+orderPage(slug, order), returned)
			return page, err
		})
		if again > 0 {
			ctx.Response.Header.Set("Refresh", strconv.Itoa(wholeSeconds(again)))
		}
	})
}

// ownOrigin is where the browser has this page from.
func (s *Server) ownOrigin(ctx *fasthttp.RequestCtx) string {
	scheme := "http://"
	if s.cookies.secure {
		scheme = "https://"
	}
	return scheme + string(ctx.Host())
}

// buyPath splits /e/{event}/buy and /e/{event}/order/{order}; ok is false for any other path.
func buyPath(path []byte) (slug, order string, ok bool) {
	if len(path) <= len(web.EventPrefix) || string(path[:len(web.EventPrefix)]) != web.EventPrefix {
		return "", "", false
	}
	first, rest, _ := cutPath(path[len(web.EventPrefix):])
	slug = string(first)
	if !lottery.ValidSlug(slug) {
		return "", "", false
	}
	if len(path) == len(web.EventPrefix)+len(slug)+len("/buy") && string(rest) == "buy" {
		return slug, "", true
	}
	_, _, tail := cutPath(path[len(web.EventPrefix):])
	if string(rest) == "order" && validUUID(tail) {
		return slug, string(tail), true
	}
	return "", "", false
}
