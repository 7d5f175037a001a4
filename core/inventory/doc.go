// Package inventory owns what there is to sell: stock, seats, holds and the limits per buyer.
//
// It refuses to sell a unit twice, to give a buyer more than the event's limit, and to answer before the database has
// committed. It knows nothing of orders, payments or tickets: checkout moves holds on by calling Sell, Keep, Release,
// Unsell, Return and MoveSeat inside its own transaction, and is told of expiries through Hooks inside ours.
//
// # A hold's life
//
//	            Hold                Sell
//	(nothing) ───────▶ active ───────────────▶ sold
//	                    │  │ deadline passes      │ Unsell (the capture failed for good), Return (of the last units)
//	            Release │  └─────▶ expired        ▼
//	                    └────────────────────▶ released
//
// Return gives back a part of a sold hold, whose items and units then are what is left of it. MoveSeat gives it another seat for one
// that it has.
//
// Every state but active and sold is final. A hold whose deadline has passed counts as expired for everybody from that
// instant, by the database's clock; the sweep (Run) gives its units back a little later, or whoever asks for another hold instead
// of it (HoldAgain), in the transaction that grants that one.
//
// # What is counted where
//
// stock.taken of a (event, tier, allocation) is the units of its active and sold holds, so a sale touches only hold and
// seat rows and never the hot stock row. quota.taken is the same sum per buyer key and scope, one row for each limit that
// a hold counts in (newCount). A seat is held or sold by exactly the hold it names. A row of expiries names the holds of
// one commit and when to look at them again.
//
// # How a batch is decided
//
// Requests of many events meet in a few lanes (db.Lane), an event always in the same one. A lane's writer takes what has
// gathered while the previous commit was in flight, the events in turn, so that one that floods waits behind itself and
// not before the others, and then:
//
//  1. reads the rows concerned in one round trip (read.go), and the holds that repeated requests were given before; buyers
//     never met are taken for new, which the inserts check;
//  2. decides every request in order of arrival (decide.go, a pure function);
//  3. writes the outcome in one SERIALIZABLE transaction of set-based statements (write.go), each of which repeats as its
//     guard what the decision rested on: stock within capacity, seat free, quota within the limit, hold still active,
//     hold id unused. If one guard fails, another core was there in between: the transaction is rolled back and the batch
//     read and decided again.
//
// The reads are outside the transaction on purpose. PostgreSQL coarsens the predicate locks of a transaction that reads
// more than a few dozen rows of a table to the whole table, and then every two lanes would abort each other; a guarded
// write keeps the same promise and locks rows. A batch that only refuses opens no transaction at all.
//
// A hot event has no lane of its own. It was tried (benchholds, quiet_beside_hot): with fair batches a quiet event waits for
// two full commits, with a lane apart its median halves and its p99 stays about what it was. But while an event moves from
// one lane to the other both write the same stock row, and the steady stream of one can abort the other's batch again and
// again, once for 15 seconds. Fair batches have no such moment.
//
// # What shoppers see
//
// Every commit that takes seats or gives them back leaves a row in seat_log under the stock row's new version, in the same
// transaction (seatlog.go). A Feed (feed.go) watches the events somebody asks for: it reads their stock rows together a few
// times a second, and at once after a commit of its own core, tails the log of those whose version grew, and numbers what
// has changed. It reads committed rows only, so it does not matter which core committed; a gap in the versions means that
// something else than a hold changed the seats, and they are read anew. Held → sold touches neither stock nor log: held
// seats are asked about once a second. Nothing is decided by what a feed shows.
//
// # Several cores
//
// Correctness rests on the guards, the constraints and SERIALIZABLE, never on which core or lane does the work: any number
// of cores may serve the same event. When the outcome of a commit is unknown the batch is read again: hold ids derive from
// the request (HoldID), so what was committed is found, and what was not is done again.
package inventory
