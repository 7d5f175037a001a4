package edge

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	"fairgate/edge/guard"
	"fairgate/edge/guard/score"
	"fairgate/edge/lottery"
	"fairgate/edge/queue"
)

const (
	// judgeOver is the time over which new devices, strangers and the like are counted.
	judgeOver = 10 * time.Minute
	// usualNewDevices is how many new devices a large network has in that time without being remarkable: a stadium's, a carrier's.
	usualNewDevices = 5000
	// judged bounds the networks, devices and entrants that each count remembers, some 40 bytes each.
	judged = 200_000
	// followed is how many browsers' polls are followed, 16 bytes each.
	followed = 1 << 18
	// decoyPath is where a link leads that people do not see. Programs that follow every link give themselves away.
	decoyPath = "/early-entry"
)

// judges remember what behaviour is judged by. All of it is this node's alone and bounded; what finds no room is not counted.
type judges struct {
	newDevices *guard.Tally // by network
	strangers  *guard.Tally // by entrant: passes and tokens that another browser showed
	early      *guard.Tally // by entrant: claims before the turn
	entrants   *guard.Tally // by device and event: as how many entrants
	networks   *guard.Tally // by device: from how many networks
	pairs      *guard.Tally // what the two above have counted already
	traps      *guard.Tally // by device: hidden fields filled in, hidden links followed
	rhythms    *guard.Rhythms
	servers    *guard.Networks // data centres; nil: none known
}

func newJudges(c guard.Config, now time.Time, log *slog.Logger) (judges, error) {
	tally := func() *guard.Tally { return guard.NewTally(judgeOver, judged) }
	j := judges{
		newDevices: tally(), strangers: tally(), early: tally(), entrants: tally(), networks: tally(), pairs: tally(), traps: tally(),
		rhythms: guard.NewRhythms(followed, now, rand.Uint64()),
	}
	if c.DataCentres == "" {
		return j, nil
	}
	var err error
	if j.servers, err = guard.LoadNetworks(c.DataCentres); errors.Is(err, fs.ErrNotExist) {
		log.Warn("there is no list of data centres' networks (guard.data_centres), so none is a signal", "file", c.DataCentres)
		return j, nil
	}
	return j, err
}

// What pairs are counted.
const (
	pairEntrant = 'e' // of a device
	pairNetwork = 'n' // of a device
)

// pair counts a pair of a device and something else, once in a stretch of time, and returns how many different ones the device has.
func (j *judges) pair(now time.Time, kind byte, total *guard.Tally, of, other []byte) int {
	var key [64]byte
	first := j.pairs.Add(now, append(append(append(key[:0], kind), of...), other...), 1) == 1
	n := 0
	if first {
		n = 1
	}
	return total.Add(now, of, n)
}

// noteBrowser counts a browser that works with the node: as which entrant, from which network.
func (j *judges) noteBrowser(now time.Time, event uuid.UUID, device lottery.DeviceHash, entrant lottery.Entrant, network [8]byte) (entrants, networks int) {
	var at [32]byte
	entrants = j.pair(now, pairEntrant, j.entrants, append(append(at[:0], device[:]...), event[:]...), entrant[:])
	return entrants, j.pair(now, pairNetwork, j.networks, device[:], network[:])
}

// judgeJoin scores who joins. The verdict is counted, by level and by signal, and changes nothing about the answer: what is asked
// of a program is asked when it is called.
func (s *Server) judgeJoin(ctx *fasthttp.RequestCtx, now time.Time, client netip.Addr, deviceNew bool, who browser, room *room, entrant lottery.Entrant, state *queue.State, honeypot bool) score.Verdict {
	network := lottery.NetworkOf(client)
	isNew := 0
	if deviceNew {
		isNew = 1
	}
	if honeypot {
		s.judges.traps.Add(now, who.hash[:], 1)
	}
	seen := s.observe(ctx, now, client, who, room, entrant)
	seen.NewDevices = s.judges.newDevices.Add(now, network[:], isNew)
	if acted := s.clock.at(now).Sub(state.JoiningAt.Time); deviceNew {
		seen.Acted = &acted // the page shows the form when the room opens
	}
	verdict := score.Judge(seen)
	s.guard.Judged(verdict)
	if verdict.Level > score.None {
		c := claimant{who: who, pass: queue.Pass{Entrant: entrant}, room: room, client: client, at: s.clock.at(now)}
		noted := c.verdict("noted", "", verdict)
		noted.place = "join"
		s.verdicts.note(noted)
	}
	return verdict
}

