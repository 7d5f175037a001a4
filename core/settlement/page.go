package settlement

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"fairgate/core/payment"
	"fairgate/ledger"
)

// pageRows is how many rows one transaction takes: long enough that round trips do not count, short enough that it is repeated cheaply.
const pageRows = 2000

const sqlKnownRows = `
SELECT row_id, digest, reading, class, transfer_id, transfer_at, kind, gross_minor, fee_minor, currency
FROM settlement_rows
WHERE provider = $1::TEXT AND row_id = ANY($2::TEXT[])`

// sqlClaims repeats the condition of its index, whose first column is the time.
const sqlClaims = `
SELECT r.transfer_id, r.row_id
FROM unnest($1::TIMESTAMPTZ[], $2::UUID[]) AS u(transfer_at, transfer_id)
JOIN settlement_rows AS r ON r.transfer_at = u.transfer_at AND r.transfer_id = u.transfer_id
WHERE r.transfer_id IS NOT NULL`

const sqlConversionLegs = `
SELECT source_ref, row_id, gross_minor, currency
FROM settlement_rows
WHERE provider = $1::TEXT AND kind = 'conversion' AND source_ref = ANY($2::TEXT[])`

const sqlInsertRows = `
INSERT INTO settlement_rows (provider, row_id, day, kind, source_ref, payment_ref, order_id, refund_id, gross_minor, fee_minor, currency,
                             presentment_minor, presentment_currency, rate, payout_ref, description, created_at, digest, reading, class, transfer_id, transfer_at, booking)
SELECT $1::TEXT, u.row_id, u.day, u.kind, u.source_ref, u.payment_ref, u.order_id, u.refund_id, u.gross_minor, u.fee_minor, u.currency,
       u.presentment_minor, u.presentment_currency, u.rate, u.payout_ref, u.description, u.created_at, u.digest, $2::INT8, u.class, u.transfer_id, u.transfer_at, u.booking
FROM unnest($3::TEXT[], $4::DATE[], $5::TEXT[], $6::TEXT[], $7::TEXT[], $8::UUID[], $9::INT8[], $10::INT8[], $11::TEXT[], $12::INT8[], $13::TEXT[],
            $14::TEXT[], $15::TEXT[], $16::TEXT[], $17::TIMESTAMPTZ[], $18::BYTEA[], $19::TEXT[], $20::UUID[], $21::UUID[], $22::UUID[], $23::TIMESTAMPTZ[])
     AS u(row_id, day, kind, source_ref, payment_ref, order_id, gross_minor, fee_minor, currency, presentment_minor, presentment_currency,
          rate, payout_ref, description, created_at, digest, class, transfer_id, booking, refund_id, transfer_at)`

// sqlUpdateRows notes that known rows were read again, and how they stand now.
const sqlUpdateRows = `
UPDATE settlement_rows AS r
SET reading = GREATEST(r.reading, $2::INT8), class = u.class, transfer_id = u.transfer_id, transfer_at = u.transfer_at, booking = COALESCE(u.booking, r.booking), payout_ref = u.payout_ref,
    order_id = COALESCE(u.order_id, r.order_id)
FROM unnest($3::TEXT[], $4::TEXT[], $5::UUID[], $6::UUID[], $7::TEXT[], $8::UUID[], $9::TIMESTAMPTZ[])
     AS u(row_id, class, transfer_id, booking, payout_ref, order_id, transfer_at)
WHERE r.provider = $1::TEXT AND r.row_id = u.row_id`

const sqlHealRows = `
UPDATE settlement_items
SET state = 'healed', reading = $2::INT8, decided_at = now(), decided_by = 'core', reason = 'a later reading explains it'
WHERE provider = $1::TEXT AND state IN ('open', 'rejected') AND row_id = ANY($3::TEXT[]) AND NOT item_id = ANY($4::UUID[])`

