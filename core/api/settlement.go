package api

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"fairgate/core/payment"
	"fairgate/core/settlement"
	"fairgate/ledger"
)

// Bounds of a reconciliation that an operator asks for.
const (
	maxSettlementFile = 1 << 30 // some four million rows; it is read as it comes
	reconcileTimeout  = 30 * time.Minute
	maxReason         = 1000
)

// long adapts a handler that may take minutes and may be sent a large file, both bounded.
func (s *Server) long(limit int64, h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), reconcileTimeout)
		defer cancel()
		control := http.NewResponseController(w)
		_ = control.SetReadDeadline(time.Now().Add(reconcileTimeout)) // a recorder in a test has none
		_ = control.SetWriteDeadline(time.Now().Add(reconcileTimeout))
		r = r.WithContext(ctx)
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		if err := h(w, r); err != nil {
			writeProblem(w, r, s.Log, err)
		}
	}
}

func dayOf(r *http.Request) (time.Time, error) {
	day, err := time.Parse(settlement.DayLayout, r.PathValue("day"))
	if err != nil {
		return time.Time{}, &detailed{errRequest, "The day must be one such as 2026-11-25, in UTC."}
	}
	return day, nil
}

// reconcileDay answers POST /admin/v1/settlement/{provider}/days/{day}: it reads the day from the provider, or from the body where that
// is text/csv, and answers with the report.
//
//	{"provider","day","read_at","counts":{…},"currencies":[{"currency","classes":{"matched":{"count","minor"}},"total","unexplained",
//	 "explained_ppm"}],"explained_ppm","open","overdue"}
func (s *Server) reconcileDay(w http.ResponseWriter, r *http.Request) error {
	day, err := dayOf(r)
	if err != nil {
		return err
	}
	provider := r.PathValue("provider")
	var reader payment.SettlementReader
	if r.Header.Get("Content-Type") == "text/csv" {
		if !providerName(provider) {
			return &detailed{errRequest, "A provider's name has lower-case letters, digits and underscores."}
		}
		reader = settlement.NewFile(r.Body)
	} else if reader = s.Settlements[provider]; reader == nil {
		if len(s.Settlements) == 0 {
			return fmt.Errorf("%w: %s", settlement.ErrUnreadable, provider)
		}
		return &detailed{settlement.ErrUnreadable, fmt.Sprintf("There is no provider %q whose settlement core reads by itself; there are %s. Send others' settlements as a file.",
			provider[:min(len(provider), 32)], strings.Join(slices.Sorted(maps.Keys(s.Settlements)), ", "))}
	}
	report, err := s.Settlement.Reconcile(r.Context(), provider, day, reader)
	if err != nil {
		return explained(err)
	}
	writeJSON(w, http.StatusOK, report)
	return nil
}

// settlementProgress answers GET /admin/v1/settlement/{provider}/days/{day}/progress: {"reading","rows"}, of this core.
func (s *Server) settlementProgress(w http.ResponseWriter, r *http.Request) error {
	day, err := dayOf(r)
	if err != nil {
		return err
	}
	rows, reading := s.Settlement.Progress(r.PathValue("provider"), day)
	writeJSON(w, http.StatusOK, map[string]any{"reading": reading, "rows": rows})
	return nil
}

// providerName bounds what a file may name: it becomes part of accounts.
func providerName(name string) bool {
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return name != "" && len(name) <= 32
}

// explained tells what is wrong with a file or a row in its own words, which are the operator's.
func explained(err error) error {
	if errors.Is(err, settlement.ErrFile) || errors.Is(err, settlement.ErrRow) {
		text := err.Error()
		return &detailed{err, text[:min(len(text), 400)]}
	}
	return err
}

func (s *Server) settlementDay(w http.ResponseWriter, r *http.Request) error {
	day, err := dayOf(r)
	if err != nil {
		return err
	}
	report, err := s.Settlement.ReadReport(r.Context(), r.PathValue("provider"), day)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, report)
	return nil
}

