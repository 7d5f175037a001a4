package loadtest

import (
	"context"
	"encoding/base64"
	"net/http"
	"time"
)

// What bots try that must never work. Every try is counted, and every one that works is a crime the audit reports.

// crime is one forbidden thing: it reports what was tried and the answer that decides.
type crime func(ctx context.Context) (try string, worked bool, detail string)

// tried is the outcome of a crime. One that was throttled away, or never answered, has tested nothing and does not count.
func tried(try string, a answer) (string, bool, string) {
	if a.err != nil || a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable {
		return "", false, ""
	}
	return try, a.ok(), a.code
}

// commit tries the crimes in turn with pauses, until the tries are used up or the sale is over. One that
// could not be tried, because nothing has leaked yet, does not count.
func (b *bot) commit(ctx context.Context, crimes []crime) {
	done := 0
	for n := 0; done < b.run.plan.Bots.Tries && n < 4*b.run.plan.Bots.Tries; n++ {
		try, worked, detail := crimes[(b.index+n)%len(crimes)](ctx)
		if try != "" {
			done++
			b.run.witness.Tried(try, worked, b.index, b.kind.String(), detail)
		}
		if s := b.run.states.latest(); s != nil && (s.soldOut() || s.ended()) {
			return
		}
		if !b.run.sleep(ctx, b.think(b.run.plan.Bots.TryEvery)) {
			return
		}
	}
}

// skip tries to get in without its turn, then waits for it after all.
func (b *bot) skip(ctx context.Context, arrived time.Time) {
	if !b.join(ctx, arrived) {
		return
	}
	b.commit(ctx, []crime{b.early, b.editedPass, b.forgedPass, b.forgedToken, b.noSession, b.forgedSession})
	b.buy(ctx)
}

// thieve uses passes, tokens and sessions of honest buyers from its own browser, then waits for its own turn.
func (b *bot) thieve(ctx context.Context, arrived time.Time) {
	if !b.join(ctx, arrived) {
		return
	}
	b.commit(ctx, []crime{b.stolenPass, b.stolenToken, b.stolenSession, b.stolenSessionBare, b.stolenOrder, b.stolenHold})
	b.buy(ctx)
}

// early claims before its turn. A claim that works is forbidden only if the same edge still says afterwards that it is too early.
func (b *bot) early(ctx context.Context) (string, bool, string) {
	a := b.once(b.claimCall("{}"), time.Now())
	if !a.ok() {
		return tried("claim before the turn", a)
	}
	s, ok := b.look(ctx, time.Now())
	if !ok || b.called(s) {
		return "", false, "" // it was its turn, or nobody can say: the transcript decides
	}
	return "claim before the turn", true, "window " + b.describePlace()
}

func (b *bot) describePlace() string {
	return string(jsonBody(map[string]any{"window": b.place.Window, "band": b.place.Band, "value": b.place.Value}))
}

// with runs f with other cookies and puts the bot's own back.
func (b *bot) with(cookies []cookie, f func() answer) answer {
	own := b.jar
	b.jar = jar{cookies: cookies}
	a := f()
	b.jar = own
	return a
}

// cookies returns the bot's own ones with that of the given suffix replaced, or dropped when value is empty.
func (b *bot) cookies(suffix, value string) []cookie {
	name := suffix
	for _, c := range b.jar.cookies {
		if c.name == "__Host-fg_device" {
			name = "__Host-" + suffix
		}
	}
	j := jar{cookies: append([]cookie(nil), b.jar.cookies...)}
	j.drop(name)
	if value != "" {
		j.set(name, value)
	}
	return j.cookies
}

// editedPass flips one bit at a time of its own pass: another window, band or entrant.
func (b *bot) editedPass(context.Context) (string, bool, string) {
	own, ok := b.jar.find("fg_pass_" + b.run.plan.Event)
	raw, err := base64.RawURLEncoding.DecodeString(own.value)
	if !ok || err != nil || len(raw) == 0 {
		return "", false, ""
	}
	raw[b.rng.IntN(len(raw))] ^= 1 << b.rng.IntN(8)
	cookies := b.cookies("fg_pass_"+b.run.plan.Event, base64.RawURLEncoding.EncodeToString(raw))
	a := b.with(cookies, func() answer { return b.once(b.claimCall("{}"), time.Now()) })
	return tried("claim with an edited pass", a)
}

// forgedPass makes a pass of its own from nothing.
func (b *bot) forgedPass(context.Context) (string, bool, string) {
	own, _ := b.jar.find("fg_pass_" + b.run.plan.Event)
	cookies := b.cookies("fg_pass_"+b.run.plan.Event, b.noise(base64.RawURLEncoding.DecodedLen(len(own.value))))
	a := b.with(cookies, func() answer { return b.once(b.claimCall("{}"), time.Now()) })
	return tried("claim with a forged pass", a)
}

