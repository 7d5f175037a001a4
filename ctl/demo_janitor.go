package ctl

import (
	"fmt"
	"io"
	"os/exec"
	"syscall"
)

// workPrefix begins the name of every work folder.
const workPrefix = "fairgate-demo-"

// janitorScript removes the work folder $0 of a demo that could not do it itself. It waits for its standard input to end, which
// happens when the demo ends, in whatever way; by then the kernel has told the demo's other processes to stop. The database gets ten
// seconds to leave its files in order. It is a shell and not this program again: a program that starts itself is a trap for whoever
// links this package into another one.
const janitorScript = `trap '' INT TERM HUP
cat >/dev/null
n=0
while [ -e "$0/database/postgresql/postmaster.pid" ] && [ $n -lt 100 ]; do sleep 0.1; n=$((n+1)); done
n=0
while [ -e "$0" ] && [ $n -lt 100 ]; do rm -rf -- "$0" 2>/dev/null || sleep 0.1; n=$((n+1)); done
[ ! -e "$0" ]`

// janitor is a process that cleans up after a demo that was killed.
type janitor struct {
	cmd *exec.Cmd
	in  io.WriteCloser
}

// hireJanitor starts the janitor of a work folder.
func hireJanitor(dir string) (*janitor, error) {
	cmd := exec.Command("/bin/sh", "-c", janitorScript, dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start the janitor: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the janitor: %w", err)
	}
	return &janitor{cmd: cmd, in: in}, nil
}

// dismiss lets the janitor finish and waits for it.
func (j *janitor) dismiss() error {
	if j == nil {
		return nil
	}
	j.in.Close()
	if err := j.cmd.Wait(); err != nil {
		return fmt.Errorf("remove the work folder: %w", err)
	}
	return nil
}
