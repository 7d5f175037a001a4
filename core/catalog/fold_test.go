package catalog

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWordsAreEqualThatPeopleTakeForTheSame(t *testing.T) {
	for text, want := range map[string]string{
		"Beyoncé":                     "beyonce",
		"Beyonce\u0301":               "beyonce",
		"MÜNCHEN, Straße 7":           "munchen strasse 7",
		"Łódź – Ørsted & Ærø":         "lodz orsted aero",
		"İstanbul ISPARTA ısparta":    "istanbul isparta isparta",
		"O'Brien’s Ｆｕｌｌ ﬁlm":          "obriens full film",
		"Γιώργος ΓΙΏΡΓΟΣ":             "γιωργοσ γιωργοσ",
		"rock'n'roll AC/DC":           "rocknroll ac dc",
		"  東京 2027-06 ":               "東京 2027 06",
		"--- !!! \x00 ...":            "",
		"bad\xffutf":                  "badutf",
		strings.Repeat("é", 100):      strings.Repeat("e", 60),
		"x" + strings.Repeat("界", 50): "x" + strings.Repeat("界", 19),
	} {
		if got := strings.Join(words(text), " "); got != want {
			t.Errorf("%q: %q instead of %q", text, got, want)
		}
	}
}

func FuzzWords(f *testing.F) {
	f.Add("Beyoncé — live!")
	f.Add("\xf0\x28\x8c\x28")
	f.Fuzz(func(t *testing.T, text string) {
		first := words(text)
		for _, w := range first {
			if w == "" || len(w) > maxWordBytes || !utf8.ValidString(w) {
				t.Errorf("%q has the word %q", text, w)
			}
		}
		// What was folded once stays the same, or what is stored could not be found.
		if again := words(strings.Join(first, " ")); !slices.Equal(first, again) {
			t.Errorf("%q gives %q, and that %q", text, first, again)
		}
	})
}
