package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
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
		DB: d, Sale: saleOf(events, room), Key: unsubscribeKeys(events), Log: log,
		Send: func(ctx context.Context, tx pgx.Tx, mails []reminder.Mail) error {
			messages := make([]notify.Message, len(mails))
			for i, m := range mails {
				messages[i] = notify.Message{Key: m.Key, Kind: notify.KindReminder, To: m.To, Language: m.Language, Subject: m.Event,
					Data: map[string]string{notify.DataOccasion: string(m.Occasion), notify.DataAccount: m.Account.String()}}
			}
			return notify.QueueAll(ctx, tx, messages)
		},
	})
}

// unsubscribeKeys are what reminders are withdrawn with by an address in a mail: the keys that hash what accounts are asked for.
func unsubscribeKeys(events *event.Store) func(context.Context) ([][]byte, error) {
	return func(ctx context.Context) ([][]byte, error) {
		ring, err := events.Keys(ctx, event.CodePurpose, event.GlobalScope)
		if err != nil {
			return nil, err
		}
		keys := make([][]byte, len(ring))
		for i, k := range ring {
			keys[i] = k.Secret
		}
		return keys, nil
	}
}

// saleOf is how one of an event's sales stands, a presale or general sale, as the waiting room has it.
func saleOf(events *event.Store, room *access.Room) func(context.Context, uuid.UUID, string) (reminder.Sale, error) {
	return func(ctx context.Context, id uuid.UUID, presale string) (reminder.Sale, error) {
		e, err := events.ByID(ctx, id)
		if err != nil {
			return 0, err
		}
		known := slices.IndexFunc(e.Spec.Presales, func(p event.Presale) bool { return p.ID == presale })
		if e.State == event.Cancelled || presale != "" && known < 0 {
			return reminder.Over, nil
		}
		calendar, err := room.Calendar(ctx, e.Slug)
		if err != nil && !errors.Is(err, access.ErrNoSale) {
			return 0, err
		}
		announced := err == nil
		switch {
		case announced && calendar.Current.Presale == presale && calendar.Phase != access.Ended:
			return standing(calendar.Phase), nil
		case slices.ContainsFunc(calendar.Next, func(p access.Planned) bool { return p.Presale == presale }):
			return reminder.Before, nil
		case announced && calendar.Current.Presale == presale, calendar.Passed(presale), presale != "" && !room.Now().Before(e.Spec.Presales[known].Until):
			return reminder.Over, nil
		}
		return reminder.Before, nil // not announced yet
	}
}

func standing(phase access.Phase) reminder.Sale {
	switch phase {
	case access.Announced:
		return reminder.Before
	case access.Joining, access.Sealing:
		return reminder.Waiting
	case access.Open:
		return reminder.Selling
	}
	return reminder.SoldOut // or paused: nothing can be had at the moment
}

// reminderMail composes what such a mail tells. token is what it is unsubscribed with, "" for nothing.
func reminderMail(events *event.Store, site string, token func(ctx context.Context, account, event uuid.UUID) (string, error)) notify.Composer {
	return func(ctx context.Context, m notify.Message) (notify.Letter, error) {
		e, err := events.ByID(ctx, m.Subject)
		if err != nil {
			return notify.Letter{}, err
		}
		about := notify.Event{Name: e.Spec.Name, Venue: e.Spec.Venue.Name, City: e.Spec.Venue.City, StartsAt: e.Spec.StartsAt.In(e.Location)}
		kind, presale := reminder.Occasion(m.Data[notify.DataOccasion]).Cut()
		values := notify.Reminder{Event: about, Occasion: string(kind), Sale: presale}
		for i := range e.Spec.Presales {
			if p := &e.Spec.Presales[i]; p.ID == presale {
				values.Sale = p.Shown()
			}
		}
		letter := notify.Letter{}
		if site := strings.TrimRight(site, "/"); site != "" {
			values.Event.URL = site + "/e/" + e.Slug
			account, err := uuid.Parse(m.Data[notify.DataAccount])
			if err == nil { // mails queued by the release before name none
				text, err := token(ctx, account, e.ID)
				if err != nil {
					return notify.Letter{}, err
				}
				if text != "" {
					values.Unsubscribe = site + "/unsubscribe/" + text
					letter.Unsubscribe = values.Unsubscribe
				}
			}
		}
		letter.Values = values
		return letter, nil
	}
}
