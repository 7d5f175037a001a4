package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/access"
	"fairgate/core/api"
	"fairgate/core/booking"
	"fairgate/core/catalog"
	"fairgate/core/checkout"
	"fairgate/core/event"
	"fairgate/core/fraud"
	"fairgate/core/inventory"
	"fairgate/core/notify"
	"fairgate/core/payment"
	"fairgate/core/payout"
	"fairgate/core/resale"
	"fairgate/core/settlement"
	"fairgate/core/ticket"
	"fairgate/core/ticket/scan"
	"fairgate/core/ticket/scanner"
	"fairgate/core/waitlist"
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

// outboxWatch is how often the metrics are told how the outbox stands.
const outboxWatch = 15 * time.Second

// payoutWatch is how often the metrics are told which payouts wait.
const payoutWatch = 30 * time.Second

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
	if err := events.EnsureGlobalKeys(ctx, event.SessionPurpose, event.SessionFilterPurpose, event.FraudPurpose,
		event.AccountPurpose, event.CodePurpose, event.OrderLinkPurpose, event.WalletPurpose); err != nil {
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
	var room *access.Room // made below
	screen, marker, err := openScreen(ctx, d, events, cfg.Fraud, log, c, func(card fraud.Mark) bool {
		return room != nil && room.HasBan(access.BanCard, card[:])
	})
	if err != nil {
		return nil, err
	}
	issuer := ticket.NewIssuer(signingKey(events))
	var lists *waitlist.Service // made below
	listings := resale.New(resale.Config{DB: d, Rules: resaleRules(events), Issuer: issuer, Ledger: writer, MaxListings: cfg.Resale.MaxListings, Within: cfg.Resale.Within, Log: log,
		Waits: func(ctx context.Context, tx pgx.Tx, event uuid.UUID, tier string, now time.Time) (bool, error) {
			return lists.Resold(ctx, tx, event, tier, now)
		}})
	var stock *inventory.Service // that orders come back to, made below
	orders := checkout.New(checkout.Config{
		DB: d, Catalog: terms(events), Providers: providers, Outbox: outbox, Ledger: writer,
		Issuer: issuer, Resale: listings,
		Sold:   finish(d, log),
		Screen: screen, Marker: marker, ReviewFor: cfg.Fraud.ReviewFor, SubmitBefore: cfg.Disputes.SubmitBefore, DisputesEvery: cfg.Disputes.LookupEvery, DisputeListing: cfg.Disputes.ListEvery,
		MaxBatch: cfg.Checkout.MaxBatch, LookupAfter: cfg.Checkout.LookupAfter, RunLease: cfg.Checkout.RunLease, Log: log, Recorder: recorder,
		Again: func(ctx context.Context, earlier uuid.UUID, key string) (inventory.Hold, error) {
			return stock.HoldAgain(ctx, earlier, key)
		},
		ActiveHolds: func(ctx context.Context, event uuid.UUID) ([]uuid.UUID, error) { return stock.ActiveHolds(ctx, event) },
		Selling:     func(ctx context.Context, slug string) bool { return selling(ctx, room, slug) },
		SaleEnds:    func(ctx context.Context, slug string) time.Time { return saleEnds(ctx, room, slug) },
		RefundRate:  refundRate(providers, events, log), RefundWindow: events.RefundWindow, UnpaidMail: cfg.unpaidMail(),
	})
	c.opened(orders.Close)
	sells := func(event uuid.UUID) string { return room.SellsInMemory(event) } // the room is made below
	feed := inventory.NewFeed(d, inventory.FeedConfig{Layouts: layouts(events, cfg.Inventory.FeedEvents, sells), Every: cfg.Inventory.FeedEvery, Events: cfg.Inventory.FeedEvents, Log: log})
	stock = inventory.New(d, inventory.Config{
		Offers: offers(events), Lanes: cfg.Inventory.Lanes, MaxBatch: cfg.Inventory.MaxBatch, MaxQueue: cfg.Inventory.MaxQueue, Committed: feed.Nudge,
		Log:      log,
		Recorder: recorder,
	}, orders.Hooks())
	c.opened(stock.Close)
	lists = openWaitlists(d, events, stock, listings, func() *access.Room { return room }, log)
	inbox := payment.NewInbox(d, providers.WebhookReaders(), payment.InboxConfig{Log: log, Idle: orders.Idle})
	c.opened(inbox.Close)
	room, err = access.New(ctx, d, access.Config{
		Tick: cfg.Access.Tick, MarkerWait: cfg.Access.MarkerWait, LeaseTTL: cfg.Access.LeaseTTL, PollMin: cfg.Access.PollMin,
		PollMax: cfg.Access.PollMax, PollsPerSecond: cfg.Access.PollsPerSecond, KeepVerdicts: cfg.Access.KeepVerdicts, Log: log,
	}, access.Deps{
		Sales: sales(events), Stock: tierStock(stock, d), Holding: holding(stock), SpareRate: spareRate(providers, events, orders.Waiting, log), Keys: keys(events),
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
		Late: orders.SettledLate,
		Found: func(ctx context.Context, tx pgx.Tx, f settlement.FoundRefund) error {
			return orders.SettledRefund(ctx, tx, checkout.SettledRefund{Order: f.Order, Payment: f.Payment, Provider: f.Provider, PaymentRef: f.PaymentRef, Ref: f.Ref, Amount: f.Amount})
		},
		Grace: cfg.Settlement.Grace, BookPlain: cfg.Settlement.BookPlain, Reread: cfg.Settlement.RereadDays, Hour: cfg.Settlement.Hour,
		CatchUp: cfg.Settlement.CatchUpDays, Log: log,
	})
	settlements := settlementReaders(providers)
	payouts := payout.New(d, payout.Config{Rules: cfg.Payouts.rules(), Organizers: cfg.organizerRules(), Log: log})
	signIns, err := openAccounts(d, events, log)
	if err != nil {
		return nil, err
	}
	transfers := openTransfers(d, events, ticket.NewIssuer(signingKey(events)), log)
	wallets, err := cfg.Wallet.open(log)
	if err != nil {
		return nil, err
	}
	links := orderLinks(events)
	told := &letters{db: d, events: events, orders: orders, log: log, public: strings.TrimRight(cfg.Mail.PublicURL, "/"), link: sealLink(links)}
	composers := told.composers()
	for _, kind := range notify.TransferKinds {
		composers[kind] = transferMail(transfers, events, cfg.Mail.PublicURL)
	}
	reminders := openReminders(d, events, room, log)
	composers[notify.KindReminder] = reminderMail(events, cfg.Mail.PublicURL, reminders.Token)
	composers[notify.KindWaitlistOffer] = offerMail(lists, stock, events, cfg.Mail.PublicURL)
	mailer, err := cfg.Mail.mailer(d, composers, log)
	if err != nil {
		return nil, err
	}
	page, err := scanner.Handler()
	if err != nil {
		return nil, err
	}
	server := &api.Server{
		Wallets: wallets, OrderLinks: links,
		Accounts:  signIns,
		Transfers: transfers,
		Waitlists: lists,
		Reminders: reminders,
		Scans:     scan.New(d, atGates(events)),
		GateRate:  cfg.Gates.RatePerSecond, ScannerPage: page,
		Payouts:    payouts,
		Resale:     listings,
		CardMark:   func(fingerprint string) [16]byte { return marker.Mark("card", fingerprint) },
		Bookings:   booking.New(d),
		Settlement: reconciler, Settlements: settlements,
		ClearingDeadlines: deadlines, SellersWithin: cfg.Ledger.ClearingWithin.SellerPayable,
		DB: d, Events: events, Catalog: listed, Inventory: stock, Feed: feed, Checkout: orders, Room: room, Inbox: inbox, Outbox: outbox,
		EdgeSecret: edgeSecret, AdminSecret: adminSecret, Form: providers.Form, SessionReadTTL: cfg.Session.ReadTTL, Stopping: c.leaving, Log: log,
	}
	if server.Wallets.Passes, err = cfg.Wallet.openPasses(d, events, wallets, log, server.DescribePass); err != nil {
		return nil, err
	}
	told.pass = server.ApplePass
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
		"account codes":   signIns.Run,
		"transfers":       transfers.Run,
		"waiting lists":   lists.Run,
		"reminders":       reminders.Run,
		"disputes":        orders.WatchDisputes,
		"silent disputes": orders.LookUpDisputes,
		"dispute lists":   orders.ListDisputes,
		"catalog":         listed.Run,
		"resale":          listings.Run,
		"ledger seals":    sealer(d, writer, log),
		"settlement": func(ctx context.Context) error {
			if !cfg.Settlement.Daily {
				return nil
			}
			return reconciler.Run(ctx, settlements)
		},
		"mail":          mailer.Run,
		"wallet phones": cfg.Wallet.sweeper(d, events, log).Run,
		"payouts":       func(ctx context.Context) error { return payouts.Watch(ctx, payoutWatch) },
		"late money": watchClearing(d, deadlines, func(ctx context.Context, at time.Time) ([]ledger.Overdue, error) {
			return listings.LateShares(ctx, at, cfg.Ledger.ClearingWithin.SellerPayable, mostCounted)
		}, cfg.Ledger.ClearingEvery, log),
	}
	if passes := server.Wallets.Passes; passes != nil {
		c.workers["wallets"] = passes.Run
	}
	return c, nil
}
