package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/access"
	"fairgate/core/api"
	"fairgate/core/booking"
	"fairgate/core/catalog"
	"fairgate/core/checkout"
	"fairgate/core/db"
	"fairgate/core/event"
	"fairgate/core/inventory"
	"fairgate/core/inventory/history"
	"fairgate/core/payment"
	"fairgate/core/payout"
	"fairgate/core/settlement"
	"fairgate/core/ticket"
	"fairgate/core/ticket/scan"
	"fairgate/ledger"
)

// core is the assembled program: what serves each listener and what runs beside them.
type core struct {
	handlers map[string]http.Handler
	workers  map[string]func(context.Context) error
	closers  []func()      // in the order in which they were opened
	leaving  chan struct{} // closed when edges shall go elsewhere
}

func (c *core) opened(closer func()) { c.closers = append(c.closers, closer) }

func (c *core) close() {
	for i := len(c.closers) - 1; i >= 0; i-- {
		c.closers[i]()
	}
}

// sealEvery is how often a core extends its part of the ledger's hash chain.
const sealEvery = 2 * time.Second

// outboxWatch is how often the metrics are told how the outbox stands.
const outboxWatch = 15 * time.Second

// payoutWatch is how often the metrics are told which payouts wait.
const payoutWatch = 30 * time.Second

// orphanRounds is how many of those rounds pass between two looks for what dead cores left.
const orphanRounds = 30

