package checkout

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/payment"
)

// errNotSettled means that a dispute is about a payment that is still under way, as far as is known: its capture is told later.
var errNotSettled = errors.New("checkout: the disputed payment is not captured yet")

// taskDispute asks about a dispute that was told before its payment's capture. Its payload is "provider\nreference of the dispute".
const taskDispute = payment.KindDispute

// askAfter is when a dispute that came too early is asked about for the first time.
const askAfter = 2 * time.Second

// askLater has the outbox ask about a dispute until its payment is captured, or dead: for as long as a capture may take. Providers that
// cannot be asked send their webhook again, as often as the inbox takes it.
func (s *Service) askLater(ctx context.Context, provider string, order, attempt uuid.UUID, ref string, cause error) error {
	if _, err := s.providers.Disputer(provider); errors.Is(err, payment.ErrUnsupported) {
		return cause
	}
	t := payment.Task{ID: uuid.NewSHA1(attempt, []byte("dispute/"+provider+"/"+ref)), Kind: taskDispute, OrderID: order, PaymentID: attempt,
		Payload: provider + "\n" + ref, After: askAfter}
	err := s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		return s.outbox.Enqueue(ctx, tx, []payment.Task{t})
	})
	if err != nil {
		return fmt.Errorf("ask about dispute %s later: %w", ref, err)
	}
	s.outbox.Wake()
	return nil
}

// askDispute is the task's handler.
func (s *Service) askDispute(ctx context.Context, t payment.Task) error {
	provider, ref, _ := strings.Cut(t.Payload, "\n")
	disputer, err := s.providers.Disputer(provider)
	if err != nil {
		return err
	}
	news, err := disputer.LookupDispute(ctx, ref)
	if errors.Is(err, payment.ErrNotFound) {
		return fmt.Errorf("dispute %s: %w: %w", ref, err, payment.ErrPermanent)
	}
	if err != nil {
		return err
	}
	_, err = s.applyDispute(ctx, provider, t.OrderID, t.PaymentID, news, origin{actor: "outbox", source: sourceOf(t)})
	return err
}
