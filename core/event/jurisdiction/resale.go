// Package jurisdiction owns what is known of the law of places about tickets, with a source for every fact. It decides nothing: package
// event refuses files of events that a place does not allow.
package jurisdiction

import (
	"bytes"
	_ "embed" // resale.yaml
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"
)

// ErrResaleFile means that the table of the law on resale is not what it must be.
var ErrResaleFile = errors.New("jurisdiction: bad table of the law on resale")

//go:embed resale.yaml
var resaleFile []byte

// ResaleLaw is what a country says about selling tickets on. Where the law knows exceptions, or holds for some events only, it is counted as
// if it held for all: a cap that is too low can be lifted by correcting the entry, a sale that was against the law cannot be taken back.
type ResaleLaw struct {
	Country string `yaml:"country"` // ISO 3166-1 alpha-2
	Name    string `yaml:"name"`
	// Over is how much more than its first price, all charges of that sale included, a ticket may cost in all, in percent: 0 for no more
	// than that; nil: no cap is known.
	Over          *float64 `yaml:"over_percent"`
	Authorization bool     `yaml:"authorization"` // nobody may make a business of it without the organizer's
	Law           string   `yaml:"law"`
	Says          string   `yaml:"says"`
	Exceptions    string   `yaml:"exceptions"`
	Source        string   `yaml:"source"`  // an address that can be opened
	ReadOn        string   `yaml:"read_on"` // the day on which somebody last read it there
}

// Capped tells whether the law bounds the price.
func (l ResaleLaw) Capped() bool { return l.Over != nil }

// OverMillionths is the cap in millionths over the first price; it makes sense where there is one.
func (l ResaleLaw) OverMillionths() int64 {
	if l.Over == nil {
		return 0
	}
	return int64(*l.Over * 10_000) // of a percent
}

// maxOver bounds a cap; more is a slip of the pen.
const maxOver = 100

var countryOfLaw = regexp.MustCompile(`^[A-Z]{2}$`)

// check tells what of an entry is missing.
func (l ResaleLaw) check() error {
	u, err := url.Parse(l.Source)
	_, dayErr := time.Parse(time.DateOnly, l.ReadOn)
	switch {
	case !countryOfLaw.MatchString(l.Country) || l.Name == "":
		return errors.New("it is of no country")
	case l.Over == nil && !l.Authorization:
		return errors.New("it says nothing that is acted on")
	case l.Over != nil && (*l.Over < 0 || *l.Over > maxOver):
		return fmt.Errorf("its cap is %g%%", *l.Over)
	case l.Law == "" || l.Says == "" || l.Exceptions == "":
		return errors.New("it names no law, does not say what that says, or nothing of exceptions")
	case err != nil || u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("its source %q cannot be opened", l.Source)
	case dayErr != nil:
		return fmt.Errorf("it was read on no day: %q", l.ReadOn)
	}
	return nil
}

// ParseResale reads a table. The error is ErrResaleFile.
func ParseResale(data []byte) (map[string]ResaleLaw, error) {
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	var list []ResaleLaw
	if err := d.Decode(&list); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrResaleFile, err)
	}
	table := make(map[string]ResaleLaw, len(list))
	for _, l := range list {
		if err := l.check(); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrResaleFile, l.Name, err)
		}
		if _, twice := table[l.Country]; twice {
			return nil, fmt.Errorf("%w: %s is there twice", ErrResaleFile, l.Country)
		}
		table[l.Country] = l
	}
	return table, nil
}

// knownResale is the table of the embedded file, which a test has read.
var knownResale = sync.OnceValue(func() map[string]ResaleLaw {
	t, err := ParseResale(resaleFile)
	if err != nil {
		panic(err) // the program was built with a file that no test has seen
	}
	return t
})

// ResaleIn is the law of a country on resale; the zero ResaleLaw where none is known.
func ResaleIn(country string) ResaleLaw { return knownResale()[country] }
