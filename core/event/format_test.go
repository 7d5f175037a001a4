package event

import (
	"strings"
	"testing"
)

func TestATextWithCharactersThatNobodySeesIsRefusedByTheNameOfItsField(t *testing.T) {
	file := string(example(t, "arena"))
	for field, old := range map[string]string{"name": "name: Midsummer Night at the Arena", "venue.name": "name: Arena del Puerto", "tiers[0].name": "name: Floor, standing", "presales[0].name": "name: Friends of our sponsors", "summary": "summary: The longest evening of the year, under the open roof."} {
		for _, hidden := range []string{"\u202e", "\u2066", "\u200b", "\u200e", "\ufeff", "\u2060", "\U000e0041"} {
			bad := hideIn(t, file, old, hidden)
			if _, err := Parse([]byte(bad)); err == nil || !strings.Contains(err.Error(), field+": has the invisible character U+") {
				t.Errorf("%s with %U: %v", field, []rune(hidden)[0], err)
			}
		}
		for _, fine := range []string{"\u00ad", "\u200c", "\u200d", "\u0301", "é", "🎭"} {
			if _, err := Parse([]byte(hideIn(t, file, old, fine))); err != nil {
				t.Errorf("%s with %U: %v", field, []rune(fine)[0], err)
			}
		}
	}
}

// hideIn puts a character into a text of a file, behind its first letter.
func hideIn(t *testing.T, file, line, hidden string) string {
	t.Helper()
	key, text, _ := strings.Cut(line, ": ")
	changed := strings.Replace(file, line, key+`: "`+text[:1]+hidden+text[1:]+`"`, 1)
	if changed == file {
		t.Fatalf("there is no %q", line)
	}
	return changed
}
