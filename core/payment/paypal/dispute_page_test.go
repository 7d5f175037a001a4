package paypal

import (
	"encoding/json"
	"net/url"
	"testing"
)

// What is taken for a page names every dispute on it, and the next page by nothing but the parameters that name pages.
func FuzzDisputeList(f *testing.F) {
	f.Add([]byte(`{"items":[{"dispute_id":"PP-D-1","status":"RESOLVED","update_time":"2027-06-01T10:00:00Z"}],"links":[{"rel":"next","href":"https://x/?page=2"}]}`))
	f.Add([]byte(`{"items":[{"dispute_id":"PP-D-1","dispute_life_cycle_stage":"INQUIRY"}],"links":[{"rel":"next","href":"?a=%zz;next_page_token=%26b=c"}]}`))
	f.Add([]byte(`{"items":[{"dispute_id":"/../"}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var list disputeList
		if json.Unmarshal(raw, &list) != nil {
			return
		}
		page, err := list.page()
		if err != nil {
			return
		}
		for _, d := range page.Disputes {
			if d.Ref == "" || clean(d.Ref) != d.Ref {
				t.Errorf("a dispute is called %q", d.Ref)
			}
		}
		query, err := url.ParseQuery(page.Next)
		if err != nil || len(page.Next) > maxPageName {
			t.Errorf("the next page is %q, %v", page.Next, err)
		}
		for name := range query {
			if name != "next_page_token" && name != "page" {
				t.Errorf("the next page is %q", page.Next)
			}
		}
	})
}
