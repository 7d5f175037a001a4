package access

import (
	"errors"

	"github.com/VictoriaMetrics/metrics"
)

// Metrics of every Room of the process.
var (
	joinsAcknowledged = metrics.NewCounter(`core_access_joins_total{result="acknowledged"}`)
	joinsBanned       = metrics.NewCounter(`core_access_joins_total{result="banned"}`)
	joinSeconds       = metrics.NewHistogram(`core_access_join_commit_seconds`)

	sealSeconds   = metrics.NewHistogram(`core_access_seal_seconds`)
	sealsTotal    = metrics.NewCounter(`core_access_seals_total`)
	sealsUnmarked = metrics.NewCounter(`core_access_seals_unmarked_total`) // sealed at the bound, before every live edge's marker

	calledTotal  = metrics.NewCounter(`core_access_called_total`)
	insideNow    = metrics.NewGauge(`core_access_inside`, nil)           // of the on-sale that was counted last
	brakeNow     = metrics.NewGauge(`core_access_brake_per_second`, nil) // calls a second that core was found to bear; 0: no limit
	showRateNow  = metrics.NewGauge(`core_access_show_rate`, nil)        // of the on-sale that was looked at last, as the next two
	buyRateNow   = metrics.NewGauge(`core_access_buy_rate`, nil)
	takesNow     = metrics.NewGauge(`core_access_purchase_takes_seconds`, nil)
	leasesTaken  = metrics.NewCounter(`core_access_leases_taken_total`)
	leasesLost   = metrics.NewCounter(`core_access_leases_lost_total`)
	statesBuilt  = metrics.NewCounter(`core_access_states_built_total`)
	feedsWaiting = metrics.NewGauge(`core_access_feeds_waiting`, nil)
	clocksWrong  = metrics.NewGauge(`core_access_edges_clock_wrong`, nil) // live edges whose clock is off by more than 5 s
	bansInForce  = metrics.NewGauge(`core_access_bans`, nil)

	verdictsNoted   = metrics.NewCounter(`core_guard_verdicts_total{answer="noted"}`)
	verdictsAsked   = metrics.NewCounter(`core_guard_verdicts_total{answer="asked"}`)
	verdictsCleared = metrics.NewCounter(`core_guard_verdicts_total{answer="cleared"}`)
	verdictsDenied  = metrics.NewCounter(`core_guard_verdicts_total{answer="denied"}`)
	verdictsSlowed  = metrics.NewCounter(`core_guard_verdicts_total{answer="slowed"}`)

	rowsSwept = metrics.NewCounter(`core_access_swept_total`) // verdicts, keys and revocations that were kept for long enough

	backgroundErrors = metrics.NewCounter(`core_access_background_errors_total`)

	redeemedOK        = metrics.NewCounter(`core_access_redeem_total{result="admitted"}`)
	redeemedNotCalled = metrics.NewCounter(`core_access_redeem_total{result="not_called"}`)
	redeemedFull      = metrics.NewCounter(`core_access_redeem_total{result="room_full"}`)
	redeemedNotInPool = metrics.NewCounter(`core_access_redeem_total{result="not_in_pool"}`)
	redeemedForged    = metrics.NewCounter(`core_access_redeem_total{result="forged"}`)
	redeemedExpired   = metrics.NewCounter(`core_access_redeem_total{result="expired"}`)
	redeemedElsewhere = metrics.NewCounter(`core_access_redeem_total{result="bound_elsewhere"}`)
	redeemedBanned    = metrics.NewCounter(`core_access_redeem_total{result="banned"}`)
	redeemedClosed    = metrics.NewCounter(`core_access_redeem_total{result="closed"}`)
	redeemedFailed    = metrics.NewCounter(`core_access_redeem_total{result="failed"}`)
)

// countRedemption counts how an admission token was answered.
func countRedemption(err error) {
	switch {
	case err == nil:
		redeemedOK.Inc()
	case errors.Is(err, ErrNotCalled):
		redeemedNotCalled.Inc()
	case errors.Is(err, ErrRoomFull):
		redeemedFull.Inc()
	case errors.Is(err, ErrNotInPool):
		redeemedNotInPool.Inc()
	case errors.Is(err, ErrTokenExpired), errors.Is(err, ErrSessionExpired):
		redeemedExpired.Inc()
	case errors.Is(err, ErrTokenMalformed), errors.Is(err, ErrTokenForged), errors.Is(err, ErrTokenKeyUnknown), errors.Is(err, ErrTokenOtherEvent):
		redeemedForged.Inc()
	case errors.Is(err, ErrBoundElsewhere), errors.Is(err, ErrDeviceMismatch):
		redeemedElsewhere.Inc()
	case errors.Is(err, ErrBanned):
		redeemedBanned.Inc()
	case errors.Is(err, ErrPaused), errors.Is(err, ErrSoldOut), errors.Is(err, ErrEnded):
		redeemedClosed.Inc()
	default:
		redeemedFailed.Inc()
	}
}

// countVerdict counts a verdict that is on record.
func countVerdict(answer string) {
	switch answer {
	case "asked":
		verdictsAsked.Inc()
	case "cleared":
		verdictsCleared.Inc()
	case "denied":
		verdictsDenied.Inc()
	case "slowed":
		verdictsSlowed.Inc()
	default:
		verdictsNoted.Inc()
	}
}
