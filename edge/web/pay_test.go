package web

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"
)

const payOrder = `{"id":"0b6d1a52-3f8e-5f0e-9d3b-5a6c1f3f7a10","event":"arena","state":"payment_pending","amount":{"minor":13950,"currency":"EUR"},
"deadline":"2027-06-01T10:05:00.000Z","server_time":"2027-06-01T10:00:00.000Z",
"lines":[{"tier":"<b>floor","seat":"","face":{"minor":6000,"currency":"EUR"},"fee":{"minor":975,"currency":"EUR"},"tax":{"minor":0,"currency":"EUR"}}],
"payment":{"attempt":2,"state":"begun","failure":"","form":"FORM","publishable_key":"pk_test_1","client_secret":"pi_1_secret_2","pay_url":"URL"}}`

func paying(form, url string) []byte {
	return []byte(strings.NewReplacer("FORM", form, "URL", url).Replace(payOrder))
}

func TestAPaymentPageLetsInTheFormOfItsProviderAndNothingElse(t *testing.T) {
	p := pages(t)
	const others = "default-src 'none'; style-src 'self'; img-src 'self' blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
	for name, c := range map[string]struct{ form, url, want string }{
		"Stripe's own": {"stripe_elements", "", others + "script-src 'self' https://js.stripe.com https://*.js.stripe.com; " +
			"connect-src 'self' https://api.stripe.com; frame-src https://js.stripe.com https://*.js.stripe.com https://hooks.stripe.com"},
		"a page in a frame": {"frame", "http://127.0.0.1:7020/pay/pi_1?client_secret=x", others + "script-src 'self'; connect-src 'self'; frame-src http://127.0.0.1:7020"},
	} {
		page, policy, err := p.Pay(p.Language("en"), "arena", paying(c.form, c.url), nil)
		if err != nil {
			t.Fatal(err)
		}
		got, want := directives(policy), directives(c.want)
		for name := range got {
			if got[name] != want[name] {
				t.Errorf("%s: %s %q, want %q", name, name, got[name], want[name])
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: the policy is %q", name, policy)
		}
		text := string(page)
		for _, part := range []string{"€69.75", "€139.50", "&lt;b&gt;floor", `data-kind="` + c.form + `"`, `data-attempt="2"`, `<noscript>`, `lang="en"`, `role="alert" hidden`} {
			if !strings.Contains(text, part) {
				t.Errorf("%s: the page lacks %q", name, part)
			}
		}
		if link := strings.Contains(text, `<a class="button" rel="noreferrer" href="http://127.0.0.1:7020/pay/pi_1?client_secret=x">`); link != (c.url != "") {
			t.Errorf("%s: there is a link for a person without JavaScript: %v", name, link)
		}
		if found := regexp.MustCompile(`(?i)<script>|<style|\son[a-z]+\s*=|\sstyle\s*=|<script[^>]+https?:|<b>`).FindString(text); found != "" {
			t.Errorf("%s: the page has %q", name, found)
		}
	}
	declined := bytes.Replace(paying("stripe_elements", ""), []byte(`"failure":""`), []byte(`"failure":"card_declined"`), 1)
	if page, _, err := p.Pay(p.Language("en"), "arena", bytes.Replace(declined, []byte("payment_pending"), []byte("payment_failed"), 1), nil); err != nil ||
		!bytes.Contains(page, []byte("Your tickets are still held")) {
		t.Errorf("a declined order cannot be paid with another card: %v", err)
	}
}

func TestPagesOfAnOrderSayWhatItIsOf(t *testing.T) {
	p := pages(t)
	about := []byte(`{"name":"Night <b>","starts_at":"2027-06-12T19:00:00.000Z","time_zone":"Europe/Madrid","venue":{"name":"Arena","city":"Valencia"},"tiers":[{"id":"<b>floor","name":"Standing"}]}`)
	order := bytes.Replace(paying("frame", "http://127.0.0.1:7020/pay/pi_1"), []byte(`"seat":""`), []byte(`"seat":"102/A/7"`), 1)
	paper, _, err := p.Pay(p.Language("en"), "arena", order, about)
	if err != nil {
		t.Fatal(err)
	}
	for _, returned := range []bool{false, true} {
		page, again, err := p.Order(p.Language("en"), "arena", order, about, "http://127.0.0.1/e/arena/order/1", returned)
		if err != nil {
			t.Fatal(err)
		}
		for name, page := range map[string]string{"to pay on": string(paper), "without script": string(page)} {
			for _, part := range []string{"Night &lt;b&gt;", "Sat 12 June 2027, 21:00", "Arena, Valencia", "Standing", "102 · A · 7"} {
				if !strings.Contains(page, part) {
					t.Errorf("the page %s lacks %q", name, part)
				}
			}
		}
		if want := map[bool]time.Duration{true: soon, false: 5*time.Minute + time.Second}[returned]; again != want || strings.Contains(string(page), "One moment") != returned ||
			strings.Contains(string(page), "Pay by Tue 1 June 2027, 12:05") == returned {
			t.Errorf("back from the provider %v: looked at again after %s\n%s", returned, again, page)
		}
	}
}

func TestWhoHasNoScriptIsToldHowToPayByHand(t *testing.T) {
	p := pages(t)
	for method, want := range map[string][]string{
		"bank_transfer": {"Pay by bank transfer", "PT50 0002, &lt;b&gt;Club", "RF18 5390 0754 7034", "€139.50", "1 June 2027, 10:05 UTC"},
		"box_office":    {"Pay at the box office", "RF18 5390 0754 7034", "€139.50"},
	} {
		body := bytes.Replace(paying("instructions", ""), []byte(`"failure":""`), []byte(`"failure":"","method":"`+method+`","pay_to":"PT50 0002, <b>Club","provider_ref":"RF18539007547034"`), 1)
		page, policy, err := p.Pay(p.Language("en"), "arena", body, nil)
		if err != nil || policy != ContentSecurityPolicy {
			t.Fatalf("%s: %q, %v", method, policy, err)
		}
		for _, part := range want {
			if !strings.Contains(string(page), part) {
				t.Errorf("%s: the page lacks %q", method, part)
			}
		}
		if office := method == "box_office"; strings.Contains(string(page), "PT50") == office || strings.Contains(shown(page), "card details") {
			t.Errorf("%s: the page says what is not so:\n%s", method, page)
		}
	}
}

func directives(policy string) map[string]string {
	all := map[string]string{}
	for directive := range strings.SplitSeq(policy, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), " ")
		all[name] = value
	}
	return all
}

