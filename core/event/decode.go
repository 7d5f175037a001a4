package event

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"fairgate/ledger"
)

// decoder reads values of YAML nodes. Every method complains and answers zero when a value is not what it must be.
type decoder struct {
	complaints
	bad   map[string]bool // paths complained about, which further checks leave alone
	seats int64           // of all rows read so far
}

// key is one key of a mapping.
type key struct {
	name     string
	required bool
	read     func(n *yaml.Node, path string)
}

func (d *decoder) refuse(n *yaml.Node, path, format string, args ...any) {
	d.bad[path] = true
	d.addAt(position{n.Line, n.Column}, path, format, args...)
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// mapping reads the keys of a mapping and complains about those unknown, repeated or missing.
func (d *decoder) mapping(n *yaml.Node, path string, keys ...key) {
	d.at[path] = position{n.Line, n.Column}
	if n.Kind != yaml.MappingNode {
		d.refuse(n, path, "must be a mapping of %s, is %s", names(keys), describe(n))
		return
	}
	seen := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		k := slices.IndexFunc(keys, func(k key) bool { return k.name == name.Value })
		if name.Kind != yaml.ScalarNode || k < 0 {
			d.refuse(name, join(path, clip(name.Value)), "unknown key; %s", suggest(name.Value, keys))
			continue
		}
		at := join(path, name.Value)
		if line, twice := seen[name.Value]; twice {
			d.refuse(name, at, "given twice, first on line %d", line)
			continue
		}
		seen[name.Value] = name.Line
		d.at[at] = position{value.Line, value.Column}
		keys[k].read(value, at)
	}
	for _, k := range keys {
		if _, ok := seen[k.name]; !ok && k.required {
			d.refuse(n, join(path, k.name), "is missing")
		}
	}
}

// list reads the items of a sequence.
func (d *decoder) list(n *yaml.Node, path string, maxItems int, read func(n *yaml.Node, path string)) {
	if n.Kind != yaml.SequenceNode {
		d.refuse(n, path, "must be a list, is %s", describe(n))
		return
	}
	if len(n.Content) > maxItems {
		d.refuse(n, path, "has %d items, at most %d are allowed", len(n.Content), maxItems)
		return
	}
	for i, item := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		d.at[at] = position{item.Line, item.Column}
		read(item, at)
	}
}

// scalar is the text of a value of one of the given YAML types.
func (d *decoder) scalar(n *yaml.Node, path, what string, tags ...string) (string, bool) {
	if n.Kind != yaml.ScalarNode || !slices.Contains(tags, n.ShortTag()) {
		d.refuse(n, path, "must be %s, is %s", what, describe(n))
		return "", false
	}
	return n.Value, true
}

// text reads a line for people to read.
func (d *decoder) text(n *yaml.Node, path string, maxRunes int) string {
	s, ok := d.scalar(n, path, "a text", "!!str")
	if !ok {
		return ""
	}
	format := strings.IndexFunc(s, hiddenFormat)
	printable := !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x2028 || r == 0x2029 })
	switch count := utf8.RuneCountInString(s); {
	case strings.TrimSpace(s) == "":
		d.refuse(n, path, "must not be empty")
	case count > maxRunes:
		d.refuse(n, path, "has %d characters, at most %d are allowed", count, maxRunes)
	case !printable || !utf8.ValidString(s):
		d.refuse(n, path, "must be one line of printable characters")
	case format >= 0:
		r, _ := utf8.DecodeRuneInString(s[format:])
		d.refuse(n, path, "has the invisible character %U, which can make it read otherwise than it is written", r)
	default:
		return s
	}
	return ""
}

// hiddenFormat tells whether a character is a format control, such as those that turn the direction of writing. The soft hyphen and the
// zero-width joiner and non-joiner are ones that some languages are written with.
func hiddenFormat(r rune) bool {
	return unicode.Is(unicode.Cf, r) && r != 0xad && r != 0x200c && r != 0x200d
}

// texts reads a list of lines, none of them twice.
func (d *decoder) texts(n *yaml.Node, path string, maxItems, maxRunes int) []string {
	var all []string
	d.list(n, path, maxItems, func(n *yaml.Node, path string) {
		switch s := d.text(n, path, maxRunes); {
		case s == "":
		case slices.Contains(all, s):
			d.refuse(n, path, "%s is given twice", quote(s))
		default:
			all = append(all, s)
		}
	})
	return all
}

// name reads an identifier. Bare numbers will do: seat rows are often called that.
func (d *decoder) name(n *yaml.Node, path string, form *regexp.Regexp, rule string) string {
	s, ok := d.scalar(n, path, "a name", "!!str", "!!int")
	if !ok {
		return ""
	}
	if !form.MatchString(s) {
		d.refuse(n, path, "%s is not %s", quote(s), rule)
		return ""
	}
	return s
}

// choice reads one of a few words.
func (d *decoder) choice(n *yaml.Node, path string, words ...string) string {
	s, ok := d.scalar(n, path, "one of "+strings.Join(words, ", "), "!!str")
	if ok && !slices.Contains(words, s) {
		d.refuse(n, path, "must be one of %s, is %s", strings.Join(words, ", "), quote(s))
		return ""
	}
	return s
}

