package checkout

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"fairgate/core/db"
	"fairgate/core/fraud"
	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/core/resale"
	"fairgate/core/ticket"
	"fairgate/ledger"
)

// Config are what a Service is made of. Catalog, DB, Providers, Outbox, Ledger and Issuer are required.
type Config struct {
	DB        *db.DB
	Catalog   Catalog
	Providers *payment.Providers
	Outbox    *payment.Outbox
	Ledger    *ledger.Writer
	Issuer    *ticket.Issuer
	// Sold, if set, is told after the commit which orders were just sold. It is not told again if the process dies before.
	Sold func(ctx context.Context, orders []Order)

	// Screen judges payments, with the keys of Marker; nil: none is judged.
	Screen *fraud.Screen
	Marker fraud.Marker
	// SubmitBefore is how long before its deadline the evidence of a dispute is handed in by itself; 0: never.
	SubmitBefore time.Duration
	// DisputesEvery is how long a dispute may be silent before its provider is asked about it; default 6 h.
	DisputesEvery time.Duration
	// DisputeListing is how often each provider's list of disputes is read; default 15 minutes.
	DisputeListing time.Duration
	// ReviewFor is how long a payment waits for an operator, and its hold with it; default 30 minutes.
	ReviewFor time.Duration
	// Again takes another hold for late money. Nil: late money never buys anything.
	Again Again
	// ActiveHolds lists what is held of an event: inventory.Service.ActiveHolds. Nil: cancelled events keep their holds.
	ActiveHolds func(ctx context.Context, event uuid.UUID) ([]uuid.UUID, error)
	// Selling tells whether an event, by its slug, sells at the moment. Nil: always.
	Selling func(ctx context.Context, slug string) bool
	// SaleEnds tells when an event, by its slug, stops selling: bank transfers have no longer, but a working day. Zero where nobody knows;
	// nil: never known. It is asked while a batch waits and must answer from memory nearly always.
	SaleEnds func(ctx context.Context, slug string) time.Time
	// Resale sells tickets that their owners list. Nil: none are.
	Resale *resale.Service
	// RefundWindow is until when, and at most until the event begins, what was bought of it at a time may be given back because it was
	// moved since; zero when it may not. Nil: never.
	RefundWindow func(ctx context.Context, event uuid.UUID, bought time.Time) (time.Time, error)
	// RefundRate is how many refunds a second may be asked for in the name of a cancelled event. Nil: 10.
	RefundRate func(ctx context.Context, event uuid.UUID) float64

	// UnpaidMail is how long an order with an address waits for its payment before it is mailed a link to go on by, once and only while its
	// hold lives. 0: never.
	UnpaidMail time.Duration

	MaxBatch    int                // most openings or outcomes in one commit; default 500
	MaxQueue    int                // most of them waiting; default 20 × MaxBatch
	RunLease    time.Duration      // how long the refund of an event, or the reading of a list, is left alone without a sign of life; default 10 s
	LookupAfter time.Duration      // how long a begun payment may be silent before the provider is asked; default 5 s
	LookupEvery time.Duration      // how often silent payments are looked for; default 1 s
	Log         *slog.Logger       // default slog.Default()
	Recorder    inventory.Recorder // keeps a history of sales; default none
}

// Service opens orders and follows them to their tickets. It is safe for concurrent use. Whoever made it closes it, after
// Run has returned.
type Service struct {
	db        *db.DB
	catalog   Catalog
	providers *payment.Providers
	outbox    *payment.Outbox
	ledger    *ledger.Writer
	issuer    *ticket.Issuer
	cfg       Config
	log       *slog.Logger
	metrics   metricSet

	lane         *db.Lane[ask, answer]
	orderReads   *db.Lane[uuid.UUID, found]
	attemptReads *db.Lane[payment.Task, attempting]
	payerReads   *db.Lane[payment.Task, payer]
	waiting      waiting // for news of orders
	following    waiting // for the end of a payment; see Follow
	off          off     // events that are cancelled, of which the catalog may not know yet

	incarnation uuid.UUID  // of this process, under which it seals
	sealing     sync.Mutex // one seal at a time
	touched     touched    // orders whose new heads wait for their seal
}

