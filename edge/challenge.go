package edge

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/netip"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"fairgate/edge/guard"
	"fairgate/edge/guard/challenge"
	"fairgate/edge/guard/score"
	"fairgate/edge/lottery"
	"fairgate/edge/queue"
	"fairgate/edge/web"
)

// cookieClear is followed by the slug of the event: what a browser has shown when it was asked.
const cookieClear = "fg_clear_"

// statusTooEarly is what a wait that is not over is answered with; fasthttp has no name for it.
const statusTooEarly = 425

// pairWaiter counts a browser that was shown the way of waiting, once.
const pairWaiter = 'w'

// asking is what the node keeps of challenges: those used, and how many each browser was given. Bounded, and this node's alone.
type asking struct {
	spent   *challenge.Spent
	asked   *guard.Tally // by device: challenges given
	waiters *guard.Tally // by network: browsers shown the way of waiting
	captcha *captcha     // nil: none
}

func newAsking(c guard.AnswerConfig, now time.Time) (asking, error) {
	provider, err := newCaptcha(c.Captcha)
	return asking{
		spent: challenge.NewSpent(c.Lifetime+c.WaitMost, c.Spent, now),
		asked: guard.NewTally(judgeOver, judged), waiters: guard.NewTally(judgeOver, judged), captcha: provider,
	}, err
}

// claimant is a browser whose turn has come, and what is known of it.
type claimant struct {
	who    browser
	pass   queue.Pass
	room   *room
	keys   *roomKeys
	state  *queue.State
	client netip.Addr
	now    time.Time // local
	at     time.Time // core's
}

// mayClaim judges somebody whose turn has come. If something is asked of them, or they are denied, it has answered and returns false;
// what it decided is on record, or on its way there.
func (s *Server) mayClaim(ctx *fasthttp.RequestCtx, c *claimant) bool {
	verdict, answer, by := s.weigh(ctx, c, 1)
	switch {
	case answer.Deny:
		s.deny(ctx, c, verdict)
		return false
	case answer.Kind == 0:
		if verdict.Level > score.None && by != 0 {
			s.verdicts.note(c.verdict("cleared", by.String(), verdict))
		}
		return true
	}
	if !s.verdicts.note(c.verdict("asked", answer.Kind.String(), verdict)) {
		refuseUntil(ctx, problemOverloaded, coreRetry) // what cannot be put on record is not done
		return false
	}
	s.refuseAsking(ctx, problemChallengeRequired, c, answer)
	return false
}

// weigh is the verdict on a claimant, what is done about it, and by which clearance nothing needs to be. more counts the challenge
// that is about to be given.
func (s *Server) weigh(ctx *fasthttp.RequestCtx, c *claimant, more int) (score.Verdict, guard.Answer, challenge.Kind) {
	verdict := s.judgeClaim(ctx, c.now, c.client, c.who, c.room, c.pass.Entrant, c.state)
	answers := &s.cfg.Guard.Answers
	if !answers.Enabled || verdict.Level == score.None || s.verdicts.lifted(c.pass.Entrant) {
		return verdict, guard.Answer{}, 0
	}
	level, by := s.clearanceOf(ctx, c)
	asked := s.asking.asked.Add(c.now, c.who.hash[:], 0)
	answer := answers.To(verdict, level, s.asking.captcha.up(c.now), asked)
	if answer.Kind != 0 {
		s.asking.asked.Add(c.now, c.who.hash[:], more)
	}
	return verdict, answer, by
}

// clearanceOf is up to which level the browser is cleared, and how. Whoever is signed in has shown that they read a code sent to their
// e-mail address, which is as good as any answer and needs neither script nor sight.
func (s *Server) clearanceOf(ctx *fasthttp.RequestCtx, c *claimant) (score.Level, challenge.Kind) {
	if _, nobody := s.accountOf(ctx, c.now); nobody == nil {
		return score.High, challenge.Account
	}
	text := ctx.Request.Header.Cookie(s.cookies.clear + c.room.slug)
	if len(text) == 0 {
		return score.None, 0
	}
	cleared, err := challenge.VerifyClearance(text, c.keys.passes, c.at)
	if err != nil || cleared.Event != c.room.event || cleared.Entrant != c.pass.Entrant || cleared.Device != c.who.hash {
		return score.None, 0
	}
	return cleared.Level, cleared.By
}