// integer reads a whole number between low and high.
func (d *decoder) integer(n *yaml.Node, path string, low, high int64) int64 {
	s, ok := d.scalar(n, path, "a whole number", "!!int")
	if !ok {
		return 0
	}
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil || v < low || v > high {
		d.refuse(n, path, "must be a whole number from %d to %d, is %s", low, high, clip(s))
		return 0
	}
	return v
}

func (d *decoder) boolean(n *yaml.Node, path string) bool {
	s, ok := d.scalar(n, path, "true or false", "!!bool")
	return ok && strings.EqualFold(s, "true")
}

// duration reads a span such as 90s or 10m, in whole seconds.
func (d *decoder) duration(n *yaml.Node, path string, low, high time.Duration) Duration {
	s, ok := d.scalar(n, path, "a duration such as 30s or 10m", "!!str", "!!int")
	if !ok {
		return Duration{}
	}
	v, err := time.ParseDuration(s)
	switch {
	case err != nil:
		d.refuse(n, path, "must be a duration such as 30s or 10m, is %s", quote(s))
	case v < low || v > high || v%time.Second != 0:
		d.refuse(n, path, "must be whole seconds from %s to %s, is %s", low, high, clip(s))
	default:
		return Duration{v}
	}
	return Duration{}
}

// decimal is the text of a number with a point, as written: it never becomes a float.
func (d *decoder) decimal(n *yaml.Node, path string) (string, bool) {
	s, ok := d.scalar(n, path, `a decimal number such as "12.50"`, "!!str", "!!int", "!!float")
	if ok && !decimalForm.MatchString(s) {
		d.refuse(n, path, `must be a decimal number such as "12.50", is %s`, quote(s))
		return "", false
	}
	return s, ok
}

// rate reads a percentage between 0 and high percent.
func (d *decoder) rate(n *yaml.Node, path string, high int64) Rate {
	s, ok := d.decimal(n, path)
	if !ok {
		return 0
	}
	percent, decimals, _ := strings.Cut(s, ".")
	if len(decimals) > 4 {
		d.refuse(n, path, "has more than 4 decimals: %s", clip(s))
		return 0
	}
	millionths, err := strconv.ParseInt(percent+decimals+strings.Repeat("0", 4-len(decimals)), 10, 64)
	if err != nil || millionths > high*int64(whole/100) {
		d.refuse(n, path, "must be a percentage from 0 to %d, is %s", high, clip(s))
		return 0
	}
	return Rate(millionths)
}

// instant reads a date and time with its zone.
func (d *decoder) instant(n *yaml.Node, path string) time.Time {
	s, ok := d.scalar(n, path, "a date and time with its zone, such as 2027-06-12T21:00:00+02:00", "!!timestamp", "!!str")
	if !ok {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, s)
	if err == nil && (t.Year() < 2000 || t.Year() > 2200) {
		d.refuse(n, path, "must be between the years 2000 and 2200, is %s", quote(s))
		return time.Time{}
	}
	if err != nil {
		if _, bare := time.Parse("2006-01-02T15:04:05", strings.Replace(s, " ", "T", 1)); bare == nil {
			d.refuse(n, path, "has no zone: write %s+02:00, with the offset of the place", clip(s))
			return time.Time{}
		}
		d.refuse(n, path, "must be a date and time with its zone, such as 2027-06-12T21:00:00+02:00, is %s", quote(s))
		return time.Time{}
	}
	return t
}

// money turns the text of a price into an amount, once the currency is known.
func (d *decoder) money(path, text, currency string) ledger.Amount {
	exponent, ok := ledger.Exponent(currency)
	if text == "" || !ok {
		return ledger.Amount{Currency: currency}
	}
	amount, err := ledger.ParseAmount(text, currency)
	switch _, decimals, _ := strings.Cut(text, "."); {
	case err != nil && len(decimals) > exponent:
		d.add(path, "%s has %d decimals, %s has %d", currency, exponent, quote(text), len(decimals))
	case err != nil || amount.Minor > maxPriceMinor:
		d.add(path, "must be at most %s", ledger.Amount{Minor: maxPriceMinor, Currency: currency})
	default:
		return amount
	}
	d.bad[path] = true
	return ledger.Amount{Currency: currency}
}

func names(keys []key) string {
	all := make([]string, len(keys))
	for i, k := range keys {
		all[i] = k.name
	}
	return strings.Join(all, ", ")
}

// suggest names the key that was probably meant, or else all there are.
func suggest(name string, keys []key) string {
	for _, k := range keys {
		if len(name) <= 40 && distance(name, k.name) <= 2 && len(k.name) > 3 {
			return "did you mean " + k.name + "?"
		}
	}
	return "there are " + names(keys)
}

// distance is how many letters must be added, left out or replaced to get from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// describe says what a node is, in words for people who do not know YAML's.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "empty"
	case "!!bool":
		return "the truth value " + clip(n.Value)
	case "!!int", "!!float":
		return "the number " + clip(n.Value)
	case "!!timestamp":
		return "the date " + clip(n.Value)
	}
	return quote(n.Value)
}

// quote shows a value from the file, clip without quotes; both keep messages short.
func quote(s string) string { return strconv.Quote(clip(s)) }

func clip(s string) string {
	const most = 60
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s)
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}
