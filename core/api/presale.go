package api

import (
	"errors"
	"net/http"

	"fairgate/core/access"
	"fairgate/core/account"
	"fairgate/core/event"
	"fairgate/edge/lottery"
)

// presaleRoutes are the admin listener's routes about presales.
func (s *Server) presaleRoutes(admin func(pattern string, h handler)) {
	admin("GET /admin/v1/events/{id}/presales/{presale}/registrations", s.countRegistered)
	admin("POST /admin/v1/events/{id}/presales/{presale}/registrations", s.registerOthers)
	admin("POST /admin/v1/events/{id}/presales/{presale}/word", s.setWord)
}

// setWord sets the word with which accounts register for a presale, in place of an earlier one.
//
//	POST /admin/v1/events/{id}/presales/{presale}/word {"word":"…"}
func (s *Server) setWord(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Word string `json:"word"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	e, err := s.Events.BySlug(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if err := s.Room.SetWord(r.Context(), e.Slug, r.PathValue("presale"), body.Word, operatorOf(r)); err != nil {
		return err
	}
	s.Log.Info("the word of a presale was set", "event", e.Slug, "presale", r.PathValue("presale"), "actor", operatorOf(r))
	return s.writeRegistered(w, r, e.Slug, map[string]any{})
}

// registerSelf puts the account that is signed in on the list of a presale, which may ask for a word. Doing it again changes nothing.
//
//	POST /v1/events/{id}/presales/{presale}/registration {"word":"…"}
func (s *Server) registerSelf(w http.ResponseWriter, r *http.Request) error {
	a, err := s.account(r)
	if err != nil {
		return err
	}
	var body struct {
		Word string `json:"word"`
	}
	if r.ContentLength != 0 {
		if err := decode(r, &body); err != nil {
			return err
		}
	}
	e, err := s.Events.BySlug(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	try := access.Try{Account: a.ID, Entrant: a.Entrant(e.PseudonymKey), Network: event.NetworkOf(r.Header.Get(clientHeader)), Word: body.Word}
	if err := s.Room.RegisterSelf(r.Context(), e.Slug, r.PathValue("presale"), try); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"event": e.Slug, "presale": r.PathValue("presale"), "registered": true})
	return nil
}

// maxRegistrations is how many an operator registers at once.
const maxRegistrations = 500

// registerOthers puts accounts on the list by their addresses. Those that no account has proved come back: their owners sign in first.
func (s *Server) registerOthers(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Emails []string `json:"emails"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	if len(body.Emails) == 0 || len(body.Emails) > maxRegistrations {
		return &detailed{errRequest, "emails must be 1 to 500 addresses."}
	}
	e, err := s.Events.BySlug(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	unknown := []string{}
	var entrants []lottery.Entrant
	for _, email := range body.Emails {
		a, err := account.ByEmail(r.Context(), s.DB.Reader, email)
		switch {
		case errors.Is(err, account.ErrUnknown), errors.Is(err, account.ErrEmail):
			unknown = append(unknown, email)
		case err != nil:
			return err
		default:
			entrants = append(entrants, a.Entrant(e.PseudonymKey))
		}
	}
	added, err := s.Room.Register(r.Context(), e.Slug, r.PathValue("presale"), entrants)
	if err != nil {
		return err
	}
	s.Log.Info("accounts were registered for a presale", "event", e.Slug, "presale", r.PathValue("presale"), "accounts", added, "actor", operatorOf(r))
	return s.writeRegistered(w, r, e.Slug, map[string]any{"added": added, "unknown": unknown})
}

// countRegistered says how many are on the list of a presale.
func (s *Server) countRegistered(w http.ResponseWriter, r *http.Request) error {
	e, err := s.Events.BySlug(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return s.writeRegistered(w, r, e.Slug, map[string]any{})
}

func (s *Server) writeRegistered(w http.ResponseWriter, r *http.Request, slug string, answer map[string]any) error {
	n, err := s.Room.Registered(r.Context(), slug, r.PathValue("presale"))
	if err != nil {
		return err
	}
	if answer["word_set"], err = s.Room.HasWord(r.Context(), slug, r.PathValue("presale")); err != nil {
		return err
	}
	answer["event"], answer["presale"], answer["registered"] = slug, r.PathValue("presale"), n
	writeJSON(w, http.StatusOK, answer)
	return nil
}
