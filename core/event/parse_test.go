package event

import (
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"fairgate/ledger"
)

var update = flag.Bool("update", false, "write the golden files of this package anew")

const examples = "../../configs/events"

func example(t testing.TB, name string) []byte {
	t.Helper()
	file, err := os.ReadFile(filepath.Join(examples, name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func mustParse(t testing.TB, file []byte) Spec {
	t.Helper()
	s, err := Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEveryExampleIsAnEventNamedLikeItsFile(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(examples, "*"))
	if err != nil || len(files) < 2 {
		t.Fatalf("found %v, %v", files, err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".yaml")
		if s := mustParse(t, example(t, name)); s.ID != name {
			t.Errorf("%s describes %s", f, s.ID)
		}
	}
}

func TestTheArenaHas3000SeatsAnd2000Places(t *testing.T) {
	s := mustParse(t, example(t, "arena"))
	seats := s.Seats()
	names := make(map[string]bool)
	for _, seat := range seats {
		names[seat.ID] = true
	}
	if len(seats) != 3000 || len(names) != 3000 {
		t.Errorf("%d seats with %d names", len(seats), len(names))
	}
	if !names["101/A/1"] || !names["101/T/29"] || !names["box/4/10"] || !names["203/T/30"] {
		t.Error("seats are named otherwise than section/row/number")
	}
	want := map[stockKey]int64{
		{"floor", "general"}: 1950, {"floor", "sponsor"}: 50,
		{"lower", "general"}: 1131, {"lower", "sponsor"}: 29, {"lower", "house"}: 40, {"upper", "general"}: 1800,
	}
	if got := s.stock(); !maps.Equal(got, want) {
		t.Errorf("stock is %v, want %v", got, want)
	}
	if s.StartsAt != time.Date(2027, 6, 12, 19, 0, 0, 0, time.UTC) {
		t.Errorf("it starts at %s", s.StartsAt)
	}
}

func TestTheLeastFileGetsEveryDefault(t *testing.T) {
	s := mustParse(t, example(t, "club"))
	want := Spec{
		ID: "club", Name: "Tuesday Jazz", Category: "other", Organizer: "cellar-club", Venue: Venue{Name: "The Cellar", City: "Lisbon", Country: "PT"}, TimeZone: "Europe/Lisbon",
		StartsAt: time.Date(2027, 3, 2, 20, 30, 0, 0, time.UTC), Currency: "EUR",
		Tiers:  []TierSpec{{ID: "door", Name: "Door", Kind: General, Price: ledger.Amount{Minor: 1200, Currency: "EUR"}, Capacity: 120}},
		Fees:   Fees{PerTicket: ledger.Amount{Currency: "EUR"}},
		Limits: Limits{PerBuyer: 4},
		Hold:   HoldRules{TTL: Duration{10 * time.Minute}, PaymentExtension: Duration{5 * time.Minute}},
		OnSale: OnSale{
			Identity: DeviceIdentity, JoiningBefore: Duration{30 * time.Minute}, Window: Duration{30 * time.Second}, MaxPerNetwork: 20,
			SessionTTL: Duration{20 * time.Minute}, ClaimWithin: Duration{2 * time.Minute},
		},
	}
	got, _, err := s.encode()
	if err != nil {
		t.Fatal(err)
	}
	if expected, _, err := want.encode(); err != nil || got != expected {
		t.Errorf("got  %s\nwant %s", got, expected)
	}
}

// What keys there are is asked of the parser itself, by giving every mapping of the arena one that there is not.
func TestTheArenaUsesEveryKeyThereIs(t *testing.T) {
	var document yaml.Node
	if err := yaml.Unmarshal(example(t, "arena"), &document); err != nil {
		t.Fatal(err)
	}
	used := make(map[string]bool)
	var walk func(n *yaml.Node, path string)
	walk = func(n *yaml.Node, path string) {
		if n.Kind == yaml.SequenceNode {
			for _, item := range n.Content {
				walk(item, path+"[]")
			}
		}
		if n.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i < len(n.Content); i += 2 {
			used[join(path, n.Content[i].Value)] = true
			walk(n.Content[i+1], join(path, n.Content[i].Value))
		}
		n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "zzz"}, &yaml.Node{Kind: yaml.ScalarNode, Value: "1"})
	}
	walk(document.Content[0], "")
	spoilt, err := yaml.Marshal(&document)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Parse(spoilt)
	var problems Problems
	if !errors.As(err, &problems) {
		t.Fatalf("got %v", err)
	}
	index := regexp.MustCompile(`\[\d+\]`)
	known := make(map[string]bool)
	for _, p := range problems {
		listed, ok := strings.CutPrefix(p.Message, "unknown key; there are ")
		if !ok {
			t.Fatalf("unexpected problem: %s", p)
		}
		mapping := strings.TrimSuffix(strings.TrimSuffix(index.ReplaceAllString(p.Path, "[]"), "zzz"), ".")
		for _, name := range strings.Split(listed, ", ") {
			known[join(mapping, name)] = true
		}
	}
	for _, path := range slices.Sorted(maps.Keys(known)) {
		if !used[path] {
			t.Errorf("arena.yaml does not use %s", path)
		}
	}
	if len(known) < 40 || !maps.Equal(known, used) {
		t.Errorf("%d keys are known, %d used", len(known), len(used))
	}
}

// Every file in testdata/mistakes is refused with exactly the messages beside it.
func TestMistakesAreAllReportedAtOnceWithTheirPlace(t *testing.T) {
	files, err := filepath.Glob("testdata/mistakes/*.yaml")
	if err != nil || len(files) < 15 {
		t.Fatalf("found %v, %v", files, err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".yaml"), func(t *testing.T) {
			file, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Parse(file)
			var problems Problems
			if !errors.As(err, &problems) {
				t.Fatalf("got %v", err)
			}
			golden(t, strings.TrimSuffix(f, ".yaml")+".golden", err.Error()+"\n")
		})
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestAnEventSurvivesItsStorage(t *testing.T) {
	s := mustParse(t, example(t, "arena"))
	text, hash, err := s.encode()
	if err != nil {
		t.Fatal(err)
	}
	e := Event{Slug: "arena"}
	if err := e.open(text); err != nil {
		t.Fatal(err)
	}
	again, sameHash, err := e.Spec.encode()
	if err != nil || again != text || string(hash) != string(sameHash) {
		t.Errorf("stored  %s\nread as %s, %v", text, again, err)
	}
	if e.Location.String() != "Europe/Madrid" || len(e.Tiers) != 3 || e.Tiers["upper"].Sort != 2 {
		t.Errorf("opened as %+v", e)
	}
}

func TestTheSameEventInOtherWordsIsTheSame(t *testing.T) {
	file := string(example(t, "arena"))
	_, want, err := mustParse(t, []byte(file)).encode()
	if err != nil {
		t.Fatal(err)
	}
	for old, other := range map[string]string{
		"2027-06-12T21:00:00+02:00": "2027-06-12T19:00:00Z",
		`price: "65.00"`:            "price: 65",
		"seats: 1-29":               "seats: 29",
		"ttl: 10m":                  "ttl: 0h10m",
		"percent: 5 ":               "percent: 5.00 ",
	} {
		changed := strings.Replace(file, old, other, 1)
		if changed == file {
			t.Fatalf("arena.yaml has no %q", old)
		}
		if _, got, err := mustParse(t, []byte(changed)).encode(); err != nil || string(got) != string(want) {
			t.Errorf("%q for %q makes another event, %v", other, old, err)
		}
	}
}

// Files made to be slow to read, each as large as a file may be.
func TestHostileFilesAreRefusedInBoundedTime(t *testing.T) {
	fill := func(head, unit, tail string) string {
		return head + strings.Repeat(unit, (maxFileBytes-len(head)-len(tail))/len(unit)) + tail
	}
	for name, file := range map[string]string{
		"too large":            strings.Repeat("#", maxFileBytes+1),
		"lists in lists":       fill("", "[", ""),
		"closed lists":         strings.Repeat("[", maxFileBytes/2) + strings.Repeat("]", maxFileBytes/2),
		"mappings in mappings": fill("", "{a: ", ""),
		"dashes":               fill("", "- ", ""),
		"questions":            fill("", "? ", ""),
		"quotes":               fill("a: '", "''", ""),
		"one long key":         fill("", "k", ": 1"),
		"many keys":            fill("", "k: 1\n", ""),
		"anchors":              fill("a: &a [x]\n", "b: *a\n", ""),
		"bomb":                 "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c]\n",
		"many rows":            fill("seating: {sections: [{id: a, tier: b, rows: [", "{row: 1-200, seats: 500},", "]}]}"),
		"many row ranges":      fill("seating: {sections: [{id: a, tier: b, rows: [", "{row: A, seats: 1},", "]}]}"),
		"many sections":        fill("seating: {sections: [", "{id: a, tier: b, rows: [{row: 1-200, seats: 500}]},", "]}"),
		"many tiers":           fill("tiers: [", "{},", "]"),
		"comments":             fill("a: 1\n", "#\n", ""),
		"line breaks":          fill("a: |\n", "\n", ""),
		"documents":            fill("", "---\n", ""),
		"directives":           fill("", "%TAG ! tag:a,1:\n", ""),
		"multibyte":            fill("name: ", "é", ""),
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			_, err := Parse([]byte(file))
			var problems Problems
			if !errors.As(err, &problems) || len(problems) > maxProblems+1 {
				t.Errorf("got %d problems, %T", len(problems), err)
			}
			if took := time.Since(began); took > 20*time.Second { // a fraction of a second, unless the machine is busy
				t.Errorf("took %s", took)
			}
			if len(err.Error()) > 64<<10 {
				t.Errorf("the message has %d bytes", len(err.Error()))
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{examples + "/*.yaml", "testdata/mistakes/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("found %v, %v", files, err)
		}
		for _, name := range files {
			file, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(file)
		}
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		began := time.Now()
		s, err := Parse(file)
		if took := time.Since(began); took > 10*time.Second {
			t.Fatalf("took %s", took)
		}
		if err != nil {
			var problems Problems
			if !errors.As(err, &problems) || len(problems) == 0 {
				t.Fatalf("refused with %T: %v", err, err)
			}
			for _, p := range problems {
				if p.Message == "" || p.Line < 0 || p.Column < 0 {
					t.Fatalf("problem %+v", p)
				}
			}
			return
		}
		text, _, err := s.encode()
		if err != nil {
			t.Fatal(err)
		}
		if err := new(Event).open(text); err != nil {
			t.Fatalf("accepted, but cannot be opened: %v", err)
		}
		for k, capacity := range s.stock() {
			if capacity < 0 {
				t.Fatalf("accepted with %d of %v", capacity, k)
			}
		}
	})
}
