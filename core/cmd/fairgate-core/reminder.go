package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/access"
	"fairgate/core/db"
	"fairgate/core/event"
	"fairgate/core/notify"
	"fairgate/core/reminder"
)

// openReminders makes the part that mails who asked to be told when a sale opens.
func openReminders(d *db.DB, events *event.Store, room *access.Room, log *slog.Logger) *reminder.Service {
	return reminder.New(reminder.Config{
		DB: d, Sale: saleOf(events, room), Log: log,
		Send: func(ctx context.Context, tx pgx.Tx, mails []reminder.Mail) error {
			messages := make([]notify.Message, len(mails))
			for i, m := range mails {
				messages[i] = notify.Message{Key: m.Key, Kind: notify.KindReminder, To: m.To, Language: m.Language, Subject: m.Event,
					Data: map[string]string{notify.DataOccasion: string(m.Occasion)}}
			}
			return notify.QueueAll(ctx, tx, messages)
		},
	})
}

// saleOf is how an event's sale stands, as the waiting room has it.
func saleOf(events *event.Store, room *access.Room) func(context.Context, uuid.UUID) (reminder.Sale, error) {
	return func(ctx context.Context, id uuid.UUID) (reminder.Sale, error) {
		e, err := events.ByID(ctx, id)
		if err != nil {
			return 0, err
		}
		if e.State == event.Cancelled {
			return reminder.Over, nil
		}
		phase, _, err := room.Phase(ctx, e.Slug)
		if errors.Is(err, access.ErrNoSale) {
			return reminder.Before, nil // not announced yet
		}
		if err != nil {
			return 0, err
		}
		switch phase {
		case access.Announced:
			return reminder.Before, nil
		case access.Joining, access.Sealing:
			return reminder.Waiting, nil
		case access.Open:
			return reminder.Selling, nil
		case access.Ended:
			return reminder.Over, nil
		}
		return reminder.SoldOut, nil // or paused: nothing can be had at the moment
	}
}

// reminderMail composes what such a mail tells.
func reminderMail(events *event.Store, site string) notify.Composer {
	return func(ctx context.Context, m notify.Message) (notify.Letter, error) {
		e, err := events.ByID(ctx, m.Subject)
		if err != nil {
			return notify.Letter{}, err
		}
		about := notify.Event{Name: e.Spec.Name, Venue: e.Spec.Venue.Name, City: e.Spec.Venue.City, StartsAt: e.Spec.StartsAt.In(e.Location)}
		if site = strings.TrimRight(site, "/"); site != "" {
			about.URL = site + "/e/" + e.Slug
		}
		return notify.Letter{Values: notify.Reminder{Event: about, Occasion: m.Data[notify.DataOccasion]}}, nil
	}
}
