package access

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/lottery"
)

// Outside the waiting room accounts hold what other buyers sell on, and take up what the waiting list offers them. No edge has judged them, so
// core does: by how fast an account, a browser and a network take, and by what an account takes and lets go again. Whoever is too fast, or
// hoards, is slowed, never shut out: told when to come again. Each account has its own rate, so that a network of many people is slowed only
// far above what one account may, and who has taken nothing there hardly ever. What the waiting list offers is taken up whatever the rates: the
// list's order decided, and a refusal could outlast the offer; it counts and is on record all the same. The verdict is on record as any of the filter's, and an operator's lift lets pass.

// ErrSlowed is what every Slowed is.
var ErrSlowed = errors.New("too many were held, or held and let go")

// Slowed means that somebody outside the waiting room takes too fast, or lets go too much, and may come again after Wait.
type Slowed struct{ Wait time.Duration }

func (e *Slowed) Error() string { return ErrSlowed.Error() }

// Is makes a Slowed an ErrSlowed.
func (e *Slowed) Is(target error) bool { return target == ErrSlowed }

// How fast one may take outside the room: so many at once, and then one each time.
const (
	outsideAccount, outsideAccountEvery = 6, 2 * time.Minute
	outsideDevice, outsideDeviceEvery   = 8, 90 * time.Second
	outsideNetwork, outsideNetworkEvery = 120, 2 * time.Second
	// outsideCrowd is what of a network whose rate has run out those may still take who have taken nothing lately, in this browser or with this
	// account: behind one address there may be thousands.
	outsideCrowd, outsideCrowdEvery = 1200, 200 * time.Millisecond
	// letGoCosts is how many more takes one counts as that was let go again. Two are forgiven: people change their minds.
	letGoCosts, letGoFree = 2, 2
	// letGoKept is for how long what was held is remembered, heldKept how many of an account, and heldAccounts of how many accounts.
	letGoKept, heldKept, heldAccounts = time.Hour, 16, 50_000
	// verdictEvery is how often the same verdict on an entrant is put on record.
	verdictEvery = 10 * time.Minute
)

// Points of the signals, at their strongest. None reaches the level of the next alone, as with the signals of edges.
const (
	pointsAccount, pointsDevice, pointsNetwork, pointsLetGo = 25, 20, 10, 25
)

// Taking is somebody who is about to take something outside the waiting room.
type Taking struct {
	Event   string // slug
	Entrant lottery.Entrant
	Device  lottery.DeviceHash
	Client  string // address; what is none counts together, and is on record as unknown
	Place   string // PlaceHold or PlaceOffer

	counted rated // by what Take counted it
}

// rated is by which rates of its network a taking was counted.
type rated uint8

const (
	notRated  rated = iota
	byNetwork       // of all that it takes
	byCrowd         // of those who have taken nothing lately
)

// Places at which core judges.
const (
	PlaceHold  = "hold"  // of what another buyer sells on
	PlaceOffer = "offer" // of the waiting list, taken up
)

// outside is what core remembers of those who take outside the waiting room. Any goroutine may use it.
type outside struct {
	byAccount *rates[lottery.Entrant]
	byDevice  *rates[lottery.DeviceHash]
	byNetwork *rates[[8]byte]
	byCrowd   *rates[[8]byte]
	told      *rates[[24]byte]

	entering sync.Mutex // so that of many at once no more are let in than of many one after the other

	mu   sync.Mutex
	held map[lottery.Entrant]*taken
}

// taken is what an account has held lately.
type taken struct {
	holds []takenHold
	letGo []time.Time // when it was seen that something was let go
}

type takenHold struct {
	hold uuid.UUID
	at   time.Time
}

func newOutside() *outside {
	return &outside{
		byAccount: newRates[lottery.Entrant](outsideAccount, outsideAccountEvery), byDevice: newRates[lottery.DeviceHash](outsideDevice, outsideDeviceEvery),
		byNetwork: newRates[[8]byte](outsideNetwork, outsideNetworkEvery), byCrowd: newRates[[8]byte](outsideCrowd, outsideCrowdEvery),
		told: newRates[[24]byte](1, verdictEvery), held: make(map[lottery.Entrant]*taken),
	}
}

