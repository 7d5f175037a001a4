package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
)

// maxProblems is how many malformed lines are named before reading gives up.
const maxProblems = 20

// History is what one or several files say, merged.
type History struct {
	Calls     []Call // those of one process in their order
	Processes int
	Torn      int // last lines of processes that were killed while they wrote
	Bytes     int64
}

// Read merges the files of several processes. The error names every malformed line, with its file, up to a bound.
func Read(paths ...string) (*History, error) {
	h := &History{}
	clock, from := "", ""
	processes := make(map[string]string)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read a history: %w", err)
		}
		f := file{path: path, into: h, clock: clock, clockFrom: from, processes: processes}
		if err := f.read(text); err != nil {
			return nil, err
		}
		clock, from = f.clock, f.clockFrom
		h.Bytes += int64(len(text))
	}
	return h, nil
}

// file is one file at reading.
type file struct {
	path             string
	into             *History
	clock, clockFrom string

	processes map[string]string // whose histories have been read → file

	header line
	open   map[int64]int // calls of the present process by number: index in History.Calls
	errs   []error
}

// parsed is a decoded line, or why it could not be.
type parsed struct {
	line
	err error
}

func (f *file) read(text []byte) error {
	raw := bytes.Split(text, []byte("\n"))
	if n := len(raw); n > 0 && len(raw[n-1]) == 0 {
		raw = raw[:n-1] // behind the last line
	}
	lines := decode(raw)
	for i := range lines {
		l := &lines[i]
		if l.err != nil {
			if i > 0 && (i == len(lines)-1 || lines[i+1].err == nil && lines[i+1].History > 0) {
				f.into.Torn++ // its process was killed here
				continue
			}
		} else {
			l.err = f.take(&l.line, i+1)
		}
		if l.err != nil {
			f.errs = append(f.errs, fmt.Errorf("%s:%d: %w", f.path, i+1, l.err))
			if len(f.errs) == maxProblems {
				f.errs = append(f.errs, fmt.Errorf("%s: and perhaps more", f.path))
				break
			}
		}
	}
	if f.open == nil && len(f.errs) == 0 {
		return fmt.Errorf("%s: this is no history: it has no header", f.path)
	}
	return errors.Join(f.errs...)
}

// decode reads lines on all processors.
func decode(raw [][]byte) []parsed {
	lines := make([]parsed, len(raw))
	workers := runtime.GOMAXPROCS(0)
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := w * len(raw) / workers; i < (w+1)*len(raw)/workers; i++ {
				if err := json.Unmarshal(raw[i], &lines[i].line); err != nil {
					lines[i].err = fmt.Errorf("not a line of a history: %w", err)
				}
			}
		})
	}
	all.Wait()
	return lines
}

// take adds a line to what is known.
func (f *file) take(l *line, no int) error {
	switch {
	case l.History > 0:
		return f.begin(l)
	case f.open == nil:
		return errors.New("a header must come first")
	case l.Call <= 0 || l.From == 0 && l.To == 0:
		return errors.New("neither a header nor the beginning or end of a call")
	case l.From != 0:
		return f.invoke(l, no)
	default:
		return f.end(l)
	}
}

func (f *file) begin(l *line) error {
	switch {
	case l.History != format:
		return fmt.Errorf("format %d; this program reads %d", l.History, format)
	case l.Process == "" || l.Clock == "" || l.Side != Core && l.Side != Client:
		return errors.New("a header needs process, clock and side")
	case f.clock != "" && f.clock != l.Clock:
		return fmt.Errorf("clock %s is not that of %s, %s: times of different clocks cannot be compared", l.Clock, f.clockFrom, f.clock)
	}
	if f.clock == "" {
		f.clock, f.clockFrom = l.Clock, f.path
	}
	if other, twice := f.processes[l.Process]; twice {
		return fmt.Errorf("process %s stands in %s already: give each history once", l.Process, other)
	}
	f.processes[l.Process] = f.path
	f.header, f.open = *l, make(map[int64]int)
	f.into.Processes++
	return nil
}

func (f *file) invoke(l *line, no int) error {
	if _, twice := f.open[l.Call]; twice {
		return fmt.Errorf("call %d begins twice", l.Call)
	}
	if len(l.Ops) == 0 {
		return fmt.Errorf("call %d does nothing", l.Call)
	}
	for i := range l.Ops {
		if err := l.Ops[i].check(); err != nil {
			return fmt.Errorf("call %d: %w", l.Call, err)
		}
	}
	if l.To != 0 {
		if err := checkEnd(l.From, l); err != nil {
			return err
		}
	}
	f.open[l.Call] = len(f.into.Calls)
	c := Call{
		N: l.Call, From: l.From, To: l.To, Outcome: l.Outcome, At: l.At, Rows: l.Rows, Ops: l.Ops,
		Process: f.header.Process, Side: f.header.Side, File: f.path, Line: no,
	}
	if c.To == 0 {
		c.Outcome = Unknown // until its end is read
	}
	f.into.Calls = append(f.into.Calls, c)
	return nil
}

func (f *file) end(l *line) error {
	at, known := f.open[l.Call]
	if !known {
		return fmt.Errorf("call %d ends and never began", l.Call)
	}
	c := &f.into.Calls[at]
	if c.To != 0 {
		return fmt.Errorf("call %d ends twice", l.Call)
	}
	if len(l.Ops) != 0 && len(l.Ops) != len(c.Ops) {
		return fmt.Errorf("call %d has %d ops and %d answers", l.Call, len(c.Ops), len(l.Ops))
	}
	if err := checkEnd(c.From, l); err != nil {
		return err
	}
	c.To, c.Outcome = l.To, l.Outcome
	for i := range l.Ops {
		a, o := &l.Ops[i], &c.Ops[i]
		if err := a.Outcome.check(false); err != nil {
			return fmt.Errorf("call %d: %w", l.Call, err)
		}
		o.Outcome, o.Code, o.State, o.Deadline, o.AsOf, o.Memory = a.Outcome, a.Code, a.State, a.Deadline, a.AsOf, a.Memory
		if len(a.Items) > 0 {
			o.Items = a.Items
		}
		if a.Row != nil {
			o.Row = a.Row
		}
	}
	return nil
}

func checkEnd(from int64, l *line) error {
	if l.To < from {
		return fmt.Errorf("call %d ends before it begins", l.Call)
	}
	if err := l.Outcome.check(len(l.Ops) > 0); err != nil {
		return fmt.Errorf("call %d: %w", l.Call, err)
	}
	return nil
}
