package db_test

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// wireServer speaks the server's side of the PostgreSQL protocol and does what a script tells it. It keeps a book of its
// own: an INSERT takes effect when its transaction commits in the way of the engine it plays.
type wireServer struct {
	complain  func(string, ...any)
	version   string
	script    func(nth int, sql string) reply // nth time this statement is seen, from 1
	isolation string                          // the default it claims; empty: serializable
	ln        net.Listener
	wg        sync.WaitGroup

	mu         sync.Mutex
	seen       map[string]int
	statements []string
	effects    int // INSERTs committed
	conns      []net.Conn
}

// reply is what the script wants instead of the usual answer; the zero reply is the usual answer.
type reply struct {
	code     string // answer with this SQLSTATE
	severity string // default ERROR; FATAL also closes the connection
	hangUp   bool   // close the connection without an answer
	after    bool   // do the work first, then fail: the answer is lost, the effect is not
	hang     bool   // never answer
}

const (
	cockroachVersion = "CockroachDB CCL v24.3.1 (x86_64-pc-linux-gnu, built 2024/12/02, go1.22.8)"
	postgresVersion  = "PostgreSQL 15.14 (Debian 15.14-0+deb12u1) on x86_64-pc-linux-gnu"
)

// newWireServer listens until the test ends.
func newWireServer(t testing.TB, version string, script func(nth int, sql string) reply) *wireServer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &wireServer{complain: t.Errorf, version: version, script: script, ln: ln, seen: map[string]int{}}
	s.wg.Go(s.accept)
	t.Cleanup(func() {
		ln.Close()
		s.hangUp()
		s.wg.Wait()
	})
	return s
}

// serveWire plays a server with no script at an address until the process ends.
func serveWire(address, version string) {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	complain := func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	s := &wireServer{complain: complain, version: version, script: func(int, string) reply { return reply{} }, ln: ln, seen: map[string]int{}}
	s.accept()
}

func (s *wireServer) url() string {
	return fmt.Sprintf("postgres://u:p@%s/d?sslmode=disable&default_query_exec_mode=simple_protocol", s.ln.Addr())
}

// hangUp closes every connection.
func (s *wireServer) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		c.Close()
	}
}

// count tells how many statements of the log begin with prefix.
func (s *wireServer) count(prefix string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, statement := range s.statements {
		if strings.HasPrefix(statement, prefix) {
			n++
		}
	}
	return n
}

func (s *wireServer) committed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.effects
}

func (s *wireServer) accept() {
	for {
		c, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns = append(s.conns, c)
		s.mu.Unlock()
		s.wg.Go(func() {
			defer c.Close()
			session := &wireSession{server: s, backend: pgproto3.NewBackend(c, c), status: 'I'}
			session.run()
		})
	}
}

// wireSession is one connection.
type wireSession struct {
	server  *wireServer
	backend *pgproto3.Backend
	status  byte // I idle, T in a transaction, E in a failed one
	pending int  // INSERTs of the open transaction
}

func (c *wireSession) run() {
	hello, err := c.backend.ReceiveStartupMessage()
	if _, cancel := hello.(*pgproto3.CancelRequest); cancel {
		c.server.hangUp() // the one way to get at a statement that hangs
		return
	}
	if err != nil {
		return
	}
	c.backend.Send(&pgproto3.AuthenticationOk{})
	c.backend.Send(&pgproto3.ParameterStatus{Name: "standard_conforming_strings", Value: "on"})
	c.backend.Send(&pgproto3.ParameterStatus{Name: "client_encoding", Value: "UTF8"})
	c.backend.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{0, 0, 0, 1}})
	for c.ready() {
		message, err := c.backend.Receive()
		if err != nil {
			return
		}
		query, ok := message.(*pgproto3.Query)
		if !ok {
			if _, bye := message.(*pgproto3.Terminate); !bye {
				c.server.complain("the scripted server got a %T", message)
			}
			return
		}
		if !c.answer(strings.ToUpper(strings.TrimSpace(query.String))) {
			return
		}
	}
}

func (c *wireSession) ready() bool {
	c.backend.Send(&pgproto3.ReadyForQuery{TxStatus: c.status})
	return c.backend.Flush() == nil
}

// answer does one statement; false ends the connection.
func (c *wireSession) answer(sql string) bool {
	s := c.server
	s.mu.Lock()
	s.seen[sql]++
	s.statements = append(s.statements, sql)
	want := s.script(s.seen[sql], sql)
	s.mu.Unlock()
	switch {
	case want.hangUp:
		if want.after {
			c.execute(sql)
		}
		return false
	case want.hang:
		_, err := c.backend.Receive() // until the client goes away
		return err == nil
	case want.code != "":
		if want.after {
			c.execute(sql)
		}
		return c.fail(sql, want)
	case c.status == 'E' && !strings.HasPrefix(sql, "ROLLBACK") && !strings.HasPrefix(sql, "COMMIT"):
		return c.fail(sql, reply{code: "25P02"})
	}
	if strings.HasPrefix(sql, "--") || sql == "" { // pgx's ping
		c.backend.Send(&pgproto3.EmptyQueryResponse{})
		return true
	}
	tag, rows := c.execute(sql)
	for _, row := range rows {
		c.backend.Send(&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("v"), DataTypeOID: 25, DataTypeSize: -1, TypeModifier: -1}}})
		c.backend.Send(&pgproto3.DataRow{Values: [][]byte{[]byte(row)}})
	}
	c.backend.Send(&pgproto3.CommandComplete{CommandTag: []byte(tag)})
	return true
}

func (c *wireSession) fail(sql string, want reply) bool {
	severity := want.severity
	if severity == "" {
		severity = "ERROR"
	}
	c.backend.Send(&pgproto3.ErrorResponse{
		Severity: severity, SeverityUnlocalized: severity, Code: want.code, Message: "as scripted", ConstraintName: "scripted_constraint",
	})
	switch {
	case strings.HasPrefix(sql, "COMMIT"):
		c.status, c.pending = 'I', 0
	case c.status == 'T':
		c.status = 'E'
	}
	if severity == "FATAL" {
		_ = c.backend.Flush()
		return false
	}
	return true
}

// execute moves the books and tells the command tag.
func (c *wireSession) execute(sql string) (tag string, rows []string) {
	cockroach := strings.HasPrefix(c.server.version, "CockroachDB")
	verb, _, _ := strings.Cut(sql, " ")
	switch {
	case sql == "SELECT VERSION()":
		return "SELECT 1", []string{c.server.version}
	case strings.HasPrefix(sql, "SHOW DEFAULT_TRANSACTION_ISOLATION"):
		return "SHOW", []string{cmp.Or(c.server.isolation, "serializable")}
	case verb == "BEGIN":
		c.status, c.pending = 'T', 0
	case verb == "INSERT":
		c.pending++
		return "INSERT 0 1", nil
	case strings.HasPrefix(sql, "ROLLBACK TO"):
		c.status, c.pending = 'T', 0
		return "ROLLBACK", nil
	case verb == "ROLLBACK":
		c.status, c.pending = 'I', 0
	case verb == "RELEASE":
		if cockroach { // the commit of CockroachDB's protocol
			c.commit()
		}
	case verb == "COMMIT":
		failed := c.status == 'E'
		c.status = 'I'
		if failed {
			c.pending = 0
			return "ROLLBACK", nil
		}
		c.commit()
	}
	return verb, nil
}

func (c *wireSession) commit() {
	c.server.mu.Lock()
	c.server.effects += c.pending
	c.server.mu.Unlock()
	c.pending = 0
}
