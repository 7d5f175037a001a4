package api

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"

	"github.com/google/uuid"

	"fairgate/core/account"
	"fairgate/core/event"
	"fairgate/edge/admission"
	"fairgate/edge/lottery"
)

// accountHeader is where an edge writes the account session of the browser, from its cookie only. Core writes a renewed one into the
// header of the same name of its answer, which the edge makes the cookie.
const accountHeader = "Fairgate-Account"

// accountSession is the session of the account that is signed in in the browser. account.ErrSignedOut.
func (s *Server) accountSession(r *http.Request) (account.Session, lottery.DeviceHash, error) {
	text := r.Header.Get(accountHeader)
	if text == "" {
		return account.Session{}, lottery.DeviceHash{}, account.ErrSignedOut
	}
	device, err := deviceOf(r.Header.Get("Fairgate-Device"))
	if err != nil {
		return account.Session{}, lottery.DeviceHash{}, err
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return account.Session{}, lottery.DeviceHash{}, account.ErrSignedOut
	}
	session, err := s.Accounts.Check(r.Context(), raw, device)
	return session, device, err
}

// account is the account that is signed in in the browser. account.ErrSignedOut.
func (s *Server) account(r *http.Request) (account.Account, error) {
	session, _, err := s.accountSession(r)
	return session.Account, err
}

// sendCode mails a one-time code. The answer is the same whether or not the address has an account.
//
//	POST /v1/account/code {"email": "…", "language": "es"}
func (s *Server) sendCode(w http.ResponseWriter, r *http.Request) error {
	device, err := deviceOf(r.Header.Get("Fairgate-Device"))
	if err != nil {
		return err
	}
	var body struct {
		Email    string `json:"email"`
		Language string `json:"language"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	err = s.Accounts.SendCode(r.Context(), account.Ask{Email: body.Email, Language: body.Language, Device: device,
		Network: event.NetworkOf(r.Header.Get(clientHeader))})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusAccepted, map[string]bool{"sent": true})
	return nil
}

// signedInJSON is what an edge gets for a code. It makes session the cookie, and tells the browser the rest.
type signedInJSON struct {
	Session   string   `json:"session"`
	Email     string   `json:"email"`
	ExpiresAt timeJSON `json:"expires_at"`
}

// signIn uses a code.
//
//	POST /v1/account/session {"email": "…", "code": "123456"}
func (s *Server) signIn(w http.ResponseWriter, r *http.Request) error {
	device, err := deviceOf(r.Header.Get("Fairgate-Device"))
	if err != nil {
		return err
	}
	var body struct {
		Email    string `json:"email"`
		Code     string `json:"code"`
		Language string `json:"language"`
	}
	if err := decode(r, &body); err != nil {
		return err
	}
	session, err := s.Accounts.SignIn(r.Context(), account.Entry{Email: body.Email, Code: body.Code, Language: body.Language, Device: device})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, signedInJSON{base64.RawURLEncoding.EncodeToString(session.Raw), session.Account.Email, timeJSON(session.ExpiresAt)})
	return nil
}

// signOut ends the session in this browser, or with everywhere in all of them. Signing out twice is signing out once.
//
//	DELETE /v1/account/session?everywhere=true
func (s *Server) signOut(w http.ResponseWriter, r *http.Request) error {
	everywhere := false
	if text := r.URL.Query().Get("everywhere"); text != "" {
		var err error
		if everywhere, err = strconv.ParseBool(text); err != nil {
			return &detailed{errRequest, "everywhere must be true or false."}
		}
	}
	session, device, err := s.accountSession(r)
	if err == nil {
		err = s.Accounts.SignOut(r.Context(), session.Account, device, everywhere)
	}
	if err != nil && !errors.Is(err, account.ErrSignedOut) {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]bool{"signed_out": true})
	return nil
}

type accountJSON struct {
	ID        uuid.UUID `json:"id"`
	Email     string    `json:"email"`
	Language  string    `json:"language"`
	Since     timeJSON  `json:"since"`
	ExpiresAt timeJSON  `json:"expires_at"` // of the session, if it is not used meanwhile
}

// showAccount tells who is signed in, and renews the session.
func (s *Server) showAccount(w http.ResponseWriter, r *http.Request) error {
	session, err := s.renewed(w, r)
	if err != nil {
		return err
	}
	a := session.Account
	writeJSON(w, http.StatusOK, accountJSON{a.ID, a.Email, a.Language, timeJSON(a.CreatedAt), timeJSON(session.ExpiresAt)})
	return nil
}

// emailOf is the address of the account of a session's entrant, "" when that is none that is signed in in this browser.
func (s *Server) emailOf(r *http.Request, session admission.Session) (string, error) {
	if r.Header.Get(accountHeader) == "" {
		return "", nil
	}
	a, err := s.account(r)
	if errors.Is(err, account.ErrSignedOut) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	owns, err := s.owns(r.Context(), a, session.Event, session.Entrant)
	if err != nil || !owns {
		return "", err
	}
	return a.Email, nil
}

// renewed is the session of the account that is signed in; an old one is renewed on the way.
func (s *Server) renewed(w http.ResponseWriter, r *http.Request) (account.Session, error) {
	session, device, err := s.accountSession(r)
	if err != nil {
		return account.Session{}, err
	}
	session, fresh, err := s.Accounts.Renew(r.Context(), session, device)
	if err != nil {
		return account.Session{}, err
	}
	if fresh {
		w.Header().Set(accountHeader, base64.RawURLEncoding.EncodeToString(session.Raw))
	}
	return session, nil
}
