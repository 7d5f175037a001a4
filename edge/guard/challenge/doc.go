// Package challenge is what a browser is asked for that looks like a program: an invisible check, a proof of work, a CAPTCHA, or
// simply to wait; and the clearance it gets for it.
//
// It owns the bytes of challenges and clearances and decides whether an answer is right. It does no I/O and knows no HTTP; how
// suspect somebody is, and so what is asked, is for others to say.
//
//	claim ──▶ suspect? ──▶ Challenge (signed, bound to entrant and browser, minutes) ──▶ answer ──▶ Clearance (half an hour) ──▶ claim
//
// A challenge is stateless: the node that gives it out remembers nothing, and any node can judge the answer, since its MAC is made
// with a key that all nodes of an event have. Checking an answer costs a MAC and two short hashes. What was used is remembered in
// a filter of fixed size (Spent), so that each challenge is good once at a node; shown to another node it gives the same browser
// the same clearance again, and nothing to anybody else.
//
// Everything is values and functions, safe for concurrent use; Spent has a lock of its own.
package challenge
