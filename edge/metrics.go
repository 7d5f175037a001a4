package edge

import (
	"errors"

	"github.com/VictoriaMetrics/metrics"
	"github.com/valyala/fasthttp"
)

// counts holds the package's metrics. Gauges that read the node's state are registered in Server.gauges.
type counts struct {
	set *metrics.Set

	states                        *metrics.Counter
	statesFresh                   *metrics.Counter
	joins                         *metrics.Counter
	joinsFinal                    *metrics.Counter
	acks                          *metrics.Counter
	acksRefused                   *metrics.Counter
	poolRequests                  *metrics.Counter
	poolRetries                   *metrics.Counter
	poolDropped                   *metrics.Counter
	poolFull                      *metrics.Counter
	markers                       *metrics.Counter
	claims                        *metrics.Counter
	claimsEarly                   *metrics.Counter
	decoys                        *metrics.Counter
	denied                        *metrics.Counter
	answersRight, answersWrong    *metrics.Counter
	verdictsSent, verdictsDropped *metrics.Counter
	admitted                      *metrics.Counter
	tokens                        *metrics.Counter
	passesBad                     *metrics.Counter
	sessionsBad                   *metrics.Counter
	feedAnswers                   *metrics.Counter
	feedErrors                    *metrics.Counter
	statesBad                     *metrics.Counter
	enrolments                    *metrics.Counter
	keys                          *metrics.Counter
	coreNotSent                   *metrics.Counter
	coreTimeouts                  *metrics.Counter
	coreLost                      *metrics.Counter
	failovers                     *metrics.Counter
	unreachable                   *metrics.Counter
	overloaded                    *metrics.Counter
	forwarded                     *metrics.Counter

	shelfHits, shelfMisses, shelfConfirmed, shelfShared, shelfStale, shelfFull *metrics.Counter

	webhooks    *metrics.Counter
	connRefused *metrics.Counter
	badRequests *metrics.Counter

	streams      *metrics.Counter
	streamsSlow  *metrics.Counter
	streamLimits []limitCount
	seatNews     *metrics.Counter
	seatErrors   *metrics.Counter

	redeem batchCounts
	holds  batchCounts
}

// limitCount counts the refusals of one kind.
type limitCount struct {
	err   error
	count *metrics.Counter
}

// batchCounts are those of one batcher.
type batchCounts struct {
	requests, items, full, lost, dropped *metrics.Counter
	seconds                              *metrics.Histogram
}

