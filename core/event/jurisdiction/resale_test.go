package jurisdiction

import (
	"errors"
	"strings"
	"testing"
)

func TestWhatIsKnownOfResaleHasItsLawAndItsSource(t *testing.T) {
	table, err := ParseResale(resaleFile)
	if err != nil || len(table) < 5 {
		t.Fatalf("%d countries, %v", len(table), err)
	}
	for country, capped := range map[string]bool{"IE": true, "BE": true, "DK": true, "IT": true, "NO": true, "FR": false, "ES": false} {
		if l := ResaleIn(country); l.Capped() != capped || l.OverMillionths() != 0 {
			t.Errorf("%s: %+v", country, l)
		}
	}
	for country, asked := range map[string]bool{"FR": true, "IT": true, "IE": false, "ES": false} {
		if l := ResaleIn(country); l.Authorization != asked {
			t.Errorf("%s: %+v", country, l)
		}
	}
}

func TestABadTableOfTheLawOnResaleIsRefused(t *testing.T) {
	good := "- {country: XA, name: A, over_percent: 12.5, law: L, says: S, exceptions: E, source: \"https://example.org/\", read_on: 2026-11-27}\n"
	table, err := ParseResale([]byte(good))
	if err != nil || table["XA"].OverMillionths() != 125_000 {
		t.Fatal(table, err)
	}
	for name, bad := range map[string]string{
		"no YAML":        "{",
		"an unknown key": strings.Replace(good, "law:", "rule: 1, law:", 1),
		"twice":          good + good,
		"no country":     strings.Replace(good, "XA", "xa", 1),
		"no cap":         strings.Replace(good, "over_percent: 12.5, ", "", 1),
		"a cap of -1":    strings.Replace(good, "12.5", "-1", 1),
		"a cap of 101":   strings.Replace(good, "12.5", "101", 1),
		"no law":         strings.Replace(good, "law: L", `law: ""`, 1),
		"no exceptions":  strings.Replace(good, "exceptions: E, ", "", 1),
		"no source":      strings.Replace(good, "https://example.org/", "a book", 1),
		"no day":         strings.Replace(good, "2026-11-27", "2026", 1),
	} {
		if _, err := ParseResale([]byte(bad)); !errors.Is(err, ErrResaleFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
