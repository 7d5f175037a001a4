//go:build !linux

package loadtest

import "syscall"

// dieWithParent does nothing where the kernel cannot help: a process may then outlive tests that panic.
func dieWithParent(*syscall.SysProcAttr) {}
