package ctl

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"fairgate/core/ticket/gate"
)

const (
	// minUpdate bounds how often a gate off line asks for news: all gates of an event ask one core.
	minUpdate = 100 * time.Millisecond
	// smallPack is how long a pack's file may get by deltas whatever the pack: loading it stays a matter of a moment.
	smallPack = 64 << 10
)

// errUnsaved means that the gate has the news, and would not after another start.
var errUnsaved = errors.New("its file was not written")

// packUpdate brings the pack of a gate off line up to date whenever core can be reached. One goroutine has it; the gate scans meanwhile.
type packUpdate struct {
	tool   *tool
	gate   *gate.Gate
	client *client // of the gate listener
	key    ed25519.PublicKey
	path   string

	file   []byte     // what path has, or should have
	pack   *gate.Pack // that is in use
	fresh  bool       // an update has been said
	failed string     // the code of the failure that was said last; empty after an update
}

// start runs it until the returned function is called, which waits for its end.
func (u *packUpdate) start(ctx context.Context, every time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			u.attempt(ctx)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return func() { cancel(); <-done }
}

// attempt updates once and says what is news: that it failed, once, that it did again, and that codes have died.
func (u *packUpdate) attempt(ctx context.Context) {
	before := u.pack
	err := u.update(ctx)
	age := fmt.Sprintf("of %s, %s old", u.pack.AsOf.Format(time.RFC3339), max(time.Since(u.pack.AsOf), 0).Round(time.Second))
	if err == nil && u.fresh && u.failed == "" && u.pack.Version == before.Version && u.pack.Cancelled == before.Cancelled || ctx.Err() != nil {
		return
	}
	if err == nil {
		u.fresh, u.failed = true, ""
		fmt.Fprintf(u.tool.env.Stderr, "the pack was brought up to date: it is %s, with %d dead codes\n", age, len(u.pack.States))
		if u.pack.Cancelled && !before.Cancelled {
			u.tool.warnOfPack(u.pack)
		}
		return
	}
	code, text := updateCode(err), oneLine(err.Error())
	if code == u.failed {
		return
	}
	u.failed = code
	if !strings.HasSuffix(text, "("+code+")") {
		text += " (" + code + ")"
	}
	fmt.Fprintf(u.tool.env.Stderr, "the pack was not brought up to date: %s; the one in use is %s\n", text, age)
}

// updateCode is the code of why an update failed.
func updateCode(err error) string {
	var no *problemError
	var away *unreachableError
	switch {
	case errors.As(err, &no):
		return no.Code
	case errors.As(err, &away):
		return "core_unreachable"
	case errors.Is(err, errUnsaved):
		return "pack_unsaved"
	case gate.PackCode(err) != "":
		return gate.PackCode(err)
	}
	return "update_failed"
}

// update fetches what is new since the pack, by a delta, or whole where that does not fit or the file has become long. The gate knows
// what is new even if the file cannot be written; that is tried again with the next update.
func (u *packUpdate) update(ctx context.Context) error {
	var file []byte
	var next *gate.Pack
	err := gate.ErrGap
	if whole := 4 + int(binary.BigEndian.Uint32(u.file)); len(u.file) < max(smallPack, 2*whole) {
		file, next, err = u.fetch(ctx, u.pack.AsOf, u.file)
	}
	if errors.Is(err, gate.ErrGap) {
		file, next, err = u.fetch(ctx, time.Time{}, nil)
	}
	if err != nil {
		return err
	}
	if err := u.gate.Update(next); err != nil {
		return err
	}
	u.file, u.pack = file, next
	if err := replaceFile(u.path, file); err != nil {
		return fmt.Errorf("%w: %w", errUnsaved, err)
	}
	return nil
}

// fetch asks for what changed since a time, none for the whole pack, and puts it behind what is there. It believes what the key has
// signed for this event, if it is not older than what the gate has.
func (u *packUpdate) fetch(ctx context.Context, since time.Time, have []byte) ([]byte, *gate.Pack, error) {
	query := url.Values{}
	if !since.IsZero() {
		query.Set("since", since.Format(time.RFC3339Nano))
	}
	answer, err := u.client.get(ctx, "/gate/v1/pack", query)
	if err != nil {
		return nil, nil, err
	}
	var body struct {
		Pack []byte `json:"pack"` // base64
	}
	if err := readInto(answer, &body); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", gate.ErrPack, err)
	}
	part, err := gate.Open(body.Pack, u.key)
	switch {
	case err != nil:
		return nil, nil, err
	case part.Event != u.pack.Event:
		return nil, nil, fmt.Errorf("%w: %s", gate.ErrPackEvent, part.Slug)
	case part.AsOf.Before(u.pack.AsOf):
		return nil, nil, fmt.Errorf("%w: of %s", gate.ErrPackOlder, part.AsOf.Format(time.RFC3339))
	}
	file := gate.Append(slices.Clone(have), body.Pack)
	next, err := gate.Load(file, u.key)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("%w: %w", gate.ErrGap, err)
	case !next.AsOf.Equal(part.AsOf): // a torn end of what was there swallows it
		return nil, nil, fmt.Errorf("%w: the file is torn", gate.ErrGap)
	}
	return file, next, nil
}
