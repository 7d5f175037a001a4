package checkout

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/fraud"
	"fairgate/core/payment"
	"fairgate/edge/lottery"
)

// FraudTerms is how much stricter an event is than the service.
type FraudTerms struct {
	Tighter   fraud.Thresholds
	Challenge bool // every buyer proves to their bank who they are
}

// paymentRefused is the failure of an attempt that was denied, as the buyer sees it. It does not say why, which is for operators.
const paymentRefused = "payment_refused"

// refused tells whether the attempt was ended by us, for a reason that stands whatever the provider says later.
func (p *Payment) refused() bool {
	return p.Failure == cardOverLimit || p.Failure == listingGone || p.Failure == paymentRefused || p.Failure == reviewOver
}

// addressOf is the hash of the network that an order is opened from, where payments are judged.
func (s *Service) addressOf(o *Opening) fraud.Mark {
	if s.cfg.Screen == nil {
		return fraud.Mark{}
	}
	return s.cfg.Marker.Mark("address", o.Address)
}

const sqlSubjects = `
SELECT p.order_id, p.payment_id, o.event_id, o.entrant, o.email, o.address, p.state, p.screened
FROM unnest($1::UUID[], $2::UUID[]) AS k (order_id, payment_id)
JOIN payments AS p ON p.order_id = k.order_id AND p.payment_id = k.payment_id
JOIN orders AS o ON o.order_id = p.order_id`

// sqlScreened keeps how a payment was judged before its provider is called.
const sqlScreened = `UPDATE payments SET screened = $3 WHERE order_id = $1 AND payment_id = $2 AND screened = '' AND state = 'created'`

// subject is what is known of who pays.
type subject struct {
	fraud.Question
	state    PaymentState
	screened fraud.Verdict
	terms    Terms
}

// payer is the row of a subject.
type payer struct {
	event            uuid.UUID
	entrant, address []byte
	email            string
	state            PaymentState
	screened         fraud.Verdict
	known            bool
}

