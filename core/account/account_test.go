package account_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/account"
	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/core/event"
	"fairgate/edge/admission"
	"fairgate/edge/lottery"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// post is where the codes of a test arrive: what its transactions committed, as a mail outbox has it.
type post struct {
	mu    sync.Mutex
	mails []account.Mail
	down  error
}

func (p *post) send(_ context.Context, _ pgx.Tx, m account.Mail) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down == nil && (len(p.mails) == 0 || p.mails[len(p.mails)-1].ID != m.ID) { // a transaction that is run again is one
		p.mails = append(p.mails, m)
	}
	return p.down
}

func (p *post) last(t *testing.T) account.Mail {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.mails) == 0 {
		t.Fatal("no mail was sent")
	}
	return p.mails[len(p.mails)-1]
}

type office struct {
	*account.Service
	post *post
	db   *db.DB
}

func open(t *testing.T, change func(*account.Config)) office {
	t.Helper()
	d, p := dbtest.New(t), &post{}
	events := event.NewStore(d, event.Options{})
	if err := events.EnsureGlobalKeys(t.Context(), event.AccountPurpose, event.CodePurpose); err != nil {
		t.Fatal(err)
	}
	ring := func(purpose event.Purpose) func(context.Context) (event.KeyRing, error) {
		return func(ctx context.Context) (event.KeyRing, error) { return events.Keys(ctx, purpose, event.GlobalScope) }
	}
	cfg := account.Config{DB: d, Signing: ring(event.AccountPurpose), Marking: ring(event.CodePurpose), Send: p.send}
	if change != nil {
		change(&cfg)
	}
	s, err := account.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return office{s, p, d}
}

func device(name string) lottery.DeviceHash { return lottery.HashDevice([]byte(name)) }

// code asks for a code and reads it in the mail.
func (o office) code(t *testing.T, email, browser string) string {
	t.Helper()
	if err := o.SendCode(t.Context(), account.Ask{Email: email, Device: device(browser), Network: "192.0.2.1"}); err != nil {
		t.Fatalf("ask for a code: %v", err)
	}
	return o.post.last(t).Code
}

func (o office) use(t *testing.T, email, code, browser string) (account.Session, error) {
	return o.SignIn(t.Context(), account.Entry{Email: email, Code: code, Device: device(browser)})
}

func (o office) signIn(t *testing.T, email, browser string) account.Session {
	t.Helper()
	session, err := o.use(t, email, o.code(t, email, browser), browser)
	if err != nil {
		t.Fatalf("sign in: %v", err)
	}
	return session
}

// other is a code that is not this one.
func other(code string) string {
	b := []byte(code)
	b[0] = '0' + (b[0]-'0'+1)%10
	return string(b)
}

func TestACodeFromTheMailSignsInTheSameAccountInEveryBrowser(t *testing.T) {
	o := open(t, nil)
	first := o.signIn(t, "Ann@Example.org", "laptop")
	if first.Account.Email != "Ann@Example.org" || !first.Account.Owns("ann@example.ORG") || first.Account.Owns("bob@example.org") {
		t.Errorf("the account is %+v", first.Account)
	}
	second := o.signIn(t, "ann@example.org", "phone")
	if second.Account.ID != first.Account.ID || second.Account.Secret != first.Account.Secret {
		t.Error("two spellings of one address are two accounts")
	}
	if to := o.post.last(t).To; to != "Ann@Example.org" {
		t.Errorf("the second code went to %s, not as the owner wrote it first", to)
	}
	keys, err := o.PublicKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	token, err := admission.VerifyAccount(second.Raw, keys, time.Now())
	if err != nil || token.Account != first.Account.ID || token.Device != device("phone") {
		t.Errorf("an edge reads the session as %+v, %v", token, err)
	}
	key := bytes.Repeat([]byte{3}, 32)
	if token.Subject.Entrant(key) != first.Account.Entrant(key) {
		t.Error("edge and core make different entrants of one account")
	}
	if checked, err := o.Check(t.Context(), second.Raw, device("phone")); err != nil || checked.Account.ID != first.Account.ID {
		t.Errorf("core reads the session as %+v, %v", checked, err)
	}
	if _, err := o.Check(t.Context(), second.Raw, device("laptop")); !errors.Is(err, account.ErrSignedOut) {
		t.Errorf("another browser with the session: %v", err)
	}
}

