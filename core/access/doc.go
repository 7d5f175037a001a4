// Package access is core's waiting room: who has joined, in which order they are called, and who may come in.
//
// It owns the tables draws, draw_generations, draw_plans, presale_registrations, presale_words, draw_doors, draw_windows, draw_blocks, draw_markers, draw_cursors, sessions, revoked_sessions, edges, edge_keys,
// bans, guard_verdicts, guard_lifts and leases. It refuses to admit anybody on the word of an edge: a token is redeemed only for an entrant
// of the sealed pool, on the device that joined or, where accounts are the identity, where the entrant's account is signed in, whose place
// the committed cursor has reached. It never reorders what was drawn.
//
// # Phases
//
//	             joining_at        opens_at          window 0 sealed
//	announced ──────────────▶ joining ────────▶ sealing ────────▶ drawn ──▶ open ◀──▶ sold_out
//	                                                                        ▲  ╲        ╱
//	                                              anything ──▶ ended        ╰── paused ◀╯
//
// In sealing, core waits for each live edge's marker that it has sent everybody who came before the sale instant, for
// at most Config.MarkerWait. A pause before the draw holds back calling, not the draw. ended is final: the next Schedule
// starts a new generation with another chain of secrets and an empty pool.
//
// # The pool
//
// Acknowledged entrants are stored in blocks, see block.go, and kept in memory by every core. A block is appended in one
// transaction that also counts up the row of draws; a window is sealed in one transaction on the same row. So the
// database puts appending and sealing in one order, whichever core does which, and an entrant acknowledged for a window
// is in that window's draw. Memory follows: blocks are applied in order of their number after their commit, and a sealed
// window only if the pool has exactly the root that was committed.
//
// # The beacon
//
// An on-sale can be scheduled with the name of a public value that comes about after the sale instant. Window 0 is then sealed
// in two transactions: the first writes its root into the row of draws, from when on nobody can join it; the second, once Beacon
// has told the value, draws it as any other window, and only then is the secret told. In between the phase is sealing. A value
// told before the root is refused, since entrants could have been chosen by it, and a second one too.
//
// # Who drives
//
// One core at a time drives an on-sale: it seals windows, moves the phase, and moves the cursor. The right is a row of
// leases; each of the driver's transactions reads it, and so fails once another core has taken over. What a driver
// remembers is only convenience. Everything else (joining, redeeming, publishing) any core does at any time.
//
// # How many are called
//
// The driver calls as many as there is something to buy for, room, and time of core and of the payment provider; pace.go says
// how. It learns who comes, who buys, how much and how long they take, and what core bears. It may be wrong about people,
// so the limit of shoppers inside is kept elsewhere, by the door: see door.go. Whoever was called keeps the turn until the sale
// ends; who comes late, or together with too many others, waits at the door, and nobody else is called for that room.
//
// # Presales
//
// An event's presales and its general sale are on-sales one after the other, each a generation with a commitment, a pool, receipts, a draw
// and sessions of its own (presale.go). A presale sells its allocation to those who have a right to it: who shows an invitation, or accounts
// on its list, on which they put themselves, with a word if the presale asks for one (word.go). Shop says to core where a session buys. The next on-sale is noted while one runs and begins when that is over, under whichever core looks first; what the earlier ones
// committed to stays, so that each draw can be checked for ever.
//
// # Accounts
//
// Where the identity is an account, its signed-in session is the proof and the device is none: whoever shows it gets the entrant's
// turn, and one who does not gets it nowhere, a phone that joined and was stolen least of all. There is still one session. Another browser of
// the account takes it over when it says so (Redemption.Move): the row gets another session id and device, the end stays, and the former
// session is revoked in the same transaction. Every core forgets it within a second or so; this one at once.
//
// # What is published
//
// State objects are made from rows read back after their commit, never from what is about to be written. Every core
// builds its own; they tell the same facts.
//
// # The filter's record
//
// Edges judge who looks like a program, and ask or deny. Core keeps what they decided, with the reasons and never an address, and whom an
// operator has lifted (guard.go); it acts on none of edges' verdicts. A verdict that is sent again is kept once, and swept after 90 days (sweep.go).
//
// Outside the waiting room accounts hold what others sell on and take up offers of the waiting list, and no edge judges them. Core does
// (outside.go): who takes fast, or holds and lets go, is slowed, and that is on record in the same way.
//
// # Edges
//
// Any number of edges may come, go and die at any time; none owns anything that another could not do. An edge's clock does not matter,
// since it goes by core's and core by the database's, but one that is off by more than five seconds is said. Each signs with keys of its
// own, per event and for an hour, which are replaced and revoked (edgekeys.go) without a lost buyer.
//
// # When things die
//
//   - Core after appending a block and before answering: the edge sends the entrants again and gets the same receipts.
//   - Core while sealing: the transaction is there or not. If not, another core takes over within three seconds, waits for
//     markers again and seals; the secret of the window is fixed by the chain, so sealing again cannot choose.
//   - An edge before its marker: the seal waits out its bound; whom it had not sent joins again elsewhere, in the next
//     window.
//   - The database: nothing is sealed, called or admitted until it is back. Nobody loses a place.
package access
