package access

import (
	"encoding/hex"
	"encoding/json"
	"math"
	"strconv"
	"time"

	"fairgate/edge/lottery"
	"fairgate/ledger"
)

// stateInput is everything the state object is made of. The same input makes the same bytes.
type stateInput struct {
	draw        draw
	sale        Sale
	version     uint64
	serverTime  time.Time
	windows     []windowView
	next        []Planned
	joined      int
	pace        float64
	stock       []TierStock
	pollAfter   time.Duration
	receiptKeys lottery.PublicKeys
}

// exactStock is up to how many units left are told exactly; above, only the hundreds below are.
const exactStock = 100

// appendState appends the state object: JSON without spaces, keys in a fixed order, as edge/queue decodes it.
func appendState(dst []byte, in *stateInput) []byte {
	d := &in.draw
	dst = appendString(append(dst, `{"event":`...), d.slug)
	dst = appendUint(append(dst, `,"generation":`...), uint64(d.generation))
	dst = appendUint(append(dst, `,"version":`...), in.version)
	dst = appendString(append(dst, `,"phase":`...), string(d.phase))
	dst = appendInstant(append(dst, `,"server_time":`...), in.serverTime)
	dst = appendInstant(append(dst, `,"joining_at":`...), d.joiningAt)
	dst = appendInstant(append(dst, `,"opens_at":`...), d.opensAt)
	dst = appendInstant(append(dst, `,"ends_at":`...), d.endsAt)
	dst = appendString(append(dst, `,"time_zone":`...), in.sale.TimeZone)
	dst = appendUint(append(dst, `,"window_seconds":`...), uint64(d.window/time.Second))
	dst = appendString(append(dst, `,"identity":`...), in.sale.Identity)
	if d.presale != "" {
		dst = appendString(append(dst, `,"presale":`...), d.presale)
	}
	if len(in.next) > 0 {
		dst = appendNext(dst, &in.next[0])
	}
	dst = appendHex(append(dst, `,"commitment":`...), d.commitment[:])
	dst = appendUint(append(dst, `,"chain_length":`...), uint64(d.chainLength))
	if d.beacon != "" {
		dst = appendString(append(dst, `,"beacon":{"name":`...), d.beacon)
		dst = append(appendHex(append(dst, `,"value":`...), d.beaconValue), '}')
	}
	dst = append(dst, `,"windows":[`...)
	for i := range in.windows {
		dst = appendWindow(appendComma(dst, i), &in.windows[i])
	}
	dst = appendUint(append(dst, `],"joined":`...), uint64(in.joined))
	dst = appendCursor(append(dst, `,"cursor":`...), d.cursor)
	dst = appendUint(append(dst, `,"called":`...), uint64(d.called))
	dst = strconv.AppendFloat(append(dst, `,"pace_per_second":`...), in.pace, 'f', -1, 64)
	dst, soldOut := appendStock(append(dst, `,"stock":[`...), in)
	dst = appendPriceRange(append(dst, `],"price_range":`...), in.sale.Tiers)
	dst = strconv.AppendBool(append(dst, `,"sold_out":`...), soldOut)
	dst = appendString(append(dst, `,"message":`...), d.message)
	dst = appendUint(append(dst, `,"poll_after_ms":`...), uint64(in.pollAfter.Milliseconds()))
	dst = append(dst, `,"receipt_keys":[`...)
	for i, k := range in.receiptKeys {
		dst = appendUint(append(appendComma(dst, i), `{"no":`...), uint64(k.No))
		dst = append(appendHex(append(dst, `,"public":`...), k.Public[:]), '}')
	}
	return append(dst, "]}"...)
}

// appendNext appends the on-sale that comes after this one.
func appendNext(dst []byte, n *Planned) []byte {
	dst = append(dst, `,"next":{`...)
	if n.Presale != "" {
		dst = append(appendString(append(dst, `"presale":`...), n.Presale), ',')
	}
	dst = appendInstant(append(dst, `"joining_at":`...), n.JoiningAt)
	dst = appendInstant(append(dst, `,"opens_at":`...), n.OpensAt)
	return append(appendInstant(append(dst, `,"ends_at":`...), n.EndsAt), '}')
}

func appendWindow(dst []byte, w *windowView) []byte {
	dst = appendUint(append(dst, `{"window":`...), uint64(w.number))
	dst = strconv.AppendBool(append(dst, `,"sealed":`...), w.sealed)
	dst = appendUint(append(dst, `,"entrants":`...), uint64(w.entrants))
	dst = append(dst, `,"bands":[`...)
	for i, b := range w.bands {
		dst = appendUint(append(appendComma(dst, i), `{"band":`...), uint64(b.Band))
		dst = appendUint(append(dst, `,"entrants":`...), uint64(b.Entrants))
		dst = append(dst, `,"quantiles":[`...)
		for j, q := range b.Quantiles {
			dst = appendFraction(appendComma(dst, j), uint64(q))
		}
		dst = append(dst, "]}"...)
	}
	dst = append(dst, ']')
	if w.sealed || w.root != [32]byte{} { // one that waits for the beacon has a root and no more
		dst = appendHex(append(dst, `,"root":`...), w.root[:])
	}
	if w.sealed {
		dst = appendHex(append(dst, `,"seed":`...), w.seed[:])
		dst = appendHex(append(dst, `,"secret":`...), w.secret[:])
	}
	return append(dst, '}')
}

