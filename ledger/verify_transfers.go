package ledger

import (
	"bytes"
	"context"
	"fmt"
	"hash"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// sqlVerifyTransfers reads transfers in the order of their seals, each answer together with what it names.
const sqlVerifyTransfers = `
SELECT t.transfer_id, t.debit_account, t.credit_account, t.amount_minor, t.currency, t.code, t.reference, t.kind, t.prior_id,
       t.writer, t.sequence, t.created_at,
       p.kind, p.debit_account, p.credit_account, p.amount_minor, p.currency, p.reference
FROM ledger_transfers AS t
LEFT JOIN ledger_transfers AS p ON p.transfer_id = t.prior_id
WHERE (t.writer, t.sequence) > ($1::UUID, $2::INT8)
ORDER BY t.writer, t.sequence
LIMIT $3::INT8`

const sqlVerifySeals = `
SELECT writer, last_sequence, first_sequence, hash
FROM ledger_seals
WHERE (writer, last_sequence) > ($1::UUID, $2::INT8)
ORDER BY writer, last_sequence
LIMIT $3::INT8`

// verifiedRow is a transfer with the one it answers, if that exists.
type verifiedRow struct {
	sealedRow
	named    bool
	namedRow row
}

func (r *verifiedRow) scan(rows pgx.Rows) error {
	var prior, debit, credit, reference pgtype.UUID
	var kind, currency pgtype.Text
	var minor pgtype.Int8
	err := rows.Scan(&r.id, &r.debit, &r.credit, &r.minor, &r.currency, &r.code, &r.reference, &r.kind, &prior,
		&r.writer, &r.sequence, &r.at, &kind, &debit, &credit, &minor, &currency, &reference)
	r.prior = prior.Bytes
	r.named = kind.Valid
	r.namedRow = row{debit: debit.Bytes, credit: credit.Bytes, minor: minor.Int64, currency: currency.String, kind: Kind(kind.String), reference: reference.Bytes}
	return err
}

func (v *verification) readTransfers(ctx context.Context) error {
	seals := &sealReader{v: v}
	if err := seals.fill(ctx); err != nil {
		return err
	}
	var writer uuid.UUID
	var sequence int64
	for n := verifyRows; n == verifyRows; {
		page, err := v.transferPage(ctx, writer, sequence)
		if err != nil {
			return err
		}
		n = len(page)
		for i := range page {
			r := &page[i]
			expected := sequence + 1
			if r.writer != writer {
				expected = 1
			}
			v.gapless.expect(r.sequence == expected, "writer %s goes from %d to %d", r.writer, expected-1, r.sequence)
			writer, sequence = r.writer, r.sequence
			v.checkTransfer(r)
			if err := seals.pass(ctx, r); err != nil {
				return err
			}
		}
	}
	return seals.finish(ctx)
}

func (v *verification) transferPage(ctx context.Context, writer uuid.UUID, sequence int64) ([]verifiedRow, error) {
	rows, err := v.tx.Query(ctx, sqlVerifyTransfers, writer, sequence, verifyRows)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	page := make([]verifiedRow, 0, verifyRows)
	for rows.Next() {
		var r verifiedRow
		if err := r.scan(rows); err != nil {
			return nil, err
		}
		page = append(page, r)
	}
	return page, rows.Err()
}

func (v *verification) checkTransfer(r *verifiedRow) {
	v.transfers++
	debit, credit := v.accounts[r.debit], v.accounts[r.credit]
	answers := r.kind.answers()
	v.wellFormed.expect(r.minor > 0 && r.debit != r.credit && debit != nil && credit != nil &&
		debit.stored.Currency == r.currency && credit.stored.Currency == r.currency &&
		(answers || r.kind == Single || r.kind == Pending) && answers == (r.prior != uuid.Nil) &&
		bytes.Equal(r.id[:referenceBytes], r.reference[:referenceBytes]),
		"transfer %s of %s: %s of %d %s from %s to %s", r.id, r.reference, r.kind, r.minor, r.currency, r.debit, r.credit)
	if answers {
		v.answered.expect(r.named && r.kind.mayAnswer(r.namedRow.kind) && r.repeats(&r.namedRow) && r.id == answerID(r.reference, r.prior, r.kind),
			"transfer %s: %s of %s, which %s", r.id, r.kind, r.prior, r.complaint())
	}
	if debit != nil {
		debit.overflow = !debit.computed.move(r.kind, r.minor, true) || debit.overflow
	}
	if credit != nil {
		credit.overflow = !credit.computed.move(r.kind, r.minor, false) || credit.overflow
	}
}

func (r *verifiedRow) complaint() string {
	switch {
	case !r.named:
		return "does not exist"
	case !r.kind.mayAnswer(r.namedRow.kind):
		return fmt.Sprintf("is %s and takes none", r.namedRow.kind)
	case !r.repeats(&r.namedRow):
		return "has other accounts, another amount or another reference"
	}
	return "may be answered once, under another id"
}

// seal is one row of ledger_seals.
type seal struct {
	writer      uuid.UUID
	first, last int64
	hash        []byte
}

// sealReader walks the seals in step with the transfers they cover.
type sealReader struct {
	v        *verification
	page     []seal
	full     bool // the page was full: there may be more seals
	previous seal
	sum      hash.Hash // of the seal at the head of page, nil before its first transfer
	unsealed int64
}

// fill reads on when the page is used up.
func (s *sealReader) fill(ctx context.Context) error {
	if len(s.page) > 0 || s.previous.hash != nil && !s.full {
		return nil
	}
	rows, err := s.v.tx.Query(ctx, sqlVerifySeals, s.previous.writer, s.previous.last, verifyRows)
	if err != nil {
		return err
	}
	s.page, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (seal, error) {
		var one seal
		err := r.Scan(&one.writer, &one.last, &one.first, &one.hash)
		return one, err
	})
	s.full = len(s.page) == verifyRows
	return err
}

