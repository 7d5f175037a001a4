package paysim

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
)

// control reads a call under /_paysim that changes something: with the secret key, fields as a JSON object of strings or as
// a form. It answers the call itself and returns false when it is not allowed or cannot be read. Nothing here misbehaves.
func (s *Server) control(w http.ResponseWriter, r *http.Request) (map[string]string, bool) {
	unreadable := invalid(http.StatusBadRequest, "", "", "The body must be a form, or a JSON object whose values are strings.")
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		s.send(w, refusal(unreadable))
		return nil, false
	}
	fields := make(map[string]string)
	if text := bytes.TrimSpace(body); len(text) > 0 && text[0] == '{' { // whatever curl -d says its type is
		if json.Unmarshal(text, &fields) != nil {
			s.send(w, refusal(unreadable))
			return nil, false
		}
		body = nil
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if err := r.ParseForm(); err != nil {
		s.send(w, refusal(unreadable))
		return nil, false
	}
	c := &call{r: r, form: r.Form}
	if f := s.authorize(c, false); f != nil {
		s.send(w, refusal(f))
		return nil, false
	}
	for name, values := range c.form {
		if _, twice := fields[name]; !twice && len(values) > 0 {
			fields[name] = values[0]
		}
	}
	return fields, true
}
