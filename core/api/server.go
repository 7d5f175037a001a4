package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"reflect"
	"strings"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"fairgate/core/access"
	"fairgate/core/account"
	"fairgate/core/booking"
	"fairgate/core/catalog"
	"fairgate/core/checkout"
	"fairgate/core/db"
	"fairgate/core/event"
	"fairgate/core/inventory"
	"fairgate/core/payment"
	"fairgate/core/payment/offline"
	"fairgate/core/payout"
	"fairgate/core/reminder"
	"fairgate/core/resale"
	"fairgate/core/settlement"
	"fairgate/core/ticket/scan"
	"fairgate/core/transfer"
	"fairgate/core/waitlist"
	"fairgate/edge/lottery"
	"fairgate/ledger"
)

// Limits of a request.
const (
	maxBuyerBody   = 16 << 10
	maxEdgeBody    = 4 << 20 // 1,000 pool entries, or 500 holds
	maxAdminBody   = 8 << 20 // a stadium's event file
	maxWebhookBody = 1 << 20
	requestTimeout = 20 * time.Second
)

// Server answers for the parts it is given. All fields but Log are required.
type Server struct {
	DB          *db.DB
	Events      *event.Store
	Catalog     *catalog.Catalog
	Inventory   *inventory.Service
	Feed        *inventory.Feed
	Checkout    *checkout.Service
	Room        *access.Room
	Accounts    *account.Service
	Transfers   *transfer.Service
	Waitlists   *waitlist.Service
	Reminders   *reminder.Service
	Inbox       *payment.Inbox
	Outbox      *payment.Outbox
	Offline     *offline.Provider // nil: nobody pays by bank transfer or at a box office
	EdgeSecret  string
	AdminSecret string
	// Form is what a buyer's browser needs to pay a begun payment at its provider.
	Form func(provider, ref, clientSecret string) payment.Form
	// SessionReadTTL is how long after a session's end its buyer may still look at holds, orders and tickets.
	SessionReadTTL time.Duration
	// Stopping is closed some time before the listeners are: from then on edges are told at once to go elsewhere, while
	// what was taken before is finished. Nil: never.
	Stopping <-chan struct{}
	Log      *slog.Logger
	// Bookings books what operators know from the bank.
	Bookings *booking.Service
	// Settlement reconciles; Settlements reads what the providers settled, by name.
	Settlement  *settlement.Service
	Settlements map[string]payment.SettlementReader
	// Scans decides at the gates.
	Scans *scan.Service
	// OrderLinks are the keys of the links that lead back to unpaid orders.
	OrderLinks func(ctx context.Context) (lottery.MACKeys, error)
	// Wallets are those that tickets can be put into.
	Wallets Wallets
	// CardMark is the keyed hash by which a provider's fingerprint of a card is known. Nil: cards are banned by their hash only.
	CardMark func(fingerprint string) [16]byte
	// GateRate is how many requests a second one gate may make of this core; 0: any number.
	GateRate int
	// ScannerPage is the page at the gate listener with which a phone is a gate; nil: there is none.
	ScannerPage http.Handler
	// Resale lists tickets that their owners sell on.
	Resale *resale.Service
	// SellersWithin is how long after it was due a seller's share may wait before the ledger's clearing list has it; 0: it never has.
	SellersWithin time.Duration
	// Payouts pays organizers.
	Payouts *payout.Service
	// ClearingDeadlines are those of the ledger's clearing accounts; nil: the defaults.
	ClearingDeadlines ledger.Deadlines

	phoneLogs   phoneLogs
	watchers    watchers
	transcripts transcripts
}

// handler is an HTTP handler that returns what went wrong instead of writing it.
type handler func(w http.ResponseWriter, r *http.Request) error

// on adapts a handler: bounded body and time, and the error table.
func (s *Server) on(limit int64, h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		defer cancel()
		r = r.WithContext(ctx)
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		if err := h(w, r); err != nil {
			writeProblem(w, r, s.Log, err)
		}
	}
}

// bearer lets a request pass that knows the secret.
func bearer(secret string, h handler) handler {
	want := sha256.Sum256([]byte(secret))
	return func(w http.ResponseWriter, r *http.Request) error {
		given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		got := sha256.Sum256([]byte(given))
		if !ok || secret == "" || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			return errUnauthorized
		}
		return h(w, r)
	}
}

