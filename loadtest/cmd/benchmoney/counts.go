package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"sort"
	"strconv"
	"strings"

	"fairgate/core/db"
)

// counts are figures that only grow, by name: core's metrics, and what the database counts of itself under "db_".
type counts map[string]float64

const sqlTransactions = `SELECT xact_commit, xact_rollback FROM pg_stat_database WHERE datname = current_database()`

const sqlLog = `SELECT wal_sync, wal_bytes::INT8 FROM pg_stat_wal`

// counted reads the counts as they are now. What a database does not count is left out.
func (w *world) counted(ctx context.Context) counts {
	c := counts{}
	if resp, err := http.Get("http://" + w.private + "/metrics"); err == nil {
		c.read(resp.Body)
		resp.Body.Close()
	}
	if w.db.Engine != db.PostgreSQL {
		return c
	}
	var first, second int64
	if err := w.db.Reader.QueryRow(ctx, sqlTransactions).Scan(&first, &second); err == nil {
		c["db_committed"], c["db_rolled_back"] = float64(first), float64(second)
	}
	if err := w.db.Reader.QueryRow(ctx, sqlLog).Scan(&first, &second); err == nil { // since PostgreSQL 14
		c["db_syncs"], c["db_log_bytes"] = float64(first), float64(second)
	}
	return c
}

// read takes in a page of metrics.
func (c counts) read(page io.Reader) {
	lines := bufio.NewScanner(page)
	for lines.Scan() {
		name, text, ok := strings.Cut(lines.Text(), " ")
		if value, err := strconv.ParseFloat(text, 64); ok && err == nil {
			c[name] = value
		}
	}
}

// since is by how much the counts have grown.
func (c counts) since(before counts) counts {
	grown := make(counts, len(c))
	for name, value := range c {
		grown[name] = value - before[name]
	}
	return grown
}

// print says what a purchase costs the database, and how well work is done together in the lanes.
func (c counts) print(out io.Writer, purchases, seconds float64) {
	const lane = `core_db_lane_commits_total{lane="`
	fmt.Fprintln(out, "\nof a purchase")
	for _, row := range []struct{ said, name string }{
		{"transactions", "db_committed"}, {"rolled back", "db_rolled_back"}, {"syncs of the log", "db_syncs"}, {"bytes of the log", "db_log_bytes"},
		{"retries of core", "core_db_tx_retries_total"}, {"webhooks stored", `core_webhooks_total{result="stored"}`},
		{"webhooks handled", `core_webhooks_handled_total{result="done"}`}, {"steps of the outbox", `core_outbox_runs_total{result="done"}`},
		{"searches for steps", "core_outbox_claims_total"},
	} {
		if value, counted := c[row.name]; counted {
			fmt.Fprintf(out, "%-22s %10.2f\n", row.said, value/purchases)
		}
	}
	var lanes []string
	for name, value := range c {
		if rest, is := strings.CutPrefix(name, lane); is && value > 0 {
			lanes = append(lanes, strings.TrimSuffix(rest, `"}`))
		}
	}
	sort.Strings(lanes)
	fmt.Fprintf(out, "\n%-22s %10s %10s %10s %10s\n", "done together by core", "a second", "each of", "ms", "a purchase")
	for _, name := range lanes {
		label := `{lane="` + name + `"}`
		commits, asks := c["core_db_lane_commits_total"+label], c["core_db_lane_batch_size_sum"+label]
		fmt.Fprintf(out, "%-22s %10.1f %10.1f %10.1f %10.2f\n", name, commits/seconds, asks/commits,
			c["core_db_lane_commit_seconds_sum"+label]/commits*1000, asks/purchases)
	}
}
