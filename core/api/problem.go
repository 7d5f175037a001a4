package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"fairgate/core/access"
	"fairgate/core/account"
	"fairgate/core/booking"
	"fairgate/core/catalog"
	"fairgate/core/checkout"
	"fairgate/core/db"
	"fairgate/core/event"
	"fairgate/core/inventory"
	"fairgate/core/notify"
	"fairgate/core/payment"
	"fairgate/core/payment/offline"
	"fairgate/core/payout"
	"fairgate/core/reminder"
	"fairgate/core/resale"
	"fairgate/core/settlement"
	"fairgate/core/ticket"
	"fairgate/core/ticket/code"
	"fairgate/core/ticket/gate"
	"fairgate/core/ticket/passes"
	"fairgate/core/ticket/scan"
	"fairgate/core/ticket/title"
	"fairgate/core/ticket/wallet"
	"fairgate/core/transfer"
	"fairgate/core/waitlist"
	"fairgate/ledger"
)

// Problem is an RFC 9457 problem. Code is stable and meant for programs, Detail for people.
type Problem struct {
	Type       string          `json:"type"`
	Title      string          `json:"title"`
	Status     int             `json:"status"`
	Detail     string          `json:"detail"`
	Code       string          `json:"code"`
	RetryAfter int             `json:"retry_after,omitempty"` // seconds
	Relax      []string        `json:"relax,omitempty"`       // none_adjacent: what to allow so that seats are found
	Problems   []event.Problem `json:"problems,omitempty"`    // of an event file
	Before     *beforeJSON     `json:"before,omitempty"`      // ticket_used and ticket_inside: where and when it came in
}

// outcome is how an error is told to a client.
type outcome struct {
	is     error
	status int
	code   string
	detail string
	retry  time.Duration
}

