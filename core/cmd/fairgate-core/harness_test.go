package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/core/fraud"
	"fairgate/edge/admission"
	"fairgate/edge/lottery"
	"fairgate/loadtest/paysim"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

// rig is an assembled core with a payment provider behind it and a hand-made edge in front.
type rig struct {
	t        *testing.T
	db       *db.DB
	cfg      config
	servers  map[string]*httptest.Server
	pay      *httptest.Server
	provider *paysim.Server
	secrets  map[string]string

	edgeToken string
	keyID     uuid.UUID
	key       ed25519.PrivateKey
	keys      eventKeys
}

type eventKeys struct {
	Generation uint32 `json:"generation"`
	Pseudonym  string `json:"pseudonym_key"`
}

// newRig starts everything on an empty database and applies the event file.
func newRig(t *testing.T, eventFile string) *rig {
	return newRigWith(t, eventFile, paysim.Faults{}, func(*config) {})
}

// newRigWith is newRig with faults of the provider and another configuration of core.
func newRigWith(t *testing.T, eventFile string, faults paysim.Faults, change func(*config)) *rig {
	d := dbtest.New(t)
	r := &rig{t: t, db: d, secrets: map[string]string{}}
	var err error
	r.provider, err = paysim.New(paysim.Config{Log: slog.New(slog.DiscardHandler), Rate: 10_000, Faults: faults})
	if err != nil {
		t.Fatal(err)
	}
	r.pay = httptest.NewServer(r.provider.Handler())
	deliver, stop := context.WithCancel(context.Background())
	var couriers sync.WaitGroup
	couriers.Go(func() { r.provider.Deliver(deliver) })
	t.Cleanup(func() { stop(); couriers.Wait(); r.pay.Close() })

	t.Setenv("FAIRGATE_PAYMENT_STRIPE_SECRET_KEY", "sk_test_paysim")
	t.Setenv("FAIRGATE_PAYMENT_STRIPE_PUBLISHABLE_KEY", "pk_test_paysim")
	t.Setenv("FAIRGATE_PAYMENT_STRIPE_WEBHOOK_SECRET", "whsec_paysim")
	cfg, err := loadConfig("../../../configs/core.yaml")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Database.URL = d.Pool.Config().ConnString()
	cfg.Secrets.Dir = filepath.Join(t.TempDir(), "secrets")
	cfg.Payment.Stripe.BaseURL, cfg.Payment.Stripe.PayURL = r.pay.URL, r.pay.URL
	cfg.Payment.Stripe.RatePerSecond, cfg.Payment.Stripe.EndpointRatePerSecond = 1000, 1000
	cfg.Access.MarkerWait = 200 * time.Millisecond
	cfg.Access.Tick = 50 * time.Millisecond
	cfg.Fraud.Rules.AccountsPerCard.Verdict, cfg.Fraud.Rules.PaymentsPerCard.Verdict = fraud.Off, fraud.Off // tests share a few cards
	change(&cfg)
	r.cfg = cfg
	r.startCore()
	if eventFile != "" {
		text, err := os.ReadFile(eventFile)
		if err != nil {
			t.Fatal(err)
		}
		r.admin(http.MethodPut, "/admin/v1/events", string(text), http.StatusOK, nil)
	}
	return r
}

// startCore assembles a core on the rig's database; the cleanup stops it as the program does.
func (r *rig) startCore() {
	r.t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	c, err := assemble(context.Background(), r.cfg, log)
	if err != nil {
		r.t.Fatal(err)
	}
	work, stop := context.WithCancel(context.Background())
	var workers sync.WaitGroup
	for name, worker := range c.workers {
		workers.Go(func() {
			if err := worker(work); err != nil && work.Err() == nil {
				r.t.Errorf("%s stopped: %v", name, err)
			}
		})
	}
	r.servers = map[string]*httptest.Server{}
	for name, h := range c.handlers {
		r.servers[name] = httptest.NewServer(h)
	}
	for _, name := range []string{"edge", "admin"} {
		text, err := os.ReadFile(filepath.Join(r.cfg.Secrets.Dir, name+".secret"))
		if err != nil {
			r.t.Fatal(err)
		}
		r.secrets[name] = strings.TrimSpace(string(text))
	}
	servers := r.servers
	r.t.Cleanup(func() {
		for _, s := range servers {
			s.CloseClientConnections()
			s.Close()
		}
		stop()
		workers.Wait()
		c.close()
	})
	r.subscribe(r.servers["webhook"].URL)
}

