package edge

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"fairgate/edge/lottery"
)

// aDraw is the transcript of a sale of two windows, and the receipt of one who was in the first.
func aDraw(t *testing.T, slug string) (lottery.Transcript, lottery.Receipt, ed25519.PrivateKey) {
	t.Helper()
	event := lottery.EventID(slug)
	chain, err := lottery.NewChain(event, sha256.Sum256([]byte("secret")), 8)
	if err != nil {
		t.Fatal(err)
	}
	signer := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	began := time.Date(2027, 5, 1, 8, 0, 0, 123456000, time.UTC)
	transcript := lottery.Transcript{
		Event: slug, Generation: 1, Length: 8, BeaconName: "the lottery of Saturday", Keys: lottery.PublicKeys{{No: 1, Public: lottery.Hex32(signer.Public().(ed25519.PublicKey))}},
		Commitment: lottery.Commit(chain.Commitment(), "the lottery of Saturday"),
	}
	called := 0
	for window, size := range []int{41, 6} {
		var leaves []lottery.Leaf
		for i := range size {
			sum := sha256.Sum256(fmt.Append(nil, window, i))
			leaf := lottery.Leaf{Entrant: lottery.Entrant(sum[:16])}
			if i%5 == 4 {
				leaf.Band, leaf.Reason = 1, lottery.ReasonNetworkSurplus
			}
			leaves = append(leaves, leaf)
		}
		secret, err := chain.Secret(uint32(window))
		if err != nil {
			t.Fatal(err)
		}
		root, beacon := lottery.Root(leaves), lottery.Hex("7-13-21")
		seed := lottery.Seed(event, uint32(window), secret, root, beacon)
		transcript.Windows = append(transcript.Windows, lottery.SealedWindow{Window: uint32(window), Entrants: size, Leaves: leaves, Root: root, Secret: secret, Beacon: beacon, Seed: seed})
		for i, d := range lottery.Order(seed, uint32(window), leaves) {
			if i%10 != 9 {
				continue
			}
			called = i + 1
			at := began.Add(time.Duration(window*1000+i) * time.Second)
			transcript.Cursors = append(transcript.Cursors, lottery.CursorMove{Window: d.Window, Band: d.Band, Value: lottery.Fraction(d.Value), Called: called, At: at})
			transcript.Sessions = append(transcript.Sessions, lottery.Admission{Entrant: d.Entrant, Window: d.Window, Band: d.Band, Value: lottery.Fraction(d.Value), IssuedAt: at.Add(time.Microsecond)})
		}
	}
	return transcript, lottery.Receipt{Event: event, Entrant: transcript.Windows[0].Leaves[4].Entrant, Generation: 1, Band: 1, Reason: lottery.ReasonNetworkSurplus, KeyNo: 1, AcknowledgedAt: began}, signer
}

