package edge

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// catalogShop is a catalog behind the fake core that a test changes.
type catalogShop struct {
	mu     sync.Mutex
	asked  []string // path?query of every request that came
	given  []string // If-None-Match of each
	body   string
	maxAge int
	status int
	hold   chan struct{} // requests wait until it is closed
}

func (c *catalogShop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.asked, c.given = append(c.asked, r.URL.RequestURI()), append(c.given, r.Header.Get("If-None-Match"))
	body, maxAge, status, hold := c.body, c.maxAge, c.status, c.hold
	c.mu.Unlock()
	if hold != nil {
		<-hold
	}
	if status != 0 {
		w.Header().Set("Retry-After", "1")
		fakeProblem(w, status, "database_unavailable")
		return
	}
	tag := fmt.Sprintf(`"%x"`, body)
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "public, max-age="+strconv.Itoa(maxAge))
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, body)
}

func (c *catalogShop) change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func (c *catalogShop) requests() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.asked...)
}

// catalogNode is a node before a catalog, whose clock a test moves.
type catalogNode struct {
	*testNode
	world *fakeWorld
	shop  *catalogShop
	clock *handClock
}

type handClock struct {
	mu  sync.Mutex
	off time.Duration
}

func (c *handClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.off)
}

func (c *handClock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off += d
}

func startCatalog(t *testing.T, change func(*Config)) *catalogNode {
	world := newWorld(t)
	shop := &catalogShop{body: `{"events":[],"next":"","total":0}`, maxAge: 2}
	world.shop = shop
	c := testConfig(t, world.start())
	if change != nil {
		change(&c)
	}
	n := &catalogNode{testNode: startNode(t, c), world: world, shop: shop, clock: &handClock{}}
	n.shelf.now = n.clock.now // before anything is asked
	eventually(t, "core is known", func() bool { return n.heard.Load() })
	return n
}

func TestTheCatalogIsAnsweredFromTheShelf(t *testing.T) {
	n := startCatalog(t, nil)
	b := newBuyer(t)
	first := b.do(n.testNode, "GET", "/v1/events?q=Jazz", "")
	if first.status != 200 || string(first.body) != n.shop.body || first.header.Get("Cache-Control") != "public, max-age=2" || first.header.Get("Age") != "" {
		t.Fatalf("%d %v %s", first.status, first.header, first.body)
	}
	n.clock.move(1500 * time.Millisecond)
	second := b.do(n.testNode, "GET", "/v1/events?q=Jazz", "")
	if second.status != 200 || second.header.Get("Age") != "1" || second.header.Get("ETag") != first.header.Get("ETag") {
		t.Errorf("from memory: %d %v", second.status, second.header)
	}
	for _, match := range []string{first.header.Get("ETag"), `"x", W/` + first.header.Get("ETag"), "*"} {
		if r := b.do(n.testNode, "GET", "/v1/events?q=Jazz", "", "If-None-Match: "+match); r.status != 304 || len(r.body) != 0 || r.header.Get("ETag") == "" {
			t.Errorf("%s: %d %s", match, r.status, r.body)
		}
	}
	// The same question in other words.
	for _, query := range []string{"q=jazz", "q=++JAZZ+&city=&limit=", "limit=&q=jaZZ"} {
		b.do(n.testNode, "GET", "/v1/events?"+query, "")
	}
	if asked := n.shop.requests(); len(asked) != 1 || asked[0] != "/v1/events?q=jazz" {
		t.Errorf("core was asked %v", asked)
	}
	// Old: core is asked whether it changed, which it did not, and then did.
	n.clock.move(time.Second)
	if r := b.do(n.testNode, "GET", "/v1/events?q=jazz", ""); r.status != 200 || string(r.body) != n.shop.body || r.header.Get("Age") != "" {
		t.Errorf("confirmed: %d %v %s", r.status, r.header, r.body)
	}
	n.clock.move(3 * time.Second)
	n.shop.change(func() { n.shop.body = `{"events":[1],"next":"","total":1}` })
	if r := b.do(n.testNode, "GET", "/v1/events?q=jazz", ""); string(r.body) != n.shop.body {
		t.Errorf("changed: %s", r.body)
	}
	if n.shop.given[1] != first.header.Get("ETag") || n.shop.given[2] != first.header.Get("ETag") || len(n.shop.given) != 3 {
		t.Errorf("core was given the tags %q", n.shop.given)
	}
	// An event's page has no parameters.
	b.do(n.testNode, "GET", "/v1/events/arena?x=1", "")
	b.do(n.testNode, "GET", "/v1/events/arena", "")
	if asked := n.shop.requests(); len(asked) != 4 || asked[3] != "/v1/events/arena" {
		t.Errorf("core was asked %v", asked)
	}
}

