package edge

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"fairgate/edge/lottery"
)

// coreProblem is what an edge reads of a problem of core.
type coreProblem struct {
	Code       string `json:"code"`
	Detail     string `json:"detail"`
	RetryAfter int    `json:"retry_after"`
}

// readProblem reads a problem; whatever is none reads as an empty one.
func readProblem(body []byte) coreProblem {
	var p coreProblem
	if json.Unmarshal(body, &p) != nil {
		return coreProblem{}
	}
	return p
}

// ownProblem tells whether a 401 of core is about this edge and not about the buyer.
func ownProblem(body []byte) bool {
	code := readProblem(body).Code
	return code == "unauthorized" || code == "edge_unknown"
}

// leaving tells whether a 503 of core says that it did nothing because it is about to stop.
func leaving(body []byte) bool { return readProblem(body).Code == "core_leaving" }

// readObject reads a request body that must be one JSON object, or nothing at all.
func readObject(body []byte, into any) bool {
	body = bytes.TrimSpace(body)
	if len(body) == 0 || string(body) == "{}" { // what the pages send most
		return true
	}
	return body[0] == '{' && json.Unmarshal(body, into) == nil
}

// appendHex appends lower-case hex.
func appendHex(dst, b []byte) []byte {
	const digits = "0123456789abcdef"
	for _, c := range b {
		dst = append(dst, digits[c>>4], digits[c&15])
	}
	return dst
}

// joined is the answer to a join.
type joined struct {
	event      string
	entrant    lottery.Entrant
	deviceNew  bool
	passText   []byte
	seat       seat
	final      bool
	generation uint32
	retryAfter time.Duration
}

func (j *joined) append(dst []byte) []byte {
	dst = append(dst, `{"event":"`...)
	dst = append(dst, j.event...)
	dst = append(dst, `","entrant":"`...)
	dst = appendHex(dst, j.entrant[:])
	dst = append(dst, `","device_new":`...)
	dst = strconv.AppendBool(dst, j.deviceNew)
	dst = append(dst, `,"provisional":`...)
	dst = strconv.AppendBool(dst, !j.final)
	dst = append(dst, `,"window":`...)
	dst = strconv.AppendUint(dst, uint64(j.seat.window), 10)
	dst = append(dst, `,"band":`...)
	dst = strconv.AppendUint(dst, uint64(j.seat.band), 10)
	dst = append(dst, `,"reason":`...)
	dst = strconv.AppendUint(dst, uint64(j.seat.reason), 10)
	dst = append(dst, `,"generation":`...)
	dst = strconv.AppendUint(dst, uint64(j.generation), 10)
	dst = append(dst, `,"pass":"`...)
	dst = append(dst, j.passText...)
	dst = append(dst, `","receipt":`...)
	if j.seat.receipt == "" {
		dst = append(dst, `null`...)
	} else {
		dst = appendJSONString(dst, j.seat.receipt)
	}
	if j.seat.otherDevice {
		dst = append(dst, `,"other_device":true`...) // this browser cannot take the turn
	}
	dst = append(dst, `,"retry_after_ms":`...)
	dst = strconv.AppendInt(dst, j.retryAfter.Milliseconds(), 10)
	return append(dst, '}')
}

// answerJSON answers with a body the handler owns.
func answerJSON(ctx *fasthttp.RequestCtx, status int, body []byte) {
	ctx.SetStatusCode(status)
	ctx.Response.Header.SetContentType(typeJSON)
	ctx.Response.Header.SetCanonical(keyCacheControl, noStore)
	ctx.Response.SetBodyRaw(body)
}

// answerFromCore passes on what core said to one buyer of a batch. The body is copied.
func answerFromCore(ctx *fasthttp.RequestCtx, got answer) {
	ctx.SetStatusCode(got.status)
	ctx.Response.Header.SetContentType(typeJSON)
	ctx.Response.Header.SetCanonical(keyCacheControl, noStore)
	ctx.Response.SetBody(got.body)
	if got.status >= 400 {
		ctx.Response.Header.SetContentType(typeProblem)
		if !bytes.Contains(got.body, []byte(`"retry_after"`)) {
			return // most refusals: sold out
		}
		if p := readProblem(got.body); p.RetryAfter > 0 {
			ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, strconv.Itoa(p.RetryAfter))
		}
	}
}