// Edge is the handler of the edge listener.
func (s *Server) Edge() http.Handler {
	mux := http.NewServeMux()
	edge := func(pattern string, limit int64, h handler) {
		mux.HandleFunc(pattern, s.on(limit, bearer(s.EdgeSecret, h)))
	}
	edge("POST /edge/v1/enroll", maxBuyerBody, s.enroll)
	edge("POST /edge/v1/keys", maxBuyerBody, s.edgeKeys)
	edge("POST /edge/v1/pool", maxEdgeBody, s.pool)
	edge("GET /edge/v1/state", maxBuyerBody, s.feed)
	edge("POST /edge/v1/redeem", maxEdgeBody, s.redeem)
	edge("POST /edge/v1/holds:batch", maxEdgeBody, s.holdBatch)
	edge("POST /v1/holds", maxBuyerBody, s.holdUnadmitted)
	edge("GET /v1/holds/{id}", maxBuyerBody, s.loadHold)
	edge("DELETE /v1/holds/{id}", maxBuyerBody, s.releaseHold)
	edge("POST /v1/orders", maxBuyerBody, s.openOrder)
	edge("GET /v1/orders", maxBuyerBody, s.unfinishedOrders)
	edge("GET /v1/orders/{id}", maxBuyerBody, s.loadOrder)
	edge("POST /v1/orders/{id}/pay", maxBuyerBody, s.payOrder)
	edge("POST /v1/orders/{id}/refund", maxBuyerBody, s.refundOwn)
	edge("GET /v1/tickets/{id}", maxBuyerBody, s.loadTicket)
	edge("GET /v1/tickets/{id}/wallet/apple", maxBuyerBody, s.applePass)
	edge("GET /v1/tickets/{id}/wallet/google", maxBuyerBody, s.googleLink)
	s.passRoutes(edge)
	s.transferRoutes(edge)
	s.waitlistRoutes(edge)
	s.reminderRoutes(edge)
	edge("POST /v1/account/code", maxBuyerBody, s.sendCode)
	edge("POST /v1/account/session", maxBuyerBody, s.signIn)
	edge("DELETE /v1/account/session", maxBuyerBody, s.signOut)
	edge("GET /v1/account", maxBuyerBody, s.showAccount)
	edge("GET /v1/account/orders", maxBuyerBody, s.accountOrders)
	edge("GET /v1/account/tickets", maxBuyerBody, s.accountTickets)
	edge("POST /v1/tickets/{id}/listing", maxBuyerBody, s.listTicket)
	edge("GET /v1/tickets/{id}/listing", maxBuyerBody, s.quoteTicket)
	edge("GET /v1/listings", maxBuyerBody, s.ownListings)
	edge("PATCH /v1/listings/{id}", maxBuyerBody, s.repriceListing)
	edge("DELETE /v1/listings/{id}", maxBuyerBody, s.withdrawListing)
	edge("GET /v1/events/{id}/listings", maxBuyerBody, s.eventListings)
	edge("GET /v1/events", maxBuyerBody, s.searchEvents)
	edge("GET /v1/events/{id}", maxBuyerBody, s.showEvent)
	edge("GET /v1/events/{id}/transcript", maxBuyerBody, s.showTranscript)
	edge("GET /v1/events/{id}/transcript/{sale}", maxBuyerBody, s.showTranscript)
	edge("POST /v1/events/{id}/presales/{presale}/registration", maxBuyerBody, s.registerSelf)
	edge("GET /v1/events/{id}/seats", maxBuyerBody, s.showSeats)
	edge("GET /v1/events/{id}/seats/geometry/{hash}", maxBuyerBody, s.showGeometry)
	edge("POST /edge/v1/guard", maxEdgeBody, s.keepVerdicts)
	edge("POST /edge/v1/availability", maxEdgeBody, s.availability)
	mux.HandleFunc("/", s.on(maxBuyerBody, nothing))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.leaving() {
			w.Header().Set("Connection", "close")
			writeProblem(w, r, s.Log, errLeaving)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// leaving tells whether the node is about to stop.
func (s *Server) leaving() bool {
	select {
	case <-s.Stopping:
		return true
	default:
		return false
	}
}

// untilLeaving is a context that ends with the given one, and as soon as the node is about to stop.
func (s *Server) untilLeaving(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-s.Stopping:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// Webhook is the handler of the webhook listener.
func (s *Server) Webhook() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /webhooks/{provider}", s.on(maxWebhookBody, s.webhook))
	mux.HandleFunc("/", s.on(maxBuyerBody, nothing))
	return mux
}

// Admin is the handler of the admin listener.
func (s *Server) Admin() http.Handler {
	mux := http.NewServeMux()
	admin := func(pattern string, h handler) {
		mux.HandleFunc(pattern, s.on(maxAdminBody, bearer(s.AdminSecret, h)))
	}
	admin("PUT /admin/v1/events", s.applyEvent)
	admin("POST /admin/v1/events:batch", s.applyBatch)
	admin("GET /admin/v1/events", s.listEvents)
	admin("GET /admin/v1/catalog", s.searchEvents)
	admin("GET /admin/v1/events/{id}", s.adminEvent)
	admin("POST /admin/v1/events/{id}/onsale/{verb}", s.changeOnSale)
	admin("GET /admin/v1/events/{id}/onsale", s.onSale)
	mux.HandleFunc("GET /admin/v1/events/{id}/lottery", s.long(maxBuyerBody, bearer(s.AdminSecret, s.lottery))) // half a million leaves
	admin("POST /admin/v1/events/{id}/lottery/beacon", s.beacon)
	admin("POST /admin/v1/events/{id}/invitations", s.invite)
	admin("POST /admin/v1/events/{id}/allocations/{allocation}/release", s.releaseAllocation)
	admin("GET /admin/v1/events/{id}/releases", s.listReleases)
	admin("GET /admin/v1/events/{id}/changes", s.listChanges)
	admin("GET /admin/v1/events/{id}/waitlist", s.adminWaitlist)
	admin("GET /admin/v1/events/{id}/waitlist/transcript", s.waitlistTranscript)
	admin("POST /admin/v1/tickets/{id}/move", s.moveSeat)
	admin("GET /admin/v1/orders", s.listOrders)
	mux.HandleFunc("GET /admin/v1/orders/verify", s.long(maxBuyerBody, bearer(s.AdminSecret, s.verifyOrders)))
	admin("GET /admin/v1/orders/{id}", s.adminOrder)
	admin("POST /admin/v1/orders/{id}/refunds", s.refundOrder)
	admin("GET /admin/v1/refunds", s.listRefunds)
	admin("GET /admin/v1/refunds/{id}", s.showRefund)
	admin("POST /admin/v1/refunds/{id}/retry", s.retryRefund)
	admin("POST /admin/v1/refunds/{id}/review", s.reviewRefund)
	admin("POST /admin/v1/events/{id}/cancel", s.cancelEvent)
	admin("GET /admin/v1/events/{id}/refunds", s.showRun)
	admin("GET /admin/v1/disputes", s.listDisputes)
	admin("GET /admin/v1/disputes/{ref}", s.showDispute)
	admin("GET /admin/v1/disputes/{ref}/evidence", s.disputeEvidence)
	admin("POST /admin/v1/disputes/{ref}/submit", s.submitDispute)
	admin("GET /admin/v1/reviews", s.listReviews)
	admin("GET /admin/v1/reviews/{id}", s.showReview)
	admin("POST /admin/v1/reviews/{id}/{verb}", s.decideReview)
	admin("POST /admin/v1/payments/receipts", s.recordReceipts)
	admin("GET /admin/v1/payments/receipts", s.listReceipts)
	admin("POST /admin/v1/payments/receipts/{verb}", s.decideReceipt)
	admin("GET /admin/v1/payments/due", s.listDueRefunds)
	admin("POST /admin/v1/payments/refunds/{id}/{verb}", s.confirmRefund)
	admin("GET /admin/v1/mails", s.listMails)
	admin("GET /admin/v1/mails/{id}", s.showMail)
	admin("POST /admin/v1/mails/{id}/retry", s.retryMail)
	admin("GET /admin/v1/outbox", s.listOutbox)
	admin("GET /admin/v1/outbox/{order}/{task}", s.showTask)
	admin("POST /admin/v1/outbox/{order}/{task}/{verb}", s.changeTask)
	mux.HandleFunc("GET /admin/v1/ledger/verify", s.long(maxBuyerBody, bearer(s.AdminSecret, s.verifyLedger)))
	admin("GET /admin/v1/ledger/balances", s.balances)
	admin("GET /admin/v1/ledger/statement", s.statement)
	admin("GET /admin/v1/ledger/trial-balance", s.trialBalance)
	admin("POST /admin/v1/ledger/bookings/{verb}", s.book)
	admin("GET /admin/v1/ledger/settlement", s.settlement)
	admin("GET /admin/v1/ledger/clearing", s.clearing)
	mux.HandleFunc("POST /admin/v1/settlement/{provider}/days/{day}", s.long(maxSettlementFile, bearer(s.AdminSecret, s.reconcileDay)))
	admin("GET /admin/v1/settlement/{provider}/days/{day}", s.settlementDay)
	admin("GET /admin/v1/settlement/{provider}/days/{day}/items", s.settlementItems)
	admin("GET /admin/v1/settlement/{provider}/days/{day}/progress", s.settlementProgress)
	admin("POST /admin/v1/settlement-items/{id}/{verb}", s.decideItem)
	admin("GET /admin/v1/events/{id}/listings", s.listListings)
	admin("GET /admin/v1/listings/payouts", s.listShares)
	admin("GET /admin/v1/listings/{id}", s.showListing)
	admin("POST /admin/v1/listings/{id}/{verb}", s.moveListing)
	admin("GET /admin/v1/payouts", s.listPayouts)
	mux.HandleFunc("POST /admin/v1/payouts:run", s.long(maxBuyerBody, bearer(s.AdminSecret, s.runPayouts)))
	admin("POST /admin/v1/payouts/{id}/{verb}", s.movePayout)
	admin("GET /admin/v1/tickets/keys", s.ticketKeys)
	admin("POST /admin/v1/tickets/keys:rotate", s.rotateTicketKeys)
	admin("GET /admin/v1/tickets/{id}/title", s.showTitle)
	admin("GET /admin/v1/transfers", s.listTransfers)
	s.gateRoutes(admin)
	s.guardRoutes(admin)
	s.edgeRoutes(admin)
	s.presaleRoutes(admin)
	admin("POST /admin/v1/accounts:find", s.findAccount)
	admin("GET /admin/v1/accounts/keys", s.accountKeys)
	admin("POST /admin/v1/accounts/keys:rotate", s.rotateAccountKey)
	admin("POST /admin/v1/accounts/keys:revoke", s.revokeAccountKeys)
	admin("POST /admin/v1/accounts/{id}/forget", s.forgetAccount)
	admin("GET /admin/v1/bans", s.listBans)
	admin("POST /admin/v1/bans", s.addBan)
	admin("DELETE /admin/v1/bans/{kind}/{subject}", s.liftBan)
	admin("GET /admin/v1/stats", s.stats)
	mux.HandleFunc("/", s.on(maxBuyerBody, nothing))
	return mux
}

// Private is the handler of the private listener: health, metrics and profiles.
func (s *Server) Private() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.on(maxBuyerBody, func(w http.ResponseWriter, r *http.Request) error {
		if s.leaving() {
			return errLeaving
		}
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		if _, err := s.DB.Now(ctx); err != nil {
			return fmt.Errorf("%w: %w", db.ErrUnavailable, err)
		}
		if !s.Catalog.Ready() {
			return catalog.ErrLoading
		}
		fmt.Fprintln(w, "ready")
		return nil
	}))
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) { metrics.WritePrometheus(w, true) })
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

