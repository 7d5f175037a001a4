package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

const (
	sealRows  = 1000 // transfers that one seal covers at most
	sealParts = 20   // seals that one call makes at most, so that a long backlog becomes a series of short transactions
)

// sealTag separates these hashes from every other use of SHA-256.
const sealTag = "fairgate-ledger-seal-v1"

const sqlWriterAfter = `
SELECT writer
FROM ledger_transfers
WHERE writer > $1::UUID
ORDER BY writer
LIMIT 1`

const sqlLastSeal = `
SELECT last_sequence, hash
FROM ledger_seals
WHERE writer = $1::UUID
ORDER BY last_sequence DESC
LIMIT 1`

const sqlUnsealed = `
SELECT transfer_id, debit_account, credit_account, amount_minor, currency, code, reference, kind, prior_id, sequence, created_at
FROM ledger_transfers
WHERE writer = $1::UUID AND sequence > $2::INT8
ORDER BY sequence
LIMIT $3::INT8`

const sqlInsertSeal = `
INSERT INTO ledger_seals (writer, last_sequence, first_sequence, hash, sealed_at)
VALUES ($1::UUID, $2::INT8, $3::INT8, $4::BYTEA, now())`

// Seal chains the writer's next unsealed transfers, at most 20,000, and returns how many. After a long pause call it until it returns
// 0, each time in a serializable transaction of its own. It refuses to seal across a gap in the numbers.
func (w *Writer) Seal(ctx context.Context, tx pgx.Tx) (int, error) {
	return sealWriter(ctx, tx, w.incarnation)
}

// Writers lists every incarnation that has recorded transfers, for sealing what a process left unsealed when it died.
func Writers(ctx context.Context, q Querier) ([]uuid.UUID, error) {
	var writers []uuid.UUID
	var last uuid.UUID
	for {
		err := q.QueryRow(ctx, sqlWriterAfter, last).Scan(&last)
		if errors.Is(err, pgx.ErrNoRows) {
			return writers, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list writers: %w", err)
		}
		writers = append(writers, last)
	}
}

// SealOrphan is Seal for the transfers of a process that is gone.
func SealOrphan(ctx context.Context, tx pgx.Tx, writer uuid.UUID) (int, error) {
	return sealWriter(ctx, tx, writer)
}

func sealWriter(ctx context.Context, tx pgx.Tx, writer uuid.UUID) (int, error) {
	sealed := 0
	for range sealParts {
		n, err := sealPart(ctx, tx, writer)
		if err != nil {
			return 0, err
		}
		sealed += n
		if n < sealRows {
			break
		}
	}
	return sealed, nil
}

// sealPart adds one seal to the writer's chain, unless there is nothing to seal.
func sealPart(ctx context.Context, tx pgx.Tx, writer uuid.UUID) (int, error) {
	var last int64
	var head []byte
	err := tx.QueryRow(ctx, sqlLastSeal, writer).Scan(&last, &head)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return 0, fmt.Errorf("read the last seal: %w", err)
	}
	rows, err := tx.Query(ctx, sqlUnsealed, writer, last, sealRows)
	if err != nil {
		return 0, fmt.Errorf("read unsealed transfers: %w", err)
	}
	defer rows.Close()
	sum := newSealHash(head)
	count := 0
	for rows.Next() {
		r := sealedRow{writer: writer}
		if err := r.scan(rows); err != nil {
			return 0, fmt.Errorf("read unsealed transfers: %w", err)
		}
		count++
		if r.sequence != last+int64(count) {
			return 0, fmt.Errorf("seal writer %s: transfer %d is missing", writer, last+int64(count))
		}
		r.hashInto(sum)
	}
	if err := rows.Err(); err != nil {
		return 0, fmt.Errorf("read unsealed transfers: %w", err)
	}
	if count == 0 {
		return 0, nil
	}
	if _, err := tx.Exec(ctx, sqlInsertSeal, writer, last+int64(count), last+1, sum.Sum(nil)); err != nil {
		return 0, fmt.Errorf("insert seal: %w", err)
	}
	return count, nil
}

// sealedRow is a transfer with everything a seal covers.
type sealedRow struct {
	id uuid.UUID
	row
	writer   uuid.UUID
	sequence int64
	at       time.Time
}

func (r *sealedRow) scan(rows pgx.Rows) error {
	var prior pgtype.UUID
	err := rows.Scan(&r.id, &r.debit, &r.credit, &r.minor, &r.currency, &r.code, &r.reference, &r.kind, &prior, &r.sequence, &r.at)
	r.prior = prior.Bytes
	return err
}

// newSealHash starts a seal: the tag, then the hash of the writer's previous seal, or 32 zero bytes for its first.
func newSealHash(previous []byte) hash.Hash {
	h := sha256.New()
	h.Write([]byte(sealTag))
	var link [sha256.Size]byte
	copy(link[:], previous)
	h.Write(link[:])
	return h
}

// hashInto adds the canonical bytes of a transfer. Integers are big-endian; texts carry their length before them.
//
//	transfer id 16 · debit account 16 · credit account 16 · amount 8 · currency 1+n · code 1+n · reference 16 · kind 1+n ·
//	prior id 16 (zero when none) · writer 16 · sequence 8 · created at, microseconds since 1970, 8
func (r *sealedRow) hashInto(h hash.Hash) {
	b := make([]byte, 0, 256)
	b = append(b, r.id[:]...)
	b = append(b, r.debit[:]...)
	b = append(b, r.credit[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.minor))
	b = appendText(b, r.currency)
	b = appendText(b, r.code)
	b = append(b, r.reference[:]...)
	b = appendText(b, string(r.kind))
	b = append(b, r.prior[:]...)
	b = append(b, r.writer[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.sequence))
	b = binary.BigEndian.AppendUint64(b, uint64(r.at.UnixMicro()))
	h.Write(b)
}

// appendText writes a length byte and the text. Nothing this package records is longer than 255 bytes; what somebody else made
// longer hashes to something a seal cannot have.
func appendText(b []byte, s string) []byte {
	b = append(b, byte(min(len(s), 255)))
	return append(b, s...)
}