// New starts the lane of a Service.
func New(cfg Config) *Service {
	if cfg.MaxBatch <= 0 {
		cfg.MaxBatch = 500
	}
	if cfg.RunLease <= 0 {
		cfg.RunLease = 10 * time.Second
	}
	if cfg.LookupAfter <= 0 {
		cfg.LookupAfter = 5 * time.Second
	}
	if cfg.DisputesEvery <= 0 {
		cfg.DisputesEvery = 6 * time.Hour
	}
	if cfg.DisputeListing <= 0 {
		cfg.DisputeListing = 15 * time.Minute
	}
	if cfg.LookupEvery <= 0 {
		cfg.LookupEvery = time.Second
	}
	if cfg.ReviewFor <= 0 {
		cfg.ReviewFor = 30 * time.Minute
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	s := &Service{
		db: cfg.DB, catalog: cfg.Catalog, providers: cfg.Providers, outbox: cfg.Outbox, ledger: cfg.Ledger, issuer: cfg.Issuer,
		cfg: cfg, log: cfg.Log, metrics: newMetrics(), incarnation: uuid.New(),
	}
	s.lane = db.NewLane(db.LaneConfig{Name: "checkout", MaxBatch: cfg.MaxBatch, MaxQueue: cfg.MaxQueue, Log: cfg.Log}, s.commit)
	s.orderReads = db.NewLane(db.LaneConfig{Name: "order_reads", MaxBatch: readTogether, MaxQueue: cfg.MaxQueue, Log: cfg.Log}, s.readOrders)
	s.attemptReads = db.NewLane(db.LaneConfig{Name: "payment_reads", MaxBatch: readTogether, MaxQueue: cfg.MaxQueue, Log: cfg.Log}, s.readAttempts)
	s.payerReads = db.NewLane(db.LaneConfig{Name: "payer_reads", MaxBatch: readTogether, MaxQueue: cfg.MaxQueue, Log: cfg.Log}, s.readPayers)
	return s
}

// Waiting is how many openings and outcomes wait for their commit at the moment.
func (s *Service) Waiting() int { return s.lane.Depth() }

// Run works off the outbox, asks the provider about silent payments, refunds cancelled events, tells the buyers of moved ones, reminds those of unpaid orders and seals the audit trail until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { s.lookUpSilent(ctx) })
	wg.Go(func() { s.workRuns(ctx) })
	wg.Go(func() { s.seals(ctx) })
	wg.Go(func() { s.tellMoved(ctx) })
	wg.Go(func() { s.mailUnpaid(ctx) })
	err := s.outbox.Run(ctx, s.handlers())
	wg.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// Close finishes what waits in the lane.
func (s *Service) Close() {
	s.lane.Close()
	s.orderReads.Close()
	s.attemptReads.Close()
	s.payerReads.Close()
}

// Hooks let orders end together with their holds, in the transactions of package inventory.
func (s *Service) Hooks() inventory.Hooks {
	return inventory.Hooks{
		Expired: func(ctx context.Context, tx pgx.Tx, holds []inventory.Hold) error {
			return s.holdsGone(ctx, tx, holds, CauseHoldExpired, "expiry")
		},
		Released: func(ctx context.Context, tx pgx.Tx, holds []inventory.Hold) (map[uuid.UUID]error, error) {
			return nil, s.holdsGone(ctx, tx, holds, CauseHoldReleased, "buyer")
		},
	}
}

// holdsGone ends the orders of holds that were never sold, and has their intents voided.
func (s *Service) holdsGone(ctx context.Context, tx pgx.Tx, holds []inventory.Hold, cause Cause, actor string) error {
	ids := make([]uuid.UUID, len(holds))
	for i, h := range holds {
		ids[i] = OrderID(h.ID)
	}
	records, err := loadRecords(ctx, tx, ids)
	if err != nil || len(records) == 0 {
		return err
	}
	var tasks []payment.Task
	var reviewed []reviewRow
	for _, r := range records {
		if !slices.ContainsFunc(holds, func(h inventory.Hold) bool { return h.ID == r.order.Hold }) {
			continue // late money has been given another hold
		}
		if _, err := Next(r.order.State, cause); err != nil {
			continue // late money ended it first, in the moment between the deadline and the sweep
		}
		was := r.order.State
		if err := r.apply(cause, actor, ""); err != nil {
			return err
		}
		if p := r.live(); p != nil {
			if was == PaymentReview {
				reviewed = append(reviewed, reviewRow{order: r.order.ID, payment: p.ID, decision: reviewEnds[cause], actor: actor})
				p.Failure = reviewOver
			}
			p.move(PaymentVoiding, p.Failure)
			tasks = append(tasks, task(taskVoid, r.order.ID, p.ID))
		}
	}
	if err := s.flush(ctx, tx, records); err != nil {
		return err
	}
	if err := writeReviews(ctx, tx, reviewed); err != nil {
		return err
	}
	return s.outbox.Enqueue(ctx, tx, tasks)
}
