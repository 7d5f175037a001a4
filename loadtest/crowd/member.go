package crowd

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"fairgate/edge/lottery"
	"fairgate/edge/queue"
)

// stage is how far a member is.
type stage uint8

const (
	joining  stage = iota // has no receipt yet
	waiting               // polls
	called                // its turn has come, and it claims
	admitted              // has a session
	lost                  // got an answer that ends the visit
)

// member is one browser of the crowd.
type member struct {
	number  int
	stage   stage
	storm   bool
	drawn   bool // its window is sealed and place.Value known
	tries   uint8
	arrived time.Duration // from the start
	due     time.Duration
	device  string // cookie values
	pass    string
	etag    string
	entrant lottery.Entrant
	place   lottery.Place
	receipt []byte

	receiptAfter time.Duration // from its arrival
}

// joinAnswer is the answer of POST /q/{event}/join.
type joinAnswer struct {
	Entrant      string  `json:"entrant"`
	Window       uint32  `json:"window"`
	Band         uint8   `json:"band"`
	Receipt      *string `json:"receipt"`
	RetryAfterMS int64   `json:"retry_after_ms"`
}

// heads are the headers of a browser, in its order.
const (
	headOrigin = "Origin: http://%s\r\n"
	heads      = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n" +
		"Accept: */*\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9\r\n"
)

// request appends a call of the member: a poll, or a POST with an empty object.
func (m *member) request(dst []byte, host, event, what string) []byte {
	post := what != "state"
	method := "GET"
	if post {
		method = "POST"
	}
	dst = append(dst, method...)
	dst = append(append(append(append(dst, " /q/"...), event...), '/'), what...)
	dst = append(append(append(dst, " HTTP/1.1\r\nHost: "...), host...), "\r\nConnection: keep-alive\r\n"...)
	if post {
		dst = append(dst, "Content-Length: 2\r\nContent-Type: application/json\r\n"...)
	}
	dst = append(dst, heads...)
	if post {
		dst = fmt.Appendf(dst, headOrigin, host)
	}
	dst = append(dst, "Forwarded: for="...)
	dst = append(m.address(dst), "\r\n"...)
	if !post && m.etag != "" {
		dst = append(append(append(dst, "If-None-Match: "...), m.etag...), "\r\n"...)
	}
	if m.device != "" {
		dst = append(append(dst, "Cookie: fg_device="...), m.device...)
		if m.pass != "" {
			dst = append(append(append(append(append(dst, "; fg_pass_"...), event...), '='), m.pass...), "\r\n"...)
		} else {
			dst = append(dst, "\r\n"...)
		}
	}
	dst = append(dst, "\r\n"...)
	if post {
		dst = append(dst, "{}"...)
	}
	return dst
}

// address appends the member's own address: neighbours in the crowd are in networks far apart.
func (m *member) address(dst []byte) []byte {
	n := m.number
	dst = append(dst, "10."...)
	dst = append(strconv.AppendInt(dst, int64(n&255), 10), '.')
	dst = append(strconv.AppendInt(dst, int64(n>>8&255), 10), '.')
	return strconv.AppendInt(dst, int64(n>>16&63)*4+1, 10)
}

// joined takes in the answer to a join, and says when to join again; 0 when there is a receipt.
func (m *member) joined(r *reply) (again time.Duration, err error) {
	var body joinAnswer
	if err := json.Unmarshal(r.body, &body); err != nil {
		return 0, fmt.Errorf("read the answer to a join: %w", err)
	}
	entrant, err := lottery.ParseEntrant(body.Entrant)
	if err != nil {
		return 0, fmt.Errorf("read the answer to a join: %w", err)
	}
	if m.entrant != (lottery.Entrant{}) && m.entrant != entrant {
		return 0, fmt.Errorf("the same browser joined as %s and as %s", m.entrant, entrant)
	}
	if r.device != nil {
		m.device = string(r.device)
	}
	if r.pass != nil {
		m.pass = string(r.pass)
	}
	m.entrant, m.place = entrant, lottery.Place{Window: body.Window, Band: lottery.Band(body.Band)}
	if body.Receipt == nil || *body.Receipt == "" {
		return max(time.Duration(body.RetryAfterMS)*time.Millisecond, 50*time.Millisecond), nil
	}
	if m.receipt, err = base64.RawURLEncoding.DecodeString(*body.Receipt); err != nil {
		return 0, fmt.Errorf("read a receipt: %w", err)
	}
	return 0, nil
}

// look works out from a state object whether the member's turn has come.
func (m *member) look(state *queue.State) bool {
	if !m.drawn {
		w, ok := state.Window(m.place.Window)
		if !ok || !w.Sealed {
			return false
		}
		m.place.Value, m.drawn = lottery.Value(w.Seed, m.entrant), true
	}
	return state.Called(m.place)
}
