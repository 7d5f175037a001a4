package inventory

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/inventory/history"
	"fairgate/edge/lottery"
)

// Recorder keeps a history that can be proved (package history). Its methods are called by any goroutine.
type Recorder interface {
	// Invoke keeps what a transaction is about to commit and returns once that survives the death of the process.
	Invoke(history.Call) int64
	// Return keeps what became of it.
	Return(n int64, outcome history.Outcome, answers ...history.Op)
	// Answered keeps answers that changed nothing.
	Answered(history.Call)
}

// InTx is d.InTx whose changes to the inventory, by Sell, Unsell, Return, Release and the lanes, are recorded: before each
// attempt to commit, and after the last. With a nil recorder nothing is.
func InTx(ctx context.Context, d *db.DB, r Recorder, fn func(context.Context, pgx.Tx) error) error {
	if r == nil {
		return d.InTx(ctx, fn)
	}
	j := &journal{recorder: r}
	err := d.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		j.begin()
		if err := fn(context.WithValue(ctx, journalKey{}, j), tx); err != nil {
			return err
		}
		j.invoke()
		return nil
	})
	j.end(err)
	return err
}

// journal is what one transaction does to the inventory. It belongs to the goroutine that runs the transaction.
type journal struct {
	recorder Recorder
	call     history.Call
	number   int64 // of the attempt whose commit was last tried; 0 for none
}

type journalKey struct{}

// journalOf finds the journal of a transaction that is recorded, else nil.
func journalOf(ctx context.Context) *journal {
	j, _ := ctx.Value(journalKey{}).(*journal)
	return j
}

// begin starts an attempt. Another one means that the last was undone for certain.
func (j *journal) begin() {
	j.end(db.ErrUnavailable)
	j.call = history.Call{From: history.Now()}
}

func (j *journal) invoke() {
	if len(j.call.Ops) > 0 {
		j.number = j.recorder.Invoke(j.call)
	}
}

func (j *journal) end(err error) {
	if j.number == 0 {
		return
	}
	outcome := history.OK
	switch {
	case errors.Is(err, db.ErrAmbiguous):
		outcome = history.Unknown
	case err != nil:
		outcome = history.Undone
	}
	j.recorder.Return(j.number, outcome)
	j.number = 0
}

// recordPlan notes a plan that has been written, with the stock rows as they are now.
func recordPlan(ctx context.Context, p *plan, rows map[stockKey]Stock, now time.Time) {
	j := journalOf(ctx)
	if j == nil {
		return
	}
	j.call.At = now.UnixMicro()
	for k, row := range rows {
		j.call.Rows = append(j.call.Rows, history.Row{
			Event: k.event, Tier: k.tier, Allocation: k.allocation, Version: row.Version, Taken: row.Taken, Capacity: row.Capacity,
		})
	}
	for i := range p.closes {
		c := &p.closes[i]
		o := opOf(history.Release, &c.hold)
		switch {
		case c.hold.State == Expired:
			o.Do = history.Expire
		case c.returned:
			o.Do = history.Return
		case c.previous == Sold:
			o.Do = history.Unsell
		}
		j.call.Ops = append(j.call.Ops, witnessed(o, c.hold.Event, rows))
	}
	for i := range p.moves {
		j.call.Ops = append(j.call.Ops, witnessed(opOf(history.Take, &p.moves[i]), p.moves[i].Event, rows))
	}
	for i := range p.grants {
		h := &p.grants[i].hold
		o := opOf(history.Hold, h)
		o.Body, o.Deadline = hex.EncodeToString(h.BodyHash[:]), h.Deadline.UnixMicro()
		j.call.Ops = append(j.call.Ops, witnessed(o, h.Event, rows))
	}
}

// recordSale notes a hold that is sold.
func recordSale(ctx context.Context, id, event uuid.UUID, items []Item) {
	if j := journalOf(ctx); j != nil {
		j.call.Ops = append(j.call.Ops, opOf(history.Sell, &Hold{ID: id, Event: event, Items: items}))
	}
}

