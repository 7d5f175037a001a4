package api

import (
	"net/http"
	"strconv"

	"fairgate/core/resale"
)

// quoteJSON is what an owner should know before they list a ticket.
type quoteJSON struct {
	Cap       *moneyJSON `json:"cap,omitempty"`  // the most that it may cost its buyer in all; none: no cap
	Most      *moneyJSON `json:"most,omitempty"` // the most that may be asked, likewise
	Fee       moneyJSON  `json:"fee"`            // that the buyer pays on top
	Tax       moneyJSON  `json:"tax"`            // on that
	SellerFee int64      `json:"seller_fee_millionths"`
	Organizer int64      `json:"organizer_millionths"`
	ClosesAt  timeJSON   `json:"closes_at"`
	// Priced is what becomes of a price that was asked for.
	Priced *pricedJSON `json:"priced,omitempty"`
}

type pricedJSON struct {
	Asked     moneyJSON `json:"asked"`
	Price     moneyJSON `json:"price"` // all-in
	YouGet    moneyJSON `json:"you_get"`
	Organizer moneyJSON `json:"organizer_share"`
	SellerFee moneyJSON `json:"seller_fee"`
}

// quoteTicket tells the owner of a ticket for how much it may be listed, and with asked what they would get.
//
//	GET /v1/tickets/{id}/listing?asked=5000   asked: in minor units, optional
func (s *Server) quoteTicket(w http.ResponseWriter, r *http.Request) error {
	t, _, err := s.ownTicket(r)
	if err != nil {
		return err
	}
	q, err := s.Resale.Terms(r.Context(), t)
	if err != nil {
		return err
	}
	in := func(minor int64) moneyJSON { return moneyJSON{minor, q.Rules.Currency} }
	view := quoteJSON{Fee: in(q.Rules.Fee), Tax: in(q.Rules.Tax), SellerFee: q.Rules.Commission, Organizer: q.Rules.Royalty, ClosesAt: timeJSON(q.Rules.ClosesAt)}
	if q.Cap >= 0 {
		most, asked := in(q.Cap), in(q.Most)
		view.Cap, view.Most = &most, &asked
	}
	if text := r.URL.Query().Get("asked"); text != "" {
		asked, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return resale.ErrPrice
		}
		p, err := s.Resale.PriceOf(r.Context(), t, asked)
		if err != nil {
			return overCap(err)
		}
		view.Priced = &pricedJSON{Asked: in(p.Asked), Price: in(p.AllIn()), YouGet: in(p.Share()), Organizer: in(p.Royalty), SellerFee: in(p.Commission)}
	}
	writeJSON(w, http.StatusOK, view)
	return nil
}