// enter counts one who takes, if none of their rates has run out; else it counts nothing and says how long to wait.
func (o *outside) enter(t *Taking, network [8]byte, now time.Time) time.Duration {
	o.entering.Lock()
	defer o.entering.Unlock()
	t.counted = notRated
	wait, rate := o.byNetwork.wait(network, now), byNetwork
	if wait > 0 && o.byAccount.idle(t.Entrant, now)+o.byDevice.idle(t.Device, now) == 0 {
		wait, rate = o.byCrowd.wait(network, now), byCrowd
	}
	if wait = max(wait, o.byAccount.wait(t.Entrant, now), o.byDevice.wait(t.Device, now)); wait > 0 {
		return wait
	}
	t.counted = rate
	o.byAccount.take(t.Entrant, now)
	o.byDevice.take(t.Device, now)
	if rate == byCrowd {
		o.byCrowd.take(network, now)
	} else {
		o.byNetwork.take(network, now)
	}
	return 0
}

// recent are the holds of an account that are to be asked about.
func (o *outside) recent(who lottery.Entrant, now time.Time) []uuid.UUID {
	o.mu.Lock()
	defer o.mu.Unlock()
	var ids []uuid.UUID
	if t := o.held[who]; t != nil {
		for _, h := range t.holds {
			if now.Sub(h.at) < letGoKept {
				ids = append(ids, h.hold)
			}
		}
	}
	return ids
}

// settle takes over what became of holds: gone are those that were let go or bought, each with which.
func (o *outside) settle(who lottery.Entrant, gone map[uuid.UUID]bool, now time.Time) (letGo, fresh int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	t := o.held[who]
	if t == nil {
		return 0, 0
	}
	holds := t.holds[:0]
	for _, h := range t.holds {
		lost, over := gone[h.hold]
		switch {
		case over && lost:
			t.letGo = append(t.letGo, now)
			fresh++
		case !over && now.Sub(h.at) < letGoKept:
			holds = append(holds, h)
		}
	}
	t.holds = holds
	for len(t.letGo) > 0 && (now.Sub(t.letGo[0]) >= letGoKept || len(t.letGo) > heldKept) {
		t.letGo = t.letGo[1:]
	}
	return len(t.letGo), fresh
}

// remember notes a hold; false when it is known, since it was asked for again.
func (o *outside) remember(who lottery.Entrant, hold uuid.UUID, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	t := o.held[who]
	if t == nil {
		if len(o.held) >= heldAccounts {
			for other := range o.held { // one of them: whose record is lost is slowed by rate alone
				delete(o.held, other)
				break
			}
		}
		t = &taken{}
		o.held[who] = t
	}
	if slices.ContainsFunc(t.holds, func(h takenHold) bool { return h.hold == hold }) {
		return false
	}
	if len(t.holds) >= heldKept {
		t.holds = t.holds[1:]
	}
	t.holds = append(t.holds, takenHold{hold, now})
	return true
}

// Took notes what somebody has taken after Take, so that it is seen when it is let go. The same again is taken once.
func (r *Room) Took(t *Taking, hold uuid.UUID) {
	if !r.outside.remember(t.Entrant, hold, r.cfg.Clock()) {
		r.NotTaken(t)
	}
}

// NotTaken says that nothing was to be had after Take: who is not quick enough is not held to have taken.
func (r *Room) NotTaken(t *Taking) {
	o, now, network := r.outside, r.cfg.Clock(), outsideNetworkOf(t.Client).hash
	switch t.counted {
	case notRated:
		return
	case byCrowd:
		o.byCrowd.undo(network, now)
	case byNetwork:
		o.byNetwork.undo(network, now)
	}
	t.counted = notRated
	o.byAccount.undo(t.Entrant, now)
	o.byDevice.undo(t.Device, now)
}

