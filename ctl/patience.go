package ctl

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"time"
)

// getLong reads what core may compute for minutes, and says now and then that it still does. Core bounds it.
func (c *client) getLong(ctx context.Context, out io.Writer, where string, query url.Values) (json.RawMessage, error) {
	quiet := c.waiting(ctx, out)
	defer quiet()
	return c.patient().get(ctx, where, query)
}

// waiting says how long core has been at it, until the returned function is called.
func (c *client) waiting(ctx context.Context, out io.Writer) (quiet func()) {
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	every, began := progressEvery, time.Now()
	if c.http.Timeout > 0 {
		every = min(every, c.http.Timeout)
	}
	go func() {
		defer close(ended)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				fmt.Fprintf(out, "core is still at it, after %s\n", time.Since(began).Round(time.Second))
			}
		}
	}()
	return func() { stop(); <-ended }
}
