// Package crowd is a waiting room full of people: half a million browsers that join, wait and poll as the page does, over a few
// thousand connections, and what became of each.
//
// It owns the crowd and its verdicts. Beside the rehearsal (package loadtest), whose buyers go on to shop and pay and cost some ten
// kilobytes each, a member of the crowd is half a kilobyte and does three things: it joins and joins again until it has its signed
// receipt, it asks for the state object when the last one said so, with the page's jitter and the ETag it has, and it claims when its
// own place has been called.
//
// Every connection has its own members and makes their calls one at a time, when they are due. Latency runs from the instant a call was
// due to the end of its answer, so that a server that stalls, or a connection that is late, counts in full for all who wait. A browser
// of the crowd says its own address in a Forwarded header, as a proxy does; the edges must trust the crowd's machine.
//
// Run plays; Result.Verdicts judges. A Crowd is used by one goroutine, apart from Progress.
package crowd