// subscribe has the provider send its webhooks to a listener, of which it learns as Stripe would: as an endpoint that is
// created.
func (r *rig) subscribe(listener string) {
	r.t.Helper()
	form := url.Values{"url": {listener + "/webhooks/stripe"}, "enabled_events[]": {"*"}}
	req, _ := http.NewRequest(http.MethodPost, r.pay.URL+"/v1/webhook_endpoints", strings.NewReader(form.Encode()))
	req.Header.Set("Authorization", "Bearer sk_test_paysim")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if resp, err := http.DefaultClient.Do(req); err != nil || resp.StatusCode != http.StatusOK {
		r.t.Fatalf("register the webhook endpoint: %v, %v", resp, err)
	} else {
		resp.Body.Close()
	}
}

// call makes a request and checks its status; into, if not nil, gets the JSON.
func (r *rig) call(req *http.Request, want int, into any) {
	r.t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	if resp.StatusCode != want {
		r.t.Fatalf("%s %s answered %d, want %d: %s", req.Method, req.URL.Path, resp.StatusCode, want, body)
	}
	if into != nil {
		if err := json.Unmarshal(body, into); err != nil {
			r.t.Fatalf("%s %s: %v: %s", req.Method, req.URL.Path, err, body)
		}
	}
}

func (r *rig) request(listener, method, path string, body any) *http.Request {
	r.t.Helper()
	var text []byte
	switch b := body.(type) {
	case nil:
	case string:
		text = []byte(b)
	default:
		var err error
		if text, err = json.Marshal(b); err != nil {
			r.t.Fatal(err)
		}
	}
	req, err := http.NewRequest(method, r.servers[listener].URL+path, bytes.NewReader(text))
	if err != nil {
		r.t.Fatal(err)
	}
	if secret := r.secrets[listener]; secret != "" {
		req.Header.Set("Authorization", "Bearer "+secret)
	}
	req.Header.Set("Content-Type", "application/json")
	return req
}

// reply is an answer as it came.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r *rig) raw(req *http.Request) reply {
	r.t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, body}
}

func (r *rig) admin(method, path string, body any, want int, into any) {
	r.t.Helper()
	r.call(r.request("admin", method, path, body), want, into)
}

func (r *rig) edge(method, path string, body any, want int, into any) {
	r.t.Helper()
	req := r.request("edge", method, path, body)
	req.Header.Set("Fairgate-Edge", r.edgeToken)
	r.call(req, want, into)
}

// enroll makes the rig an edge of core with a signing key for the event.
func (r *rig) enroll(slug string) {
	r.t.Helper()
	var enrolled struct {
		Token string `json:"edge_token"`
	}
	r.edge(http.MethodPost, "/edge/v1/enroll", map[string]any{"edge_id": uuid.New(), "boot": uuid.New()}, http.StatusOK, &enrolled)
	r.edgeToken = enrolled.Token
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	r.keyID, r.key = uuid.New(), private
	r.edge(http.MethodPost, "/edge/v1/keys", map[string]any{"event": slug, "key_id": r.keyID, "public_key": hex.EncodeToString(public),
		"valid_from": time.Now().Add(-time.Minute), "valid_until": time.Now().Add(time.Hour)}, http.StatusOK, &r.keys)
}

// shopper is a buyer as an edge sees one.
type shopper struct {
	entrant lottery.Entrant
	device  lottery.DeviceHash
	session string
}

func (r *rig) shopper(name string) *shopper {
	r.t.Helper()
	key, err := hex.DecodeString(r.keys.Pseudonym)
	if err != nil {
		r.t.Fatal(err)
	}
	return &shopper{entrant: lottery.NewEntrant(key, "device", []byte(name)), device: lottery.HashDevice([]byte(name))}
}

