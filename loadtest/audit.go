package loadtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"fairgate/edge/lottery"

	"github.com/jackc/pgx/v5"
)

// auditTakes is kept back of a deadline for gathering evidence and judging it.
const auditTakes = 8 * time.Second

// Audit waits until nothing is under way any more, gathers the evidence from everybody who has some, and answers the questions of
// the audit, one verdict each. A piece of evidence that cannot be had is an error and no verdict at all.
func (r *Rehearsal) Audit(ctx context.Context) ([]Verdict, error) {
	conn, err := pgx.Connect(ctx, r.plan.Targets.DatabaseURL)
	if err != nil {
		return nil, fmt.Errorf("connect for the audit: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := r.decideReviews(ctx); err != nil {
		return nil, err
	}
	patience := r.plan.Limits.Settle.D()
	if deadline, ok := ctx.Deadline(); ok {
		// Verdicts on an unsettled sale say more than none at all.
		patience = min(patience, time.Until(deadline)-auditTakes)
	}
	left, err := settle(ctx, conn, r.plan.Event, patience)
	if err != nil {
		return nil, err
	}
	if !left.none() {
		r.log.Warn("the audit does not wait any longer", "active_holds", left.Holds, "outbox", left.Outbox, "webhooks", left.Webhooks, "unfinished_orders", left.Orders)
	}
	e := &evidence{event: r.plan.Event, witness: r.witness, seen: r.states.published(), buyers: int(r.rec.gauges.arrived.Load())}
	e.failed, e.problems = r.rec.Problems()
	e.kinds = r.rec.ProblemKinds()
	if err := e.readDatabase(ctx, conn); err != nil {
		return nil, err
	}
	if err := e.ask(ctx, r.admin, r.plan.Targets.Paysim); err != nil {
		return nil, err
	}
	r.shares = shares(e.transcript, e.witness.BotEntrants())
	e.shares = r.shares
	verdicts := e.judge()
	if r.plan.Bots.FairShare {
		verdicts = append(verdicts, checkShare(e))
	}
	return verdicts, nil
}

// ask fills in what core and the provider say.
func (e *evidence) ask(ctx context.Context, admin *Admin, paysim string) error {
	var keys struct {
		Keys lottery.PublicKeys `json:"keys"`
	}
	var transcript json.RawMessage
	err := errors.Join(
		admin.Get(ctx, "/admin/v1/tickets/keys?event="+e.event, &keys),
		admin.Get(ctx, "/admin/v1/events/"+e.event+"/lottery", &transcript),
		admin.Get(ctx, "/admin/v1/ledger/verify", &e.ledger),
	)
	if err != nil {
		return fmt.Errorf("gather evidence: %w", err)
	}
	e.ticketKeys = keys.Keys
	if e.transcript, err = lottery.ParseTranscript(transcript); err != nil {
		return fmt.Errorf("gather evidence: %w", err)
	}
	if e.books, err = readBooks(ctx, paysim); err != nil {
		return fmt.Errorf("gather evidence: %w", err)
	}
	return nil
}

// judge answers every question.
func (e *evidence) judge() []Verdict {
	verdicts := []Verdict{
		checkOversold(e), checkSeats(e), checkLimits(e), checkCharges(e), checkProviderBalance(e), checkLedger(e),
		checkTickets(e), checkDraw(e), checkHoldsLeft(e), checkHonest(e), checkBots(e),
	}
	if e.witness.Afterwards() != nil {
		verdicts = append(verdicts, checkAfterwards(e))
	}
	if e.witness.Doors() != nil {
		verdicts = append(verdicts, checkDoors(e))
	}
	return verdicts
}

const sqlVersion = `SELECT version()`

// engineOf asks the database what it is.
func engineOf(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return "", fmt.Errorf("connect to the database: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var version string
	if err := conn.QueryRow(ctx, sqlVersion).Scan(&version); err != nil {
		return "", fmt.Errorf("ask the database for its version: %w", err)
	}
	return version, nil
}
