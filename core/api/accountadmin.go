package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/google/uuid"

	"fairgate/core/account"
	"fairgate/core/ticket/passes"
)

type entrancyJSON struct {
	Event   string `json:"event"`
	Entrant string `json:"entrant"`
}

type adminAccountJSON struct {
	ID        uuid.UUID      `json:"id"`
	Email     string         `json:"email"` // "" of a forgotten one
	Language  string         `json:"language"`
	Epoch     uint32         `json:"epoch"` // how often it has signed out everywhere
	CreatedAt timeJSON       `json:"created_at"`
	Forgotten *timeJSON      `json:"forgotten"`
	Events    []entrancyJSON `json:"events"` // the latest, and whom the account is there
}

// findAccount shows an account to an operator. The address is in the body so that it is in no log of addresses.
//
//	POST /admin/v1/accounts:find {"email": "…"} or {"id": "…"}
func (s *Server) findAccount(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Email string    `json:"email"`
		ID    uuid.UUID `json:"id"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	find := func() (account.Account, error) { return account.Load(r.Context(), s.DB.Reader, body.ID) }
	if body.Email != "" {
		find = func() (account.Account, error) { return account.ByEmail(r.Context(), s.DB.Reader, body.Email) }
	}
	a, err := find()
	if err != nil {
		return err
	}
	return s.writeAdminAccount(r.Context(), w, a)
}

// forgetAccount removes what an account says of a person.
//
//	POST /admin/v1/accounts/{id}/forget
func (s *Server) forgetAccount(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, account.ErrUnknown)
	if err != nil {
		return err
	}
	if err := passes.Forget(r.Context(), s.DB, id); err != nil { // the account says which are its own as long as it is not forgotten
		return err
	}
	if err := s.Accounts.Forget(r.Context(), id); err != nil {
		return err
	}
	if err := errors.Join(s.Waitlists.Forget(r.Context(), id), s.Reminders.Forget(r.Context(), id)); err != nil {
		return err // asked again, the rest is forgotten too
	}
	s.Log.Info("an account was forgotten", "account", id, "operator", operatorOf(r))
	a, err := account.Load(r.Context(), s.DB.Reader, id)
	if err != nil {
		return err
	}
	return s.writeAdminAccount(r.Context(), w, a)
}

func (s *Server) writeAdminAccount(ctx context.Context, w http.ResponseWriter, a account.Account) error {
	all, err := account.Entrancies(ctx, s.DB.Reader, a.ID)
	if err != nil {
		return err
	}
	view := adminAccountJSON{ID: a.ID, Email: a.Email, Language: a.Language, Epoch: a.Epoch, CreatedAt: timeJSON(a.CreatedAt), Events: make([]entrancyJSON, 0, len(all))}
	if !a.Forgotten.IsZero() {
		at := timeJSON(a.Forgotten)
		view.Forgotten = &at
	}
	for _, e := range all {
		known, err := s.Events.ByID(ctx, e.Event)
		if err != nil {
			return err
		}
		view.Events = append(view.Events, entrancyJSON{known.Slug, e.Entrant.String()})
	}
	writeJSON(w, http.StatusOK, view)
	return nil
}
