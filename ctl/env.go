package ctl

import "io"

// Env is the world outside the commands: tests pass buffers.
type Env struct {
	Stdout, Stderr io.Writer
	Stdin          io.Reader
}
