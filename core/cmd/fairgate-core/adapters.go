package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"fairgate/core/access"
	"fairgate/core/checkout"
	"fairgate/core/db"
	"fairgate/core/event"
	"fairgate/core/inventory"
	"fairgate/core/ticket"
)

// terms, offers, sales and the rest adapt an event to what each part has to know of it.

func terms(events *event.Store) checkout.Catalog {
	return func(ctx context.Context, id uuid.UUID) (checkout.Terms, error) {
		e, err := events.ByID(ctx, id)
		if err != nil {
			return checkout.Terms{}, err
		}
		cards := checkout.CardLimits{Event: e.Spec.Limits.PerCard, Tour: e.Spec.Tour.PerCard}
		if cards.Event > 0 || cards.Tour > 0 {
			key, err := events.LimitKey(ctx, e)
			if err != nil {
				return checkout.Terms{}, err
			}
			cards.TourID = inventory.TourID(e.Spec.Tour.ID)
			cards.Mark = func(fingerprint string) inventory.Mark { return event.Mark(key, "card", fingerprint) }
		}
		prices := make(map[string]checkout.Price, len(e.Tiers))
		for name, t := range e.Tiers {
			prices[name] = checkout.Price{Face: t.Price.Face.Minor, Fee: t.Price.Fee.Minor, Tax: t.Price.Tax.Minor}
		}
		return checkout.Terms{Slug: e.Slug, Organizer: e.Spec.Organizer, Currency: e.Spec.Currency, Country: e.Spec.Venue.Country, Prices: prices,
			PaymentExtension: e.Spec.Hold.PaymentExtension.Duration, Cards: cards, Fraud: fraudTerms(e.Spec.Fraud), StartsAt: e.Spec.StartsAt, ResellLost: e.Spec.Disputes.ResellLost,
			Refunds: refundPolicy(e), RefundPolicy: refundWords(e), VoidLate: e.Spec.LateMoney == event.LateVoid, Cancelled: e.State == event.Cancelled,
			Methods: e.Spec.Payment.Methods, TransferWithin: e.Spec.Payment.TransferWithin.Duration}, nil
	}
}

// offers remembers the offer of an event as long as the event is the same: it is asked for every hold.
func offers(events *event.Store) inventory.Offers {
	type made struct {
		of    *event.Event
		offer inventory.Offer
	}
	var mu sync.RWMutex
	known := map[uuid.UUID]made{}
	return func(ctx context.Context, id uuid.UUID) (inventory.Offer, error) {
		e, err := events.ByID(ctx, id)
		if err != nil {
			return inventory.Offer{}, err
		}
		if e.State == event.Cancelled {
			return inventory.Offer{}, event.ErrCancelled
		}
		mu.RLock()
		m, ok := known[id]
		mu.RUnlock()
		if ok && m.of.Revision == e.Revision {
			m.offer.CompanionsFree = e.Spec.CompanionsFreeAt(time.Now())
			return m.offer, nil
		}
		chart, err := e.Spec.Chart()
		if err != nil {
			return inventory.Offer{}, err
		}
		offer := inventory.Offer{Currency: e.Spec.Currency, Limit: e.Spec.Limits.PerBuyer, HoldTTL: e.Spec.Hold.TTL.Duration, Chart: chart,
			Windows: make(map[string]inventory.Window, len(e.Spec.Presales)), Tiers: make(map[string]inventory.TierOffer, len(e.Tiers))}
		for name, t := range e.Tiers {
			offer.Tiers[name] = inventory.TierOffer{Kind: inventory.Kind(t.Kind), PriceMinor: t.Price.AllIn.Minor, Allocation: event.GeneralAllocation}
		}
		l, t := e.Spec.Limits, e.Spec.Tour
		offer.Limits = inventory.Limits{Account: l.PerAccount, Device: l.PerDevice, Address: l.PerAddress}
		if t.ID != "" {
			offer.Tour = inventory.Tour{ID: inventory.TourID(t.ID), Limits: inventory.Limits{Device: t.PerDevice, Address: t.PerAddress}}
		}
		for _, p := range e.Spec.Presales {
			offer.Windows[p.ID] = inventory.Window{Name: p.ID, Allocation: p.Allocation, From: p.From, Until: p.Until, Limit: p.PerBuyer}
		}
		offer.CompanionsFree = e.Spec.CompanionsFreeAt(time.Now())
		mu.Lock()
		defer mu.Unlock()
		if len(known) >= maxOffers {
			clear(known)
		}
		known[id] = made{e, offer}
		return offer, nil
	}
}

// layouts remembers the layouts of so many events, each as long as the event is the same and sells the same allocation; sells tells which,
// "" for general sale's.
func layouts(events *event.Store, most int, sells func(uuid.UUID) string) func(context.Context, uuid.UUID) (*inventory.Layout, error) {
	var mu sync.Mutex
	known := map[uuid.UUID]*inventory.Layout{}
	return func(ctx context.Context, id uuid.UUID) (*inventory.Layout, error) {
		e, err := events.ByID(ctx, id)
		if err != nil {
			return nil, err
		}
		allocation := cmp.Or(sells(id), event.GeneralAllocation)
		mu.Lock()
		defer mu.Unlock()
		if l := known[id]; l != nil && l.Revision == e.Revision && l.Allocation == allocation {
			return l, nil
		}
		if len(known) >= most {
			clear(known)
		}
		l := &inventory.Layout{Revision: e.Revision, Allocation: allocation}
		for _, t := range e.Spec.Tiers {
			l.Tiers = append(l.Tiers, t.ID)
		}
		for _, s := range e.Spec.Sections {
			section, err := layoutSection(s)
			if err != nil {
				return nil, err
			}
			l.Sections = append(l.Sections, section)
		}
		known[id] = l
		return l, nil
	}
}

