package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"fairgate/edge"
)

const example = "../../../configs/edge.yaml"

func TestTheExampleFileShowsEveryKeyWithItsDefault(t *testing.T) {
	c, err := load(example)
	if err != nil {
		t.Fatal(err)
	}
	want := edge.DefaultConfig()
	want.PublicOrigins, want.TrustedProxies = []string{}, []string{}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("the file says\n%+v\nthe defaults are\n%+v", c, want)
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	raw, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys(reflect.TypeFor[edge.Config]()) {
		if !strings.Contains(string(raw), key+":") {
			t.Errorf("the key %s is not shown", key)
		}
	}
}

func keys(t reflect.Type) []string {
	var found []string
	for i := range t.NumField() {
		field := t.Field(i)
		found = append(found, field.Tag.Get("mapstructure"))
		if field.Type.Kind() == reflect.Struct {
			found = append(found, keys(field.Type)...)
		}
	}
	return found
}

func TestTheEnvironmentGoesBeforeTheFileAndTheFileBeforeTheDefaults(t *testing.T) {
	file := filepath.Join(t.TempDir(), "edge.yaml")
	if err := os.WriteFile(file, []byte("listen: 127.0.0.1:1\ncookies:\n  secure: false\njoin:\n  batch: 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("FAIRGATE_LISTEN", "127.0.0.1:2")
	t.Setenv("FAIRGATE_CORE_URLS", "http://a:1,http://b:2")
	t.Setenv("FAIRGATE_CORE_TIMEOUT", "3s")
	t.Setenv("FAIRGATE_GUARD_DEVICE_PER_SECOND", "4.5")
	t.Setenv("FAIRGATE_TRUSTED_PROXIES", "10.0.0.0/8,127.0.0.1")
	c, err := load(file)
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:2" || c.Cookies.Secure || c.Join.Batch != 7 || c.Join.Queue != edge.DefaultConfig().Join.Queue ||
		!reflect.DeepEqual(c.Core.URLs, []string{"http://a:1", "http://b:2"}) || c.Core.Timeout.String() != "3s" ||
		c.Guard.Device.PerSecond != 4.5 || len(c.TrustedProxies) != 2 {
		t.Errorf("%+v", c)
	}
}

func TestAMisspelledKeyIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "edge.yaml")
	if err := os.WriteFile(file, []byte("core:\n  secretfile: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := load(file); err == nil || !strings.Contains(err.Error(), "secretfile") {
		t.Errorf("%v", err)
	}
	if _, err := load(filepath.Join(t.TempDir(), "none.yaml")); err == nil || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("a missing file: %v", err)
	}
}
