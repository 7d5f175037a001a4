package waitlist_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/inventory"
	"fairgate/core/waitlist"
)

func TestAnAcceptedOfferThatRanOutIsNotAcceptedAgain(t *testing.T) {
	w := newWorld(t)
	e := w.drawn(w.wish(1, "floor"))
	w.refund(w.sold[0])
	w.look()
	_, o := w.now(e[0])
	for range 2 {
		if _, err := w.lists.Accept(w.ctx, o.ID, e[0].Entrant); err != nil {
			t.Fatal(err)
		}
	}
	w.pass(o.Hold) // past its deadline, and nobody has swept it yet
	if got, err := w.lists.Accept(w.ctx, o.ID, e[0].Entrant); !errors.Is(err, waitlist.ErrOfferGone) {
		t.Errorf("accepted again when it had run out: %s, %v", got.State, err)
	}
	w.expire(o.Hold)
	if got, err := w.lists.Accept(w.ctx, o.ID, e[0].Entrant); !errors.Is(err, waitlist.ErrOfferGone) {
		t.Errorf("accepted again when it had expired: %s, %v", got.State, err)
	}
}

func TestAnOfferOfACancelledEventIsNeitherAcceptedNorCalledDeclined(t *testing.T) {
	w := newWorld(t)
	e := w.drawn(w.wish(1, "floor"))
	w.refund(w.sold[0])
	w.look()
	_, o := w.now(e[0])
	w.inTx(func(tx pgx.Tx) (map[uuid.UUID]error, error) { return inventory.Release(w.ctx, tx, []uuid.UUID{o.Hold}) }) // as the refund run does
	w.look()
	w.is("before the cancellation is heard of", w.states(e...), "offered")
	w.rules.Cancelled = true
	if got, err := w.lists.Accept(w.ctx, o.ID, e[0].Entrant); !errors.Is(err, waitlist.ErrOfferGone) {
		t.Errorf("accepted: %s, %v", got.State, err)
	}
	w.look()
	s, o := w.now(e[0])
	if s.State != waitlist.Closed || s.Reason != "the event was cancelled" || o.State != waitlist.OfferExpired || o.Reason != s.Reason {
		t.Errorf("entry %s (%s), offer %s (%s)", s.State, s.Reason, o.State, o.Reason)
	}
}

func TestAHoldThatIsGivenBackWithoutItsOfferEndsTheOffer(t *testing.T) {
	w := newWorld(t)
	e := w.drawn(w.wish(1, "floor"))
	w.refund(w.sold[0])
	w.look()
	_, o := w.now(e[0])
	if _, err := w.stock.Release(w.ctx, o.Hold, e[0].Entrant); err != nil {
		t.Fatal(err)
	}
	w.exec(`UPDATE holds SET closed_at = closed_at - INTERVAL '1 minute' WHERE hold_id = $1`, o.Hold)
	w.look()
	if s, o := w.now(e[0]); s.State != waitlist.Left || o.State != waitlist.OfferDeclined || o.Reason == "declined the offer" {
		t.Errorf("entry %s, offer %s (%s)", s.State, o.State, o.Reason)
	}
}
