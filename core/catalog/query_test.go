package catalog

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"fairgate/core/event"
)

var noon = time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)

func parse(t *testing.T, text string) (*Query, error) {
	t.Helper()
	values, err := url.ParseQuery(text)
	if err != nil {
		t.Fatal(err)
	}
	return ParseQuery(values, noon)
}

func TestEveryMistakeOfAQueryIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"query=x":                              "There is no parameter \"query\"",
		"q=a&q=b":                              "q is given more than once",
		"q=" + strings.Repeat("a", 201):        "q is longer than 200 characters",
		"q=" + strings.Repeat("a+", 11):        "q has more than 10 words",
		"q=%ff":                                "q is not UTF-8",
		"country=Spain":                        "country must be two letters such as ES, is \"Spain\"",
		"category=Rock%20Music":                "category must be a word of small letters",
		"from=12.6.2027":                       "from must be a date such as 2027-06-12",
		"from=1066-10-14":                      "from must be between the years 1970 and 2200",
		"from=2027-06-12&to=2027-06-11":        "to is before from",
		"price_max=20":                         "price_max needs a currency",
		"price_max=20&currency=XXQ":            "XXQ is not a currency in use",
		"price_max=20.505&currency=EUR":        "price_max must be an amount such as 25, with up to 2 decimals, is \"20.505\"",
		"price_max=-1&currency=EUR":            "price_max must be an amount",
		"price_max=1e9&currency=EUR":           "price_max must be an amount",
		"price_min=9&price_max=8&currency=EUR": "price_min is more than price_max",
		"after=!":                              "after must be the next of an earlier page",
		"limit=0":                              "limit must be from 1 to 200",
		"limit=201":                            "limit must be from 1 to 200",
		"limit=ten":                            "limit must be from 1 to 200",
		"facets=yes":                           "facets must be 1 or left out",
	} {
		_, err := parse(t, text)
		var bad BadQuery
		if !errors.As(err, &bad) || len(bad) != 1 || !strings.Contains(bad[0], want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	_, err := parse(t, "limit=0&facets=2&country=x")
	var bad BadQuery
	if !errors.As(err, &bad) || len(bad) != 3 {
		t.Errorf("not all at once: %v", err)
	}
}

func TestEmptyParametersAreLikeNone(t *testing.T) {
	q, err := parse(t, "q=&city=+&country=&venue=&category=&from=&to=&currency=&price_min=&price_max=&after=&limit=&facets=")
	if err != nil || q.Limit != 50 || q.Facets || q.priced || q.dated || len(q.words) != 0 || q.from != noon.Add(-6*time.Hour) || !q.to.IsZero() {
		t.Errorf("%+v, %v", q, err)
	}
}

func FuzzQueryAndCursor(f *testing.F) {
	state := &State{base: build(nil), recent: build(nil), gone: build(nil).none()}
	for _, seed := range []string{"q=a+b&city=Lyon&limit=3", "after=MTgwMDAwMDAwMDAwMDAwMCBjbHVi", "from=2027-01-01&to=2028-01-01T00:00:00Z", "price_min=1&currency=JPY", "a=%zz;", "facets=1&q=%C3%A9"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		values, _ := url.ParseQuery(text)
		q, err := ParseQuery(values, noon)
		if err != nil {
			if bad := BadQuery(nil); !errors.As(err, &bad) || len(bad) == 0 {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if q.Limit < 1 || q.Limit > maxLimit || len(q.words) > maxWords {
			t.Fatalf("%q: %+v", text, q)
		}
		if after := q.After.String(); values.Get("after") != "" && strings.TrimSpace(values.Get("after")) != after {
			t.Fatalf("the cursor %q is %q when written again", values.Get("after"), after)
		}
		if again, err := event.ParseCursor(q.After.String()); q.After.Slug != "" && (err != nil || again != q.After) {
			t.Fatalf("the cursor %+v is %+v when read again: %v", q.After, again, err)
		}
		state.Search(q)
	})
}
