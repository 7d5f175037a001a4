//go:build !linux

package stage

import "syscall"

// dieWithParent does nothing where the kernel cannot help.
func dieWithParent(*syscall.SysProcAttr) {}