// ask is a challenge for a claimant, as text.
func (c *claimant) ask(answer guard.Answer, wait time.Duration) string {
	_, text := challenge.Challenge{
		Kind: answer.Kind, Clears: answer.Clears, Bits: answer.Bits, Wait: wait, Event: c.room.event, Entrant: c.pass.Entrant, Device: c.who.hash,
	}.New(c.keys.newest, c.at)
	return text
}

// refuseAsking answers with a problem that holds a challenge, and where there are other ways.
func (s *Server) refuseAsking(ctx *fasthttp.RequestCtx, p *problem, c *claimant, answer guard.Answer) {
	body := appendProblem(make([]byte, 0, 768), p, p.detail, 0)
	body = append(body[:len(body)-1], `,"challenge":{"kind":"`...)
	body = append(append(body, answer.Kind.String()...), `","token":"`...)
	body = append(append(body, c.ask(answer, 0)...), `","bits":`...)
	body = strconv.AppendUint(body, uint64(answer.Bits), 10)
	body = append(body, `,"lifetime_ms":`...)
	body = strconv.AppendInt(body, s.cfg.Guard.Answers.Lifetime.Milliseconds(), 10)
	body = append(append(append(body, `,"page":"/q/`...), c.room.slug...), `/challenge"}}`...)
	refuse(ctx, p)
	ctx.Response.SetBodyRaw(body)
}

// deny refuses a claim for good, once core has the reasons. Until then it is a wait: nobody is denied without a record.
func (s *Server) deny(ctx *fasthttp.RequestCtx, c *claimant, verdict score.Verdict) {
	if !s.enter(ctx) {
		return
	}
	defer s.leave()
	if !s.verdicts.keep(c.verdict("denied", "", verdict), s.cfg.Core.Timeout) {
		s.counts.unreachable.Inc()
		refuseUntil(ctx, problemCoreUnreachable, coreRetry)
		return
	}
	if s.verdicts.lifted(c.pass.Entrant) { // core said so when it took the record
		refuseUntil(ctx, problemOverloaded, time.Second)
		return
	}
	s.counts.denied.Inc()
	refuseFor(ctx, problemDenied, problemDenied.detail+" Your reference is "+c.pass.Entrant.String()+"."+s.appeal(), 0)
}

func (s *Server) appeal() string {
	if s.cfg.Guard.Answers.Appeal == "" {
		return ""
	}
	return " " + s.cfg.Guard.Answers.Appeal
}

// claimantOf is the browser that shows the page of a challenge or answers one, if its turn has come; or it has answered.
func (s *Server) claimantOf(ctx *fasthttp.RequestCtx, slug []byte, html bool) (claimant, bool) {
	c := claimant{now: s.now(), client: s.proxies.client(ctx)}
	if s.crowded(ctx, c.now, c.client) {
		return c, false
	}
	entry := s.board.Entry(slug)
	if c.room = s.rooms.find(slug); entry == nil || c.room == nil {
		s.refuseUnknown(ctx)
		return c, false
	}
	var known bool
	if c.who, known = s.cookies.browserOf(ctx); known && s.limited(ctx, guard.Device, c.now, c.who.hash[:]) {
		return c, false
	}
	var bad *problem
	c.pass, bad = s.passOf(ctx, c.room, c.who, known)
	c.state, c.at, c.keys = &entry.State, s.clock.at(c.now), c.room.keys.Load()
	switch {
	case bad == nil && c.keys != nil && c.pass.Generation == c.state.Generation:
		return c, true
	case html && bad != problemCoreUnreachable:
		s.toEvent(ctx, slug) // which knows what to do with a browser that has not joined
	case bad != nil:
		refuseUntil(ctx, bad, 0)
	default:
		refuse(ctx, problemPassOtherEvent)
	}
	return c, false
}

