package api

import (
	"errors"
	"net/http"

	"github.com/google/uuid"

	"fairgate/core/booking"
	"fairgate/ledger"
)

type bookingJSON struct {
	Reference uuid.UUID     `json:"reference"`
	Kind      string        `json:"kind"`
	Name      string        `json:"name"`
	Amount    ledger.Amount `json:"amount"` // of a closed rounding below zero where it cost us
	Actor     string        `json:"actor"`
	Reason    string        `json:"reason"`
	At        timeJSON      `json:"at"`
	Known     bool          `json:"known"` // it was booked before
}

// book answers POST /admin/v1/ledger/bookings/{verb} with what an operator knows from the bank, or decides:
//
//	arrived         {"provider","payout","amount","currency","reason"}   amount, checked against what is on its way, may be left out
//	tax-paid        {"name","amount","currency","reason"}
//	close-rounding  {"name","currency","reason"}
//	200             {"reference","kind","name","amount":{"minor","currency"},"actor","reason","at","known"}
func (s *Server) book(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Provider string `json:"provider"`
		Payout   string `json:"payout"`
		Name     string `json:"name"`
		Amount   string `json:"amount"`
		Currency string `json:"currency"`
		Reason   string `json:"reason"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	if !plainText(body.Reason, 1, maxReason) {
		return &detailed{errRequest, "A booking needs a reason, without control characters, for whoever asks later."}
	}
	verb := r.PathValue("verb")
	amount := ledger.Amount{Currency: body.Currency}
	if body.Amount != "" || verb == "tax-paid" {
		var err error
		if amount, err = ledger.ParseAmount(body.Amount, body.Currency); err != nil || amount.Minor == 0 {
			return &detailed{errRequest, "amount and currency must be money, such as 65.00 and EUR."}
		}
	}
	var b booking.Booking
	var err error
	switch verb {
	case "arrived":
		if !providerName(body.Provider) || !plainText(body.Payout, 1, 128) {
			return &detailed{errRequest, "Name the provider, and its payout as it does."}
		}
		b, err = s.Bookings.Arrive(r.Context(), body.Provider, body.Payout, amount, operatorOf(r), body.Reason)
	case "tax-paid", "close-rounding":
		if _, known := ledger.Exponent(body.Currency); !known || !plainText(body.Name, 1, 128) {
			return &detailed{errRequest, "A name of 1 to 128 characters and a currency are needed."}
		}
		if verb == "tax-paid" {
			b, err = s.Bookings.PayTax(r.Context(), body.Name, amount, operatorOf(r), body.Reason)
		} else {
			b, err = s.Bookings.CloseRounding(r.Context(), body.Name, body.Currency, operatorOf(r), body.Reason)
		}
	default:
		return errNotFound
	}
	if errors.Is(err, booking.ErrAmount) || errors.Is(err, booking.ErrOther) {
		return &detailed{err, err.Error() + "."} // the operator's own figures
	}
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, bookingJSON{b.Reference, string(b.Kind), b.Name, b.Amount, b.Actor, b.Reason, timeJSON(b.At), b.Known})
	return nil
}
