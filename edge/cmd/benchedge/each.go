package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"time"
)

// loadEach is load for calls that differ and answers whose length is not known before: next is shared, each call is made in turn. It
// fails on any answer that does not begin with status.
func loadEach(addr string, connections int, length time.Duration, calls [][]byte, next *atomic.Uint64, status string) (float64, error) {
	want := []byte("HTTP/1.1 " + status + " ")
	return over(addr, connections, length, func(conn net.Conn, stop *atomic.Bool) (answers int64, err error) {
		w := wire{conn: conn}
		for ; !stop.Load(); answers++ {
			got, err := w.ask(calls[next.Add(1)%uint64(len(calls))])
			if err == nil && !bytes.HasPrefix(got, want) {
				err = fmt.Errorf("an answer is %.500q, not %s", got, status)
			}
			if err != nil {
				return answers, err
			}
		}
		return answers, nil
	})
}

// wire is one connection with one call under way at a time.
type wire struct {
	conn net.Conn
	buf  []byte
}

var lengthIs = []byte("\r\nContent-Length: ")

// ask sends a call and reads the whole answer, which is good until the next call.
func (w *wire) ask(call []byte) ([]byte, error) {
	if _, err := w.conn.Write(call); err != nil {
		return nil, err
	}
	if w.buf == nil {
		w.buf = make([]byte, 64<<10)
	}
	for n := 0; ; {
		read, err := w.conn.Read(w.buf[n:])
		if err != nil {
			return nil, err
		}
		n += read
		head := bytes.Index(w.buf[:n], []byte("\r\n\r\n"))
		if head < 0 {
			continue
		}
		size, err := bodyLength(w.buf[:head+2])
		if err != nil {
			return nil, err
		}
		total := head + 4 + size
		if total > len(w.buf) {
			return nil, fmt.Errorf("an answer has %d bytes", total)
		}
		if n < total {
			if _, err := io.ReadFull(w.conn, w.buf[n:total]); err != nil {
				return nil, err
			}
		}
		return w.buf[:total], nil
	}
}

func bodyLength(head []byte) (int, error) {
	at := bytes.Index(head, lengthIs)
	if at < 0 {
		return 0, fmt.Errorf("an answer says no length: %q", head)
	}
	digits, _, _ := bytes.Cut(head[at+len(lengthIs):], []byte("\r\n"))
	return strconv.Atoi(string(digits))
}

// firstBody is the body of the answer to one call.
func firstBody(addr string, call []byte) ([]byte, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return nil, err
	}
	w := wire{conn: conn}
	answer, err := w.ask(call)
	if err != nil {
		return nil, err
	}
	_, body, _ := bytes.Cut(answer, []byte("\r\n\r\n"))
	return body, nil
}