func TestANewVersionOfTheCatalogEndsWhatIsRemembered(t *testing.T) {
	n := startCatalog(t, func(c *Config) { c.Catalog.StaleFor = time.Minute })
	n.shop.change(func() { n.shop.maxAge = 3600 })
	b := newBuyer(t)
	get := func() string { return string(b.do(n.testNode, "GET", "/v1/events", "").body) }
	get()
	n.shop.change(func() { n.shop.body = `{"new":1}` })
	if got := get(); got == `{"new":1}` {
		t.Fatal("nothing was remembered")
	}
	n.world.change(func() { n.world.catalog = 5 })
	eventually(t, "the news of the catalog", func() bool { return get() == `{"new":1}` })
	n.shelf.heard(4) // another core is behind
	n.shop.change(func() { n.shop.body = `{"new":2}` })
	if got := get(); got != `{"new":1}` {
		t.Errorf("an older version ended it: %s", got)
	}
}

func TestAStormOfEqualQuestionsAsksCoreOnce(t *testing.T) {
	n := startCatalog(t, nil)
	hold := make(chan struct{})
	n.shop.change(func() { n.shop.hold = hold })
	var askers sync.WaitGroup
	const many = 50
	bodies := make([]string, many)
	for i := range many {
		askers.Go(func() {
			r, err := newBuyer(t).try(n.testNode, "GET", "/v1/events?city=Lyon", "")
			if err == nil {
				bodies[i] = string(r.body)
			}
		})
	}
	eventually(t, "all wait", func() bool { return n.inflight.Load() == many })
	close(hold)
	askers.Wait()
	for _, body := range bodies {
		if body != n.shop.body {
			t.Fatalf("got %q", body)
		}
	}
	if asked := n.shop.requests(); len(asked) != 1 {
		t.Errorf("core was asked %d times", len(asked))
	}
	if n.counts.shelfShared.Get() != many-1 {
		t.Errorf("%d shared", n.counts.shelfShared.Get())
	}
}

func TestTheListIsShownForAWhileWhenCoreIsInTrouble(t *testing.T) {
	n := startCatalog(t, nil)
	b := newBuyer(t)
	b.do(n.testNode, "GET", "/v1/events", "")
	n.shop.change(func() { n.shop.status = 503 })
	n.clock.move(11 * time.Second) // 2 of core and 10 more
	if r := b.do(n.testNode, "GET", "/v1/events", ""); r.status != 200 || r.header.Get("Age") != "11" || string(r.body) != n.shop.body {
		t.Errorf("in trouble: %d %v %s", r.status, r.header, r.body)
	}
	b.do(n.testNode, "GET", "/v1/events?q=other", "").expectCode(t, "never seen", 503, "database_unavailable")
	n.clock.move(2 * time.Second)
	r := b.do(n.testNode, "GET", "/v1/events", "")
	r.expectCode(t, "too old", 503, "database_unavailable")
	if r.header.Get("Retry-After") != "1" || r.header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", r.header)
	}
	n.shop.change(func() { n.shop.status = 400 })
	b.do(n.testNode, "GET", "/v1/events?limit=x", "").expectCode(t, "refused", 400, "database_unavailable")
	if len(n.shop.requests()) != 5 {
		t.Errorf("core was asked %v", n.shop.requests())
	}
	n.shop.change(func() { n.shop.status = 0 })
	if r := b.do(n.testNode, "GET", "/v1/events", ""); r.status != 200 || r.header.Get("Age") != "" {
		t.Errorf("well again: %d %v", r.status, r.header)
	}
}

