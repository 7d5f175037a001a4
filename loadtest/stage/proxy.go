package stage

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// maxMessage bounds one message of the PostgreSQL protocol; a batch of 500 holds is some hundred kilobytes.
const maxMessage = 64 << 20

// Trouble is what can happen to a COMMIT.
type Trouble int

const (
	NoTrouble     Trouble = iota
	CutBefore             // the connection breaks before the server hears of it
	CutAfter              // the server commits, the connection breaks before the answer
	Serialization         // the server rolls back, the answer is 40001
	UnknownResult         // the server commits, the answer is 40003
	Troubles
)

// String is what happens, in words.
func (t Trouble) String() string {
	return [...]string{"none", "cut before the commit", "cut after the commit", "40001 at commit", "40003 at commit"}[t]
}

// Proxy stands between the cores and PostgreSQL and troubles a share of the COMMITs. It is safe for concurrent use. It knows as much of the protocol as
// it takes to find them: messages have a type and a length, and pgx sends COMMIT as a simple query while nothing else is
// under way on its connection.
type Proxy struct {
	listener net.Listener
	target   atomic.Pointer[string]
	share    atomic.Uint64 // of COMMITs to trouble, in millionths
	did      [Troubles]atomic.Int64
	commits  atomic.Int64

	mu    sync.Mutex
	rng   *rand.Rand
	conns map[net.Conn]struct{}
	shut  bool
	open  sync.WaitGroup
}

// NewProxy listens on a port of loopback until Close. target is the address of the database, seed decides which COMMITs are troubled.
func NewProxy(target string, seed uint64) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the programs' connections to the database: %w", err)
	}
	p := &Proxy{listener: l, rng: rand.New(rand.NewPCG(seed, 0x70726f7879)), conns: make(map[net.Conn]struct{})}
	p.target.Store(&target)
	p.open.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.open.Go(func() { p.serve(conn) })
		}
	})
	return p, nil
}

// Address is where the proxy listens.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Trouble sets which share of COMMITs is troubled from now on, 0 to 1.
func (p *Proxy) Trouble(share float64) { p.share.Store(uint64(share * 1e6)) }

// Close cuts all connections and returns when they are gone.
func (p *Proxy) Close() {
	p.listener.Close()
	p.mu.Lock()
	p.shut = true
	for c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.open.Wait()
}

// Redirect has new connections go to another address of the database.
func (p *Proxy) Redirect(target string) { p.target.Store(&target) }

// Commits is how many COMMITs came by.
func (p *Proxy) Commits() int64 { return p.commits.Load() }

// Did is how often a trouble was made.
func (p *Proxy) Did(t Trouble) int64 { return p.did[t].Load() }

// keep remembers a connection, to close it with the proxy.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shut {
		c.Close()
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *Proxy) forget(c net.Conn) {
	c.Close()
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
}

// draw decides what happens to a COMMIT.
func (p *Proxy) draw() Trouble {
	p.commits.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rng.Uint64N(1e6) >= p.share.Load() {
		return NoTrouble
	}
	t := Trouble(1 + p.rng.IntN(int(Troubles)-1))
	p.did[t].Add(1)
	return t
}

// link is one connection of a core and its counterpart.
type link struct {
	client, server net.Conn
	// instead is what the client is told in place of the answer that is under way, nil for the answer itself. It is set
	// while nothing is under way, and read when the answer is there.
	instead atomic.Pointer[[]byte]
}

func (p *Proxy) serve(client net.Conn) {
	if !p.keep(client) {
		return
	}
	defer p.forget(client)
	server, err := net.DialTimeout("tcp", *p.target.Load(), 2*time.Second)
	if err != nil {
		return // the database is down: the core sees its connection refused, if a little late
	}
	if !p.keep(server) {
		return
	}
	defer p.forget(server)
	l := &link{client: client, server: server}
	var answers sync.WaitGroup
	answers.Go(func() {
		_ = l.answers() // ends with the connection, like its other half
		client.Close()
		server.Close()
	})
	_ = p.requests(l)
	client.Close()
	server.Close()
	answers.Wait()
}

// requests passes the client's messages on until one of the two is gone.
func (p *Proxy) requests(l *link) error {
	in := bufio.NewReaderSize(l.client, 64<<10)
	first, err := readMessage(in, 0) // the start-up message has no type
	if err != nil {
		return err
	}
	if _, err := l.server.Write(first); err != nil {
		return err
	}
	for {
		m, err := readMessage(in, 1)
		if err != nil {
			return err
		}
		if isCommit(m) {
			if err := l.commit(m, p.draw()); err != nil {
				return err
			}
			continue
		}
		if _, err := l.server.Write(m); err != nil {
			return err
		}
	}
}

// errCut ends a connection that the proxy cuts.
var errCut = errors.New("cut")

// commit treats a COMMIT as was drawn for it.
func (l *link) commit(m []byte, t Trouble) error {
	switch t {
	case CutBefore:
		return errCut
	case CutAfter:
		// The answer is awaited, so that the commit has certainly happened, and thrown away.
		l.instead.Store(&[]byte{})
	case Serialization:
		l.instead.Store(failure("40001", "could not serialize access (the proxy)"))
		m = mustEncode(&pgproto3.Query{String: "rollback"})
	case UnknownResult:
		l.instead.Store(failure("40003", "result is ambiguous (the proxy)"))
	}
	_, err := l.server.Write(m)
	return err
}

// answers passes the server's messages on until one of the two is gone.
func (l *link) answers() error {
	in := bufio.NewReaderSize(l.server, 64<<10)
	for {
		m, err := readMessage(in, 1)
		if err != nil {
			return err
		}
		if instead := l.instead.Load(); instead != nil {
			if m[0] != 'Z' {
				continue // swallowed
			}
			if len(*instead) == 0 {
				return errCut
			}
			l.instead.Store(nil)
			m = *instead
		}
		if _, err := l.client.Write(m); err != nil {
			return err
		}
	}
}

// failure is an error report of the server, which is ready for the next query behind it.
func failure(code, text string) *[]byte {
	b := append(mustEncode(&pgproto3.ErrorResponse{Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: code, Message: text}),
		mustEncode(&pgproto3.ReadyForQuery{TxStatus: 'I'})...)
	return &b
}

func mustEncode(m pgproto3.Message) []byte {
	b, err := m.Encode(nil)
	if err != nil {
		panic("stage: a message of constants cannot fail to encode: " + err.Error())
	}
	return b
}

// isCommit tells whether a message is the simple query with which pgx commits.
func isCommit(m []byte) bool {
	return m[0] == 'Q' && len(m) == len("Q....commit.") && strings.EqualFold(string(m[5:len(m)-1]), "commit")
}

// readMessage reads one message with its type, if it has one, and its length.
func readMessage(in io.Reader, typed int) ([]byte, error) {
	head := make([]byte, typed+4)
	if _, err := io.ReadFull(in, head); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[typed:])
	if n < 4 || n > maxMessage {
		return nil, fmt.Errorf("a message of %d bytes", n)
	}
	m := make([]byte, typed+int(n))
	copy(m, head)
	_, err := io.ReadFull(in, m[len(head):])
	return m, err
}
