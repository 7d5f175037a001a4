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
//	account                        stands for                                             returns to zero
//	buyer_clearing                 what buyers owe for what they were sold                with each sale
//	provider_clearing/<provider>   what a payment provider has taken and not paid out     with each payout
//	organizer_payable/<organizer>  what the organizer has earned                          with each payout to them
//	platform_fees                  what we have earned                                    when the books are closed
//	taxes_payable                  what is owed to the tax office                         with each tax return
//	resale_escrow                  a resale buyer's money until the ticket is theirs      with each resale; never negative
//
// # A purchase
//
// A ticket's price has three parts that add up to what the buyer pays: face, fee and tax. A part that is zero has no transfer.
//
//	what happens            transfer                    debit                  credit
//	authorized and sold     pending sale_face           buyer_clearing         organizer_payable      face
//	                        pending sale_fee            buyer_clearing         platform_fees          fee
//	                        pending sale_tax            buyer_clearing         taxes_payable          tax
//	                        pending sale_payment        provider_clearing      buyer_clearing         face + fee + tax
//	captured                post    of each of the four, same accounts and amounts
//	capture failed for good void    of each of the four, same accounts and amounts
//
// Refunds, disputes and payouts get their transfers together with the features that cause them.
//
// # Proof
//
// Writer gives every transfer a number that counts its writer's transfers from 1 without a gap. Seal chains them by hash,
// away from the hot path. Verify reads everything in one snapshot and recomputes numbers, chains and balances.
//
// Everything runs inside the caller's serializable transaction. The package imports pgx, google/uuid and the standard library.
package ledger
