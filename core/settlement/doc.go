// Package settlement compares what payment providers say they settled with what the ledger says they took, row by row.
//
// It owns the tables settlement_rows, settlement_items and settlement_days. It refuses to change the ledger by itself except
// where nothing is to decide (fees, payouts, fee-only rows and changes of currency, if configured); everything else is proposed
// and recorded when an operator approves.
//
// # How a day is read
//
// Rows come a page at a time in the provider's order. Each page is one serializable transaction: rows that are known are
// compared with what they said before, new ones are matched with a final transfer on the provider's clearing account and stored
// with it, fees and changes of currency are booked. Then the day's transfers on the clearing account are walked, a page at a
// time, and those that no row has are looked at. So memory is bounded by a page whatever the day holds, and a process that dies
// leaves pages that are done and pages that are not: reading the day again does the rest and repeats nothing.
//
// # How a row is matched
//
//	row               transfer on provider_clearing                   found by
//	charge            sale_payment, late_money, resale_payment        the order's id, which decides the transfer's id
//	refund            refund_payment, late_refund, resale_…_back      the order's and the refund's id
//	refund_failure    the reversal of one of those                    the order's id
//	both of a refund  what was promised, and its being void           the same: one that failed before it was thought to be done
//	dispute           dispute_funds                                   the order's id
//	dispute_reversal  dispute_won                                     the order's id
//	payout, fee, conversion                                           make their transfers: the row itself is the reason
//
// A row that names no order is looked up by the provider's name of its payment: among charges settled before, then among our
// payments, all of which that reads: once for a page of rows that nothing else explains, and a few times in one reading. A transfer is
// matched once (a unique index sees to it). Amounts in two currencies agree when the rate that the row names makes one of the other.
//
// Disputes, and refunds made in the provider's own pages, get the ids that a webhook about them gets (payment.DisputeID,
// payment.FoundRefundID): whoever hears of them first and second, they are booked once.
//
// # Classes
//
//	matched         row and transfer agree in amount, and in currency or presentment currency
//	in_transit      ours, no row yet, younger than Config.Grace
//	ours_only       ours, no row, older than that
//	theirs_only     no transfer of ours
//	amount_differs  the transfer is there, of another amount or currency
//	duplicated      a second row for one transfer, or one row twice in one reading
//	altered         a row that reads otherwise than before, or is gone
//	corrected       was one of these; an operator approved
//
// All but the first two are items: a sentence why, a proposed correction, and a state. An item heals by itself when a later
// reading finds what was missing.
//
// # Money explained
//
// Of a day and a currency: 1 - (amounts of items) ÷ (gross of all the day's rows + amounts of the day's ours_only items), of items
// that are open or rejected, amounts without sign, an item counted with the whole gross of its row and a row once. In transit is on neither side. A day's percentage is that of its worst currency.
//
// # Concurrency
//
// A Service is safe for concurrent use, in several processes, for the same day too: transactions that meet are run again.
package settlement