// forgedToken claims with an admission token that no edge has signed.
func (b *bot) forgedToken(context.Context) (string, bool, string) {
	size := 168
	if l, ok := b.loot(func(l loot) bool { return l.token != "" }); ok {
		size = base64.RawURLEncoding.DecodedLen(len(l.token))
	}
	a := b.once(b.claimCall(`{"admission_token":"`+b.noise(size)+`"}`), time.Now())
	return tried("claim with a forged token", a)
}

// noise is n random bytes as base64url.
func (b *bot) noise(n int) string {
	raw := make([]byte, max(n, 1))
	for i := range raw {
		raw[i] = byte(b.rng.UintN(256))
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

func (b *bot) holdCall() (call, bool) {
	wish, ok := b.wish(false, 1, time.Time{})
	if !ok || wish == nil {
		return call{}, false
	}
	return call{op: OpHold, method: "POST", path: "/v1/holds", key: b.key(), body: jsonBody(map[string]any{"event": b.run.plan.Event, "items": wish})}, true
}

// tryHold asks for a ticket with the given cookies.
func (b *bot) tryHold(try string, cookies []cookie) (string, bool, string) {
	c, ok := b.holdCall()
	if !ok {
		return "", false, ""
	}
	a := b.with(cookies, func() answer { return b.once(c, time.Now()) })
	return tried(try, a)
}

func (b *bot) noSession(context.Context) (string, bool, string) {
	return b.tryHold("hold without a session", b.cookies("fg_session_"+b.run.plan.Event, ""))
}

func (b *bot) forgedSession(context.Context) (string, bool, string) {
	size := 140
	if l, ok := b.loot(hasSession); ok {
		size = base64.RawURLEncoding.DecodedLen(len(l.session.value))
	}
	return b.tryHold("hold with a forged session", b.cookies("fg_session_"+b.run.plan.Event, b.noise(size)))
}

// loot is something stolen of which the bot has a use.
func (b *bot) loot(useful func(loot) bool) (loot, bool) {
	for range 16 {
		if l, ok := b.run.pot.steal(b.rng.IntN(maxLoot)); ok && useful(l) {
			return l, true
		}
	}
	return loot{}, false
}

func hasSession(l loot) bool { return l.session.value != "" }

func (b *bot) stolenPass(context.Context) (string, bool, string) {
	l, ok := b.loot(func(l loot) bool { return l.pass.value != "" })
	if !ok {
		return "", false, ""
	}
	a := b.with(b.cookies("fg_pass_"+b.run.plan.Event, l.pass.value), func() answer { return b.once(b.claimCall("{}"), time.Now()) })
	return tried("claim with another buyer's pass", a)
}

func (b *bot) stolenToken(context.Context) (string, bool, string) {
	l, ok := b.loot(func(l loot) bool { return l.token != "" })
	if !ok {
		return "", false, ""
	}
	own := append([]cookie(nil), b.jar.cookies...)
	a := b.with(own, func() answer { return b.once(b.claimCall(`{"admission_token":"`+l.token+`"}`), time.Now()) })
	return tried("claim with another buyer's token", a)
}

func (b *bot) stolenSession(context.Context) (string, bool, string) {
	l, ok := b.loot(hasSession)
	if !ok {
		return "", false, ""
	}
	return b.tryHold("hold with another buyer's session", b.cookies("fg_session_"+b.run.plan.Event, l.session.value))
}

// stolenSessionBare sends a stolen session and no device cookie at all.
func (b *bot) stolenSessionBare(context.Context) (string, bool, string) {
	l, ok := b.loot(hasSession)
	if !ok {
		return "", false, ""
	}
	return b.tryHold("hold with another buyer's session and no device", []cookie{l.session})
}

// stolenOrder reads another buyer's order with that buyer's session.
func (b *bot) stolenOrder(context.Context) (string, bool, string) {
	return b.tryRead("read another buyer's order", "GET", "/v1/orders/", func(l loot) string { return l.order })
}

// stolenHold releases another buyer's hold with that buyer's session.
func (b *bot) stolenHold(context.Context) (string, bool, string) {
	return b.tryRead("release another buyer's hold", "DELETE", "/v1/holds/", func(l loot) string { return l.hold })
}

func (b *bot) tryRead(try, method, path string, id func(loot) string) (string, bool, string) {
	l, ok := b.loot(func(l loot) bool { return id(l) != "" })
	if !ok {
		return "", false, ""
	}
	a := b.with(b.cookies("fg_session_"+b.run.plan.Event, l.session.value), func() answer {
		return b.once(call{op: OpFollow, method: method, path: path + id(l)}, time.Now())
	})
	return tried(try, a)
}