func nothing(http.ResponseWriter, *http.Request) error { return errNotFound }

// webhook takes what a provider reports. It answers once the event is stored.
func (s *Server) webhook(w http.ResponseWriter, r *http.Request) error {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return &detailed{errRequest, "The body could not be read, or is longer than allowed."}
	}
	if err := s.Inbox.Receive(r.Context(), r.PathValue("provider"), raw, r.Header); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]bool{"received": true})
	return nil
}

// decode reads a JSON body into v, strictly: no unknown fields, nothing behind the value.
func decode(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		var long *http.MaxBytesError
		if errors.As(err, &long) {
			return &detailed{errRequest, fmt.Sprintf("The body is longer than %d bytes.", long.Limit)}
		}
		if errors.Is(err, io.EOF) {
			return &detailed{errJSON, "The body is empty; this needs a JSON object."}
		}
		return &detailed{errJSON, unlike(err)}
	}
	if d.More() {
		return &detailed{errJSON, "There is more behind the JSON object."}
	}
	return nil
}

// unlike says in a reader's words why JSON could not be decoded.
func unlike(err error) string {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return "The body is not the JSON this needs: " + strings.TrimPrefix(err.Error(), "json: ") + "."
	}
	needs := "another kind of value"
	switch wrong.Type.Kind() {
	case reflect.Struct, reflect.Map:
		needs = "an object"
	case reflect.Slice, reflect.Array:
		needs = "a list"
	case reflect.String:
		needs = "a text"
	case reflect.Bool:
		needs = "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		needs = "a whole number in range"
	}
	where := "The body"
	if wrong.Field != "" {
		where = "The field " + wrong.Field
	}
	return where + " must be " + needs + ", not " + wrong.Value + "."
}
