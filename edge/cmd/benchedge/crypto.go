package main

import (
	"crypto/rand"
	"fmt"
	"time"

	"fairgate/edge/admission"
	"fairgate/edge/lottery"
	"fairgate/edge/queue"
)

// crypto measures what is checked and made per buyer: a pass at each claim, and an admission token.
// Each of them is repeated for as long as a round lasts.
func (f *figures) crypto(rounds int, round time.Duration) error {
	event := lottery.EventID(benchEvent)
	now := time.Now()
	keys := filterKeys()
	pass := queue.Pass{KeyNo: 1, Event: event, Generation: 1, IssuedAt: now}.Sign(nil, keys[0].Key[:])

	ring, err := admission.NewRing(time.Hour, 10*time.Minute, rand.Reader)
	if err != nil {
		return fmt.Errorf("make a ring: %w", err)
	}
	key, _, err := ring.Due(event, now)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	ring.Add(key, now)
	token, err := ring.Mint(nil, admission.Token{Event: event, Generation: 1}, now, time.Minute)
	if err != nil {
		return fmt.Errorf("mint a token: %w", err)
	}
	buf := make([]byte, 0, admission.TokenSize)

	if f.PassVerifyNS, err = nanoseconds(rounds, round, func() error {
		_, err := queue.VerifyPass(pass, keys)
		return err
	}); err != nil {
		return fmt.Errorf("verify a pass: %w", err)
	}
	if f.TokenMintNS, err = nanoseconds(rounds, round, func() error {
		_, err := ring.Mint(buf, admission.Token{Event: event, Generation: 1}, now, time.Minute)
		return err
	}); err != nil {
		return fmt.Errorf("mint a token: %w", err)
	}
	public := key.Public()
	if f.TokenVerifyNS, err = nanoseconds(rounds, round, func() error {
		_, err := admission.Verify(token, public, now)
		return err
	}); err != nil {
		return fmt.Errorf("verify a token: %w", err)
	}
	return nil
}

// callsPerLook is how many calls are made between two looks at the clock.
const callsPerLook = 100

// nanoseconds is the median cost of one call.
func nanoseconds(rounds int, round time.Duration, call func() error) (float64, error) {
	var costs []float64
	for range rounds {
		calls, took := 0, time.Duration(0)
		for began := time.Now(); took < round; took = time.Since(began) {
			for range callsPerLook {
				if err := call(); err != nil {
					return 0, err
				}
			}
			calls += callsPerLook
		}
		costs = append(costs, float64(took.Nanoseconds())/float64(calls))
	}
	return median(costs), nil
}
