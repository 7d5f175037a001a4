package wallet

import "time"

// appleJSON is pass.json: https://developer.apple.com/documentation/walletpasses/pass.
type appleJSON struct {
	FormatVersion    int    `json:"formatVersion"`
	PassType         string `json:"passTypeIdentifier"`
	Serial           string `json:"serialNumber"`
	Team             string `json:"teamIdentifier"`
	Organization     string `json:"organizationName"`
	Description      string `json:"description"`
	Grouping         string `json:"groupingIdentifier"`
	WebService       string `json:"webServiceURL,omitempty"` // where phones ask for changes, with the token
	Token            string `json:"authenticationToken,omitempty"`
	SharingForbidden bool   `json:"sharingProhibited"` // a ticket changes hands by transfer, not by copies
	Background       string `json:"backgroundColor"`
	Foreground       string `json:"foregroundColor"`
	Label            string `json:"labelColor"`

	Relevant  string         `json:"relevantDate"`  // up to iOS 17 …
	Relevants []relevantJSON `json:"relevantDates"` // … and from 18 on
	Expires   string         `json:"expirationDate"`
	Voided    bool           `json:"voided,omitempty"`
	Locations []locationJSON `json:"locations,omitempty"`
	Barcodes  []appleBarcode `json:"barcodes,omitempty"`
	Ticket    ticketFields   `json:"eventTicket"`
	Semantics appleSemantics `json:"semantics"`
}

type relevantJSON struct {
	Start string `json:"startDate"`
	End   string `json:"endDate"`
}

type locationJSON struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
	Text      string  `json:"relevantText,omitempty"`
}

type appleBarcode struct {
	Format   string `json:"format"`
	Message  string `json:"message"`
	Encoding string `json:"messageEncoding"`
	Text     string `json:"altText"`
}

type ticketFields struct {
	Header    []appleField `json:"headerFields"`
	Primary   []appleField `json:"primaryFields"`
	Secondary []appleField `json:"secondaryFields"`
	Auxiliary []appleField `json:"auxiliaryFields"`
	Back      []appleField `json:"backFields"`
}

type appleField struct {
	Key        string `json:"key"`
	Label      string `json:"label"`
	Value      string `json:"value"`
	DateStyle  string `json:"dateStyle,omitempty"`
	TimeStyle  string `json:"timeStyle,omitempty"`
	VenuesTime bool   `json:"ignoresTimeZone,omitempty"` // the time is that of its own offset, wherever the phone is
}

// appleSemantics say the same to the phone itself: for its calendar, maps and suggestions.
type appleSemantics struct {
	Type     string        `json:"eventType"`
	Name     string        `json:"eventName"`
	Start    string        `json:"eventStartDate"`
	Venue    string        `json:"venueName"`
	Location *locationJSON `json:"venueLocation,omitempty"`
	Seats    []appleSeat   `json:"seats,omitempty"`
}

type appleSeat struct {
	Section string `json:"seatSection,omitempty"`
	Row     string `json:"seatRow,omitempty"`
	Number  string `json:"seatNumber,omitempty"`
}

// describe is a pass's pass.json. A void one says so and has no barcode.
func (a *Apple) describe(p Pass) appleJSON {
	start, end := p.StartsAt.Format(time.RFC3339), p.ClosesAt.Format(time.RFC3339)
	j := appleJSON{
		FormatVersion: 1, PassType: a.cfg.PassTypeID, Serial: p.name(), Team: a.cfg.TeamID, Organization: a.cfg.Organization,
		Description: wordDescription, Grouping: p.Event.Slug, SharingForbidden: true,
		Background: "rgb(22, 32, 51)", Foreground: "rgb(244, 241, 234)", Label: "rgb(168, 180, 201)",
		Relevant: start, Relevants: []relevantJSON{{p.StartsAt.Add(-relevantBefore).Format(time.RFC3339), end}}, Expires: end, Voided: p.Void,
		Ticket:    fields(p, start),
		Semantics: appleSemantics{Type: "PKEventTypeGeneric", Name: p.Event.Name, Start: start, Venue: p.Event.Venue},
	}
	if a.Updates() && p.Token != "" {
		j.WebService, j.Token = a.cfg.WebService, p.Token
	}
	if at := p.Event.Place; at != nil {
		j.Locations = []locationJSON{{at.Latitude, at.Longitude, wordNear}}
		j.Semantics.Location = &locationJSON{Latitude: at.Latitude, Longitude: at.Longitude}
	}
	if p.Seat != "" {
		section, row, number := p.seat()
		j.Semantics.Seats = []appleSeat{{section, row, number}}
	}
	if p.Seed == nil && !p.Void {
		j.Barcodes = []appleBarcode{{"PKBarcodeFormatQR", p.Code, "iso-8859-1", p.place()}}
	}
	return j
}

// fields are what can be read on a pass, front and back.
func fields(p Pass, start string) ticketFields {
	f := ticketFields{
		Header:    []appleField{{Key: "starts", Label: wordStarts, Value: start, DateStyle: "PKDateStyleMedium", TimeStyle: "PKDateStyleShort", VenuesTime: true}},
		Primary:   []appleField{{Key: "event", Label: wordEvent, Value: p.Event.Name}},
		Secondary: []appleField{{Key: "venue", Label: wordVenue, Value: p.Event.Venue}, {Key: "tier", Label: wordTier, Value: p.Tier}},
		Auxiliary: []appleField{},
		Back:      []appleField{{Key: "address", Label: wordAddress, Value: p.Event.Venue + ", " + p.Event.Address}, {Key: "number", Label: wordNumber, Value: p.Ticket.String()}},
	}
	if p.Seat != "" {
		section, row, number := p.seat()
		f.Auxiliary = append(f.Auxiliary, appleField{Key: "section", Label: wordSection, Value: section})
		if row != "" {
			f.Auxiliary = append(f.Auxiliary, appleField{Key: "row", Label: wordRow, Value: row}, appleField{Key: "seat", Label: wordSeat, Value: number})
		}
	}
	gate := wordGateStill
	if p.Seed != nil {
		gate = wordGateLive
		f.Auxiliary = append(f.Auxiliary, appleField{Key: "entry", Label: wordEntry, Value: wordLive})
	}
	if p.Page != "" {
		f.Back = append([]appleField{{Key: "page", Label: wordPage, Value: p.Page}}, f.Back...)
	}
	f.Back = append(f.Back, appleField{Key: "gate", Label: wordGate, Value: gate})
	return f
}
