package event_test

import (
	"bytes"
	"errors"
	"net"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"fairgate/core/db"
	"fairgate/core/db/dbtest"
	"fairgate/core/event"
)

// cutAtCommit opens d's database over connections that break at the next so many COMMITs: before the server hears of them,
// or after it has answered and before the answer arrives.
func cutAtCommit(t *testing.T, d *db.DB, cuts int32, committed bool) (*db.DB, *atomic.Int32) {
	t.Helper()
	config := d.Pool.Config().ConnConfig
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var left atomic.Int32
	var lines sync.WaitGroup
	carry := func(client net.Conn) {
		defer client.Close()
		server, err := net.Dial("tcp", net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port))))
		if err != nil {
			return
		}
		defer server.Close()
		var deaf atomic.Bool
		lines.Go(func() {
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
		for {
			n, err := client.Read(question)
			if err != nil {
				return
			}
			if bytes.Contains(bytes.ToLower(question[:n]), []byte("commit\x00")) && left.Add(-1) >= 0 {
				if !committed {
					return
				}
				deaf.Store(true)
			}
			if _, err := server.Write(question[:n]); err != nil {
				return
			}
		}
	}
	lines.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			lines.Go(func() { carry(client) })
		}
	})
	t.Cleanup(func() { listener.Close(); lines.Wait() })
	u := url.URL{Scheme: "postgres", User: url.UserPassword(config.User, config.Password), Host: listener.Addr().String(),
		Path: "/" + config.Database, RawQuery: "sslmode=disable"}
	cut, err := db.Open(t.Context(), u.String(), db.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cut.Close)
	left.Store(cuts)
	return cut, &left
}

func TestKeysAreMadeAlthoughACommitsOutcomeIsUnknown(t *testing.T) {
	for name, committed := range map[string]bool{"after it committed": true, "before the server heard of it": false} {
		t.Run(name, func(t *testing.T) {
			d := dbtest.New(t)
			cut, left := cutAtCommit(t, d, 1, committed)
			if err := event.NewStore(cut, event.Options{}).EnsureGlobalKeys(t.Context(), event.SessionPurpose, event.SessionFilterPurpose); err != nil {
				t.Fatal(err)
			}
			if left.Load() >= 0 {
				t.Error("no COMMIT was cut, or none came after it")
			}
			for _, p := range []event.Purpose{event.SessionPurpose, event.SessionFilterPurpose} {
				if ring, err := event.Keys(t.Context(), d.Reader, p, event.GlobalScope); err != nil || len(ring) != 1 {
					t.Errorf("%s: %v, %v", p, ring, err)
				}
			}
		})
	}
}

func TestMakingKeysGivesUpOnADatabaseThatNeverAnswersACommit(t *testing.T) {
	cut, _ := cutAtCommit(t, dbtest.New(t), 1000, true)
	err := event.NewStore(cut, event.Options{}).EnsureGlobalKeys(t.Context(), event.SessionPurpose)
	if !errors.Is(err, db.ErrAmbiguous) {
		t.Errorf("got %v", err)
	}
}