// outcomes is the only table from errors to HTTP. The first match wins.
var outcomes = []outcome{
	{waitlist.ErrNone, 404, "waiting_list_none", "This event has no waiting list.", 0},
	{waitlist.ErrClosed, 409, "waiting_list_closed", "The waiting list of this event is closed.", 0},
	{waitlist.ErrWish, 422, "waiting_list_wish", "A wish names tiers of the event, each once, and between one and as many tickets as one buyer may have.", 0},
	{waitlist.ErrOffered, 409, "waiting_list_offered", "There is an offer to accept or decline first.", 0},
	{waitlist.ErrOfferGone, 410, "offer_gone", "This offer is over. It has gone to whoever comes next.", 0},
	{waitlist.ErrNotDrawn, 409, "waiting_list_not_drawn", "The waiting list has not been drawn yet.", 0},
	{passes.ErrToken, 401, "pass_token", "That is not the token of a pass of ours.", 0},
	{passes.ErrUnknown, 401, "pass_token", "That is not the token of a pass of ours.", 0},
	{passes.ErrForm, 400, "bad_request", "This is no device of Apple's, or no push token.", 0},
	{passes.ErrFull, 409, "too_many_devices", "The pass is on as many devices as may be told of changes, or the device has as many passes.", 0},
	{reminder.ErrOccasion, 422, "reminder_unknown", "The occasions are room_opens, sale_opens and returned, the first two also of a presale, as sale_opens:fans; each once.", 0},
	{reminder.ErrToken, 404, "unsubscribe_unknown", "That is not an address to unsubscribe by. Copy it completely from the mail.", 0},
	{reminder.ErrPast, 409, "reminder_past", "That is so already, or will not be any more.", 0},
	{waitlist.ErrUnknown, 404, "not_on_waiting_list", "There is no such entry or offer.", 0},
	{transfer.ErrOverLimit, 422, "transfer_over_limit", "That is more than you may have for this event, counting what you hold and bought.", 0},
	{inventory.ErrCompanionAlone, 409, "companion_alone", "A companion's seat is sold with the accessible seat beside it, or to who has the ticket of that.", 0},
	{inventory.ErrWaitlisted, 409, "waiting_list_first", "What comes back goes to those on the waiting list first. You can ask to be told too.", 0},
	{inventory.ErrListingGone, 409, "listing_gone", "Somebody else is buying this ticket or has bought it, or its owner keeps it. Choose another one.", 0},
	{inventory.ErrSoldOut, 409, "sold_out", "Nothing of this is left. Held tickets that are not paid for come back; look again in a while.", 0},
	{inventory.ErrNotEnoughLeft, 409, "not_enough_left", "Fewer are left than you asked for. Ask for less.", 0},
	{inventory.ErrSeatUnknown, 404, "seat_unknown", "There is no such seat. Take the names from /v1/events/{id}/seats.", 0},
	{inventory.ErrSeatTaken, 409, "seat_taken", "Somebody else has one of these seats. Choose others.", 0},
	{inventory.ErrSeatHeld, 409, "seat_held", "A buyer holds this seat and may still pay for it. Choose another, or wait until the hold has run out.", 0},
	{inventory.ErrTierOther, 409, "tier_other", "This seat is of another tier. Choose one of the ticket's tier, or say that any will do.", 0},
	{checkout.ErrNoSeat, 409, "ticket_without_seat", "This ticket is for no numbered seat.", 0},
	{inventory.ErrSeatSetAside, 409, "seat_set_aside", "One of these seats is not on general sale. Choose others.", 0},
	{inventory.ErrTierUnknown, 404, "tier_unknown", "There is no such tier. Take the names from /v1/events/{id}.", 0},
	{inventory.ErrQuantityInvalid, 422, "quantity_invalid", "The quantity must be a whole number from 1 up, and fit the seats named.", 0},
	{inventory.ErrOverAccountLimit, 422, "over_limit_account", "That is more than one account may have.", 0},
	{inventory.ErrOverDeviceLimit, 422, "over_limit_device", "That is more than one browser may have.", 0},
	{inventory.ErrOverAddressLimit, 422, "over_limit_address", "That is more than one network address may have.", 0},
	{inventory.ErrOverLimit, 422, "quantity_over_limit", "That is more than one buyer may have for this event, counting what you hold and bought.", 0},
	{inventory.ErrItemsInvalid, 422, "items_invalid", "Name a tier with a quantity, seats (each once), whole rows, or ask for the best seats; one of them in each item.", 0},
	{inventory.ErrApart, 409, "none_adjacent", "No seats there fit your party. Choose seats yourself, or let us look elsewhere.", 0},
	{inventory.ErrSectionUnknown, 404, "section_unknown", "There is no such section. Take the names from /v1/events/{id}.", 0},
	{inventory.ErrSectionSoldOut, 409, "section_sold_out", "Nothing is left in this section. Ask for another, or for the tier as a whole.", 0},
	{inventory.ErrRowUnknown, 404, "row_unknown", "There is no such row or table. Rows are named section/row, such as A/12.", 0},
	{inventory.ErrTableWhole, 422, "table_whole", "A table is sold whole. Ask for it by name, with rows.", 0},
	{inventory.ErrWindowUnknown, 404, "presale_unknown", "The event has no such presale.", 0},
	{inventory.ErrWindowEarly, 425, "presale_not_open", "The presale is not open yet. Wait for its time.", 5 * time.Second},
	{inventory.ErrWindowOver, 409, "presale_over", "The presale is over. What you hold is still yours; the rest is on general sale or will be.", 0},
	{inventory.ErrAllocationUnknown, 404, "allocation_unknown", "The event has no such allocation, or not of that tier.", 0},
	{inventory.ErrReleaseOther, 409, "release_other", "That release_id was used for another release. Take a new one.", 0},
	{errWindow, 403, "presale_not_yours", "This presale is for others: those who were invited, or whom its own waiting room let in.", 0},
	{access.ErrPresaleUnknown, 404, "presale_unknown", "The event has no such presale.", 0},
	{errUninvited, 409, "sale_without_invitations", "This presale is not for who was invited (who: invitation).", 0},
	{access.ErrPresaleFree, 409, "presale_without_list", "Nobody has to register for this presale.", 0},
	{access.ErrNotRegistered, 403, "not_registered", "This presale is for accounts that have registered for it, and yours has not.", 0},
	{access.ErrSlowed, 429, "slowed", "You have taken, or taken and let go, more than people do. Wait a while and try again; the reasons are on record.", 0},
	{access.ErrWordUnset, 409, "presale_word_unset", "Nobody can register for this presale yet: its word has not been set.", 0},
	{access.ErrWordWrong, 403, "presale_word_wrong", "That is not the word of this presale.", 0},
	{access.ErrWordTries, 429, "presale_word_limit", "There were too many tries. Wait a while and try again.", 0},
	{access.ErrWordInvalid, 422, "presale_word_invalid", "A word has 6 to 100 bytes and belongs to a presale that asks for one (who: word).", 0},
	{access.ErrOverlap, 409, "sales_overlap", "On-sales come one after the other: joining opens when the one before is over.", 0},
	{access.ErrPresaleEnded, 409, "presale_over", "The presale is over, and nobody registers for it any more. The event's page shows the sales that come; people register again once an operator schedules the presale again within its times.", 0},
	{inventory.ErrGeometryUnknown, 404, "geometry_unknown", "The seats are arranged otherwise by now. Take the geometry's hash from /v1/events/{id}/seats.", 0},
	{inventory.ErrFeedFull, 503, "overloaded", "The seats of too many events are looked at. Try again.", 5 * time.Second},
	{inventory.ErrKeyReused, 422, "idempotency_key_reused", "This was asked for before with another body. Use a new Idempotency-Key for a new request.", 0},
	{inventory.ErrHoldUnknown, 404, "hold_unknown", "There is no such hold of yours.", 0},
	{inventory.ErrHoldExpired, 410, "hold_expired", "The hold ran out and its tickets are back on sale. Make a new hold.", 0},
	{inventory.ErrHoldClosed, 409, "hold_closed", "The hold is no longer active: it was bought or given back.", 0},
	{checkout.ErrOrderExists, 409, "order_exists", "The hold has its order already, opened with other details. Look at that order, or give the hold back and make a new one.", 0},
	{checkout.ErrOrderUnknown, 404, "order_unknown", "There is no such order.", 0},
	{checkout.ErrDisputeUnknown, 404, "dispute_unknown", "There is no such dispute. Disputes are named as the provider names them.", 0},
	{checkout.ErrDisputeOver, 409, "dispute_over", "The dispute takes no evidence any more: it is decided, or the evidence is in.", 0},
	{checkout.ErrNoReview, 409, "no_review", "The order does not wait for a review: it never did, or somebody has decided.", 0},
	{checkout.ErrReason, 422, "reason_invalid", "A decision needs a reason of 1 to 500 characters, which is kept.", 0},
	{checkout.ErrRefundUnknown, 404, "refund_unknown", "There is no such refund.", 0},
	{checkout.ErrRefundKey, 422, "idempotency_key_reused", "This was asked for before with another body. Use a new Idempotency-Key for a new refund.", 0},
	{checkout.ErrRefundRefused, 403, "refund_not_allowed", "The event does not take tickets back, or not any more. Its organizer can.", 0},
	{checkout.ErrRefundEarly, 409, "payment_not_captured", "The payment is not captured yet. Ask again in a moment.", 2 * time.Second},
	{checkout.ErrRefundNothing, 409, "nothing_to_refund", "Nothing of that is left to be refunded.", 0},
	{checkout.ErrRefundDispute, 409, "refund_disputed", "The payment is disputed: the bank has the money. Wait until the dispute is decided.", 0},
	{checkout.ErrRefundUnclear, 503, "refund_unclear", "A refund of this order was given up, and its provider does not say now whether it made it. Nothing is given back before that is known; ask again.", 30 * time.Second},
	{checkout.ErrRefundMade, 409, "refund_made", "The provider has made the refund that was given up, or has it under way: it stands again, and nothing else was recorded. Do not pay the buyer once more; if that was done already, get that money back.", 0},
	{checkout.ErrRefundOpen, 409, "refund_not_failed", "The refund has not failed, or has been settled already. Look at it.", 0},
	{checkout.ErrRefundOurs, 409, "refund_not_found_there", "The refund was not made by hand at the provider, so there is nothing to review: it says itself which tickets it is for.", 0},
	{checkout.ErrRefundBack, 409, "refund_came_back", "The refund failed after it was made by hand, and the money has come back: there is nothing to review, and the tickets stay as they are.", 0},
	{checkout.ErrRefundReviewed, 409, "refund_reviewed", "Somebody has reviewed the refund otherwise. Look at it; a ticket that should be void can be refunded.", 0},
	{checkout.ErrFoundPart, 409, "refund_part", "The order bought a resold ticket, and its buyer has only a part of the money back. Refund the rest of the order instead: that makes the ticket void and undoes the resale.", 0},
	{checkout.ErrRefundTransferred, 409, "ticket_transferred", "One of the tickets was handed on and is somebody else's now. Ask for the others by themselves; the organizer can refund all of them.", 0},
	{checkout.ErrRefundEntered, 409, "ticket_used", "One of the tickets has been scanned in. Ask for the others by themselves; the organizer can refund all of them.", 0},
	{checkout.ErrRefundSellerPaid, 409, "seller_paid", "The ticket's seller has been paid. Only the organizer can refund it.", 0},
	{checkout.ErrTicketsNot, 422, "tickets_not_refundable", "One of the tickets is not the order's, or was refunded before.", 0},
	{checkout.ErrRunUnknown, 404, "refund_run_unknown", "The event was not cancelled, so nothing of it is being refunded as a whole.", 0},
	{ledger.ErrOverRefund, 409, "refund_too_much", "That is more than is left of what was paid.", 0},
	{checkout.ErrEventCancelled, 409, "event_cancelled", "The event is cancelled. What was paid for it comes back by itself.", 0},
	{event.ErrCancelled, 409, "event_cancelled", "The event is cancelled. What was paid for it comes back by itself.", 0},
	{access.ErrCancelled, 409, "event_cancelled", "The event is cancelled. It cannot be put on sale again.", 0},
	{checkout.ErrResold, 409, "ticket_resold", "The ticket was resold: its sale has paid, or will pay, for it.", 0},
	{checkout.ErrSelling, 409, "listing_held", "The ticket is being bought at the moment. Ask again when that is over.", 5 * time.Second},
	{checkout.ErrListingGone, 409, "listing_over", "The ticket is not for sale any more. Give the hold back and choose another.", 0},
	{resale.ErrCap, 422, "price_over_cap", "That is more than this ticket may cost.", 0},
	{resale.ErrPrice, 422, "price_invalid", "The price must be more than nothing, in the event's currency.", 0},
	{resale.ErrUnknown, 404, "listing_unknown", "There is no such listing.", 0},
	{resale.ErrNotOwner, 403, "ticket_not_yours", "The ticket is somebody else's. Only its owner can sell it.", 0},
	{resale.ErrNotAllowed, 403, "resale_not_allowed", "Tickets of this event cannot be resold here.", 0},
	{resale.ErrClosed, 409, "resale_closed", "Resale of this event is over: the doors open soon.", 0},
	{resale.ErrListed, 409, "ticket_listed", "The ticket is for sale already.", 0},
	{resale.ErrOffered, 409, "ticket_offered", "The ticket is offered to somebody. Cancel that first.", 0},
	{resale.ErrEntered, 409, "ticket_used", "The ticket has been scanned in, and cannot be sold any more.", 0},
	{resale.ErrVoid, 410, "ticket_void", "The ticket is void.", 0},
	{resale.ErrLimit, 422, "over_limit_listings", "You have listed as many tickets as one may.", 0},
	{resale.ErrHeld, 409, "listing_held", "Somebody is buying the ticket at the moment. Ask again when their time is over.", 5 * time.Second},
	{resale.ErrSold, 409, "ticket_resold", "The ticket is sold.", 0},
	{resale.ErrOwn, 422, "listing_own", "That is your own ticket. Withdraw it instead.", 0},
	{resale.ErrOver, 409, "listing_over", "The ticket is not for sale any more.", 0},
	{resale.ErrKeyReused, 422, "idempotency_key_reused", "This was asked for before with another body. Use a new Idempotency-Key for a new request.", 0},
	{resale.ErrPayoutState, 409, "payout_state", "The seller's share does not stand so that this can be done. Look at it.", 0},
	{resale.ErrPayoutEarly, 409, "payout_early", "The seller is not to be paid yet.", 0},
	{resale.ErrDisputed, 409, "payout_disputed", "The seller's or the buyer's purchase is disputed. Wait until that is decided.", 0},
	{checkout.ErrTransition, 409, "order_state", "The order's state does not allow that. Look at the order to see where it stands.", 0},
	{checkout.ErrMethod, 422, "method_unknown", "The event cannot be paid for that way. Take one of payment_methods from /v1/events/{id}.", 0},
	{checkout.ErrPriceMismatch, 409, "price_changed", "The price changed while you chose. Give the hold back and make a new one.", 0},
	{ticket.ErrVoid, 410, "ticket_void", "This ticket is void: it was refunded or disputed, or the event was cancelled.", 0},
	{ticket.ErrOffered, 409, "ticket_offered", "This ticket is offered to somebody. Cancel that first.", 0},
	{ticket.ErrListed, 409, "ticket_listed", "This ticket is for sale. Withdraw it first; it gets a new code then.", 0},
	{ticket.ErrEntered, 409, "ticket_entered", "This ticket has been scanned at a gate. It can no longer change hands.", 0},
	{title.ErrUnknown, 404, "ticket_unknown", "There is no such ticket.", 0},
	{title.ErrLong, 422, "title_too_long", "The ticket was sold on more often than is followed.", 0},
	{transfer.ErrUnknown, 404, "transfer_unknown", "There is no such transfer of yours.", 0},
	{transfer.ErrForbidden, 403, "transfer_not_allowed", "The tickets of this event cannot be handed on.", 0},
	{transfer.ErrCancelled, 409, "event_cancelled", "The event is cancelled. What was paid for it comes back by itself, to who paid.", 0},
	{transfer.ErrClosed, 409, "transfer_closed", "It is too late: tickets are no longer handed on this close to the doors.", 0},
	{transfer.ErrSelf, 422, "transfer_to_self", "The ticket is yours already.", 0},
	{transfer.ErrTooOften, 409, "transfer_limit", "This ticket was handed on as often as the event allows.", 0},
	{transfer.ErrTooMany, 429, "too_many_transfers", "Many offers were made for this ticket, or by you today. Wait until tomorrow; a ticket that was offered too often can only be used.", time.Hour},
	{transfer.ErrOther, 403, "transfer_other_account", "This was offered to another address. Sign in with the address that the mail came to.", 0},
	{transfer.ErrExpired, 410, "transfer_expired", "Nobody accepted in time, and the ticket stays whose it is. Ask for another offer.", 0},
	{transfer.ErrOver, 409, "transfer_over", "This transfer is over: accepted, declined, cancelled, or the ticket has changed. Look at it.", 0},
	{transfer.ErrKeyReused, 422, "idempotency_key_reused", "This was asked for before with another body. Use a new Idempotency-Key for a new offer.", 0},
	{ticket.ErrUnknown, 404, "ticket_unknown", "There is no such ticket of yours.", 0},
	{wallet.ErrUnavailable, 404, "wallet_unavailable", "This ticket cannot be put into that wallet here. Its own page shows it.", 0},
	{wallet.ErrBusy, 503, "wallet_busy", "Many tickets are being put into wallets. Try again.", 2 * time.Second},
	{code.ErrMalformed, 400, "code_malformed", "This is no ticket code.", 0},
	{code.ErrOtherEvent, 409, "code_other_event", "This ticket is for another event.", 0},
	{code.ErrForged, 403, "code_forged", "This code was not issued for the event.", 0},
	{code.ErrStatic, 403, "code_static", "This is a print or a copy. Codes of this event change: ask for the ticket's page.", 0},
	{code.ErrExpired, 410, "code_expired", "This code was shown some time ago: it is a copy, or the clock of the phone or the gate is wrong. Ask for the ticket's page.", 0},
	{gate.ErrClosed, 410, "gates_closed", "The event is over.", 0},
	{gate.ErrSuperseded, 410, "ticket_superseded", "This code is dead: the ticket has a newer one.", 0},
	{gate.ErrVoid, 410, "ticket_void", "This ticket is void: it was refunded or disputed, or the event was cancelled.", 0},
	{gate.ErrListed, 409, "ticket_listed", "This ticket is for sale. Its owner has to withdraw it first, and gets a new code.", 0},
	{gate.ErrZone, 403, "zone_other", "This ticket is for another zone.", 0},
	{gate.ErrUsed, 409, "ticket_used", "This ticket has entered.", 0},
	{gate.ErrInside, 409, "ticket_inside", "This ticket is inside, and has to be scanned on the way out first.", 0},
	{gate.ErrCompanion, 409, "ticket_companion", "This is a companion's ticket: it enters with, or after, the one of the accessible seat of the same order.", 0},
	{gate.ErrOutside, 409, "ticket_outside", "This ticket is not inside.", 0},
	{gate.ErrLog, 422, "scan_log_invalid", "A record is none that a gate writes, or there are more than 500. Nothing was merged.", 0},
	{scan.ErrCredential, 401, "gate_unauthorized", "The gate's credential is missing, wrong, revoked, or that of another gate.", 0},
	{errGateRate, 429, "rate_limited", "This gate asks more often than people can walk through it. Wait a moment.", time.Second},
	{scan.ErrGateUnknown, 404, "gate_unknown", "The event has no such gate, or its credential was revoked before.", 0},
	{scan.ErrGateExists, 409, "gate_exists", "The event has that gate, and its credential is good. Say replace for another credential, which makes that one worthless at once, or take another name.", 0},
	{scan.ErrZoneUnknown, 404, "zone_unknown", "The event has no such zone.", 0},
	{scan.ErrGateName, 422, "gate_invalid", "A gate is called by 1 to 63 lower-case letters, digits and hyphens.", 0},
	{scan.ErrReused, 422, "scan_id_reused", "This id was used for another scan. Take a new one.", 0},
	{scan.ErrUndone, 409, "scan_undone", "This scan was taken back, and opens no gate. Scan the ticket anew, with a new id.", 0},
	{scan.ErrUnknown, 404, "scan_unknown", "There is no such scan that opened a gate, or it is another gate's.", 0},
	{scan.ErrReason, 422, "reason_invalid", "Undoing a scan needs a reason of 1 to 500 characters, which is kept.", 0},
	{scan.ErrTicketUnknown, 404, "ticket_unknown", "There is no such ticket.", 0},
	{event.ErrKeyOrder, 409, "key_not_newest", "That is not the event's newest key. Look at its keys; somebody else may have rotated them.", 0},
	{event.ErrKeysFull, 409, "keys_full", "As many keys of this kind are good as may be at once, 16. Of those of account sessions one makes room when its last session has ended, or all do when they are revoked; those of an event stay good, so it rotates no more.", 0},
	{ledger.ErrAccountUnknown, 404, "account_unknown", "The ledger has no such account in this currency.", 0},
	{settlement.ErrDay, 422, "day_invalid", "A settlement is read of a day that has begun, in UTC.", 0},
	{settlement.ErrStale, 409, "correction_stale", "The books have changed since this correction was proposed, and it does not fit any more. Read the day again to see what is proposed now.", 0},
	{settlement.ErrUnread, 404, "day_unread", "The settlement of this day was never read.", 0},
	{settlement.ErrUnreadable, 422, "settlement_unreadable", "Core cannot read this provider's settlement by itself. Send it as a file.", 0},
	{settlement.ErrFile, 422, "settlement_file", "The settlement file cannot be read.", 0},
	{settlement.ErrRow, 422, "settlement_row", "A row of the settlement cannot be what a provider settled.", 0},
	{settlement.ErrItemUnknown, 404, "item_unknown", "There is no such item.", 0},
	{settlement.ErrDecided, 409, "item_decided", "The item was decided otherwise, or has healed by itself.", 0},
	{payout.ErrUnknown, 404, "payout_unknown", "There is no such payout.", 0},
	{payout.ErrState, 409, "payout_state", "The payout's state does not allow that.", 0},
	{booking.ErrUnknown, 404, "payout_not_sent", "Nothing of this payout is on its way to the bank. Reconcile the day of the payout first, or look at its name.", 0},
	{booking.ErrAmount, 409, "booking_amount", "That is not the amount.", 0},
	{booking.ErrOther, 409, "booked_otherwise", "This was booked before, with another amount.", 0},
	{booking.ErrNothing, 409, "nothing_to_book", "The account has nothing to be booked.", 0},
	{payout.ErrShort, 409, "payout_short", "Less than that is available, or the organizer owes us some of it. The next run withdraws the payout and proposes what is left.", 0},
	{ledger.ErrMismatch, 409, "correction_stale", "The books have changed since this was proposed. Read the day again and look anew.", 0},
	{ledger.ErrEnded, 409, "correction_stale", "The books have changed since this was proposed. Read the day again and look anew.", 0},
	{ledger.ErrInsufficient, 409, "balance_insufficient", "The account has less than that.", 0},
	{event.ErrUnknown, 404, "event_unknown", "There is no such event.", 0},
	{account.ErrSignedOut, 401, "signed_out", "Nobody is signed in in this browser. Ask for a code to your e-mail address, and sign in with it.", 0},
	{account.ErrCodeWrong, 401, "code_wrong", "That is not the code. Look at the newest mail; after five wrong ones ask for another code.", 0},
	{account.ErrNoCode, 401, "code_expired", "There is no code that this browser could use: it was used, has expired, or was asked for in another browser. Ask for another one.", 0},
	{account.ErrEmail, 422, "email_invalid", "This is no e-mail address that a code can be sent to. Write it plainly: name@example.org.", 0},
	{account.ErrTooManyCodes, 429, "too_many_codes", "Many codes were asked for already. Use the one in the newest mail, or wait before you ask again.", 0},
	{account.ErrUnknown, 404, "buyer_account_unknown", "There is no such account, or it was forgotten.", 0},
	{access.ErrNoSale, 409, "sale_not_open", "The event has no on-sale yet. Schedule one first.", 0},
	{access.ErrNotOpen, 425, "sale_not_open", "The waiting room is not open yet. Wait for the time the event names.", 5 * time.Second},
	{access.ErrEnded, 409, "sale_ended", "The on-sale is over.", 0},
	{access.ErrStarted, 409, "sale_started", "The on-sale has started. End it before another one is scheduled.", 0},
	{access.ErrBeaconName, 422, "beacon_name_invalid", "A beacon's name says where and when its value can be read: 1 to 200 bytes of printable text.", 0},
	{access.ErrBeaconFixed, 409, "beacon_fixed", "The commitment is public and covers which beacon there is, or that there is none. End the on-sale before one with another is scheduled.", 0},
	{access.ErrBeaconNone, 409, "beacon_none", "The on-sale was scheduled without a beacon.", 0},
	{access.ErrBeaconEarly, 425, "beacon_early", "The pool is not sealed yet. A value that is known by now is one that entrants could be chosen by. Tell it afterwards.", 2 * time.Second},
	{access.ErrBeaconValue, 422, "beacon_value_invalid", "The value of a beacon has 1 to 1,024 bytes.", 0},
	{access.ErrBeaconKnown, 409, "beacon_known", "The draw was held with another value of the beacon.", 0},
	{access.ErrTimes, 422, "times_invalid", "The times do not fit: joining, then the sale instant in the future, then the end.", 0},
	{access.ErrGeneration, 409, "sale_other", "Another on-sale of the event is current. Join that one.", 0},
	{access.ErrTooMany, 413, "batch_too_long", "The batch is longer than allowed.", 0},
	{access.ErrTokenMalformed, 400, "token_malformed", "This is no admission token.", 0},
	{access.ErrTokenForged, 401, "token_forged", "The admission token's signature does not verify.", 0},
	{access.ErrTokenExpired, 401, "token_expired", "The admission token has expired. Claim again.", 0},
	{access.ErrTokenKeyUnknown, 401, "token_key_unknown", "The admission token is signed with a key that is not valid for this event now. Claim again.", 0},
	{access.ErrTokenOtherEvent, 401, "token_other_event", "The admission token is for another event.", 0},
	{access.ErrNotInPool, 403, "not_in_pool", "The draw does not know this entrant. Join the waiting room.", 0},
	{access.ErrRoomFull, 425, "room_full", "It is your turn, and as many as fit are inside. Your turn is kept; ask again in a moment.", 2 * time.Second},
	{access.ErrNotCalled, 425, "not_called", "It is not your turn yet. Wait.", 2 * time.Second},
	{access.ErrBoundElsewhere, 409, "session_bound_elsewhere", "This turn belongs to another browser.", 0},
	{access.ErrAccountNeeded, 401, "account_required", "This sale is for accounts. Sign in with the one that you joined with; your turn is kept.", 0},
	{access.ErrSessionMoved, 401, "session_moved", "You went on in another browser. Go on there, or take your turn back here.", 0},
	{access.ErrPaused, 503, "sale_paused", "The sale is paused. Your place is safe; wait for it to go on.", 5 * time.Second},
	{access.ErrSoldOut, 409, "sold_out", "Nothing is left for now. What is not paid for comes back.", 0},
	{access.ErrBanned, 403, "banned", "This entrant, device or network is excluded from the sale. The organizer can say why.", 0},
	{access.ErrSessionMalformed, 401, "session_malformed", "This is no session.", 0},
	{access.ErrSessionForged, 401, "session_forged", "The session is not one of ours.", 0},
	{access.ErrSessionExpired, 401, "session_expired", "The session has ended. What you hold or bought is still yours to see.", 0},
	{access.ErrDeviceMismatch, 401, "device_mismatch", "This belongs to another browser.", 0},
	{access.ErrEdgeRevoked, 403, "edge_revoked", "This edge was thrown out. One that is trusted again gets another id.", 0},
	{access.ErrNoEdge, 404, "edge_not_found", "There is no such edge. See GET /admin/v1/edges.", 0},
	{access.ErrEdgeUnknown, 401, "edge_unknown", "The edge is not enrolled. Enroll first.", 0},
	{access.ErrKeyRefused, 422, "key_refused", "The signing key cannot be registered: it must be valid now and for two hours at most.", 0},
	{access.ErrBanInvalid, 422, "ban_invalid", "A ban names a kind (device, network, entrant, account or card) and a subject in hex of that kind's length.", 0},
	{access.ErrVerdictInvalid, 422, "verdict_invalid", "The verdict, or the reason for lifting one, is not of the form that is kept.", 0},
	{access.ErrVerdictUnknown, 404, "verdict_unknown", "The filter has no verdict on this entrant.", 0},
	{access.ErrBanUnknown, 404, "ban_unknown", "There is no such ban in force.", 0},
	{notify.ErrUnknown, 404, "mail_unknown", "There is no such mail.", 0},
	{notify.ErrAlive, 409, "mail_alive", "Only mails that bounced or are dead can be tried again. This one is neither, or no more.", 0},
	{notify.ErrOver, 410, "mail_over", "This mail was of use for a while only, and what it was to tell is gone.", 0},
	{notify.ErrAddress, 422, "email_invalid", "This is no e-mail address. Write it plainly: name@example.org.", 0},
	{payment.ErrTaskUnknown, 404, "task_unknown", "The order has no such outbox task.", 0},
	{offline.ErrReceiptUnknown, 404, "receipt_unknown", "No receipt of this id was recorded. Look at the list of receipts.", 0},
	{offline.ErrNothingLeft, 409, "receipt_used", "Nothing is left of the receipt: it is used, or was sent back.", 0},
	{offline.ErrNotDue, 409, "order_not_due", "The order waits for no money by bank transfer or at a box office.", 0},
	{offline.ErrTooLittle, 409, "receipt_too_little", "What is left of the receipt does not complete what the order waits for, or is in another currency.", 0},
	{offline.ErrReceiptAmount, 422, "receipt_amount", "No bank transfers that much in one row. Look at the file.", 0},
	{ledger.ErrOverflow, 422, "amount_overflow", "The books have no room for that amount. Look at what stands in them before you go on.", 0},
	{offline.ErrRefundUnknown, 404, "refund_unknown", "No refund of this id waits for a transfer by hand.", 0},
	{offline.ErrRefundDecided, 409, "refund_decided", "The contrary was said of this refund before.", 0},
	{payment.ErrTaskAlive, 409, "task_alive", "Only dead tasks can be retried or discarded. This one is not, or no more.", 0},
	{payment.ErrSignature, 400, "webhook_signature", "The webhook's signature does not verify.", 0},
	{payment.ErrMalformed, 400, "webhook_malformed", "The webhook cannot be read.", 0},
	{payment.ErrNoRoute, 503, "no_provider", "Nobody takes payments for this event at the moment. The organizer knows; try again later.", time.Minute},
	{payment.ErrUnknownProvider, 404, "not_found", "No payment provider of that name is configured.", 0},
	{errUnauthorized, 401, "unauthorized", "The bearer secret is missing or wrong.", 0},
	{errSessionEvent, 401, "session_other_event", "The session is for another event.", 0},
	{errRoomFirst, 403, "waiting_room_first", "While this event sells, whoever wants to buy comes through its waiting room.", 0},
	{errSessionMissing, 401, "session_missing", "A session is needed. Join the waiting room and wait for your turn.", 0},
	{errKeyMissing, 400, "idempotency_key_missing", "The Idempotency-Key header is required: 1 to 128 visible ASCII characters, new for every new request.", 0},
	{errEmail, 422, "email_invalid", "This is no e-mail address that tickets can be sent to. Write it plainly: name@example.org, or leave it out.", 0},
	{event.ErrCursor, 400, "bad_request", "after must be the next of an earlier page.", 0},
	{errJSON, 400, "bad_json", "The body is not the JSON this needs.", 0},
	{errRequest, 400, "bad_request", "The request does not make sense.", 0},
	{errNotFound, 404, "not_found", "There is nothing here.", 0},
	{errOfflineOff, 409, "offline_off", "Core takes no money without a provider: payment.offline is not configured.", 0},
	{errLeaving, 503, "core_leaving", "This node is about to stop and did nothing. Ask another, or this one in a while.", time.Second},
	{catalog.ErrLoading, 503, "catalog_loading", "The list of events is still being read. Ask again in a second.", time.Second},
	{db.ErrOverloaded, 503, "overloaded", "Too many requests are waiting. Nothing was done; try again.", time.Second},
	{db.ErrClosed, 503, "overloaded", "This node is stopping. Nothing was done; try again.", time.Second},
	{db.ErrAmbiguous, 503, "outcome_unknown", "It may or may not have worked. Repeat the request with the same Idempotency-Key.", time.Second},
	{db.ErrUnavailable, 503, "database_unavailable", "The database does not answer. Nothing is lost; repeat the request with the same Idempotency-Key.", 2 * time.Second},
	{context.DeadlineExceeded, 503, "overloaded", "It took too long. Repeat the request with the same Idempotency-Key.", time.Second},
	{context.Canceled, 503, "overloaded", "The request was given up. Repeat it with the same Idempotency-Key.", time.Second},
}