// Take lets somebody take something outside the waiting room, or says how long to wait: ErrSlowed. Took or NotTaken follows. lost tells of holds which of them are over:
// true for those that were let go, false for those that were bought.
func (r *Room) Take(ctx context.Context, t *Taking, lost func(context.Context, []uuid.UUID) (map[uuid.UUID]bool, error)) error {
	o, now := r.outside, r.cfg.Clock()
	gone := map[uuid.UUID]bool{}
	if ids := o.recent(t.Entrant, now); len(ids) > 0 {
		var err error
		if gone, err = lost(ctx, ids); err != nil {
			return err
		}
	}
	letGo, fresh := o.settle(t.Entrant, gone, now)
	for n := range fresh {
		if letGo-fresh+n >= letGoFree {
			for range letGoCosts {
				o.byAccount.add(t.Entrant, now)
				o.byDevice.add(t.Device, now)
			}
		}
	}
	network := outsideNetworkOf(t.Client)
	v := t.judge(o, network.hash, letGo, now)
	if wait := o.enter(t, network.hash, now); wait > 0 && t.Place != PlaceOffer {
		lifted, err := r.lifted(ctx, t.Entrant)
		if err != nil {
			return err
		}
		if !lifted {
			v.Answer, v.By = "slowed", "wait"
			if err := r.keepOwn(ctx, &v, network, now); err != nil {
				return err
			}
			return &Slowed{wait}
		}
	}
	if v.Score >= noteFrom {
		v.Answer = "noted"
		return r.keepOwn(ctx, &v, network, now)
	}
	return nil
}

// noteFrom is the score from which a verdict is on record although nothing is done: the first level of edges' filters.
const noteFrom = 30

// judge is what the signals come to.
func (t *Taking) judge(o *outside, network [8]byte, letGo int, now time.Time) Verdict {
	v := Verdict{ID: uuid.New(), Event: t.Event, Entrant: t.Entrant, Device: t.Device, Place: t.Place, Level: "none"}
	for _, s := range []struct {
		signal   string
		strength float64
		most     float64
		said     string
	}{
		{"account_takes", o.byAccount.used(t.Entrant, now), pointsAccount, "takes often outside the waiting room"},
		{"device_takes", o.byDevice.used(t.Device, now), pointsDevice, "one browser takes often outside the waiting room"},
		{"network_takes", o.byNetwork.used(network, now), pointsNetwork, "very much is taken from this network outside the waiting room"},
		{"let_go", float64(letGo-letGoFree) / letGoFree, pointsLetGo, fmt.Sprintf("held and let go %d times within an hour", letGo)},
	} {
		if s.strength >= 0.5 {
			points := s.most * min(s.strength, 1)
			v.Reasons = append(v.Reasons, Reason{s.signal, points, s.said})
			v.Score += points
		}
	}
	switch {
	case v.Score >= 70:
		v.Level = "high"
	case v.Score >= 50:
		v.Level = "medium"
	case v.Score >= noteFrom:
		v.Level = "low"
	}
	return v
}

// networkName is a client's network, as bans and verdicts name it.
type networkName struct {
	hash [8]byte
	text string
}

func outsideNetworkOf(client string) networkName {
	address, err := netip.ParseAddr(client)
	if err != nil {
		return networkName{text: "unknown"}
	}
	return networkName{lottery.NetworkOf(address), lottery.NetworkText(address)}
}

// keepOwn puts a verdict of core's own on record, once in a while only.
func (r *Room) keepOwn(ctx context.Context, v *Verdict, network networkName, now time.Time) error {
	var key [24]byte
	copy(key[:], v.Entrant[:])
	copy(key[16:], v.Answer)
	if r.outside.told.take(key, now) > 0 {
		return nil
	}
	v.At, v.Network, v.NetworkHash = r.now(), network.text, network.hash
	return r.KeepVerdicts(ctx, uuid.Nil, []Verdict{*v})
}

// lifted tells whether an operator lets an entrant pass the filter.
func (r *Room) lifted(ctx context.Context, entrant lottery.Entrant) (bool, error) {
	_, all, err := r.Lifts(ctx)
	if err != nil {
		return false, err
	}
	for _, e := range all {
		if e == entrant {
			return true, nil
		}
	}
	return false, nil
}
