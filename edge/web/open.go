package web

import (
	"encoding/json"
	"fmt"
	"time"
)

// OpenOrder is an order that was begun and can still be paid, as pages show it.
type OpenOrder struct {
	ID, Event, Name, Total string
	Tickets                int
	// Left is how long it can be paid, as a clock shows it, and Seconds the same for a script that goes on counting; "" and 0 where that is
	// more than an hour, and Until says when it ends.
	Left, Until string
	Seconds     int64
}

// Unfinished are the orders of core's answer to GET /v1/orders, none for no answer.
func (p *Pages) Unfinished(l *Language, body []byte) ([]OpenOrder, error) {
	if body == nil {
		return nil, nil
	}
	var answer struct {
		Orders []struct {
			ID, Event, Name string
			TimeZone        string `json:"time_zone"`
			Amount          priceJSON
			Tickets         int
			Deadline        time.Time
			ServerTime      time.Time `json:"server_time"`
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("read unfinished orders: %w", err)
	}
	open := make([]OpenOrder, 0, len(answer.Orders))
	for _, o := range answer.Orders {
		one := OpenOrder{ID: o.ID, Event: o.Event, Name: o.Name, Total: l.Money(o.Amount), Tickets: o.Tickets}
		switch left := o.Deadline.Sub(o.ServerTime); {
		case left <= 0:
			continue
		case left >= time.Hour:
			one.Until = l.When(o.Deadline, o.TimeZone)
		default:
			one.Seconds = int64(left / time.Second)
			one.Left = fmt.Sprintf("%d:%02d", one.Seconds/60, one.Seconds%60)
		}
		open = append(open, one)
	}
	return open, nil
}
