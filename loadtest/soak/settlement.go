package soak

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"fairgate/loadtest"
)

// settled is what core says of one day of one provider's settlement.
type settled struct {
	provider string
	day      string
	Counts   struct {
		Rows int64 `json:"rows"`
	} `json:"counts"`
	Overdue int64 `json:"overdue"`
	items   []settlementItem
}

// settlementItem is a row or a transfer that was not explained by itself.
type settlementItem struct {
	ID     string `json:"id"`
	Class  string `json:"class"`
	Row    string `json:"row"`
	Amount struct {
		Minor int64 `json:"minor"`
	} `json:"amount"`
	Why string `json:"why"`
}

// mistake is a row that the provider's statement gets wrong on purpose.
type mistake struct {
	Row     string `json:"row"`
	Type    string `json:"type"`
	Order   string `json:"order"`
	Payment string `json:"payment"`
	Amount  int64  `json:"amount"` // that truly moved
	Shown   int64  `json:"shown"`
	Created int64  `json:"created"`
}

// mistakes are all of them: rows that are not there, rows made up beside a true one that is alike, and rows with another amount.
type mistakes struct {
	Missing []mistake `json:"missing"`
	Extra   []mistake `json:"extra"`
	Altered []mistake `json:"altered"`
}

// reconcile has core compare the day of the soak with what the providers settled.
func (r *run) reconcile(ctx context.Context) ([]settled, error) {
	day := r.began.UTC().Format(time.DateOnly)
	var all []settled
	for _, provider := range []string{"stripe", "paypal"} {
		s := settled{provider: provider, day: day}
		path := "/admin/v1/settlement/" + provider + "/days/" + day
		if status := r.operate(ctx, 0, http.MethodPost, path, "", []byte("{}"), &s); status != http.StatusOK {
			return nil, fmt.Errorf("reconcile %s: status %d", provider, status)
		}
		for after := ""; ; {
			var page struct {
				Items []settlementItem `json:"items"`
				Next  string           `json:"next"`
			}
			if status := r.operate(ctx, 0, http.MethodGet, path+"/items?state=open&limit=500&after="+after, "", nil, &page); status != http.StatusOK {
				return nil, fmt.Errorf("list what is not explained of %s: status %d", provider, status)
			}
			s.items = append(s.items, page.Items...)
			if after = page.Next; after == "" {
				break
			}
		}
		all = append(all, s)
	}
	return all, nil
}

// checkSettlement asks that reconciliation accuses every row that the provider got wrong on purpose, once, and no other. Refunds that
// failed are no excuse: their rows, and those of their return, are in the books like any other.
func (e *evidence) checkSettlement() loadtest.Verdict {
	q := loadtest.Inquire("settlement", "Reconciliation finds what is wrong, nothing else", "rows of settlements")
	for _, s := range e.settled {
		statement := e.books.sides()[s.provider].Statement
		q.Checked(int(s.Counts.Rows))
		q.That(s.Overdue == 0, "%d items of %s are overdue", s.Overdue, s.provider)
		accused := make(map[string]int)
		for _, i := range s.items {
			switch i.Class {
			case "duplicated", "theirs_only", "amount_differs", "altered":
				row, ok := statement.meant(i)
				q.That(ok, "row %s of %s is called %s: %s", i.Row, s.provider, i.Class, i.Why)
				accused[row]++
			}
		}
		for _, m := range slices.Concat(statement.Extra, statement.Altered) {
			if s.day != time.Unix(m.Created, 0).UTC().Format(time.DateOnly) {
				continue // not asked about
			}
			q.Checked(1)
			n := accused[m.Row]
			q.That(n == 1 || n == 0 && statement.hides(m), "row %s of %s (%s, order %s, %d shown as %d) is wrong and accused %d times", m.Row, s.provider, m.Type, m.Order,
				m.Amount, m.Shown, n)
		}
	}
	return q.Verdict()
}

// meant is the wrong row that an item accuses. Of a true row and one made up beside it, alike in everything but the name, nobody can tell
// which is which: whichever is read second is called the other's duplicate. So the true one may be accused in the place of the made-up
// one, if that is the one it is said to repeat, is of the same amount, and is not itself accused.
func (m *mistakes) meant(i settlementItem) (row string, ok bool) {
	for _, wrong := range slices.Concat(m.Extra, m.Altered) {
		if wrong.Row == i.Row {
			return wrong.Row, true
		}
	}
	if i.Class != "duplicated" {
		return "", false
	}
	for _, extra := range m.Extra {
		if names(i.Why, extra.Row) && names(i.Why, extra.Order) && abs(extra.Shown) == abs(i.Amount.Minor) {
			return extra.Row, true
		}
	}
	return "", false
}

// hides tells whether nobody can find a mistake: the true row of a made-up one is missing, or has another amount (and is accused for
// that), so that the made-up one takes its place.
func (m *mistakes) hides(wrong mistake) bool {
	return slices.ContainsFunc(slices.Concat(m.Missing, m.Altered), func(gone mistake) bool {
		return gone.Row != wrong.Row && gone.Type == wrong.Type && gone.Order == wrong.Order && gone.Payment == wrong.Payment && gone.Amount == wrong.Shown
	})
}

// names tells whether a text has a word.
func names(text, word string) bool {
	for w := range strings.FieldsSeq(text) {
		if word != "" && strings.Trim(w, ".:,;") == word {
			return true
		}
	}
	return false
}

func abs(n int64) int64 { return max(n, -n) }
