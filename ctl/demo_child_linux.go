package ctl

import "syscall"

// childAttributes puts a process in a group of its own, or in a session of its own when it shall live on. One that shall not is
// killed by the kernel when the thread that started it is gone, however the demo ended.
func childAttributes(detached bool) *syscall.SysProcAttr {
	if detached {
		return &syscall.SysProcAttr{Setsid: true}
	}
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
