package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// load asks over so many connections, one request at a time on each, and returns the answers per second. The client does
// as little as possible, so that the server is what is measured: it learns the length of an answer from the first one and
// then reads that many bytes each time.
func load(addr string, connections int, length time.Duration, bodySize int) (float64, error) {
	request := []byte("GET " + statePath + " HTTP/1.1\r\nHost: " + addr + "\r\n\r\n")
	return over(addr, connections, length, func(conn net.Conn, stop *atomic.Bool) (int64, error) { return ask(conn, request, bodySize, stop) })
}

// over runs a caller on each of so many connections until it is told to stop, and returns the answers per second of all.
func over(addr string, connections int, length time.Duration, caller func(conn net.Conn, stop *atomic.Bool) (answers int64, err error)) (float64, error) {
	conns := make([]net.Conn, connections)
	for i := range conns {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return 0, err
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(length + 20*time.Second)); err != nil {
			return 0, err
		}
		conns[i] = conn
	}
	var answers atomic.Int64
	var stop atomic.Bool
	errs := make(chan error, connections)
	var wg sync.WaitGroup
	began := time.Now()
	for _, conn := range conns {
		wg.Go(func() {
			n, err := caller(conn, &stop)
			answers.Add(n)
			if err != nil {
				errs <- err
			}
		})
	}
	time.Sleep(length)
	stop.Store(true)
	wg.Wait()
	took := time.Since(began)
	select {
	case err := <-errs:
		return 0, err
	default:
		return float64(answers.Load()) / took.Seconds(), nil
	}
}

// ask repeats the request on one connection until it is told to stop.
func ask(conn net.Conn, request []byte, bodySize int, stop *atomic.Bool) (answers int64, err error) {
	if _, err := conn.Write(request); err != nil {
		return 0, err
	}
	size, err := firstAnswer(conn, bodySize)
	if err != nil {
		return 0, err
	}
	buf := make([]byte, size)
	for answers = 1; !stop.Load(); answers++ {
		if _, err := conn.Write(request); err != nil {
			return answers, err
		}
		if _, err := io.ReadFull(conn, buf); err != nil {
			return answers, err
		}
		if !bytes.HasPrefix(buf, []byte("HTTP/1.1 200 OK\r\n")) {
			return answers, fmt.Errorf("an answer begins with %q", buf[:min(len(buf), 40)])
		}
	}
	return answers, nil
}

// firstAnswer reads one answer, checks it, and returns its length, headers included.
func firstAnswer(conn net.Conn, bodySize int) (int, error) {
	var got []byte
	chunk := make([]byte, 64<<10)
	for {
		n, err := conn.Read(chunk)
		if err != nil {
			return 0, err
		}
		got = append(got, chunk[:n]...)
		head := bytes.Index(got, []byte("\r\n\r\n"))
		if head < 0 {
			continue
		}
		if !bytes.Contains(got[:head], []byte("Content-Length: "+strconv.Itoa(bodySize))) || !bytes.HasPrefix(got, []byte("HTTP/1.1 200 ")) {
			return 0, fmt.Errorf("unexpected answer: %q", got[:head])
		}
		if size := head + 4 + bodySize; len(got) >= size {
			return size, nil
		}
	}
}
