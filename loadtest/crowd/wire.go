package crowd

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// readBuffer is a connection's: an answer with a state object in the middle of a sale.
const readBuffer = 16 << 10

// maxBody bounds an answer's body.
const maxBody = 4 << 20

// wire is one kept connection to an edge. One goroutine uses it.
type wire struct {
	addr    string
	timeout time.Duration // a call gets at least this, and a quarter more at most
	conn    net.Conn
	until   time.Time // the connection's deadline
	r       *bufio.Reader
	dials   int
}

// reply is an answer. Its bytes are good until the next call.
type reply struct {
	status     int
	etag       []byte
	gzipped    bool
	retryAfter time.Duration
	body       []byte // nil where it was skipped
	device     []byte // value of a cookie that was set; nil: none was
	pass       []byte
	session    bool

	heads [2048]byte // backing of what is kept of the head
	used  int
}

func (r *reply) keep(b []byte) []byte {
	n := copy(r.heads[r.used:], b)
	kept := r.heads[r.used : r.used+n]
	r.used += n
	return kept
}

// do sends a request and reads the answer. skip says, by ETag, whether the body has been read before. A connection that the server
// closed meanwhile is opened again, once, as browsers do.
func (w *wire) do(request []byte, into *reply, skip func(etag []byte) bool) error {
	for first := w.conn != nil; ; first = false {
		err := w.try(request, into, skip)
		if err == nil {
			return nil
		}
		w.close()
		var slow net.Error
		if !first || errors.As(err, &slow) && slow.Timeout() {
			return err
		}
	}
}

func (w *wire) close() {
	if w.conn != nil {
		w.conn.Close()
		w.conn = nil
	}
}

func (w *wire) try(request []byte, into *reply, skip func([]byte) bool) error {
	if w.conn == nil {
		conn, err := net.DialTimeout("tcp", w.addr, w.timeout)
		if err != nil {
			return err
		}
		w.conn, w.until = conn, time.Time{}
		w.dials++
		if w.r == nil {
			w.r = bufio.NewReaderSize(conn, readBuffer)
		} else {
			w.r.Reset(conn)
		}
	}
	if now := time.Now(); w.until.Sub(now) < w.timeout { // moved on in steps of a quarter: it costs as much as a small write
		w.until = now.Add(w.timeout + w.timeout/4)
		if err := w.conn.SetDeadline(w.until); err != nil {
			return err
		}
	}
	if _, err := w.conn.Write(request); err != nil {
		return err
	}
	return w.read(into, skip)
}

// read reads one answer.
func (w *wire) read(into *reply, skip func([]byte) bool) error {
	*into = reply{}
	line, err := w.r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return fmt.Errorf("an answer begins with %.80q", line)
	}
	if into.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return fmt.Errorf("an answer begins with %.80q", line)
	}
	size, last := 0, false
	for {
		line, err := w.r.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch string(name) {
		case "Content-Length":
			if size, err = strconv.Atoi(string(value)); err != nil || size < 0 || size > maxBody {
				return fmt.Errorf("an answer says a length of %.40q", value)
			}
		case "ETag", "Etag":
			into.etag = into.keep(value)
		case "Content-Encoding":
			into.gzipped = string(value) == "gzip"
		case "Retry-After":
			if seconds, err := strconv.Atoi(string(value)); err == nil {
				into.retryAfter = time.Duration(seconds) * time.Second
			}
		case "Connection":
			last = string(value) == "close"
		case "Set-Cookie":
			into.cookie(value)
		}
	}
	if into.status != 304 && into.status != 204 {
		if skip != nil && into.status == 200 && skip(into.etag) {
			_, err = w.r.Discard(size)
		} else {
			into.body = make([]byte, size)
			_, err = io.ReadFull(w.r, into.body)
		}
	}
	if last {
		w.close()
	}
	return err
}

func (r *reply) cookie(line []byte) {
	pair, _, _ := bytes.Cut(line, []byte(";"))
	name, value, _ := bytes.Cut(pair, []byte("="))
	switch {
	case bytes.HasSuffix(name, []byte("fg_device")):
		r.device = r.keep(value)
	case bytes.Contains(name, []byte("fg_pass_")):
		r.pass = r.keep(value)
	case bytes.Contains(name, []byte("fg_session_")):
		r.session = len(value) > 0
	}
}
