//go:build unix && !linux

package ctl

import "syscall"

// childAttributes puts a process in a group of its own, or in a session of its own when it shall live on. Without the kernel's help
// one that a crashed demo leaves behind has to be stopped by hand.
func childAttributes(detached bool) *syscall.SysProcAttr {
	if detached {
		return &syscall.SysProcAttr{Setsid: true}
	}
	return &syscall.SysProcAttr{Setpgid: true}
}
