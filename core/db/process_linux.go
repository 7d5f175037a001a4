package db

import "syscall"

// dieWithParent asks the kernel to signal the child when the thread that forks it ends.
func dieWithParent(attr *syscall.SysProcAttr, signal syscall.Signal) { attr.Pdeathsig = signal }