func TestTheListIsShownForAWhileWhenCoreIsAway(t *testing.T) {
	world := newWorld(t)
	world.shop = &catalogShop{body: `{"events":[]}`, maxAge: 1}
	core := world.start()
	c := testConfig(t, core)
	c.Catalog.StaleFor = time.Minute
	n := startNode(t, c)
	eventually(t, "core is known", func() bool { return n.heard.Load() })
	b := newBuyer(t)
	if r := b.do(n, "GET", "/v1/events", ""); r.status != 200 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	core.stop()
	eventually(t, "core is missed", func() bool { return n.doubt.Load() })
	eventually(t, "the answer is old", func() bool { _, fresh := n.shelf.find([]byte("/v1/events")); return !fresh })
	if r := b.do(n, "GET", "/v1/events", ""); r.status != 200 || string(r.body) != `{"events":[]}` {
		t.Errorf("away: %d %s", r.status, r.body)
	}
	b.do(n, "GET", "/v1/events?q=x", "").expect(t, "never seen", 503, "core_unreachable")
}

func TestWhatCoreDoesNotAllowIsNotKept(t *testing.T) {
	n := startCatalog(t, nil)
	n.shop.change(func() { n.shop.maxAge = 0 })
	b := newBuyer(t)
	for range 2 {
		if r := b.do(n.testNode, "GET", "/v1/events", ""); r.status != 200 || r.header.Get("ETag") == "" {
			t.Errorf("%d %v", r.status, r.header)
		}
	}
	long := "/v1/events?q=" + strings.Repeat("x", maxShelvedKey)
	for range 2 {
		b.do(n.testNode, "GET", long, "")
	}
	if asked := n.shop.requests(); len(asked) != 4 || n.shelf.used.Len() != 0 {
		t.Errorf("core was asked %d times, %d are kept", len(asked), n.shelf.used.Len())
	}
}

func TestLongAnswersAreCompressedOnce(t *testing.T) {
	n := startCatalog(t, nil)
	n.shop.change(func() { n.shop.body = `{"events":["` + strings.Repeat("night ", 1000) + `"]}` })
	b := newBuyer(t)
	for range 2 {
		r := b.do(n.testNode, "GET", "/v1/events", "", "Accept-Encoding: gzip")
		z, err := gzip.NewReader(bytes.NewReader(r.body))
		if err != nil || r.header.Get("Content-Encoding") != "gzip" || r.header.Get("Vary") != "Accept-Encoding" {
			t.Fatalf("%v %v", err, r.header)
		}
		if plain, err := io.ReadAll(z); err != nil || string(plain) != n.shop.body {
			t.Errorf("%d bytes, %v", len(plain), err)
		}
	}
	if r := b.do(n.testNode, "GET", "/v1/events", "", "Accept-Encoding: identity"); r.header.Get("Content-Encoding") != "" || string(r.body) != n.shop.body {
		t.Errorf("%v", r.header)
	}
	if len(n.shop.requests()) != 1 {
		t.Errorf("core was asked %v", n.shop.requests())
	}
}

func TestTheShelfIsBounded(t *testing.T) {
	n := startCatalog(t, nil)
	s := newShelf(CatalogConfig{Entries: 10, Bytes: 64 << 10, StaleFor: time.Second}, time.Now, n.counts)
	for i := range 100 {
		s.put(&shelved{key: strconv.Itoa(i), body: make([]byte, 100), maxAge: time.Minute, at: time.Now()})
		s.find([]byte("0")) // stays in use
	}
	if entries, bytes := s.held(); entries != 10 || bytes > 10*(100+shelvedOverhead+8) {
		t.Errorf("%d entries, %d bytes", entries, bytes)
	}
	if e, fresh := s.find([]byte("0")); e == nil || !fresh {
		t.Error("what is in use is gone")
	}
	if e, _ := s.find([]byte("50")); e != nil {
		t.Error("what nobody asks for stays")
	}
	for i := range 100 {
		s.put(&shelved{key: "large" + strconv.Itoa(i), body: make([]byte, 7<<10), at: time.Now()})
	}
	if _, bytes := s.held(); bytes > 64<<10 {
		t.Errorf("%d bytes", bytes)
	}
	s.put(&shelved{key: "huge", body: make([]byte, 9<<10)})
	if e, _ := s.find([]byte("huge")); e != nil {
		t.Error("an answer of an eighth of all is kept")
	}
	for len(s.byKey) > 0 {
		s.dropLocked(s.used.Back())
	}
	if s.bytes != 0 || s.used.Len() != 0 {
		t.Errorf("%d bytes of nothing", s.bytes)
	}
}

