package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"fairgate/core/access"
	"fairgate/core/inventory"
	"fairgate/edge/admission"
	"fairgate/edge/batch"
	"fairgate/edge/lottery"
)

// holdBatch decides the holds that an edge has collected. Each item is judged on its own. The forms are those of package
// batch. This is the busiest route there is, so it is read and written without encoding/json as long as everything looks
// as usual; what does not goes through encoding/json, which says what is wrong.
func (s *Server) holdBatch(w http.ResponseWriter, r *http.Request) error {
	b := holdBatches.Get().(*holdBatchWork)
	defer b.free()
	if err := b.read(r); err != nil {
		return err
	}
	if len(b.items) > batch.MaxItems {
		return access.ErrTooMany
	}
	for i := range b.items {
		request, err := s.holdRequest(r.Context(), b, &b.items[i])
		b.errs = append(b.errs, err)
		if err == nil {
			b.requests = append(b.requests, request)
		}
	}
	results := s.Inventory.HoldBatch(r.Context(), b.requests)
	b.out = append(b.out, `{"results":[`...)
	n := 0
	for i, err := range b.errs {
		if i > 0 {
			b.out = append(b.out, ',')
		}
		if err == nil {
			result := &results[n]
			n++
			if err = result.Err; err == nil {
				b.out = append(b.out, `{"status":201,"body":`...)
				b.appendHold(&result.Hold, b.items[i].Event)
				b.out = append(b.out, '}')
				continue
			}
		}
		if b.appendRefusal(err) {
			s.Log.Error("hold failed", "event", string(b.items[i].Event), "error", err)
		}
	}
	b.out = append(b.out, "]}\n"...)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(b.out)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(b.out) // the edge has gone
	return nil
}

// holdBatchWork is what one batch needs while it is decided. It is used again for the next.
type holdBatchWork struct {
	body     bytes.Buffer
	items    []batch.Item // parts of body
	errs     []error      // one per item; nil: it is among the requests
	requests []inventory.Request
	out      []byte
	scratch  []byte

	// What the item before had, since those of one event come together.
	slug     []byte
	event    uuid.UUID
	shopping error
	marker   marker
	known    bool // the four above are set

	// In which presale those shop whom one on-sale let in, see window.
	generation uint32
	presale    string
	shop       error
	shopKnown  bool

	tier    string
	times   [2]stampedTime
	refusal []byte // of ErrSoldOut
}

// stampedTime is a time with its text.
type stampedTime struct {
	at   time.Time
	text []byte
}

var holdBatches = sync.Pool{New: func() any { return &holdBatchWork{} }}

// maxKeptBatch is the largest body or answer whose memory is kept for another batch.
const maxKeptBatch = 512 << 10

func (b *holdBatchWork) free() {
	if b.body.Cap() > maxKeptBatch || cap(b.out) > maxKeptBatch {
		return
	}
	clear(b.items)
	clear(b.errs)
	clear(b.requests)
	b.body.Reset()
	b.items, b.errs, b.requests, b.out = b.items[:0], b.errs[:0], b.requests[:0], b.out[:0]
	b.known, b.shopping = false, nil // an on-sale may be paused meanwhile
	holdBatches.Put(b)
}

// read reads the batch, as strictly as decode does.
func (b *holdBatchWork) read(r *http.Request) error {
	_, err := b.body.ReadFrom(r.Body)
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		return &detailed{errRequest, fmt.Sprintf("The body is longer than %d bytes.", long.Limit)}
	}
	if err != nil {
		return &detailed{errRequest, "The body could not be read."}
	}
	if items, ok := batch.Items(b.body.Bytes(), b.items); ok {
		b.items = items
		return nil
	}
	var slow struct {
		Items []batchItem `json:"items"`
	}
	r.Body = io.NopCloser(bytes.NewReader(b.body.Bytes()))
	if err := decode(r, &slow); err != nil {
		return err
	}
	b.items = b.items[:0]
	for _, it := range slow.Items {
		b.items = append(b.items, batch.Item{Event: []byte(it.Event), Session: []byte(it.Session), Device: []byte(it.Device),
			Key: []byte(it.Key), Client: []byte(it.Client), Body: it.Body})
	}
	return nil
}

type batchItem struct {
	Event   string          `json:"event"`
	Session string          `json:"session"`
	Device  string          `json:"device"`
	Key     string          `json:"key"`
	Client  string          `json:"client"`
	Body    json.RawMessage `json:"body"`
}