// sqlRaise leaves decided items alone and opens healed ones again.
const sqlRaise = `
INSERT INTO settlement_items (item_id, provider, day, class, row_id, transfer_id, amount_minor, currency, why, proposal, since, reading, state,
                              decided_by, reason, decided_at)
SELECT u.item_id, $1::TEXT, u.day, u.class, u.row_id, u.transfer_id, u.amount_minor, u.currency, u.why, u.proposal, u.since, $2::INT8, 'open', '', '', NULL
FROM unnest($3::UUID[], $4::DATE[], $5::TEXT[], $6::TEXT[], $7::UUID[], $8::INT8[], $9::TEXT[], $10::TEXT[], $11::TEXT[], $12::TIMESTAMPTZ[])
     AS u(item_id, day, class, row_id, transfer_id, amount_minor, currency, why, proposal, since)
ON CONFLICT (item_id) DO UPDATE
SET class = excluded.class, why = excluded.why, proposal = excluded.proposal, reading = excluded.reading, state = 'open',
    decided_by = '', reason = '', decided_at = NULL
WHERE settlement_items.state IN ('open', 'healed')`

// known is what the table has of a row.
type known struct {
	digest     []byte
	reading    int64
	class      Class
	transfer   claim
	kind       payment.SettlementKind
	gross, fee ledger.Amount
}

// claim is a transfer that a row is matched with. At leads the index that lets one row alone have it.
type claim struct {
	id uuid.UUID
	at time.Time
}

// madeAt is the time of transfers that were made because of a row: they are looked for by their ids alone.
var madeAt = time.Unix(0, 0).UTC()

// page is the rows of one transaction with what became of them.
type page struct {
	rows     []row
	verdicts []verdict
	booking  uuid.UUID // of the page's fees
	known    map[string]known
	items    []Item
	healed   []uuid.UUID // items about transfers that the page's rows explain by now
	counts   Counts
}

// Counts says what a reading found.
type Counts struct {
	Rows     int64 `json:"rows"`     // read
	New      int64 `json:"new"`      // of these, never seen before
	Repeated int64 `json:"repeated"` // of these, twice in this reading
	Altered  int64 `json:"altered"`  // of these, otherwise than before
	Vanished int64 `json:"vanished"` // not read, and there before
}

func (c *Counts) add(d Counts) {
	c.Rows, c.New, c.Repeated, c.Altered, c.Vanished = c.Rows+d.Rows, c.New+d.New, c.Repeated+d.Repeated, c.Altered+d.Altered, c.Vanished+d.Vanished
}

// take stores and matches one page in one transaction, which may run several times.
//
// With again rows may be of this very reading: they are decided anew.
func (s *Service) take(ctx context.Context, provider string, reading int64, given incoming, again bool, scans *int) (Counts, error) {
	rows := given.rows
	if len(rows) == 0 {
		return Counts{}, nil
	}
	if err := s.resolve(ctx, provider, rows, again, scans); err != nil {
		return Counts{}, err
	}
	base, err := s.look(ctx, s.db.Reader, provider, rows, given.moves)
	if err != nil {
		return Counts{}, err
	}
	var p *page
	err = s.db.InTx(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
		p = &page{rows: rows, known: map[string]known{}}
		m := *base
		if err := p.read(ctx, tx, &m); err != nil {
			return err
		}
		book, err := p.decide(&m, reading, again, s.cfg.BookPlain)
		if err != nil {
			return err
		}
		if err := p.write(ctx, tx, provider, reading); err != nil {
			return err
		}
		return s.writer.Record(ctx, tx, book)
	})
	if err != nil {
		return Counts{}, fmt.Errorf("take a page of the settlement of %s: %w", provider, err)
	}
	return p.counts, nil
}

