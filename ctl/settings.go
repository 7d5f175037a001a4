package ctl

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/viper"
)

// Keys of the settings, in flags with a dash, in the environment as FAIRGATE_CTL_….
const (
	keyCore       = "core"
	keySecretFile = "secret_file"
	keyTimeout    = "timeout"
	keyDatabase   = "database"
	keyOperator   = "operator"
)

const (
	defaultCore = "http://127.0.0.1:7002"
	// defaultSecret is where core puts the admin secret when it is started in the same folder without other settings.
	defaultSecret  = "var/secrets/admin.secret"
	defaultTimeout = time.Minute // verifying a large ledger takes a while
)

// addSettings adds the flags that all commands have and binds flags, environment and defaults together.
func (t *tool) addSettings(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.String("core", defaultCore, "address of core's admin listener")
	flags.String("secret-file", "", "file with the admin secret (default "+defaultSecret+", if there)")
	flags.Duration("timeout", defaultTimeout, "longest wait for an answer")
	flags.String("operator", "", "your name in core's audit trails (default the user of this computer)")
	flags.String("config", "", "settings file (default ~/.config/fairgate/ctl.yaml, if there)")
	flags.Bool("json", false, "print JSON")
	for key, flag := range map[string]string{keyCore: "core", keySecretFile: "secret-file", keyTimeout: "timeout", keyOperator: "operator"} {
		if err := t.settings.BindPFlag(key, flags.Lookup(flag)); err != nil {
			panic(err) // the flags stand above
		}
	}
	t.settings.SetEnvPrefix("FAIRGATE_CTL")
	t.settings.AutomaticEnv()
}

// settingsFile is the default path; empty where there is no home.
func settingsFile() string {
	base := os.Getenv("XDG_CONFIG_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		base = filepath.Join(home, ".config")
	}
	return filepath.Join(base, "fairgate", "ctl.yaml")
}

// load reads the settings file. A default one may be missing, one that was named may not.
func (t *tool) load(cmd *cobra.Command) error {
	named, err := cmd.Flags().GetString("config")
	if err != nil {
		return fmt.Errorf("read the flags: %w", err)
	}
	if named == "" {
		named = os.Getenv("FAIRGATE_CTL_CONFIG")
	}
	file := named
	if file == "" {
		file = settingsFile()
	}
	if file == "" {
		return nil
	}
	t.settings.SetConfigFile(file)
	t.settings.SetConfigType("yaml")
	err = t.settings.ReadInConfig()
	var parse viper.ConfigParseError
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist) && named == "":
		return nil
	case errors.As(err, &parse):
		return usagef("settings file %s: %w", file, err)
	default:
		return usagef("settings file: %w", err)
	}
	known := map[string]bool{keyCore: true, keySecretFile: true, keyTimeout: true, keyDatabase: true, keyOperator: true}
	for _, key := range t.settings.AllKeys() {
		if t.settings.InConfig(key) && !known[key] {
			return usagef("settings file %s: there is no setting %q; there are core, secret_file, timeout, operator and database", file, key)
		}
	}
	return nil
}

// client makes the client that the settings describe.
func (t *tool) client(cmd *cobra.Command) (*client, error) {
	if err := t.load(cmd); err != nil {
		return nil, err
	}
	timeout := t.settings.GetDuration(keyTimeout)
	if timeout <= 0 {
		return nil, usagef("timeout: %q is not a duration such as 30s", t.settings.GetString(keyTimeout))
	}
	secret, err := readSecret(t.settings.GetString(keySecretFile))
	if err != nil {
		return nil, err
	}
	c, err := newClient(t.settings.GetString(keyCore), secret, timeout)
	if err != nil {
		return nil, err
	}
	c.operator = cmp.Or(t.settings.GetString(keyOperator), userName())
	return c, nil
}

// userName is who uses this computer, as far as it knows.
func userName() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return u.Username
}

// readSecret reads the bearer secret. Without a file there is none, and core says so if it wants one.
func readSecret(file string) (string, error) {
	text, err := os.ReadFile(cmp.Or(file, defaultSecret))
	if file == "" && errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", usagef("secret file: %w", err)
	}
	secret := strings.TrimSpace(string(text))
	if secret == "" || strings.ContainsAny(secret, " \t\r\n") {
		return "", usagef("secret file %s: want one line with the secret", cmp.Or(file, defaultSecret))
	}
	return secret, nil
}
