package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"fairgate/core/inventory"
	"fairgate/ledger"
)

// slowAsk is ask by encoding/json alone.
func slowAsk(body []byte) (inventory.Request, string, error) {
	var ask holdRequest
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&ask); err != nil {
		return inventory.Request{}, "", err
	}
	canonical, err := json.Marshal(ask)
	if err != nil {
		return inventory.Request{}, "", err
	}
	items, err := ask.items()
	return inventory.Request{Items: items, BodyHash: sha256.Sum256(canonical), Window: ask.Window}, ask.Event, err
}

// normal forgets the difference between no seats and an empty list of them.
func normal(items []inventory.Item) []inventory.Item {
	var out []inventory.Item
	for _, item := range items {
		if len(item.Seats) == 0 {
			item.Seats = nil
		}
		out = append(out, item)
	}
	return out
}

// What the quick way reads is what encoding/json reads, and has the same hash: otherwise the same request with the same
// key would be refused as another one depending on how it is written.
func FuzzQuickAsk(f *testing.F) {
	for _, seed := range []string{
		`{"event":"arena","items":[{"tier":"floor","quantity":2}]}`, `{"items":[{"seats":["A/1/2","A/1/3"]},{"quantity":1,"tier":"x"}],"event":"a"}`,
		`{"event":"a","items":[]}`, `{"event":"a","items":null}`, `{"event":"a"}`, `{"event":"a","items":[{}]}`, `{"event":"a","items":[{"seats":[]}]}`,
		`{"event":"a","items":[{"tier":"<b>&","quantity":0}]}`, `{"event":"a","items":[{"tier":"x","tier":"y"}]}`, `{"event":"a","items":[{"quantity":-1}]}`,
		`{"event":"a","items":[{"quantity":1e2}]}`, `{"event":"a","items":[{"best":{}}]}`, `{"event":"","items":[{"tier":""}]}`, `{"event":"a","items":[{"seats":[null]}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var b holdBatchWork
		var quick inventory.Request
		slug, ok := b.quickAsk(body, &quick)
		if !ok {
			return
		}
		slow, event, err := slowAsk(body)
		if err != nil || event != string(slug) || slow.BodyHash != quick.BodyHash || !reflect.DeepEqual(normal(slow.Items), normal(quick.Items)) {
			t.Errorf("%q: %q %+v; encoding/json says %q %+v, %v", body, slug, quick, event, slow, err)
		}
	})
}

func TestUsualHoldsAreReadTheQuickWay(t *testing.T) {
	for _, body := range []string{
		`{"event":"arena","items":[{"tier":"floor","quantity":2}]}`, `{"event": "arena", "items": [{"seats": ["A/1/2", "A/1/3"]}, {"tier": "floor", "quantity": 1}]}`,
	} {
		var b holdBatchWork
		if slug, ok := b.quickAsk([]byte(body), &inventory.Request{}); !ok || string(slug) != "arena" {
			t.Errorf("%s: %q, %v", body, slug, ok)
		}
	}
}

// A hold is written as encoding/json writes it. When this fails because holdJSON has grown, appendHold has to grow too.
func TestAHoldIsWrittenAsEncodingJSONWouldWriteIt(t *testing.T) {
	var b holdBatchWork
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.StringMatching(`[a-zA-Z0-9/ -]{0,12}`), rapid.String())
		number := rapid.Int64Range(-5, 1<<40)
		at := rapid.Custom(func(t *rapid.T) time.Time { return time.UnixMilli(rapid.Int64Range(1e12, 2e12).Draw(t, "ms")) })
		h := inventory.Hold{
			ID: uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")), State: inventory.Active, Deadline: at.Draw(t, "deadline"), AsOf: at.Draw(t, "as of"),
			Amount: ledger.Amount{Minor: number.Draw(t, "minor"), Currency: "EUR"},
		}
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			h.Items = append(h.Items, inventory.Item{Tier: text.Draw(t, "tier"), Allocation: text.Draw(t, "allocation"), Quantity: int(number.Draw(t, "quantity")),
				Seats: rapid.SliceOfN(text, 0, 3).Draw(t, "seats"), Commit: number.Draw(t, "commit"), Window: text.Draw(t, "window")})
		}
		var want bytes.Buffer
		e := json.NewEncoder(&want)
		e.SetEscapeHTML(false)
		if err := e.Encode(holdOf(h, "arena")); err != nil {
			t.Fatal(err)
		}
		b.out = b.out[:0]
		b.appendHold(&h, []byte("arena"))
		if got := string(b.out) + "\n"; got != want.String() {
			t.Errorf("got  %swant %s", got, want.String())
		}
	})
}

// holdJSON may only have the fields that appendHold writes; those left out when empty would slip through the test above.
func TestAppendHoldKnowsEveryField(t *testing.T) {
	for of, want := range map[reflect.Type]int{reflect.TypeFor[holdJSON](): 7, reflect.TypeFor[holdItemJSON](): 6, reflect.TypeFor[moneyJSON](): 2} {
		if of.NumField() != want {
			t.Errorf("%s has %d fields; appendHold writes %d", of, of.NumField(), want)
		}
	}
}

// An edge that hangs up takes its batch out of the lanes: that needs the request's context to end, which net/http sees to
// only once the body has been read to its end.
func TestABatchOfAnEdgeThatHungUpIsGivenUp(t *testing.T) {
	reading, ended := make(chan struct{}), make(chan error, 1)
	s := &Server{Log: slog.New(slog.DiscardHandler)}
	server := httptest.NewServer(s.on(maxEdgeBody, func(_ http.ResponseWriter, r *http.Request) error {
		b := holdBatches.Get().(*holdBatchWork)
		defer b.free()
		if err := b.read(r); err != nil {
			ended <- err
			return err
		}
		close(reading)
		<-r.Context().Done()
		ended <- r.Context().Err()
		return r.Context().Err()
	}))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n\r\n{\"items\":[]}")
	<-reading
	conn.Close()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the batch ended with %v, want the hang-up", err)
	}
}

func TestARefusalIsWrittenTheSameEachTime(t *testing.T) {
	var b holdBatchWork
	for range 2 {
		b.out = b.out[:0]
		b.appendRefusal(inventory.ErrSoldOut)
		var got batchResult
		if err := json.Unmarshal(b.out, &got); err != nil || got.Status != 409 || got.Problem == nil || got.Problem.Code != "sold_out" {
			t.Errorf("%s: %v", b.out, err)
		}
	}
}
