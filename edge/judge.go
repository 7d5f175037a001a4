package edge

import (
	"net/netip"
	"time"

	"github.com/valyala/fasthttp"

	"fairgate/edge/guard"
	"fairgate/edge/guard/score"
	"fairgate/edge/lottery"
)

const (
	// judgeOver is the time over which new devices and strangers are counted.
	judgeOver = 10 * time.Minute
	// usualNewDevices is how many new devices a large network has in that time without being remarkable: a stadium's, a carrier's.
	usualNewDevices = 5000
	// judged bounds the networks, and the entrants, that are remembered, some 40 bytes each.
	judged = 200_000
)

// judges remember what behaviour is judged by.
type judges struct {
	newDevices *guard.Tally // by network
	strangers  *guard.Tally // by entrant: passes and tokens that another browser showed
}

func newJudges() judges {
	return judges{newDevices: guard.NewTally(judgeOver, judged), strangers: guard.NewTally(judgeOver, judged)}
}

// judge scores who joins. The verdict is counted, by level and by signal, and changes nothing about the answer.
func (s *Server) judge(ctx *fasthttp.RequestCtx, now time.Time, client netip.Addr, deviceNew bool, entrant lottery.Entrant, honeypot bool) score.Verdict {
	network := guard.NetworkOf(client)
	isNew := 0
	if deviceNew {
		isNew = 1
	}
	seen := score.Observation{
		Headers: headersOf(ctx), Proxied: len(s.proxies) > 0, Honeypot: honeypot,
		Strangers:  s.judges.strangers.Add(now, entrant[:], 0),
		NewDevices: s.judges.newDevices.Add(now, network[:], isNew), NewDevicesUsual: usualNewDevices,
	}
	verdict := score.Judge(seen)
	s.guard.Judged(verdict)
	return verdict
}

// maxJudgedHeaders bounds how many headers are looked at: browsers send some twenty.
const maxJudgedHeaders = 40

// headersOf are the request's headers in their order.
func headersOf(ctx *fasthttp.RequestCtx) []score.Header {
	headers := make([]score.Header, 0, maxJudgedHeaders)
	for name, value := range ctx.Request.Header.AllInOrder() {
		if len(headers) == maxJudgedHeaders {
			break
		}
		headers = append(headers, score.Header{Name: string(name), Value: string(value)})
	}
	return headers
}
