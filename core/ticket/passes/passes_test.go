package passes

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/core/ticket"
	"fairgate/core/ticket/passes/passestest"
	"fairgate/core/ticket/wallet"
	"fairgate/core/ticket/wallet/wallettest"
	"fairgate/edge/lottery"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

var (
	testEvent = lottery.EventID("arena")
	ann       = lottery.Entrant{1}
	ben       = lottery.Entrant{2}
)

const (
	phone = "d0c5a1b2c3d4e5f60718293a4b5c6d7e"
	push1 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	push2 = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// world is a database with tickets, a Service, and the wallets' services.
type world struct {
	t      *testing.T
	d      *db.DB
	issuer *ticket.Issuer
	apns   *passestest.APNs
	google *passestest.GoogleAPI
	pass   *wallet.Google
	keys   [][]byte
	*Service
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, d: dbtest.New(t), keys: [][]byte{[]byte("the first key of passes, 32 bytes")}}
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	w.issuer = ticket.NewIssuer(func(context.Context, uuid.UUID) (ticket.SigningKey, error) {
		return ticket.SigningKey{No: 1, Private: private}, nil
	})
	a, err := wallettest.NewAuthority(time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	apple, err := wallet.NewApple(wallet.AppleConfig{Certificate: a.Certificate, Key: a.Key, WWDR: a.WWDR, PassTypeID: wallettest.PassTypeID,
		TeamID: wallettest.TeamID, Organization: "Example", WebService: "https://example.org/wallet"}, wallet.NewThrottle(1, 1))
	if err != nil {
		t.Fatal(err)
	}
	file, public, err := wallettest.ServiceKey()
	if err != nil {
		t.Fatal(err)
	}
	if w.pass, err = wallet.NewGoogle(wallet.GoogleConfig{IssuerID: "33", ServiceKey: file, ClassPrefix: "t", Organization: "Example", Updates: true}, wallet.NewThrottle(1, 1)); err != nil {
		t.Fatal(err)
	}
	w.apns, w.google = passestest.NewAPNs(), passestest.NewGoogleAPI(public)
	t.Cleanup(w.apns.Close)
	t.Cleanup(w.google.Close)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(w.apns.CA())
	w.Service = New(Config{
		DB: w.d, Keys: func(context.Context) ([][]byte, error) { return w.keys, nil },
		Describe: func(_ context.Context, s Saved, x ticket.Ticket) (wallet.Pass, error) { return describe(s, x), nil },
		Push:     NewAPNs(APNsConfig{URL: w.apns.URL, Topic: apple.PassType(), Client: apple.Client(), Roots: roots}),
		Google:   NewGoogleAPI(GoogleConfig{Wallet: w.pass, URL: w.google.URL, TokenURL: w.google.URL + "/token"}),
		Poll:     10 * time.Millisecond, Backoff: time.Millisecond, BackoffMax: time.Millisecond, Log: slog.New(slog.DiscardHandler),
	})
	return w
}

func describe(s Saved, x ticket.Ticket) wallet.Pass {
	return wallet.Pass{Ticket: x.ID, Epoch: x.Epoch, Named: s.Named, Code: x.Code, Void: !s.Shows(x) || x.State != ticket.Valid, Tier: x.Tier, Seat: x.Seat,
		Event: wallet.Event{Slug: "arena", Name: "Show"}}
}

// ticket issues one to ann.
func (w *world) ticket() ticket.Ticket {
	w.t.Helper()
	order := uuid.New()
	err := w.d.InTx(w.t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		return w.issuer.Issue(ctx, tx, []ticket.Item{{Event: testEvent, Order: order, Tier: "lower", Seat: "101/A/" + order.String()[:4], Owner: ann}})
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.load(ticket.TicketID(order, 0))
}

func (w *world) load(id uuid.UUID) ticket.Ticket {
	w.t.Helper()
	x, err := ticket.Load(w.t.Context(), w.d.Pool, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return x
}

// hand gives a ticket to somebody; to who has it already: another seat.
func (w *world) hand(id uuid.UUID, to lottery.Entrant) {
	w.t.Helper()
	err := w.d.InTx(w.t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		x, err := ticket.Load(ctx, tx, id)
		if err != nil {
			return err
		}
		return w.issuer.Reissue(ctx, tx, []ticket.Reissue{{Ticket: x, Owner: to, Tier: "lower", Seat: "102/" + uuid.NewString()[:8]}})
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) save(x ticket.Ticket, kind Wallet) Saved {
	w.t.Helper()
	s, _, err := w.Save(w.t.Context(), x, kind)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) register(device string, s Saved, push string) {
	w.t.Helper()
	if _, err := w.Register(w.t.Context(), device, s.Ticket, s.Named, push); err != nil {
		w.t.Fatal(err)
	}
}

// told tells everything that is due now, once.
func (w *world) told() {
	w.t.Helper()
	for _, kind := range []Wallet{Apple, Google} {
		if _, err := w.tell(w.t.Context(), string(kind)); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) due(s Saved) (due bool, attempts int) {
	w.t.Helper()
	if err := w.d.Pool.QueryRow(w.t.Context(), `SELECT due_at IS NOT NULL, attempts FROM wallet_passes WHERE ticket_id = $1 AND owner = $2 AND wallet = $3`,
		s.Ticket, s.Owner[:], string(s.Wallet)).Scan(&due, &attempts); err != nil {
		w.t.Fatal(err)
	}
	return due, attempts
}

func TestAPassKeepsItsNameWhileItsOwnerHasTheTicketAndAnotherOwnerGetsAnother(t *testing.T) {
	w := newWorld(t)
	x := w.ticket()
	first := w.save(x, Apple)
	if again := w.save(x, Apple); again != first || first.Name() != x.ID.String()+"-1" {
		t.Errorf("saved %+v, then %+v", first, again)
	}
	w.hand(x.ID, ann) // another seat
	moved := w.load(x.ID)
	if same := w.save(moved, Apple); same.Name() != first.Name() || same.Version != 1 || !same.Shows(moved) {
		t.Errorf("after a move %+v", same)
	}
	w.hand(x.ID, ben)
	if _, _, err := w.Save(t.Context(), moved, Apple); !errors.Is(err, ticket.ErrUnknown) {
		t.Errorf("the pass of who has no ticket any more: %v", err)
	}
	theirs := w.save(w.load(x.ID), Apple)
	was, now, err := w.Find(t.Context(), x.ID, first.Named, Apple)
	if err != nil || theirs.Name() == first.Name() || was.Shows(now) || !theirs.Shows(now) {
		t.Errorf("%+v and %+v of %+v, %v", was, theirs, now, err)
	}
	w.hand(x.ID, ann)
	if back := w.save(w.load(x.ID), Apple); back.Name() != first.Name() {
		t.Errorf("of who has it again: %s, was %s", back.Name(), first.Name())
	}
}

func TestOnlyTheTokenOfAPassProvesIt(t *testing.T) {
	w := newWorld(t)
	s, other := w.save(w.ticket(), Apple), w.save(w.ticket(), Apple)
	token, err := w.Token(t.Context(), s)
	if err != nil || len(token) < 16 {
		t.Fatalf("%q, %v", token, err)
	}
	check := func(s Saved, named uint32, token string) error { return w.Check(t.Context(), s.Ticket, named, token) }
	if err := check(s, s.Named, token); err != nil {
		t.Error(err)
	}
	for what, err := range map[string]error{"another pass": check(other, other.Named, token), "another owner's": check(s, s.Named+1, token),
		"none": check(s, s.Named, ""), "shorter": check(s, s.Named, token[1:])} {
		if !errors.Is(err, ErrToken) {
			t.Errorf("%s: %v", what, err)
		}
	}
	w.keys = append([][]byte{[]byte("the key after that of passes")}, w.keys...)
	if err := check(s, s.Named, token); err != nil {
		t.Errorf("after another key was made: %v", err)
	}
	if newer, err := w.Token(t.Context(), s); err != nil || newer == token || check(s, s.Named, newer) != nil {
		t.Errorf("under the other key: %q, %v", newer, err)
	}
}

func TestEveryPhoneThatHasAPassIsPushedOnceForAChange(t *testing.T) {
	w := newWorld(t)
	x := w.ticket()
	s := w.save(x, Apple)
	created, err := w.Register(t.Context(), phone, s.Ticket, s.Named, push1)
	again, err2 := w.Register(t.Context(), phone, s.Ticket, s.Named, push1)
	if !created || again || err != nil || err2 != nil {
		t.Errorf("registered %v %v, %v, %v", created, again, err, err2)
	}
	w.register(phone+"-watch", s, push2)
	w.told()
	if w.apns.Pushes(push1)+w.apns.Pushes(push2) != 0 {
		t.Error("pushed without a change")
	}
	w.hand(x.ID, ben)
	w.told()
	w.told()
	if a, b := w.apns.Pushes(push1), w.apns.Pushes(push2); a != 1 || b != 1 {
		t.Errorf("%d and %d pushes", a, b)
	}
	changed, tag, err := w.Changed(t.Context(), phone, "")
	if err != nil || len(changed) != 1 || changed[0].Name() != s.Name() || tag == "" {
		t.Errorf("changed %+v, %q, %v", changed, tag, err)
	}
	if err := w.Unregister(t.Context(), phone, s.Ticket, s.Named); err != nil {
		t.Fatal(err)
	}
	w.hand(x.ID, ann)
	w.told()
	if a, b := w.apns.Pushes(push1), w.apns.Pushes(push2); a != 1 || b != 2 {
		t.Errorf("after one phone has gone: %d and %d pushes", a, b)
	}
}

func TestWhoRegistersAfterAChangeIsPushedForIt(t *testing.T) {
	w := newWorld(t)
	x := w.ticket()
	s := w.save(x, Apple)
	w.hand(x.ID, ben)
	w.told() // to nobody
	w.register(phone, s, push1)
	w.told()
	if w.apns.Pushes(push1) != 1 {
		t.Error("the phone was not told of what has changed since it was given the pass")
	}
}

func TestAChangeWhileAWalletIsBeingToldIsToldAfterwards(t *testing.T) {
	w := newWorld(t)
	x := w.ticket()
	s := w.save(x, Apple)
	w.hand(x.ID, ben)
	c, err := w.claim(t.Context(), s.Ticket, s.Owner[:], "apple")
	if err != nil || c == nil {
		t.Fatal(c, err)
	}
	if twice, err := w.claim(t.Context(), s.Ticket, s.Owner[:], "apple"); twice != nil || err != nil {
		t.Errorf("claimed twice: %v, %v", twice, err)
	}
	w.hand(x.ID, ann)
	if n, err := w.tell(t.Context(), "apple"); n != 0 || err != nil {
		t.Errorf("told meanwhile: %d, %v", n, err)
	}
	if err := w.settle(c, nil); err != nil {
		t.Fatal(err)
	}
	if due, _ := w.due(s); !due {
		t.Error("the later change is forgotten")
	}
	w.told()
	if due, _ := w.due(s); due {
		t.Error("it is due after it was told")
	}
}

func TestAPhoneThatIsGoneIsForgottenAndAServiceThatIsAwayIsAskedAgain(t *testing.T) {
	w := newWorld(t)
	x := w.ticket()
	s := w.save(x, Apple)
	w.register(phone, s, push1)
	w.register(phone+"-watch", s, push2)
	w.apns.Refuse(push1, "Unregistered")
	w.apns.Down(true)
	w.hand(x.ID, ben)
	w.told()
	if due, attempts := w.due(s); !due || attempts != 1 {
		t.Errorf("while the service is away: due %v after %d attempts", due, attempts)
	}
	w.apns.Down(false)
	w.eventually("the other phone is pushed", func() bool { w.told(); return w.apns.Pushes(push2) == 1 })
	if changed, _, err := w.Changed(t.Context(), phone, ""); err != nil || len(changed) != 0 {
		t.Errorf("the phone that is gone has %v, %v", changed, err)
	}
	if due, attempts := w.due(s); due || attempts != 0 {
		t.Errorf("in the end: due %v, %d attempts", due, attempts)
	}
	w.apns.Refuse(push2, "TopicDisallowed") // ours to mend, so nobody is forgotten
	w.hand(x.ID, ann)
	w.told()
	if changed, _, err := w.Changed(t.Context(), phone+"-watch", ""); err != nil || len(changed) != 1 {
		t.Errorf("a phone that could not be pushed: %v, %v", changed, err)
	}
	var why string
	if err := w.d.Pool.QueryRow(t.Context(), `SELECT last_error FROM wallet_passes WHERE ticket_id = $1`, x.ID).Scan(&why); err != nil ||
		!strings.Contains(why, "TopicDisallowed") || strings.Contains(why, push2) {
		t.Errorf("last error %q, %v", why, err)
	}
}

// A wrong push_url, such as the sandbox's, has every token refused: nobody's phone is forgotten for that.
func TestAPhoneWhosePushTokenIsRefusedIsNotForgottenAndKeepsNoOtherFromBeingPushedOnce(t *testing.T) {
	w := newWorld(t)
	var logged bytes.Buffer
	w.cfg.Log = slog.New(slog.NewTextHandler(&logged, nil))
	x := w.ticket()
	s := w.save(x, Apple)
	w.register(phone, s, push1)
	before := refusedTotal.Get()
	for i, reason := range []string{"BadDeviceToken", "DeviceTokenNotForTopic"} {
		w.apns.Refuse(push1, reason)
		w.hand(x.ID, ben)
		if _, err := w.d.Pool.Exec(t.Context(), `UPDATE wallet_passes SET due_at = now()`); err != nil {
			t.Fatal(err)
		}
		w.told()
		if all, _, err := w.Changed(t.Context(), phone, ""); err != nil || len(all) != 1 {
			t.Errorf("after %s the phone has %v, %v", reason, all, err)
		}
		if due, _ := w.due(s); !due || refusedTotal.Get() != before+uint64(i)+1 {
			t.Errorf("%s: tried again: %v, %d counted", reason, due, refusedTotal.Get()-before)
		}
	}
	if n := strings.Count(logged.String(), "level=ERROR"); n != 1 || strings.Contains(logged.String(), push1) {
		t.Errorf("logged %d times:\n%s", n, logged.String())
	}
	w.register(phone+"-watch", s, push2) // it is taken, so the service is the right one, and the other token alone is bad
	if _, err := w.d.Pool.Exec(t.Context(), `UPDATE wallet_passes SET due_at = now()`); err != nil {
		t.Fatal(err)
	}
	w.told()
	if due, _ := w.due(s); due || w.apns.Pushes(push2) != 1 {
		t.Errorf("due %v after %d pushes to the other phone", due, w.apns.Pushes(push2))
	}
	w.apns.Refuse(push1, "")
	w.hand(x.ID, ann)
	w.told()
	if w.apns.Pushes(push1) != 1 {
		t.Error("a phone that is not refused any more is not pushed")
	}
}

func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("never: %s", what)
		}
	}
}

func TestAChangeThatCannotBeToldIsGivenUpAndTheNextOneIsTried(t *testing.T) {
	w := newWorld(t)
	x := w.ticket()
	s := w.save(x, Apple)
	w.register(phone, s, push1)
	w.apns.Down(true)
	w.hand(x.ID, ben)
	if _, err := w.d.Pool.Exec(t.Context(), `UPDATE wallet_passes SET changed_at = changed_at - INTERVAL '25 hours'`); err != nil {
		t.Fatal(err)
	}
	w.told()
	if due, _ := w.due(s); due {
		t.Error("it is not given up")
	}
	w.apns.Down(false)
	w.hand(x.ID, ann)
	w.told()
	if w.apns.Pushes(push1) != 1 {
		t.Error("the next change is not told")
	}
}

func TestWhatNamesNoPhoneAndTooManyOfThemAreRefused(t *testing.T) {
	w := newWorld(t)
	s := w.save(w.ticket(), Apple)
	for _, bad := range [][2]string{{"", push1}, {"a b c d e f g h", push1}, {strings.Repeat("a", 101), push1}, {phone, ""}, {phone, "../../etc/passwd"}, {phone, strings.Repeat("a", 201)}} {
		if _, err := w.Register(t.Context(), bad[0], s.Ticket, s.Named, bad[1]); !errors.Is(err, ErrForm) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := w.Register(t.Context(), phone, s.Ticket, s.Named+1, push1); !errors.Is(err, ErrUnknown) {
		t.Errorf("no such pass: %v", err)
	}
	for i := range maxDevices {
		w.register(fmt.Sprintf("%s-%d", phone, i), s, push1)
	}
	if _, err := w.Register(t.Context(), phone, s.Ticket, s.Named, push1); !errors.Is(err, ErrFull) {
		t.Errorf("one phone too many: %v", err)
	}
	w.register(phone+"-0", s, push2) // it is one of them
}

func TestWhoAsksWithATagIsToldWhatHasChangedSinceAndNotWhatIsOld(t *testing.T) {
	w := newWorld(t)
	old, fresh := w.save(w.ticket(), Apple), w.save(w.ticket(), Apple)
	w.register(phone, old, push1)
	w.register(phone, fresh, push1)
	if _, err := w.d.Pool.Exec(t.Context(), `UPDATE wallet_passes SET changed_at = now() - INTERVAL '1 hour'`); err != nil {
		t.Fatal(err)
	}
	all, tag, err := w.Changed(t.Context(), phone, "")
	if err != nil || len(all) != 2 {
		t.Fatalf("all: %v, %v", all, err)
	}
	if none, _, err := w.Changed(t.Context(), phone, tag); err != nil || len(none) != 0 {
		t.Errorf("nothing has changed: %v, %v", none, err)
	}
	// One whose transaction began before the phone asked, and was committed after.
	if _, err := w.d.Pool.Exec(t.Context(), `UPDATE wallet_passes SET changed_at = now() - INTERVAL '5 seconds' WHERE ticket_id = $1`, fresh.Ticket); err != nil {
		t.Fatal(err)
	}
	if one, _, err := w.Changed(t.Context(), phone, tag); err != nil || len(one) != 1 || one[0].Ticket != fresh.Ticket {
		t.Errorf("one has: %v, %v", one, err)
	}
	for _, odd := range []string{"yesterday", "-1", "99999999999999999999", "9223372036854775807"} {
		if all, _, err := w.Changed(t.Context(), phone, odd); err != nil || len(all) != 2 {
			t.Errorf("the tag %q: %v, %v", odd, all, err)
		}
	}
}

func TestTwoChangesInASecondAreTwoForAPhone(t *testing.T) {
	at := time.Date(2027, 6, 1, 20, 0, 0, 300e6, time.UTC)
	first, second := Saved{ChangedAt: at}, Saved{ChangedAt: at.Add(500 * time.Millisecond)}
	given := first.LastModified(at.Add(100 * time.Millisecond))
	if !given.Before(second.ChangedAt.Truncate(time.Second)) {
		t.Errorf("a phone that was given the first one at %v does not get the second", given)
	}
	if settled := second.LastModified(at.Add(time.Hour)); settled != at.Truncate(time.Second) {
		t.Errorf("later it is of %v", settled)
	}
}

func TestGoogleIsToldWhatHasBecomeOfASavedTicket(t *testing.T) {
	w := newWorld(t)
	x := w.ticket()
	s := w.save(x, Google)
	link, err := w.pass.Link(t.Context(), describe(s, x), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w.hand(x.ID, ann)
	w.told() // it is not saved yet, so there is nothing to patch
	w.minutesPass()
	w.told()
	if due, _ := w.due(s); due {
		t.Error("a link that nobody has used is tried for ever")
	}
	if err := w.google.Save(link); err != nil {
		t.Fatal(err)
	}
	at, class := "eventTicketObject/33.t-"+s.Name(), "eventTicketClass/33.t-arena"
	w.google.Down(true)
	w.hand(x.ID, ann) // another seat, and another code
	w.told()
	if due, attempts := w.due(s); !due || attempts != 1 {
		t.Errorf("while Google is away: due %v after %d attempts", due, attempts)
	}
	w.google.Down(false)
	w.eventually("Google is told", func() bool { w.told(); _, n := w.google.Resource(at); return n == 1 })
	now := w.load(x.ID)
	object, _ := w.google.Resource(at)
	if code, _ := object["barcode"].(map[string]any); code["value"] != now.Code || object["state"] != "ACTIVE" {
		t.Errorf("after a move: %v", object)
	}
	if _, n := w.google.Resource(class); n != 1 {
		t.Errorf("the class was patched %d times", n)
	}
	w.google.Revoke() // a new access token is asked for
	w.hand(x.ID, ben)
	w.eventually("the earlier owner's is inactive", func() bool { w.told(); o, _ := w.google.Resource(at); return o["state"] == "INACTIVE" })
	if object, _ = w.google.Resource(at); strings.Contains(fmt.Sprint(object), w.load(x.ID).Code) {
		t.Error("the earlier owner was told the new owner's code")
	}
}

// minutesPass has it all happen some minutes earlier.
func (w *world) minutesPass() {
	w.t.Helper()
	if _, err := w.d.Pool.Exec(w.t.Context(), `UPDATE wallet_passes SET changed_at = changed_at - INTERVAL '5 minutes', due_at = due_at - INTERVAL '5 minutes'`); err != nil {
		w.t.Fatal(err)
	}
}

func TestATicketThatIsSavedWithALinkFromBeforeItChangedIsPatchedSomeMinutesLater(t *testing.T) {
	w := newWorld(t)
	x := w.ticket()
	s := w.save(x, Google)
	link, err := w.pass.Link(t.Context(), describe(s, x), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w.hand(x.ID, ben)
	w.told()
	if err := w.google.Save(link); err != nil {
		t.Fatal(err)
	}
	at := "eventTicketObject/33.t-" + s.Name()
	w.told()
	if _, n := w.google.Resource(at); n != 0 {
		t.Errorf("at once it was patched %d times", n)
	}
	w.minutesPass()
	w.told()
	if object, n := w.google.Resource(at); n != 1 || object["state"] != "INACTIVE" {
		t.Errorf("patched %d times: %v", n, object)
	}
	if due, attempts := w.due(s); due || attempts != 0 {
		t.Errorf("afterwards: due %v, %d attempts", due, attempts)
	}
	c := &claimed{Saved: s, fresh: true} // it changes while Google is asked
	w.hand(x.ID, ann)
	if err := w.settle(c, errNotSaved); err != nil {
		t.Fatal(err)
	}
	w.told()
	if object, _ := w.google.Resource(at); object["state"] != "ACTIVE" {
		t.Errorf("what has changed meanwhile waits: %v", object)
	}
}

func TestSeveralCoresTellOfAChangeOnce(t *testing.T) {
	w := newWorld(t)
	for i := range 20 {
		x := w.ticket()
		s := w.save(x, Apple)
		w.register(phone, s, fmt.Sprintf("%032x", i+1))
		w.hand(x.ID, ben)
	}
	other := New(w.cfg)
	ctx, stop := context.WithCancel(t.Context())
	var both sync.WaitGroup
	for _, s := range []*Service{w.Service, other} {
		both.Go(func() {
			if err := s.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	w.eventually("all are told", func() bool {
		var n int
		if err := w.d.Pool.QueryRow(t.Context(), `SELECT count(*) FROM wallet_passes WHERE due_at IS NOT NULL`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n == 0
	})
	stop()
	both.Wait()
	for i := range 20 {
		if n := w.apns.Pushes(fmt.Sprintf("%032x", i+1)); n != 1 {
			t.Errorf("phone %d was pushed %d times", i, n)
		}
	}
}

func TestAWalletWhoseServiceDoesNotAnswerKeepsNoOtherWaiting(t *testing.T) {
	w := newWorld(t)
	release := make(chan struct{})
	away := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer away.Close()
	w.cfg.Google = NewGoogleAPI(GoogleConfig{Wallet: w.pass, URL: away.URL, TokenURL: away.URL + "/token"})
	for range claimAtOnce {
		x := w.ticket()
		w.save(x, Google)
		w.hand(x.ID, ben)
	}
	x := w.ticket()
	w.register(phone, w.save(x, Apple), push1)
	w.hand(x.ID, ben)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	defer func() {
		stop()
		close(release)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	w.eventually("the phone is pushed", func() bool { return w.apns.Pushes(push1) == 1 })
}

func TestAPhoneThatCameBackIsNotForgottenForWhatWasSaidBefore(t *testing.T) {
	w := newWorld(t)
	s := w.save(w.ticket(), Apple)
	w.register(phone, s, push1)
	asked, err := w.d.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.register(phone, s, push1) // while Apple is asked
	if err := w.forget(t.Context(), push1, asked); err != nil {
		t.Fatal(err)
	}
	if all, _, err := w.Changed(t.Context(), phone, ""); err != nil || len(all) != 1 {
		t.Errorf("it has %v, %v", all, err)
	}
}

func TestWhatAWalletIsNotToldAnyMoreIsNotLate(t *testing.T) {
	w := newWorld(t)
	x := w.ticket()
	w.save(x, Google)
	w.hand(x.ID, ben)
	for _, c := range []struct {
		wallets []string
		due     float64
	}{{[]string{"apple", "google"}, 1}, {[]string{"apple"}, 0}} {
		if err := w.watch(t.Context(), c.wallets); err != nil || dueGauge.Get() != c.due {
			t.Errorf("of %v %v are due, %v", c.wallets, dueGauge.Get(), err)
		}
	}
}
