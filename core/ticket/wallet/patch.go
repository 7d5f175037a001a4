package wallet

import (
	"encoding/json"
	"fmt"
	"time"
)

// googleScope is what we ask Google to be let do.
const googleScope = "https://www.googleapis.com/auth/wallet_object.issuer"

// assertionValid is how long an assertion is good for; Google takes no longer ones.
const assertionValid = time.Hour

// Patch is what one of Google's resources shall be like: what is not in the body stays.
type Patch struct {
	ID   string
	Body []byte
}

// Updates tells whether Google is told of changes.
func (g *Google) Updates() bool { return g.cfg.Updates }

// Patches are what Google shall be told of a ticket that was saved: first of its event's class, then of the ticket itself. Of a void one only
// that it is inactive, which is all that may be said of somebody else's ticket.
func (g *Google) Patches(p Pass) (class, object Patch, err error) {
	c, err := g.class(p)
	if err != nil {
		return Patch{}, Patch{}, err
	}
	o := g.object(p, c.ID)
	class.ID, object.ID = c.ID, o.ID
	if class.Body, err = json.Marshal(c); err != nil {
		return Patch{}, Patch{}, fmt.Errorf("describe event %s: %w", p.Event.Slug, err)
	}
	said := any(o)
	if p.Void {
		said = map[string]string{"state": "INACTIVE"}
	}
	if object.Body, err = json.Marshal(said); err != nil {
		return Patch{}, Patch{}, fmt.Errorf("describe ticket %s: %w", p.Ticket, err)
	}
	return class, object, nil
}

// Assertion is what the service account shows to be given an access token, at the address that is its audience:
// https://developers.google.com/identity/protocols/oauth2/service-account.
func (g *Google) Assertion(audience string, now time.Time) (string, error) {
	claims, err := json.Marshal(map[string]any{
		"iss": g.email, "scope": googleScope, "aud": audience, "iat": now.Unix(), "exp": now.Add(assertionValid).Unix(),
	})
	if err != nil {
		return "", fmt.Errorf("describe the service account: %w", err)
	}
	token, err := g.sign(claims)
	if err != nil {
		return "", fmt.Errorf("sign for the service account: %w", err)
	}
	return token, nil
}