func TestACodeIsForTheBrowserThatAskedForItAndForItsAddress(t *testing.T) {
	o := open(t, nil)
	code := o.code(t, "ann@example.org", "laptop")
	if _, err := o.use(t, "ann@example.org", code, "thief"); !errors.Is(err, account.ErrNoCode) {
		t.Errorf("in another browser: %v", err)
	}
	if _, err := o.use(t, "bob@example.org", code, "laptop"); !errors.Is(err, account.ErrNoCode) {
		t.Errorf("for another address: %v", err)
	}
	for range 20 { // a stranger's guesses cost the owner nothing
		if _, err := o.use(t, "ann@example.org", other(code), "thief"); !errors.Is(err, account.ErrNoCode) {
			t.Fatalf("a guess in another browser: %v", err)
		}
	}
	if _, err := o.use(t, "ann@example.org", code, "laptop"); err != nil {
		t.Errorf("in its own browser: %v", err)
	}
}

func TestFiveWrongCodesSpoilAllCodesOfTheBrowser(t *testing.T) {
	o := open(t, nil)
	first, second := o.code(t, "ann@example.org", "laptop"), o.code(t, "ann@example.org", "laptop")
	wrong := other(first)
	if wrong == second {
		wrong = other(wrong)
	}
	for range 5 {
		if _, err := o.use(t, "ann@example.org", wrong, "laptop"); !errors.Is(err, account.ErrCodeWrong) {
			t.Fatalf("a wrong code: %v", err)
		}
	}
	for _, code := range []string{first, second} {
		if _, err := o.use(t, "ann@example.org", code, "laptop"); !errors.Is(err, account.ErrNoCode) {
			t.Errorf("the right code after five wrong ones: %v", err)
		}
	}
}

func TestOfTwoCodesUnderWayEitherWorksAndEndsTheOther(t *testing.T) {
	o := open(t, nil)
	first, second := o.code(t, "ann@example.org", "laptop"), o.code(t, "ann@example.org", "laptop")
	for first == second { // one in a million
		second = o.code(t, "ann@example.org", "laptop")
	}
	if _, err := o.use(t, "ann@example.org", first, "laptop"); err != nil {
		t.Fatalf("the older one: %v", err)
	}
	if _, err := o.use(t, "ann@example.org", second, "laptop"); !errors.Is(err, account.ErrCodeWrong) {
		t.Errorf("the newer one after that: %v", err)
	}
}

// Many at once, and again after an answer that never came: there is one account and one session.
func TestACodeUsedManyTimesAtOnceIsOneSession(t *testing.T) {
	o := open(t, nil)
	code := o.code(t, "ann@example.org", "laptop")
	sessions, errs := make([]account.Session, 8), make([]error, 8)
	var all sync.WaitGroup
	for i := range sessions {
		all.Go(func() { sessions[i], errs[i] = o.use(t, "ann@example.org", code, "laptop") })
	}
	all.Wait()
	for i := range sessions {
		if errs[i] != nil || !bytes.Equal(sessions[i].Raw, sessions[0].Raw) {
			t.Errorf("number %d: %v, the same session: %v", i, errs[i], bytes.Equal(sessions[i].Raw, sessions[0].Raw))
		}
	}
	if n := count(t, o.db, `SELECT count(*) FROM accounts`); n != 1 {
		t.Errorf("%d accounts", n)
	}
	age(t, o.db, `UPDATE account_codes SET used_at = used_at - INTERVAL '61 seconds'`)
	if _, err := o.use(t, "ann@example.org", code, "laptop"); !errors.Is(err, account.ErrNoCode) {
		t.Errorf("a minute later: %v", err)
	}
}

func TestTwoBrowsersThatSignInForTheFirstTimeAtOnceMakeOneAccount(t *testing.T) {
	o := open(t, nil)
	codes := []string{o.code(t, "ann@example.org", "a"), o.code(t, "ann@example.org", "b")}
	ids, errs := make([]uuid.UUID, 2), make([]error, 2)
	var both sync.WaitGroup
	for i, browser := range []string{"a", "b"} {
		both.Go(func() {
			session, err := o.use(t, "ann@example.org", codes[i], browser)
			ids[i], errs[i] = session.Account.ID, err
		})
	}
	both.Wait()
	if errs[0] != nil || errs[1] != nil || ids[0] != ids[1] {
		t.Errorf("%v, %v", ids, errs)
	}
}

func TestACodeEndsAfterItsTime(t *testing.T) {
	o := open(t, nil)
	code := o.code(t, "ann@example.org", "laptop")
	age(t, o.db, `UPDATE account_codes SET expires_at = expires_at - INTERVAL '10 minutes'`)
	if _, err := o.use(t, "ann@example.org", code, "laptop"); !errors.Is(err, account.ErrNoCode) {
		t.Errorf("ten minutes later: %v", err)
	}
}

