package loadtest

import "syscall"

// dieWithParent has the kernel kill the process when the tests end without having killed it themselves, as after a panic.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