// read reads what the table has of the page's rows and of the transfers they may be about.
func (p *page) read(ctx context.Context, tx pgx.Tx, m *matcher) error {
	ids := make([]string, len(p.rows))
	var sources []string
	m.claimed, m.legs = map[uuid.UUID]string{}, map[string][]leg{}
	var transfers []uuid.UUID
	var times []time.Time
	about := func(at time.Time, ids ...uuid.UUID) {
		for _, id := range ids {
			transfers, times = append(transfers, id), append(times, at)
		}
	}
	for i, r := range p.rows {
		ids[i] = r.ID
		about(madeAt, m.made(r)...)
		for _, move := range m.possible(r) {
			about(move.At, move.ID)
		}
		if r.Kind == payment.SettledFee {
			about(madeAt, ledger.TransferID(RowReference(m.provider, r.ID), "settlement_fee"))
		}
		if r.Kind == payment.SettledConversion && r.SourceRef != "" {
			sources = append(sources, r.SourceRef)
			m.legs[r.SourceRef] = append(m.legs[r.SourceRef], leg{r.ID, r.Gross})
		}
	}
	batch := &pgx.Batch{}
	batch.Queue(sqlKnownRows, m.provider, ids).Query(func(rows pgx.Rows) error {
		var id string
		var k known
		var transfer pgtype.UUID
		var at pgtype.Timestamptz
		_, err := pgx.ForEachRow(rows, []any{&id, &k.digest, &k.reading, &k.class, &transfer, &at, &k.kind, &k.gross.Minor, &k.fee.Minor, &k.gross.Currency}, func() error {
			this := k
			this.digest, this.transfer, this.fee.Currency = bytes.Clone(k.digest), claim{transfer.Bytes, at.Time}, k.gross.Currency
			p.known[id] = this
			return nil
		})
		return err
	})
	if len(transfers) > 0 {
		batch.Queue(sqlClaims, times, transfers).Query(func(rows pgx.Rows) error {
			var transfer uuid.UUID
			var id string
			_, err := pgx.ForEachRow(rows, []any{&transfer, &id}, func() error {
				m.claimed[transfer] = id
				return nil
			})
			return err
		})
	}
	if len(sources) > 0 {
		batch.Queue(sqlConversionLegs, m.provider, sources).Query(func(rows pgx.Rows) error {
			var source string
			var l leg
			_, err := pgx.ForEachRow(rows, []any{&source, &l.row, &l.amount.Minor, &l.amount.Currency}, func() error {
				for _, have := range m.legs[source] {
					if have.row == l.row {
						return nil
					}
				}
				m.legs[source] = append(m.legs[source], l)
				return nil
			})
			return err
		})
	}
	return tx.SendBatch(ctx, batch).Close()
}

// rowsKey is the primary key of the rows. A row that another transaction has stored meanwhile is looked at again.
const rowsKey = "settlement_rows_pkey"

// claimKey is the index by which a transfer is matched once.
const claimKey = "settlement_rows_by_transfer_time"

// runAgain makes the transaction run again when it met what another stored meanwhile.
func runAgain(err error) error {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && (pgErr.ConstraintName == rowsKey || pgErr.ConstraintName == claimKey) {
		repeat := *pgErr
		repeat.Code = "40001"
		return &repeat
	}
	return err
}

// write stores the page.
func (p *page) write(ctx context.Context, tx pgx.Tx, provider string, reading int64) error {
	batch := &pgx.Batch{}
	p.queueNew(batch, provider, reading)
	p.queueKnown(batch, provider, reading)
	if err := queueItems(batch, provider, reading, p.items); err != nil {
		return err
	}
	return runAgain(tx.SendBatch(ctx, batch).Close())
}

func (c claim) time() pgtype.Timestamptz {
	return pgtype.Timestamptz{Time: c.at, Valid: c.id != uuid.Nil}
}

func nullable(id uuid.UUID) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: id != uuid.Nil} }

