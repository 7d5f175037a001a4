package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"fairgate/core/payment"
)

func complete(t *testing.T) {
	t.Setenv("FAIRGATE_PAYMENT_STRIPE_SECRET_KEY", "sk")
	t.Setenv("FAIRGATE_PAYMENT_STRIPE_PUBLISHABLE_KEY", "pk")
	t.Setenv("FAIRGATE_PAYMENT_STRIPE_WEBHOOK_SECRET", "whsec")
}

func TestTheShippedFileSaysTheDefaults(t *testing.T) {
	complete(t)
	file, err := loadConfig("../../../configs/core.yaml")
	if err != nil {
		t.Fatal(err)
	}
	none, err := loadConfig("")
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(file, none) {
		t.Errorf("configs/core.yaml gives\n%+v\nthe defaults are\n%+v", file, none)
	}
}

func TestEveryProblemOfTheConfigurationIsReportedAtOnce(t *testing.T) {
	t.Setenv("FAIRGATE_LISTEN_EDGE", "nowhere")
	t.Setenv("FAIRGATE_INVENTORY_LANES", "0")
	t.Setenv("FAIRGATE_ACCESS_LEASE_TTL", "1ms")
	t.Setenv("FAIRGATE_LOG_LEVEL", "loud")
	_, err := loadConfig("")
	if err == nil {
		t.Fatal("accepted")
	}
	for _, key := range []string{"listen.edge", "inventory.lanes", "access.lease_ttl", "log.level", "payment.stripe.secret_key", "payment.stripe.webhook_secret"} {
		if !strings.Contains(err.Error(), key) {
			t.Errorf("%s is not mentioned in:\n%v", key, err)
		}
	}
}

func TestWithoutAnyProviderCoreSaysSo(t *testing.T) {
	_, err := loadConfig("")
	if err == nil || !strings.Contains(err.Error(), "no provider is configured") {
		t.Errorf("got %v", err)
	}
}

func TestAnAccountThatIsHalfConfiguredIsRefused(t *testing.T) {
	t.Setenv("FAIRGATE_PAYMENT_STRIPE_SECRET_KEY", "sk")
	_, err := loadConfig("")
	if err == nil {
		t.Fatal("accepted")
	}
	for _, key := range []string{"payment.stripe.publishable_key", "payment.stripe.webhook_secret"} {
		if !strings.Contains(err.Error(), key) {
			t.Errorf("%s is not mentioned in:\n%v", key, err)
		}
	}
}

func TestRoutesAreReadFromTheFileAndFromTheEnvironment(t *testing.T) {
	complete(t)
	path := filepath.Join(t.TempDir(), "core.yaml")
	file := "payment:\n  routes:\n    - currencies: [EUR]\n      providers:\n        - {provider: stripe, cost: {percent: 1.5, fixed_minor: 25}}\n"
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	want := payment.Route{Currencies: []string{"EUR"}, Providers: []payment.Choice{{Provider: "stripe", HasCost: true, Percent: 15_000, FixedMinor: 25}}}
	check := func(what, path string, want payment.Route) {
		t.Helper()
		cfg, err := loadConfig(path)
		if err != nil {
			t.Fatal(err)
		}
		routes, err := cfg.Payment.routes()
		if err != nil || len(routes) != 1 || !reflect.DeepEqual(routes[0], want) {
			t.Errorf("%s gives %+v, %v", what, routes, err)
		}
	}
	check("the file", path, want)
	t.Setenv("FAIRGATE_PAYMENT_ROUTES", `[{"currencies": ["USD"], "methods": ["card"], "providers": [{"provider": "stripe"}]}]`)
	check("the environment", path, payment.Route{Currencies: []string{"USD"}, Methods: []string{"card"}, Providers: []payment.Choice{{Provider: "stripe"}}})
	for _, wrong := range []string{`{"currencies"`, `[{"providers": [{"provider": "square"}]}]`, `[{"providers": [{"provider": "stripe", "cost": {"percent": "1.23456"}}]}]`} {
		t.Setenv("FAIRGATE_PAYMENT_ROUTES", wrong)
		if _, err := loadConfig(path); err == nil || !strings.Contains(err.Error(), "payment") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

func TestAnUnknownKeyIsRefused(t *testing.T) {
	complete(t)
	path := filepath.Join(t.TempDir(), "core.yaml")
	if err := os.WriteFile(path, []byte("inventory:\n  lane: 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadConfig(path); err == nil || !strings.Contains(err.Error(), "lane") {
		t.Errorf("got %v", err)
	}
}

func TestSecretsAreMadeOnceAndKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "secrets")
	found := make([]string, 16)
	var wg sync.WaitGroup
	for i := range found {
		wg.Go(func() {
			s, err := secret(dir, "edge")
			if err != nil {
				t.Error(err)
			}
			found[i] = s
		})
	}
	wg.Wait()
	for _, s := range found {
		if s != found[0] || len(s) < minSecret {
			t.Fatalf("cores that start together have the secrets %q and %q", found[0], s)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "edge.secret"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(filepath.Join(dir, "admin.secret"), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := secret(dir, "admin"); err == nil {
		t.Error("a secret of five characters was accepted")
	}
}