// holdRequest checks one item of a batch: its session must be alive, of this device and for this event.
func (s *Server) holdRequest(ctx context.Context, b *holdBatchWork, item *batch.Item) (inventory.Request, error) {
	request := inventory.Request{Key: string(item.Key)}
	if err := idempotencyKey(request.Key); err != nil {
		return inventory.Request{}, err
	}
	var device lottery.DeviceHash
	if len(item.Device) != hex.EncodedLen(len(device)) {
		return inventory.Request{}, access.ErrDeviceMismatch
	}
	if _, err := hex.Decode(device[:], item.Device); err != nil {
		return inventory.Request{}, access.ErrDeviceMismatch
	}
	if len(item.Session) == 0 {
		return inventory.Request{}, errSessionMissing
	}
	var buf [admission.SessionSize + 3]byte
	if base64.RawURLEncoding.DecodedLen(len(item.Session)) > len(buf) {
		return inventory.Request{}, access.ErrSessionMalformed
	}
	size, err := base64.RawURLEncoding.Decode(buf[:], item.Session)
	if err != nil {
		return inventory.Request{}, access.ErrSessionMalformed
	}
	session, err := s.checkSession(buf[:size], device, acting)
	if err != nil {
		return inventory.Request{}, err
	}
	slug, err := b.ask(item.Body, &request)
	if err != nil {
		return inventory.Request{}, err
	}
	if !bytes.Equal(slug, item.Event) {
		return inventory.Request{}, errSessionEvent
	}
	if !b.known || !bytes.Equal(slug, b.slug) {
		b.slug, b.event, b.shopping = append(b.slug[:0], slug...), uuid.Nil, errSessionEvent
		if text := string(slug); lottery.ValidSlug(text) {
			b.event, b.shopping = lottery.EventID(text), s.shopping(ctx, text)
			if b.shopping == nil {
				b.marker, b.shopping = s.marker(ctx, text)
			}
		}
		b.known, b.shopKnown = true, false
	}
	if b.event != session.Event {
		return inventory.Request{}, errSessionEvent
	}
	id, listed := listingOf(&request)
	if listed {
		item, err := s.Resale.ForHold(ctx, id, session.Event, session.Entrant)
		if err != nil {
			return inventory.Request{}, err
		}
		request.Items[0] = item
	}
	if b.shopping != nil {
		return inventory.Request{}, b.shopping
	}
	if !listed {
		if err := s.window(ctx, b, session.Generation, &request); err != nil {
			return inventory.Request{}, err
		}
	}
	request.Event, request.Entrant = session.Event, session.Entrant
	request.Marks = b.marker.marks(&session, item.Client)
	return request, nil
}

// ask reads what a buyer wants and returns the event it is wanted of.
func (b *holdBatchWork) ask(body []byte, request *inventory.Request) (slug []byte, err error) {
	if slug, ok := b.quickAsk(body, request); ok {
		return slug, nil
	}
	var ask holdRequest
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&ask); err != nil {
		return nil, &detailed{errJSON, unlike(err)}
	}
	if request.Items, err = ask.items(); err != nil {
		return nil, err
	}
	request.Window = ask.Window
	canonical, err := json.Marshal(ask)
	if err != nil {
		return nil, fmt.Errorf("encode a hold request: %w", err)
	}
	request.BodyHash = sha256.Sum256(canonical)
	return []byte(ask.Event), nil
}

// quickAsk reads a request for numbers of a tier or for named seats. It writes the canonical form, whose hash is the
// request's, as json.Marshal writes a holdRequest. False: encoding/json should look.
func (b *holdBatchWork) quickAsk(body []byte, request *inventory.Request) (slug []byte, ok bool) {
	scan := batch.NewScan(body)
	var items []inventory.Item
	ok = scan.Object(func(name []byte) (ok bool) {
		switch {
		case string(name) == "event" && slug == nil:
			slug, ok = scan.Text()
			return ok
		case string(name) == "items" && items == nil:
			items = make([]inventory.Item, 0, 1)
			return scan.Array(func() bool {
				items = append(items, inventory.Item{})
				return b.quickItem(&scan, &items[len(items)-1])
			})
		}
		return false
	})
	if !ok || !scan.End() || slug == nil || items == nil {
		return nil, false
	}
	c, good := append(b.scratch[:0], `{"event":`...), true
	text := func(s []byte) {
		good = good && bytes.IndexByte(s, '<') < 0 && bytes.IndexByte(s, '>') < 0 && bytes.IndexByte(s, '&') < 0
		c = append(append(append(c, '"'), s...), '"')
	}
	text(slug)
	c = append(c, `,"items":[`...)
	for i := range items {
		item := &items[i]
		c = append(c, '{')
		if item.Tier != "" {
			c = append(c, `"tier":`...)
			text([]byte(item.Tier))
			c = append(c, ',')
		}
		if item.Quantity != 0 {
			c = strconv.AppendInt(append(c, `"quantity":`...), int64(item.Quantity), 10)
			c = append(c, ',')
		}
		for n, seat := range item.Seats {
			if n == 0 {
				c = append(c, `"seats":[`...)
			}
			text([]byte(seat))
			c = append(c, ',')
		}
		if len(item.Seats) > 0 {
			c[len(c)-1] = ']'
			c = append(c, ',')
		}
		c = append(endList(c, '{', '}'), ',')
	}
	c = append(endList(c, '[', ']'), '}')
	b.scratch = c
	request.Items, request.BodyHash = items, sha256.Sum256(c)
	return slug, good
}

