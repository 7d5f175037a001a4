package api

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"fairgate/core/event"
	"fairgate/edge/lottery"
)

// The keys that sign account sessions are shared by all cores; edges verify with their public halves, which they learn with each key of
// their own that they register. So after a change every edge is asked for another key, and knows within seconds.

// accountKeys says which key signs account sessions, and which others still verify.
//
//	GET /admin/v1/accounts/keys
func (s *Server) accountKeys(w http.ResponseWriter, r *http.Request) error {
	ring, err := s.Events.Reread(r.Context(), event.AccountPurpose, event.GlobalScope)
	if err != nil {
		return err
	}
	verify := make([]uint32, len(ring))
	for i, k := range ring {
		verify[i] = k.Number
	}
	writeJSON(w, http.StatusOK, map[string]any{"newest": ring[0].Number, "verify": verify})
	return nil
}

// accountKeysNow are the public halves as the database has them: an edge that is asked for another key since some were revoked goes by what it is
// told now for an hour, and this core may not have heard of it yet.
func (s *Server) accountKeysNow(ctx context.Context) (lottery.PublicKeys, error) {
	ring, err := s.Events.Reread(ctx, event.AccountPurpose, event.GlobalScope)
	if err != nil {
		return nil, err
	}
	return ring.PublicKeys(), nil
}

// rotateAccountKey makes the key that follows the one the caller believes to be the newest. Who is signed in stays so: older keys verify
// until the last session of theirs has ended, and are retired by a rotation after that.
func (s *Server) rotateAccountKey(w http.ResponseWriter, r *http.Request) error {
	newest, err := s.nextAccountKey(r, false)
	if err != nil {
		return err
	}
	s.Log.Info("a key was rotated", "key", "account", "newest", newest, "actor", operatorOf(r))
	return s.accountKeysChanged(w, r)
}

// revokeAccountKeys makes another key, and all there were until now worthless: everybody is signed out, here at once and at other cores
// within seconds.
func (s *Server) revokeAccountKeys(w http.ResponseWriter, r *http.Request) error {
	newest, err := s.nextAccountKey(r, true)
	if err != nil {
		return err
	}
	n, err := s.Events.Retire(r.Context(), event.AccountPurpose, event.GlobalScope, newest)
	if err != nil {
		return err
	}
	s.Log.Warn("the keys of account sessions were revoked: everybody is signed out", "keys", n, "newest", newest, "actor", operatorOf(r))
	return s.accountKeysChanged(w, r)
}

// nextAccountKey makes the key after body's newest, if it is not there, and answers its number. When all before it are to be worthless, the
// older ones are so first: however many there are, there is room for it.
func (s *Server) nextAccountKey(r *http.Request, revoking bool) (uint32, error) {
	var body struct {
		Newest uint32 `json:"newest"`
	}
	if err := decode(r, &body); err != nil {
		return 0, err
	}
	if _, err := s.Events.RetireOld(r.Context(), event.AccountPurpose, event.GlobalScope, s.Accounts.SessionTTL()); err != nil { // makes room for it
		return 0, err
	}
	if revoking {
		ring, err := s.Events.Reread(r.Context(), event.AccountPurpose, event.GlobalScope)
		if err != nil {
			return 0, err
		}
		if ring[0].Number == body.Newest {
			if _, err := s.Events.Retire(r.Context(), event.AccountPurpose, event.GlobalScope, body.Newest); err != nil {
				return 0, err
			}
		}
	}
	_, err := s.Events.Rotate(r.Context(), event.AccountPurpose, event.GlobalScope, body.Newest)
	return body.Newest + 1, err
}

func (s *Server) accountKeysChanged(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.Room.ReplaceEdgeKeys(r.Context(), uuid.Nil, ""); err != nil {
		return err
	}
	return s.accountKeys(w, r)
}
