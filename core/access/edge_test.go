package access

import (
	"bytes"
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"github.com/bits-and-blooms/bloom/v3"
	"github.com/google/uuid"

	"fairgate/edge/lottery"
)

func TestAnEdgeIsKnownByTheTokenOfItsLastBoot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.start(testConfig()), w.start(testConfig())
	id, boot := uuid.New(), uuid.New()
	first, err := a.Enroll(t.Context(), id, boot)
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.Enroll(t.Context(), id, boot)
	if err != nil || again.Token != first.Token {
		t.Fatalf("the same boot at another core gets another token: %v", err)
	}
	for _, c := range []*core{a, b} {
		if got, err := c.Authenticate(t.Context(), first.Token); err != nil || got != id {
			t.Fatalf("authenticate: %s, %v", got, err)
		}
	}
	second, err := a.Enroll(t.Context(), id, uuid.New())
	if err != nil || second.Token == first.Token {
		t.Fatalf("another boot: %v", err)
	}
	for _, token := range []string{first.Token, "", "x", id.String(), id.String() + ".", uuid.NewString() + first.Token[36:]} {
		if _, err := a.Authenticate(t.Context(), token); !errors.Is(err, ErrEdgeUnknown) {
			t.Errorf("token %q: %v", token, err)
		}
	}
	if len(first.SessionFilterKeys) != 1 || first.ServerTime.IsZero() {
		t.Errorf("enrolled: %+v", first)
	}
}

