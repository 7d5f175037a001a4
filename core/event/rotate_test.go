package event_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/uuid"

	"fairgate/core/db/dbtest"
	"fairgate/core/event"
)

func TestRotatingAddsAKeyThatSignsAndKeepsTheOthers(t *testing.T) {
	s := event.NewStore(dbtest.New(t), event.Options{})
	scope := event.Scope(apply(t, s, edit(t, hall)).ID)
	before, err := s.Keys(t.Context(), event.TicketPurpose, scope)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the answer was lost, and it is asked again
		ring, err := s.Rotate(t.Context(), event.TicketPurpose, scope, 1)
		if err != nil || len(ring) != 2 || ring[0].Number != 2 || ring[1].Number != 1 || string(ring[1].Public) != string(before[0].Public) {
			t.Fatalf("got %v, %v", ring, err)
		}
		now, err := s.Keys(t.Context(), event.TicketPurpose, scope) // this core knows at once
		if err != nil || len(now) != 2 || string(now[0].Public) != string(ring[0].Public) || len(ring[0].Public) != 32 {
			t.Errorf("got %v, %v", now, err)
		}
	}
	if _, err := s.Rotate(t.Context(), event.TicketPurpose, scope, 3); !errors.Is(err, event.ErrKeyOrder) {
		t.Errorf("after a key that is not there: %v", err)
	}
	if _, err := s.Rotate(t.Context(), event.TicketPurpose, event.Scope(uuid.New()), 1); !errors.Is(err, event.ErrNoKey) {
		t.Errorf("of an unknown event: %v", err)
	}
	for newest := uint32(2); newest < 16; newest++ {
		if _, err := s.Rotate(t.Context(), event.TicketPurpose, scope, newest); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Rotate(t.Context(), event.TicketPurpose, scope, 16); !errors.Is(err, event.ErrKeysFull) {
		t.Errorf("a seventeenth key: %v", err)
	}
}

func TestTwoWhoRotateAtOnceMakeOneKey(t *testing.T) {
	d := dbtest.New(t)
	scope := event.Scope(apply(t, event.NewStore(d, event.Options{}), edit(t, hall)).ID)
	rings := make([]event.KeyRing, 4)
	var wait sync.WaitGroup
	for i := range rings {
		wait.Go(func() {
			ring, err := event.NewStore(d, event.Options{}).Rotate(context.WithoutCancel(t.Context()), event.TicketPurpose, scope, 1)
			if err != nil {
				t.Error(err)
			}
			rings[i] = ring
		})
	}
	wait.Wait()
	for _, ring := range rings {
		if len(ring) != 2 || string(ring[0].Public) != string(rings[0][0].Public) {
			t.Errorf("got %v", ring)
		}
	}
}

func TestKeysOfGatesAreMadeWhenTheyAreAskedForAndOnlyOnce(t *testing.T) {
	d := dbtest.New(t)
	scope := event.Scope(uuid.New())
	first, err := event.NewStore(d, event.Options{}).EnsureKeys(t.Context(), event.GatePurpose, scope)
	if err != nil || len(first) != 1 || len(first[0].Public) != 0 {
		t.Fatalf("got %v, %v", first, err)
	}
	again, err := event.NewStore(d, event.Options{}).EnsureKeys(t.Context(), event.GatePurpose, scope)
	if err != nil || string(again[0].Secret) != string(first[0].Secret) {
		t.Errorf("got %v, %v", again, err)
	}
	pair, err := event.NewStore(d, event.Options{}).EnsureKeys(t.Context(), event.PackPurpose, scope)
	if err != nil || len(pair[0].Public) != 32 {
		t.Errorf("got %v, %v", pair, err)
	}
}

func TestGatesHaveRulesOfTheirEvent(t *testing.T) {
	plain := edit(t, hall)
	if plain.Gates.Rotating || plain.Gates.Reentry != "" || len(plain.Gates.Zones) != 0 || plain.ClosesAt().Sub(plain.StartsAt).Hours() != 24 {
		t.Errorf("by default %+v, closed at %s", plain.Gates, plain.ClosesAt())
	}
	s := edit(t, hall+"gates: {rotating: true, reentry: free, close_after: 90m}\n")
	if !s.Gates.Rotating || s.Gates.Reentry != event.EnterFree || s.ClosesAt().Sub(s.StartsAt).Minutes() != 90 {
		t.Errorf("got %+v", s.Gates)
	}
	spelt := edit(t, hall+"gates: {rotating: false, reentry: once, close_after: 24h}\n")
	if spelt.Gates.Reentry != "" || spelt.Gates.CloseAfter.Duration != 0 {
		t.Errorf("the defaults spelt out are %+v", spelt.Gates)
	}
}
