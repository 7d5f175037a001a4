package web

import (
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // times are shown in the zone of the venue, on every machine
)

// formats are how a language writes numbers, money and times: what Intl writes in a browser with the language's locale.
type formats struct {
	Decimal, Group string
	GroupFrom      int    `json:"group_from"` // digits from which there are groups
	Money          string // with {symbol} and {amount}
	MoneyCode      string `json:"money_code"` // where the symbol is the currency's code
	Date           string // with {day}, {month}, {year}
	DateShort      string `json:"date_short"` // with {weekday} as well
	DateLong       string `json:"date_long"`
	DateTime       string `json:"date_time"` // with {date} and {time}
	Months         []string
	Weekdays       []string
	WeekdaysShort  []string `json:"weekdays_short"`
}

// Number is a whole number.
func (l *Language) Number(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	if len(digits) < l.format.GroupFrom {
		return sign + digits
	}
	var out strings.Builder
	for i, c := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			out.WriteString(l.format.Group)
		}
		out.WriteRune(c)
	}
	return sign + out.String()
}

// decimals of currencies that do not have two.
var decimals = map[string]int{"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0, "UGX": 0, "UYI": 0,
	"VND": 0, "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0, "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3}

// symbols that are the same in every language that there is.
var symbols = map[string]string{"EUR": "€", "GBP": "£"}

// Money is an amount with its currency.
func (l *Language) Money(m priceJSON) string {
	places, ok := decimals[m.Currency]
	if !ok {
		places = 2
	}
	unit := int64(1)
	for range places {
		unit *= 10
	}
	minor, sign := m.Minor, ""
	if minor < 0 {
		minor, sign = -minor, "-"
	}
	amount := l.Number(minor / unit)
	if places > 0 {
		rest := strconv.FormatInt(minor%unit, 10)
		amount += l.format.Decimal + strings.Repeat("0", places-len(rest)) + rest
	}
	form, symbol := l.format.Money, symbols[m.Currency]
	if symbol == "" {
		form, symbol = l.format.MoneyCode, m.Currency
	}
	return strings.NewReplacer("{symbol}", symbol, "{amount}", sign+amount).Replace(form)
}

// in is a time by the clock of a zone, or UTC, which is then said, where there is no such zone.
func in(at time.Time, zone string) (time.Time, string) {
	location, err := time.LoadLocation(zone)
	if err != nil || zone == "" {
		return at.UTC(), " UTC"
	}
	return at.In(location), ""
}

// When is an instant by the clock of the venue, with a short weekday.
func (l *Language) When(at time.Time, zone string) string {
	return l.moment(at, zone, l.format.DateShort, l.format.WeekdaysShort)
}

// WhenLong is an instant by the clock of the venue.
func (l *Language) WhenLong(at time.Time, zone string) string {
	return l.moment(at, zone, l.format.DateLong, l.format.Weekdays)
}

func (l *Language) moment(at time.Time, zone, form string, weekdays []string) string {
	at, note := in(at, zone)
	return strings.NewReplacer("{date}", l.day(at, form, weekdays), "{time}", at.Format("15:04")).Replace(l.format.DateTime) + note
}

// Day is a date.
func (l *Language) Day(at time.Time, zone string) string {
	at, _ = in(at, zone)
	return l.day(at, l.format.Date, l.format.Weekdays)
}

func (l *Language) day(at time.Time, form string, weekdays []string) string {
	return strings.NewReplacer("{weekday}", weekdays[at.Weekday()], "{day}", strconv.Itoa(at.Day()), "{month}", l.format.Months[at.Month()-1],
		"{year}", strconv.Itoa(at.Year())).Replace(form)
}

// dayAndMonth are the parts of a date that are shown large: 12, Jun.
func (l *Language) dayAndMonth(at time.Time, zone string) (day, month string) {
	at, _ = in(at, zone)
	name := []rune(l.format.Months[at.Month()-1])
	return strconv.Itoa(at.Day()), string(name[:min(3, len(name))])
}
