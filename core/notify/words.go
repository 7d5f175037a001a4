package notify

import (
	"fmt"
	"strings"
	"time"

	"fairgate/ledger"
)

var days = map[string][7]string{ // from Sunday
	"en": {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"},
	"es": {"domingo", "lunes", "martes", "miércoles", "jueves", "viernes", "sábado"},
	"de": {"Sonntag", "Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag"},
}

var months = map[string][12]string{
	"en": {"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"},
	"es": {"enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"},
	"de": {"Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"},
}

// words are the functions that templates of a language have:
//
//	when   a time as a person reads it, in the zone that it has: "Saturday, 12 June 2027, 20:30 (CEST)"
//	money  a sum: "65.50 EUR", with a comma in Spanish and German
func words(language string) map[string]any {
	return map[string]any{
		"when":  func(t time.Time) string { return When(language, t) },
		"money": func(a ledger.Amount) string { return money(language, a) },
	}
}

// When is a time as a person reads it, in the zone that it has.
func When(language string, t time.Time) string {
	day, month := days[language][t.Weekday()], months[language][t.Month()-1]
	clock := t.Format("15:04 (MST)")
	if zone := t.Format("MST"); zone[0] == '+' || zone[0] == '-' { // a zone without letters of its own
		clock = t.Format("15:04 (UTC-07:00)")
	}
	switch language {
	case "es":
		return fmt.Sprintf("%s, %d de %s de %d, %s", day, t.Day(), month, t.Year(), clock)
	case "de":
		return fmt.Sprintf("%s, %d. %s %d, %s", day, t.Day(), month, t.Year(), clock)
	default:
		return fmt.Sprintf("%s, %d %s %d, %s", day, t.Day(), month, t.Year(), clock)
	}
}

func money(language string, a ledger.Amount) string {
	if language == "en" {
		return a.String()
	}
	return strings.Replace(a.String(), ".", ",", 1)
}
