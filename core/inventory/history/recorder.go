package history

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Bounds of a Recorder.
const (
	maxWaiting  = 1024    // lines on their way to the writer; whoever has more waits
	maxWrite    = 1 << 20 // most bytes of one write, but for a longer line
	answerDelay = 20 * time.Millisecond
	// DefaultMaxBytes is where a file ends unless the configuration says otherwise.
	DefaultMaxBytes = 4 << 30
)

// ErrInUse means that another process writes to the file.
var ErrInUse = errors.New("history: another process writes to this file")

// errFull ends a recording whose file has its full length.
var errFull = errors.New("the file has reached its greatest length")

// Config says where a Recorder writes.
type Config struct {
	Path     string
	Side     Side
	MaxBytes int64        // where the recording ends, with an error; default DefaultMaxBytes
	Log      *slog.Logger // default slog.Default()
}

// Recorder appends to a history. It may be used by any number of goroutines. One goroutine of its own writes, many lines
// at once where many wait. Whoever opened it closes it, when nobody uses it any more.
//
// A recording that fails ends: the first error is logged and Close returns it, and what comes later is counted as lost.
// The inventory goes on; the proof will miss the commits.
type Recorder struct {
	log    *slog.Logger
	figure figures
	next   atomic.Int64
	lines  chan entry
	done   chan struct{}
	closed sync.Once

	// Of the writing goroutine.
	out  io.WriteCloser
	left int64 // bytes until the file is full
	err  error
}

// entry is one line, and who waits until it is written.
type entry struct {
	text    []byte
	written chan struct{} // nil for nobody
}

// Open starts a recording at the end of a file, which is made if it is not there.
func Open(cfg Config) (*Recorder, error) {
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = DefaultMaxBytes
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	file, err := os.OpenFile(cfg.Path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the history: %w", err)
	}
	size, err := takeOver(file)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("open the history %s: %w", cfg.Path, err)
	}
	r := newRecorder(file, cfg.MaxBytes-size, cfg.Log)
	random := make([]byte, 4)
	_, _ = rand.Read(random) // never fails
	header, err := encode(line{
		History: format, Process: fmt.Sprintf("%s-%d-%s", cfg.Side, os.Getpid(), hex.EncodeToString(random)), Side: cfg.Side,
		Clock: clockName(), Started: time.Now().UTC().Format(time.RFC3339Nano),
	})
	if err == nil {
		r.put(header, true)
		return r, nil
	}
	return nil, errors.Join(err, r.Close())
}

// takeOver locks a file, ends a torn last line and returns the file's length. The kernel drops the lock with the process.
func takeOver(file *os.File) (int64, error) {
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return 0, ErrInUse
		}
		return 0, err
	}
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil || size == 0 {
		return 0, err
	}
	last := make([]byte, 1)
	if _, err := file.ReadAt(last, size-1); err != nil {
		return 0, err
	}
	if last[0] == '\n' {
		return size, nil
	}
	_, err = file.Write([]byte("\n"))
	return size + 1, err
}

func newRecorder(out io.WriteCloser, left int64, log *slog.Logger) *Recorder {
	r := &Recorder{
		log: log, figure: newFigures(), out: out, left: left,
		lines: make(chan entry, maxWaiting), done: make(chan struct{}),
	}
	go r.write()
	return r
}

// Invoke writes that a call is about to be attempted and returns when the kernel has it. The call's number, its From if
// that is 0, and no outcome are filled in; the number is what Return wants.
func (r *Recorder) Invoke(c Call) int64 {
	n := r.next.Add(1)
	if c.From == 0 {
		c.From = Now()
	}
	r.add(line{Call: n, From: c.From, At: c.At, Rows: c.Rows, Ops: c.Ops}, true)
	return n
}

// Return writes what became of a call. answers, if any, are one for each op of the call, of which only what was answered
// is written.
func (r *Recorder) Return(n int64, outcome Outcome, answers ...Op) {
	for i := range answers {
		a := &answers[i]
		answers[i] = Op{Items: a.Items, Row: a.Row, Outcome: a.Outcome, Code: a.Code, State: a.State, Deadline: a.Deadline, AsOf: a.AsOf, Memory: a.Memory}
	}
	r.add(line{Call: n, To: Now(), Outcome: outcome, Ops: answers}, false)
}

// Answered writes a call that changed nothing, and so needs no Invoke. From must be set.
func (r *Recorder) Answered(c Call) {
	r.add(line{Call: r.next.Add(1), From: c.From, To: Now(), Outcome: c.Outcome, Ops: c.Ops}, false)
}

// Close writes what waits and returns the first error of the recording.
func (r *Recorder) Close() error {
	r.closed.Do(func() { close(r.lines) })
	<-r.done
	return r.err
}

func (r *Recorder) add(l line, wait bool) {
	text, err := encode(l)
	if err != nil {
		r.log.Error("a line of the history cannot be written", "error", err.Error())
		r.figure.lost.Inc()
		return
	}
	r.put(text, wait)
}

func (r *Recorder) put(text []byte, wait bool) {
	e := entry{text: text}
	if wait {
		e.written = make(chan struct{})
	}
	r.lines <- e
	if wait {
		<-e.written
	}
}

func encode(l line) ([]byte, error) {
	text, err := json.Marshal(l)
	if err != nil {
		return nil, fmt.Errorf("encode a line of the history: %w", err)
	}
	return append(text, '\n'), nil
}

// write is the writing goroutine. Answers may wait a moment for company; beginnings may not.
func (r *Recorder) write() {
	defer close(r.done)
	var text []byte
	var waiting []chan struct{}
	lines := 0
	flush := func() {
		r.flush(text, lines)
		for _, w := range waiting {
			close(w)
		}
		text, waiting, lines = text[:0], waiting[:0], 0
	}
	tick := time.NewTicker(answerDelay)
	defer tick.Stop()
	for open := true; open; {
		var e entry
		select {
		case e, open = <-r.lines:
		case <-tick.C:
			if lines > 0 {
				flush()
			}
			continue
		}
		for more := open; more; {
			text = append(text, e.text...)
			lines++
			if e.written != nil {
				waiting = append(waiting, e.written)
			}
			if len(text) >= maxWrite {
				break
			}
			select {
			case e, open = <-r.lines:
				more = open
			default:
				more = false
			}
		}
		if len(waiting) > 0 || len(text) >= maxWrite || !open {
			flush()
		}
	}
	if err := r.out.Close(); err != nil && r.err == nil {
		r.err = fmt.Errorf("close the history: %w", err)
	}
}

func (r *Recorder) flush(text []byte, lines int) {
	if lines == 0 {
		return
	}
	if r.err == nil {
		err := errFull
		if int64(len(text)) <= r.left {
			_, err = r.out.Write(text)
		}
		if err == nil {
			r.left -= int64(len(text))
			r.figure.lines.Add(lines)
			r.figure.bytes.Add(len(text))
			return
		}
		r.err = fmt.Errorf("write the history: %w", err)
		r.log.Error("the recording of the history has ended; what follows cannot be proved", "error", err.Error())
	}
	r.figure.lost.Add(lines)
}
