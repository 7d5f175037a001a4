package api

import (
	"encoding/hex"
	"errors"
	"net/http"

	"github.com/google/uuid"

	"fairgate/core/ticket/title"
)

// titleJSON is a ticket's chain of title, from the first issue on.
type titleJSON struct {
	Tickets []titleLinkJSON `json:"tickets"`
	OK      bool            `json:"ok"`
	Broken  string          `json:"broken,omitempty"` // where and how
}

type titleLinkJSON struct {
	ID       uuid.UUID       `json:"id"`
	OrderID  uuid.UUID       `json:"order_id"`
	Buyer    string          `json:"buyer"` // entrants, in hex
	Owner    string          `json:"owner"`
	Epoch    uint32          `json:"epoch"`
	State    string          `json:"state"`
	IssuedAt timeJSON        `json:"issued_at"`
	Steps    []titleStepJSON `json:"steps"`
	Sold     []titleSaleJSON `json:"sold,omitempty"` // of the last one: as which tickets it was sold on
}

// titleSaleJSON is a ticket's sale: the first step of the ticket that follows.
type titleSaleJSON struct {
	Ticket uuid.UUID `json:"ticket"`
	titleStepJSON
}

type titleStepJSON struct {
	How   string     `json:"how"`
	From  string     `json:"from"`
	To    string     `json:"to"`
	Epoch uint32     `json:"epoch"`
	Price *moneyJSON `json:"price,omitempty"`
	Note  string     `json:"note,omitempty"`
	At    timeJSON   `json:"at"`
	Hash  string     `json:"hash"`
}

// showTitle shows a ticket's chain of title and recomputes it.
func (s *Server) showTitle(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, title.ErrUnknown)
	if err != nil {
		return err
	}
	chain, err := title.Verify(r.Context(), s.DB.Reader, id)
	if err != nil && !errors.Is(err, title.ErrBroken) {
		return err
	}
	view := titleJSON{Tickets: make([]titleLinkJSON, len(chain)), OK: err == nil}
	if err != nil {
		view.Broken = err.Error()
	}
	for i := range chain {
		l := &chain[i]
		view.Tickets[i] = titleLinkJSON{ID: l.Ticket, OrderID: l.Order, Buyer: hex.EncodeToString(l.Buyer[:]), Owner: hex.EncodeToString(l.Owner[:]),
			Epoch: l.Epoch, State: l.State, IssuedAt: timeJSON(l.IssuedAt), Steps: make([]titleStepJSON, len(l.Steps))}
		for n, step := range l.Steps {
			view.Tickets[i].Steps[n] = titleStepOf(&step)
		}
		for _, step := range l.Sold {
			view.Tickets[i].Sold = append(view.Tickets[i].Sold, titleSaleJSON{step.Ticket, titleStepOf(&step)})
		}
	}
	writeJSON(w, http.StatusOK, view)
	return nil
}

func titleStepOf(step *title.Step) titleStepJSON {
	one := titleStepJSON{How: string(step.How), From: hex.EncodeToString(step.From[:]), To: hex.EncodeToString(step.To[:]), Epoch: step.Epoch,
		Note: step.Note, At: timeJSON(step.At), Hash: hex.EncodeToString(step.Hash)}
	if step.Price.Currency != "" {
		price := money(step.Price)
		one.Price = &price
	}
	return one
}
