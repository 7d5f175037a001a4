package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/valyala/fasthttp"

	"fairgate/edge"
)

// startNode starts a node as it runs in production and waits until it has the state object.
func startNode(core *feedingCore) (addr string, stop func(), err error) {
	dir, err := os.MkdirTemp("", "benchedge")
	if err != nil {
		return "", nil, fmt.Errorf("make a folder: %w", err)
	}
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte(benchSecret), 0o600); err != nil {
		return "", nil, fmt.Errorf("write the secret: %w", err)
	}
	c := edge.DefaultConfig()
	c.Listen, c.PrivateListen = "127.0.0.1:0", ""
	c.Cookies.Secure = false
	c.TrustedProxies = []string{"127.0.0.1/32"} // the client gives its browsers addresses
	c.Guard.DataCentres = ""
	c.Core.URLs, c.Core.WebhookURL, c.Core.SecretFile = []string{core.url}, "", secret
	node, err := edge.New(c, slog.New(slog.NewJSONHandler(io.Discard, nil)))
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := node.Run(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "benchedge: the node:", err)
		}
	}()
	stop = func() {
		cancel()
		<-done
		os.RemoveAll(dir)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		status, _, err := fasthttp.Get(nil, "http://"+node.Addr().String()+statePath)
		if err == nil && status == fasthttp.StatusOK {
			return node.Addr().String(), stop, nil
		}
		if time.Now().After(deadline) {
			stop()
			return "", nil, fmt.Errorf("the node does not serve the state object: status %d, %w", status, err)
		}
	}
}

// startConstant starts the server to compare with: nothing but a body and its type.
func startConstant(body []byte) (addr string, stop func(), err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("listen: %w", err)
	}
	srv := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
		ctx.SetContentType("application/json")
		ctx.Response.SetBodyRaw(body)
	}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(ln) // ends with Shutdown; a failure shows as one of the load
	}()
	return ln.Addr().String(), func() { _, _ = srv.Shutdown(), <-done }, nil
}
