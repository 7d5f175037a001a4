package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"fairgate/core/event"
	"fairgate/core/ticket/code"
	"fairgate/core/ticket/gate"
	"fairgate/core/ticket/scan"
)

// atGates adapts an event to what its gates have to know of it.
func atGates(events *event.Store) scan.Events {
	return func(ctx context.Context, id uuid.UUID) (scan.Event, error) {
		e, err := events.ByID(ctx, id)
		if err != nil {
			return scan.Event{}, err
		}
		rings := map[event.Purpose]event.KeyRing{}
		for _, purpose := range []event.Purpose{event.TicketPurpose, event.PackPurpose, event.GatePurpose} {
			if rings[purpose], err = events.EnsureKeys(ctx, purpose, event.Scope(id)); err != nil {
				return scan.Event{}, fmt.Errorf("find the keys of event %s: %w", e.Slug, err)
			}
		}
		reader := &code.Reader{Event: id, Keys: rings[event.TicketPurpose].PublicKeys(), Rotating: e.Spec.Gates.Rotating}
		for _, k := range rings[event.GatePurpose] {
			reader.GateKeys = append(reader.GateKeys, k.Secret)
		}
		settled, err := settledAt(e.Spec)
		if err != nil {
			return scan.Event{}, fmt.Errorf("find when the tickets of event %s no longer change hands: %w", e.Slug, err)
		}
		at := scan.Event{ID: id, Slug: e.Slug, Reader: reader, Rules: gateRules(e), PackKey: rings[event.PackPurpose][0].Private(), Cancelled: e.State == event.Cancelled, SettledAt: settled}
		if at.Rules.Together {
			at.Accessible, at.Companions = e.Spec.AccessibleSeats()
		}
		return at, nil
	}
}

// settledAt is when the last tickets change hands; zero where they may be neither handed on nor sold on.
func settledAt(spec event.Spec) (at time.Time, err error) {
	if r := spec.TransferRules(); r.Allowed {
		at = r.ClosesAt
	}
	r, err := spec.ResaleRules()
	if err == nil && r.Allowed && r.ClosesAt.After(at) {
		at = r.ClosesAt
	}
	return at, err
}

func gateRules(e *event.Event) gate.Rules {
	rules := gate.Rules{ClosesAt: e.Spec.ClosesAt(), Together: e.Spec.Gates.Together}
	switch e.Spec.Gates.Reentry {
	case event.EnterAfterExit:
		rules.Reentry = gate.AfterExit
	case event.EnterFree:
		rules.Reentry = gate.Free
	}
	for _, z := range e.Spec.Gates.Zones {
		zone := gate.Zone{ID: z.ID}
		for _, tier := range z.Tiers {
			zone.Places = append(zone.Places, code.Place(tier, ""))
			for _, section := range e.Spec.Sections { // the code of a seat shows its section alone
				if section.Tier == tier {
					zone.Places = append(zone.Places, section.ID+"/")
				}
			}
		}
		for _, section := range z.Sections {
			zone.Places = append(zone.Places, section+"/")
		}
		rules.Zones = append(rules.Zones, zone)
	}
	return rules
}