func FuzzCatalogKey(f *testing.F) {
	f.Add("q=a+B&city=&limit=3")
	f.Add("b=2&a=1&a=0&%ff=%")
	f.Fuzz(func(t *testing.T, query string) {
		var args fasthttp.Args
		args.Parse(query)
		key := appendCatalogKey(nil, []byte("/v1/events"), &args, true)
		// The key is an address that means the same: read again it is itself.
		path, rest, _ := strings.Cut(string(key), "?")
		var again fasthttp.Args
		again.Parse(rest)
		if twice := appendCatalogKey(nil, []byte("/v1/events"), &again, true); path != "/v1/events" || !bytes.Equal(key, twice) {
			t.Errorf("%q has the key %q, and that %q", query, key, twice)
		}
		if _, err := url.ParseRequestURI(string(key)); err != nil {
			t.Errorf("%q: %v", key, err)
		}
	})
}

func TestTheListIsAPageOfTheSameAnswers(t *testing.T) {
	n := startCatalog(t, nil)
	n.shop.change(func() {
		n.shop.body = `{"events":[{"id":"arena","name":"Night & Day","starts_at":"2027-06-12T19:00:00Z","time_zone":"Europe/Madrid","venue":{"name":"Arena","city":"Valencia"},"on_sale":null}],"next":"more","total":7}`
	})
	b := newBuyer(t)
	first := b.do(n.testNode, "GET", "/?q=+Night+&city=&junk=1", "")
	if first.status != 200 || first.header.Get("Content-Type") != "text/html; charset=utf-8" || first.header.Get("Cache-Control") != "public, max-age=2" ||
		!strings.Contains(string(first.body), "Night &amp; Day") || !strings.Contains(string(first.body), `href="/?after=more&amp;q=Night"`) || first.header.Get("Set-Cookie") != "" {
		t.Fatalf("%d %v %s", first.status, first.header, first.body)
	}
	if r := b.do(n.testNode, "GET", "/?q=Night", "", "If-None-Match: "+first.header.Get("ETag")); r.status != 304 {
		t.Errorf("again: %d", r.status)
	}
	if asked := n.shop.requests(); len(asked) != 1 || asked[0] != "/v1/events?facets=1&limit=20&q=night" {
		t.Errorf("core was asked %v", asked)
	}
	n.clock.move(3 * time.Second)
	n.shop.change(func() { n.shop.body = strings.Replace(n.shop.body, "Night & Day", "Day & Night", 1) })
	if r := b.do(n.testNode, "GET", "/?q=Night", ""); !strings.Contains(string(r.body), "Day &amp; Night") {
		t.Errorf("later: %s", r.body)
	}
	n.shop.change(func() { n.shop.status = 503 })
	n.clock.move(3 * time.Second)
	if r := b.do(n.testNode, "GET", "/?q=Night", ""); r.status != 200 || r.header.Get("Age") != "3" {
		t.Errorf("in trouble: %d %v", r.status, r.header)
	}
	if r := b.do(n.testNode, "GET", "/?q=other", ""); r.status != 503 || r.header.Get("Retry-After") != "1" || !strings.Contains(string(r.body), `role="alert"`) || r.header.Get("Cache-Control") != "no-store" {
		t.Errorf("never seen: %d %v %s", r.status, r.header, r.body)
	}
	if r := b.do(n.testNode, "GET", "/?q="+strings.Repeat("x", 2000), ""); r.status != 400 || !strings.Contains(string(r.body), "too long") {
		t.Errorf("too long: %d", r.status)
	}
}
