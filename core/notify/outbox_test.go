package notify

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"fairgate/core/db/dbtest"
)

func TestAMailIsSentOnceItsTransactionHasCommittedAndOnlyThen(t *testing.T) {
	d := dbtest.New(t)
	box := newPostbox(t, "", nil)
	undone, failure := about(1), errors.New("the sale fails")
	err := d.InTx(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		if err := Queue(ctx, tx, undone); err != nil {
			return err
		}
		return failure
	})
	if !errors.Is(err, failure) {
		t.Fatal(err)
	}
	m := about(2)
	other := m
	other.To = "somebody.else@example.net" // the same key is the same mail
	queue(t, d, m, m)
	queue(t, d, other)
	start(t, quick(t, d, box))
	eventually(t, "the mail is sent", func() bool { return rowOf(t, d, m).State == "sent" })
	queue(t, d, m) // a repeated transaction, after all is over
	last := about(3)
	queue(t, d, last)
	eventually(t, "a later mail is sent", func() bool { return rowOf(t, d, last).State == "sent" })
	kept := box.mails()
	if len(kept) != 2 || kept[0].to != m.To || kept[1].to != last.To || kept[0].from != "tickets@example.org" {
		t.Fatalf("the server took %+v", kept)
	}
	head := kept[0].parse(t).Header
	for name, want := range map[string]string{"To": "<buyer2@example.net>", "From": `"Example Tickets" <tickets@example.org>`, "Subject": "Your tickets: Los Faros",
		"Message-Id": "<" + ID(m.Key).String() + "@example.org>", "Auto-Submitted": "auto-generated"} {
		if got := head.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if text := string(kept[0].raw); !strings.Contains(text, "Palau, Barcelona") || !strings.Contains(text, "text/html") {
		t.Errorf("the mail says\n%s", text)
	}
}