func TestABrowserFindsWhatIsWrongWithADraw(t *testing.T) {
	ctx, said := startBrowser(t)
	world := newWorld(t)
	var shown atomic.Pointer[lottery.Transcript]
	shop := http.NewServeMux()
	for _, path := range []string{"", "/1"} {
		shop.HandleFunc("GET /v1/events/arena/transcript"+path, func(w http.ResponseWriter, _ *http.Request) { fakeJSON(w, 200, shown.Load()) })
	}
	world.shop = shop
	world.addEvent("arena", time.Hour)
	n := startNode(t, testConfig(t, world.start())).ready("arena")
	if err := chromedp.Do(ctx, chromedp.Navigate("http://"+n.Addr().String()+"/e/arena/draw"), chromedp.WaitVisible("#check button")); err != nil {
		t.Fatal(err)
	}
	checked := func(name string, change func(*lottery.Transcript, *lottery.Receipt) (altered bool)) string {
		t.Helper()
		transcript, receipt, signer := aDraw(t, "arena")
		altered := change(&transcript, &receipt)
		signed := receipt.Sign(signer)
		if altered {
			signed[len(signed)-1] ^= 1
		}
		if verdict := transcript.Verify(lottery.Evidence{Receipts: [][]byte{signed}}); verdict.OK() != (name == "nothing") {
			t.Fatalf("%s: ticketctl's verifier says %+v", name, verdict)
		}
		shown.Store(&transcript)
		script := fmt.Sprintf(`document.getElementById('receipt').value = '%s'; document.getElementById('result').replaceChildren(); document.querySelector('#check button').click(); ''`, base64.RawURLEncoding.EncodeToString(signed))
		if err := chromedp.Do(ctx, runs(script), chromedp.WaitVisible("#result .notice")); err != nil {
			text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body.innerText`))
			t.Fatalf("%s: %v: %s", name, err, text)
		}
		text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.getElementById('result').innerText + [...document.querySelectorAll('#checks .no')].map((n) => '|' + n.innerText).join('')`))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	order := func(transcript lottery.Transcript, e lottery.Entrant) int {
		for i, d := range lottery.Order(transcript.Windows[0].Seed, 0, transcript.Windows[0].Leaves) {
			if d.Entrant == e {
				return i + 1
			}
		}
		return 0
	}
	transcript, receipt, _ := aDraw(t, "arena")
	if got := checked("nothing", func(*lottery.Transcript, *lottery.Receipt) bool { return false }); !strings.Contains(got, "Everything agrees.") ||
		!strings.Contains(got, fmt.Sprintf("Your place was %d of 47", order(transcript, receipt.Entrant))) || strings.Contains(got, "|") {
		t.Errorf("an honest draw: %s", got)
	}
	look(ctx, t, "draw")
	// What this browser saw published while it waited, and what was published in the end.
	kept := func(generation int, commitment lottery.Hex32, roots ...lottery.Hex32) string {
		text := fmt.Sprintf(`localStorage.setItem('fairgate:arena', JSON.stringify({ seen: { generation: %d, commitment: '%s', roots: {} } }));`, generation, commitment)
		for i, root := range roots {
			text += fmt.Sprintf(`(() => { const all = JSON.parse(localStorage['fairgate:arena']); all.seen.roots[%d] = '%s'; localStorage['fairgate:arena'] = JSON.stringify(all); })();`, i, root)
		}
		return text + `''`
	}
	changed := transcript.Windows[1].Root
	changed[0] ^= 1
	for _, c := range []struct{ name, kept, good, says string }{
		{"as it was seen", kept(1, transcript.Commitment, transcript.Windows[0].Root, transcript.Windows[1].Root), "Everything agrees.", "ok"},
		{"with a window to come", kept(1, transcript.Commitment, transcript.Windows[0].Root, transcript.Windows[1].Root, changed), "Everything agrees.", "ok"},
		{"another list than was seen", kept(1, transcript.Commitment, transcript.Windows[0].Root, changed), "Something does not agree", "no"},
		{"another commitment than was seen", kept(1, changed, transcript.Windows[0].Root), "Something does not agree", "no"},
		{"what was seen of another sale", kept(2, changed, changed), "Everything agrees.", "unsaid"},
	} {
		if err := chromedp.Do(ctx, runs(c.kept), chromedp.Reload(), chromedp.WaitVisible("#check button")); err != nil {
			t.Fatal(err)
		}
		got := checked("nothing", func(*lottery.Transcript, *lottery.Receipt) bool { return false })
		class := asks[string](ctx, t, `[...document.querySelectorAll('#checks li')].find((n) => n.innerText.includes('this browser saw')).className`)
		if !strings.Contains(got, c.good) || class != c.says {
			t.Errorf("%s: %q, and what was seen is %q", c.name, got, class)
		}
	}
	if err := chromedp.Do(ctx, runs(`(localStorage.clear(), '')`), chromedp.Reload(), chromedp.WaitVisible("#check button")); err != nil {
		t.Fatal(err)
	}
	for _, cheat := range []struct {
		name, finds string
		change      func(*lottery.Transcript, *lottery.Receipt) bool
	}{
		{"a swapped seed", "The seeds of", func(tr *lottery.Transcript, _ *lottery.Receipt) bool { tr.Windows[0].Seed[3] ^= 1; return false }},
		{"another secret", "The secrets of", func(tr *lottery.Transcript, _ *lottery.Receipt) bool { tr.Windows[1].Secret[3] ^= 1; return false }},
		{"another beacon", "The secrets of", func(tr *lottery.Transcript, _ *lottery.Receipt) bool { tr.BeaconName += "!"; return false }},
		{"an inserted entrant", "The list of", func(tr *lottery.Transcript, _ *lottery.Receipt) bool {
			tr.Windows[0].Leaves, tr.Windows[0].Entrants = append(tr.Windows[0].Leaves, lottery.Leaf{Entrant: lottery.Entrant{1}}), 42
			return false
		}},
		{"a removed entrant", "You are in the sealed list", func(tr *lottery.Transcript, _ *lottery.Receipt) bool {
			tr.Windows[0].Leaves = append(tr.Windows[0].Leaves[:4:4], tr.Windows[0].Leaves[5:]...)
			tr.Windows[0].Entrants--
			return false
		}},
		{"a demotion", "You are in the sealed list", func(tr *lottery.Transcript, r *lottery.Receipt) bool {
			r.Band, r.Reason = 0, lottery.ReasonNone
			return false
		}},
		{"an altered receipt", "was signed by the sales system", func(*lottery.Transcript, *lottery.Receipt) bool { return true }},
		{"admission out of order", "people were let in", func(tr *lottery.Transcript, _ *lottery.Receipt) bool {
			tr.Sessions[1].IssuedAt = tr.Sessions[0].IssuedAt
			return false
		}},
		{"a window that is missing", "The secrets of", func(tr *lottery.Transcript, _ *lottery.Receipt) bool {
			tr.Windows[1].Window = 2
			return false
		}},
	} {
		if got := checked(cheat.name, cheat.change); !strings.Contains(got, "Something does not agree") || !strings.Contains(got, cheat.finds) {
			t.Errorf("%s: %q", cheat.name, got)
		}
	}
	said.mu.Lock()
	defer said.mu.Unlock()
	for _, text := range said.list {
		t.Errorf("the browser complains: %s", text)
	}
}
