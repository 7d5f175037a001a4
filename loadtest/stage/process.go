package stage

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ReadyWithin is how long a process may take to answer; after a crash the database recovers first.
const ReadyWithin = 60 * time.Second

// Process is a program that is killed and started again. It belongs to one goroutine.
type Process struct {
	Name    string
	Program string   // its file
	Args    []string // its arguments
	Ready   string   // a URL that answers 200 when it is ready
	Log     string   // the file to which everything it prints goes
	Env     []string // more variables of its environment, NAME=value

	cmd  *exec.Cmd
	gone chan struct{} // closed when it has ended
}

// forks is the one thread that starts processes: the kernel ends them with the thread that forked them.
var forks = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// Start launches the process; what it prints goes on in the same file.
func (p *Process) Start() error {
	out, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("make the log of %s: %w", p.Name, err)
	}
	defer out.Close()
	cmd := exec.Command(p.Program, p.Args...)
	cmd.Stdout, cmd.Stderr = out, out
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "FAIRGATE_") && !strings.HasPrefix(v, "DATABASE_URL=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, p.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
	started := make(chan error, 1)
	forks() <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	p.cmd, p.gone = cmd, make(chan struct{})
	go func(gone chan struct{}) {
		_ = cmd.Wait() // how it ended is for its log to tell
		close(gone)
	}(p.gone)
	return nil
}

// Running tells whether the process has been started and has not ended.
func (p *Process) Running() bool {
	if p.gone == nil {
		return false
	}
	select {
	case <-p.gone:
		return false
	default:
		return true
	}
}

// Await returns when the process says that it is ready.
func (p *Process) Await(ctx context.Context) error {
	client := &http.Client{Timeout: 2 * time.Second}
	for until := time.Now().Add(ReadyWithin); time.Now().Before(until) && p.Running(); {
		if resp, err := client.Get(p.Ready); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		if !Sleep(ctx, 20*time.Millisecond) {
			return ctx.Err()
		}
	}
	return fmt.Errorf("%s is not ready; its log ends:\n%s", p.Name, tail(p.Log))
}

// Signal sends a signal and waits until the process is gone, or kills it in the end.
func (p *Process) Signal(s syscall.Signal, patience time.Duration) {
	if !p.Running() {
		return
	}
	_ = p.cmd.Process.Signal(s) // fails only when it has just ended
	select {
	case <-p.gone:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.gone
	}
}

// tail is the last lines of a log.
func tail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "(" + err.Error() + ")"
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-12):], []byte("\n")))
}

// Sleep waits d; false when ctx ended first.
func Sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
