// Package loadtest is the rehearsal: it plays a whole on-sale against a running deployment and then proves what happened.
//
// It owns the plan (who arrives when and behaves how), the buyers, the bots, the measurements, the audit and the report. It is
// black-box: buyers and bots speak the public HTTP API as the page does; the audit reads the database through SELECTs only, the
// admin API, and the payment provider's own books. From Fairgate it uses the formats that the public may check too: the lottery,
// the state object and the layout of a ticket code.
//
//	Plan ──▶ arrivals ──▶ Buyer ─┐                    ┌─▶ Recorder (latencies, outcomes, timeline) ─┐
//	                  └─▶ Bot ───┼─▶ Client ─▶ edges ─┤                                             ├─▶ Report
//	                             └─▶ paysim           └─▶ Witness (receipts, orders, tickets) ─▶ Audit ┘
//
// Arrivals are an open model: when a buyer comes is decided before the run and does not wait for the system. A latency runs from
// the moment the request was meant to be sent, so a stall is felt by everybody whom it would have kept waiting (no coordinated
// omission). The phases of the plan are relative to the instant the sale opens.
//
// One goroutine per buyer or bot, started at its arrival and ended by its outcome or the run's context; Run joins them all. All
// of them share at most Plan.Limits.MaxConnections connections.
package loadtest
