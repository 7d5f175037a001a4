package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"fairgate/core/ticket/passes"
	"fairgate/core/ticket/wallet"
)

// The web service that phones ask for changes of their passes in Apple Wallet, below the address that is in the passes:
// https://developer.apple.com/documentation/walletpasses/adding-a-web-service-to-update-passes. Apple's format says what is asked and
// answered; refusals are problems as everywhere, of which phones read the status alone. Edges pass the token on in a header of its own, since
// theirs is in Authorization.

// passTokenHeader has the token that a phone proves with that it has a pass.
const passTokenHeader = "Fairgate-Pass-Token"

// Limits of what phones send.
const (
	maxPhoneBody   = 1 << 10
	maxPhoneLog    = 16 << 10
	maxPhoneLines  = 3               // of one report that get into our log
	maxPhoneLine   = 200             // bytes of one
	phoneLogsEvery = 5 * time.Second // a report in so long gets there; anybody can send one
	maxUpdateTag   = 32
)

func (s *Server) passRoutes(edge func(pattern string, limit int64, h handler)) {
	const registration = "/wallet/v1/devices/{device}/registrations/{type}"
	edge("POST "+registration+"/{serial}", maxPhoneBody, s.registerPass)
	edge("DELETE "+registration+"/{serial}", maxPhoneBody, s.unregisterPass)
	edge("GET "+registration, maxPhoneBody, s.changedPasses)
	edge("GET /wallet/v1/passes/{type}/{serial}", maxPhoneBody, s.latestPass)
	edge("POST /wallet/v1/log", maxPhoneLog, s.phoneLog)
}

// passService tells whether phones may ask about passes of the path's type.
func (s *Server) passService(r *http.Request) error {
	apple := s.Wallets.Apple
	if apple == nil || s.Wallets.Passes == nil || !apple.Updates() {
		return errNotFound
	}
	if kind := r.PathValue("type"); kind != "" && kind != apple.PassType() {
		return errNotFound
	}
	return nil
}

// provenPass is the pass of the path, if the request has its token.
func (s *Server) provenPass(r *http.Request) (id uuid.UUID, named uint32, err error) {
	if err := s.passService(r); err != nil {
		return id, 0, err
	}
	id, named, ok := wallet.ParseName(r.PathValue("serial"))
	if !ok {
		return id, 0, passes.ErrToken
	}
	return id, named, s.Wallets.Passes.Check(r.Context(), id, named, r.Header.Get(passTokenHeader))
}

// registerPass notes that a phone wants to hear of changes: 201, or 200 when it was noted before.
func (s *Server) registerPass(w http.ResponseWriter, r *http.Request) error {
	id, named, err := s.provenPass(r)
	if err != nil {
		return err
	}
	var body struct {
		PushToken string `json:"pushToken"`
	}
	if err := decodeApple(r, &body); err != nil {
		return err
	}
	created, err := s.Wallets.Passes.Register(r.Context(), r.PathValue("device"), id, named, body.PushToken)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	writeJSON(w, status, struct{}{})
	return nil
}

func (s *Server) unregisterPass(w http.ResponseWriter, r *http.Request) error {
	id, named, err := s.provenPass(r)
	if err != nil {
		return err
	}
	if err := s.Wallets.Passes.Unregister(r.Context(), r.PathValue("device"), id, named); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, struct{}{})
	return nil
}

// changedPasses lists the passes of a phone that have changed since the tag it was given: 204 when there is none.
func (s *Server) changedPasses(w http.ResponseWriter, r *http.Request) error {
	if err := s.passService(r); err != nil {
		return err
	}
	since := r.URL.Query().Get("passesUpdatedSince")
	if len(since) > maxUpdateTag {
		since = ""
	}
	changed, tag, err := s.Wallets.Passes.Changed(r.Context(), r.PathValue("device"), since)
	if err != nil {
		return err
	}
	if len(changed) == 0 {
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	names := make([]string, len(changed))
	for i, saved := range changed {
		names[i] = saved.Name()
	}
	writeJSON(w, http.StatusOK, map[string]any{"serialNumbers": names, "lastUpdated": tag})
	return nil
}

// latestPass gives a phone its pass as it is now, or 304 when it has that.
func (s *Server) latestPass(w http.ResponseWriter, r *http.Request) error {
	id, named, err := s.provenPass(r)
	if err != nil {
		return err
	}
	now, err := s.DB.Now(r.Context())
	if err != nil {
		return err
	}
	saved, t, err := s.Wallets.Passes.Find(r.Context(), id, named, passes.Apple)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "private, no-store")
	modified := saved.LastModified(now)
	if known, err := http.ParseTime(r.Header.Get("If-Modified-Since")); err == nil && !known.Before(saved.ChangedAt.Truncate(time.Second)) {
		w.Header().Set("Last-Modified", modified.Format(http.TimeFormat))
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	p, err := s.DescribePass(r.Context(), saved, t)
	if err != nil {
		return err
	}
	p.Token = r.Header.Get(passTokenHeader) // it cannot be given another one
	made, err := s.Wallets.Apple.Make(r.Context(), p)
	if err != nil {
		return err
	}
	w.Header().Set("Last-Modified", modified.Format(http.TimeFormat))
	w.Header().Set("Content-Type", wallet.AppleType)
	_, _ = w.Write(made) // the client has gone
	return nil
}

// phoneLogs bounds how much of what phones report gets into our log.
type phoneLogs struct {
	mu   sync.Mutex
	next time.Time
}

func (l *phoneLogs) may(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Before(l.next) {
		return false
	}
	l.next = now.Add(phoneLogsEvery)
	return true
}

// phoneLog takes what phones say is wrong with our answers. Anybody can say so: a little of it gets into the log, and all of it is counted.
func (s *Server) phoneLog(w http.ResponseWriter, r *http.Request) error {
	if err := s.passService(r); err != nil {
		return err
	}
	var body struct {
		Logs []string `json:"logs"`
	}
	if err := decodeApple(r, &body); err != nil {
		return err
	}
	passes.CountReports(len(body.Logs))
	if len(body.Logs) > 0 && s.phoneLogs.may(time.Now()) {
		first := body.Logs[:min(len(body.Logs), maxPhoneLines)]
		for i, line := range first {
			first[i] = printable(line)
		}
		s.Log.Warn("a phone reports what is wrong with a pass", "lines", len(body.Logs), "first", first)
	}
	writeJSON(w, http.StatusOK, struct{}{})
	return nil
}

// printable is the beginning of a line without anything that cannot be printed in ASCII.
func printable(line string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, line[:min(len(line), maxPhoneLine)])
}

// decodeApple reads JSON of Apple's, which may have more in it than we know.
func decodeApple(r *http.Request, v any) error {
	text, err := io.ReadAll(r.Body)
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		return &detailed{errRequest, fmt.Sprintf("The body is longer than %d bytes.", long.Limit)}
	}
	if err != nil || json.Unmarshal(text, v) != nil {
		return errJSON
	}
	return nil
}
