package loadtest

import (
	"net"
	"sync"
	"testing"
)

// cable is between a browser and an edge. It can go deaf, so that what is sent is lost and nobody says so, and be cut.
type cable struct {
	address, to string

	mu     sync.Mutex
	deaf   bool
	listen net.Listener
	ends   []net.Conn
}

// mend leads to the edge again, or for the first time.
func (c *cable) mend(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", c.address)
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	c.listen, c.deaf = listener, false
	c.mu.Unlock()
	go func() { // ends with the listener
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			c.join(near)
		}
	}()
}

// join leads a connection to its end, unless nothing gets there.
func (c *cable) join(near net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ends = append(c.ends, near)
	if c.deaf {
		return
	}
	far, err := net.Dial("tcp", c.to)
	if err != nil {
		_ = near.Close()
		return
	}
	c.ends = append(c.ends, far)
	go c.carry(near, far)
	go c.carry(far, near)
}

// carry ends when either side closes.
func (c *cable) carry(to, from net.Conn) {
	defer to.Close()
	chunk := make([]byte, 32<<10)
	for {
		n, err := from.Read(chunk)
		c.mu.Lock()
		lost := c.deaf
		c.mu.Unlock()
		if n > 0 && !lost {
			if _, err := to.Write(chunk[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// goDeaf loses what is sent from now on: connections stay open, and nothing comes.
func (c *cable) goDeaf() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaf = true
}

// cut closes everything, and lets nobody in until it is mended.
func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.listen.Close()
	for _, end := range c.ends {
		_ = end.Close()
	}
	c.ends = nil
}
