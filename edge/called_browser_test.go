package edge

import (
	"fmt"
	"strings"
	"testing"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// hearScript notes in window.heard what calls a buyer: notifications, as the browser was asked for them, and tones.
const hearScript = `(() => {
  window.heard = [];
  const Real = window.Notification;
  window.Notification = class extends Real { constructor(title, more) { super(title, more); window.heard.push('note ' + title + ' | ' + more.body); } };
  const make = AudioContext.prototype.createOscillator;
  AudioContext.prototype.createOscillator = function () { window.heard.push('tone'); return make.call(this); };
  window.away = false;
  Object.defineProperty(document, 'visibilityState', { get: () => (window.away ? 'hidden' : 'visible') });
})()`

func TestWhoWantsToIsCalledByNotificationAndSound(t *testing.T) {
	for _, allowed := range []bool{true, false} {
		t.Run(fmt.Sprint("allowed ", allowed), func(t *testing.T) {
			chromium, _ := startBrowser(t)
			v := newViewer(t, chromium).before(newEvening())
			setting := cdpbrowser.PermissionSettingGranted
			if !allowed {
				setting = cdpbrowser.PermissionSettingDenied
			}
			if _, err := chromedp.CallBrowser(v.ctx, cdpbrowser.SetPermission, cdpbrowser.SetPermissionParams{Permission: &cdpbrowser.PermissionDescriptor{Name: "notifications"}, Setting: setting, Origin: v.base,
				BrowserContextID: chromedp.FromContext(v.ctx).BrowserContextID}); err != nil {
				t.Fatal(err)
			}
			if _, err := chromedp.Call(v.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: hearScript}); err != nil {
				t.Fatal(err)
			}
			v.waits()
			v.goes("/e/arena", ".gateway")
			heard := func() string { return strings.Join(asks[[]string](v.ctx, t, `window.heard`), ", ") }
			v.does("tell me", chromedp.Click("#view > section.card .actions button"))
			eventually(t, "the button says that it is so", func() bool {
				return asks[bool](v.ctx, t, `document.querySelector('#view > section.card .actions button').disabled`)
			})
			if got := heard(); got != "tone" { // so that one knows how it sounds
				t.Errorf("after asking there was %q", got)
			}
			v.does("look elsewhere", runs(`(window.away = true, '')`))
			v.world.open("arena", everybody)
			want := "tone, tone, tone, tone"
			if allowed {
				want = "tone, note It is your turn | Midsummer Night at the Arena, tone, tone, tone"
			}
			eventually(t, "it calls", func() bool { return strings.Count(heard(), "tone") == 4 })
			if got := heard(); got != want {
				t.Errorf("called by %q, want %q", got, want)
			}
			v.does("the shop", chromedp.WaitVisible(".buybar"))
			if got := heard(); got != want {
				t.Errorf("called again: %q", got)
			}
		})
	}
}
