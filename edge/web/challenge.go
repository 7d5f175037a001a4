package web

import "strings"

// Door is what the page shows on which a browser is asked for something, or told that it was denied.
type Door struct {
	Event  string
	Denied bool
	// Appeal is what somebody who was denied can do; Reference what they should quote.
	Appeal, Reference string
	// Kind, Token and Bits are of the challenge that the page's script answers by itself.
	Kind, Token string
	Bits        int
	// Captcha is the provider whose widget is shown, "" for none, with its site key and what it is bound to.
	Captcha, SiteKey, Bound string
	// Sources is what the widget's script may be loaded from.
	Sources string
	// WaitToken is the challenge of who takes the way without script or sight, WaitSeconds how long that still is.
	WaitToken   string
	WaitSeconds int
	// SignIn is the page on which one signs in with an e-mail code, which is another way; "" where there is none.
	SignIn string
	Notice string // what went wrong before
}

// Door is the page as HTML, and the Content-Security-Policy that goes with it. Without script it is a form.
func (p *Pages) Door(l *Language, d Door) (page []byte, policy string, err error) {
	if page, err = p.write(l, "challenge", d); err != nil {
		return nil, "", err
	}
	policy = ContentSecurityPolicy
	if d.Captcha != "" {
		policy = strings.Replace(policy, "script-src 'self'", "script-src 'self' "+d.Sources, 1)
		policy = strings.Replace(policy, "style-src 'self'", "style-src 'self' "+d.Sources, 1)
		policy = strings.Replace(policy, "connect-src 'self'", "connect-src 'self' "+d.Sources, 1)
		policy += "; frame-src " + d.Sources
	}
	return page, policy, nil
}