// serveChallenge shows the page with all ways there are for this browser. A browser that nothing is asked of goes to the event's page.
func (s *Server) serveChallenge(ctx *fasthttp.RequestCtx, slug []byte) {
	c, ok := s.claimantOf(ctx, slug, true)
	if !ok {
		return
	}
	s.showDoor(ctx, &c, fasthttp.StatusOK, "", "", 0)
}

// showDoor shows the page. waitToken is a challenge to wait that the browser has already, with what is left to wait; "" for a new one.
func (s *Server) showDoor(ctx *fasthttp.RequestCtx, c *claimant, status int, notice, waitToken string, left time.Duration) {
	verdict, answer, _ := s.weigh(ctx, c, 0)
	if !answer.Deny && answer.Kind == 0 {
		s.toEvent(ctx, []byte(c.room.slug))
		return
	}
	door := web.Door{Event: c.room.slug, Denied: answer.Deny, Appeal: s.cfg.Guard.Answers.Appeal, Reference: c.pass.Entrant.String(), Notice: notice}
	if answer.Deny {
		s.verdicts.note(c.verdict("denied", "", verdict))
	} else {
		door.Kind, door.Token, door.Bits = answer.Kind.String(), c.ask(answer, 0), int(answer.Bits)
		if answer.Kind == challenge.Captcha {
			provider := s.asking.captcha
			door.Captcha, door.SiteKey, door.Bound, door.Sources = provider.provider, provider.siteKey, boundOf([]byte(door.Token)), captchaPolicy[provider.provider]
		}
		if waitToken == "" {
			left = s.cfg.Guard.Answers.WaitFor(s.otherWaiters(c))
			waitToken = c.ask(guard.Answer{Kind: challenge.Wait, Clears: score.High}, left)
		}
		door.WaitToken, door.WaitSeconds, door.SignIn = waitToken, wholeSeconds(left), accountPage+"?event="+c.room.slug
	}
	body, policy, err := s.pages.Door(s.language(ctx), door)
	if err != nil {
		s.log.Error("a challenge's page cannot be shown", "error", err)
		refuseUntil(ctx, problemOverloaded, coreRetry)
		return
	}
	pageHeaders(ctx)
	ctx.Response.Header.Set("Content-Security-Policy", policy)
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	ctx.Response.Header.SetContentType("text/html; charset=utf-8")
	if status == statusTooEarly {
		ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, strconv.Itoa(wholeSeconds(left)))
	}
	ctx.SetStatusCode(status)
	ctx.SetBody(body)
}

// otherWaiters counts the browsers of the claimant's network that were shown the way of waiting lately, and counts this one.
func (s *Server) otherWaiters(c *claimant) int {
	network := lottery.NetworkOf(c.client)
	return max(s.judges.pair(c.now, pairWaiter, s.asking.waiters, network[:], c.who.hash[:])-1, 0)
}

// boundOf is what a CAPTCHA provider's widget is given, so that its token is good for this challenge only.
func boundOf(token []byte) string {
	sum := sha256.Sum256(token)
	return hex.EncodeToString(sum[:16])
}

// challengeAnswer is the body of an answer to a challenge.
type challengeAnswer struct {
	Token  string `json:"token"`
	Answer string `json:"answer"`
}