// join puts shoppers into the pool of window 0.
func (r *rig) join(slug string, shoppers ...*shopper) {
	r.t.Helper()
	var entries []map[string]any
	for i, s := range shoppers {
		network := lottery.NetworkHash([]byte{127, 0, byte(i >> 8), byte(i)})
		entries = append(entries, map[string]any{"e": s.entrant.String(), "d": s.device.String(), "n": hex.EncodeToString(network[:]), "w": 0})
	}
	var answer struct {
		Acks []struct {
			Receipt string `json:"receipt"`
			Refused string `json:"refused"`
		} `json:"acks"`
	}
	r.edge(http.MethodPost, "/edge/v1/pool", map[string]any{"event": slug, "generation": r.keys.Generation, "entries": entries}, http.StatusOK, &answer)
	for i, a := range answer.Acks {
		if a.Receipt == "" || a.Refused != "" {
			r.t.Fatalf("shopper %d got no receipt: %+v", i, a)
		}
	}
}

// token mints an admission token with the rig's key.
func (r *rig) token(slug string, s *shopper) string {
	return encode64(admission.Token{KeyID: r.keyID, Event: lottery.EventID(slug), Entrant: s.entrant, Device: s.device,
		Generation: r.keys.Generation, IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Minute)}.Sign(nil, r.key))
}

func encode64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

type result struct {
	Status  int             `json:"status"`
	Body    json.RawMessage `json:"body"`
	Problem struct {
		Code string `json:"code"`
	} `json:"problem"`
}

// redeem exchanges a token for a session.
func (r *rig) redeem(slug, token string, device lottery.DeviceHash) result {
	r.t.Helper()
	var answer struct {
		Results []result `json:"results"`
	}
	r.edge(http.MethodPost, "/edge/v1/redeem", map[string]any{"items": []any{
		map[string]any{"event": slug, "token": token, "device": device.String()}}}, http.StatusOK, &answer)
	return answer.Results[0]
}

// admit waits until the shoppers are called and gets each a session.
func (r *rig) admit(slug string, shoppers ...*shopper) {
	r.t.Helper()
	for _, s := range shoppers {
		deadline := time.Now().Add(20 * time.Second)
		for {
			got := r.redeem(slug, r.token(slug, s), s.device)
			if got.Status == http.StatusOK {
				var body struct {
					Session string `json:"session"`
				}
				if err := json.Unmarshal(got.Body, &body); err != nil {
					r.t.Fatal(err)
				}
				s.session = body.Session
				break
			}
			if time.Now().After(deadline) {
				r.t.Fatalf("shopper was never admitted: %d %s", got.Status, got.Problem.Code)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// hold asks for a hold through the batch.
func (r *rig) hold(slug string, s *shopper, key, items string) result {
	r.t.Helper()
	var answer struct {
		Results []result `json:"results"`
	}
	r.edge(http.MethodPost, "/edge/v1/holds:batch", map[string]any{"items": []any{map[string]any{
		"event": slug, "session": s.session, "device": s.device.String(), "key": key, "client": "127.0.0.1",
		"body": json.RawMessage(fmt.Sprintf(`{"event":%q,"items":%s}`, slug, items)),
	}}}, http.StatusOK, &answer)
	return answer.Results[0]
}

// as makes a buyer's request.
func (r *rig) as(s *shopper, method, path string, body any) *http.Request {
	req := r.request("edge", method, path, body)
	req.Header.Set("Fairgate-Session", s.session)
	req.Header.Set("Fairgate-Device", s.device.String())
	req.Header.Set("Idempotency-Key", "k")
	return req
}

// code makes a request that should be refused and returns the problem's code.
func (r *rig) code(req *http.Request, status int) string {
	r.t.Helper()
	var p struct {
		Code   string `json:"code"`
		Detail string `json:"detail"`
	}
	r.call(req, status, &p)
	if p.Detail == "" {
		r.t.Errorf("%s has no sentence that helps", p.Code)
	}
	return p.Code
}