// assemble opens the database and puts the parts together. It is the only place that knows all of them.
func assemble(ctx context.Context, cfg config, log *slog.Logger) (_ *core, err error) {
	c := &core{leaving: make(chan struct{})}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	// The secrets first: starting a database can take a while, and edges wait for theirs.
	edgeSecret, err := secret(cfg.Secrets.Dir, "edge")
	if err != nil {
		return nil, err
	}
	adminSecret, err := secret(cfg.Secrets.Dir, "admin")
	if err != nil {
		return nil, err
	}
	d, err := openDatabase(ctx, cfg, log, c)
	if err != nil {
		return nil, err
	}
	events := event.NewStore(d, event.Options{})
	if err := events.EnsureGlobalKeys(ctx, event.SessionPurpose, event.SessionFilterPurpose, event.FraudPurpose); err != nil {
		return nil, fmt.Errorf("make the keys of sessions: %w", err)
	}
	outbox := payment.NewOutbox(d, payment.OutboxConfig{Workers: cfg.Checkout.OutboxWorkers, Lease: cfg.Checkout.OutboxLease,
		Timeout: cfg.Checkout.OutboxTimeout, BackoffMax: cfg.Checkout.OutboxBackoff, Log: log})
	providers, err := cfg.Payment.providers(accounts{db: d, log: log, outbox: outbox})
	if err != nil {
		return nil, err
	}
	if err := checkRoutes(ctx, d, providers, log); err != nil {
		return nil, err
	}
	recorder, err := openHistory(cfg, log, c)
	if err != nil {
		return nil, err
	}
	writer := ledger.NewWriter(d.Reader)
	screen, marker, err := openScreen(ctx, d, events, cfg.Fraud, log, c)
	if err != nil {
		return nil, err
	}
	var stock *inventory.Service // that orders come back to, made below
	var room *access.Room
	orders := checkout.New(checkout.Config{
		DB: d, Catalog: terms(events), Providers: providers, Outbox: outbox, Ledger: writer,
		Issuer: ticket.NewIssuer(signingKey(events)),
		Sold:   finish(d, log),
		Screen: screen, Marker: marker, ReviewFor: cfg.Fraud.ReviewFor, SubmitBefore: cfg.Disputes.SubmitBefore, DisputesEvery: cfg.Disputes.LookupEvery, DisputeListing: cfg.Checkout.DisputeListing,
		MaxBatch: cfg.Checkout.MaxBatch, LookupAfter: cfg.Checkout.LookupAfter, Log: log, Recorder: recorder,
		Again: func(ctx context.Context, earlier uuid.UUID, key string) (inventory.Hold, error) {
			return stock.HoldAgain(ctx, earlier, key)
		},
		ActiveHolds: func(ctx context.Context, event uuid.UUID) ([]uuid.UUID, error) { return stock.ActiveHolds(ctx, event) },
		Selling:     func(ctx context.Context, slug string) bool { return selling(ctx, room, slug) },
		SaleEnds:    func(ctx context.Context, slug string) time.Time { return saleEnds(ctx, room, slug) },
		RefundRate:  refundRate(providers, events, log),
	})
	c.opened(orders.Close)
	feed := inventory.NewFeed(d, inventory.FeedConfig{Layouts: layouts(events, cfg.Inventory.FeedEvents), Every: cfg.Inventory.FeedEvery, Events: cfg.Inventory.FeedEvents, Log: log})
	stock = inventory.New(d, inventory.Config{
		Offers: offers(events), Lanes: cfg.Inventory.Lanes, MaxBatch: cfg.Inventory.MaxBatch, MaxQueue: cfg.Inventory.MaxQueue, Committed: feed.Nudge,
		Log:      log,
		Recorder: recorder,
	}, orders.Hooks())
	c.opened(stock.Close)
	inbox := payment.NewInbox(d, providers.WebhookReaders(), payment.InboxConfig{Log: log, Idle: orders.Idle})
	c.opened(inbox.Close)
	room, err = access.New(ctx, d, access.Config{
		Tick: cfg.Access.Tick, MarkerWait: cfg.Access.MarkerWait, LeaseTTL: cfg.Access.LeaseTTL, PollMin: cfg.Access.PollMin,
		PollMax: cfg.Access.PollMax, PollsPerSecond: cfg.Access.PollsPerSecond, Log: log,
	}, access.Deps{
		Sales: sales(events), Stock: tierStock(stock), Holding: holding(stock), SpareRate: spareRate(providers, events, orders.Waiting, log), Keys: keys(events),
		Load: func(_ context.Context, id uuid.UUID) access.Load {
			full, delay := stock.Pressure(id)
			return access.Load{Queue: full, Delay: delay}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("open the waiting room: %w", err)
	}
	c.opened(room.Close)

	listed := catalog.New(d, catalog.Config{
		Refresh: cfg.Catalog.Refresh, Reconcile: cfg.Catalog.Reconcile, MaxEvents: cfg.Catalog.MaxEvents, Changed: room.SetCatalog, Log: log,
	})

	deadlines, err := cfg.deadlines()
	if err != nil {
		return nil, err
	}
	reconciler := settlement.New(d, settlement.Config{
		Late:  orders.SettledLate,
		Grace: cfg.Settlement.Grace, BookPlain: cfg.Settlement.BookPlain, Reread: cfg.Settlement.RereadDays, Hour: cfg.Settlement.Hour,
		CatchUp: cfg.Settlement.CatchUpDays, Log: log,
	})
	settlements := settlementReaders(providers)
	payouts := payout.New(d, payout.Config{Rules: cfg.Payouts.rules(), Organizers: cfg.organizerRules(), Log: log})
	server := &api.Server{
		Scans:      scan.New(d, atGates(events)),
		Payouts:    payouts,
		Bookings:   booking.New(d),
		Settlement: reconciler, Settlements: settlements,
		ClearingDeadlines: deadlines,
		DB:                d, Events: events, Catalog: listed, Inventory: stock, Feed: feed, Checkout: orders, Room: room, Inbox: inbox, Outbox: outbox,
		EdgeSecret: edgeSecret, AdminSecret: adminSecret, Form: providers.Form, SessionReadTTL: cfg.Session.ReadTTL, Stopping: c.leaving, Log: log,
	}
	if cfg.Payment.Offline.configured() {
		server.Offline = cfg.Payment.Offline.build(accounts{db: d, log: log, outbox: outbox})
	}
	c.handlers = map[string]http.Handler{"edge": server.Edge(), "admin": server.Admin(), "gate": server.Gate(), "webhook": server.Webhook(), "private": server.Private()}
	c.workers = map[string]func(context.Context) error{
		"inventory":   stock.Run,
		"allocations": stock.RunReleases,
		"seat feed":   feed.Run,
		"checkout":    orders.Run,
		"webhooks": func(ctx context.Context) error {
			return inbox.Run(ctx, orders.Webhooks)
		},
		"outbox watch":    outbox.Watch(outboxWatch),
		"waiting room":    room.Run,
		"fraud":           sweep(screen),
		"disputes":        orders.WatchDisputes,
		"silent disputes": orders.LookUpDisputes,
		"dispute lists":   orders.ListDisputes,
		"catalog":         listed.Run,
		"ledger seals":    sealer(d, writer, log),
		"settlement": func(ctx context.Context) error {
			if !cfg.Settlement.Daily {
				return nil
			}
			return reconciler.Run(ctx, settlements)
		},
		"payouts":    func(ctx context.Context) error { return payouts.Watch(ctx, payoutWatch) },
		"late money": watchClearing(d, deadlines, cfg.Ledger.ClearingEvery, log),
	}
	return c, nil
}

// openDatabase starts the database where none is configured, connects and brings the schema up to date.
func openDatabase(ctx context.Context, cfg config, log *slog.Logger, c *core) (*db.DB, error) {
	server, err := db.Start(ctx, db.ServerConfig{URL: cfg.Database.URL, DataDir: cfg.Database.DataDir, Log: log})
	if err != nil {
		return nil, fmt.Errorf("start the database: %w", err)
	}
	if server.Private {
		c.opened(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := server.Stop(ctx); err != nil {
				log.Warn("stop the database", "error", err)
			}
		})
	}
	d, applied, err := server.OpenService(ctx, db.Options{Application: "fairgate-core", MaxConns: cfg.Database.MaxConns, Log: log})
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	c.opened(d.Close)
	log.Info("database", "engine", d.Engine, "version", d.Version)
	if cfg.Database.Migrate && !server.Private {
		if applied, err = d.Migrate(ctx); err != nil {
			return nil, fmt.Errorf("bring the schema up to date: %w", err)
		}
	}
	if cfg.Database.Migrate || server.Private {
		log.Info("schema is up to date", "migrations_applied", len(applied))
	}
	rewritable, err := d.MayRewrite(ctx)
	if err != nil {
		return nil, err
	}
	if len(rewritable) > 0 {
		log.Warn("the database's role could rewrite what is only ever inserted; give core a role of its own with ticketctl migrate --service-role", "tables", rewritable)
	}
	return d, nil
}

// openHistory starts the recording of what is done to the inventory, if it is wanted.
func openHistory(cfg config, log *slog.Logger, c *core) (inventory.Recorder, error) {
	if cfg.History.File == "" {
		return nil, nil
	}
	r, err := history.Open(history.Config{Path: cfg.History.File, Side: history.Core, MaxBytes: cfg.History.MaxBytes, Log: log})
	if err != nil {
		return nil, err
	}
	c.opened(func() {
		if err := r.Close(); err != nil {
			log.Error("the history is not complete", "file", cfg.History.File, "error", err)
		}
	})
	return r, nil
}

// sealer extends the ledger's hash chain now and then, away from the hot path: its own part often, and now and then what
// cores that died left unsealed. What it misses it does the next time.
func sealer(d *db.DB, writer *ledger.Writer, log *slog.Logger) func(context.Context) error {
	seal := func(ctx context.Context, id uuid.UUID) error {
		for {
			var sealed int
			err := d.InTx(ctx, func(ctx context.Context, tx pgx.Tx) (err error) {
				sealed, err = ledger.SealOrphan(ctx, tx, id)
				return err
			})
			if err != nil || sealed == 0 {
				return err
			}
		}
	}
	orphans := func(ctx context.Context) error {
		writers, err := ledger.Writers(ctx, d.Reader)
		if err != nil {
			return err
		}
		for _, id := range writers {
			if id == writer.Incarnation() {
				continue
			}
			if err := seal(ctx, id); err != nil {
				return err
			}
		}
		return nil
	}
	return func(ctx context.Context) error {
		tick := time.NewTicker(sealEvery)
		defer tick.Stop()
		for round := 0; ; round++ {
			err := seal(ctx, writer.Incarnation())
			if err == nil && round%orphanRounds == 0 {
				err = orphans(ctx)
			}
			if err != nil && ctx.Err() == nil {
				log.Warn("seal the ledger", "error", err)
			}
			select {
			case <-ctx.Done():
				// What was recorded last shall not wait for the next start.
				last, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				defer cancel()
				return seal(last, writer.Incarnation())
			case <-tick.C:
			}
		}
	}
}

// finish frees the places of buyers who have bought, so that others are called. It is not part of the sale's transaction,
// which would conflict with everybody who is being let in meanwhile; should it fail, the places are free when the
// sessions end.
func finish(d *db.DB, log *slog.Logger) func(context.Context, []checkout.Order) {
	return func(ctx context.Context, orders []checkout.Order) {
		buyers := make([]access.Buyer, len(orders))
		for i, o := range orders {
			buyers[i] = access.Buyer{Event: o.Event, Entrant: o.Entrant}
		}
		err := d.InBookkeeping(ctx, func(ctx context.Context, tx pgx.Tx) error { return access.Finish(ctx, tx, buyers) })
		if err != nil {
			log.Warn("free the places of buyers", "buyers", len(buyers), "error", err)
		}
	}
}

// maxWaiting is how many checkouts may wait for a commit before nobody more is let in: half a batch, some tenths of a second.
const maxWaiting = 100

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
		mu.Lock()
		defer mu.Unlock()
		if len(known) >= maxOffers {
			clear(known)
		}
		known[id] = made{e, offer}
		return offer, nil
	}
}

