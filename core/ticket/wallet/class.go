package wallet

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"fairgate/core/ticket/code"
)

// eventTicketClass is what all tickets of an event have in common:
// https://developers.google.com/wallet/reference/rest/v1/eventticketclass.
type eventTicketClass struct {
	ID           string         `json:"id"`
	Issuer       string         `json:"issuerName"`
	ReviewStatus string         `json:"reviewStatus"`
	EventID      string         `json:"eventId"`
	Name         localized      `json:"eventName"`
	Venue        googleVenue    `json:"venue"`
	Times        googleTimes    `json:"dateTime"`
	Locations    []locationJSON `json:"locations,omitempty"`
	Holders      string         `json:"multipleDevicesAndHoldersAllowedStatus"`
}

type googleVenue struct {
	Name    localized `json:"name"`
	Address localized `json:"address"`
}

type googleTimes struct {
	Start string `json:"start"`
}

// eventTicketObject is one ticket: https://developers.google.com/wallet/reference/rest/v1/eventticketobject.
type eventTicketObject struct {
	ID          string            `json:"id"`
	Class       string            `json:"classId"`
	State       string            `json:"state"`
	Number      string            `json:"ticketNumber"`
	Type        localized         `json:"ticketType"`
	Seat        *googleSeat       `json:"seatInfo,omitempty"`
	Barcode     *googleBarcode    `json:"barcode,omitempty"`
	Rotating    *rotatingBarcode  `json:"rotatingBarcode,omitempty"`
	Valid       googleInterval    `json:"validTimeInterval"`
	Constraints *googleConstraint `json:"passConstraints,omitempty"`
	Links       *googleModule     `json:"linksModuleData,omitempty"`
}

type googleSeat struct {
	Section *localized `json:"section,omitempty"`
	Row     *localized `json:"row,omitempty"`
	Seat    *localized `json:"seat,omitempty"`
}

type googleBarcode struct {
	Type  string `json:"type"`
	Value string `json:"value"`
	Text  string `json:"alternateText"`
}

// rotatingBarcode is https://developers.google.com/wallet/reference/rest/v1/RotatingBarcode: the digits come into the pattern.
type rotatingBarcode struct {
	Type    string      `json:"type"`
	Pattern string      `json:"valuePattern"`
	Text    string      `json:"alternateText"`
	TOTP    totpDetails `json:"totpDetails"`
}

type totpDetails struct {
	Period     string           `json:"periodMillis"` // an integer as text
	Algorithm  string           `json:"algorithm"`
	Parameters []totpParameters `json:"parameters"`
}

type totpParameters struct {
	Key    string `json:"key"` // hex
	Digits int    `json:"valueLength"`
}

type googleInterval struct {
	End googleTime `json:"end"`
}

type googleTime struct {
	Date string `json:"date"`
}

type googleConstraint struct {
	Screenshots string `json:"screenshotEligibility"`
}

type googleModule struct {
	URIs []googleURI `json:"uris"`
}

type googleURI struct {
	URI  string    `json:"uri"`
	ID   string    `json:"id"`
	Text localized `json:"localizedDescription"`
}

// localized is Google's LocalizedString.
type localized struct {
	Default     translation   `json:"defaultValue"`
	Translation []translation `json:"translatedValues,omitempty"`
}

type translation struct {
	Language string `json:"language"`
	Value    string `json:"value"`
}

// plain is a text that there is in one language only.
func plain(text string) localized { return localized{Default: translation{defaultLanguage, text}} }

// translated is one of our words in every language.
func translated(word string) localized {
	l := plain(words[word][0])
	for i, language := range languages[1:] {
		l.Translation = append(l.Translation, translation{language, words[word][i+1]})
	}
	return l
}

// class is that of a ticket's event. Where Google is told of changes an event has one. Elsewhere what a class says does not change once it is
// saved, so its name follows from what it says: tickets that are saved after an event was changed show the event as it is then.
func (g *Google) class(p Pass) (eventTicketClass, error) {
	c := eventTicketClass{
		Issuer: g.cfg.Organization, ReviewStatus: "UNDER_REVIEW", EventID: p.Event.Slug, Name: plain(p.Event.Name),
		Venue: googleVenue{plain(p.Event.Venue), plain(p.Event.Address)}, Times: googleTimes{p.StartsAt.Format(time.RFC3339)},
		Holders: "ONE_USER_ALL_DEVICES",
	}
	if at := p.Event.Place; at != nil {
		c.Locations = []locationJSON{{Latitude: at.Latitude, Longitude: at.Longitude}}
	}
	text, err := json.Marshal(c)
	if err != nil {
		return c, fmt.Errorf("describe event %s: %w", p.Event.Slug, err)
	}
	if g.cfg.Updates { // then what it says does change
		c.ID = g.cfg.IssuerID + "." + g.cfg.ClassPrefix + "-" + p.Event.Slug
		return c, nil
	}
	sum := sha256.Sum256(text)
	c.ID = g.cfg.IssuerID + "." + g.cfg.ClassPrefix + "-" + p.Event.Slug + "-" + hex.EncodeToString(sum[:4])
	return c, nil
}

func (g *Google) object(p Pass, class string) eventTicketObject {
	o := eventTicketObject{
		ID: g.cfg.IssuerID + "." + g.cfg.ClassPrefix + "-" + p.name(), Class: class, State: "ACTIVE", Number: p.Ticket.String(),
		Type: plain(p.Tier), Valid: googleInterval{googleTime{p.ClosesAt.Format(time.RFC3339)}},
	}
	if p.Seat != "" {
		section, row, number := p.seat()
		part := func(text string) *localized {
			if text == "" {
				return nil
			}
			l := plain(text)
			return &l
		}
		o.Seat = &googleSeat{part(section), part(row), part(number)}
	}
	if p.Seed == nil {
		o.Barcode = &googleBarcode{"QR_CODE", p.Code, p.place()}
	} else {
		o.Rotating = &rotatingBarcode{"QR_CODE", code.Pattern(p.Code, "{totp_value_0}"), p.place(), totpDetails{
			strconv.FormatInt(code.Period.Milliseconds(), 10), "TOTP_SHA1", []totpParameters{{hex.EncodeToString(p.Seed), code.Digits}}}}
		o.Constraints = &googleConstraint{"INELIGIBLE"}
	}
	if p.Page != "" {
		o.Links = &googleModule{[]googleURI{{p.Page, "page", translated(wordPage)}}}
	}
	return o
}
