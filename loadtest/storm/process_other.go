//go:build !linux

package storm

import "syscall"

// dieWithParent does nothing where the kernel cannot help.
func dieWithParent(*syscall.SysProcAttr) {}