// record keeps the answers of a decided batch that changed nothing: refusals, and holds told again.
func (s *Service) record(batch []op, p *plan, readAt time.Time) {
	if s.cfg.Recorder == nil {
		return
	}
	changed := make(map[int]bool, len(batch))
	for i := range p.grants {
		changed[p.grants[i].op] = true
	}
	for i := range p.closes {
		for _, n := range p.closes[i].ops {
			changed[n] = true
		}
	}
	call := history.Call{From: history.Now() - time.Since(readAt).Nanoseconds()}
	for i := range batch {
		o, a := &batch[i], &p.answers[i]
		if changed[i] || o.do == expire {
			continue
		}
		do := history.Hold
		if o.do == release {
			do = history.Release
		}
		var said history.Op
		if a.err == nil {
			said = opOf(do, &a.hold)
			said.Outcome, said.State = history.OK, string(a.hold.State)
		} else {
			said = opOf(do, &Hold{ID: o.id, Event: o.event, Entrant: o.entrant, Items: o.asked()})
			said.Outcome, said.Code = history.Refused, codeOf(a.err)
		}
		if do == history.Hold {
			said.Body = hex.EncodeToString(o.body[:])
		}
		call.Ops = append(call.Ops, said)
	}
	if len(call.Ops) > 0 {
		s.cfg.Recorder.Answered(call)
	}
}

// asked are the items that a request was refused, with the allocation that they mean.
func (o *op) asked() []Item {
	items := make([]Item, len(o.last()))
	for i, item := range o.last() {
		if tier, ok := o.offer.tier(item.Tier); ok {
			item.Allocation = orElse(item.Allocation, tier.Allocation)
		}
		items[i] = item
	}
	return items
}

func (o *Offer) tier(name string) (TierOffer, bool) {
	if o == nil {
		return TierOffer{}, false
	}
	t, ok := o.Tiers[name]
	return t, ok
}

func opOf(do history.Do, h *Hold) history.Op {
	o := history.Op{Do: do, Event: h.Event, Hold: h.ID, Items: make([]history.Item, len(h.Items))}
	if h.Entrant != (lottery.Entrant{}) {
		o.Buyer = hex.EncodeToString(h.Entrant[:])
	}
	for i, item := range h.Items {
		o.Items[i] = history.Item{Tier: item.Tier, Allocation: item.Allocation, Quantity: item.Quantity, Seats: item.Seats, Commit: item.Commit}
	}
	return o
}

// witnessed adds the commit numbers of the rows to an op's items.
func witnessed(o history.Op, event uuid.UUID, rows map[stockKey]Stock) history.Op {
	for i := range o.Items {
		o.Items[i].Commit = rows[stockKey{event, o.Items[i].Tier, o.Items[i].Allocation}].Version
	}
	return o
}

// codes are the names of refusals in a history: those of the API.
var codes = []struct {
	is   error
	code string
}{
	{ErrSoldOut, "sold_out"},
	{ErrWaitlisted, "waitlisted"},
	{ErrCompanionAlone, "companion_alone"},
	{ErrNotEnoughLeft, "not_enough_left"},
	{ErrSeatTaken, "seat_taken"},
	{ErrSeatSetAside, "seat_set_aside"},
	{ErrSeatUnknown, "seat_unknown"},
	{ErrTierUnknown, "tier_unknown"},
	{ErrOverAccountLimit, "over_limit_account"},
	{ErrOverDeviceLimit, "over_limit_device"},
	{ErrOverAddressLimit, "over_limit_address"},
	{ErrOverLimit, "quantity_over_limit"},
	{ErrQuantityInvalid, "quantity_invalid"},
	{ErrItemsInvalid, "items_invalid"},
	{ErrApart, "none_adjacent"},
	{ErrSectionUnknown, "section_unknown"},
	{ErrSectionSoldOut, "section_sold_out"},
	{ErrRowUnknown, "row_unknown"},
	{ErrTableWhole, "table_whole"},
	{ErrWindowUnknown, "presale_unknown"},
	{ErrWindowEarly, "presale_not_open"},
	{ErrWindowOver, "presale_over"},
	{ErrKeyReused, "idempotency_key_reused"},
	{ErrHoldUnknown, "hold_unknown"},
	{ErrHoldExpired, "hold_expired"},
	{ErrHoldClosed, "hold_closed"},
}

func codeOf(err error) string {
	for _, c := range codes {
		if errors.Is(err, c.is) {
			return c.code
		}
	}
	return "other"
}
