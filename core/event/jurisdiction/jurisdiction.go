// Package jurisdiction owns what is known of the law of places about tickets: a data file with a source for every fact. It decides
// nothing; package event refuses files of events that a place does not allow.
//
// The file is embedded and read once. What it says may be read by many goroutines.
package jurisdiction

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"
)

// ErrFile means that the data file is not what it must be.
var ErrFile = errors.New("jurisdiction: bad data file")

//go:embed jurisdictions.yaml
var file []byte

// Place is what is known of one country or region.
type Place struct {
	Country  string   `yaml:"country"` // ISO 3166-1 alpha-2
	Region   string   `yaml:"region"`  // the part of ISO 3166-2 behind the hyphen; empty: the whole country
	Name     string   `yaml:"name"`
	Transfer Transfer `yaml:"transfer"`
}

// Transfer is what a place says about handing tickets on. The zero Transfer says nothing.
type Transfer struct {
	MayForbid *bool `yaml:"may_forbid"` // false: an organizer may not forbid it; nil: nothing is known
	Fact      `yaml:",inline"`
}

// Fact is where something is written.
type Fact struct {
	Law        string `yaml:"law"`
	Says       string `yaml:"says"`
	Exceptions string `yaml:"exceptions"`
	Source     string `yaml:"source"`  // an address that can be opened
	ReadOn     string `yaml:"read_on"` // the day on which somebody last read it there
}

// check tells what of a fact is missing.
func (f Fact) check() error {
	u, err := url.Parse(f.Source)
	switch _, dayErr := time.Parse(time.DateOnly, f.ReadOn); {
	case f.Law == "" || f.Says == "":
		return errors.New("it names no law or does not say what that says")
	case err != nil || u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("its source %q cannot be opened", f.Source)
	case dayErr != nil:
		return fmt.Errorf("it was read on no day: %q", f.ReadOn)
	}
	return nil
}

// Table is all that is known.
type Table []Place

var (
	countryForm = regexp.MustCompile(`^[A-Z]{2}$`)
	regionForm  = regexp.MustCompile(`^[A-Z0-9]{1,3}$`)
)

// Parse reads a data file. The error is ErrFile.
func Parse(data []byte) (Table, error) {
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	var t Table
	if err := d.Decode(&t); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	seen := map[[2]string]bool{}
	for i, p := range t {
		at := [2]string{p.Country, p.Region}
		switch {
		case !countryForm.MatchString(p.Country) || p.Region != "" && !regionForm.MatchString(p.Region) || p.Name == "":
			return nil, fmt.Errorf("%w: entry %d is of no place", ErrFile, i)
		case seen[at]:
			return nil, fmt.Errorf("%w: %s is there twice", ErrFile, p.Name)
		}
		seen[at] = true
		if p.Transfer.MayForbid != nil {
			if err := p.Transfer.check(); err != nil {
				return nil, fmt.Errorf("%w: transfer in %s: %w", ErrFile, p.Name, err)
			}
		}
	}
	return t, nil
}

// Known is the table of the embedded file, which a test has read.
var Known = sync.OnceValue(func() Table {
	t, err := Parse(file)
	if err != nil {
		panic(err) // the program was built with a file that no test has seen
	}
	return t
})

// Of lists what is known of a place: the country's entry and its region's. Without a region it is the country's alone.
func (t Table) Of(country, region string) []Place {
	var found []Place
	for _, p := range t {
		if p.Country == country && (p.Region == "" || p.Region == region) {
			found = append(found, p)
		}
	}
	return found
}

// Regional tells whether anything is known of regions of a country, so that it depends on the region what holds there.
func (t Table) Regional(country string) bool {
	for _, p := range t {
		if p.Country == country && p.Region != "" {
			return true
		}
	}
	return false
}
