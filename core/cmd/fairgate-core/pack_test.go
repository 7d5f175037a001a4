package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fairgate/core/event"
	"fairgate/loadtest/paysim"
)

func TestTicketctlWarnsOfAPackOfBeforeTicketsHaveTheirLastOwners(t *testing.T) {
	r := newRigWith(t, "", paysim.Faults{}, func(*config) {})
	text, err := os.ReadFile(club)
	if err != nil {
		t.Fatal(err)
	}
	starts := time.Now().Add(24 * time.Hour).UTC().Truncate(time.Second)
	moved := strings.Replace(string(text), "2027-03-02T20:30:00Z", starts.Format(time.RFC3339), 1)
	for _, step := range []struct {
		name, spec string
		early      bool
		settled    time.Time
	}{
		{"tickets are handed on for months to come", string(text), true, time.Date(2027, 3, 2, 18, 30, 0, 0, time.UTC)},
		{"not since the day before yesterday", moved + "transfer: {closes_before: 72h}\n", false, starts.Add(-72 * time.Hour)},
		{"but sold on", moved + "transfer: {closes_before: 72h}\nresale: {allowed: true, closes_before: 3h}\n", true, starts.Add(-3 * time.Hour)},
		{"neither any more", moved + "transfer: {closes_before: 72h}\nresale: {allowed: true, closes_before: 71h}\n", false, starts.Add(-71 * time.Hour)},
	} {
		r.admin(http.MethodPut, "/admin/v1/events", step.spec, http.StatusOK, nil)
		said := r.ticketctl("", 0, "pack", "club", "--out", filepath.Join(t.TempDir(), "club.pack"))
		if warned := strings.Contains(said, "WARNING: tickets change hands until "+step.settled.Format(time.RFC3339)); warned != step.early ||
			!step.early && strings.Contains(said, "WARNING") || !strings.Contains(strings.Join(strings.Fields(said), " "), "settled at "+step.settled.Format(time.RFC3339)) {
			t.Errorf("%s:\n%s", step.name, said)
		}
	}
}

func TestTicketsThatNeverChangeHandsAreSettledAlways(t *testing.T) {
	if at, err := settledAt(event.Spec{Currency: "EUR", StartsAt: time.Now(), Transfer: event.Transfer{Forbidden: true}}); err != nil || !at.IsZero() {
		t.Errorf("%s, %v", at, err)
	}
}
