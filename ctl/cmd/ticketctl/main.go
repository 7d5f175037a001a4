// Command ticketctl operates a Fairgate platform. See package ctl.
package main

import (
	"context"
	"os"

	"fairgate/ctl"
)

func main() {
	os.Exit(ctl.Run(context.Background(), ctl.Env{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}, os.Args[1:]))
}
