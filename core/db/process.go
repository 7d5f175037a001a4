package db

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// child is a server process. Its own goroutine starts it, waits for it and never leaves its OS thread meanwhile: the
// kernel ties the signal for a dead parent to the thread that forked, not to the process.
type child struct {
	pid  int
	fast syscall.Signal // asks for a clean shutdown
	hard syscall.Signal // when that takes too long

	exited chan struct{} // closed when the process is gone; err is set before
	err    error
}

// spawn starts cmd in a process group of its own, so that a Ctrl-C at the terminal reaches this process only, which then
// stops the child in order. Unless detached, the kernel sends the child the fast signal when this process dies.
func spawn(cmd *exec.Cmd, detach bool, fast, hard syscall.Signal) (*child, error) {
	c := &child{fast: fast, hard: hard, exited: make(chan struct{})}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	if !detach {
		dieWithParent(cmd.SysProcAttr, fast)
	}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			c.pid = cmd.Process.Pid
		}
		started <- err
		if err != nil {
			return
		}
		c.err = cmd.Wait()
		close(c.exited)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("run %s: %w", cmd.Path, err)
	}
	return c, nil
}

// alive tells whether the process still runs.
func (c *child) alive() bool {
	select {
	case <-c.exited:
		return false
	default:
		return true
	}
}

// stop asks for a clean shutdown and, when that takes too long or ctx ends, for a hard one, which leaves the data
// recoverable; a process that heeds neither is killed. It returns when the process is gone.
func (c *child) stop(ctx context.Context) error {
	steps := []struct {
		signal syscall.Signal
		wait   time.Duration
		hurry  <-chan struct{}
	}{
		{c.fast, stopTimeout, ctx.Done()},
		{c.hard, killTimeout, nil},
		{syscall.SIGKILL, killTimeout, nil},
	}
	for _, step := range steps {
		if !c.alive() {
			return nil
		}
		if err := syscall.Kill(c.pid, step.signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("signal the database process %d: %w", c.pid, err)
		}
		timer := time.NewTimer(step.wait)
		select {
		case <-c.exited:
		case <-timer.C:
		case <-step.hurry:
		}
		timer.Stop()
	}
	if c.alive() {
		return fmt.Errorf("the database process %d does not end", c.pid)
	}
	return nil
}

// stopForeign cleanly stops a server that is not our child.
func stopForeign(ctx context.Context, pid int, fast syscall.Signal) error {
	if err := syscall.Kill(pid, fast); err != nil {
		if errors.Is(err, syscall.ESRCH) {
			return nil
		}
		return fmt.Errorf("signal the database process %d: %w", pid, err)
	}
	deadline := time.Now().Add(stopTimeout)
	for pidAlive(pid) {
		if time.Now().After(deadline) {
			return fmt.Errorf("the database process %d does not end", pid)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// pidAlive tells whether a process of that number exists, whoever owns it.
func pidAlive(pid int) bool {
	if pid <= 0 {
		return false
	}
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// lockDir keeps two processes from preparing the same data folder at once. The kernel drops the lock with the process.
func lockDir(ctx context.Context, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			file.Close()
			return nil, fmt.Errorf("%w: lock %s: %w", ErrDataDir, path, err)
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, fmt.Errorf("wait for another process that starts a database in the same folder: %w", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// tail reads the end of a log file for an error message.
func tail(path string, from int64) string {
	data, err := os.ReadFile(path)
	if err != nil || int64(len(data)) < from {
		return ""
	}
	data = data[from:]
	const most = 2000
	if len(data) > most {
		data = data[len(data)-most:]
	}
	return string(data)
}
