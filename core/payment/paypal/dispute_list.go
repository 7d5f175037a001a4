package paypal

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"fairgate/core/payment"
)

const (
	// disputesPage is the most that PayPal puts on one page.
	disputesPage = 50
	// disputesBack is how far back PayPal lists disputes, less a day: it refuses to be asked for more than 180 days.
	disputesBack = 179 * 24 * time.Hour
	// disputesTime is how PayPal wants times in queries.
	disputesTime = "2006-01-02T15:04:05.000Z"
	// maxPageName bounds what names a page; PayPal's tokens have up to 255 characters.
	maxPageName = 1024
)

// pageNames are the parameters of PayPal's link to the next page that say which it is.
var pageNames = []string{"next_page_token", "page"}

type disputeList struct {
	Items []dispute `json:"items"` // summaries: neither the payment nor the outcome is among what they show
	Links []struct {
		Rel  string `json:"rel"`
		Href string `json:"href"`
	} `json:"links"`
}

// ListDisputes lists the disputes that changed since a time, those opened last first. There is no upper end to what is asked
// for: a dispute that changed meanwhile would leave the list, and another one slip past the end of a page.
func (p *Provider) ListDisputes(ctx context.Context, since time.Time, page string) (payment.DisputePage, error) {
	if oldest := p.cfg.Now().Add(-disputesBack); since.Before(oldest) {
		since = oldest
	}
	since = since.UTC().Truncate(time.Second) // PayPal tells times of disputes in whole seconds
	failed := func(err error) (payment.DisputePage, error) {
		return payment.DisputePage{}, fmt.Errorf("list disputes since %s: %w", since.Format(time.RFC3339), err)
	}
	query, err := url.ParseQuery(page)
	if err != nil {
		return failed(fmt.Errorf("%w: there is no such page", payment.ErrRejected))
	}
	query.Set("update_time_after", since.Format(disputesTime))
	query.Set("page_size", strconv.Itoa(disputesPage))
	var list disputeList
	if err := p.do(ctx, request{part: endpointReport, method: http.MethodGet, path: "/v1/customer/disputes?" + query.Encode(), into: &list}); err != nil {
		return failed(translate(err))
	}
	answer, err := list.page()
	if err != nil {
		return failed(fmt.Errorf("%w: %w", payment.ErrUnknown, err))
	}
	return answer, nil
}

// page is the list in our words.
func (l *disputeList) page() (payment.DisputePage, error) {
	var page payment.DisputePage
	if len(l.Items) > 2*disputesPage {
		return page, fmt.Errorf("%w: a page of %d disputes", payment.ErrMalformed, len(l.Items))
	}
	for n := range l.Items {
		d := &l.Items[n]
		ref := clean(d.ID)
		if ref == "" {
			return payment.DisputePage{}, fmt.Errorf("%w: a dispute has no id", payment.ErrMalformed)
		}
		listed := payment.ListedDispute{Ref: ref, State: d.state(), At: d.Updated.UTC()}
		if d.Status == "RESOLVED" && d.Outcome.Code == "" {
			listed.State = "" // it is over, and a summary does not say for whom
		}
		if d.Updated.IsZero() {
			listed.At = d.Created.UTC()
		}
		page.Disputes = append(page.Disputes, listed)
	}
	for _, link := range l.Links {
		if link.Rel != "next" {
			continue
		}
		var err error
		if page.Next, err = pageName(link.Href); err != nil {
			return payment.DisputePage{}, err
		}
	}
	return page, nil
}

// pageName is what a link says of the page that it leads to. The link itself is never followed: our token goes to our own
// address of PayPal alone.
func pageName(href string) (string, error) {
	link, err := url.Parse(href)
	if err != nil {
		return "", fmt.Errorf("%w: the link to the next page is none", payment.ErrMalformed)
	}
	query, name := link.Query(), url.Values{}
	for _, key := range pageNames {
		if value := query.Get(key); value != "" {
			name.Set(key, value)
		}
	}
	text := name.Encode()
	if text == "" || len(text) > maxPageName {
		return "", fmt.Errorf("%w: the link to the next page names none", payment.ErrMalformed)
	}
	return text, nil
}
