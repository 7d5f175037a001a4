package gate

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/google/uuid"
)

var (
	// ErrLog means that a log has a line that no gate wrote.
	ErrLog = errors.New("gate: malformed log")
	// ErrLogInUse means that another process writes to the log.
	ErrLogInUse = errors.New("gate: log in use")
)

// maxLine bounds a line of a log; the longest has some 700 bytes.
const maxLine = 4 << 10

// Record is one line of a log: a scan, or that an earlier one is undone.
type Record struct {
	ID        uuid.UUID `json:"id"` // random; the same record twice is one
	Event     uuid.UUID `json:"event"`
	Gate      string    `json:"gate"`
	Zone      string    `json:"zone,omitempty"`
	At        time.Time `json:"at"` // by the gate's clock
	Direction Direction `json:"direction,omitempty"`
	Code      string    `json:"code,omitempty"`    // without its rotating part; of what is no code of the event nothing
	Refused   string    `json:"refused,omitempty"` // a Reason; empty: the gate opened
	Undo      uuid.UUID `json:"undo,omitzero"`     // the scan that is undone, …
	Reason    string    `json:"reason,omitempty"`  // … and why
}

// Pass is a record as a pass.
func (r Record) Pass() Pass { return Pass{ID: r.ID, Direction: r.Direction, Gate: r.Gate, At: r.At} }

// Log is a file to which records are appended, each on disk before Append returns. One process has it at a time; the lock goes
// with the process. It may not be used from several goroutines at once.
type Log struct{ file *os.File }

// OpenLog opens or makes a log and gives back what it has. A torn last line is cut off.
func OpenLog(path string) (_ *Log, _ []Record, err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open the log: %w", err)
	}
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, nil, fmt.Errorf("%w: %s", ErrLogInUse, path)
		}
		return nil, nil, fmt.Errorf("lock the log: %w", err)
	}
	records, whole, err := ReadLog(file)
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", path, err)
	}
	if err := file.Truncate(whole); err != nil {
		return nil, nil, fmt.Errorf("cut the log's torn line: %w", err)
	}
	if err := file.Sync(); err != nil {
		return nil, nil, fmt.Errorf("write the log: %w", err)
	}
	return &Log{file}, records, nil
}

// Append writes one record. After an error it is unknown whether the record is there: the gate stays closed, and the log is opened anew.
func (l *Log) Append(r Record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode a scan: %w", err)
	}
	if _, err := l.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write the log: %w", err)
	}
	if err := l.file.Sync(); err != nil {
		return fmt.Errorf("write the log: %w", err)
	}
	return nil
}

// Close closes the file and lets go of it.
func (l *Log) Close() error { return l.file.Close() }

// ReadLog reads the records of a log and how many bytes of it are whole lines. What stands behind the last line's end is torn and left
// out. ErrLog names the line that is not a record.
func ReadLog(r io.Reader) (records []Record, whole int64, err error) {
	lines := bufio.NewReaderSize(r, maxLine)
	for n := 1; ; n++ {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return records, whole, nil
		}
		if err != nil {
			return nil, 0, fmt.Errorf("%w: line %d: %w", ErrLog, n, err)
		}
		d := json.NewDecoder(bytes.NewReader(line))
		d.DisallowUnknownFields()
		var one Record
		if err := d.Decode(&one); err != nil {
			return nil, 0, fmt.Errorf("%w: line %d: %w", ErrLog, n, err)
		}
		if err := one.check(); err != nil {
			return nil, 0, fmt.Errorf("%w: line %d: %w", ErrLog, n, err)
		}
		records = append(records, one)
		whole += int64(len(line))
	}
}

// Limits of what a record says.
const (
	MaxName   = 63 // of a gate
	maxReason = 500
)

// check tells what no gate would write.
func (r Record) check() error {
	scan := r.Code != "" && r.Undo == uuid.Nil && (r.Direction == In || r.Direction == Out) && (r.Refused == "" || Known(r.Refused)) && r.Reason == ""
	strange := r.Code == "" && r.Undo == uuid.Nil && (r.Direction == In || r.Direction == Out) && stranger(r.Refused) && r.Reason == ""
	undo := r.Code == "" && r.Undo != uuid.Nil && r.Direction == "" && r.Refused == "" && r.Reason != "" && len(r.Reason) <= maxReason
	switch {
	case r.ID == uuid.Nil || r.Event == uuid.Nil || r.At.IsZero() || r.At.Year() < 2000 || r.At.Year() > 2200:
		return errors.New("it lacks an id, an event or a time")
	case r.Gate == "" || len(r.Gate) > MaxName || len(r.Zone) > MaxName:
		return errors.New("it lacks a gate")
	case !scan && !strange && !undo:
		return errors.New("it is neither a scan nor undoes one")
	}
	return nil
}

// Strange tells whether the record is of what is no code of the event: it says no more than that it was refused.
func (r Record) Strange() bool { return r.Code == "" && r.Undo == uuid.Nil }

// Check is check for records that came another way than by a log.
func (r Record) Check() error {
	if err := r.check(); err != nil {
		return fmt.Errorf("%w: %w", ErrLog, err)
	}
	return nil
}
