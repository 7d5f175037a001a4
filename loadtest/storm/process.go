package storm

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

// readyWithin is how long a process may take to answer; after a crash the database recovers first.
const readyWithin = 60 * time.Second

// process is a program that is killed and started again. It belongs to one goroutine.
type process struct {
	name, program, config, ready, log string

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

// start launches the process; what it prints goes on in the same file.
func (p *process) start() error {
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("make the log of %s: %w", p.name, err)
	}
	defer out.Close()
	cmd := exec.Command(p.program, "--config", p.config)
	cmd.Stdout, cmd.Stderr = out, out
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "FAIRGATE_") && !strings.HasPrefix(v, "DATABASE_URL=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(cmd.SysProcAttr)
	started := make(chan error, 1)
	forks() <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.cmd, p.gone = cmd, make(chan struct{})
	go func(gone chan struct{}) {
		_ = cmd.Wait() // how it ended is for its log to tell
		close(gone)
	}(p.gone)
	return nil
}

func (p *process) running() bool {
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

// await returns when the process says that it is ready.
func (p *process) await(ctx context.Context) error {
	client := &http.Client{Timeout: 2 * time.Second}
	for until := time.Now().Add(readyWithin); time.Now().Before(until) && p.running(); {
		if resp, err := client.Get(p.ready); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		if !sleep(ctx, 20*time.Millisecond) {
			return ctx.Err()
		}
	}
	return fmt.Errorf("%s is not ready; its log ends:\n%s", p.name, tail(p.log))
}

// signal sends a signal and waits until the process is gone, or kills it in the end.
func (p *process) signal(s syscall.Signal, patience time.Duration) {
	if !p.running() {
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

// sleep waits d; false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
