// Package history keeps what was asked of an inventory and what became of it, so that it can be proved afterwards that
// nothing was sold twice (package proof). It owns the file format, the Recorder that writes it and the reader.
//
// # A file
//
// A history is JSON, one object a line. A process begins with a header and then writes its calls:
//
//	{"history":1,"process":"core-4711-9f3a","side":"core","clock":"boot-6e2c…","started":"2026-11-23T18:00:00Z"}
//	{"call":1,"from":81220045,"at":1763920800000000,"rows":[{"event":"…","tier":"floor","allocation":"general","version":7,"taken":41,"capacity":60}],
//	 "ops":[{"do":"hold","event":"…","hold":"…","buyer":"5f…","items":[{"tier":"floor","allocation":"general","quantity":2,"commit":7}]}]}
//	{"call":1,"to":81224711,"outcome":"ok"}
//
// A call is what is answered together: one attempt of one transaction in core, one request of a client. The line with
// from is written before it is attempted, the line with to after the answer; a call without the second line has an
// unknown outcome. A call that changes nothing (a refusal, a hold told again) is one line with both. All times are
// nanoseconds of one clock, which the header names: files of different clocks cannot be merged.
//
// In core's calls rows are the stock rows that the transaction changed, as they are after it: version is the commit
// number, the witness of the order of all commits to the row. They are known before the commit is attempted, because the
// row's lock is held by then; if the attempt fails, another one gets the same number.
//
// A client's call has an outcome for each of its ops instead, and knows the commit numbers from the answer.
//
// # What a SIGKILL leaves
//
// Invoke returns when its line is with the kernel, so nothing is committed that is not written down first. Answers are
// written a moment later and together; those that are lost count as unknown. A line torn in the middle is the last one of
// its process; the next process that appends to the file starts a line of its own. Anything else that is not what it
// should be is an error that names file and line.
package history
