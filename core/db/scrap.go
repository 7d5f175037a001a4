package db

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// scrapPattern names temporary data folders.
const scrapPattern = "fairgate-db-*"

// scrapAge is how long a temporary folder is left alone after its start: Stop may be removing it, or it is being made.
const scrapAge = time.Minute

// newScrap makes a temporary data folder, and first removes those of processes that died without removing theirs.
func newScrap(log *slog.Logger) (string, error) {
	old, err := filepath.Glob(filepath.Join(os.TempDir(), scrapPattern))
	if err == nil {
		for _, dir := range old {
			if abandoned(dir) && os.RemoveAll(dir) == nil {
				log.Info("removed the temporary data folder of a process that died", "data_dir", dir)
			}
		}
	}
	dir, err := os.MkdirTemp("", scrapPattern)
	if err != nil {
		return "", fmt.Errorf("make a temporary data folder: %w", err)
	}
	// The unprivileged user of the server has to pass through; the data below is closed to others.
	if err := os.Chmod(dir, 0o711); err != nil {
		return "", fmt.Errorf("open up the temporary data folder: %w", err)
	}
	return dir, nil
}

// abandoned tells whether a temporary folder is ours, nobody is starting a server in it, and none runs in it.
func abandoned(dir string) bool {
	lock, err := os.OpenFile(filepath.Join(dir, startLock), os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer lock.Close()
	info, err := lock.Stat()
	if err != nil || time.Since(info.ModTime()) < scrapAge || syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return false
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != os.Geteuid() {
		return false
	}
	for _, file := range []string{filepath.Join(dir, "postgresql", "postmaster.pid"), cockroachNote(dir)} {
		text, err := os.ReadFile(file)
		if err != nil {
			if !os.IsNotExist(err) {
				return false
			}
			continue
		}
		first := strings.Fields(string(text) + " -")[0]
		if pid, err := strconv.Atoi(first); err != nil || pidAlive(pid) {
			return false // when in doubt it stays
		}
	}
	return true
}
