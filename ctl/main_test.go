package ctl_test

import (
	"context"
	"flag"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"fairgate/core/db/dbtest"
	"fairgate/ctl"
)

// update rewrites what scripts compare with.
var update = flag.Bool("update", false, "rewrite the expected output in testdata")

// TestMain lets the scripts in testdata run this binary as ticketctl, and stops the database that tests of migrate used.
func TestMain(m *testing.M) {
	testscript.Main(tests{m}, map[string]func(){"ticketctl": func() {
		os.Exit(ctl.Run(context.Background(), ctl.Env{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}, os.Args[1:]))
	}})
}

type tests struct{ m *testing.M }

func (t tests) Run() int { return dbtest.Run(t.m) }
