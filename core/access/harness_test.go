package access

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/edge/admission"
	"fairgate/edge/lottery"
	"fairgate/ledger"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { dbtest.Main(m) }

// world is everything around the rooms of a test: the database, the catalog, the stock and the key ring.
type world struct {
	t  testing.TB
	db *db.DB

	mu    sync.Mutex
	sale  Sale
	stock []TierStock
	// setAside is the stock of allocations.
	setAside map[string][]TierStock
	holds    int
	spare    float64
}

const slug = "arena"

func newWorld(t testing.TB) *world {
	return &world{
		t: t, db: dbtest.New(t), spare: 1e6,
		sale: Sale{
			Slug: slug, Event: lottery.EventID(slug), Identity: "device", TimeZone: "Europe/Madrid", PseudonymKey: make([]byte, 32),
			Window: time.Second, JoiningBefore: time.Minute, SessionTTL: time.Minute, ClaimWithin: time.Minute,
			Tiers: []Tier{{ID: "floor", Name: "Floor", Price: ledger.Amount{Minor: 8250, Currency: "EUR"}}},
		},
		stock: []TierStock{{Tier: "floor", Capacity: 1_000_000}},
	}
}

// deps are what a room of this world is given.
func (w *world) deps() Deps {
	return Deps{
		Sales: func(_ context.Context, name string) (Sale, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			sale := w.sale
			sale.Slug, sale.Event = name, lottery.EventID(name)
			return sale, nil
		},
		Stock: func(_ context.Context, _ uuid.UUID, allocation string) ([]TierStock, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if allocation != "" {
				return append([]TierStock(nil), w.setAside[allocation]...), nil
			}
			return append([]TierStock(nil), w.stock...), nil
		},
		Holding: func(context.Context, uuid.UUID) (Holding, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return Holding{Holds: w.holds}, nil
		},
		SpareRate: func(context.Context, uuid.UUID) float64 {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.spare
		},
		Keys: testKeys,
	}
}

// change alters the world while rooms look at it.
func (w *world) change(fn func(w *world)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fn(w)
}

// testKeys is a ring that every core reads alike.
func testKeys(_ context.Context, purpose, scope string) ([]Key, error) {
	seed := sha256.Sum256([]byte(purpose + "/" + scope))
	key := Key{No: 1, Secret: seed[:]}
	if purpose == purposeReceipt || purpose == purposeInvitation {
		key.Public = ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)
	}
	return []Key{key}, nil
}

// testConfig is quick enough for tests.
func testConfig() Config {
	c := Config{Tick: 50 * time.Millisecond, MarkerWait: 400 * time.Millisecond, LeaseTTL: time.Second, ChainLength: 64, Duration: time.Hour}
	if testing.Verbose() {
		c.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return c
}

// core is a room with its background work.
type core struct {
	*Room
	stop func()
}

// start makes a room and runs it until stop, or the end of the test.
func (w *world) start(cfg Config) *core {
	w.t.Helper()
	r, err := New(w.t.Context(), w.db, cfg, w.deps())
	if err != nil {
		w.t.Fatalf("make a room: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				w.t.Errorf("run the room: %v", err)
			}
			r.Close()
		})
	}
	w.t.Cleanup(stop)
	return &core{Room: r, stop: stop}
}

// schedule opens joining now and the sale after some time.
func (c *core) schedule(t testing.TB, opensIn time.Duration) Status {
	t.Helper()
	now := c.now()
	status, err := c.Schedule(t.Context(), slug, now.Add(opensIn), now.Add(-time.Second), time.Time{})
	if err != nil {
		t.Fatalf("schedule: %v", err)
	}
	return status
}

// open makes now the sale instant: tests that do not need it to come by itself let everybody join first.
func (c *core) open(t testing.TB) {
	t.Helper()
	if _, err := c.Open(t.Context(), slug); err != nil {
		t.Fatalf("open: %v", err)
	}
}

// edge is an edge as core sees it.
type edge struct {
	id      uuid.UUID
	key     EdgeKey
	private ed25519.PrivateKey
}

// enroll makes an edge with a key for the event.
func (c *core) enroll(t testing.TB, event string) *edge {
	t.Helper()
	e := &edge{id: uuid.New()}
	if _, err := c.Enroll(t.Context(), e.id, uuid.New()); err != nil {
		t.Fatalf("enroll: %v", err)
	}
	e.register(t, c, event)
	return e
}

