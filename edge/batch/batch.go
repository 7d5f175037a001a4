// Package batch is the form in which an edge sends the requests of many buyers to core in one, and core answers them.
//
// A batch is {"items":[…]}, its answer {"results":[…]} with one result per item, in order. An item of a hold batch is
// {"event","session","device","key","client","body"}: the slug, the session as in the buyer's cookie, the hash of the
// device secret in hex, the Idempotency-Key, the client's address, and the buyer's request as it came. A result is
// {"status","body"} or {"status","problem"}.
//
// The package owns these bytes and the quick way to read them (Scan); it refuses what looks unusual, and its callers then
// ask encoding/json. It keeps nothing: everything it returns is part of the data it was given.
package batch

import "bytes"

// MaxItems is the most items of one batch.
const MaxItems = 500

// Begin and End stand around the items of a batch; a comma stands between two items.
const (
	Begin = `{"items":[`
	End   = `]}`
)

// Item is one buyer's hold request in a batch. The texts are printable ASCII.
type Item struct {
	Event   []byte
	Session []byte
	Device  []byte
	Key     []byte
	Client  []byte
	Body    []byte // JSON
}

// Items reads a hold batch into items and returns it grown. False means that encoding/json should look at it.
func Items(data []byte, items []Item) ([]Item, bool) {
	s := NewScan(data)
	read := false
	ok := s.Object(func(name []byte) bool {
		if read || string(name) != "items" {
			return false
		}
		read = true
		return s.Array(func() bool {
			items = append(items, Item{})
			return s.item(&items[len(items)-1])
		})
	})
	return items, ok && s.End()
}

// item reads one item, each field at most once.
func (s *Scan) item(it *Item) bool {
	return s.Object(func(name []byte) bool {
		var into *[]byte
		switch string(name) {
		case "event":
			into = &it.Event
		case "session":
			into = &it.Session
		case "device":
			into = &it.Device
		case "key":
			into = &it.Key
		case "client":
			into = &it.Client
		case "body":
			body, ok := s.Value()
			if it.Body != nil {
				return false
			}
			it.Body = body
			return ok
		}
		if into == nil || *into != nil {
			return false
		}
		text, ok := s.Text()
		*into = text
		return ok
	})
}

// Result is core's answer to one item.
type Result struct {
	Status int
	Body   []byte // JSON: the body or the problem
}

// Results reads the answer to a batch into results and returns it grown. False means that encoding/json should look.
func Results(data []byte, results []Result) ([]Result, bool) {
	s := NewScan(data)
	read := false
	ok := s.Object(func(name []byte) bool {
		if read || string(name) != "results" {
			return false
		}
		read = true
		return s.Array(func() bool {
			results = append(results, Result{})
			return s.result(&results[len(results)-1])
		})
	})
	return results, ok && read && s.End()
}

func (s *Scan) result(r *Result) bool {
	return s.Object(func(name []byte) (ok bool) {
		switch string(name) {
		case "status":
			if r.Status != 0 {
				return false
			}
			r.Status, ok = s.Int()
		case "body", "problem":
			if r.Body != nil {
				return false
			}
			r.Body, ok = s.Value()
		}
		return ok
	})
}

// EventOf reads the field "event" of a buyer's request and checks that the request is one JSON object. False means that
// encoding/json should look.
func EventOf(request []byte) ([]byte, bool) {
	s := NewScan(request)
	var event []byte
	ok := s.Object(func(name []byte) (ok bool) {
		if string(name) == "event" && event == nil {
			event, ok = s.Text()
			return ok
		}
		if bytes.EqualFold(name, []byte("event")) {
			return false
		}
		_, ok = s.Value()
		return ok
	})
	return event, ok && s.End()
}
