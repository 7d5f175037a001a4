// Command benchedge measures what an edge does most: answering with the state object, joining, claiming, refusing forged passes, and
// what it keeps for a buyer. It starts a real node against a core that acknowledges and redeems without a database, and compares
// it, over loopback connections and in turns, with a fasthttp server that answers a constant as long as the node's answer.
//
// The last line is one JSON object. Rates and ratios are medians of several rounds.
//
//	constant_per_second   the constant server, with a body as long as the state object
//	state_ratio           the state object against it (state_vs_constant is the same figure under its older name)
//	join_ratio            a new browser joins: device, limits, pass, and the pool as far as core's acknowledgement
//	claim_ratio           a called entrant claims: pass, filter, an Ed25519 token, which the stand-in for core verifies, and a session
//	forged_ratio          a claim with a forged pass is refused
//	stream_bytes_per_buyer, poll_bytes_per_buyer  heap and stacks for a buyer with an open event stream, and for one who polls
//	allocations           of the whole process, by request: state, join, claim, forged
//	pass_verify_ns, token_mint_ns, token_verify_ns  one at a time on one core
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"
)

// figures is the last line.
type figures struct {
	ConstantPerSecond float64 `json:"constant_per_second"`
	StateRatio        float64 `json:"state_ratio"`
	JoinRatio         float64 `json:"join_ratio"`
	ClaimRatio        float64 `json:"claim_ratio"`
	ForgedRatio       float64 `json:"forged_ratio"`
	StreamBytes       float64 `json:"stream_bytes_per_buyer"`
	PollBytes         float64 `json:"poll_bytes_per_buyer"`

	Allocations map[string]float64 `json:"allocations"`

	StatePerSecond  float64 `json:"state_per_second"`
	JoinPerSecond   float64 `json:"join_per_second"`
	ClaimPerSecond  float64 `json:"claim_per_second"`
	ForgedPerSecond float64 `json:"forged_per_second"`
	StateVsConstant float64 `json:"state_vs_constant"`
	PassVerifyNS    float64 `json:"pass_verify_ns"`
	TokenMintNS     float64 `json:"token_mint_ns"`
	TokenVerifyNS   float64 `json:"token_verify_ns"`
}

func main() {
	rounds := flag.Int("rounds", 31, "rounds per server; the median counts")
	round := flag.Duration("round", 200*time.Millisecond, "length of a round")
	connections := flag.Int("connections", 64, "connections that ask at once")
	streams := flag.Int("streams", 2000, "buyers with an open event stream whose memory is measured")
	flag.Parse()
	if err := run(*rounds, *round, *connections, *streams); err != nil {
		fmt.Fprintln(os.Stderr, "benchedge:", err)
		os.Exit(1)
	}
}

func run(rounds int, round time.Duration, connections, streams int) error {
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
	var states, constants, ratios, allocations []float64
	for i := range rounds + 1 {
		// In turns, and in turned order, so that neither gets the quiet moments of the machine.
		pair := []string{node, constant}
		rates := make([]float64, 2)
		for turn := range 2 {
			which := (turn + i) % 2
			before := mallocs()
			if rates[which], err = load(pair[which], connections, round, len(core.state)); err != nil {
				return fmt.Errorf("ask %s: %w", pair[which], err)
			}
			if which == 0 && i > 0 {
				allocations = append(allocations, float64(mallocs()-before)/(rates[0]*round.Seconds()))
			}
		}
		if i == 0 {
			continue // warming up
		}
		states, constants, ratios = append(states, rates[0]), append(constants, rates[1]), append(ratios, rates[0]/rates[1])
		fmt.Printf("round %d: state %8.0f/s   constant %8.0f/s   ratio %.3f\n", i, rates[0], rates[1], rates[0]/rates[1])
	}
	out := figures{
		StateRatio: median(ratios), StateVsConstant: median(ratios), StatePerSecond: median(states), ConstantPerSecond: median(constants),
		Allocations: map[string]float64{"state": median(allocations)},
	}
	if err := out.rivals(core, node, rounds, connections, round); err != nil {
		return err
	}
	if err := out.memory(node, streams); err != nil {
		return err
	}
	if err := out.crypto(rounds, round/4); err != nil {
		return err
	}
	fmt.Printf("state object %.0f/s, constant %.0f/s, ratio %.3f\n", out.StatePerSecond, out.ConstantPerSecond, out.StateVsConstant)
	fmt.Printf("a buyer who polls %.0f bytes, one with an open event stream %.0f bytes\n", out.PollBytes, out.StreamBytes)
	fmt.Printf("claims sign a token each; the stand-in for core verifies one in %d: all would be core's own work, on another machine\n", sampled)
	fmt.Printf("pass verify %.0f ns, token mint %.0f ns, token verify %.0f ns\n", out.PassVerifyNS, out.TokenMintNS, out.TokenVerifyNS)
	return json.NewEncoder(os.Stdout).Encode(out)
}

// rivals measures what the node does once per buyer.
func (f *figures) rivals(core *feedingCore, node string, rounds, connections int, round time.Duration) error {
	for _, r := range []struct {
		*rival
		perSecond, ratio *float64
	}{
		{&rival{name: "join", calls: joins(), status: "200"}, &f.JoinPerSecond, &f.JoinRatio},
		{&rival{name: "claim", calls: claims(core.order, false), status: "200"}, &f.ClaimPerSecond, &f.ClaimRatio},
		{&rival{name: "forged", calls: claims(core.order, true), status: "401"}, &f.ForgedPerSecond, &f.ForgedRatio},
	} {
		got, err := compare(r.rival, node, rounds, connections, round)
		if err != nil {
			return err
		}
		*r.perSecond, *r.ratio, f.Allocations[r.name] = got.perSecond, got.ratio, got.allocations
	}
	return nil
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
