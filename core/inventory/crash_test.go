package inventory_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/core/inventory"
)

// wire is a connection to the database that breaks in the middle of a commit.
type wire struct {
	listener net.Listener
	server   string

	mu       sync.Mutex
	onCommit func() fate // called once, for the next COMMIT of a SERIALIZABLE transaction
	lines    sync.WaitGroup
}

func newWire(t *testing.T, server string) *wire {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: listener, server: server}
	w.lines.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			w.lines.Go(func() { w.carry(client) })
		}
	})
	t.Cleanup(func() { listener.Close(); w.lines.Wait() })
	return w
}

// fate is what becomes of a COMMIT.
type fate int

const (
	pass       fate = iota
	loseCommit      // the connection breaks before the server hears of it
	loseAnswer      // the connection breaks after the server has committed
)

// carry copies both ways and looks out for COMMIT on the way to the server.
func (w *wire) carry(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", w.server)
	if err != nil {
		return
	}
	defer server.Close()
	var deaf atomic.Bool
	w.lines.Go(func() {
		defer client.Close()
		answer := make([]byte, 64<<10)
		for {
			n, err := server.Read(answer)
			if err != nil || deaf.Load() {
				return
			}
			if _, err := client.Write(answer[:n]); err != nil {
				return
			}
		}
	})
	question := make([]byte, 64<<10)
	serializable := false
	for {
		n, err := client.Read(question)
		if err != nil {
			return
		}
		said := bytes.ToLower(question[:n])
		if bytes.Contains(said, []byte("begin ")) {
			serializable = bytes.Contains(said, []byte("serializable"))
		}
		if serializable && bytes.Contains(said, []byte("commit\x00")) {
			w.mu.Lock()
			act := w.onCommit
			w.onCommit = nil
			w.mu.Unlock()
			if act != nil {
				switch act() {
				case loseCommit:
					return
				case loseAnswer:
					deaf.Store(true)
				}
			}
		}
		if _, err := server.Write(question[:n]); err != nil {
			return
		}
	}
}

// next arms the wire.
func (w *wire) next(act func() fate) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.onCommit = act
}

// throughWire opens the world's database over a wire.
func throughWire(t *testing.T, d *db.DB) (*db.DB, *wire) {
	config := d.Pool.Config().ConnConfig
	w := newWire(t, net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port))))
	u := url.URL{Scheme: "postgres", User: url.UserPassword(config.User, config.Password), Host: w.listener.Addr().String(),
		Path: "/" + config.Database, RawQuery: "sslmode=disable"}
	wired, err := db.Open(t.Context(), u.String(), db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(wired.Close)
	return wired, w
}

func TestACommitWhoseAnswerIsLostIsFoundAgain(t *testing.T) {
	world := newWorld(t, dbtest.New(t))
	d, wire := throughWire(t, world.db)
	for name, lost := range map[string]fate{"after the server committed": loseAnswer, "before the server heard of it": loseCommit} {
		t.Run(name, func(t *testing.T) {
			s := world.serviceOn(d, inventory.Hooks{})
			before := world.taken(s)["floor/general"]
			wire.next(func() fate { return lost })
			r := world.request(world.someone(), "k", general("floor", 2))
			h, err := s.Hold(world.ctx, r)
			if err != nil || h.State != inventory.Active {
				t.Fatalf("hold %+v, %v", h, err)
			}
			if got := world.taken(s)["floor/general"]; got != before+2 {
				t.Errorf("%d are taken, %d were", got, before)
			}
			world.mustAudit()
		})
	}
}

func TestACallerWhoLeavesDuringTheCommitFindsTheHoldLater(t *testing.T) {
	world := newWorld(t, dbtest.New(t))
	d, wire := throughWire(t, world.db)
	s := world.serviceOn(d, inventory.Hooks{})
	ctx, leave := context.WithCancel(world.ctx)
	answered := make(chan struct{})
	wire.next(func() fate {
		leave()
		<-answered
		return pass
	})
	r := world.request(world.someone(), "k", general("pit", 3))
	_, err := s.Hold(ctx, r)
	if !errors.Is(err, db.ErrAmbiguous) || !errors.Is(err, context.Canceled) {
		t.Errorf("whoever leaves during the commit is told %v", err)
	}
	close(answered)
	h, err := s.Hold(world.ctx, r)
	if err != nil || h.ID != inventory.HoldID(r.Event, r.Entrant, r.Key) {
		t.Errorf("repeated: %+v, %v", h, err)
	}
	if got := world.taken(s)["pit/general"]; got != 3 {
		t.Errorf("%d are taken", got)
	}
	world.mustAudit()
}

func TestWithoutADatabaseRequestsAreNeitherGrantedNorRefused(t *testing.T) {
	world := newWorld(t, dbtest.New(t))
	d, wire := throughWire(t, world.db)
	s := world.serviceOn(d, inventory.Hooks{})
	world.mustHold(s, general("floor", 1))
	wire.listener.Close()
	d.Pool.Reset()
	d.Reader.Reset()
	_, err := s.Hold(world.ctx, world.request(world.someone(), "k", general("floor", 1)))
	if !errors.Is(err, db.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}
