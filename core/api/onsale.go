package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"fairgate/core/access"
)

// onSale shows an operator how an on-sale stands: the room, the stock, the holds and the orders.
func (s *Server) onSale(w http.ResponseWriter, r *http.Request) error {
	e, err := s.Events.BySlug(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	status, err := s.Room.Status(r.Context(), e.Slug)
	if err != nil {
		return err
	}
	stock, err := s.stockView(r, e.ID)
	if err != nil {
		return err
	}
	holds, err := s.Inventory.Active(r.Context(), e.ID)
	if err != nil {
		return err
	}
	orders, err := s.Checkout.States(r.Context(), e.ID)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, struct {
		access.Status
		HoldsActive int         `json:"holds_active"`
		Stock       []stockJSON `json:"stock"`
		Orders      any         `json:"orders"`
	}{status, holds, stock, orders})
	return nil
}

type statsJSON struct {
	Joined      int64 `json:"joined"`
	Called      int64 `json:"called"`
	Sessions    int64 `json:"sessions"`
	HoldsActive int64 `json:"holds_active"`
	HoldsTotal  int64 `json:"holds_total"`
	Orders      any   `json:"orders"`
	Tickets     int64 `json:"tickets"`
}

const sqlCounts = `SELECT
	(SELECT count(*) FROM holds WHERE event_id = $1),
	(SELECT count(*) FROM tickets WHERE event_id = $1)`

// stats are the live figures of an event, for a progress line.
func (s *Server) stats(w http.ResponseWriter, r *http.Request) error {
	e, err := s.Events.BySlug(r.Context(), r.URL.Query().Get("event"))
	if err != nil {
		return err
	}
	stats, err := s.figures(r.Context(), e.ID, e.Slug)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, stats)
	return nil
}

func (s *Server) figures(ctx context.Context, id uuid.UUID, slug string) (statsJSON, error) {
	var stats statsJSON
	status, err := s.Room.Status(ctx, slug)
	if err != nil && !errors.Is(err, access.ErrNoSale) {
		return stats, err
	}
	stats.Joined, stats.Called, stats.Sessions = int64(status.Joined), int64(status.Called), int64(status.Sessions)
	if err := s.DB.Reader.QueryRow(ctx, sqlCounts, id).Scan(&stats.HoldsTotal, &stats.Tickets); err != nil {
		return stats, fmt.Errorf("count holds and tickets: %w", err)
	}
	active, err := s.Inventory.Active(ctx, id)
	if err != nil {
		return stats, err
	}
	stats.HoldsActive = int64(active)
	stats.Orders, err = s.Checkout.States(ctx, id)
	return stats, err
}