// pass hands the next transfer to the seal that covers it, closing seals whose transfers are missing on the way.
func (s *sealReader) pass(ctx context.Context, r *verifiedRow) error {
	for len(s.page) > 0 {
		head := s.page[0]
		order := bytes.Compare(head.writer[:], r.writer[:])
		if order > 0 {
			break
		}
		if order == 0 && r.sequence <= head.last {
			if s.sum == nil {
				s.sum = newSealHash(s.link(head))
			}
			r.hashInto(s.sum)
			if r.sequence < head.last {
				return nil
			}
			return s.close(ctx)
		}
		if err := s.close(ctx); err != nil {
			return err
		}
	}
	s.unsealed++
	return nil
}

// link is the hash the seal must build on: the writer's previous one, or nothing for its first.
func (s *sealReader) link(head seal) []byte {
	if s.previous.writer == head.writer {
		return s.previous.hash
	}
	return nil
}

// close compares the seal at the head with the transfers that passed, and goes to the next.
func (s *sealReader) close(ctx context.Context) error {
	head := s.page[0]
	first := int64(1)
	if s.previous.writer == head.writer {
		first = s.previous.last + 1
	}
	s.v.chains.expect(s.sum != nil && head.first == first && bytes.Equal(s.sum.Sum(nil), head.hash),
		"writer %s: transfers %d to %d are not those that were sealed", head.writer, head.first, head.last)
	s.previous, s.page, s.sum = head, s.page[1:], nil
	return s.fill(ctx)
}

// finish closes the seals after the last transfer: all of them cover something that is gone.
func (s *sealReader) finish(ctx context.Context) error {
	for len(s.page) > 0 {
		if err := s.close(ctx); err != nil {
			return err
		}
	}
	if s.unsealed > 0 && s.v.chains.Failed == 0 {
		s.v.chains.Detail = fmt.Sprintf("%d transfers not sealed yet", s.unsealed)
	}
	return nil
}