func TestAnAddressAndANetworkGetSoManyCodesWhetherOrNotThereIsAnAccount(t *testing.T) {
	o := open(t, func(c *account.Config) { c.PerEmailHour, c.PerEmailDay, c.PerNetwork = 3, 4, 9 })
	o.signIn(t, "known@example.org", "laptop")
	age(t, o.db, `UPDATE account_codes SET created_at = created_at - INTERVAL '2 days'`)
	for _, email := range []string{"known@example.org", "unknown@example.org"} {
		ask := func(network string) error {
			return o.SendCode(t.Context(), account.Ask{Email: email, Device: device(email), Network: network})
		}
		for n := range 3 {
			if err := ask("192.0.2.1"); err != nil {
				t.Fatalf("%s, code %d: %v", email, n, err)
			}
		}
		var many *account.TooManyCodes
		if err := ask("192.0.2.2"); !errors.As(err, &many) || many.Wait <= 59*time.Minute || many.Wait > time.Hour {
			t.Errorf("%s, the fourth within the hour: %v", email, err)
		}
		age(t, o.db, `UPDATE account_codes SET created_at = created_at - INTERVAL '61 minutes'`)
		if err := ask("192.0.2.1"); err != nil {
			t.Errorf("%s, an hour later: %v", email, err)
		}
		if err := ask("192.0.2.1"); !errors.As(err, &many) || many.Wait <= 22*time.Hour {
			t.Errorf("%s, the fifth within the day: %v", email, err)
		}
		age(t, o.db, `UPDATE account_codes SET created_at = created_at - INTERVAL '1 day'`)
	}
	for n := range 10 {
		err := o.SendCode(t.Context(), account.Ask{Email: fmt.Sprintf("n%d@example.org", n), Device: device("x"), Network: "198.51.100.7"})
		if refused := errors.Is(err, account.ErrTooManyCodes); refused != (n == 9) {
			t.Errorf("code %d for the network: %v", n, err)
		}
	}
	if n := count(t, o.db, `SELECT count(*) FROM account_codes WHERE created_at > now() - INTERVAL '1 hour'`); n != 9 {
		t.Errorf("%d codes were written for the network", n)
	}
}

func TestACodeThatCannotBeMailedIsNone(t *testing.T) {
	o := open(t, nil)
	o.post.down = errors.New("the outbox is full")
	if err := o.SendCode(t.Context(), account.Ask{Email: "ann@example.org", Device: device("laptop")}); !errors.Is(err, o.post.down) {
		t.Errorf("got %v", err)
	}
	if n := count(t, o.db, `SELECT count(*) FROM account_codes`); n != 0 {
		t.Errorf("%d codes were kept that nobody can know", n)
	}
	o.post.down = nil
	o.signIn(t, "ann@example.org", "laptop")
}

func TestNoCodeAndNoAddressIsInTheTableOfCodes(t *testing.T) {
	o := open(t, nil)
	code := o.code(t, "ann@example.org", "laptop")
	var row string
	if err := o.db.Reader.QueryRow(t.Context(), `SELECT (email_mark::TEXT || network_mark::TEXT || code_hash::TEXT || device::TEXT) FROM account_codes`).Scan(&row); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{code, fmt.Sprintf("%x", code), fmt.Sprintf("%x", "ann@example.org"), fmt.Sprintf("%x", "192.0.2.1")} {
		if bytes.Contains([]byte(row), []byte(secret)) {
			t.Errorf("%s is in the row", secret)
		}
	}
}