func appendCursor(dst []byte, cursor *lottery.Place) []byte {
	if cursor == nil {
		return append(dst, "null"...)
	}
	dst = appendUint(append(dst, `{"window":`...), uint64(cursor.Window))
	dst = appendUint(append(dst, `,"band":`...), uint64(cursor.Band))
	return append(appendFraction(append(dst, `,"value":`...), cursor.Value), '}')
}

// appendStock appends the tiers with what is left of them, and tells whether that is nothing.
func appendStock(dst []byte, in *stateInput) ([]byte, bool) {
	left := make(map[string]int, len(in.stock))
	for _, t := range in.stock {
		left[t.Tier] += max(0, t.Capacity-t.Taken)
	}
	total := 0
	for i, t := range in.sale.Tiers {
		n, rounded := left[t.ID], false
		total += n
		if n > exactStock {
			n, rounded = n/100*100, true
		}
		dst = appendString(append(appendComma(dst, i), `{"tier":`...), t.ID)
		dst = appendString(append(dst, `,"name":`...), t.Name)
		dst = appendUint(append(dst, `,"left":`...), uint64(n))
		dst = strconv.AppendBool(append(dst, `,"rounded":`...), rounded)
		dst = append(appendMoney(append(dst, `,"price":`...), t.Price), '}')
	}
	return dst, in.draw.phase == SoldOut || len(in.stock) > 0 && total == 0
}

func appendPriceRange(dst []byte, tiers []Tier) []byte {
	if len(tiers) == 0 {
		return append(dst, "null"...)
	}
	low, high := tiers[0].Price, tiers[0].Price
	for _, t := range tiers[1:] {
		if t.Price.Minor < low.Minor {
			low = t.Price
		}
		if t.Price.Minor > high.Minor {
			high = t.Price
		}
	}
	dst = appendMoney(append(dst, `{"from":`...), low)
	return append(appendMoney(append(dst, `,"to":`...), high), '}')
}

func appendMoney(dst []byte, m ledger.Amount) []byte {
	dst = strconv.AppendInt(append(dst, `{"minor":`...), m.Minor, 10)
	return append(appendString(append(dst, `,"currency":`...), m.Currency), '}')
}

func appendComma(dst []byte, i int) []byte {
	if i > 0 {
		return append(dst, ',')
	}
	return dst
}

func appendUint(dst []byte, n uint64) []byte { return strconv.AppendUint(dst, n, 10) }

func appendHex(dst, b []byte) []byte {
	return append(hex.AppendEncode(append(dst, '"'), b), '"')
}

func appendFraction(dst []byte, v uint64) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, digits[v>>shift&15])
	}
	return append(dst, '"')
}

func appendInstant(dst []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(dst, `"2006-01-02T15:04:05.000Z"`)
}

func appendString(dst []byte, s string) []byte {
	b, err := json.Marshal(s)
	if err != nil { // a string always marshals
		return append(dst, `""`...)
	}
	return append(dst, b...)
}

// pollAfter is how long pages wait before they ask again: so long that the crowd asks at most so often a second, within
// the bounds.
func (c *Config) pollAfter(waiting int) time.Duration {
	interval := time.Duration(float64(waiting) / float64(c.PollsPerSecond) * float64(time.Second))
	return min(max(interval, c.PollMin), c.PollMax).Truncate(100 * time.Millisecond)
}

// paceOver is over how long the pace is averaged.
const paceOver = 10 * time.Second

// sample is how many had been called at an instant.
type sample struct {
	at     time.Time
	called int
}

// paceMeter measures how fast entrants are called.
type paceMeter struct{ samples []sample }

// add notes how many have been called by now, and gives the pace of the last seconds.
func (m *paceMeter) add(at time.Time, called int) float64 {
	if n := len(m.samples); n > 0 && called < m.samples[n-1].called {
		m.samples = nil // a new on-sale
	}
	m.samples = append(m.samples, sample{at, called})
	for len(m.samples) > 2 && at.Sub(m.samples[1].at) >= paceOver {
		m.samples = m.samples[1:]
	}
	first := m.samples[0]
	seconds := at.Sub(first.at).Seconds()
	if seconds < 1 {
		return 0
	}
	return rounded(float64(called-first.called) / seconds)
}

// rounded keeps two digits or so: more would change with every look and mean nothing.
func rounded(pace float64) float64 {
	if pace >= 10 {
		return math.Round(pace)
	}
	return math.Round(pace*10) / 10
}
