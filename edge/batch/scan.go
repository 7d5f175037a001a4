package batch

// maxDepth is how deep a value may nest before Scan gives up on it; encoding/json then decides.
const maxDepth = 32

// Scan reads JSON that looks as programs usually write it, many times as fast as encoding/json and without allocating.
// It is never more lenient: what it accepts encoding/json accepts and understands the same. Where it gives up, the
// JSON may be wrong or merely unusual (escapes in texts, names in other case, fields twice), and the caller asks
// encoding/json. A Scan is used once, from the start to End.
type Scan struct {
	data []byte
	at   int
}

// NewScan reads data, which it refers to and never changes.
func NewScan(data []byte) Scan { return Scan{data: data} }

// Object reads an object and calls field with the name of each field; field must read the value.
func (s *Scan) Object(field func(name []byte) bool) bool {
	if !s.open('{') {
		return false
	}
	if s.closes('}') {
		return true
	}
	for {
		name, ok := s.Text()
		if !ok || !s.open(':') || !field(name) {
			return false
		}
		if s.closes('}') {
			return true
		}
		if !s.open(',') {
			return false
		}
	}
}

// Array reads an array and calls element for each element, which it must read.
func (s *Scan) Array(element func() bool) bool {
	if !s.open('[') {
		return false
	}
	if s.closes(']') {
		return true
	}
	for {
		if !element() {
			return false
		}
		if s.closes(']') {
			return true
		}
		if !s.open(',') {
			return false
		}
	}
}

// Text reads a string of printable ASCII without escapes. The result is part of the data.
func (s *Scan) Text() ([]byte, bool) {
	if !s.open('"') {
		return nil, false
	}
	from := s.at
	for ; s.at < len(s.data); s.at++ {
		switch c := s.data[s.at]; {
		case c == '"':
			s.at++
			return s.data[from : s.at-1], true
		case c < ' ' || c > '~' || c == '\\':
			return nil, false
		}
	}
	return nil, false
}

// Int reads a whole number from 0 to 99,999,999.
func (s *Scan) Int() (int, bool) {
	s.space()
	n, from := 0, s.at
	for s.at < len(s.data) && s.data[s.at] >= '0' && s.data[s.at] <= '9' {
		n = 10*n + int(s.data[s.at]-'0')
		if s.at++; s.at-from > 8 {
			return 0, false
		}
	}
	if s.at == from || s.data[from] == '0' && s.at > from+1 {
		return 0, false
	}
	if s.at < len(s.data) {
		switch s.data[s.at] {
		case '.', 'e', 'E':
			return 0, false
		}
	}
	return n, true
}

// Value reads any value and returns its text, which is part of the data.
func (s *Scan) Value() ([]byte, bool) {
	s.space()
	from := s.at
	if !s.skip(0) {
		return nil, false
	}
	return s.data[from:s.at], true
}

// End tells whether nothing but space is left.
func (s *Scan) End() bool {
	s.space()
	return s.at == len(s.data)
}

func (s *Scan) space() {
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// open reads one character.
func (s *Scan) open(c byte) bool {
	s.space()
	if s.at < len(s.data) && s.data[s.at] == c {
		s.at++
		return true
	}
	return false
}

// closes reads one character if it is there.
func (s *Scan) closes(c byte) bool { return s.open(c) }

// skip reads a value of which only the end matters.
func (s *Scan) skip(depth int) bool {
	s.space()
	if s.at >= len(s.data) || depth > maxDepth {
		return false
	}
	switch s.data[s.at] {
	case '{':
		return s.skipAll('}', depth, true)
	case '[':
		return s.skipAll(']', depth, false)
	case '"':
		return s.skipText()
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	default:
		return s.skipNumber()
	}
}

// skipAll reads an object or array.
func (s *Scan) skipAll(end byte, depth int, named bool) bool {
	s.at++
	if s.closes(end) {
		return true
	}
	for {
		if named {
			s.space()
			if s.at >= len(s.data) || s.data[s.at] != '"' || !s.skipText() || !s.open(':') {
				return false
			}
		}
		if !s.skip(depth + 1) {
			return false
		}
		if s.closes(end) {
			return true
		}
		if !s.open(',') {
			return false
		}
	}
}

func (s *Scan) skipText() bool {
	for s.at++; s.at < len(s.data); s.at++ {
		switch c := s.data[s.at]; {
		case c == '"':
			s.at++
			return true
		case c < ' ':
			return false
		case c == '\\':
			if !s.skipEscape() {
				return false
			}
		}
	}
	return false
}

// skipEscape reads what follows a backslash and stops at its last character.
func (s *Scan) skipEscape() bool {
	if s.at++; s.at >= len(s.data) {
		return false
	}
	switch s.data[s.at] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		for range 4 {
			if s.at++; s.at >= len(s.data) || !isHex(s.data[s.at]) {
				return false
			}
		}
		return true
	}
	return false
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func (s *Scan) word(w string) bool {
	if len(s.data)-s.at < len(w) || string(s.data[s.at:s.at+len(w)]) != w {
		return false
	}
	s.at += len(w)
	return true
}

func (s *Scan) skipNumber() bool {
	s.accept('-')
	if !s.accept('0') && !s.digits() {
		return false
	}
	if s.accept('.') && !s.digits() {
		return false
	}
	if s.accept('e') || s.accept('E') {
		if !s.accept('+') {
			s.accept('-')
		}
		return s.digits()
	}
	return true
}

func (s *Scan) accept(c byte) bool {
	if s.at < len(s.data) && s.data[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *Scan) digits() bool {
	from := s.at
	for s.at < len(s.data) && s.data[s.at] >= '0' && s.data[s.at] <= '9' {
		s.at++
	}
	return s.at > from
}

// TooDeep tells whether a value nests deeper than Scan follows. No request of a buyer needs that, and one such would send
// the whole batch that it travels in to the slow way, or past what encoding/json takes.
func TooDeep(data []byte) bool {
	depth, text := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '[' || c == '{':
			if depth++; depth > maxDepth {
				return true
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return false
}
