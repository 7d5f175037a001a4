// Package playbill makes up events: as many as wanted, believable enough to search, the same ones for the same seed.
//
// It owns nothing and does no I/O. An event depends on seed, number and first day alone, so any part of a playbill can be made again,
// and applying it a second time changes nothing.
package playbill
