package checkout

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"fairgate/core/payment"
)

// A dispute that is listed and cannot be booked (another currency, somebody else's payment, one that makes no sense) is said in the
// log once, and remembered as it was listed, so that it is not news with every reading. Listed otherwise it is looked at again.

const sqlUnbookedDisputes = `SELECT ref, state, listed_at FROM disputes_unbooked WHERE provider = $1 AND ref = ANY($2::TEXT[])`

const sqlKeepUnbooked = `
INSERT INTO disputes_unbooked (provider, ref, state, listed_at, looked_at) VALUES ($1, $2, $3, $4, now())
ON CONFLICT (provider, ref) DO UPDATE SET state = EXCLUDED.state, listed_at = EXCLUDED.listed_at, looked_at = EXCLUDED.looked_at`

const sqlForgetUnbooked = `DELETE FROM disputes_unbooked WHERE provider = $1 AND listed_at < $2`

// unbooked finds those of refs that were looked at and not booked, as they were listed then.
func (s *Service) unbooked(ctx context.Context, provider string, refs []string) (map[string]payment.ListedDispute, error) {
	rows, err := s.db.Reader.Query(ctx, sqlUnbookedDisputes, provider, refs)
	if err != nil {
		return nil, fmt.Errorf("find the disputes that are not booked: %w", err)
	}
	all := make(map[string]payment.ListedDispute)
	var d payment.ListedDispute
	if _, err := pgx.ForEachRow(rows, []any{&d.Ref, &d.State, &d.At}, func() error { all[d.Ref] = d; return nil }); err != nil {
		return nil, fmt.Errorf("find the disputes that are not booked: %w", err)
	}
	return all, nil
}

// listedAs tells whether a dispute is listed as it was before. The database keeps microseconds.
func listedAs(d, before payment.ListedDispute) bool {
	return before.Ref == d.Ref && before.State == d.State && before.At.Equal(d.At.Truncate(time.Microsecond))
}

// keepUnbooked remembers a dispute as it is listed.
func (s *Service) keepUnbooked(ctx context.Context, provider string, d payment.ListedDispute) error {
	if _, err := s.db.Exec(ctx, sqlKeepUnbooked, provider, d.Ref, string(d.State), d.At.Truncate(time.Microsecond)); err != nil {
		return fmt.Errorf("remember that it is not booked: %w", err)
	}
	return nil
}

// forgetUnbooked forgets what no further reading goes back to. Providers may round the time since when they list.
func (s *Service) forgetUnbooked(ctx context.Context, l *listing) error {
	mark := l.mark
	if l.reached.After(mark) {
		mark = l.reached
	}
	if _, err := s.db.Exec(ctx, sqlForgetUnbooked, l.provider, mark.Add(-2*listingOverlap)); err != nil {
		return fmt.Errorf("forget disputes that are not booked: %w", err)
	}
	return nil
}
