package checkout

import (
	"github.com/google/uuid"

	"fairgate/core/notify"
)

// Buyers who gave an address are written to. Each mail is queued by the transaction that makes it true, and its key follows from what it
// is about, so that no step writes twice however often it runs.

// mail is a mail to the buyer of an order; none for one without an address that takes mail.
func mail(o *Order, kind notify.Kind, about uuid.UUID, data map[string]string) []notify.Message {
	if !notify.Addressable(o.Email) {
		return nil
	}
	return []notify.Message{{Key: string(kind) + "/" + about.String(), Kind: kind, To: o.Email, Language: o.Language, Subject: o.ID, Data: data}}
}

// ticketsMail brings the tickets of an order that has just been issued.
func ticketsMail(o *Order) []notify.Message { return mail(o, notify.KindTickets, o.ID, nil) }

// refundedMail tells that a refund has been made.
func refundedMail(o *Order, f *Refund) []notify.Message {
	return mail(o, notify.KindRefunded, f.ID, map[string]string{notify.DataRefund: f.ID.String()})
}

// cancelledMail tells that an order's event will not take place, and that its money goes back.
func cancelledMail(o *Order) []notify.Message { return mail(o, notify.KindEventCancelled, o.ID, nil) }
