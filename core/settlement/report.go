package settlement

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Sum is how many there are of something, and their amounts without sign, in minor units.
type Sum struct {
	Count int64 `json:"count"`
	Minor int64 `json:"minor"`
}

// Figures are a day's in one currency.
type Figures struct {
	Currency     string        `json:"currency"`
	Classes      map[Class]Sum `json:"classes"`       // rows by class, transfers ours_only and in_transit; altered and repeated rows beside theirs
	Total        int64         `json:"total"`         // gross of all rows and of what only we have
	Unexplained  int64         `json:"unexplained"`   // of that, in items that are open or rejected
	ExplainedPPM int64         `json:"explained_ppm"` // millionths of Total that are explained
}

// Report is what came of a day.
type Report struct {
	Provider     string    `json:"provider"`
	Day          string    `json:"day"` // 2026-11-25, UTC
	ReadAt       time.Time `json:"read_at"`
	Counts       Counts    `json:"counts"`
	Currencies   []Figures `json:"currencies"`
	ExplainedPPM int64     `json:"explained_ppm"` // of the worst currency
	Open         int64     `json:"open"`          // items
	Overdue      int64     `json:"overdue"`       // of these, those whose time is over
}

// whole is everything in millionths.
const whole = 1_000_000

const sqlDayRows = `
SELECT currency, class, count(*), sum(abs(gross_minor))::INT8
FROM settlement_rows
WHERE provider = $1::TEXT AND day = $2::DATE
GROUP BY currency, class`

// sqlDayItems counts the amount of a row once, however many items it has.
const sqlDayItems = `
SELECT i.currency, i.class, i.row_id = '' AS ours, count(*), sum(i.amount_minor)::INT8,
       sum(CASE WHEN i.state = 'open' THEN 1 ELSE 0 END)::INT8, sum(CASE WHEN i.state = 'open' AND i.since <= $3::TIMESTAMPTZ THEN 1 ELSE 0 END)::INT8
FROM settlement_items AS i
WHERE i.provider = $1::TEXT AND i.day = $2::DATE AND i.state IN ('open', 'rejected')
GROUP BY i.currency, i.class, i.row_id = ''`

const sqlDayUnexplained = `
SELECT u.currency, sum(u.minor)::INT8
FROM (SELECT currency, max(amount_minor) AS minor
      FROM settlement_items
      WHERE provider = $1::TEXT AND day = $2::DATE AND state IN ('open', 'rejected') AND class <> 'matched'
      GROUP BY currency, row_id, CASE WHEN row_id = '' THEN item_id ELSE NULL END) AS u
GROUP BY u.currency`

const sqlReadDay = `SELECT report FROM settlement_days WHERE provider = $1::TEXT AND day = $2::DATE`

// sum adds a day up from what is stored.
func (s *Service) sum(ctx context.Context, provider string, day, now time.Time) (Report, error) {
	report := Report{Provider: provider, Day: day.Format(DayLayout)}
	figures := map[string]*Figures{}
	of := func(currency string) *Figures {
		if figures[currency] == nil {
			figures[currency] = &Figures{Currency: currency, Classes: map[Class]Sum{}}
		}
		return figures[currency]
	}
	var currency string
	var class Class
	var ours bool
	var got Sum
	var open, overdue, minor int64
	batch := &pgx.Batch{}
	batch.Queue(sqlDayRows, provider, day).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&currency, &class, &got.Count, &got.Minor}, func() error {
			f := of(currency)
			f.Classes[class] = got
			f.Total += got.Minor
			return nil
		})
		return err
	})
	batch.Queue(sqlDayItems, provider, day, now.Add(-s.cfg.Grace)).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&currency, &class, &ours, &got.Count, &got.Minor, &open, &overdue}, func() error {
			f := of(currency)
			report.Open += open
			if class != Matched {
				report.Overdue += overdue
			}
			if class == OursOnly {
				f.Classes[class] = got
				f.Total += got.Minor
			}
			if class == Altered {
				f.Classes[class] = got
			}
			return nil
		})
		return err
	})
	batch.Queue(sqlDayUnexplained, provider, day).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&currency, &minor}, func() error {
			of(currency).Unexplained = minor
			return nil
		})
		return err
	})
	if err := s.db.Reader.SendBatch(ctx, batch).Close(); err != nil {
		return Report{}, fmt.Errorf("add up the day: %w", err)
	}
	for _, f := range figures {
		f.ExplainedPPM = explained(f.Total, f.Unexplained)
		report.Currencies = append(report.Currencies, *f)
	}
	report.finish()
	return report, nil
}

// explained is how much of total is explained, in millionths, rounded down: only all of it is everything.
func explained(total, unexplained int64) int64 {
	if total <= 0 || unexplained <= 0 {
		return whole
	}
	if unexplained >= total {
		return 0
	}
	return min(whole-1, int64(float64(total-unexplained)/float64(total)*whole))
}

func (r *Report) finish() {
	slices.SortFunc(r.Currencies, func(a, b Figures) int { return strings.Compare(a.Currency, b.Currency) })
	r.ExplainedPPM = whole
	for _, f := range r.Currencies {
		r.ExplainedPPM = min(r.ExplainedPPM, f.ExplainedPPM)
	}
}

// transit adds what is on its way.
func (r *Report) transit(young transit) {
	for currency, sum := range young {
		at := slices.IndexFunc(r.Currencies, func(f Figures) bool { return f.Currency == currency })
		if at < 0 {
			at = len(r.Currencies)
			r.Currencies = append(r.Currencies, Figures{Currency: currency, Classes: map[Class]Sum{}, ExplainedPPM: whole})
		}
		r.Currencies[at].Classes[InTransit] = sum
	}
	r.finish()
}

// ReadReport is the day as it stands now: what the last reading found, less what was decided since. ErrUnread when it was never read.
func (s *Service) ReadReport(ctx context.Context, provider string, day time.Time) (Report, error) {
	day = Day(day)
	var text string
	err := s.db.Reader.QueryRow(ctx, sqlReadDay, provider, day).Scan(&text)
	if errors.Is(err, pgx.ErrNoRows) {
		return Report{}, fmt.Errorf("%w: %s of %s", ErrUnread, day.Format(DayLayout), provider)
	}
	if err != nil {
		return Report{}, fmt.Errorf("read the report of a day: %w", err)
	}
	var last Report
	if err := json.Unmarshal([]byte(text), &last); err != nil {
		return Report{}, fmt.Errorf("read the report of a day: %w", err)
	}
	now, err := s.db.Now(ctx)
	if err != nil {
		return Report{}, err
	}
	report, err := s.sum(ctx, provider, day, now)
	if err != nil {
		return Report{}, err
	}
	young := transit{}
	for _, f := range last.Currencies {
		if sum, ok := f.Classes[InTransit]; ok {
			young[f.Currency] = sum
		}
	}
	report.Counts, report.ReadAt = last.Counts, last.ReadAt
	report.transit(young)
	return report, nil
}