// takeAnswer takes the answer to a challenge, from the script as JSON or from the form, and clears the browser.
func (s *Server) takeAnswer(ctx *fasthttp.RequestCtx, slug []byte) {
	form := bytes.HasPrefix(ctx.Request.Header.ContentType(), []byte("application/x-www-form-urlencoded"))
	c, ok := s.claimantOf(ctx, slug, form)
	if !ok {
		return
	}
	var got challengeAnswer
	if form {
		got.Token, got.Answer = string(ctx.PostArgs().Peek("token")), string(ctx.PostArgs().Peek("answer"))
		if provider := s.asking.captcha; provider != nil && got.Answer == "" {
			got.Answer = string(ctx.PostArgs().Peek(provider.field))
		}
	} else if !readObject(ctx.PostBody(), &got) {
		refuse(ctx, problemBadJSON)
		return
	}
	asked, err := s.rightAnswer(&c, &got)
	if err == nil {
		s.clear(ctx, &c, asked, form)
		return
	}
	s.counts.answersWrong.Inc()
	var soon *challenge.TooSoonError
	switch {
	case errors.As(err, &soon) && form:
		s.showDoor(ctx, &c, statusTooEarly, s.language(ctx).T("door.early"), got.Token, soon.Left)
	case errors.As(err, &soon):
		refuseUntil(ctx, problemWaitLonger, soon.Left)
	case form:
		s.showDoor(ctx, &c, fasthttp.StatusForbidden, s.language(ctx).T("door.failed"), "", 0)
	default:
		s.askAgain(ctx, &c, err)
	}
}

// rightAnswer judges the answer to a challenge and uses it up.
func (s *Server) rightAnswer(c *claimant, got *challengeAnswer) (challenge.Challenge, error) {
	token, answer := []byte(got.Token), []byte(got.Answer)
	asked, err := challenge.Verify(token, c.keys.passes, c.at, s.cfg.Guard.Answers.Lifetime)
	if err != nil {
		return asked, err
	}
	if asked.Event != c.room.event || asked.Entrant != c.pass.Entrant || asked.Device != c.who.hash {
		return asked, challenge.ErrForged // made by us, for somebody else
	}
	if err := asked.Judge(token, answer, c.at); err != nil {
		return asked, err
	}
	if err := s.asking.spent.Use(asked, c.at); err != nil {
		return asked, err
	}
	if asked.Kind == challenge.Captcha {
		if !s.asking.captcha.up(c.now) {
			return asked, errCaptchaDown
		}
		right, err := s.asking.captcha.verify(got.Answer, boundOf(token), c.now)
		if err != nil {
			s.log.Warn("the CAPTCHA provider is not asked for a while; proof of work takes its place", "error", err)
			return asked, err
		}
		if !right {
			return asked, challenge.ErrWrong
		}
	}
	return asked, nil
}

// clear gives the browser its clearance.
func (s *Server) clear(ctx *fasthttp.RequestCtx, c *claimant, asked challenge.Challenge, form bool) {
	s.counts.answersRight.Inc()
	clearance := challenge.Clearance{
		By: asked.Kind, Level: asked.Clears, Event: c.room.event, Entrant: c.pass.Entrant, Device: c.who.hash, Until: c.at.Add(s.cfg.Guard.Answers.ClearFor),
	}
	s.cookies.set(ctx, s.cookies.clear+c.room.slug, []byte(clearance.Sign(c.keys.newest)))
	if form {
		s.toEvent(ctx, []byte(c.room.slug))
		return
	}
	body := append(make([]byte, 0, 128), `{"cleared":true,"by":"`...)
	body = append(append(body, asked.Kind.String()...), `","for_ms":`...)
	body = strconv.AppendInt(body, s.cfg.Guard.Answers.ClearFor.Milliseconds(), 10)
	answerJSON(ctx, fasthttp.StatusOK, append(body, '}'))
}

// askAgain refuses a wrong answer with a new challenge, which is harder.
func (s *Server) askAgain(ctx *fasthttp.RequestCtx, c *claimant, err error) {
	p := problemChallengeFailed
	switch {
	case errors.Is(err, challenge.ErrExpired), errors.Is(err, challenge.ErrSpent):
		p = problemChallengeExpired
	case errors.Is(err, challenge.ErrMalformed), errors.Is(err, challenge.ErrForged), errors.Is(err, challenge.ErrKeyUnknown):
		refuse(ctx, problemChallengeForged) // nothing to begin anew with
		return
	}
	_, answer, _ := s.weigh(ctx, c, 1)
	if answer.Kind == 0 {
		refuse(ctx, p)
		return
	}
	s.refuseAsking(ctx, p, c, answer)
}
