package soak

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"fairgate/loadtest"
)

// settled is what core says of one day of one provider's settlement.
type settled struct {
	provider string
	Counts   struct {
		Rows int64 `json:"rows"`
	} `json:"counts"`
	Overdue int64 `json:"overdue"`
	items   []settlementItem
}

// settlementItem is a row or a transfer that was not explained by itself.
type settlementItem struct {
	ID    string `json:"id"`
	Class string `json:"class"`
	Row   string `json:"row"`
	Why   string `json:"why"`
}

// mistakes are the rows that the provider's statement gets wrong on purpose.
type mistakes struct {
	Missing []struct{ Row string } `json:"missing"`
	Extra   []struct{ Row string } `json:"extra"`
	Altered []struct{ Row string } `json:"altered"`
}

// wrong has the made up and the altered rows by id.
func (m *mistakes) wrong() map[string]bool {
	rows := make(map[string]bool, len(m.Extra)+len(m.Altered))
	for _, r := range m.Extra {
		rows[r.Row] = true
	}
	for _, r := range m.Altered {
		rows[r.Row] = true
	}
	return rows
}

// reconcile has core compare the day of the soak with what the providers settled.
func (r *run) reconcile(ctx context.Context) ([]settled, error) {
	day := r.began.UTC().Format(time.DateOnly)
	var all []settled
	for _, provider := range []string{"stripe", "paypal"} {
		s := settled{provider: provider}
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

// checkSettlement asks that reconciliation accuses no row but those that the provider got wrong on purpose.
func (e *evidence) checkSettlement() loadtest.Verdict {
	q := loadtest.Inquire("settlement", "Reconciliation finds what is wrong, nothing else", "rows of settlements")
	for _, s := range e.settled {
		side := e.books.sides()[s.provider]
		wrong := side.Statement.wrong()
		q.Checked(int(s.Counts.Rows))
		q.That(s.Overdue == 0, "%d items of %s are overdue", s.Overdue, s.provider)
		for _, i := range s.items {
			switch i.Class {
			case "duplicated": // of a true row and one made up after it, nobody can tell which is which
				q.That(wrong[i.Row] || names(i.Why, wrong), "row %s of %s is called %s: %s", i.Row, s.provider, i.Class, i.Why)
			case "theirs_only", "amount_differs", "altered":
				q.That(wrong[i.Row], "row %s of %s is called %s: %s", i.Row, s.provider, i.Class, i.Why)
			}
		}
	}
	return q.Verdict()
}

// names tells whether a text names one of the rows.
func names(text string, rows map[string]bool) bool {
	for word := range strings.FieldsSeq(text) {
		if rows[strings.Trim(word, ".:,;")] {
			return true
		}
	}
	return false
}
