package jurisdiction

import (
	"errors"
	"strings"
	"testing"
)

func TestEveryFactHasItsLawItsSourceAndItsDay(t *testing.T) {
	table, err := Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(table) < 5 || len(Known()) != len(table) {
		t.Errorf("%d places are known", len(table))
	}
	for _, p := range table {
		if p.Transfer.MayForbid == nil {
			continue
		}
		if p.Transfer.Exceptions == "" {
			t.Errorf("%s: nothing is said of exceptions", p.Name)
		}
	}
}

func TestARegionHasItsOwnLawAndItsCountrys(t *testing.T) {
	no := false
	table := Table{{Country: "US", Name: "all"}, {Country: "US", Region: "NY", Name: "New York", Transfer: Transfer{MayForbid: &no}}, {Country: "FR", Name: "France"}}
	for place, want := range map[[2]string]string{
		{"US", "NY"}: "all,New York", {"US", "CA"}: "all", {"US", ""}: "all", {"FR", "NY"}: "France", {"ES", ""}: "",
	} {
		var names []string
		for _, p := range table.Of(place[0], place[1]) {
			names = append(names, p.Name)
		}
		if got := strings.Join(names, ","); got != want {
			t.Errorf("of %v: %s, want %s", place, got, want)
		}
	}
	if !table.Regional("US") || table.Regional("FR") {
		t.Error("it is not told which countries have regions of their own law")
	}
}

func TestABadFileIsRefused(t *testing.T) {
	good := "- country: US\n  region: NY\n  name: New York\n  transfer: {may_forbid: false, law: L, says: S, source: \"https://example.org/\", read_on: 2026-11-27}\n"
	if _, err := Parse([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"no YAML":        "{",
		"an unknown key": good + "  tax: 1\n",
		"twice":          good + good,
		"no country":     strings.Replace(good, "US", "usa", 1),
		"no region":      strings.Replace(good, "NY", "New York", 1),
		"no name":        strings.Replace(good, "name: New York", `name: ""`, 1),
		"no law":         strings.Replace(good, "law: L", `law: ""`, 1),
		"no source":      strings.Replace(good, "https://example.org/", "a book", 1),
		"no day":         strings.Replace(good, "2026-11-27", "2026", 1),
	} {
		if _, err := Parse([]byte(bad)); !errors.Is(err, ErrFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
