package stripe_test

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"

	"fairgate/core/payment"
)

func TestDisputesAreListedByWhenTheyWereOpenedAPageAtATime(t *testing.T) {
	opened := func(id, status string, at int64) object {
		d := disputed(status)
		d["id"], d["created"] = id, at
		return d
	}
	all := []object{opened("dp_3", "levitating", 1812000300), opened("dp_2", "won", 1812000200), opened("dp_1", "needs_response", 1812000100)}
	var asked []url.Values
	p := scripted(t, func(r *http.Request, form url.Values) (int, any) {
		asked = append(asked, form)
		from := slices.IndexFunc(all, func(d object) bool { return d["id"] == form.Get("starting_after") }) + 1
		return http.StatusOK, object{"object": "list", "url": r.URL.Path, "has_more": from+2 < len(all), "data": all[from:min(from+2, len(all))]}
	})
	since := time.Unix(1812000100, 999).UTC()
	first, err := p.ListDisputes(t.Context(), since, "")
	want := []payment.ListedDispute{{Ref: "dp_3", At: time.Unix(1812000300, 0).UTC()}, {Ref: "dp_2", State: payment.DisputeWon, At: time.Unix(1812000200, 0).UTC()}}
	if err != nil || !slices.Equal(first.Disputes, want) || first.Next == "" {
		t.Fatalf("the first page is %+v, %v", first, err)
	}
	last, err := p.ListDisputes(t.Context(), since, first.Next)
	want = []payment.ListedDispute{{Ref: "dp_1", State: payment.DisputeOpen, At: time.Unix(1812000100, 0).UTC()}}
	if err != nil || !slices.Equal(last.Disputes, want) || last.Next != "" {
		t.Fatalf("the last page is %+v, %v", last, err)
	}
	for i, after := range []string{"", "dp_2"} {
		if q := asked[i]; q.Get("created[gte]") != strconv.Itoa(1812000100) || q.Get("limit") != "100" || q.Get("starting_after") != after {
			t.Errorf("call %d asks %v", i, q)
		}
	}
}

func TestAListOfDisputesThatFailsSaysHow(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   any
		want   error
	}{
		"a page that is not known": {400, refusal("invalid_request_error", "resource_missing"), payment.ErrRejected},
		"wrong credentials":        {401, refusal("invalid_request_error", ""), payment.ErrRejected},
		"too many at once":         {429, refusal("invalid_request_error", "rate_limit"), payment.ErrTemporary},
		"failing":                  {500, refusal("api_error", ""), payment.ErrUnknown},
		"no JSON":                  {200, "<html>", payment.ErrUnknown},
		"a dispute without an id":  {200, object{"object": "list", "data": []object{{"status": "won"}}}, payment.ErrUnknown},
	} {
		p := scripted(t, func(*http.Request, url.Values) (int, any) { return c.status, c.body })
		if page, err := p.ListDisputes(t.Context(), time.Now(), "dp_gone"); !isOne(err, c.want) || len(page.Disputes) != 0 {
			t.Errorf("%s: %+v, %v", name, page, err)
		}
	}
}
