package api

import (
	"errors"
	"fmt"
	"net/http"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"fairgate/core/payment/offline"
	"fairgate/ledger"
)

// maxReceipts is how many rows of a bank one request records.
const maxReceipts = 500

// recordReceipts records money that came in by bank transfer or at a box office. Every row is a transaction of its own; one
// that was recorded before changes nothing, so a file can be sent again after any failure.
//
//	POST /admin/v1/payments/receipts
//	{"receipts": [{"id": "BANK-1", "reference": "RF…", "amount": "65.00", "currency": "EUR", "received_at": "…", "note": ""}]}
//	200 {"results": [{"id", "known", "paid", "review"}]}   in the order of the rows
//	422 receipt_amount      a row is over more than offline.MaxReceipt; nothing was recorded
//	422 amount_overflow     the books have no room for a row; the detail says which rows were recorded, as for any other failure
func (s *Server) recordReceipts(w http.ResponseWriter, r *http.Request) error {
	if s.Offline == nil {
		return errOfflineOff
	}
	var body struct {
		Receipts []struct {
			ID         string    `json:"id"`
			Reference  string    `json:"reference"`
			Amount     string    `json:"amount"`
			Currency   string    `json:"currency"`
			ReceivedAt time.Time `json:"received_at"`
			Note       string    `json:"note"`
		} `json:"receipts"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	if len(body.Receipts) == 0 || len(body.Receipts) > maxReceipts {
		return &detailed{errRequest, fmt.Sprintf("receipts must be 1 to %d rows.", maxReceipts)}
	}
	receipts := make([]offline.Receipt, len(body.Receipts))
	for i, row := range body.Receipts {
		amount, err := ledger.ParseAmount(row.Amount, row.Currency)
		switch {
		case errors.Is(err, ledger.ErrOverflow) || err == nil && amount.Minor > offline.MaxReceipt:
			return &detailed{offline.ErrReceiptAmount, fmt.Sprintf("Row %d: a receipt may be over %s at most. Nothing was recorded.", i+1,
				ledger.Amount{Minor: offline.MaxReceipt, Currency: row.Currency})}
		case err != nil || amount.Minor <= 0:
			return &detailed{errRequest, fmt.Sprintf("Row %d: %q %q is no amount of money.", i+1, row.Amount, row.Currency)}
		case !plainText(row.ID, 1, 128) || !plainText(row.Reference, 0, 140) || !plainText(row.Note, 0, 500):
			return &detailed{errRequest, fmt.Sprintf("Row %d needs an id of at most 128 characters; references have at most 140, notes 500.", i+1)}
		}
		if row.ReceivedAt.IsZero() {
			row.ReceivedAt = time.Now()
		}
		receipts[i] = offline.Receipt{ID: row.ID, Reference: row.Reference, Amount: amount, ReceivedAt: row.ReceivedAt, Note: row.Note}
	}
	type resultJSON struct {
		ID     string `json:"id"`
		Known  bool   `json:"known"`
		Paid   bool   `json:"paid"`
		Review string `json:"review,omitempty"`
	}
	results := make([]resultJSON, len(receipts))
	for i, receipt := range receipts {
		done, err := s.Offline.Record(r.Context(), receipt, operatorOf(r))
		if err != nil {
			return &detailed{err, refusedRow(i, receipts, err)}
		}
		results[i] = resultJSON{receipt.ID, done.Known, done.Paid, done.Review}
	}
	writeJSON(w, http.StatusOK, map[string]any{"results": results})
	return nil
}

// refusedRow says which rows of a file were recorded when one was refused. The rows before it are, whatever became of it.
func refusedRow(i int, receipts []offline.Receipt, err error) string {
	detail := fmt.Sprintf("Row %d, receipt %q: %s", i+1, receipts[i].ID, problemOf(err).Detail)
	switch {
	case i == 0:
		detail += " No row before it, and none after it was recorded."
	case i == 1:
		detail += " Row 1 was recorded, and none after it."
	default:
		detail += fmt.Sprintf(" Rows 1 to %d were recorded, and none after it.", i)
	}
	return detail + " Rows that were recorded may be sent again."
}

// plainText tells whether a text is UTF-8 of so many characters, without control characters other than tabs and line breaks and
// without those that turn the direction of writing, which hide what is written.
func plainText(text string, least, most int) bool {
	n := utf8.RuneCountInString(text)
	for _, c := range text {
		bidi := c >= 0x202A && c <= 0x202E || c >= 0x2066 && c <= 0x2069
		if bidi || unicode.IsControl(c) && c != '\n' && c != '\r' && c != '\t' {
			return false
		}
	}
	return utf8.ValidString(text) && n >= least && n <= most
}

// confirmRefund says that a refund by bank transfer was made, or that it cannot be.
//
//	POST /admin/v1/payments/refunds/{id}/{confirm|fail}
//	{"reason": "…"}
func (s *Server) confirmRefund(w http.ResponseWriter, r *http.Request) error {
	verb := r.PathValue("verb")
	if s.Offline == nil {
		return errOfflineOff
	}
	if verb != "confirm" && verb != "fail" {
		return errNotFound
	}
	id, err := uuid.Parse(r.PathValue("id"))
	if err != nil {
		return errNotFound
	}
	var body struct {
		Reason string `json:"reason"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	if !plainText(body.Reason, 0, 500) {
		return &detailed{errRequest, "reason must be a text of at most 500 characters, without control characters."}
	}
	if err := s.Offline.Confirm(r.Context(), id, verb == "confirm", operatorOf(r), body.Reason); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"id": id, "done": verb == "confirm"})
	return nil
}
