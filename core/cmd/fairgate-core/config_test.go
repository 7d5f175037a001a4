package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
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