// queueNew queues the rows that were never seen.
func (p *page) queueNew(batch *pgx.Batch, provider string, reading int64) {
	var texts [9][]string // row_id, kind, source_ref, payment_ref, currency, presentment_currency, rate, payout_ref, description
	var classes []string
	var days, created []time.Time
	var orders, transfers, bookings, refunds []pgtype.UUID
	var at []pgtype.Timestamptz
	var gross, fees, presentments []int64
	var digests [][]byte
	for i, r := range p.rows {
		v := p.verdicts[i]
		if _, ok := p.known[r.ID]; ok || v.class == "" {
			continue
		}
		for j, text := range []string{r.ID, string(r.Kind), r.SourceRef, r.PaymentRef, r.Gross.Currency, r.Presentment.Currency, r.Rate, r.PayoutRef, r.Description} {
			texts[j] = append(texts[j], text)
		}
		days, created = append(days, r.day()), append(created, r.CreatedAt)
		orders, transfers, bookings = append(orders, nullable(r.order)), append(transfers, nullable(v.transfer.id)), append(bookings, nullable(p.bookingOf(v)))
		at = append(at, v.transfer.time())
		gross, fees, presentments = append(gross, r.Gross.Minor), append(fees, r.Fee.Minor), append(presentments, r.Presentment.Minor)
		digests, classes, refunds = append(digests, r.digest), append(classes, string(v.class)), append(refunds, nullable(r.RefundID))
	}
	if len(classes) == 0 {
		return
	}
	p.counts.New = int64(len(classes))
	batch.Queue(sqlInsertRows, provider, reading, texts[0], days, texts[1], texts[2], texts[3], orders, gross, fees, texts[4], presentments, texts[5],
		texts[6], texts[7], texts[8], created, digests, classes, transfers, bookings, refunds, at)
}

func (p *page) bookingOf(v verdict) uuid.UUID {
	if v.fee == 0 {
		return uuid.Nil
	}
	return p.booking
}

// queueKnown queues what was seen before, and heals its items unless they were raised again.
func (p *page) queueKnown(batch *pgx.Batch, provider string, reading int64) {
	var ids, classes, payouts []string
	var transfers, bookings, orders []pgtype.UUID
	var at []pgtype.Timestamptz
	for i, r := range p.rows {
		v := p.verdicts[i]
		if _, ok := p.known[r.ID]; !ok || v.class == "" {
			continue
		}
		ids, classes, payouts = append(ids, r.ID), append(classes, string(v.class)), append(payouts, r.PayoutRef)
		at = append(at, v.transfer.time())
		transfers, bookings, orders = append(transfers, nullable(v.transfer.id)), append(bookings, nullable(p.bookingOf(v))), append(orders, nullable(r.order))
	}
	if len(ids) == 0 {
		return
	}
	raised := make([]uuid.UUID, len(p.items))
	for i, item := range p.items {
		raised[i] = item.ID
	}
	batch.Queue(sqlUpdateRows, provider, reading, ids, classes, transfers, bookings, payouts, orders, at)
	batch.Queue(sqlHealRows, provider, reading, ids, raised)
	if len(p.healed) > 0 {
		batch.Queue(sqlHealTransfers, p.healed)
	}
}

// queueItems queues items, each once.
func queueItems(batch *pgx.Batch, provider string, reading int64, items []Item) error {
	var ids []uuid.UUID
	var days, since []time.Time
	var classes, rows, currencies, whys, proposals []string
	var transfers []pgtype.UUID
	var minors []int64
	seen := map[uuid.UUID]bool{}
	for _, i := range items {
		if seen[i.ID] {
			continue
		}
		seen[i.ID] = true
		text, err := json.Marshal(i.Proposal)
		if err != nil {
			return fmt.Errorf("write the proposal of item %s: %w", i.ID, err)
		}
		ids, days, classes, rows = append(ids, i.ID), append(days, i.Day), append(classes, string(i.Class)), append(rows, i.RowID)
		transfers, minors, currencies = append(transfers, nullable(i.TransferID)), append(minors, i.Amount.Minor), append(currencies, i.Amount.Currency)
		whys, proposals, since = append(whys, i.Why), append(proposals, string(text)), append(since, i.Since)
	}
	if len(ids) > 0 {
		batch.Queue(sqlRaise, provider, reading, ids, days, classes, rows, transfers, minors, currencies, whys, proposals, since)
	}
	return nil
}
