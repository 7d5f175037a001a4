package wallet_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"image/png"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/text/encoding/unicode"

	"fairgate/core/ticket/wallet"
	"fairgate/core/ticket/wallet/wallettest"
)

func newApple(t testing.TB, a *wallettest.Authority) *wallet.Apple {
	t.Helper()
	apple, err := wallet.NewApple(appleConfig(a), throttle())
	if err != nil {
		t.Fatal(err)
	}
	return apple
}

// unpacked is every file of a pass.
func unpacked(t *testing.T, made []byte) map[string][]byte {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(made), int64(len(made)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, f := range r.File {
		opened, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := files[f.Name]; twice {
			t.Errorf("%s is there twice", f.Name)
		}
		if files[f.Name], err = io.ReadAll(opened); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func made(t *testing.T, apple *wallet.Apple, p wallet.Pass) map[string][]byte {
	t.Helper()
	b, err := apple.Make(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return unpacked(t, b)
}

// openssl runs OpenSSL, which has no part in making passes. It is needed: a machine without it has not tested them.
func openssl(t *testing.T, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatal("OpenSSL is missing: apt-get install openssl")
	}
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	return string(out), err
}

func TestOpenSSLVerifiesTheSignatureOfAPassAndItsTime(t *testing.T) {
	a := authorityNow(t)
	files := made(t, newApple(t, a), pass(t))
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	root, signature, manifest := write("root.pem", a.Root), write("signature", files["signature"]), write("manifest.json", files["manifest.json"])
	altered := write("altered.json", append(bytes.Clone(files["manifest.json"]), '\n'))
	stranger := write("stranger.pem", a.Certificate)
	// The chain from the pass type's certificate to the root has WWDR in between, which only the signature brings along.
	for _, verb := range []string{"smime", "cms"} {
		verify := func(content, ca string) (string, error) {
			return openssl(t, verb, "-verify", "-binary", "-inform", "DER", "-in", signature, "-content", content, "-CAfile", ca, "-no-CApath", "-purpose", "any", "-out", filepath.Join(dir, "out"))
		}
		if out, err := verify(manifest, root); err != nil || !strings.Contains(strings.ToLower(out), "verification successful") {
			t.Errorf("openssl %s: %v\n%s", verb, err, out)
		}
		if out, err := verify(altered, root); err == nil {
			t.Errorf("openssl %s takes another manifest: %s", verb, out)
		}
		if out, err := verify(manifest, stranger); err == nil {
			t.Errorf("openssl %s takes a root that is none: %s", verb, out)
		}
	}
	out, err := openssl(t, "cms", "-cmsout", "-print", "-inform", "DER", "-in", signature)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	time := regexp.MustCompile(`signingTime[^\n]*\n\s*set:\s*\n\s*UTCTIME:(\S.*)\n`).FindStringSubmatch(out)
	if time == nil || !strings.HasSuffix(time[1], "GMT") {
		t.Errorf("no signing time in\n%s", out)
	}
	for _, want := range []string{"sha256", "Test Worldwide Developer Relations CA", "pass.org.example.tickets", "eContent: <ABSENT>"} {
		if !strings.Contains(out, want) {
			t.Errorf("the signature does not have %q", want)
		}
	}
}

func TestTheManifestHasTheSumOfEveryFile(t *testing.T) {
	files := made(t, newApple(t, authorityNow(t)), pass(t))
	var sums map[string]string
	if err := json.Unmarshal(files["manifest.json"], &sums); err != nil {
		t.Fatal(err)
	}
	for name, b := range files {
		if name == "manifest.json" || name == "signature" {
			if _, ok := sums[name]; ok {
				t.Errorf("%s is listed", name)
			}
			continue
		}
		sum := sha1.Sum(b)
		if sums[name] != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: %q", name, sums[name])
		}
		delete(sums, name)
	}
	delete(sums, "manifest.json")
	if len(sums) > 0 {
		t.Errorf("listed and not there: %v", sums)
	}
	want := []string{"de.lproj/pass.strings", "en.lproj/pass.strings", "es.lproj/pass.strings", "icon.png", "icon@2x.png", "icon@3x.png",
		"logo.png", "logo@2x.png", "logo@3x.png", "manifest.json", "pass.json", "signature"}
	if names := slices.Sorted(maps.Keys(files)); !slices.Equal(names, want) {
		t.Errorf("files %q", names)
	}
}

func TestAPassSaysWhatATicketIsAndAGateReadsItsCode(t *testing.T) {
	apple := newApple(t, authorityNow(t))
	p := pass(t)
	files := made(t, apple, p)
	golden(t, "seat.json", files["pass.json"])
	var j struct {
		Barcodes []struct{ Message string }
	}
	if err := json.Unmarshal(files["pass.json"], &j); err != nil || len(j.Barcodes) != 1 {
		t.Fatalf("%+v, %v", j, err)
	}
	if c, err := atGate(false).Read(j.Barcodes[0].Message, time.Now()); err != nil || c.TicketID != p.Ticket || c.Epoch != p.Epoch {
		t.Errorf("at the gate: %+v, %v", c, err)
	}
	p.Seat, p.Tier, p.Page, p.Event.Place = "", "Floor, standing", "", nil
	golden(t, "standing.json", made(t, apple, p)["pass.json"])
	p.Void = true
	golden(t, "void.json", made(t, apple, p)["pass.json"])
}

func TestThePassOfACodeThatChangesHasNoBarcodeButAPage(t *testing.T) {
	apple := newApple(t, authorityNow(t))
	p := rotating(t)
	text := made(t, apple, p)["pass.json"]
	golden(t, "rotating.json", text)
	if bytes.Contains(text, []byte(p.Code)) || bytes.Contains(text, []byte(hex.EncodeToString(p.Seed))) {
		t.Error("the pass has the code or its seed")
	}
	p.Page = ""
	if _, err := apple.Make(t.Context(), p); !errors.Is(err, wallet.ErrUnavailable) {
		t.Errorf("without a page: %v", err)
	}
}

// entry is a line of a .strings file.
var entry = regexp.MustCompile(`^"((?:[^"\\]|\\.)*)" = "((?:[^"\\]|\\.)*)";$`)

// table reads a .strings file.
func table(t *testing.T, b []byte) map[string]string {
	t.Helper()
	text, err := unicode.UTF16(unicode.BigEndian, unicode.ExpectBOM).NewDecoder().Bytes(b)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for line := range strings.Lines(string(text)) {
		m := entry.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			t.Fatalf("line %q", line)
		}
		found[m[1]] = strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(m[2])
	}
	return found
}

func TestEveryWordOfOursIsThereInEveryLanguage(t *testing.T) {
	apple := newApple(t, authorityNow(t))
	used := regexp.MustCompile(`"(fairgate\.[a-z.]+)"`)
	p := rotating(t)
	p.Event.Name = `Überraschung; "Nacht" = \o/ 🎟`
	still := pass(t)
	still.Event.Name = p.Event.Name
	for _, p := range []wallet.Pass{p, still} {
		files := made(t, apple, p)
		var tables []map[string]string
		for _, language := range []string{"en", "es", "de"} {
			tables = append(tables, table(t, files[language+".lproj/pass.strings"]))
		}
		keys := used.FindAllStringSubmatch(string(files["pass.json"]), -1)
		if len(keys) < 10 {
			t.Fatalf("%d keys", len(keys))
		}
		for _, key := range keys {
			if tables[0][key[1]] == "" || tables[1][key[1]] == "" || tables[2][key[1]] == "" {
				t.Errorf("%s lacks a translation", key[1])
			}
		}
		for i, want := range []string{"Ticket for ", "Entrada para ", "Ticket für "} {
			if got := tables[i]["fairgate.description"]; got != want+p.Event.Name {
				t.Errorf("description %q", got)
			}
		}
		for key := range tables[0] {
			if !strings.HasPrefix(key, "fairgate.") || len(tables[0]) != len(tables[1]) || len(tables[0]) != len(tables[2]) {
				t.Errorf("key %q", key)
			}
		}
	}
}

func TestPicturesHaveTheSizesThatWalletAsksFor(t *testing.T) {
	files := made(t, newApple(t, authorityNow(t)), pass(t))
	for name, side := range map[string]int{"icon.png": 29, "icon@2x.png": 58, "icon@3x.png": 87, "logo.png": 50, "logo@2x.png": 100, "logo@3x.png": 150} {
		picture, err := png.Decode(bytes.NewReader(files[name]))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if b := picture.Bounds(); b.Dx() != side || b.Dy() != side {
			t.Errorf("%s is %v", name, b)
		}
		seen := map[uint32]bool{}
		for i := range side * side {
			_, _, _, alpha := picture.At(i%side, i/side).RGBA()
			seen[alpha] = true
		}
		if !seen[0] || !seen[0xffff] {
			t.Errorf("%s is empty, or full", name)
		}
	}
}

func TestTheSameTicketInTheSameSecondIsTheSamePass(t *testing.T) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // when the time of a bubble begins
	a := newAuthority(t, now.Add(-time.Hour), now.Add(time.Hour))
	synctest.Test(t, func(t *testing.T) {
		var before []byte
		for range 5 {
			b, err := newApple(t, a).Make(t.Context(), pass(t))
			if err != nil {
				t.Fatal(err)
			}
			if before != nil && !bytes.Equal(b, before) {
				t.Fatal("another pass")
			}
			before = b
		}
		time.Sleep(time.Second)
		b, err := newApple(t, a).Make(t.Context(), pass(t))
		if err != nil || bytes.Equal(b, before) {
			t.Errorf("a second later: the same pass, %v", err)
		}
	})
}

