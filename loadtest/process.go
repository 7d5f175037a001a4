package loadtest

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Process is one part of the system and what memory it took.
type Process struct {
	Name    string  `json:"name"`
	PIDs    int     `json:"processes"`
	Memory  int64   `json:"memory_bytes"`      // now; memory that several processes share is counted once
	Peak    int64   `json:"memory_peak_bytes"` // highest seen
	Seconds float64 `json:"cpu_seconds"`
}

// sampleEvery is a compromise: the kernel walks a process's whole memory to tell how much it shares.
const sampleEvery = 3 * time.Second

// Watch follows the memory of processes, each with all that it started. Start it with Follow and end it with Stop.
type Watch struct {
	names []string
	roots map[string]int

	mu   sync.Mutex
	seen map[string]Process
	stop chan struct{}
	once sync.Once
	done sync.WaitGroup
}

// Follow samples the named processes, given by their ids, every few seconds until Stop. Where /proc does not exist it sees nothing.
func Follow(names []string, roots map[string]int) *Watch {
	w := &Watch{names: names, roots: roots, seen: make(map[string]Process), stop: make(chan struct{})}
	w.done.Go(func() {
		tick := time.NewTicker(sampleEvery)
		defer tick.Stop()
		for {
			w.sample()
			select {
			case <-tick.C:
			case <-w.stop:
				return
			}
		}
	})
	return w
}

// Stop ends the watch and returns what was seen. It may be called again.
func (w *Watch) Stop() []Process {
	w.once.Do(func() { close(w.stop) })
	w.done.Wait()
	w.sample()
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []Process
	for _, name := range w.names {
		if p, ok := w.seen[name]; ok {
			all = append(all, p)
		}
	}
	return all
}

func (w *Watch) sample() {
	children := ProcessTree()
	skip := make(map[int]bool, len(w.roots))
	for _, pid := range w.roots {
		skip[pid] = true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, root := range w.roots {
		p := Process{Name: name, Peak: w.seen[name].Peak, Seconds: w.seen[name].Seconds}
		var seconds float64
		for _, pid := range family(children, root, skip) {
			memory, ok := proportionalMemory(pid)
			if !ok {
				continue
			}
			p.PIDs++
			p.Memory += memory
			seconds += cpuSeconds(pid)
		}
		if p.PIDs == 0 {
			continue
		}
		p.Peak, p.Seconds = max(p.Peak, p.Memory), max(p.Seconds, seconds)
		w.seen[name] = p
	}
}

// family is a process and all below it that are not followed by themselves.
func family(children map[int][]int, root int, skip map[int]bool) []int {
	all := []int{root}
	for i := 0; i < len(all); i++ {
		for _, c := range children[all[i]] {
			if !skip[c] {
				all = append(all, c)
			}
		}
	}
	return all
}

// ProcessTree lists the children of every process.
func ProcessTree() map[int][]int {
	children := make(map[int][]int)
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return children
	}
	for _, path := range stats {
		if f := statFields(path); len(f) > 1 {
			if parent, err := strconv.Atoi(f[1]); err == nil {
				pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
				children[parent] = append(children[parent], pid)
			}
		}
	}
	return children
}

// statFields are the fields of /proc/<pid>/stat from the state on: the name before may hold anything but ends with the last ")".
func statFields(path string) []string {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	_, rest, ok := bytes.Cut(text[max(bytes.LastIndexByte(text, ')')-1, 0):], []byte(") "))
	if !ok {
		return nil
	}
	return strings.Fields(string(rest))
}

// cpuSeconds is user and system time so far; the kernel counts hundredths on every system Go runs on.
func cpuSeconds(pid int) float64 {
	f := statFields(fmt.Sprintf("/proc/%d/stat", pid))
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.ParseFloat(f[11], 64)
	system, _ := strconv.ParseFloat(f[12], 64)
	return (user + system) / 100
}

// proportionalMemory is the memory of a process, where shared pages count by the number of their users, else its resident set.
func proportionalMemory(pid int) (int64, bool) {
	if kb, ok := kilobytes(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Pss:"); ok {
		return kb << 10, true
	}
	kb, ok := kilobytes(fmt.Sprintf("/proc/%d/status", pid), "VmRSS:")
	return kb << 10, ok
}

func kilobytes(path, key string) (int64, bool) {
	f, err := os.Open(path)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if value, ok := strings.CutPrefix(s.Text(), key); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
			return kb, err == nil
		}
	}
	return 0, false
}

// ChildrenOf lists the processes that a process has started and that still run, lowest id first.
func ChildrenOf(pid int) []int {
	all := ProcessTree()[pid]
	slices.Sort(all)
	return all
}
