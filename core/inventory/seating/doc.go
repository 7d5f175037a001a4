// Package seating finds seats for a party: the best available ones of a section or tier. It knows the chart and which
// seats are free, and nothing of holds, money or databases; what it picks is a proposal that whoever commits it checks.
//
// It refuses to pick a seat that is not free, to part companions from the accessible seat they belong to, and to relax
// more than the buyer allows.
//
// # Where seats are
//
// A section's rows are numbered in the order of its chart, the one nearest to the stage first. Seats with consecutive
// numbers in one row are adjacent; a gap in the numbers is an aisle. The focal point of a section is one of its seats;
// without one it is the middle of the first row. The distance of a seat from it is counted in half seats, a row being as
// deep as two seats are wide:
//
//	(4 × (rows away + section.Away))² + (2 × number − focus)²
//
// A party's distance is the sum over its seats, so that it is exact and the same on every machine. Of two places equally
// far the one in the earlier row wins, then the one with the lower numbers.
//
// # What a pick keeps to
//
//  1. All seats together, adjacent in one row, and no orphan left: no free seat whose neighbours on both sides are taken,
//     an aisle or a wall, unless it was one before. Of these the nearest.
//  2. If the buyer allows Orphans: together, at the price of one orphan.
//  3. If the buyer allows Split: in pieces within one section. First as few orphans as can be, and none unless Orphans is
//     allowed; then as few pieces, then as few people alone; then each piece as near as can be, the largest first.
//  4. If the buyer allows Neighbours: the same three steps in the neighbouring sections, in the order in which the section
//     lists them; last, if Split is allowed too, in pieces across all of them.
//
// A wish that names no section means every section of its tier: together in the nearest place of them all, split in the
// section that serves it best, and with Neighbours and Split in pieces across all.
//
// A relaxation never changes the price: all seats are of one tier.
//
// # Accessible seats
//
// A party without need gets neither an accessible seat nor a companion's as long as one ordinary seat of the tier is free;
// only when there is none are they offered to all. A party with need names how many accessible seats it needs and how many
// companions come along, and gets exactly that many of each, companions beside the accessible seats, and ordinary seats
// for the rest, all together. Split, the accessible seats stay with their companions: all of them in one block, else one
// block for each accessible seat.
//
// # Tables
//
// A table is a row that is sold whole. It is asked for by name and never picked.
//
// A Chart never changes and may be shared. A Free is not safe for concurrent use.
package seating