type proposedJSON struct {
	Debit     string        `json:"debit"`
	Credit    string        `json:"credit"`
	Amount    ledger.Amount `json:"amount"`
	Code      string        `json:"code"`
	Kind      string        `json:"kind"`
	Reference uuid.UUID     `json:"reference"`
}

type itemJSON struct {
	ID        uuid.UUID      `json:"id"`
	Provider  string         `json:"provider"`
	Day       string         `json:"day"`
	Class     string         `json:"class"`
	Row       string         `json:"row"`
	Transfer  uuid.UUID      `json:"transfer"`
	Amount    ledger.Amount  `json:"amount"`
	Why       string         `json:"why"`
	Action    string         `json:"action"`
	Transfers []proposedJSON `json:"transfers"`
	Since     timeJSON       `json:"since"`
	State     string         `json:"state"`
	DecidedBy string         `json:"decided_by"`
	Reason    string         `json:"reason"`
	DecidedAt timeJSON       `json:"decided_at"`
}

func itemOf(i settlement.Item) itemJSON {
	j := itemJSON{ID: i.ID, Provider: i.Provider, Day: i.Day.Format(settlement.DayLayout), Class: string(i.Class), Row: i.RowID, Transfer: i.TransferID,
		Amount: i.Amount, Why: i.Why, Action: i.Proposal.Action, Transfers: []proposedJSON{}, Since: timeJSON(i.Since), State: string(i.State),
		DecidedBy: i.DecidedBy, Reason: i.Reason, DecidedAt: timeJSON(i.DecidedAt)}
	for _, t := range i.Proposal.Transfers {
		j.Transfers = append(j.Transfers, proposedJSON{t.Debit.Code, t.Credit.Code, t.Amount, t.Code, string(t.Kind), t.Reference})
	}
	return j
}

// settlementItems answers GET /admin/v1/settlement/{provider}/days/{day}/items?state=&after=&limit=: one page of what was not explained,
// in the order of ids. next continues it.
func (s *Server) settlementItems(w http.ResponseWriter, r *http.Request) error {
	day, err := dayOf(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	limit, err := limitOf(q.Get("limit"))
	if err != nil {
		return err
	}
	var after uuid.UUID
	if text := q.Get("after"); text != "" {
		if after, err = uuid.Parse(text); err != nil {
			return &detailed{errRequest, "after must be the id of an item."}
		}
	}
	items, err := s.Settlement.Items(r.Context(), r.PathValue("provider"), day, settlement.ItemState(q.Get("state")), after, limit)
	if err != nil {
		return err
	}
	list := make([]itemJSON, len(items))
	for i, item := range items {
		list[i] = itemOf(item)
	}
	next := ""
	if len(items) == limit {
		next = items[len(items)-1].ID.String()
	}
	writeJSON(w, http.StatusOK, map[string]any{"items": list, "next": next})
	return nil
}

// decision is what an operator says about an item or a payout.
type decision struct {
	Reason string `json:"reason"`
}

func (d *decision) read(r *http.Request) error {
	if err := decode(r, d); err != nil {
		return err
	}
	if !plainText(d.Reason, 1, maxReason) {
		return &detailed{errRequest, "A decision needs a reason, without control characters, for whoever asks later."}
	}
	return nil
}

// decideItem answers POST /admin/v1/settlement-items/{id}/{verb} with {"reason"}: approve or reject.
func (s *Server) decideItem(w http.ResponseWriter, r *http.Request) error {
	id, err := uuid.Parse(r.PathValue("id"))
	if err != nil {
		return settlement.ErrItemUnknown
	}
	state, ok := map[string]settlement.ItemState{"approve": settlement.Approved, "reject": settlement.Rejected}[r.PathValue("verb")]
	if !ok {
		return errNotFound
	}
	var d decision
	if err := d.read(r); err != nil {
		return err
	}
	item, err := s.Settlement.Decide(r.Context(), id, state, operatorOf(r), d.Reason)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, itemOf(item))
	return nil
}
