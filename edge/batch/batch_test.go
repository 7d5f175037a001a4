package batch_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"fairgate/edge/batch"
)

// seeds are texts that look like JSON in many ways, for the fuzz tests and as they are.
var seeds = []string{
	`{"event":"arena","items":[{"tier":"floor","quantity":2}]}`, `{"event":"a"}{}`, `{"event":"a",}`, `{"Event":"a","event":"b"}`, `{}`, ``, `null`, `[]`,
	`{"event":"a\u0041"}`, `{"event":"a","event":"b"}`, `{"a":[1,-0.5e+3,true,false,null,"\n\u12aF"],"event":"x"}`, `{"a":01}`, `{"a":1.}`, `{"a":-}`,
	`{"a":"` + "\x01" + `"}`, `{"a":"\x"}`, `{"a":"\u12g4"}`, "{\"a\":\"\xff\"}", `{"a":{"b":{"c":[[[]]]}}}`, ` { "event" : "a" } `, `{"a":tru}`, `{"a" 1}`, `{"event":null}`,
	`{"items":[{"event":"a","session":"s","device":"d","key":"k","client":"c","body":{"x":1}},{"event":"b","body":null}]}`, `{"items":[]}`, `{"items":[{}],"items":[]}`,
	`{"results":[{"status":201,"body":{"id":"x"}},{"status":409,"problem":{"code":"sold_out"}},{"status":0}]}`, `{"results":[{"status":1e2}]}`, `{"results":null}`,
	`{"items":[{"key":"a` + `\"` + `b","body":1}]}`, `{"results":[{"status":200,"body":1,"problem":2}]}`, strings.Repeat("[", 50) + strings.Repeat("]", 50), `{"items":[{"event":"a"},]}`,
}

func FuzzEventOf(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		event, ok := batch.EventOf(data)
		if !ok {
			return
		}
		var slow struct {
			Event string `json:"event"`
		}
		if err := json.Unmarshal(data, &slow); err != nil || slow.Event != string(event) {
			t.Errorf("%q: %q; encoding/json says %q, %v", data, event, slow.Event, err)
		}
	})
}

func FuzzItems(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		items, ok := batch.Items(data, nil)
		if !ok {
			return
		}
		var slow struct {
			Items []struct {
				Event, Session, Device, Key, Client string
				Body                                json.RawMessage
			}
		}
		d := json.NewDecoder(bytes.NewReader(data))
		d.DisallowUnknownFields()
		if err := d.Decode(&slow); err != nil || d.More() || len(slow.Items) != len(items) {
			t.Fatalf("%q: %d items; encoding/json says %d, %v", data, len(items), len(slow.Items), err)
		}
		for i, want := range slow.Items {
			got := items[i]
			if string(got.Event) != want.Event || string(got.Session) != want.Session || string(got.Device) != want.Device ||
				string(got.Key) != want.Key || string(got.Client) != want.Client || !bytes.Equal(got.Body, want.Body) {
				t.Errorf("%q: item %d is %q, want %q", data, i, got, want)
			}
		}
	})
}

func FuzzResults(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		results, ok := batch.Results(data, nil)
		if !ok {
			return
		}
		var slow struct {
			Results []struct {
				Status        int
				Body, Problem json.RawMessage
			}
		}
		if err := json.Unmarshal(data, &slow); err != nil || len(slow.Results) != len(results) {
			t.Fatalf("%q: %d results; encoding/json says %d, %v", data, len(results), len(slow.Results), err)
		}
		for i, want := range slow.Results {
			body := want.Body
			if len(body) == 0 {
				body = want.Problem
			}
			if got := results[i]; got.Status != want.Status || !bytes.Equal(got.Body, body) {
				t.Errorf("%q: result %d is %d %q, want %d %q", data, i, got.Status, got.Body, want.Status, body)
			}
		}
	})
}

// What programs usually write must be read the quick way: otherwise nobody would notice that it never is.
func TestUsualJSONIsReadTheQuickWay(t *testing.T) {
	if event, ok := batch.EventOf([]byte(`{"items": [{"tier": "floor", "quantity": 2, "note": "\u00e4"}], "event": "arena"}`)); !ok || string(event) != "arena" {
		t.Errorf("event %q, %v", event, ok)
	}
	text := `{"items":[{"event":"a","session":"s","device":"d","key":"k","client":"::1","body":{"x":[1,2.5,null]}},{"event":"b","session":"","device":"","key":"","client":"","body":{}}]}`
	if items, ok := batch.Items([]byte(text), nil); !ok || len(items) != 2 || string(items[0].Body) != `{"x":[1,2.5,null]}` || string(items[1].Event) != "b" {
		t.Errorf("items %q, %v", items, ok)
	}
	text = `{"results":[{"status":201,"body":{"id":"x","amount":{"minor":-5}}},{"status":409,"problem":{"code":"sold_out"}}]}`
	results, ok := batch.Results([]byte(text), nil)
	if !ok || len(results) != 2 || results[0].Status != 201 || string(results[1].Body) != `{"code":"sold_out"}` {
		t.Errorf("results %v, %v", results, ok)
	}
}

func TestReadingABatchAllocatesNothing(t *testing.T) {
	item := `{"event":"a","session":"s","device":"d","key":"k","client":"::1","body":{"x":[1,2.5,null]}}`
	data := []byte(batch.Begin + strings.Repeat(item+",", 99) + item + batch.End)
	items := make([]batch.Item, 0, 100)
	if n := testing.AllocsPerRun(100, func() {
		if got, ok := batch.Items(data, items[:0]); !ok || len(got) != 100 {
			t.Fatal("not read")
		}
	}); n > 1 {
		t.Errorf("%v allocations for 100 items", n)
	}
}

func TestTooDeep(t *testing.T) {
	const deepest = 32
	nest := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for text, want := range map[string]bool{
		nest(deepest): false, nest(deepest + 1): true, `{"a":` + nest(deepest) + `}`: true,
		`"` + nest(100) + `"`: false, `["\"` + nest(100) + `"]`: false, strings.Repeat("[]", 100): false, "": false,
	} {
		if got := batch.TooDeep([]byte(text)); got != want {
			t.Errorf("TooDeep(%.20q) = %v", text, got)
		}
	}
}
