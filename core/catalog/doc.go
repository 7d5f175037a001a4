// Package catalog is what buyers browse: the events that are still to come, searched by text, place, date, category and price.
//
// It owns no truth. The table catalog is written by core/event in the transaction that applies an event; a Catalog keeps a copy of it
// in memory as an index and answers every search from there, without the database. It refuses to answer before it has read the table
// once (ErrLoading), and to be the ground of any decision: what is left and what may be bought is inventory's word.
//
// # The index
//
// Events are numbered by start and slug, which is the order of every list. Each word, place and category has the set of numbers that
// have it (a roaring bitmap), so a search is an intersection of sets, dates are a range of numbers, and a page is the next few numbers
// after the cursor. A cursor is a start and a slug, not a number: it goes on at the same place whatever was added, moved or removed.
//
// A State is never changed. What is new since the last one goes into a small second segment, with the events it replaces struck out of
// the large one; when it has grown to a tenth of it, both are built into one. Searches take no lock.
//
// # How it follows the table
//
// Once a second Run reads the rows stamped since the newest it has seen, and again those of a few seconds before, since stamps are near
// to the order of commits but not the same. Rows it knows are skipped by their revision. Every few minutes it compares all ids and
// revisions, which finds whatever a stalled commit or a lagging replica hid, and rows that are gone. Reading goes through db.Browse, so
// a read replica can carry it. While the database is away the last state goes on being served; core_catalog_age_seconds says how old.
//
// # Concurrency
//
// Run is one goroutine and the only writer. Everything else may be called from any number.
package catalog