func TestWhatIsNotToBePaidHereHasNoPaymentPage(t *testing.T) {
	p := pages(t)
	for name, body := range map[string][]byte{
		"paid":                       bytes.Replace(paying("frame", "http://x/"), []byte("payment_pending"), []byte("ticket_issued"), 1),
		"over":                       bytes.Replace(paying("frame", "http://x/"), []byte("payment_pending"), []byte("expired"), 1),
		"of another event":           bytes.Replace(paying("frame", "http://x/"), []byte(`"arena"`), []byte(`"other"`), 1),
		"not begun":                  paying("", ""),
		"paid by going elsewhere":    paying("redirect", "http://x/"),
		"paid by bank transfer":      paying("instructions", ""),
		"a frame of nothing":         paying("frame", ""),
		"a frame of a script":        paying("frame", "javascript:alert(1)"),
		"a frame that opens more":    paying("frame", "http://x;script-src *"),
		"a frame with two addresses": paying("frame", "http://x,y/"),
	} {
		if _, policy, err := p.Pay(p.Language("en"), "arena", body, nil); !errors.Is(err, ErrNothingToPay) || policy != "" {
			t.Errorf("%s: %q, %v", name, policy, err)
		}
	}
	if _, _, err := p.Pay(p.Language("en"), "arena", []byte(`{`), nil); err == nil || errors.Is(err, ErrNothingToPay) {
		t.Errorf("half an answer: %v", err)
	}
}

func TestWhyAPaymentFailedIsSaidInASentenceAndNeverAsACode(t *testing.T) {
	p := pages(t)
	for code, want := range map[string]string{
		"card_declined/insufficient_funds":      "There is not enough money on the card. Your tickets are still held",
		"card_declined/lost_card":               "The card was declined.",
		"incorrect_number":                      "The card number is wrong.",
		"payment_intent_authentication_failure": "The bank could not confirm that it is you.",
		"some_new_code":                         "The payment did not go through.",
	} {
		body := bytes.Replace(paying("stripe_elements", ""), []byte(`"failure":""`), []byte(`"failure":"`+code+`"`), 1)
		page, _, err := p.Pay(p.Language("en"), "arena", body, nil)
		if err != nil || !bytes.Contains(page, []byte(want)) || strings.Contains(shown(page), code) {
			t.Errorf("%s: %v\n%s", code, err, page)
		}
	}
}

// shown is what is in a page's body: not the words that its script is given.
func shown(page []byte) string {
	_, body, _ := strings.Cut(string(page), "</head>")
	return body
}

func TestALineIsCalledAsItsTierIs(t *testing.T) {
	p := pages(t)
	known := []byte(`{"tiers":[{"id":"<b>floor","name":"Floor, <b>standing</b>"}]}`)
	for want, known := range map[string][]byte{"Floor, &lt;b&gt;standing": known, "<span>&lt;b&gt;floor": nil} {
		page, _, err := p.Pay(p.Language("en"), "arena", paying("frame", "https://pay.example/1"), known)
		if err != nil || !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q: %v %s", want, err, page)
		}
	}
}
