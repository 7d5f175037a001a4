package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// minSecret is the fewest characters of a secret that is believed: 128 bits in base32.
const minSecret = 26

// secret reads dir/name.secret, or makes it at the first start. Two cores starting at once end up with the same one: the
// file appears whole, and the first to put it there wins.
func secret(dir, name string) (string, error) {
	path := filepath.Join(dir, name+".secret")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := writeSecret(dir, path); err != nil {
			return "", fmt.Errorf("make the secret %s: %w", path, err)
		}
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return "", fmt.Errorf("read the secret: %w", err)
	}
	value := strings.TrimSpace(string(text))
	if len(value) < minSecret {
		return "", fmt.Errorf("the secret in %s is shorter than %d characters; remove the file to have a new one made", path, minSecret)
	}
	return value, nil
}

func writeSecret(dir, path string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	temp, err := os.CreateTemp(dir, ".secret-*") // made with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	_, err = temp.WriteString(rand.Text() + rand.Text() + "\n")
	if syncErr := temp.Sync(); err == nil {
		err = syncErr
	}
	if closeErr := temp.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if err := os.Link(temp.Name(), path); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}