func newCounts(set *metrics.Set) *counts {
	return &counts{
		set:             set,
		states:          set.NewCounter(`edge_states_total`),
		statesFresh:     set.NewCounter(`edge_states_not_modified_total`),
		joins:           set.NewCounter(`edge_joins_total`),
		joinsFinal:      set.NewCounter(`edge_joins_final_total`),
		acks:            set.NewCounter(`edge_acknowledged_total`),
		acksRefused:     set.NewCounter(`edge_acknowledgements_refused_total`),
		poolRequests:    set.NewCounter(`edge_pool_requests_total`),
		poolRetries:     set.NewCounter(`edge_pool_retries_total`),
		poolDropped:     set.NewCounter(`edge_pool_dropped_total`),
		poolFull:        set.NewCounter(`edge_limit_total{limit="join_queue"}`),
		markers:         set.NewCounter(`edge_markers_total`),
		claims:          set.NewCounter(`edge_claims_total`),
		claimsEarly:     set.NewCounter(`edge_claims_early_total`),
		denied:          set.NewCounter(`edge_guard_denied_total`),
		answersRight:    set.NewCounter(`edge_guard_challenge_answers_total{result="right"}`),
		answersWrong:    set.NewCounter(`edge_guard_challenge_answers_total{result="wrong"}`),
		verdictsSent:    set.NewCounter(`edge_guard_verdicts_sent_total`),
		verdictsDropped: set.NewCounter(`edge_limit_total{limit="verdicts"}`),
		decoys:          set.NewCounter(`edge_decoys_followed_total`),
		admitted:        set.NewCounter(`edge_admitted_total`),
		tokens:          set.NewCounter(`edge_tokens_minted_total`),
		passesBad:       set.NewCounter(`edge_passes_refused_total`),
		sessionsBad:     set.NewCounter(`edge_sessions_refused_total`),
		feedAnswers:     set.NewCounter(`edge_feed_answers_total`),
		feedErrors:      set.NewCounter(`edge_feed_errors_total`),
		statesBad:       set.NewCounter(`edge_feed_states_malformed_total`),
		enrolments:      set.NewCounter(`edge_enrolments_total`),
		keys:            set.NewCounter(`edge_keys_registered_total`),
		coreNotSent:     set.NewCounter(`edge_core_errors_total{cause="not_sent"}`),
		coreTimeouts:    set.NewCounter(`edge_core_errors_total{cause="timeout"}`),
		coreLost:        set.NewCounter(`edge_core_errors_total{cause="lost"}`),
		failovers:       set.NewCounter(`edge_core_failovers_total`),
		unreachable:     set.NewCounter(`edge_unreachable_total`),
		overloaded:      set.NewCounter(`edge_limit_total{limit="concurrency"}`),
		forwarded:       set.NewCounter(`edge_forwarded_total`),

		shelfHits:      set.NewCounter(`edge_catalog_total{result="hit"}`),
		shelfMisses:    set.NewCounter(`edge_catalog_total{result="asked"}`),
		shelfConfirmed: set.NewCounter(`edge_catalog_total{result="confirmed"}`),
		shelfShared:    set.NewCounter(`edge_catalog_total{result="shared"}`),
		shelfStale:     set.NewCounter(`edge_catalog_total{result="stale"}`),
		shelfFull:      set.NewCounter(`edge_limit_total{limit="catalog"}`),

		webhooks:    set.NewCounter(`edge_webhooks_total`),
		connRefused: set.NewCounter(`edge_limit_total{limit="connections"}`),
		streams:     set.NewCounter(`edge_streams_total`),
		streamsSlow: set.NewCounter(`edge_streams_slow_total`),
		streamLimits: []limitCount{
			{errStreamsFull, set.NewCounter(`edge_limit_total{limit="streams"}`)},
			{errEventsFull, set.NewCounter(`edge_limit_total{limit="stream_events"}`)},
			{errSessionStreams, set.NewCounter(`edge_limit_total{limit="streams_per_session"}`)},
			{errAddressStreams, set.NewCounter(`edge_limit_total{limit="streams_per_address"}`)},
		},
		seatNews:    set.NewCounter(`edge_seat_news_total`),
		seatErrors:  set.NewCounter(`edge_seat_errors_total`),
		badRequests: set.NewCounter(`edge_bad_requests_total`),
		redeem: batchCounts{
			requests: set.NewCounter(`edge_batch_requests_total{batch="redeem"}`),
			items:    set.NewCounter(`edge_batch_items_total{batch="redeem"}`),
			full:     set.NewCounter(`edge_limit_total{limit="redeem_queue"}`),
			lost:     set.NewCounter(`edge_batch_lost_total{batch="redeem"}`),
			dropped:  set.NewCounter(`edge_batch_dropped_total{batch="redeem"}`),
			seconds:  set.NewHistogram(`edge_batch_seconds{batch="redeem"}`),
		},
		holds: batchCounts{
			requests: set.NewCounter(`edge_batch_requests_total{batch="holds"}`),
			items:    set.NewCounter(`edge_batch_items_total{batch="holds"}`),
			full:     set.NewCounter(`edge_limit_total{limit="holds_queue"}`),
			lost:     set.NewCounter(`edge_batch_lost_total{batch="holds"}`),
			dropped:  set.NewCounter(`edge_batch_dropped_total{batch="holds"}`),
			seconds:  set.NewHistogram(`edge_batch_seconds{batch="holds"}`),
		},
	}
}

// coreFailed counts a call that core did not answer.
func (c *counts) coreFailed(err error) {
	switch {
	case errors.Is(err, errNotSent):
		c.coreNotSent.Inc()
	case errors.Is(err, fasthttp.ErrTimeout):
		c.coreTimeouts.Inc()
	default:
		c.coreLost.Inc()
	}
}

// gauges registers what is read from the node at the moment of asking.
func (s *Server) gauges() {
	s.counts.set.NewGauge(`edge_clock_ahead_seconds`, func() float64 { return s.clock.ahead().Seconds() })
	s.counts.set.NewGauge(`edge_feed_silence_seconds`, func() float64 { return s.core.silentFor(s.now()).Seconds() })
	s.counts.set.NewGauge(`edge_doubt`, func() float64 {
		if s.doubt.Load() {
			return 1
		}
		return 0
	})
	s.counts.set.NewGauge(`edge_guard_challenges_spent`, func() float64 { return float64(s.asking.spent.Remembered()) })
	s.counts.set.NewGauge(`edge_guard_verdicts_waiting`, func() float64 { n, _ := s.verdicts.waiting(); return float64(n) })
	s.counts.set.NewGauge(`edge_inflight_requests`, func() float64 { return float64(s.inflight.Load()) })
	s.counts.set.NewGauge(`edge_connections`, func() float64 { return float64(s.http.GetOpenConnectionsCount()) })
	s.counts.set.NewGauge(`edge_streams`, func() float64 {
		streams, _ := s.showings.open()
		return float64(streams)
	})
	s.counts.set.NewGauge(`edge_stream_events`, func() float64 {
		_, events := s.showings.open()
		return float64(events)
	})
	s.counts.set.NewGauge(`edge_catalog_entries`, func() float64 { n, _ := s.shelf.held(); return float64(n) })
	s.counts.set.NewGauge(`edge_catalog_bytes`, func() float64 { _, n := s.shelf.held(); return float64(n) })
	s.counts.set.NewGauge(`edge_rooms`, func() float64 { return float64(len(s.rooms.all())) })
	s.counts.set.NewGauge(`edge_join_queue`, func() float64 {
		waiting := 0
		for _, room := range s.rooms.all() {
			waiting += room.stream.waiting()
		}
		return float64(waiting)
	})
}