func TestSigningOutEverywhereEndsEverySessionAndNoLaterOne(t *testing.T) {
	o := open(t, nil)
	code := o.code(t, "ann@example.org", "laptop")
	laptop, err := o.use(t, "ann@example.org", code, "laptop")
	if err != nil {
		t.Fatal(err)
	}
	phone := o.signIn(t, "ann@example.org", "phone")
	for range 2 { // a repeated request ends nothing more
		if err := o.SignOut(t.Context(), phone.Account, device("phone"), true); err != nil {
			t.Fatal(err)
		}
	}
	for name, session := range map[string]account.Session{"laptop": laptop, "phone": phone} {
		if _, err := o.Check(t.Context(), session.Raw, device(name)); !errors.Is(err, account.ErrSignedOut) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := o.use(t, "ann@example.org", code, "laptop"); !errors.Is(err, account.ErrNoCode) {
		t.Errorf("the code of just now, again: %v", err)
	}
	again := o.signIn(t, "ann@example.org", "laptop")
	if _, err := o.Check(t.Context(), again.Raw, device("laptop")); err != nil || again.Account.Epoch != 1 {
		t.Errorf("signed in again: epoch %d, %v", again.Account.Epoch, err)
	}
	if again.Account.Secret != laptop.Account.Secret {
		t.Error("the account is somebody else in every event now")
	}
}

func TestOldSessionsAreRenewedByUse(t *testing.T) {
	o := open(t, func(c *account.Config) { c.RenewAfter = time.Nanosecond })
	session := o.signIn(t, "ann@example.org", "laptop")
	renewed, fresh, err := o.Renew(t.Context(), session, device("laptop"))
	if err != nil || !fresh || renewed.ExpiresAt.Before(session.ExpiresAt) {
		t.Fatalf("%v, %v", fresh, err)
	}
	if _, err := o.Check(t.Context(), renewed.Raw, device("laptop")); err != nil {
		t.Errorf("the renewed one: %v", err)
	}
	o = open(t, nil)
	session = o.signIn(t, "ann@example.org", "laptop")
	if _, fresh, err := o.Renew(t.Context(), session, device("laptop")); fresh || err != nil {
		t.Errorf("a new one was renewed: %v, %v", fresh, err)
	}
}

func TestAnEntrantLeadsBackToItsAccountOnceThatIsRemembered(t *testing.T) {
	o := open(t, nil)
	a := o.signIn(t, "ann@example.org", "laptop").Account
	e := account.Entrancy{Account: a.ID, Event: lottery.EventID("arena"), Entrant: a.Entrant(bytes.Repeat([]byte{1}, 32))}
	if _, err := account.WhoIs(t.Context(), o.db.Reader, e.Event, e.Entrant); !errors.Is(err, account.ErrUnknown) {
		t.Errorf("before: %v", err)
	}
	for range 2 {
		if err := account.Remember(t.Context(), o.db, e); err != nil {
			t.Fatal(err)
		}
	}
	if who, err := account.WhoIs(t.Context(), o.db.Reader, e.Event, e.Entrant); err != nil || who.ID != a.ID {
		t.Errorf("after: %v, %v", who, err)
	}
	if all, err := account.Entrancies(t.Context(), o.db.Reader, a.ID); err != nil || len(all) != 1 || all[0] != e {
		t.Errorf("the events of the account are %v, %v", all, err)
	}
}

func TestAForgottenAccountHasNoAddressAndNobodySignedIn(t *testing.T) {
	o := open(t, nil)
	session := o.signIn(t, "ann@example.org", "laptop")
	for range 2 {
		if err := o.Forget(t.Context(), session.Account.ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := o.Check(t.Context(), session.Raw, device("laptop")); !errors.Is(err, account.ErrSignedOut) {
		t.Errorf("its session: %v", err)
	}
	a, err := account.Load(t.Context(), o.db.Reader, session.Account.ID)
	if err != nil || a.Email != "" || a.Forgotten.IsZero() || a.Owns("ann@example.org") || a.Secret == session.Account.Secret {
		t.Errorf("what is left is %+v (%q), %v", a, a.Email, err)
	}
	if err := o.Forget(t.Context(), uuid.New()); !errors.Is(err, account.ErrUnknown) {
		t.Errorf("an account that never was: %v", err)
	}
	if anew := o.signIn(t, "ann@example.org", "laptop"); anew.Account.ID == session.Account.ID {
		t.Error("the address finds the forgotten account again")
	}
}

func TestOldCodesAreSwept(t *testing.T) {
	o := open(t, nil)
	o.code(t, "ann@example.org", "laptop")
	age(t, o.db, `UPDATE account_codes SET created_at = created_at - INTERVAL '25 hours'`)
	o.code(t, "ann@example.org", "laptop")
	if n, err := o.Sweep(t.Context()); n != 1 || err != nil {
		t.Errorf("%d swept, %v", n, err)
	}
}

func TestOnlyASCIILettersAreFolded(t *testing.T) {
	for email, want := range map[string]string{"Ann.B+c@Example.ORG": "ann.b+c@example.org", "a@\u212Aite.org": "a@\u212Aite.org", "ÄNN@example.org": "Änn@example.org"} {
		if got, err := account.Normalize(email); got != want || err != nil {
			t.Errorf("%s is %s, %v", email, got, err)
		}
	}
	for _, email := range []string{"", "ann", "Ann <ann@example.org>", "ann@example.org\r\nBcc: x@example.org", "a@b, c@d", " ann@example.org"} {
		if got, err := account.Normalize(email); !errors.Is(err, account.ErrEmail) {
			t.Errorf("%q is %q, %v", email, got, err)
		}
	}
}

func FuzzNormalize(f *testing.F) {
	f.Add("Ann@Example.org")
	f.Add("\"a b\"@example.org")
	f.Fuzz(func(t *testing.T, email string) {
		once, err := account.Normalize(email)
		if err != nil {
			return
		}
		if twice, err := account.Normalize(once); err != nil || twice != once {
			t.Errorf("%q is %q, and that is %q, %v", email, once, twice, err)
		}
	})
}

func count(t *testing.T, d *db.DB, sql string) (n int64) {
	t.Helper()
	if err := d.Reader.QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// age moves times into the past.
func age(t *testing.T, d *db.DB, sql string) {
	t.Helper()
	if _, err := d.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}
