// Command benchedge measures what an edge does most: answering with the state object, checking passes, and minting and
// checking admission tokens. It starts a real node against a core that only knows how to feed it, and compares it, over
// loopback connections and in turns, with a fasthttp server that answers a constant of the same size.
//
// The last line is one JSON object: state_vs_constant, state_per_second, constant_per_second, pass_verify_ns,
// token_mint_ns, token_verify_ns. Each is the median of several rounds.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/valyala/fasthttp"

	"fairgate/edge"
)

// figures is the last line.
type figures struct {
	StateVsConstant   float64 `json:"state_vs_constant"`
	StatePerSecond    float64 `json:"state_per_second"`
	ConstantPerSecond float64 `json:"constant_per_second"`
	PassVerifyNS      float64 `json:"pass_verify_ns"`
	TokenMintNS       float64 `json:"token_mint_ns"`
	TokenVerifyNS     float64 `json:"token_verify_ns"`
}

func main() {
	rounds := flag.Int("rounds", 31, "rounds per server; the median counts")
	round := flag.Duration("round", 200*time.Millisecond, "length of a round")
	connections := flag.Int("connections", 64, "connections that ask at once")
	flag.Parse()
	if err := run(*rounds, *round, *connections); err != nil {
		fmt.Fprintln(os.Stderr, "benchedge:", err)
		os.Exit(1)
	}
}

func run(rounds int, round time.Duration, connections int) error {
	core, err := startCore()
	if err != nil {
		return err
	}
	defer core.close()
	node, stop, err := startNode(core)
	if err != nil {
		return err
	}
	defer stop()
	constant, closeConstant, err := startConstant(core.state)
	if err != nil {
		return err
	}
	defer closeConstant()

	fmt.Printf("state object: %d bytes, %d connections, %d rounds of %v, %d processors for client and server together\n",
		len(core.state), connections, rounds, round, runtime.GOMAXPROCS(0))
	var states, constants, ratios []float64
	for i := range rounds + 1 {
		// In turns, and in turned order, so that neither gets the quiet moments of the machine.
		pair := []string{node, constant}
		rates := make([]float64, 2)
		for turn := range 2 {
			which := (turn + i) % 2
			if rates[which], err = load(pair[which], connections, round, len(core.state)); err != nil {
				return fmt.Errorf("ask %s: %w", pair[which], err)
			}
		}
		if i == 0 {
			continue // warming up
		}
		states, constants, ratios = append(states, rates[0]), append(constants, rates[1]), append(ratios, rates[0]/rates[1])
		fmt.Printf("round %d: state %8.0f/s   constant %8.0f/s   ratio %.3f\n", i, rates[0], rates[1], rates[0]/rates[1])
	}
	out := figures{StateVsConstant: median(ratios), StatePerSecond: median(states), ConstantPerSecond: median(constants)}
	if err := out.crypto(rounds, round/4); err != nil {
		return err
	}
	fmt.Printf("state object %.0f/s, constant %.0f/s, ratio %.3f\n", out.StatePerSecond, out.ConstantPerSecond, out.StateVsConstant)
	fmt.Printf("pass verify %.0f ns, token mint %.0f ns, token verify %.0f ns\n", out.PassVerifyNS, out.TokenMintNS, out.TokenVerifyNS)
	return json.NewEncoder(os.Stdout).Encode(out)
}

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

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