// problemOf translates an error. What the table does not know is an internal error whose text stays in the log.
func problemOf(err error) Problem {
	var bad event.Problems
	if errors.As(err, &bad) {
		return Problem{Type: "about:blank", Title: http.StatusText(http.StatusUnprocessableEntity), Status: http.StatusUnprocessableEntity, Code: "event_invalid",
			Detail: "The event file has mistakes. Nothing was changed.", Problems: bad}
	}
	if db.IsUnavailable(err) && !errors.Is(err, db.ErrUnavailable) {
		err = fmt.Errorf("%w: %w", db.ErrUnavailable, err) // a statement outside a transaction
	}
	for _, o := range outcomes {
		if !errors.Is(err, o.is) {
			continue
		}
		p := Problem{Type: "about:blank", Title: http.StatusText(o.status), Status: o.status, Code: o.code, Detail: o.detail,
			RetryAfter: int(o.retry / time.Second)}
		var full *db.Overload
		if errors.As(err, &full) {
			p.RetryAfter = int((full.Wait + time.Second - 1) / time.Second)
		}
		var many *account.TooManyCodes
		if errors.As(err, &many) {
			p.RetryAfter = int((many.Wait + time.Second - 1) / time.Second)
		}
		var slowed *access.Slowed
		if errors.As(err, &slowed) {
			p.RetryAfter = int((slowed.Wait + time.Second - 1) / time.Second)
		}
		var tries *access.WordTries
		if errors.As(err, &tries) {
			p.RetryAfter = int((tries.Wait + time.Second - 1) / time.Second)
		}
		var over *inventory.OverLimit
		if errors.As(err, &over) {
			p.Detail = overLimit(over)
		}
		var earlier *gate.Refusal
		if errors.As(err, &earlier) {
			p.Before = &beforeJSON{earlier.Before.Gate, timeJSON(earlier.Before.At)}
			p.Detail = strings.TrimSuffix(p.Detail, ".") + fmt.Sprintf(": at gate %s, %s.", earlier.Before.Gate, earlier.Before.At.UTC().Format(time.RFC3339))
		}
		var said *detailed
		if errors.As(err, &said) {
			p.Detail = said.detail
		}
		var overlap *access.Overlap
		if errors.As(err, &overlap) {
			p.Detail = overlapping(overlap)
		}
		var apart *inventory.Apart
		if errors.As(err, &apart) {
			p.Relax = apart.Relax
			p.Detail = fmt.Sprintf("%d seats are left there, but none that fit your party by the rules you set.", apart.Left)
			if len(apart.Relax) > 0 {
				p.Detail += fmt.Sprintf(" With %q in allow there are some.", apart.Relax)
			}
		}
		return p
	}
	p := Problem{Type: "about:blank", Title: http.StatusText(500), Status: 500, Code: "internal",
		Detail: "Something went wrong on our side. It is logged; repeat the request with the same Idempotency-Key."}
	var said *detailed
	if errors.As(err, &said) {
		p.Detail = said.detail
	}
	return p
}

