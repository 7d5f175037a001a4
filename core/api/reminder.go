package api

import (
	"net/http"

	"github.com/google/uuid"

	"fairgate/core/reminder"
)

// reminderRoutes are those of buyers. Setting the same again changes nothing, so none needs a key.
func (s *Server) reminderRoutes(edge func(pattern string, limit int64, h handler)) {
	edge("GET /v1/events/{id}/reminders", maxBuyerBody, s.ownReminders)
	edge("PUT /v1/events/{id}/reminders", maxBuyerBody, s.setReminders)
	edge("DELETE /v1/events/{id}/reminders", maxBuyerBody, s.stopReminders)
	edge("GET /v1/reminders", maxBuyerBody, s.allReminders)
	edge("POST /v1/reminders/unsubscribe", maxBuyerBody, s.unsubscribe)
}

// unsubscribe withdraws all reminders of an event by the token of a mail, for whoever has that mail; nobody has to be signed in.
//
//	POST /v1/reminders/unsubscribe {"token":"…"}
func (s *Server) unsubscribe(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Token string `json:"token"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	id, err := s.Reminders.Unsubscribe(r.Context(), body.Token)
	if err != nil {
		return err
	}
	e, err := s.Events.ByID(r.Context(), id)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]any{"event": e.Slug, "occasions": []reminder.Occasion{}})
	return nil
}

// eventRemindersJSON is what an account will be mailed about one event.
type eventRemindersJSON struct {
	Event     string              `json:"event"`
	Occasions []reminder.Occasion `json:"occasions"`
}

// allReminders lists what the account will be mailed about, in all events.
//
//	GET /v1/reminders
func (s *Server) allReminders(w http.ResponseWriter, r *http.Request) error {
	a, err := s.account(r)
	if err != nil {
		return err
	}
	found, err := s.Reminders.Of(r.Context(), a.ID)
	if err != nil {
		return err
	}
	list, last := []eventRemindersJSON{}, uuid.Nil
	for _, one := range found {
		if one.Event != last {
			e, err := s.Events.ByID(r.Context(), one.Event)
			if err != nil {
				return err
			}
			list, last = append(list, eventRemindersJSON{Event: e.Slug}), one.Event
		}
		list[len(list)-1].Occasions = append(list[len(list)-1].Occasions, one.Occasion)
	}
	writeJSON(w, http.StatusOK, map[string]any{"reminders": list})
	return nil
}

func (s *Server) writeReminders(w http.ResponseWriter, r *http.Request, event, account uuid.UUID) error {
	list, err := s.Reminders.Own(r.Context(), event, account)
	if err != nil {
		return err
	}
	if list == nil {
		list = []reminder.Occasion{}
	}
	writeJSON(w, http.StatusOK, map[string]any{"occasions": list})
	return nil
}

// ownReminders lists what the account will be mailed about, once each.
//
//	GET /v1/events/{id}/reminders
func (s *Server) ownReminders(w http.ResponseWriter, r *http.Request) error {
	e, err := s.eventByPath(r)
	if err != nil {
		return err
	}
	a, err := s.account(r)
	if err != nil {
		return err
	}
	return s.writeReminders(w, r, e.ID, a.ID)
}

// setReminders has the account mailed about these occasions and no others.
//
// Those of a presale have its id behind them.
//
//	PUT /v1/events/{id}/reminders {"occasions":["room_opens","sale_opens:fans","returned"],"language":"es"}
func (s *Server) setReminders(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Occasions []reminder.Occasion `json:"occasions"`
		Language  string              `json:"language"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	if !languageTag(body.Language) {
		return errLanguage
	}
	e, err := s.eventByPath(r)
	if err != nil {
		return err
	}
	a, err := s.actorIn(r, e)
	if err != nil {
		return err
	}
	who := reminder.Asker{Account: a.account.ID, Email: a.account.Email, Language: body.Language}
	if who.Language == "" {
		who.Language = a.account.Language
	}
	if err := s.Reminders.Set(r.Context(), e.ID, who, body.Occasions); err != nil {
		return err
	}
	return s.writeReminders(w, r, e.ID, a.account.ID)
}

// stopReminders has the account mailed about nothing of the event.
//
//	DELETE /v1/events/{id}/reminders
func (s *Server) stopReminders(w http.ResponseWriter, r *http.Request) error {
	e, err := s.eventByPath(r)
	if err != nil {
		return err
	}
	a, err := s.account(r)
	if err != nil {
		return err
	}
	if err := s.Reminders.Set(r.Context(), e.ID, reminder.Asker{Account: a.ID}, nil); err != nil {
		return err
	}
	return s.writeReminders(w, r, e.ID, a.ID)
}
