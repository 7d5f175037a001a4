package catalog

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Bounds of words.
const (
	maxWordBytes  = 60  // the rest of a longer one is not looked at
	maxEventWords = 200 // different ones of one event
)

// plain are letters that decomposition leaves whole although people type them without their stroke or as two.
var plain = strings.NewReplacer("ł", "l", "ø", "o", "đ", "d", "ħ", "h", "ŧ", "t", "ı", "i", "æ", "ae", "œ", "oe", "þ", "th", "ð", "d",
	"'", "", "’", "", "ʼ", "")

// fold makes texts equal that people take for the same: case, accents, width and ligatures do not count, nor do apostrophes.
func fold(text string) string {
	if ascii(text) {
		return strings.ReplaceAll(strings.ToLower(text), "'", "")
	}
	text = cases.Fold().String(norm.NFKD.String(strings.ToValidUTF8(text, "")))
	return plain.Replace(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFKD.String(text)))
}

func ascii(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// foldName is fold for a whole name, such as a city: words and nothing else between them than one space.
func foldName(text string) string { return strings.Join(words(text), " ") }

// words are the words of a text, folded. Scripts that write without spaces give one word for each run of letters.
func words(text string) []string {
	found := strings.FieldsFunc(fold(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.Is(unicode.Mc, r) })
	for i, w := range found {
		if len(w) > maxWordBytes {
			found[i] = strings.ToValidUTF8(w[:maxWordBytes], "")
		}
	}
	return found
}
