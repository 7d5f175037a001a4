package paysim

import (
	"net/http"
	"strconv"
	"time"
)

// ppMove books a movement of the balance, and puts it onto the report, but for what the dice have the report get wrong.
func (s *Server) ppMove(row *ppRow) {
	row.at = s.clock.now()
	s.pp.balances[row.currency] += row.minor
	s.pp.fees[row.currency] -= row.fee
	f, name := &s.cfg.Faults, row.code+" "+row.custom
	if f.SettlementMissing > 0 || f.SettlementExtra > 0 || f.SettlementAltered > 0 {
		name = numbered(name, s.dice.nth("row "+name))
	}
	m := &s.pp.mistakes
	switch {
	case s.dice.hits("row missing", name, f.SettlementMissing):
		m.Missing = append(m.Missing, row.booked(row.minor))
	case s.dice.hits("row altered", name, f.SettlementAltered):
		wrong := *row
		wrong.minor += 100 * (1 + int64(s.dice.throw("altered by", name)*5))
		m.Altered = append(m.Altered, wrong.booked(row.minor))
		s.pp.rows = append(s.pp.rows, &wrong)
	default:
		s.pp.rows = append(s.pp.rows, row)
	}
	if s.dice.hits("row extra", name, f.SettlementExtra) {
		extra := *row
		extra.id = s.newID("PX")
		m.Extra = append(m.Extra, extra.booked(row.minor))
		s.pp.rows = append(s.pp.rows, &extra)
	}
}

// booked is a mistake as the books have it; truly is what moved, or would have.
func (r *ppRow) booked(truly int64) BookedMistake {
	return BookedMistake{
		Row: r.id, Type: r.code, Source: r.id, Order: orderOfCustom(r.custom), Payment: paymentOfCustom(r.custom), Currency: r.currency,
		Amount: truly, Shown: r.minor, Created: r.at.Unix(),
	}
}

// ppReport is the transaction search.
func (s *Server) ppReport(c *ppCall) (*ppReply, func() *ppReply) {
	q := c.r.URL.Query()
	from, errFrom := time.Parse(time.RFC3339, q.Get("start_date"))
	until, errUntil := time.Parse(time.RFC3339, q.Get("end_date"))
	size, page := 100, 1
	number := func(name string, into *int, most int) bool {
		if q.Get(name) == "" {
			return true
		}
		n, err := strconv.Atoi(q.Get(name))
		*into = n
		return err == nil && n >= 1 && n <= most
	}
	if errFrom != nil || errUntil != nil || until.Before(from) || until.Sub(from) > 31*24*time.Hour || !number("page_size", &size, 500) || !number("page", &page, 100_000) {
		return ppInvalid("INVALID_REQUEST"), nil
	}
	var found []*ppRow
	for _, row := range s.pp.rows {
		if at := row.at.Truncate(time.Second); !at.Before(from) && !at.After(until) {
			found = append(found, row)
		}
	}
	if len(found) > 10_000 {
		return ppInvalid("RESULTSET_TOO_LARGE"), nil
	}
	pages := max(1, (len(found)+size-1)/size)
	details := []any{}
	for _, row := range found[min(len(found), (page-1)*size):min(len(found), page*size)] {
		details = append(details, map[string]any{"transaction_info": row.json()})
	}
	return &ppReply{http.StatusOK, map[string]any{
		"transaction_details": details, "account_number": "PAYSIMMERCHANT", "start_date": ppStamp(from), "end_date": ppStamp(until),
		"last_refreshed_datetime": ppStamp(s.clock.now()), "page": page, "total_items": len(found), "total_pages": pages, "links": []any{},
	}}, nil
}

// ppStamp is a time as reports have it.
func ppStamp(t time.Time) string {
	return t.UTC().Truncate(time.Second).Format("2006-01-02T15:04:05-0700")
}

func (r *ppRow) json() map[string]any {
	j := map[string]any{
		"transaction_id": r.id, "transaction_event_code": r.code, "transaction_initiation_date": ppStamp(r.at), "transaction_updated_date": ppStamp(r.at),
		"transaction_amount": ppMoney(r.minor, r.currency), "transaction_status": "S", "custom_field": r.custom, "invoice_id": r.invoice,
	}
	if r.reference != "" {
		j["paypal_reference_id"], j["paypal_reference_id_type"] = r.reference, "TXN"
	}
	if r.fee != 0 {
		j["fee_amount"] = ppMoney(r.fee, r.currency)
	}
	return j
}
