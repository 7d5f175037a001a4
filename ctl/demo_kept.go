package ctl

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"fairgate/loadtest"
)

// errNothingKept means that no demo was left running.
var errNothingKept = errors.New("no demo is running")

// kept is a demo that was left running: what `demo --stop` needs to know.
type kept struct {
	Dir       string        `json:"dir"`
	Event     string        `json:"event"`
	Processes []keptProcess `json:"processes"` // in the order in which they were started
	Addresses addresses     `json:"addresses"`
}

// keptProcess is one of its processes. Began tells it from another that was given the same id later.
type keptProcess struct {
	Name  string `json:"name"`
	PID   int    `json:"pid"`
	Began string `json:"began"`
}

// keptFile is where this user's kept demo is remembered.
func keptFile() string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("fairgate-demo-%d", os.Getuid()), "kept.json")
}

// began is when a process started, in the kernel's ticks; "" when there is no such process or no /proc.
func began(pid int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The name in parentheses may hold anything; the start is the 20th field after it.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 20 {
		return ""
	}
	return fields[19]
}

// remember writes the file, readable by its owner only: it has the database's password.
func (k kept) remember() error {
	text, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return fmt.Errorf("remember the demo: %w", err)
	}
	path := keptFile()
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("remember the demo: %w", err)
	}
	// The folder's name can be guessed and others may write to its parent: one that is not ours alone is not used.
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("remember the demo: %w", err)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !info.IsDir() || info.Mode().Perm() != 0o700 || !ok || int(stat.Uid) != os.Getuid() {
		return fmt.Errorf("remember the demo: %s is not a folder of this user alone", dir)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return fmt.Errorf("remember the demo: %w", err)
	}
	return nil
}

// recall reads the file; errNothingKept when there is none.
func recall() (kept, error) {
	text, err := os.ReadFile(keptFile())
	if errors.Is(err, os.ErrNotExist) {
		return kept{}, errNothingKept
	}
	var k kept
	if err == nil {
		err = json.Unmarshal(text, &k)
	}
	if err != nil {
		return kept{}, fmt.Errorf("read what demo is running: %w", err)
	}
	return k, nil
}

// alive lists the kept processes that still run.
func (k kept) alive() []keptProcess {
	var all []keptProcess
	for _, p := range k.Processes {
		if p.Began != "" && began(p.PID) == p.Began && !zombie(p.PID) {
			all = append(all, p)
		}
	}
	return all
}

// stop ends every process, the last one started first, and removes the work folder and the memory of it.
func (k kept) stop() error {
	left := k.alive()
	slices.Reverse(left)
	for _, p := range left {
		// SIGINT is an orderly stop for all of them, databases included, and does not make a database wait for its clients.
		patience := childStop
		if p.Name == "database" {
			patience *= 4 // it writes a checkpoint first
		}
		for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
			if err := syscall.Kill(p.PID, s); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("stop %s: %w", p.Name, err)
			}
			if gone(p, patience) {
				break
			}
		}
	}
	if still := k.alive(); len(still) > 0 {
		return fmt.Errorf("stop %s: process %d does not end", still[0].Name, still[0].PID)
	}
	if strings.HasPrefix(filepath.Base(k.Dir), workPrefix) {
		if err := os.RemoveAll(k.Dir); err != nil {
			return fmt.Errorf("remove the work folder: %w", err)
		}
	}
	return os.RemoveAll(filepath.Dir(keptFile()))
}

func gone(p keptProcess, within time.Duration) bool {
	for until := time.Now().Add(within); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if began(p.PID) != p.Began || zombie(p.PID) {
			return true
		}
	}
	return false
}

// zombie tells that a process has ended and nobody has asked how, as happens where no init collects orphans.
func zombie(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text[strings.LastIndexByte(string(text), ')'):]), " ")
	return strings.HasPrefix(rest, "Z")
}

// keep writes down what is running on the stage.
func (s *stage) remember(event string) error {
	k := kept{Dir: s.dir, Event: event, Addresses: s.addresses}
	names, roots := s.roots()
	for _, name := range names {
		if name != "rehearsal" {
			k.Processes = append(k.Processes, keptProcess{Name: name, PID: roots[name], Began: began(roots[name])})
		}
	}
	return k.remember()
}

func childrenOf(pid int) []int { return loadtest.ChildrenOf(pid) }
