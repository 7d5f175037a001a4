package ctl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// How long a process gets to stop by itself, and how much of its log is shown when it fails.
const (
	childStop = 8 * time.Second
	tailBytes = 1500
	tailLines = 12
)

// child is one process of the demo.
type child struct {
	name   string
	pid    int
	log    string        // file with everything it prints
	exited chan struct{} // closed when it is gone; err is set before
	err    error
}

// nursery starts processes and sees to it that none outlives the demo unless that is wanted. The kernel ties the signal for a dead
// parent to the thread that forked, so one thread forks them all and lives as long as the nursery.
type nursery struct {
	detached bool          // they shall live on
	patience time.Duration // for one process to stop by itself
	forks    chan func()
	closed   sync.Once

	mu       sync.Mutex
	children []*child
	died     chan *child // the first one that ended unasked
	stopping bool
}

func newNursery(detached bool) *nursery {
	n := &nursery{detached: detached, patience: childStop, forks: make(chan func()), died: make(chan *child, 1)}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		for fork := range n.forks {
			fork()
		}
	}()
	return n
}

// start runs a program in a process group of its own, so that Ctrl-C reaches only the demo, which then stops it in order.
func (n *nursery) start(name, log, program string, args ...string) (*child, error) {
	return n.startWith(nil, name, log, program, args...)
}

// startWith is start with more environment, as "NAME=value".
func (n *nursery) startWith(env []string, name, log, program string, args ...string) (*child, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make the log of %s: %w", name, err)
	}
	defer out.Close()
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(cleanEnvironment(os.Environ()), env...)
	cmd.SysProcAttr = childAttributes(n.detached)
	c := &child{name: name, log: log, exited: make(chan struct{})}
	started := make(chan error, 1)
	n.forks <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	c.pid = cmd.Process.Pid
	n.mu.Lock()
	n.children = append(n.children, c)
	n.mu.Unlock()
	go func() {
		c.err = cmd.Wait()
		close(c.exited)
		n.mu.Lock()
		defer n.mu.Unlock()
		if !n.stopping {
			select {
			case n.died <- c:
			default:
			}
		}
	}()
	return c, nil
}

// stop ends every process, the last one started first, and waits until all are gone.
func (n *nursery) stop() error {
	n.mu.Lock()
	n.stopping = true
	all := slices.Clone(n.children)
	n.mu.Unlock()
	slices.Reverse(all)
	var problems []error
	for _, c := range all {
		problems = append(problems, c.stop(n.patience))
	}
	n.closed.Do(func() { close(n.forks) })
	return errors.Join(problems...)
}

func (c *child) stop(patience time.Duration) error {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := syscall.Kill(c.pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop %s: %w", c.name, err)
		}
		select {
		case <-c.exited:
			return nil
		case <-time.After(patience):
		}
	}
	return fmt.Errorf("stop %s: process %d does not end", c.name, c.pid)
}

// watched gives a context that ends when a process of the nursery dies, with the end of its log as the cause.
func (n *nursery) watched(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case c := <-n.died:
			cancel(fmt.Errorf("%s ended unexpectedly (%s); its log ends:\n%s", c.name, exitText(c.err), tail(c.log)))
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

func exitText(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

// tail is the last lines of a log.
func tail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "(" + err.Error() + ")"
	}
	if len(text) == 0 {
		return "  (it said nothing)"
	}
	if len(text) > tailBytes {
		text = text[len(text)-tailBytes:]
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return "  " + strings.Join(lines[max(0, len(lines)-tailLines):], "\n  ")
}

// cleanEnvironment leaves out what would change the configuration the demo has written.
func cleanEnvironment(all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool {
		return strings.HasPrefix(s, "FAIRGATE_") || strings.HasPrefix(s, "DATABASE_URL=")
	})
}
