package event

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Bounds of what an event may have.
const (
	maxTiers       = 50
	maxSections    = 500
	maxRowItems    = 500
	maxAllocations = 50
	maxPresales    = 50
	maxPresaleName = 100 // characters
	maxNeighbours  = 20
	maxAway        = 1_000
	maxAccessible  = 200 // of one row; as many companions
	maxSeats       = 100_000
	maxRowLabels   = 200 // of one range, such as 1-200
	maxSeatNumber  = 9_999
	maxCapacity    = 1_000_000
	maxPriceMinor  = 1_000_000_000_000
	maxPerBuyer    = 100
	maxPerformers  = 30
	maxTags        = 20
	maxSummary     = 500 // characters
)

// Forms of names. A row's label has no hyphen, which so always makes a range.
var (
	slugForm     = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	idForm       = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	sectionForm  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,15}$`)
	rowForm      = regexp.MustCompile(`^[A-Za-z0-9]{1,4}(-[A-Za-z0-9]{1,4})?$`)
	labelForm    = regexp.MustCompile(`^[A-Za-z0-9]{1,4}$`)
	seatsForm    = regexp.MustCompile(`^[0-9]{1,4}(-[0-9]{1,4})?$`)
	currencyForm = regexp.MustCompile(`^[A-Z]{3}$`)
	countryForm  = regexp.MustCompile(`^[A-Z]{2}$`)
	decimalForm  = regexp.MustCompile(`^[0-9]{1,15}(\.[0-9]{1,9})?$`)
)

// Rules for names, as messages give them.
const (
	slugRule = "1 to 63 lower-case letters, digits and hyphens"
	idRule   = "1 to 32 lower-case letters, digits and hyphens"

	sectionRule = "1 to 16 letters, digits and hyphens"
)

// event reads a whole file into s. Amounts stay texts until the currency is known, which may come after them.
func (d *decoder) event(n *yaml.Node, s *Spec) {
	prices := make(map[string]string) // path → text
	s.Category = DefaultCategory
	s.Limits.PerBuyer = defaultPerBuyer
	s.Hold = HoldRules{TTL: Duration{defaultHoldTTL}, PaymentExtension: Duration{defaultPaymentExtension}}
	s.OnSale = defaultOnSale()
	d.mapping(n, "",
		key{"id", true, func(n *yaml.Node, path string) { s.ID = d.name(n, path, slugForm, slugRule) }},
		key{"name", true, func(n *yaml.Node, path string) { s.Name = d.text(n, path, 200) }},
		key{"category", false, func(n *yaml.Node, path string) { s.Category = d.name(n, path, idForm, idRule) }},
		key{"summary", false, func(n *yaml.Node, path string) { s.Summary = d.text(n, path, maxSummary) }},
		key{"performers", false, func(n *yaml.Node, path string) { s.Performers = d.texts(n, path, maxPerformers, 100) }},
		key{"tags", false, func(n *yaml.Node, path string) { s.Tags = d.texts(n, path, maxTags, 40) }},
		key{"organizer", true, func(n *yaml.Node, path string) { s.Organizer = d.name(n, path, slugForm, slugRule) }},
		key{"venue", true, func(n *yaml.Node, path string) { d.venue(n, path, &s.Venue) }},
		key{"time_zone", true, func(n *yaml.Node, path string) { s.TimeZone = d.text(n, path, 64) }},
		key{"starts_at", true, func(n *yaml.Node, path string) { s.StartsAt = d.instant(n, path) }},
		key{"currency", true, func(n *yaml.Node, path string) {
			s.Currency = d.name(n, path, currencyForm, "an ISO 4217 code such as EUR")
		}},
		key{"tiers", true, func(n *yaml.Node, path string) {
			d.list(n, path, maxTiers, func(n *yaml.Node, path string) { s.Tiers = append(s.Tiers, d.tier(n, path, prices)) })
		}},
		key{"seating", false, func(n *yaml.Node, path string) {
			d.mapping(n, path, key{"sections", true, func(n *yaml.Node, path string) {
				d.list(n, path, maxSections, func(n *yaml.Node, path string) { s.Sections = append(s.Sections, d.section(n, path)) })
			}}, key{"companions_released_before", false, func(n *yaml.Node, path string) {
				s.Companions = d.duration(n, path, time.Minute, maxCompanionsReleased)
			}})
		}},
		key{"allocations", false, func(n *yaml.Node, path string) {
			d.list(n, path, maxAllocations, func(n *yaml.Node, path string) { s.Allocations = append(s.Allocations, d.allocation(n, path)) })
		}},
		key{"presales", false, func(n *yaml.Node, path string) {
			d.list(n, path, maxPresales, func(n *yaml.Node, path string) { s.Presales = append(s.Presales, d.presale(n, path)) })
		}},
		key{"fees", false, func(n *yaml.Node, path string) { d.fees(n, path, &s.Fees, prices) }},
		key{"taxes", false, func(n *yaml.Node, path string) { d.taxes(n, path, &s.Taxes) }},
		key{"limits", false, func(n *yaml.Node, path string) {
			d.limits(n, path, &s.Limits)
		}},
		key{"tour", false, func(n *yaml.Node, path string) { d.tour(n, path, &s.Tour) }},
		key{"hold", false, func(n *yaml.Node, path string) { d.hold(n, path, &s.Hold) }},
		key{"payment", false, func(n *yaml.Node, path string) { d.payment(n, path, &s.Payment) }},
		key{"refunds", false, func(n *yaml.Node, path string) { d.refunds(n, path, &s.Refunds) }},
		key{"resale", false, func(n *yaml.Node, path string) { d.resale(n, path, &s.Resale, prices) }},
		key{"late_money", false, func(n *yaml.Node, path string) {
			if d.choice(n, path, "reseat", LateVoid) == LateVoid {
				s.LateMoney = LateVoid
			}
		}},
		key{"on_sale", false, func(n *yaml.Node, path string) { d.onSale(n, path, &s.OnSale) }},
		key{"fraud", false, func(n *yaml.Node, path string) { d.fraud(n, path, &s.Fraud) }},
		key{"disputes", false, func(n *yaml.Node, path string) { d.disputes(n, path, &s.Disputes) }},
		key{"gates", false, func(n *yaml.Node, path string) { d.gates(n, path, &s.Gates) }},
		key{"transfer", false, func(n *yaml.Node, path string) { d.transfer(n, path, &s.Transfer) }},
		key{"waiting_list", false, func(n *yaml.Node, path string) { d.waitlist(n, path, &s.Waitlist) }},
	)
	for i := range s.Tiers {
		path := fmt.Sprintf("tiers[%d].price", i)
		s.Tiers[i].Price = d.money(path, prices[path], s.Currency)
	}
	s.Fees.PerTicket = d.money("fees.per_ticket", prices["fees.per_ticket"], s.Currency)
	if fee := d.money("resale.buyer_fee", prices["resale.buyer_fee"], s.Currency); fee.Minor > 0 {
		s.Resale.BuyerFee = fee
	}
}

func (d *decoder) venue(n *yaml.Node, path string, v *Venue) {
	d.mapping(n, path,
		key{"name", true, func(n *yaml.Node, path string) { v.Name = d.text(n, path, 200) }},
		key{"city", true, func(n *yaml.Node, path string) { v.City = d.text(n, path, 100) }},
		key{"country", true, func(n *yaml.Node, path string) {
			v.Country = d.name(n, path, countryForm, "an ISO 3166 code such as ES")
		}},
		key{"region", false, func(n *yaml.Node, path string) {
			v.Region = d.name(n, path, regionForm, "the part of an ISO 3166-2 code behind the hyphen, such as NY")
		}},
		key{"coordinates", false, func(n *yaml.Node, path string) { v.Coordinates = d.coordinates(n, path) }},
	)
}

func (d *decoder) tier(n *yaml.Node, path string, prices map[string]string) TierSpec {
	var t TierSpec
	d.mapping(n, path,
		key{"id", true, func(n *yaml.Node, path string) { t.ID = d.name(n, path, idForm, idRule) }},
		key{"name", true, func(n *yaml.Node, path string) { t.Name = d.text(n, path, 100) }},
		key{"kind", true, func(n *yaml.Node, path string) { t.Kind = d.choice(n, path, General, Seated) }},
		key{"price", true, func(n *yaml.Node, path string) { prices[path], _ = d.decimal(n, path) }},
		key{"capacity", false, func(n *yaml.Node, path string) { t.Capacity = d.integer(n, path, 1, maxCapacity) }},
	)
	return t
}

func (d *decoder) section(n *yaml.Node, path string) Section {
	s := Section{Allocation: GeneralAllocation}
	d.mapping(n, path,
		key{"id", true, func(n *yaml.Node, path string) {
			s.ID = d.name(n, path, sectionForm, sectionRule)
		}},
		key{"tier", true, func(n *yaml.Node, path string) { s.Tier = d.name(n, path, idForm, idRule) }},
		key{"rows", true, func(n *yaml.Node, path string) {
			d.list(n, path, maxRowItems, func(n *yaml.Node, path string) { s.Rows = append(s.Rows, d.rows(n, path)...) })
		}},
		key{"allocation", false, func(n *yaml.Node, path string) { s.Allocation = d.name(n, path, idForm, idRule) }},
		key{"focus", false, func(n *yaml.Node, path string) { s.Focus = d.focus(n, path) }},
		key{"away", false, func(n *yaml.Node, path string) { s.Away = d.integer(n, path, 0, maxAway) }},
		key{"neighbours", false, func(n *yaml.Node, path string) {
			d.list(n, path, maxNeighbours, func(n *yaml.Node, path string) {
				s.Neighbours = append(s.Neighbours, d.name(n, path, sectionForm, sectionRule))
			})
		}},
	)
	return s
}

func (d *decoder) focus(n *yaml.Node, path string) Focus {
	var f Focus
	d.mapping(n, path,
		key{"row", true, func(n *yaml.Node, path string) { f.Row = d.name(n, path, labelForm, "the label of a row") }},
		key{"seat", true, func(n *yaml.Node, path string) { f.Seat = d.integer(n, path, 1, maxSeatNumber) }},
	)
	return f
}

// numbers reads a list of seat numbers, none of them twice.
func (d *decoder) numbers(n *yaml.Node, path string) []int64 {
	var all []int64
	d.list(n, path, maxAccessible, func(n *yaml.Node, path string) {
		number := d.integer(n, path, 1, maxSeatNumber)
		if number != 0 && slices.Contains(all, number) {
			d.refuse(n, path, "seat %d is given twice", number)
			number = 0 // complained about; it keeps its place in the list
		}
		all = append(all, number)
	})
	return all
}

// rows reads one item of a section's rows, which may stand for many: {row: A-T, seats: 40}.
func (d *decoder) rows(n *yaml.Node, path string) []Row {
	var labels []string
	var r Row
	d.mapping(n, path,
		key{"row", true, func(n *yaml.Node, path string) { labels = d.labels(n, path) }},
		key{"seats", true, func(n *yaml.Node, path string) { r.First, r.Last = d.seatNumbers(n, path) }},
		key{"allocation", false, func(n *yaml.Node, path string) { r.Allocation = d.name(n, path, idForm, idRule) }},
		key{"table", false, func(n *yaml.Node, path string) { r.Table = d.boolean(n, path) }},
		key{"accessible", false, func(n *yaml.Node, path string) { r.Accessible = d.numbers(n, path) }},
		key{"companions", false, func(n *yaml.Node, path string) { r.Companions = d.numbers(n, path) }},
	)
	d.checkUses(r, path)
	if r.Last == 0 || d.seats > maxSeats {
		return nil
	}
	if d.seats += int64(len(labels)) * (r.Last - r.First + 1); d.seats > maxSeats {
		d.refuse(n, path, "with these seats the event has more than %d", maxSeats)
		return nil
	}
	rows := make([]Row, len(labels))
	for i, label := range labels {
		rows[i] = r
		rows[i].Label = label
	}
	return rows
}

// labels reads a row's label, or a range of letters or of numbers.
func (d *decoder) labels(n *yaml.Node, path string) []string {
	const rule = "a label of 1 to 4 letters and digits, or a range such as A-T or 1-20"
	text := d.name(n, path, rowForm, rule)
	from, to, ranged := strings.Cut(text, "-")
	if text == "" || !ranged {
		if text == "" {
			return nil
		}
		return []string{text}
	}
	var labels []string
	first, err1 := strconv.Atoi(from)
	last, err2 := strconv.Atoi(to)
	switch {
	case err1 == nil && err2 == nil && first <= last && last-first < maxRowLabels:
		for i := first; i <= last; i++ {
			labels = append(labels, strconv.Itoa(i))
		}
	case len(from) == 1 && len(to) == 1 && letters(from, to) && from <= to:
		for c := from[0]; c <= to[0]; c++ {
			labels = append(labels, string(rune(c)))
		}
	default:
		d.refuse(n, path, "%s is not %s, rising, of at most %d rows", quote(text), rule, maxRowLabels)
	}
	return labels
}

// letters reports whether both are letters of the same case.
func letters(a, b string) bool {
	upper := func(s string) bool { return s[0] >= 'A' && s[0] <= 'Z' }
	lower := func(s string) bool { return s[0] >= 'a' && s[0] <= 'z' }
	return upper(a) && upper(b) || lower(a) && lower(b)
}

// seatNumbers reads how many seats a row has, or the range of their numbers.
func (d *decoder) seatNumbers(n *yaml.Node, path string) (first, last int64) {
	const rule = "a number of seats such as 40, or a range such as 1-40, up to 9999"
	text := d.name(n, path, seatsForm, rule)
	if text == "" {
		return 0, 0
	}
	from, to, ranged := strings.Cut(text, "-")
	if !ranged {
		from, to = "1", from
	}
	first, _ = strconv.ParseInt(from, 10, 64) // the form allows nothing else
	last, _ = strconv.ParseInt(to, 10, 64)
	if first < 1 || last < first || last > maxSeatNumber {
		d.refuse(n, path, "%s is not %s, rising from 1 or more", quote(text), rule)
		return 0, 0
	}
	return first, last
}

func (d *decoder) allocation(n *yaml.Node, path string) Allocation {
	var a Allocation
	d.mapping(n, path,
		key{"id", true, func(n *yaml.Node, path string) { a.ID = d.name(n, path, idForm, idRule) }},
		key{"tier", true, func(n *yaml.Node, path string) { a.Tier = d.name(n, path, idForm, idRule) }},
		key{"quantity", false, func(n *yaml.Node, path string) { a.Quantity = d.integer(n, path, 1, maxCapacity) }},
		key{"release_at", false, func(n *yaml.Node, path string) { a.ReleaseAt = d.instant(n, path).UTC() }},
	)
	return a
}

func (d *decoder) presale(n *yaml.Node, path string) Presale {
	var p Presale
	d.mapping(n, path,
		key{"id", true, func(n *yaml.Node, path string) { p.ID = d.name(n, path, idForm, idRule) }},
		key{"name", false, func(n *yaml.Node, path string) { p.Name = d.text(n, path, maxPresaleName) }},
		key{"allocation", true, func(n *yaml.Node, path string) { p.Allocation = d.name(n, path, idForm, idRule) }},
		key{"from", true, func(n *yaml.Node, path string) { p.From = d.instant(n, path).UTC() }},
		key{"until", true, func(n *yaml.Node, path string) { p.Until = d.instant(n, path).UTC() }},
		key{"per_buyer", false, func(n *yaml.Node, path string) { p.PerBuyer = int(d.integer(n, path, 1, maxPerBuyer)) }},
		key{"who", false, func(n *yaml.Node, path string) {
			if who := d.choice(n, path, PresaleInvited, PresaleRegistered, PresaleWord); who != PresaleInvited {
				p.Who = who
			}
		}},
		key{"release", false, func(n *yaml.Node, path string) { p.Release = d.boolean(n, path) }},
	)
	return p
}

func (d *decoder) fees(n *yaml.Node, path string, f *Fees, prices map[string]string) {
	d.mapping(n, path,
		key{"per_ticket", false, func(n *yaml.Node, path string) { prices[path], _ = d.decimal(n, path) }},
		key{"percent", false, func(n *yaml.Node, path string) { f.Percent = d.rate(n, path, 100) }},
	)
}

func (d *decoder) taxes(n *yaml.Node, path string, t *Taxes) {
	d.mapping(n, path,
		key{"percent", true, func(n *yaml.Node, path string) { t.Percent = d.rate(n, path, 100) }},
		key{"included", true, func(n *yaml.Node, path string) { t.Included = d.boolean(n, path) }},
	)
}

func (d *decoder) hold(n *yaml.Node, path string, h *HoldRules) {
	d.mapping(n, path,
		key{"ttl", false, func(n *yaml.Node, path string) { h.TTL = d.duration(n, path, time.Second, 2*time.Hour) }},
		key{"payment_extension", false, func(n *yaml.Node, path string) {
			h.PaymentExtension = d.duration(n, path, 0, 30*time.Minute)
		}},
	)
}

func (d *decoder) payment(n *yaml.Node, path string, p *Payment) {
	d.mapping(n, path,
		key{"methods", false, func(n *yaml.Node, path string) {
			d.list(n, path, len(methods), func(n *yaml.Node, path string) {
				switch m := d.choice(n, path, methods...); {
				case m == "":
				case slices.Contains(p.Methods, m):
					d.refuse(n, path, "%s is given twice", quote(m))
				default:
					p.Methods = append(p.Methods, m)
				}
			})
		}},
		key{"transfer_within", false, func(n *yaml.Node, path string) {
			p.TransferWithin = d.duration(n, path, time.Minute, 30*24*time.Hour)
		}},
	)
	if slices.Contains(p.Methods, bankTransfer) && p.TransferWithin.Duration == 0 {
		p.TransferWithin = Duration{defaultTransferWithin}
	}
}

func (d *decoder) refunds(n *yaml.Node, path string, r *Refunds) {
	d.mapping(n, path,
		key{"by", false, func(n *yaml.Node, path string) {
			if d.choice(n, path, RefundByOperator, RefundByBuyer) == RefundByBuyer {
				r.By = RefundByBuyer
			}
		}},
		key{"until", false, func(n *yaml.Node, path string) { r.Until = d.instant(n, path).UTC() }},
		key{"keep_fee", false, func(n *yaml.Node, path string) { r.KeepFee = d.boolean(n, path) }},
		key{"resell", false, func(n *yaml.Node, path string) { r.KeepOff = !d.boolean(n, path) }},
		key{"on_change", false, func(n *yaml.Node, path string) {
			if r.OnChange = d.duration(n, path, 24*time.Hour, 90*24*time.Hour); r.OnChange.Duration == defaultRefundOnChange {
				r.OnChange = Duration{}
			}
		}},
	)
}

func (d *decoder) onSale(n *yaml.Node, path string, o *OnSale) {
	d.mapping(n, path,
		key{"identity", false, func(n *yaml.Node, path string) {
			o.Identity = d.choice(n, path, DeviceIdentity, InvitationIdentity, AccountIdentity)
		}},
		key{"joining_before", false, func(n *yaml.Node, path string) {
			o.JoiningBefore = d.duration(n, path, time.Second, 7*24*time.Hour)
		}},
		key{"window", false, func(n *yaml.Node, path string) { o.Window = d.duration(n, path, time.Second, 10*time.Minute) }},
		key{"max_per_network", false, func(n *yaml.Node, path string) { o.MaxPerNetwork = int(d.integer(n, path, 0, 1_000_000)) }},
		key{"session_ttl", false, func(n *yaml.Node, path string) { o.SessionTTL = d.duration(n, path, 10*time.Second, 24*time.Hour) }},
		key{"claim_within", false, func(n *yaml.Node, path string) { o.ClaimWithin = d.duration(n, path, time.Second, time.Hour) }},
		key{"max_inside", false, func(n *yaml.Node, path string) { o.MaxInside = int(d.integer(n, path, 0, 1_000_000)) }},
		key{"pace_per_second", false, func(n *yaml.Node, path string) { o.PacePerSecond = int(d.integer(n, path, 0, 100_000)) }},
	)
}

// bankTransfer is the method that takes days.
const bankTransfer = "bank_transfer"

// methods are what an event may be paid by.
var methods = []string{"card", "paypal", bankTransfer, "box_office"}

// DefaultCategory is that of an event whose file names none.
const DefaultCategory = "other"

// Defaults of what a file may leave out.
const (
	defaultPerBuyer         = 4
	defaultHoldTTL          = 10 * time.Minute
	defaultPaymentExtension = 5 * time.Minute
	defaultTransferWithin   = 72 * time.Hour // banks settle within a working day, and there are weekends
)

func defaultOnSale() OnSale {
	return OnSale{
		Identity:      DeviceIdentity,
		JoiningBefore: Duration{30 * time.Minute},
		Window:        Duration{30 * time.Second},
		MaxPerNetwork: 20,
		SessionTTL:    Duration{20 * time.Minute},
		ClaimWithin:   Duration{2 * time.Minute},
		MaxInside:     0,
		PacePerSecond: 0,
	}
}
