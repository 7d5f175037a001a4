// Package ledger keeps the double-entry books: accounts, transfers between them, balances, and the proof that they agree.
//
// It owns the tables ledger_accounts, ledger_balances, ledger_transfers and ledger_seals. Transfers and seals are only ever
// inserted. A mistake is corrected by another transfer, never by a change. One row names both sides, so a transfer cannot be
// unbalanced; an amount is always positive and in one currency, in its minor unit.
//
// # Kinds of transfer
//
//	single   moves the amount at once                   ──▶ reverse  moves it back
//	pending  reserves it on both sides                  ──▶ void     takes it back
//	                                                    ──▶ post     makes it final       ──▶ reverse  moves it back
//
// A pending transfer ends once, by one post or one void; a final one is reversed once. Each of these answers repeats the accounts,
// amount and reference of what it answers (a reversal the other way round), and its id follows from that transfer's: the primary
// key alone sees to the once. Nothing answers a void or a reversal. All ids begin with six bytes of their reference (TransferID).
//
// # Chart of accounts
//
// Every account exists once per currency. A credit balance is what we owe, a debit balance what we are owed.
//
//	account                          stands for                                              returns to zero
//	buyer_clearing                   what buyers owe for what they were sold                 with each sale
//	provider_clearing/<provider>     what a payment provider has taken and not paid out      with the provider's payouts
//	provider_transit/<provider>      what a provider has sent and our bank has not received  when the bank has it
//	provider_costs/<provider>        what a provider has charged us                          when the books are closed
//	bank                             what is in our bank account                             never
//	exchange                         one side of a change of currencies                      never
//	organizer_payable/<organizer>    what an organizer has earned; below zero they owe us    with each settlement run
//	organizer_reserve/<organizer>    what is held back of it; never negative                 when it is released
//	organizer_available/<organizer>  what may be paid out to them now; never negative        with each payout
//	payout_clearing                  what was sent to organizers and sellers                 when it has arrived
//	platform_fees                    what we have earned                                     when the books are closed
//	taxes_payable                    what is owed to the tax office                          with each tax return
//	refunds                          what buyers were promised back                          with each refund
//	disputes/<provider>              what is taken back until a dispute is decided           when it is decided
//	late_money                       what was paid for nothing, so far                       with a late sale or a refund
//	resale_escrow                    a resale buyer's money; never negative                  when the ticket is theirs
//	seller_payable/<seller>          what a resale has brought its seller; never negative    with each payout
//	rounding                         cents between rounded parts and their rounded sum       when the books are closed
//
// # What happens
//
// A price has three parts that add up to what the buyer pays: face, fee and tax; a part of nothing has no transfer. Each event has a
// constructor, named for it. Everything about an order has the order as its reference; payouts, settlement runs and provider payouts
// have their own, and so has money that came without a provider and waits for its payment or for a person: its receipt. A test holds this table against the constructors, row by row.
//
//	event                  transfer                 kind     debit                            credit                           amount
//	sale                   sale_face                pending  buyer_clearing                   organizer_payable/<organizer>    face
//	                       sale_fee                 pending  buyer_clearing                   platform_fees                    fee
//	                       sale_tax                 pending  buyer_clearing                   taxes_payable                    tax
//	                       sale_payment             pending  provider_clearing/<provider>     buyer_clearing                   face + fee + tax
//	captured               each of sale             post
//	capture failed         each of sale             void
//	refund                 refund_face              pending  organizer_payable/<organizer>    refunds                          face
//	                       refund_fee               pending  platform_fees                    refunds                          fee
//	                       refund_tax               pending  taxes_payable                    refunds                          tax
//	                       refund_rounding          pending  rounding                         refunds                          total - face - fee - tax
//	                       refund_payment           pending  refunds                          provider_clearing/<provider>     total
//	refund, fee kept       refund_face              pending  organizer_payable/<organizer>    refunds                          face
//	                       refund_tax               pending  taxes_payable                    refunds                          tax
//	                       refund_payment           pending  refunds                          provider_clearing/<provider>     face + tax
//	refund paid            each of refund           post
//	refund failed          each of refund           void
//	refund otherwise       refund_otherwise         single   provider_clearing/<provider>     bank                             total
//	dispute opened         dispute_funds            single   disputes/<provider>              provider_clearing/<provider>     total
//	                       dispute_fee              single   provider_costs/<provider>        provider_clearing/<provider>     cost
//	dispute won            dispute_won              single   provider_clearing/<provider>     disputes/<provider>              total
//	                       dispute_fee_back         single   provider_clearing/<provider>     provider_costs/<provider>        cost
//	dispute lost           dispute_lost             single   refunds                          disputes/<provider>              total
//	                       dispute_face             single   organizer_payable/<organizer>    refunds                          face
//	                       dispute_fee_part         single   platform_fees                    refunds                          fee
//	                       dispute_tax              single   taxes_payable                    refunds                          tax
//	                       dispute_rounding         single   rounding                         refunds                          total - face - fee - tax
//	dispute lost twice     dispute_lost             single   refunds                          disputes/<provider>              total
//	                       dispute_face             single   organizer_payable/<organizer>    refunds                          face
//	                       dispute_excess           single   provider_costs/<provider>        refunds                          total - face
//	late dispute lost      dispute_lost             single   refunds                          disputes/<provider>              total
//	                       dispute_late             single   late_money                       refunds                          face + fee + tax
//	                       dispute_excess           single   provider_costs/<provider>        refunds                          total - face - fee - tax
//	dispute charged        dispute_excess_back      single   refunds                          provider_costs/<provider>        total
//	                       dispute_face             single   organizer_payable/<organizer>    refunds                          face
//	                       dispute_fee_part         single   platform_fees                    refunds                          fee
//	                       dispute_tax              single   taxes_payable                    refunds                          tax
//	                       dispute_rounding         single   rounding                         refunds                          total - face - fee - tax
//	late money             late_money               single   provider_clearing/<provider>     late_money                       face + fee + tax
//	late sale              sale_face                single   buyer_clearing                   organizer_payable/<organizer>    face
//	                       sale_fee                 single   buyer_clearing                   platform_fees                    fee
//	                       sale_tax                 single   buyer_clearing                   taxes_payable                    tax
//	                       late_sale                single   late_money                       buyer_clearing                   face + fee + tax
//	late refund            late_refund              pending  late_money                       provider_clearing/<provider>     face + fee + tax
//	late refund paid       each of late refund      post
//	late refund failed     each of late refund      void
//	receipt held           receipt_held             single   provider_clearing/<provider>     late_money                       due
//	receipt used           receipt_used             single   late_money                       provider_clearing/<provider>     due
//	receipt returned       receipt_returned         single   late_money                       provider_clearing/<provider>     due
//	payout released        payout_release           single   organizer_payable/<organizer>    organizer_available/<organizer>  due
//	                       payout_reserve           single   organizer_payable/<organizer>    organizer_reserve/<organizer>    reserve
//	reserve released       reserve_release          single   organizer_reserve/<organizer>    organizer_available/<organizer>  reserve
//	reserve used           reserve_used             single   organizer_reserve/<organizer>    organizer_payable/<organizer>    reserve
//	available used         available_used           single   organizer_available/<organizer>  organizer_payable/<organizer>    due
//	payout sent            payout_sent              single   organizer_available/<organizer>  payout_clearing                  due
//	payout arrived         payout_arrived           single   payout_clearing                  bank                             due
//	payout came back       each of payout sent      reverse
//	provider settles       settlement_sent          single   provider_transit/<provider>      provider_clearing/<provider>     due
//	                       settlement_fee           single   provider_costs/<provider>        provider_clearing/<provider>     cost
//	provider gives back    settlement_fee_back      single   provider_clearing/<provider>     provider_costs/<provider>        cost
//	settlement came back   each of provider settles  reverse
//	settlement arrived     settlement_arrived       single   bank                             provider_transit/<provider>      due
//	provider converts      conversion_from          single   exchange                         provider_clearing/<provider>     due
//	                       conversion_to            single   provider_clearing/<provider>     exchange                         changed
//	resale                 resale_price             pending  buyer_clearing                   resale_escrow                    face
//	                       resale_fee               pending  buyer_clearing                   platform_fees                    fee
//	                       resale_tax               pending  buyer_clearing                   taxes_payable                    tax
//	                       resale_payment           pending  provider_clearing/<provider>     buyer_clearing                   face + fee + tax
//	resale captured        each of resale           post
//	resale capture failed  each of resale           void
//	ticket handed over     resale_royalty           single   resale_escrow                    organizer_payable/<organizer>    royalty
//	                       resale_commission        single   resale_escrow                    platform_fees                    commission
//	                       resale_seller            single   resale_escrow                    seller_payable/<seller>          face - royalty - commission
//	resale undone          resale_recalled          single   seller_payable/<seller>          organizer_payable/<organizer>    face - royalty - commission
//	                       resale_commission_back   single   platform_fees                    organizer_payable/<organizer>    commission
//	resale lost in part    resale_recalled          single   seller_payable/<seller>          organizer_payable/<organizer>    due
//	                       resale_commission_back   single   platform_fees                    organizer_payable/<organizer>    commission
//	resale returned        resale_price_back        pending  resale_escrow                    refunds                          face
//	                       resale_fee_back          pending  platform_fees                    refunds                          fee
//	                       resale_tax_back          pending  taxes_payable                    refunds                          tax
//	                       resale_payment_back      pending  refunds                          provider_clearing/<provider>     face + fee + tax
//	resale return paid     each of resale returned  post
//	resale return failed   each of resale returned  void
//	seller sent            seller_sent              single   seller_payable/<seller>          payout_clearing                  face - royalty - commission
//	seller came back       each of seller sent      reverse
//	tax paid               tax_paid                 single   taxes_payable                    bank                             due
//	rounding cleared       rounding_cleared         single   rounding                         platform_fees                    due
//
// A resale that is refunded, or lost to a dispute, charges its price to the organizer as any sale does (refund, dispute lost), and in the
// same transaction what it had brought its seller and us goes to the organizer (resale undone), who so bears nothing but a seller who
// was paid before.
//
// Where a dispute takes only a part of a resale, or an operator refunds what it has left, seller and commission bear their share of that part,
// as the price was divided, and the organizer the rest (resale lost in part). A seller who lost money of their own purchase forfeits of
// their share no more than the organizer was charged with for that ticket: as a resale lost in part, without the commission; and all of the
// share, as of a resale undone, where it is no more than that or nothing is left of the purchase.
//
// A dispute that is lost in part is a dispute lost, of that part, and a dispute won, of the rest. Rounding goes either way: where the parts come to more than the total, debit and credit change places. A seller's payout arrives
// as an organizer's does. What a refund may still take of an order, OrderMoney says.
//
// A dispute may be lost over money that its buyer has back already, or is being given: the provider takes it twice. Nobody has earned
// that part, so nobody is charged: it is what the provider costs us (dispute_excess, and the order's history says so) until it gives it
// back. Should the refund fail after all, the part is charged as it would have been (dispute charged).
//
// # Clearing
//
// A clearing account holds money on its way. Each has a time within which what came in has gone out again; ReadClearing lists what has
// not. A reference closes by itself, and is late while it has a balance or an open pending transfer; a pooled account is paid off from
// its oldest debit on, whatever the references. What sellers are owed has no deadline here, since their events' rules say when they are paid:
// package resale lists who was not (resale.Service.LateShares).
//
//	account                       opened by                 closed by                                                                       within  by
//	buyer_clearing                sale, resale              captured, capture failed                                                        2h      reference
//	provider_clearing/<provider>  captured, late money      provider settles                                                                240h    pooled
//	provider_transit/<provider>   provider settles          settlement arrived                                                              120h    reference
//	refunds                       refund, resale returned   refund paid, refund failed                                                      120h    reference
//	disputes/<provider>           dispute opened            dispute won, dispute lost                                                       2160h   reference
//	late_money                    late money, receipt held  late sale, late refund paid, late dispute lost, receipt used, receipt returned  24h     reference
//	payout_clearing               payout sent, seller sent  payout arrived, payout came back, seller came back                              120h    reference
//	resale_escrow                 resale captured           ticket handed over, resale return paid                                          72h     reference
//
// # Proof
//
// Writer gives every transfer a number that counts its writer's transfers from 1 without a gap. Seal chains them by hash,
// away from the hot path. Verify reads everything in one snapshot and recomputes numbers, chains and balances.
//
// Everything runs inside the caller's serializable transaction. The package imports pgx, google/uuid and the standard library.
package ledger
