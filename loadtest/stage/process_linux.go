package stage

import "syscall"

// dieWithParent has the kernel kill the process when the program that started it ends without having stopped it.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
