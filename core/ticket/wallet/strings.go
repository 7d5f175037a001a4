package wallet

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
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

// texts are the pass.strings of each language but for the description, in which every event has its name: "key" = "text"; by lines, in
// UTF-16 with a byte order mark, which Apple's readers take for any language.
func texts() [][]byte {
	all := make([][]byte, len(languages))
	for i := range languages {
		all[i] = []byte{0xff, 0xfe}
		for _, key := range slices.Sorted(maps.Keys(words)) {
			if key != wordDescription {
				all[i] = appendLine(all[i], key, words[key][i])
			}
		}
	}
	return all
}

// stringsFile is a pass.strings: one of texts, with the description.
func stringsFile(text []byte, language int, event string) []byte {
	return appendLine(slices.Clone(text), wordDescription, fmt.Sprintf(words[wordDescription][language], event))
}

func appendLine(b []byte, key, text string) []byte {
	for _, unit := range utf16.Encode([]rune(quote(key) + " = " + quote(text) + ";\n")) {
		b = binary.LittleEndian.AppendUint16(b, unit)
	}
	return b
}

// quote writes a string of a .strings file.
func quote(s string) string {
	b := []byte{'"'}
	for i := range len(s) {
		switch s[i] {
		case '\\', '"':
			b = append(b, '\\', s[i])
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		default:
			b = append(b, s[i])
		}
	}
	return string(append(b, '"'))
}
