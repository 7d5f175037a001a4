// Package ctl is ticketctl, the operator's command line.
//
// It owns: the commands, one file each, how they print, and their exit codes (Exit…). It talks to core's admin API over
// HTTP and to nothing else, except that migrate opens the database, demo starts processes, and rehearse is a crowd. It
// refuses to keep state and to know rules that are core's: what core refuses, ticketctl repeats in core's words, with
// what to try next.
//
// Concurrency: a command runs on one goroutine; New may be called as often as wanted.
package ctl