// readPayers reads who pays attempts, given as tasks; one answer for each, which is not known where there is no such attempt.
func (s *Service) readPayers(ctx context.Context, tasks []payment.Task) ([]payer, error) {
	orders, attempts := distinct(tasks)
	byID := make(map[[2]uuid.UUID]payer, len(attempts))
	err := s.db.Reading(ctx, func() error {
		clear(byID)
		rows, err := s.db.Reader.Query(ctx, sqlSubjects, orders, attempts)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			p := payer{known: true}
			var id [2]uuid.UUID
			if err := rows.Scan(&id[0], &id[1], &p.event, &p.entrant, &p.email, &p.address, &p.state, &p.screened); err != nil {
				return err
			}
			byID[id] = p
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("read who pays %d orders: %w", len(orders), err)
	}
	answers := make([]payer, len(tasks))
	for i, t := range tasks {
		answers[i] = byID[[2]uuid.UUID{t.OrderID, t.PaymentID}]
	}
	return answers, nil
}

// subject reads who pays an attempt.
func (s *Service) subject(ctx context.Context, order, attempt uuid.UUID, stage fraud.Stage) (subject, error) {
	u := subject{Question: fraud.Question{Order: order, Payment: attempt, Stage: stage}}
	p, err := alone(ctx, s.payerReads, s.readPayers, payment.Task{OrderID: order, PaymentID: attempt})
	if err == nil && !p.known {
		err = pgx.ErrNoRows
	}
	if err != nil {
		return u, fmt.Errorf("read who pays order %s: %w", order, err)
	}
	u.state, u.screened = p.state, p.screened
	if u.terms, err = s.catalog(ctx, p.event); err != nil {
		return u, fmt.Errorf("terms of event %s: %w", p.event, err)
	}
	if len(p.entrant) == len(lottery.Entrant{}) {
		u.Account = s.cfg.Marker.Mark("account", string(p.entrant))
	}
	u.Email = s.cfg.Marker.Mark("email", p.email)
	copy(u.Address[:], p.address)
	u.Country, u.Tighter, u.Always = u.terms.Country, u.terms.Fraud.Tighter, u.terms.Fraud.Challenge
	return u, nil
}

// screenBegin judges an attempt before its provider is told of it: denied ends the order, and the intent is completed with what is
// asked of the buyer. What is decided is stored before the call, so that a repeated one is the same.
func (s *Service) screenBegin(ctx context.Context, t payment.Task, intent *payment.Intent) (denied bool, err error) {
	if s.cfg.Screen == nil {
		return false, nil
	}
	u, err := s.subject(ctx, t.OrderID, t.PaymentID, fraud.Begin)
	if err != nil {
		return false, err
	}
	verdict, why := u.screened, "judged before"
	if verdict == fraud.None {
		j := s.cfg.Screen.Judge(ctx, u.Question)
		verdict, why = j.Verdict, j.Said()
		if verdict != fraud.Allow || !j.Stored {
			tag, err := s.db.Exec(ctx, sqlScreened, t.OrderID, t.PaymentID, string(verdict))
			if err != nil {
				return false, fmt.Errorf("keep the verdict on payment %s: %w", t.PaymentID, err)
			}
			if tag.RowsAffected() == 0 {
				return false, fmt.Errorf("keep the verdict on payment %s: %w", t.PaymentID, errOutdated)
			}
		}
	}
	if verdict == fraud.Deny {
		err := s.Apply(ctx, Outcome{Order: t.OrderID, Payment: t.PaymentID, Cause: CauseDenied, Actor: "screen", Source: sourceOf(t), Why: why})
		if errors.Is(err, ErrNoReview) {
			err = nil // the order ended by itself
		}
		return true, err
	}
	intent.Challenge = verdict == fraud.Challenge || verdict == fraud.Review
	return false, nil
}

// screen judges an authorization before it is applied, unless it was told before, and notes declines.
func (s *Service) screen(ctx context.Context, o *Outcome) error {
	authorized := o.Cause == CauseAuthorized || o.Cause == CauseCaptured
	if s.cfg.Screen == nil || o.judged || o.Verdict != fraud.None || !authorized && o.Cause != CauseDeclined {
		return nil
	}
	u, err := s.subject(ctx, o.Order, o.Payment, fraud.Authorized)
	if isUnknown(err) {
		return nil // none of ours: the lane says so
	}
	if err != nil || u.state != PaymentCreated && u.state != PaymentBegun {
		return err
	}
	if !authorized {
		s.cfg.Screen.Declined(ctx, u.Question, o.Try)
		return nil
	}
	if o.Card == "" && !o.CardAsked && u.terms.Cards.any() {
		if err := s.askCard(ctx, o); err != nil {
			return err
		}
	}
	u.Card, u.Risk, u.Before = s.cfg.Marker.Mark("card", o.Card), o.Risk, u.screened
	j := s.cfg.Screen.Judge(ctx, u.Question)
	o.Verdict = j.Verdict
	if j.Verdict != fraud.Allow {
		o.Why = j.Said()
	}
	return nil
}

// bare tells whether a webhook says that money is authorized and nothing of who paid, while another one of the provider's does. It is
// left to that one, or to the lookup should that one be lost.
func (s *Service) bare(e payment.Event) bool {
	o := &e.Outcome
	if s.cfg.Screen == nil || o.State != payment.Authorized || o.Card != "" || o.Risk != (payment.Risk{}) {
		return false
	}
	return s.providers.SignalsApart(e.Provider)
}

// Idle tells whether a webhook says nothing that anybody waits for, so that it is stored and handed to nobody: what is bare; that an
// intent was made, which the step that makes it is told too, or asks again with the same key; and the second one that money was
// captured, of a provider that has two, with the signals of an authorization that was judged long ago.
func (s *Service) Idle(e payment.Event) bool {
	o := &e.Outcome
	switch {
	case e.Refund != nil || e.Dispute != nil:
		return false
	case o.State == payment.Begun:
		return true
	case o.State == payment.Captured && (o.Card != "" || o.Risk != (payment.Risk{})):
		return s.providers.SignalsApart(e.Provider)
	}
	return s.bare(e)
}