// judgeClaim scores who claims a turn that has come.
func (s *Server) judgeClaim(ctx *fasthttp.RequestCtx, now time.Time, client netip.Addr, who browser, room *room, entrant lottery.Entrant, state *queue.State) score.Verdict {
	network := lottery.NetworkOf(client)
	seen := s.observe(ctx, now, client, who, room, entrant)
	seen.NewDevices = s.judges.newDevices.Add(now, network[:], 0)
	seen.Early = s.judges.early.Add(now, entrant[:], 0)
	seen.Asked = untilNextPoll(state)
	if key, ok := rhythmKey(ctx.Request.Header.Cookie(s.cookies.device)); ok {
		seen.Polls = s.judges.rhythms.Of(key)
	}
	verdict := score.Judge(seen)
	s.guard.Judged(verdict)
	return verdict
}

// observe is what a join and a claim have in common.
func (s *Server) observe(ctx *fasthttp.RequestCtx, now time.Time, client netip.Addr, who browser, room *room, entrant lottery.Entrant) score.Observation {
	entrants, networks := s.judges.noteBrowser(now, room.event, who.hash, entrant, lottery.NetworkOf(client))
	return score.Observation{
		Headers: headersOf(ctx), Proxied: len(s.proxies) > 0, Entrants: entrants, Networks: networks,
		Honeypot:  s.judges.traps.Add(now, who.hash[:], 0) > 0,
		Strangers: s.judges.strangers.Add(now, entrant[:], 0), NewDevicesUsual: usualNewDevices,
		DataCentre: s.judges.servers.Contains(client),
	}
}

// decoy notes who follows a link that people do not see. There is nothing behind it.
func (s *Server) decoy(ctx *fasthttp.RequestCtx) {
	if who, known := s.cookies.browserOf(ctx); known {
		s.judges.traps.Add(s.now(), who.hash[:], 1)
	}
	s.counts.decoys.Inc()
	refuse(ctx, problemNotFound)
}

// notePoll follows how evenly a browser polls, as far as its polls reach the node: a cache in between answers most of them.
func (s *Server) notePoll(ctx *fasthttp.RequestCtx) {
	header := ctx.Request.Header.Peek(fasthttp.HeaderCookie)
	at := bytes.Index(header, s.cookies.deviceIs)
	if at < 0 {
		return
	}
	if key, ok := rhythmKey(header[at+len(s.cookies.deviceIs):]); ok {
		s.judges.rhythms.Note(key, s.now())
	}
}

// rhythmKey tells browsers apart by the beginning of their secret: 48 bits of it, in text.
func rhythmKey(secret []byte) (uint64, bool) {
	if len(secret) < 8 {
		return 0, false
	}
	return binary.LittleEndian.Uint64(secret), true
}

// maxJudgedHeaders bounds how many headers are looked at: browsers send some twenty.
const maxJudgedHeaders = 40

// headersOf are the request's headers in their order. Their texts are parts of one copy.
func headersOf(ctx *fasthttp.RequestCtx) []score.Header {
	var buf [2048]byte
	var ends [2 * maxJudgedHeaders]int
	all, n := buf[:0], 0
	for name, value := range ctx.Request.Header.AllInOrder() {
		if n == len(ends) {
			break
		}
		all = append(all, name...)
		ends[n] = len(all)
		all = append(all, value...)
		ends[n+1] = len(all)
		n += 2
	}
	text, from := string(all), 0
	headers := make([]score.Header, n/2)
	for i := range headers {
		headers[i] = score.Header{Name: text[from:ends[2*i]], Value: text[ends[2*i]:ends[2*i+1]]}
		from = ends[2*i+1]
	}
	return headers
}
