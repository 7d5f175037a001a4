// Package edge is Fairgate's node at the buyers' side: waiting room, admission and the buyer API, without a database.
//
// It owns the HTTP face of Fairgate (routes, cookies, problems, pages), the hand-over of new entrants to core (rooms and
// their streams), the minting of admission tokens, and the batching of buyers' requests towards core. It refuses to
// decide anything that matters: who is in the pool, whose turn it is, what is sold and what is paid is core's word. What
// the edge checks itself (MACs, the cursor, limits) is a filter that keeps load away from core. On any doubt the answer is
// "wait": nobody is let in, nobody loses a place.
//
// # How a request moves
//
//	client ─▶ Server.handle (route.go) ─▶ state   prebuilt bytes from queue.Board, no allocation
//	                                   ─▶ join    room: provisional pass, entry into the room's stream ─▶ core, later a receipt
//	                                   ─▶ claim   pass checked, judged (below), token minted ─▶ redeem batch ─▶ session cookie
//	                                   ─▶ holds   session filtered ─▶ holds batch ─▶ own answer of each buyer
//	                                   ─▶ stream  session filtered ─▶ connection taken over, see below
//	                                   ─▶ account a code is asked for or used: forwarded; the session that comes of it is recognized here
//	                                   ─▶ others  session filtered ─▶ forwarded one by one
//
// # Who looks like a program
//
// What is seen of a browser when it joins, polls and claims is scored (judge.go, guard/score). A join is noted and nothing is done
// about it: places are not given out there. Whoever is called and looks odd is asked for something (challenge.go): an invisible check,
// a proof of work, a CAPTCHA; and whoever cannot, or has no script, waits instead (GET /q/{event}/challenge is a form). Who is right gets a clearance of half
// an hour, bound to entrant and browser. A claim that is odd in every way is denied, and only once core has the reasons on record. Verdicts
// go to core in batches (verdict.go), which answers whom operators have lifted. Nothing of it reorders anybody.
//
// # What is left, while shoppers choose
//
// A shopper's stream of server-sent events (eventstream.go) follows a showing (showing.go): the newest snapshot of an
// event's seats and counts, and the last changes, each encoded once for all its streams. One question at a time goes to
// each core for all events of its share that have streams (showings.go); it is held there until something changes. Ids
// are core's, so a stream that breaks goes on at any edge that follows the same core, and elsewhere begins with a snapshot.
// A stream has no buffer of its own: who falls behind gets a snapshot, and who does not read is cut off.
//
// # Several cores
//
// Any core may serve any event. All edges send an event's requests to the same one of those that live (rendezvous hashing
// over core.urls), so that batches are large and cores do not get in each other's way. A core lives while its feed
// answers. One that is not there yet joins when it first answers; one that is about to stop says so on its feed and with
// every call ("core_leaving") while it finishes what it has; one that dies is noticed at the first call or poll that
// fails. Requests that did not get through go to the next core at once, and one whose answer was lost is asked once more,
// with the same key, so that the buyer mostly notices nothing and at worst has to ask again once.
//
// # Overload
//
// What waits for core is bounded, and fair between events: see package backlog. Who finds no room is told 503 and, by the
// length of the queue and its pace, when to come back. An item whose client has hung up or whose time is over is dropped
// before it is sent.
//
// # Concurrency
//
// Server.Run owns every goroutine of the node: the feed and seat loops of each core, the key loop, the sender of verdicts, shoppers' streams, the streams of the rooms, the
// batchers and the two listeners. It starts them, and when its context ends it stops them in the order in which work
// flows: shoppers' streams and listeners first, then the rooms' streams (which hand over what they still have), then batchers, feeds and connections. No
// handler keeps a request's bytes after it returned.
package edge
