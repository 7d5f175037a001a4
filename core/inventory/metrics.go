package inventory

import (
	"errors"

	"github.com/VictoriaMetrics/metrics"
)

// figures are the package's metrics. Services of one process share them.
type figures struct {
	granted, repeated, other *metrics.Counter
	refusals                 []refusalCount
	released, expired        *metrics.Counter
	outdated                 *metrics.Counter
	sweepFailed              *metrics.Counter
	seatLogTrimmed           *metrics.Counter
	mirrorsRead              *metrics.Counter
	releasesFailed           *metrics.Counter
	sweepSeconds             *metrics.Histogram
}

type refusalCount struct {
	err   error
	count *metrics.Counter
}

func newFigures() figures {
	return figures{
		granted:  metrics.GetOrCreateCounter(`core_holds_total{result="granted"}`),
		repeated: metrics.GetOrCreateCounter(`core_holds_total{result="repeated"}`),
		other:    metrics.GetOrCreateCounter(`core_holds_total{result="refused"}`),
		refusals: []refusalCount{
			{ErrSoldOut, metrics.GetOrCreateCounter(`core_holds_total{result="sold_out"}`)},
			{ErrCompanionAlone, metrics.GetOrCreateCounter(`core_holds_total{result="companion_alone"}`)},
			{ErrWaitlisted, metrics.GetOrCreateCounter(`core_holds_total{result="waitlisted"}`)},
			{ErrNotEnoughLeft, metrics.GetOrCreateCounter(`core_holds_total{result="not_enough_left"}`)},
			{ErrSeatTaken, metrics.GetOrCreateCounter(`core_holds_total{result="seat_taken"}`)},
			{ErrSeatSetAside, metrics.GetOrCreateCounter(`core_holds_total{result="seat_set_aside"}`)},
			{ErrSeatUnknown, metrics.GetOrCreateCounter(`core_holds_total{result="seat_unknown"}`)},
			{ErrTierUnknown, metrics.GetOrCreateCounter(`core_holds_total{result="tier_unknown"}`)},
			{ErrOverAccountLimit, metrics.GetOrCreateCounter(`core_holds_total{result="over_limit_account"}`)},
			{ErrOverDeviceLimit, metrics.GetOrCreateCounter(`core_holds_total{result="over_limit_device"}`)},
			{ErrOverAddressLimit, metrics.GetOrCreateCounter(`core_holds_total{result="over_limit_address"}`)},
			{ErrOverLimit, metrics.GetOrCreateCounter(`core_holds_total{result="over_limit"}`)},
			{ErrQuantityInvalid, metrics.GetOrCreateCounter(`core_holds_total{result="quantity_invalid"}`)},
			{ErrItemsInvalid, metrics.GetOrCreateCounter(`core_holds_total{result="items_invalid"}`)},
			{ErrApart, metrics.GetOrCreateCounter(`core_holds_total{result="none_adjacent"}`)},
			{ErrSectionSoldOut, metrics.GetOrCreateCounter(`core_holds_total{result="section_sold_out"}`)},
			{ErrWindowEarly, metrics.GetOrCreateCounter(`core_holds_total{result="presale_early"}`)},
			{ErrWindowOver, metrics.GetOrCreateCounter(`core_holds_total{result="presale_over"}`)},
			{ErrKeyReused, metrics.GetOrCreateCounter(`core_holds_total{result="key_reused"}`)},
		},
		released:       metrics.GetOrCreateCounter(`core_holds_released_total`),
		expired:        metrics.GetOrCreateCounter(`core_holds_expired_total`),
		outdated:       metrics.GetOrCreateCounter(`core_hold_batches_outdated_total`),
		sweepFailed:    metrics.GetOrCreateCounter(`core_hold_sweeps_failed_total`),
		releasesFailed: metrics.GetOrCreateCounter(`core_allocation_releases_failed_total`),
		mirrorsRead:    metrics.GetOrCreateCounter(`core_seat_mirrors_read_total`),
		seatLogTrimmed: metrics.GetOrCreateCounter(`core_seat_log_trimmed_total`),
		sweepSeconds:   metrics.GetOrCreateHistogram(`core_hold_sweep_seconds`),
	}
}

// unitsReleased counts units that went from an allocation to general sale.
func (f *figures) unitsReleased(cause string, units int64) {
	switch cause {
	case byCommand:
		metrics.GetOrCreateCounter(`core_allocation_units_released_total{cause="command"}`).AddInt64(units)
	case byTime:
		metrics.GetOrCreateCounter(`core_allocation_units_released_total{cause="time"}`).AddInt64(units)
	default:
		metrics.GetOrCreateCounter(`core_allocation_units_released_total{cause="return"}`).AddInt64(units)
	}
}

// decided counts the outcome of a batch once it is durable.
func (f *figures) decided(batch []op, p *plan) {
	f.granted.Add(len(p.grants))
	repeated := -len(p.grants)
	for i := range batch {
		if batch[i].do != grant {
			continue
		}
		if err := p.answers[i].err; err != nil {
			f.refused(err)
		} else {
			repeated++
		}
	}
	f.repeated.Add(repeated)
	for i := range p.closes {
		if p.closes[i].hold.State == Expired {
			f.expired.Inc()
		} else {
			f.released.Inc()
		}
	}
}

// refused counts a request that got no hold, by its reason.
func (f *figures) refused(err error) {
	for _, r := range f.refusals {
		if errors.Is(err, r.err) {
			r.count.Inc()
			return
		}
	}
	f.other.Inc()
}
