package wallet

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
)

// The words that are ours on a pass: in pass.json they stand by these keys, which nobody else's text is likely to be.
const (
	wordDescription = "fairgate.description"
	wordStarts      = "fairgate.starts"
	wordEvent       = "fairgate.event"
	wordVenue       = "fairgate.venue"
	wordAddress     = "fairgate.address"
	wordTier        = "fairgate.tier"
	wordSection     = "fairgate.section"
	wordRow         = "fairgate.row"
	wordSeat        = "fairgate.seat"
	wordNumber      = "fairgate.number"
	wordPage        = "fairgate.page"
	wordNear        = "fairgate.near"
	wordEntry       = "fairgate.entry"
	wordLive        = "fairgate.entry.live"
	wordGate        = "fairgate.gate"
	wordGateStill   = "fairgate.gate.still"
	wordGateLive    = "fairgate.gate.live"
)

// defaultLanguage is that of texts for whoever reads none of the others.
const defaultLanguage = "en"

// languages are those there are words in.
var languages = []string{defaultLanguage, "es", "de"}

// words are the texts, by key, in the order of languages. %s in the description is the event's name.
var words = map[string][3]string{
	wordDescription: {"Ticket for %s", "Entrada para %s", "Ticket für %s"},
	wordStarts:      {"Starts", "Comienza", "Beginn"},
	wordEvent:       {"Event", "Evento", "Veranstaltung"},
	wordVenue:       {"Venue", "Lugar", "Ort"},
	wordAddress:     {"Address", "Dirección", "Adresse"},
	wordTier:        {"Category", "Categoría", "Kategorie"},
	wordSection:     {"Section", "Sector", "Block"},
	wordRow:         {"Row", "Fila", "Reihe"},
	wordSeat:        {"Seat", "Asiento", "Platz"},
	wordNumber:      {"Ticket number", "Número de entrada", "Ticketnummer"},
	wordPage:        {"Ticket page", "Página de la entrada", "Ticketseite"},
	wordNear:        {"Have your ticket at hand", "Tenga la entrada a mano", "Halten Sie Ihr Ticket bereit"},
	wordEntry:       {"Entry", "Acceso", "Einlass"},
	wordLive:        {"With the code on the ticket’s page", "Con el código de la página de la entrada", "Mit dem Code auf der Ticketseite"},
	wordGate:        {"At the gate", "En la puerta", "Am Einlass"},
	wordGateStill: {"Whoever shows this code first gets in. Keep pictures of it to yourself.",
		"Entra quien muestra primero este código. No comparta imágenes de él.",
		"Wer diesen Code zuerst zeigt, kommt hinein. Geben Sie keine Bilder davon weiter."},
	wordGateLive: {"The code changes every few seconds, so it is not on this pass. Open the ticket page at the gate.",
		"El código cambia cada pocos segundos y por eso no está en este pase. Abra la página de la entrada en la puerta.",
		"Der Code ändert sich alle paar Sekunden und steht deshalb nicht auf diesem Pass. Öffnen Sie am Einlass die Ticketseite."},
}

// keys are those of words, sorted.
func keys() []string {
	all := make([]string, 0, len(words))
	for key := range words {
		all = append(all, key)
	}
	slices.Sort(all)
	return all
}

// stringsFile is a pass.strings: "key" = "text"; by lines, in UTF-16 with a byte order mark, which Apple's readers take for any language.
func stringsFile(keys []string, language int, event string) []byte {
	var text strings.Builder
	for _, key := range keys {
		word := words[key][language]
		if key == wordDescription {
			word = fmt.Sprintf(word, event)
		}
		text.WriteString(quote(key) + " = " + quote(word) + ";\n")
	}
	b := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(text.String())) {
		b = binary.LittleEndian.AppendUint16(b, unit)
	}
	return b
}

// quote writes a string of a .strings file.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`).Replace(s) + `"`
}
