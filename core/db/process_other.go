//go:build unix && !linux

package db

import "syscall"

// dieWithParent does nothing where the kernel has no such signal: a crash of this process then leaves the server running,
// and the next Start in the same data folder attaches to it.
func dieWithParent(*syscall.SysProcAttr, syscall.Signal) {}
