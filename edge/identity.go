package edge

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
)

// readSecret reads the bearer secret between edges and core.
func readSecret(path string) (string, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("the secret file %s (core.secret_file) is missing: core writes it at its first start; start core first, or copy the file here", path)
	}
	if err != nil {
		return "", fmt.Errorf("read the secret file (core.secret_file): %w", err)
	}
	secret := strings.TrimSpace(string(raw))
	if len(secret) < 16 || strings.ContainsAny(secret, " \t\r\n") {
		return "", fmt.Errorf("the secret file %s (core.secret_file) holds no secret: want one word of at least 16 characters", path)
	}
	return secret, nil
}

// nodeID is the node's identity: the configured one, the one kept in the state file, or a new one, which is kept.
func nodeID(c IdentityConfig) (uuid.UUID, error) {
	if c.ID != "" {
		return uuid.Parse(c.ID)
	}
	if c.StateFile == "" {
		return uuid.New(), nil
	}
	raw, err := os.ReadFile(c.StateFile)
	if err == nil {
		id, err := uuid.Parse(strings.TrimSpace(string(raw)))
		if err != nil {
			return uuid.Nil, fmt.Errorf("the state file %s (edge.state_file) holds no UUID; delete it to get a new identity: %w", c.StateFile, err)
		}
		return id, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return uuid.Nil, fmt.Errorf("read the state file (edge.state_file): %w", err)
	}
	id := uuid.New()
	if err := os.MkdirAll(filepath.Dir(c.StateFile), 0o755); err != nil {
		return uuid.Nil, fmt.Errorf("make the folder of the state file (edge.state_file): %w", err)
	}
	// Written aside and renamed, so that a crash leaves no half file.
	aside := c.StateFile + ".new"
	if err := os.WriteFile(aside, []byte(id.String()+"\n"), 0o644); err != nil {
		return uuid.Nil, fmt.Errorf("write the state file (edge.state_file): %w", err)
	}
	if err := os.Rename(aside, c.StateFile); err != nil {
		return uuid.Nil, fmt.Errorf("write the state file (edge.state_file): %w", err)
	}
	return id, nil
}
