package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/viper"

	"fairgate/loadtest/paysim"
)

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "paysim.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// loaded is what the flags, the variables and a file come to.
func loaded(t *testing.T, file string, args ...string) (settings, error) {
	t.Helper()
	v := viper.New()
	cmd := command(io.Discard, io.Discard)
	cmd.ResetFlags()
	define(cmd, v)
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	return load(v, file)
}

func TestFlagsWinOverVariablesAndVariablesOverTheFile(t *testing.T) {
	file := write(t, "listen: 127.0.0.1:1\nseed: 2\nrate: 300\nwebhook_workers: 4\nfaults:\n  webhook_twice: 0.1\n  slow_for: 3s\n")
	t.Setenv("FAIRGATE_PAYSIM_RATE", "400")
	t.Setenv("FAIRGATE_PAYSIM_FAULTS_WEBHOOK_TWICE", "0.2")
	cfg, err := loaded(t, file, "--webhook-twice", "0.3", "--webhook-secret", "whsec_flag")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Listen != "127.0.0.1:1" || cfg.Seed != 2 || cfg.Rate != 400 || cfg.WebhookWorkers != 4 || cfg.Faults.WebhookTwice != 0.3 ||
		cfg.Faults.SlowFor != 3*time.Second || cfg.WebhookSecret != "whsec_flag" || cfg.SecretKey != "sk_test_paysim" {
		t.Errorf("loaded %+v", cfg)
	}
}

func TestMisbehaveSetsEveryFault(t *testing.T) {
	cfg, err := loaded(t, "", "--misbehave", "0.25")
	if err != nil {
		t.Fatal(err)
	}
	f := cfg.Faults
	if f.AnswerLost != 0.25 || f.WebhookTwice != 0.25 || f.WebhookEarly != 0.25 || f.CaptureRefused != 0.25 || f.WebhookLost != 0.25 || f.ConnectionCut != 0.25 {
		t.Errorf("faults %+v", f)
	}
	if _, err := loaded(t, "", "--misbehave", "2"); !errors.Is(err, paysim.ErrConfig) {
		t.Errorf("misbehave 2: %v", err)
	}
}

func TestABadFileIsRefused(t *testing.T) {
	for name, file := range map[string]string{
		"unknown key": write(t, "listne: 127.0.0.1:0\n"),
		"no YAML":     write(t, "listen: [\n"),
		"not there":   filepath.Join(t.TempDir(), "nothing.yaml"),
	} {
		if _, err := loaded(t, file); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestHelpShowsExamples(t *testing.T) {
	var out bytes.Buffer
	cmd := command(&out, &out)
	cmd.SetArgs([]string{"--help"})
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"Examples:", "--webhook-url", "_paysim/books", "FAIRGATE_PAYSIM_"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("the help lacks %q", part)
		}
	}
}

func TestItServesUntilItIsToldToStop(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	read, written := io.Pipe()
	var logged bytes.Buffer
	ended := make(chan error, 1)
	go func() {
		cmd := command(written, &logged)
		cmd.SetArgs([]string{"--listen", "127.0.0.1:0"})
		ended <- cmd.ExecuteContext(ctx)
	}()
	line, err := bufio.NewReader(read).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	base, ok := strings.CutPrefix(strings.TrimSpace(line), "listening ")
	if !ok {
		t.Fatalf("it says %q", line)
	}
	resp, err := http.Get(base + "/_paysim/health")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	stop()
	select {
	case err := <-ended:
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("status %d, ended with %v", resp.StatusCode, err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it does not stop")
	}
	if strings.Contains(logged.String(), "sk_test_paysim") || strings.Contains(logged.String(), "whsec_") {
		t.Errorf("a secret is logged: %s", logged.String())
	}
}

func TestAPortInUseIsAnError(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cmd := command(io.Discard, io.Discard)
	cmd.SetArgs([]string{"--listen", taken.Addr().String()})
	if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "listen") {
		t.Errorf("it says %v", err)
	}
}
