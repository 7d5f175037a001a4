package ctl

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"fairgate/edge/lottery"
)

// lotteryFlags are the options of `lottery verify`.
type lotteryFlags struct {
	event      string
	receipts   []string
	commitment string
	states     []string
	beacon     string
	earlier    []string
	save       string
}

// evidence reads what the caller kept.
func (f lotteryFlags) evidence() ([]lottery.Evidence, error) {
	var kept lottery.Evidence
	if f.commitment != "" {
		kept.Commitment = new(lottery.Hex32)
		if err := kept.Commitment.UnmarshalText([]byte(f.commitment)); err != nil {
			return nil, usagef("--commitment: %q is not 64 hex digits", f.commitment)
		}
	}
	if f.beacon != "" {
		kept.Beacon = []byte(f.beacon)
	}
	for _, given := range f.receipts {
		receipt, err := readReceipt(given)
		if err != nil {
			return nil, err
		}
		kept.Receipts = append(kept.Receipts, receipt)
	}
	for _, file := range f.earlier {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, usagef("--earlier: %w", err)
		}
		t, err := lottery.ParseTranscript(text)
		if err != nil {
			return nil, inputError{fmt.Errorf("%s: %w", file, err)}
		}
		kept.Earlier = append(kept.Earlier, t)
	}
	all := []lottery.Evidence{kept}
	for _, file := range f.states {
		seen, err := readState(file)
		if err != nil {
			return nil, err
		}
		all = append(all, seen)
	}
	return all, nil
}

// readReceipt reads a receipt that is given as a file or as its text.
func readReceipt(given string) ([]byte, error) {
	text := given
	content, err := os.ReadFile(given)
	switch {
	case err == nil:
		text = strings.TrimSpace(string(content))
	case !errors.Is(err, fs.ErrNotExist) && !isReceipt(given):
		return nil, usagef("--receipt: %w", err)
	}
	if !isReceipt(text) {
		return nil, usagef("--receipt: %.40q is neither a file nor a receipt", given)
	}
	receipt, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, usagef("--receipt: %w", err)
	}
	return receipt, nil
}

// isReceipt tells whether a text has the form of a receipt.
func isReceipt(text string) bool {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return false
	}
	_, err = lottery.ParseReceipt(b)
	return err == nil
}

// readState reads a state object that somebody kept, as GET /q/{event}/state answered it. What it says beside the draw, this
// release need not know.
func readState(file string) (lottery.Evidence, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return lottery.Evidence{}, usagef("--state: %w", err)
	}
	var s struct {
		Commitment *lottery.Hex32 `json:"commitment"`
		Windows    []struct {
			Window uint32        `json:"window"`
			Root   lottery.Hex32 `json:"root"`
			Seed   lottery.Hex32 `json:"seed"`
		} `json:"windows"`
		Cursor *struct {
			Window uint32           `json:"window"`
			Band   lottery.Band     `json:"band"`
			Value  lottery.Fraction `json:"value"`
		} `json:"cursor"`
		Called int `json:"called"`
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return lottery.Evidence{}, inputError{fmt.Errorf("%s: not a state object: %w", file, err)}
	}
	if s.Commitment == nil {
		return lottery.Evidence{}, inputError{fmt.Errorf("%s: not a state object: it has no commitment", file)}
	}
	seen := lottery.Evidence{Commitment: s.Commitment}
	for _, w := range s.Windows {
		if w.Root != (lottery.Hex32{}) {
			seen.Windows = append(seen.Windows, lottery.SeenWindow{Window: w.Window, Root: w.Root, Seed: w.Seed})
		}
	}
	if c := s.Cursor; c != nil {
		seen.Cursors = []lottery.SeenCursor{{Place: lottery.Place{Window: c.Window, Band: c.Band, Value: uint64(c.Value)}, Called: s.Called}}
	}
	return seen, nil
}