// register gives the edge a fresh key for the event.
func (e *edge) register(t testing.TB, c *core, event string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	e.private = private
	e.key = EdgeKey{ID: uuid.New(), Public: public, ValidFrom: c.now().Add(-time.Minute), ValidUntil: c.now().Add(time.Hour)}
	if _, err := c.RegisterKey(t.Context(), e.id, event, e.key); err != nil {
		t.Fatalf("register a key: %v", err)
	}
}

// buyer is number n of a test: an entrant and a device.
func buyer(n int) Join {
	id := binary.BigEndian.AppendUint64(nil, uint64(n))
	return Join{
		Entrant: lottery.NewEntrant(make([]byte, 32), "device", id), Device: lottery.HashDevice(id),
		Network: lottery.NetworkHash(id),
	}
}

func buyers(from, n int) []Join {
	joins := make([]Join, n)
	for i := range joins {
		joins[i] = buyer(from + i)
	}
	return joins
}

func inWindow(window uint32, joins []Join) []Join {
	for i := range joins {
		joins[i].Window = window
	}
	return joins
}

// join sends entrants and fails the test if they are not all acknowledged.
func (c *core) join(t testing.TB, e *edge, generation uint32, joins []Join) []Ack {
	t.Helper()
	acks, err := c.JoinBatch(t.Context(), JoinRequest{Edge: e.id, Event: slug, Generation: generation, Entries: joins})
	if err != nil {
		t.Fatalf("join: %v", err)
	}
	for i, ack := range acks {
		if ack.Refused != nil {
			t.Fatalf("entrant %d is refused: %v", i, ack.Refused)
		}
	}
	return acks
}

func (c *core) mark(t testing.TB, e *edge, generation, window uint32) {
	t.Helper()
	if _, err := c.JoinBatch(t.Context(), JoinRequest{Edge: e.id, Event: slug, Generation: generation, Marker: &window}); err != nil {
		t.Fatalf("mark window %d: %v", window, err)
	}
}

// token mints an admission token as an edge does.
func (e *edge) token(c *core, j Join, generation uint32) []byte {
	now := c.now()
	return admission.Token{
		KeyID: e.key.ID, Event: lottery.EventID(slug), Entrant: j.Entrant, Device: j.Device, Generation: generation,
		IssuedAt: now, ExpiresAt: now.Add(time.Minute),
	}.Sign(nil, e.private)
}

// redeem claims one buyer's turn.
func (c *core) redeem(t testing.TB, e *edge, j Join, generation uint32) Redeemed {
	t.Helper()
	return c.redeemToken(t, e, e.token(c, j, generation), j.Device)
}

func (c *core) redeemToken(t testing.TB, e *edge, token []byte, device lottery.DeviceHash) Redeemed {
	t.Helper()
	answers, err := c.Redeem(t.Context(), []Redemption{{Edge: e.id, Event: slug, Token: token, Device: device}})
	if err != nil {
		t.Fatalf("redeem: %v", err)
	}
	return answers[0]
}

// until waits for the on-sale to reach what ok asks for.
func (c *core) until(t testing.TB, what string, ok func(Status) bool) Status {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for {
		status, err := c.Status(t.Context(), slug)
		if err != nil {
			t.Fatalf("status: %v", err)
		}
		if ok(status) {
			return status
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come about: %+v", what, status)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func phase(want Phase) func(Status) bool {
	return func(s Status) bool { return s.Phase == want }
}

func calledAtLeast(n int) func(Status) bool {
	return func(s Status) bool { return s.Called >= n }
}

// verify draws again from the transcript and fails the test on anything that does not agree.
func (c *core) verify(t testing.TB, receipts ...[]byte) lottery.Transcript {
	t.Helper()
	transcript, err := c.Transcript(t.Context(), slug)
	if err != nil {
		t.Fatalf("transcript: %v", err)
	}
	verdict := transcript.Verify(lottery.Evidence{Receipts: receipts})
	if !verdict.OK() {
		t.Fatalf("the transcript does not verify:\n%s", verdict)
	}
	return transcript
}

// receiptsOf are the receipts of acknowledgements.
func receiptsOf(acks []Ack) [][]byte {
	receipts := make([][]byte, len(acks))
	for i := range acks {
		receipts[i] = acks[i].Receipt
	}
	return receipts
}

// execOne changes exactly one row behind the rooms' backs.
func (w *world) execOne(query string, args ...any) {
	w.t.Helper()
	tag, err := w.db.Exec(context.Background(), query, args...)
	if err == nil && tag.RowsAffected() != 1 {
		err = fmt.Errorf("%d rows changed", tag.RowsAffected())
	}
	if err != nil {
		w.t.Fatalf("%s: %v", query, err)
	}
}