// layoutSection is a section as pages draw it: its rows, and what the event file says of where it is.
func layoutSection(s event.Section) (inventory.LayoutSection, error) {
	section := inventory.LayoutSection{ID: s.ID, Tier: s.Tier}
	position := struct {
		Focus      event.Focus `json:"focus,omitzero"`
		Away       int64       `json:"away,omitempty"`
		Neighbours []string    `json:"neighbours,omitempty"`
	}{s.Focus, s.Away, s.Neighbours}
	var err error
	if section.Position, err = detail(position); err != nil {
		return section, err
	}
	for _, r := range s.Rows {
		row := inventory.LayoutRow{Label: r.Label, First: r.First, Last: r.Last}
		more := struct {
			Table      bool    `json:"table,omitempty"`
			Accessible []int64 `json:"accessible,omitempty"`
			Companions []int64 `json:"companions,omitempty"`
		}{r.Table, r.Accessible, r.Companions}
		if row.Extra, err = detail(more); err != nil {
			return section, err
		}
		section.Rows = append(section.Rows, row)
	}
	return section, nil
}

// detail is the JSON of an object, or nothing when it is empty.
func detail(v any) (json.RawMessage, error) {
	text, err := json.Marshal(v)
	if string(text) == "{}" {
		text = nil
	}
	return text, err
}

// maxOffers bounds what offers remembers; a core sells fewer events than that at a time.
const maxOffers = 10_000

func sales(events *event.Store) func(context.Context, string) (access.Sale, error) {
	return func(ctx context.Context, slug string) (access.Sale, error) {
		e, err := events.BySlug(ctx, slug)
		if errors.Is(err, event.ErrUnknown) {
			return access.Sale{}, fmt.Errorf("%w: %w", access.ErrNoSale, err)
		}
		if err != nil {
			return access.Sale{}, err
		}
		on := e.Spec.OnSale
		sale := access.Sale{
			Event: e.ID, Slug: e.Slug, Identity: on.Identity, TimeZone: e.Spec.TimeZone, PseudonymKey: e.PseudonymKey,
			Window: on.Window.Duration, JoiningBefore: on.JoiningBefore.Duration, SessionTTL: on.SessionTTL.Duration,
			ClaimWithin: on.ClaimWithin.Duration, MaxPerNetwork: on.MaxPerNetwork, MaxInside: on.MaxInside, PacePerSecond: on.PacePerSecond,
		}
		for _, p := range e.Spec.Presales {
			presale := access.Presale{ID: p.ID, Identity: event.InvitationIdentity, Allocation: p.Allocation, From: p.From, Until: p.Until}
			if p.Who != "" {
				presale.Identity, presale.Registered, presale.Word = event.AccountIdentity, true, p.Who == event.PresaleWord
			}
			sale.Presales = append(sale.Presales, presale)
		}
		for _, t := range e.Spec.Tiers {
			sale.Tiers = append(sale.Tiers, access.Tier{ID: t.ID, Name: t.Name, Price: e.Tiers[t.ID].Price.AllIn})
		}
		return sale, nil
	}
}

// tierStock is what an allocation has of each tier, or general sale. What is kept for a waiting list, and companions' seats on general sale
// that nobody can have, count as taken.
func tierStock(stock *inventory.Service, d *db.DB) func(context.Context, uuid.UUID, string) ([]access.TierStock, error) {
	return func(ctx context.Context, id uuid.UUID, allocation string) ([]access.TierStock, error) {
		if allocation == "" {
			allocation = event.GeneralAllocation
		}
		rows, err := stock.Availability(ctx, id)
		if err != nil {
			return nil, err
		}
		spare, err := stock.Unsellable(ctx, d.Reader, id)
		if err != nil && !errors.Is(err, event.ErrCancelled) {
			return nil, err
		}
		var tiers []access.TierStock
		for _, row := range rows {
			if row.Allocation == allocation {
				left := row.Left()
				if allocation == event.GeneralAllocation {
					left = max(0, left-spare[row.Tier])
				}
				tiers = append(tiers, access.TierStock{Tier: row.Tier, Capacity: int(row.Capacity), Taken: int(row.Capacity - left)})
			}
		}
		return tiers, nil
	}
}

func holding(stock *inventory.Service) func(context.Context, uuid.UUID) (access.Holding, error) {
	return func(ctx context.Context, id uuid.UUID) (access.Holding, error) {
		n, err := stock.Active(ctx, id)
		return access.Holding{Holds: n}, err
	}
}

// keys gives the waiting room its keys. Those of an event were made with it, the global ones at the start.
func keys(events *event.Store) func(context.Context, string, string) ([]access.Key, error) {
	return func(ctx context.Context, purpose, scope string) ([]access.Key, error) {
		ring, err := events.Keys(ctx, event.Purpose(purpose), scope)
		if err != nil {
			return nil, err
		}
		found := make([]access.Key, len(ring))
		for i, k := range ring {
			found[i] = access.Key{No: k.Number, Secret: k.Secret, Public: k.Public}
		}
		return found, nil
	}
}

func signingKey(events *event.Store) func(context.Context, uuid.UUID) (ticket.SigningKey, error) {
	return func(ctx context.Context, id uuid.UUID) (ticket.SigningKey, error) {
		ring, err := events.Keys(ctx, event.TicketPurpose, event.Scope(id))
		if err != nil {
			return ticket.SigningKey{}, err
		}
		if len(ring) == 0 {
			return ticket.SigningKey{}, errors.New("the event has no key for tickets")
		}
		return ticket.SigningKey{No: ring[0].Number, Private: ring[0].Private()}, nil
	}
}