// layouts remembers the layouts of so many events, each as long as the event is the same.
func layouts(events *event.Store, most int) func(context.Context, uuid.UUID) (*inventory.Layout, error) {
	var mu sync.Mutex
	known := map[uuid.UUID]*inventory.Layout{}
	return func(ctx context.Context, id uuid.UUID) (*inventory.Layout, error) {
		e, err := events.ByID(ctx, id)
		if err != nil {
			return nil, err
		}
		mu.Lock()
		defer mu.Unlock()
		if l := known[id]; l != nil && l.Revision == e.Revision {
			return l, nil
		}
		if len(known) >= most {
			clear(known)
		}
		l := &inventory.Layout{Revision: e.Revision, Allocation: event.GeneralAllocation}
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
		for _, t := range e.Spec.Tiers {
			sale.Tiers = append(sale.Tiers, access.Tier{ID: t.ID, Name: t.Name, Price: e.Tiers[t.ID].Price.AllIn})
		}
		return sale, nil
	}
}

// tierStock is what general sale has of each tier.
func tierStock(stock *inventory.Service) func(context.Context, uuid.UUID) ([]access.TierStock, error) {
	return func(ctx context.Context, id uuid.UUID) ([]access.TierStock, error) {
		rows, err := stock.Availability(ctx, id)
		if err != nil {
			return nil, err
		}
		var tiers []access.TierStock
		for _, row := range rows {
			if row.Allocation == event.GeneralAllocation {
				tiers = append(tiers, access.TierStock{Tier: row.Tier, Capacity: int(row.Capacity), Taken: int(row.Taken)})
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
