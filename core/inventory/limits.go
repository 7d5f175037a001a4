package inventory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/edge/lottery"
)

// Mark is something else by which a buyer is known: an account, a browser, a network address or a card, never as it is but
// hashed with a key. The zero Mark is of those whose mark nobody could tell; they count together.
type Mark [16]byte

// Marks are those of a request.
type Marks struct {
	Account Mark
	Device  Mark
	Address Mark
}

// Limits are the most units that one of each may hold and own within a scope; 0 means no limit, and no row and no time for
// it. Cards are not among them: they are known when a payment is authorized, see CountCards.
type Limits struct {
	Account int
	Device  int
	Address int
}

// Tour is a set of events that share limits. The zero Tour is none.
type Tour struct {
	ID     uuid.UUID // TourID
	Limits Limits
}

var tourSpace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("fairgate:tour"))

// TourID is the scope of a tour's limits.
func TourID(name string) uuid.UUID { return uuid.NewSHA1(tourSpace, []byte(name)) }

// The kinds of quota: what a buyer key is.
const (
	kindEntrant = "entrant"
	kindAccount = "account"
	kindDevice  = "device"
	kindAddress = "address"
	kindCard    = "card"
)

// What is wrong with a request that is over a limit, by the kind of limit. Each is ErrOverLimit as well.
var (
	ErrOverAccountLimit = fmt.Errorf("%w: by account", ErrOverLimit)
	ErrOverDeviceLimit  = fmt.Errorf("%w: by device", ErrOverLimit)
	ErrOverAddressLimit = fmt.Errorf("%w: by address", ErrOverLimit)
	ErrOverCardLimit    = fmt.Errorf("%w: by card", ErrOverLimit)
)

// OverLimit says which limit a request would break and what is left under it.
type OverLimit struct {
	kind  string
	Tour  bool // the limit is of the tour, not of the event
	Limit int64
	Left  int64
}

func (o *OverLimit) Error() string {
	of := "event"
	if o.Tour {
		of = "tour"
	}
	return fmt.Sprintf("%v: %d of %d are left for the %s in this %s", ErrOverLimit, o.Left, o.Limit, o.kind, of)
}

// Whose says of whom there may be no more, as in "4 tickets per buyer".
func (o *OverLimit) Whose() string {
	switch o.kind {
	case kindAccount:
		return "per account"
	case kindDevice:
		return "per browser"
	case kindAddress:
		return "per network address"
	case kindCard:
		return "per card"
	default:
		return "per buyer"
	}
}

// Unwrap is the error of the kind of limit.
func (o *OverLimit) Unwrap() error {
	switch o.kind {
	case kindAccount:
		return ErrOverAccountLimit
	case kindDevice:
		return ErrOverDeviceLimit
	case kindAddress:
		return ErrOverAddressLimit
	case kindCard:
		return ErrOverCardLimit
	default:
		return ErrOverLimit
	}
}

// over is the refusal of units more than a count has left.
func (c *count) over(event uuid.UUID, taken int64) error {
	return &OverLimit{kind: c.kind, Tour: c.scope != event, Limit: c.limit, Left: max(c.limit-taken, 0)}
}

// countsOf are the limits that a request's hold counts in: the entrant's always, by whose row a repeated request is known,
// and those that the offer has.
func countsOf(r *Request, offer *Offer) []count {
	counts := make([]count, 0, 1+offer.limited)
	counts = append(counts, newCount(r.Event, kindEntrant, r.Entrant, offer.limit()))
	if offer.limited == 0 {
		return counts
	}
	add := func(scope uuid.UUID, l Limits) {
		for _, k := range [...]struct {
			kind  string
			mark  Mark
			limit int
		}{{kindAccount, r.Marks.Account, l.Account}, {kindDevice, r.Marks.Device, l.Device}, {kindAddress, r.Marks.Address, l.Address}} {
			if k.limit > 0 {
				counts = append(counts, newCount(scope, k.kind, lottery.Entrant(k.mark), int64(k.limit)))
			}
		}
	}
	add(r.Event, offer.Limits)
	if offer.Tour.ID != uuid.Nil {
		add(offer.Tour.ID, offer.Tour.Limits)
	}
	return counts
}

// number is how many limits there are.
func (l Limits) number() (n int) {
	for _, limit := range [...]int{l.Account, l.Device, l.Address} {
		if limit > 0 {
			n++
		}
	}
	return n
}

// others are the ids of a grant's rows of quota besides the entrant's, as the hold remembers them.
func others(counts []count) [][16]byte {
	if len(counts) <= 1 {
		return nil
	}
	ids := make([][16]byte, len(counts)-1)
	for i := range ids {
		ids[i] = counts[i+1].id
	}
	return ids
}

// CardCount is a sold hold's units counted under a limit on cards.
type CardCount struct {
	Hold  uuid.UUID
	Event uuid.UUID
	Scope uuid.UUID // the event or its tour
	Card  Mark
	Units int
	Limit int
}