func TestAnExpiredCertificateMakesNoPasses(t *testing.T) {
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	a := newAuthority(t, now.Add(time.Hour), now.Add(2*time.Hour))
	synctest.Test(t, func(t *testing.T) {
		apple := newApple(t, a)
		for _, want := range []error{wallet.ErrUnavailable, nil, wallet.ErrUnavailable} {
			if _, err := apple.Make(t.Context(), pass(t)); !errors.Is(err, want) {
				t.Errorf("at %s: %v, want %v", time.Now(), err, want)
			}
			time.Sleep(80 * time.Minute)
		}
	})
}

func TestWhatDoesNotBelongTogetherIsRefusedAtTheStart(t *testing.T) {
	a := authorityNow(t)
	other := newAuthority(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	for want, change := range map[string]func(*wallet.AppleConfig){
		"another key":                 func(c *wallet.AppleConfig) { c.Key = other.Key },
		"not issued by the WWDR":      func(c *wallet.AppleConfig) { c.WWDR = other.WWDR },
		"for the pass type":           func(c *wallet.AppleConfig) { c.PassTypeID = "pass.org.example.other" },
		"of the team":                 func(c *wallet.AppleConfig) { c.TeamID = "OTHER" },
		"begins with pass.":           func(c *wallet.AppleConfig) { c.PassTypeID = "org.example.tickets" },
		"read the WWDR":               func(c *wallet.AppleConfig) { c.WWDR = []byte("none") },
		"read the key":                func(c *wallet.AppleConfig) { c.Key = a.Certificate },
		"read the certificate":        func(c *wallet.AppleConfig) { c.Certificate = a.Key },
		"the name of an organization": func(c *wallet.AppleConfig) { c.Organization = "" },
		"the key is encrypted; give it": func(c *wallet.AppleConfig) {
			c.Key = bytes.ReplaceAll(c.Key, []byte("PRIVATE"), []byte("ENCRYPTED PRIVATE"))
		},
	} {
		cfg := appleConfig(a)
		change(&cfg)
		if _, err := wallet.NewApple(cfg, throttle()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
