package api

import (
	"net/http"

	"github.com/google/uuid"

	"fairgate/core/notify"
)

// mailJSON is a mail as operators see it. What it says is composed when it is sent and stands nowhere.
type mailJSON struct {
	ID        uuid.UUID `json:"id"`
	Key       string    `json:"key"`
	Kind      string    `json:"kind"`
	To        string    `json:"to"`
	Language  string    `json:"language"`
	Subject   uuid.UUID `json:"subject"` // the order, ticket … that it is about
	State     string    `json:"state"`
	Attempts  int       `json:"attempts"`
	LastError string    `json:"last_error"`
	DueAt     timeJSON  `json:"due_at"`
	CreatedAt timeJSON  `json:"created_at"`
	EndedAt   *timeJSON `json:"ended_at,omitempty"`
	ExpiresAt *timeJSON `json:"expires_at,omitempty"`
	Running   bool      `json:"running"`
}

func mailOf(r notify.Record) mailJSON {
	m := mailJSON{ID: r.ID, Key: r.Key, Kind: string(r.Kind), To: r.To, Language: r.Language, Subject: r.Subject, State: r.State, Attempts: r.Attempts,
		LastError: r.Error, DueAt: timeJSON(r.DueAt), CreatedAt: timeJSON(r.CreatedAt), Running: r.Running}
	if r.EndedAt != nil {
		at := timeJSON(*r.EndedAt)
		m.EndedAt = &at
	}
	if r.ExpiresAt != nil {
		at := timeJSON(*r.ExpiresAt)
		m.ExpiresAt = &at
	}
	return m
}

// listMails lists mails that bounced or are dead, that wait, or that are about something.
//
//	GET /admin/v1/mails?state=bounced&kind=tickets&subject=…&limit=&after=
//	200 {"mails": […], "next": "…"}   oldest first
func (s *Server) listMails(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	limit, err := limitOf(q.Get("limit"))
	if err != nil {
		return err
	}
	ask := notify.Listing{State: q.Get("state"), Kind: notify.Kind(q.Get("kind")), Limit: limit + 1}
	if text := q.Get("subject"); text != "" {
		if ask.Subject, err = uuid.Parse(text); err != nil {
			return &detailed{errRequest, "subject must be the id of an order, ticket or whatever else mails are about."}
		}
	}
	switch ask.State {
	case "", "ready", "bounced", "dead":
	case "sent", "moot":
		if ask.Subject == uuid.Nil {
			return &detailed{errRequest, "Mails that are sent or have lost their reason are found by their subject only."}
		}
	default:
		return &detailed{errRequest, "state must be ready, sent, moot, bounced or dead."}
	}
	if after := q.Get("after"); after != "" {
		if ask.AfterTime, ask.AfterMail, err = parseOrderCursor(after); err != nil {
			return err
		}
	}
	found, err := notify.List(r.Context(), s.DB, ask)
	if err != nil {
		return err
	}
	next := ""
	if len(found) > limit {
		found = found[:limit]
		next = orderCursor(found[limit-1].CreatedAt, found[limit-1].ID)
	}
	mails := make([]mailJSON, len(found))
	for i, m := range found {
		mails[i] = mailOf(m)
	}
	writeJSON(w, http.StatusOK, map[string]any{"mails": mails, "next": next})
	return nil
}

// showMail shows one mail.
//
//	GET /admin/v1/mails/{id}
func (s *Server) showMail(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r, notify.ErrUnknown)
	if err != nil {
		return err
	}
	found, err := notify.Find(r.Context(), s.DB, id)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, mailOf(found))
	return nil
}

// retryMail has a mail that bounced or died tried again, to another address if one is given.
//
//	POST /admin/v1/mails/{id}/retry
//	{"to": "…"}   may be left out
func (s *Server) retryMail(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		To string `json:"to"`
	}
	if r.ContentLength != 0 {
		if err := decode(r, &body); err != nil {
			return err
		}
	}
	id, err := pathID(r, notify.ErrUnknown)
	if err != nil {
		return err
	}
	found, err := notify.Retry(r.Context(), s.DB, id, body.To)
	if err != nil {
		return err
	}
	s.Log.Info("a mail is tried again", "mail_id", id.String(), "operator", operatorOf(r), "other_address", body.To != "")
	writeJSON(w, http.StatusOK, mailOf(found))
	return nil
}
