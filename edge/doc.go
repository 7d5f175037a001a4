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
//	                                   ─▶ claim   pass checked, token minted ─▶ redeem batch ─▶ session cookie
//	                                   ─▶ holds   session filtered ─▶ holds batch ─▶ own answer of each buyer
//	                                   ─▶ others  session filtered ─▶ forwarded one by one
//
// # Concurrency
//
// Server.Run owns every goroutine of the node: the feed loop of each core, the key loop, the streams of the rooms, the
// batchers and the two listeners. It starts them, and when its context ends it stops them in the order in which work
// flows: listeners first, then streams (which hand over what they still have), then batchers, feeds and connections. No
// handler keeps a request's bytes after it returned.
package edge
