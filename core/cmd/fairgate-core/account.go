package main

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"fairgate/core/account"
	"fairgate/core/db"
	"fairgate/core/event"
	"fairgate/core/notify"
)

// openAccounts makes the part that signs buyers in.
func openAccounts(d *db.DB, events *event.Store, log *slog.Logger) (*account.Service, error) {
	ring := func(purpose event.Purpose) func(context.Context) (event.KeyRing, error) {
		return func(ctx context.Context) (event.KeyRing, error) { return events.Keys(ctx, purpose, event.GlobalScope) }
	}
	return account.New(account.Config{
		DB: d, Signing: ring(event.AccountPurpose), Reread: func(ctx context.Context) (event.KeyRing, error) {
			return events.Reread(ctx, event.AccountPurpose, event.GlobalScope)
		}, Marking: ring(event.CodePurpose), Log: log, Send: sendCode,
	})
}

// sendCode takes the mail that brings a code into its transaction. The code goes out of the outbox with the mail, or with its own end.
func sendCode(ctx context.Context, tx pgx.Tx, m account.Mail) error {
	err := notify.Queue(ctx, tx, notify.Message{
		Key: "sign_in_code/" + m.ID.String(), Kind: notify.KindSignInCode, To: m.To, Language: m.Language, Subject: m.ID, Within: m.Valid,
		Data: map[string]string{"code": m.Code, "minutes": strconv.Itoa(int(m.Valid / time.Minute))},
	})
	if err != nil {
		return fmt.Errorf("queue the mail: %w", err)
	}
	return nil
}