// overlapping says which two on-sales overlap, and when they are.
func overlapping(o *access.Overlap) string {
	at := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	other := "General sale"
	if o.Other.Presale != "" {
		other = fmt.Sprintf("Presale %s", o.Other.Presale)
	}
	return fmt.Sprintf("On-sales come one after the other. %s is from %s, when joining opens, to %s; this one would be from %s to %s. Let its joining open when "+
		"the one before is over (joining_at), or move one of them.", other, at(o.Other.JoiningAt), at(o.Other.EndsAt), at(o.JoiningAt), at(o.EndsAt))
}

// detailed says more about an error than the table does, to the client.
type detailed struct {
	err    error
	detail string
}

func (d *detailed) Error() string { return d.err.Error() + ": " + d.detail }
func (d *detailed) Unwrap() error { return d.err }

// Errors of the HTTP layer itself.
var (
	errUnauthorized   = errors.New("api: bearer secret missing or wrong")
	errSessionEvent   = errors.New("api: session for another event")
	errSessionMissing = errors.New("api: session missing")
	errKeyMissing     = errors.New("api: idempotency key missing")
	errWindow         = errors.New("api: presale for others")
	errEmail          = errors.New("api: e-mail address invalid")
	errJSON           = errors.New("api: body is not the JSON expected")
	errRequest        = errors.New("api: bad request")
	errGateRate       = errors.New("api: a gate asks too often")
	errNotFound       = errors.New("api: not found")
	errOfflineOff     = errors.New("api: no payments without a provider")
	errLeaving        = errors.New("api: the node is about to stop")
)

// writeProblem answers a request with what became of it.
func writeProblem(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	p := problemOf(err)
	if p.Status >= 500 && p.Code == "internal" {
		log.Error("request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	encode(w, p)
}

// writeJSON answers with a value.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	encode(w, v)
}

func encode(w http.ResponseWriter, v any) {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // the client has gone
}