func TestAKeyIsRegisteredForAShortTimeAndOneEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.start(testConfig())
	e := c.enroll(t, slug)
	keys, err := c.RegisterKey(t.Context(), e.id, slug, e.key) // again
	if err != nil {
		t.Fatal(err)
	}
	if keys.Generation != 0 || keys.Identity != "device" || len(keys.PseudonymKey) != 32 || len(keys.PassKeys) != 1 ||
		len(keys.ReceiptKeys) != 1 || len(keys.InvitationKeys) != 1 || len(keys.SessionFilterKeys) != 1 {
		t.Errorf("keys: %+v", keys)
	}
	now := c.now()
	for name, alter := range map[string]func(*EdgeKey){
		"three hours":               func(k *EdgeKey) { k.ValidUntil = k.ValidFrom.Add(3 * time.Hour) },
		"over":                      func(k *EdgeKey) { k.ValidFrom, k.ValidUntil = now.Add(-2*time.Hour), now.Add(-time.Hour) },
		"over before it begins":     func(k *EdgeKey) { k.ValidFrom, k.ValidUntil = now.Add(time.Minute), now.Add(time.Second) },
		"far in the future":         func(k *EdgeKey) { k.ValidFrom, k.ValidUntil = now.Add(time.Hour), now.Add(2*time.Hour) },
		"a short public key":        func(k *EdgeKey) { k.Public = k.Public[:31] },
		"another under the same id": func(k *EdgeKey) { k.ID, k.Public = e.key.ID, make([]byte, 32) },
	} {
		key := e.key
		key.ID = uuid.New()
		alter(&key)
		if _, err := c.RegisterKey(t.Context(), e.id, slug, key); !errors.Is(err, ErrKeyRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.RegisterKey(t.Context(), uuid.New(), slug, e.key); !errors.Is(err, ErrKeyRefused) {
		t.Errorf("another edge's key: %v", err)
	}
	if _, err := c.RegisterKey(t.Context(), e.id, "elsewhere", e.key); !errors.Is(err, ErrKeyRefused) {
		t.Errorf("the key of another event: %v", err)
	}
}

func TestTheFeedTellsEveryChangeOnceAndEverythingToStrangers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.start(testConfig())
	c.schedule(t, time.Hour)
	e := c.enroll(t, slug)
	wait := func(since, bans uint64, limit time.Duration) Update {
		t.Helper()
		u, err := c.Wait(t.Context(), e.id, since, bans, limit)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	var all Update
	for len(all.Events) == 0 { // the first state is built within a tick
		all = wait(all.Version, 0, 2*time.Second)
	}
	if all.Events[0].Slug != slug || len(all.Live) != 1 || all.Bans == nil || all.ServerTime.IsZero() {
		t.Fatalf("everything: %+v", all)
	}
	started := time.Now()
	if u := wait(all.Version, all.Bans.Version, 300*time.Millisecond); len(u.Events) != 0 || u.Bans != nil || len(u.Live) != 1 {
		t.Fatalf("nothing changed: %+v", u)
	}
	if time.Since(started) < 300*time.Millisecond {
		t.Fatal("the poll did not wait")
	}
	go func() {
		time.Sleep(100 * time.Millisecond)
		c.JoinBatch(t.Context(), JoinRequest{Edge: e.id, Event: slug, Generation: 1, Entries: buyers(0, 4)})
	}()
	u := wait(all.Version, all.Bans.Version, 5*time.Second)
	if len(u.Events) != 1 || u.Version <= all.Version || u.Events[0].ETag == all.Events[0].ETag {
		t.Fatalf("after a join: %+v", u)
	}
	for _, foreign := range []uint64{1, all.Version + 1<<40, u.Version + 1000} {
		if got := wait(foreign, u.Version, 5*time.Second); len(got.Events) != 1 {
			t.Fatalf("version %d of another core gets %+v", foreign, got)
		}
	}
	var seen time.Time
	if err := w.db.Pool.QueryRow(t.Context(), `SELECT seen_at FROM edges WHERE edge_id = $1`, e.id).Scan(&seen); err != nil {
		t.Fatal(err)
	}
	if age := c.now().Sub(seen); age > 3*time.Second {
		t.Errorf("the edge was last seen %s ago", age)
	}
}

func TestABanReachesEdgesAndStopsJoiningAndClaiming(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, e, joins := w.opened(testConfig(), 6, 6)
	other := w.start(testConfig())
	u, err := c.Wait(t.Context(), e.id, 0, 0, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	before := u.Bans.Version
	for _, b := range []Ban{
		{Kind: BanDevice, Subject: joins[0].Device[:], Reason: "fifty joins", Actor: "test"},
		{Kind: BanEntrant, Subject: joins[1].Entrant[:], Reason: "resold", Actor: "test"},
		{Kind: BanNetwork, Subject: joins[2].Network[:], Reason: "farm", Actor: "test"},
	} {
		if err := c.AddBan(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		if got := c.redeem(t, e, joins[i], 1); !errors.Is(got.Err, ErrBanned) {
			t.Errorf("ban %d at claim: %v", i, got.Err)
		}
		acks, err := c.JoinBatch(t.Context(), JoinRequest{Edge: e.id, Event: slug, Generation: 1, Entries: []Join{joins[i], buyer(100 + i)}})
		if err != nil || !errors.Is(acks[0].Refused, ErrBanned) || acks[0].Receipt != nil || acks[1].Refused != nil {
			t.Errorf("ban %d at join: %+v, %v", i, acks, err)
		}
	}
	if got := c.redeem(t, e, joins[3], 1); got.Err != nil {
		t.Errorf("somebody else: %v", got.Err)
	}
	u, err = c.Wait(t.Context(), e.id, 0, before, time.Second)
	if err != nil || u.Bans == nil || u.Bans.Version == before {
		t.Fatalf("the filter after three bans: %+v, %v", u.Bans, err)
	}
	deadline := time.Now().Add(5 * time.Second)
	for other.bans.current() != c.bans.current() {
		if time.Now().After(deadline) {
			t.Fatal("the other core has another filter")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if got := other.redeem(t, e, joins[0], 1); !errors.Is(got.Err, ErrBanned) {
		t.Errorf("at the other core: %v", got.Err)
	}
	if err := c.LiftBan(t.Context(), BanDevice, joins[0].Device[:]); err != nil {
		t.Fatal(err)
	}
	if err := c.LiftBan(t.Context(), BanDevice, joins[0].Device[:]); !errors.Is(err, ErrBanUnknown) {
		t.Errorf("lifted twice: %v", err)
	}
	if got := c.redeem(t, e, joins[0], 1); got.Err != nil {
		t.Errorf("after the ban was lifted: %v", got.Err)
	}
	list, err := c.Bans(t.Context(), "", nil, 10)
	if err != nil || len(list) != 3 || list[0].LiftedAt == nil || list[1].LiftedAt != nil || list[0].Reason != "fifty joins" {
		t.Errorf("listed: %+v, %v", list, err)
	}
	if rest, err := c.Bans(t.Context(), list[0].Kind, list[0].Subject, 10); err != nil || len(rest) != 2 {
		t.Errorf("the next page has %d: %v", len(rest), err)
	}
	for _, b := range []Ban{
		{Kind: "mood", Subject: make([]byte, 16), Reason: "x"}, {Kind: BanNetwork, Subject: make([]byte, 16), Reason: "x"},
		{Kind: BanDevice, Subject: make([]byte, 16)},
	} {
		if err := c.AddBan(t.Context(), b); !errors.Is(err, ErrBanInvalid) {
			t.Errorf("ban %+v: %v", b, err)
		}
	}
}

func TestTheBanFilterKnowsEveryBanAndFewOthers(t *testing.T) {
	var keys [][]byte
	for i := range 3000 {
		d := lottery.HashDevice([]byte{byte(i), byte(i >> 8)})
		keys = append(keys, appendBanKey(nil, BanDevice, d[:]))
	}
	f, err := makeBanFilter(keys, 1e-4)
	if err != nil {
		t.Fatal(err)
	}
	filter := readFilter(t, f.Filter)
	for _, key := range keys {
		if !filter.Test(key) {
			t.Fatal("a ban is not in the filter")
		}
	}
	false1 := 0
	for i := range 200_000 {
		d := lottery.HashDevice([]byte{byte(i), byte(i >> 8), byte(i >> 16)})
		if filter.Test(appendBanKey(nil, BanDevice, d[:])) {
			false1++
		}
	}
	if false1 > 60 { // 20 are expected
		t.Errorf("%d of 200,000 others hit", false1)
	}
	// A device and an entrant of the same bytes are two subjects.
	same := keys[0][len(BanDevice)+1:]
	if filter.Test(appendBanKey(nil, BanEntrant, same)) && filter.Test(appendBanKey(nil, BanNetwork, same)) {
		t.Error("the kind is no part of the key")
	}
	again, err := makeBanFilter(append([][]byte{}, keys...), 1e-4)
	if err != nil || again != f {
		t.Error("the same bans make another filter")
	}
	if less, _ := makeBanFilter(keys[1:], 1e-4); less.Version == f.Version {
		t.Error("one ban less has the same version")
	}
}

func readFilter(t *testing.T, text string) *bloom.BloomFilter {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	filter := new(bloom.BloomFilter)
	if _, err := filter.ReadFrom(bytes.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
	return filter
}
