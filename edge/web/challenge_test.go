package web

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

func TestThePageOfAChallengeIsAFormWithoutScript(t *testing.T) {
	p := pages(t)
	for name, d := range map[string]Door{
		"work":    {Event: "arena", Kind: "work", Token: "tok", Bits: 15, WaitToken: "wait", WaitSeconds: 45, SignIn: "/account"},
		"captcha": {Event: "arena", Kind: "captcha", Token: "tok", Captcha: "turnstile", SiteKey: "s", Bound: "b", Sources: "https://challenges.cloudflare.com", WaitToken: "wait"},
		"denied":  {Event: "arena", Denied: true, Reference: "00ff", Appeal: `<script>alert(1)</script>`},
	} {
		body, policy, err := p.Door(p.Language("en"), d)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if inline := regexp.MustCompile(`(?i)<script>|<style|\son[a-z]+\s*=|\sstyle\s*=|javascript:`).Find(body); inline != nil {
			t.Errorf("%s has %q", name, inline)
		}
		forms := bytes.Count(body, []byte(`<form method="post" action="/q/arena/challenge">`))
		switch {
		case d.Denied && (forms != 0 || !bytes.Contains(body, []byte("00ff"))):
			t.Errorf("%s: %s", name, body)
		case !d.Denied && (forms == 0 || !bytes.Contains(body, []byte(`value="wait"`))):
			t.Errorf("%s has no way without script: %s", name, body)
		}
		if strings.Contains(policy, "cloudflare") != (d.Captcha != "") {
			t.Errorf("%s: policy %s", name, policy)
		}
		for _, link := range regexp.MustCompile(`(?:src|href)="(/static/[^"]+)"`).FindAllSubmatch(body, -1) {
			if p.Find(link[1]) == nil {
				t.Errorf("%s links to %s, which is not there", name, link[1])
			}
		}
	}
}
