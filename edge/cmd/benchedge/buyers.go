package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"

	"fairgate/edge/admission"
	"fairgate/edge/lottery"
	"fairgate/edge/queue"
)

// crowd is how many browsers take part: so many that none of them comes near a limit, and their addresses too.
const crowd = 1 << 16

// browserHead is what a browser sends with a call of the page, in its order.
const browserHead = " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: keep-alive\r\n%sUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n" +
	"Accept: */*\r\nAccept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9\r\n"

// request is one call of a browser behind a proxy that the node trusts. number chooses the address; cookie may be empty.
func request(method, path string, number int, cookie string) []byte {
	body, head := "", ""
	if method == "POST" {
		body, head = "{}", "Content-Length: 2\r\nContent-Type: application/json\r\n"
	}
	text := method + " " + path + fmt.Sprintf(browserHead, head)
	text += fmt.Sprintf("Forwarded: for=10.%d.%d.7\r\n", number>>8&255, number&255)
	if cookie != "" {
		text += "Cookie: " + cookie + "\r\n"
	}
	return []byte(text + "\r\n" + body)
}

// joins are the calls of browsers that were never here: each makes a device, a pass and an entrant for core.
func joins() [][]byte {
	calls := make([][]byte, crowd)
	for i := range calls {
		calls[i] = request("POST", "/q/"+benchEvent+"/join", i, "")
	}
	return calls
}

// device is a browser's secret as its cookie has it.
func device(number int) (secret [32]byte, text string) {
	binary.BigEndian.PutUint64(secret[:], uint64(number)*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(secret[8:], uint64(number)+1)
	return secret, base64.RawURLEncoding.EncodeToString(secret[:])
}

// pass is the cookie of an entrant on a device, with the MAC spoiled if forged.
func pass(entrant lottery.Entrant, secret []byte, forged bool) string {
	keys := filterKeys()
	raw := queue.Pass{
		KeyNo: keys[0].No, Event: lottery.EventID(benchEvent), Entrant: entrant, Device: lottery.HashDevice(secret), Generation: 1, IssuedAt: time.Now(),
	}.Sign(nil, keys[0].Key[:])
	if forged {
		raw[len(raw)-1] ^= 1
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// claims are the calls of entrants whose turn has come. Forged ones show passes that nobody made.
func claims(order []lottery.Drawn, forged bool) [][]byte {
	n := len(order)
	if forged {
		n = crowd
	}
	calls := make([][]byte, n)
	for i := range calls {
		number := i
		if forged {
			number += crowd // other browsers: they have limits of their own
		}
		secret, text := device(number)
		cookie := "fg_device=" + text + "; fg_pass_" + benchEvent + "=" + pass(order[i%len(order)].Entrant, secret[:], forged)
		calls[i] = request("POST", "/q/"+benchEvent+"/claim", i, cookie)
	}
	return calls
}

// streams are the calls of shoppers for their event stream.
func streams(n int) [][]byte {
	keys := filterKeys()
	calls := make([][]byte, n)
	for i := range calls {
		secret, text := device(2*crowd + i)
		now := time.Now()
		session := admission.Session{
			KeyNo: keys[0].No, Event: lottery.EventID(benchEvent), Entrant: lottery.Entrant(uuid.New()), Session: uuid.New(), Device: lottery.HashDevice(secret[:]),
			Generation: 1, IssuedAt: now, ExpiresAt: now.Add(time.Hour),
		}.Seal(nil, keys[0].Key[:], keys[0].Key[:])
		calls[i] = request("GET", "/v1/events/"+benchEvent+"/stream", i,
			"fg_device="+text+"; fg_session_"+benchEvent+"="+base64.RawURLEncoding.EncodeToString(session))
	}
	return calls
}

// polls are the calls of waiting browsers, each with its cookies.
func polls(n int) [][]byte {
	calls := make([][]byte, n)
	for i := range calls {
		_, text := device(3*crowd + i)
		calls[i] = request("GET", statePath, i, "fg_device="+text)
	}
	return calls
}
