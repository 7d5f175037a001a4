package api

import (
	"fmt"
	"time"

	"fairgate/core/event"
)

// rulesJSON is what buyers may do with their tickets. A time that is not there: never.
type rulesJSON struct {
	RefundUntil   *timeJSON `json:"refund_until,omitempty"` // buyers may give tickets back
	RefundKeepFee bool      `json:"refund_keep_fee,omitempty"`
	TransferUntil *timeJSON `json:"transfer_until,omitempty"` // tickets are handed on
	ResaleUntil   *timeJSON `json:"resale_until,omitempty"`   // tickets are sold on
	// Companions is there where seats are kept for who comes along with somebody in an accessible seat.
	Companions *companionsJSON `json:"companions,omitempty"`
	ResaleOver string          `json:"resale_over,omitempty"` // the percentage by which a ticket may cost more than when it was first sold; empty: any price
}

// companionsJSON is who may take a companion's seat: who takes or has an accessible seat beside it and, from FreeFrom on, if that is there,
// anybody.
type companionsJSON struct {
	FreeFrom *timeJSON `json:"free_from,omitempty"`
}

// rulesOf are the rules of an event, its defaults and the law of its place counted in.
func rulesOf(s event.Spec) (*rulesJSON, error) {
	at := func(t time.Time) *timeJSON {
		j := timeJSON(t)
		return &j
	}
	var r rulesJSON
	if s.Refunds.By == event.RefundByBuyer {
		until := s.Refunds.Until
		if until.IsZero() {
			until = s.StartsAt
		}
		r.RefundUntil, r.RefundKeepFee = at(until), s.Refunds.KeepFee
	}
	if _, companions := s.AccessibleSeats(); len(companions) > 0 {
		r.Companions = &companionsJSON{}
		if d := s.Companions.Duration; d > 0 {
			r.Companions.FreeFrom = at(s.StartsAt.Add(-d))
		}
	}
	if t := s.TransferRules(); t.Allowed {
		r.TransferUntil = at(t.ClosesAt)
	}
	resale, err := s.ResaleRules()
	if err != nil {
		return nil, fmt.Errorf("find the rules of resale: %w", err)
	}
	if resale.Allowed {
		if r.ResaleUntil = at(resale.ClosesAt); !resale.Free {
			r.ResaleOver = resale.Over.String()
		}
	}
	return &r, nil
}
