package main

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/event"
	"fairgate/ledger"
)

// naiveClients is how many connections ask at once.
const naiveClients = 16

const sqlNaiveIndex = `CREATE INDEX IF NOT EXISTS bench_catalog_by_start ON catalog (starts_at, slug)`

// sqlNaive is the search as SQL, without the total and the facets, and without regard for accents.
const sqlNaive = `
SELECT slug, name, category, summary, venue, city, country, time_zone, starts_at, currency, price_min, price_max
FROM catalog
WHERE state = 'active' AND (starts_at, slug) > ($1::TIMESTAMPTZ, $2::TEXT) AND starts_at >= $3::TIMESTAMPTZ AND starts_at < $4::TIMESTAMPTZ
  AND ($5::TEXT = '' OR city ILIKE $5::TEXT) AND ($6::TEXT = '' OR country = $6::TEXT) AND ($7::TEXT = '' OR category = $7::TEXT)
  AND ($8::TEXT = '' OR currency = $8::TEXT AND price_min <= $9::INT8)
  AND (name || ' ' || performers || ' ' || venue || ' ' || city || ' ' || category || ' ' || tags || ' ' || summary) ILIKE $10::TEXT
  AND (name || ' ' || performers || ' ' || venue || ' ' || city || ' ' || category || ' ' || tags || ' ' || summary) ILIKE $11::TEXT
ORDER BY starts_at, slug
LIMIT 21`

// measureNaive runs the same mix as statements, without any HTTP.
func measureNaive(ctx context.Context, d *db.DB, m *mix, o options) (figures, error) {
	if err := d.InTx(ctx, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, sqlNaiveIndex)
		return err
	}); err != nil {
		return figures{}, err
	}
	return measure(ctx, naiveClients, o, func(int) (asker, error) {
		return func(query string) error { return askSQL(ctx, d, query) }, nil
	}, m.fresh)
}

func askSQL(ctx context.Context, d *db.DB, query string) error {
	v, err := url.ParseQuery(query)
	if err != nil {
		return err
	}
	after, err := event.ParseCursor(v.Get("after"))
	if err != nil {
		return err
	}
	from, to := time.Now().Add(-6*time.Hour), time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
	if text := v.Get("from"); text != "" {
		if from, err = time.Parse(time.DateOnly, text); err != nil {
			return err
		}
		if to, err = time.Parse(time.DateOnly, v.Get("to")); err != nil {
			return err
		}
		to = to.AddDate(0, 0, 1)
	}
	var most int64
	if text := v.Get("price_max"); text != "" {
		amount, err := ledger.ParseAmount(text, v.Get("currency"))
		if err != nil {
			return err
		}
		most = amount.Minor
	}
	likes := []string{"%", "%"}
	for i, w := range strings.Fields(v.Get("q")) {
		if i < len(likes) {
			likes[i] = "%" + w + "%"
		}
	}
	rows, err := d.Reader.Query(ctx, sqlNaive, after.StartsAt, after.Slug, from, to, v.Get("city"), v.Get("country"), v.Get("category"), v.Get("currency"),
		most, likes[0], likes[1])
	if err != nil {
		return err
	}
	_, err = pgx.CollectRows(rows, pgx.RowToMap)
	return err
}
