package api

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"fairgate/core/access"
	"fairgate/core/db"
	"fairgate/core/event"
	"fairgate/core/payment/offline"
	"fairgate/core/ticket/gate"
	"fairgate/ledger"
)

// A lone statement that finds no database says so in its own way; a buyer must hear "wait", not "internal".
func TestADatabaseThatIsGoneIsToldAsSuch(t *testing.T) {
	_, refused := pgx.Connect(context.Background(), "postgres://nobody@127.0.0.1:1/nothing?connect_timeout=1")
	if refused == nil {
		t.Fatal("something listens on port 1")
	}
	for _, err := range []error{refused, fmt.Errorf("read order: %w", refused), db.ErrUnavailable, fmt.Errorf("x: %w", db.ErrUnavailable)} {
		p := problemOf(err)
		if p.Status != 503 || p.Code != "database_unavailable" || p.RetryAfter == 0 {
			t.Errorf("%v: %+v", err, p)
		}
	}
}

func TestAFullQueueTellsHowLongItIs(t *testing.T) {
	p := problemOf(fmt.Errorf("hold: %w", &db.Overload{Wait: 2300 * time.Millisecond}))
	if p.Status != 503 || p.Code != "overloaded" || p.RetryAfter != 3 {
		t.Errorf("%+v, want 503 and three seconds", p)
	}
}

func TestSalesThatOverlapAreToldWithTheirTimes(t *testing.T) {
	at := func(hour int) time.Time { return time.Date(2027, 5, 3, hour, 0, 0, 0, time.FixedZone("", 7200)) }
	for presale, name := range map[string]string{"sponsors": "Presale sponsors", "": "General sale"} {
		over := &access.Overlap{JoiningAt: at(11), EndsAt: at(14), Other: access.Planned{Presale: presale, JoiningAt: at(9), OpensAt: at(10), EndsAt: at(12)}}
		p := problemOf(fmt.Errorf("schedule: %w", over))
		if p.Status != 409 || p.Code != "sales_overlap" {
			t.Errorf("%+v", p)
		}
		for _, part := range []string{name + " is from 2027-05-03T07:00:00Z", "to 2027-05-03T10:00:00Z", "from 2027-05-03T09:00:00Z to 2027-05-03T12:00:00Z", "joining_at"} {
			if !strings.Contains(p.Detail, part) {
				t.Errorf("%q lacks %q", p.Detail, part)
			}
		}
	}
}

func TestFullKeysOfAccountsAreNotToldAsThoseOfAGate(t *testing.T) {
	if p := problemOf(fmt.Errorf("rotate: %w", event.ErrKeysFull)); p.Code != "keys_full" || strings.Contains(p.Detail, "gate") || !strings.Contains(p.Detail, "account sessions") {
		t.Errorf("%+v", p)
	}
}

func TestEveryOutcomeHasACodeOfItsOwnMeaning(t *testing.T) {
	details := map[string]string{}
	for _, o := range outcomes {
		if o.status < 400 || o.code == "" || len(o.detail) < 10 {
			t.Errorf("%v: %+v", o.is, o)
		}
		if (o.status == 503 || o.status == 425) && o.retry == 0 {
			t.Errorf("%s says wait and not how long", o.code)
		}
		details[o.code] = o.detail
	}
	if len(details) < 40 {
		t.Errorf("only %d codes", len(details))
	}
	if p := problemOf(errors.New("secret text")); p.Code != "internal" || p.Status != 500 {
		t.Errorf("an unknown error: %+v", p)
	}
}

func TestARefusedRowSaysWhichWereRecorded(t *testing.T) {
	receipts := []offline.Receipt{{ID: "a"}, {ID: "b"}, {ID: "c"}}
	full := fmt.Errorf("record: %w", ledger.ErrOverflow)
	p := problemOf(&detailed{full, refusedRow(2, receipts, full)})
	if p.Status != 422 || p.Code != "amount_overflow" || !strings.Contains(p.Detail, `Row 3, receipt "c"`) || !strings.Contains(p.Detail, "Rows 1 to 2 were recorded") {
		t.Errorf("%+v", p)
	}
	unknown := errors.New("secret text")
	p = problemOf(&detailed{unknown, refusedRow(1, receipts, unknown)})
	if p.Status != 500 || !strings.Contains(p.Detail, "Row 1 was recorded") || strings.Contains(p.Detail, "secret") {
		t.Errorf("%+v", p)
	}
}

func TestAGateOffLineKnowsRefusalsByTheCodesThatCoreGivesThem(t *testing.T) {
	known := 0
	for _, word := range []string{"malformed", "other_event", "forged", "static", "expired", "closed", "superseded", "void", "listed", "zone", "used", "inside", "outside", "companion"} {
		why := gate.Refused(word)
		if why == nil {
			t.Fatalf("no refusal is called %s", word)
		}
		known++
		if got, want := gate.PublicCode(fmt.Errorf("at the gate: %w", why)), problemOf(why).Code; got != want {
			t.Errorf("%s is %q off line and %q on line", word, got, want)
		}
	}
	if known == 0 || gate.PublicCode(db.ErrUnavailable) != "" {
		t.Error("what is no refusal has a code")
	}
}
