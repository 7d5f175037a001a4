// Package guard is the edge's first bot filter: rate limits per device, session, account, client address and
// network, the ban list that core publishes as a bloom filter, and signals of what a caller is (package score).
//
// It owns the limiters' memory and the current ban filter, and it refuses nothing by itself: it answers how long a
// caller has to wait, or whether a subject may be banned, and the handler decides. It also remembers how evenly browsers poll
// (Rhythms) and reads lists of networks such as data centres' (Networks). Everything is bounded: a limiter
// remembers a fixed number of subjects, forgets those whose allowance is whole again, and when it is full even so it
// lets a subject go rather than grow. A ban hit is a "maybe" (bloom filters have false positives), so core has the last word.
//
// All methods may be called from any goroutine. Time is passed in.
package guard
