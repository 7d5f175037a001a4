package event_test

import (
	"testing"

	"fairgate/core/db/dbtest"
	"fairgate/core/event"
)

func TestWhatCountsOfAnAddress(t *testing.T) {
	for client, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "2001:db8:1:2::1": "2001:db8:1:2::/64", "2001:db8:1:3::1": "2001:db8:1:3::/64",
		"fe80::1%eth0": "fe80::/64", "": "", "somebody": "", "192.0.2.7:80": "",
	} {
		if got := event.NetworkOf(client); got != want {
			t.Errorf("%q counts as %q, want %q", client, got, want)
		}
	}
}

func TestEventsOfATourHashAlikeAndOthersDoNot(t *testing.T) {
	s := event.NewStore(dbtest.New(t), event.Options{})
	keys := map[string]string{}
	for id, tour := range map[string]string{"a": "tour: {id: summer, per_card: 4}", "b": "tour: {id: summer, per_device: 2}", "c": "tour: {id: winter, per_card: 4}", "d": "", "e": ""} {
		apply(t, s, edit(t, hall, "id: hall", "id: "+id, "name: Chamber Music", "name: Chamber Music\n"+tour))
		e, err := s.BySlug(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		key, err := s.LimitKey(t.Context(), e)
		if err != nil || len(key) != 32 {
			t.Fatalf("key of %s: %d bytes, %v", id, len(key), err)
		}
		keys[id] = string(key)
	}
	if keys["a"] != keys["b"] {
		t.Error("two events of a tour have different keys")
	}
	delete(keys, "b")
	seen := map[string]string{}
	for id, key := range keys {
		if other, twice := seen[key]; twice {
			t.Errorf("%s and %s have the same key", id, other)
		}
		seen[key] = id
	}
	if event.Mark([]byte("k"), "address", "192.0.2.7") == event.Mark([]byte("k"), "card", "192.0.2.7") {
		t.Error("an address and a card of the same text are hashed alike")
	}
}
