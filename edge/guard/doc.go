// Package guard is the edge's bot filter: rate limits per device, session, account, client address and
// network, the ban list that core publishes as a bloom filter, and signals of what a caller is (package score).
//
// It owns the limiters' memory and the current ban filter, and it refuses nothing by itself: it answers how long a
// caller has to wait, or whether a subject may be banned, and the handler decides. It also remembers how evenly browsers poll
// (Rhythms) and reads lists of networks such as data centres' (Networks). Everything is bounded: a limiter
// remembers a fixed number of subjects, forgets those whose allowance is whole again, and when it is full even so it
// lets a subject go rather than grow. A ban hit is a "maybe" (bloom filters have false positives), so core has the last word.
//
// What is done about a verdict is AnswerConfig.To: nothing, a challenge (package challenge) or a denial, which takes four signals of two
// kinds. Signals come from headers (order, what is missing, contradictions), from behaviour (hidden fields and links, even or hasty polls,
// claims before the turn, one device as many entrants, one pass in many browsers or networks), and from where somebody is (a network
// full of new devices, a data centre), which counts least.
//
// All methods may be called from any goroutine. Time is passed in.
package guard
