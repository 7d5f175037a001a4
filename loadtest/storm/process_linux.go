package storm

import "syscall"

// dieWithParent has the kernel kill the process when the storm ends without having stopped it.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