// QuotaID names the row that counts the card in its scope.
func (c *CardCount) QuotaID() uuid.UUID { return c.count().id }

func (c *CardCount) count() count {
	return newCount(c.Scope, kindCard, lottery.Entrant(c.Card), int64(c.Limit))
}

// Over is the refusal of a card of which so many units are taken.
func (c *CardCount) Over(taken int64) error {
	k := c.count()
	if taken+int64(c.Units) <= k.limit {
		return nil
	}
	return k.over(c.Event, taken)
}

const sqlReadTaken = `
SELECT q.quota_id, q.taken
FROM unnest($1::UUID[]) AS k (quota_id)
JOIN quota AS q ON q.quota_id = k.quota_id`

// Taken reads how many units are counted in rows of quota; rows that do not exist are missing from the map.
func Taken(ctx context.Context, q Querier, ids []uuid.UUID) (map[uuid.UUID]int64, error) {
	taken := make(map[uuid.UUID]int64, len(ids))
	rows, err := q.Query(ctx, sqlReadTaken, raw(ids))
	if err != nil {
		return nil, fmt.Errorf("read quotas: %w", err)
	}
	var id uuid.UUID
	var n int64
	_, err = pgx.ForEachRow(rows, []any{(*[16]byte)(&id), &n}, func() error {
		taken[id] = n
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read quotas: %w", err)
	}
	return taken, nil
}

const sqlCountCards = `
INSERT INTO quota AS q (quota_id, scope_id, kind, buyer, taken, max_units)
SELECT k.quota_id, k.scope_id, 'card', k.buyer, k.units, k.max_units
FROM unnest($1::UUID[], $2::UUID[], $3::BYTEA[], $4::INT8[], $5::INT8[]) AS k (quota_id, scope_id, buyer, units, max_units)
ON CONFLICT (quota_id) DO UPDATE SET taken = q.taken + excluded.taken, max_units = excluded.max_units
WHERE q.taken + excluded.taken <= excluded.max_units`

const sqlRememberCounts = `
UPDATE holds AS h SET quotas = h.quotas || k.quotas
FROM unnest($1::UUID[], $2::BYTEA[]) AS k (hold_id, quotas)
WHERE h.hold_id = k.hold_id AND h.state = 'sold'`

// ErrOutdated means that a guard failed: rows have changed since they were read. Read them again.
var ErrOutdated = errors.New("inventory: the rows are no longer as they were read")

// CountCards counts sold holds under limits on cards, inside the transaction that sells them, and has the holds remember
// it: whatever gives their units back gives the cards' back too. A limit that would be broken is ErrOutdated: the caller
// has read what was taken before, and decided that it fits.
func CountCards(ctx context.Context, tx pgx.Tx, counts []CardCount) error {
	sums := make(map[uuid.UUID]*quotaChange, len(counts))
	remembered := make(map[uuid.UUID][]byte, len(counts))
	for i := range counts {
		c := counts[i].count()
		if sums[c.id] == nil {
			sums[c.id] = &quotaChange{count: c}
		}
		sums[c.id].units += int64(counts[i].Units)
		remembered[counts[i].Hold] = append(remembered[counts[i].Hold], c.id[:]...)
	}
	changes := make([]*quotaChange, 0, len(sums))
	for _, c := range sums {
		if c.units > c.limit {
			return fmt.Errorf("count cards: %w", ErrOutdated) // a new row has no older one to compare with
		}
		changes = append(changes, c)
	}
	slices.SortFunc(changes, func(a, b *quotaChange) int { return bytes.Compare(a.id[:], b.id[:]) })
	rows := newQuotaRows(len(changes))
	scopes, cards := make([][16]byte, len(changes)), make([][]byte, len(changes))
	for i, c := range changes {
		rows.add(c)
		scopes[i], cards[i] = c.scope, c.buyer[:]
	}
	tag, err := tx.Exec(ctx, sqlCountCards, rows.ids, scopes, cards, rows.units, rows.limits)
	if err != nil {
		return fmt.Errorf("count cards: %w", err)
	}
	if tag.RowsAffected() != int64(len(changes)) {
		return fmt.Errorf("count cards: %d of %d rows: %w", tag.RowsAffected(), len(changes), ErrOutdated)
	}
	holds := make([]uuid.UUID, 0, len(remembered))
	for id := range remembered {
		holds = append(holds, id)
	}
	holds = inOrder(holds)
	quotas := make([][]byte, len(holds))
	for i, id := range holds {
		quotas[i] = remembered[id]
	}
	if tag, err = tx.Exec(ctx, sqlRememberCounts, raw(holds), quotas); err != nil {
		return fmt.Errorf("remember what holds count in: %w", err)
	}
	if tag.RowsAffected() != int64(len(holds)) {
		return fmt.Errorf("remember what holds count in: %d of %d: %w", tag.RowsAffected(), len(holds), ErrOutdated)
	}
	return nil
}