// endList closes an object or array behind whose last element stands a comma.
func endList(c []byte, open, end byte) []byte {
	if c[len(c)-1] != open {
		c = c[:len(c)-1]
	}
	return append(c, end)
}

func (b *holdBatchWork) quickItem(scan *batch.Scan, item *inventory.Item) bool {
	const tier, quantity, seats = 1, 2, 4
	seen := 0
	return scan.Object(func(name []byte) (ok bool) {
		before := seen
		switch string(name) {
		case "tier":
			var text []byte
			if text, ok = scan.Text(); ok && string(text) != b.tier {
				b.tier = string(text)
			}
			item.Tier = b.tier
			seen |= tier
		case "quantity":
			item.Quantity, ok = scan.Int()
			seen |= quantity
		case "seats":
			ok = scan.Array(func() bool {
				text, ok := scan.Text()
				item.Seats = append(item.Seats, string(text))
				return ok
			})
			seen |= seats
		}
		return ok && seen != before
	})
}

// appendHold writes a hold as encoding/json writes what holdOf makes of it.
func (b *holdBatchWork) appendHold(h *inventory.Hold, slug []byte) {
	o := append(b.out, `{"id":"`...)
	o = appendUUID(o, h.ID)
	o = append(o, `","event":"`...)
	o = append(o, slug...)
	o = append(o, `","state":"`...)
	o = append(o, h.State...)
	o = append(o, `","deadline":`...)
	o = append(o, b.time(0, h.Deadline)...)
	o = append(o, `,"server_time":`...)
	o = append(o, b.time(1, h.AsOf)...)
	o = append(o, `,"items":[`...)
	for i := range h.Items {
		if i > 0 {
			o = append(o, ',')
		}
		o = appendHoldItem(o, &h.Items[i])
	}
	o = append(o, `],"amount":{"minor":`...)
	o = strconv.AppendInt(o, h.Amount.Minor, 10)
	o = append(o, `,"currency":`...)
	o = appendText(o, h.Amount.Currency)
	b.out = append(o, "}}"...)
}

func appendHoldItem(o []byte, item *inventory.Item) []byte {
	o = append(o, `{"tier":`...)
	o = appendText(o, item.Tier)
	o = append(o, `,"allocation":`...)
	o = appendText(o, item.Allocation)
	o = append(o, `,"quantity":`...)
	o = strconv.AppendInt(o, int64(item.Quantity), 10)
	for n, seat := range item.Seats {
		if n == 0 {
			o = append(o, `,"seats":[`...)
		} else {
			o = append(o, ',')
		}
		o = appendText(o, seat)
	}
	if len(item.Seats) > 0 {
		o = append(o, ']')
	}
	if item.Commit != 0 {
		o = strconv.AppendInt(append(o, `,"commit":`...), item.Commit, 10)
	}
	if item.Window != "" {
		o = appendText(append(o, `,"window":`...), item.Window)
	}
	return append(o, '}')
}

// time is the JSON of a time; holds of one commit have the same.
func (b *holdBatchWork) time(which int, at time.Time) []byte {
	memo := &b.times[which]
	if len(memo.text) == 0 || !memo.at.Equal(at) {
		memo.at, memo.text = at, at.UTC().AppendFormat(memo.text[:0], timeForm)
	}
	return memo.text
}

func appendUUID(o []byte, id uuid.UUID) []byte {
	for i, part := range [][]byte{id[:4], id[4:6], id[6:8], id[8:10], id[10:]} {
		if i > 0 {
			o = append(o, '-')
		}
		o = hex.AppendEncode(o, part)
	}
	return o
}

// appendText writes a JSON string as encode does; the names of tiers and seats are nearly always plain.
func appendText(o []byte, text string) []byte {
	for _, c := range []byte(text) {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			var quoted bytes.Buffer
			e := json.NewEncoder(&quoted)
			e.SetEscapeHTML(false)
			_ = e.Encode(text) // a string cannot fail
			return append(o, bytes.TrimSuffix(quoted.Bytes(), []byte("\n"))...)
		}
	}
	return append(append(append(o, '"'), text...), '"')
}

// appendRefusal writes the result of an item that got no hold, and tells whether that should be logged.
func (b *holdBatchWork) appendRefusal(err error) (internal bool) {
	soldOut := errors.Is(err, inventory.ErrSoldOut) && !errors.Is(err, inventory.ErrListingGone)
	if soldOut && b.refusal != nil { // the crowd after the last ticket
		b.out = append(b.out, b.refusal...)
		return false
	}
	p := problemOf(err)
	from := len(b.out)
	b.out = append(b.out, `{"status":`...)
	b.out = strconv.AppendInt(b.out, int64(p.Status), 10)
	b.out = append(b.out, `,"problem":`...)
	text, encodeErr := json.Marshal(p)
	if encodeErr != nil {
		text = []byte(`{}`) // a Problem is made of texts and numbers and cannot fail
	}
	b.out = append(append(b.out, text...), '}')
	if soldOut {
		b.refusal = append([]byte(nil), b.out[from:]...)
	}
	return p.Code == "internal"
}
