package notify

import (
	"context"
	"fmt"

	"github.com/VictoriaMetrics/metrics"
)

// Metrics of the process, and of the table where they are gauges.
var (
	mailsSent      = metrics.NewCounter(`core_mails_total{result="sent"}`)
	mailsMoot      = metrics.NewCounter(`core_mails_total{result="moot"}`)
	mailsBounced   = metrics.NewCounter(`core_mails_total{result="bounced"}`)
	mailsDead      = metrics.NewCounter(`core_mails_total{result="dead"}`)
	mailsRetried   = metrics.NewCounter(`core_mails_total{result="retried"}`)
	mailsPostponed = metrics.NewCounter(`core_mails_total{result="postponed"}`)
	sendSeconds    = metrics.NewHistogram(`core_mail_send_seconds`)
	databaseErrors = metrics.NewCounter(`core_mail_database_errors_total`)

	readyNow      = metrics.NewGauge(`core_mails{state="ready"}`, nil)
	bouncedNow    = metrics.NewGauge(`core_mails{state="bounced"}`, nil)
	deadNow       = metrics.NewGauge(`core_mails{state="dead"}`, nil)
	oldestSeconds = metrics.NewGauge(`core_mails_oldest_seconds`, nil) // since the oldest mail that waits was queued
)

// Mails are counted up to a bound, so that a look stays cheap.
const sqlWatch = `SELECT
    (SELECT count(*) FROM (SELECT mail_id FROM mails WHERE ended_at IS NULL LIMIT 10000) AS r),
    (SELECT count(*) FROM (SELECT mail_id FROM mails WHERE state IN ('bounced', 'dead') AND state = 'bounced' LIMIT 10000) AS b),
    (SELECT count(*) FROM (SELECT mail_id FROM mails WHERE state IN ('bounced', 'dead') AND state = 'dead' LIMIT 10000) AS d),
    (SELECT coalesce(max(EXTRACT(EPOCH FROM now() - queued_at)), 0)::FLOAT8 FROM mails WHERE ended_at IS NULL)`

// watch tells the metrics how the outbox stands.
func (m *Mailer) watch(ctx context.Context) error {
	var ready, bounced, dead int64
	var oldest float64
	if err := m.cfg.DB.Reader.QueryRow(ctx, sqlWatch).Scan(&ready, &bounced, &dead, &oldest); err != nil {
		return fmt.Errorf("count the mails: %w", err)
	}
	readyNow.Set(float64(ready))
	bouncedNow.Set(float64(bounced))
	deadNow.Set(float64(dead))
	oldestSeconds.Set(oldest)
	return nil
}
