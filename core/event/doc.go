// Package event owns what is on sale: the tables events, tiers and keys, and the rows of stock and seats as far as they follow from
// the event file (capacity, section, tier and allocation, never what is taken).
//
// Parse turns an event file into a Spec or into Problems, all of them at once, each with its line and column. Store.Apply brings the
// database to a Spec in one serializable transaction; applying the same file again changes nothing. Store.ByID answers from memory
// for the paths that run thousands of times a second.
//
// It refuses changes that would break a promise made to a buyer: another price, tier or seat for what is held or sold, less capacity
// than is taken, another kind of identity while an on-sale is under way.
//
// An event of which something is held or sold may be moved to another time or venue: its tickets stay valid, and Apply notes the
// change (Changes), of which package checkout tells every buyer, and for which they may give their tickets back (RefundWindow).
//
// # Prices
//
// A ticket costs the same for everybody and shows its all-in price first. Each part is rounded once, to the nearest minor unit, halves
// up; whatever the rounding, face + fee + tax = all-in to the unit, and those three are what the ledger books.
//
//	fee     = fees.per_ticket + round(price × fees.percent)
//
//	taxes.included: false                          taxes.included: true
//	tax     = round(price × r) + round(fee × r)    tax    = round(price × r/(1+r)) + round(fee × r/(1+r))
//	face    = price                                face   = price less its tax
//	all-in  = price + fee + tax                    all-in = price + fee, of which tax is a part
//
// # Keys
//
// An event has its own keys for passes, receipts, tickets and invitations, made when it is first applied, and for its gates, made
// when they are first asked for. The newest key signs, all that are not retired verify. Rotate adds one; what was signed before
// stays good.
//
// A Store is safe for concurrent use; the events it hands out are shared and must not be changed.
package event
