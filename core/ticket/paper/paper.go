package paper

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"

	"codeberg.org/go-pdf/fpdf"
	"github.com/google/uuid"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"

	"fairgate/core/ticket/code"
)

// ErrEmpty means that there is no ticket to draw.
var ErrEmpty = errors.New("paper: no tickets")

// Sheet is what is drawn, all of it in one language.
type Sheet struct {
	Language string // "en", "es" or "de"; English otherwise
	Event    string
	When     string // as a person reads it
	Where    string
	Order    uuid.UUID
	URL      string // of the page with the codes; may be empty
	Tickets  []Ticket
}

// Ticket is one page.
type Ticket struct {
	ID   uuid.UUID
	Tier string
	Seat string // "section/row/number"; may be empty
	Code string // its text form; empty where codes change
}

// words are what is printed besides the event's own.
type words struct{ ticket, order, page, seat, show, changes, open string }

var languages = map[string]words{
	"en": {"Ticket", "Order", "%d of %d", "Section %s, row %s, seat %s", "Show this code at the gate. It lets one person in, once.",
		"The code of this ticket changes every few seconds. This paper lets nobody in: show the code on a phone at the gate.", "The code is here:"},
	"es": {"Entrada", "Pedido", "%d de %d", "Sector %s, fila %s, asiento %s", "Muestra este código en la puerta. Deja entrar a una persona, una vez.",
		"El código de esta entrada cambia cada pocos segundos. Con este papel no se puede entrar: muestra el código en un móvil en la puerta.", "El código está aquí:"},
	"de": {"Ticket", "Bestellung", "%d von %d", "Block %s, Reihe %s, Platz %s", "Zeigen Sie diesen Code am Einlass. Er lässt eine Person hinein, einmal.",
		"Der Code dieses Tickets wechselt alle paar Sekunden. Mit diesem Papier kommt niemand hinein: Zeigen Sie den Code am Einlass auf einem Telefon.", "Der Code ist hier:"},
}

// Measures of a page of A4, in millimetres.
const (
	edge  = 20.0
	width = 210 - 2*edge
	qr    = 100.0 // the picture's side with its white margin
)

// PDF draws a sheet.
func PDF(s Sheet) ([]byte, error) {
	if len(s.Tickets) == 0 {
		return nil, ErrEmpty
	}
	w, ok := languages[s.Language]
	if !ok {
		s.Language, w = "en", languages["en"]
	}
	p := page{Fpdf: fpdf.New("P", "mm", "A4", ""), words: w}
	p.AddUTF8FontFromBytes("go", "", goregular.TTF)
	p.AddUTF8FontFromBytes("go", "B", gobold.TTF)
	p.SetMargins(edge, edge, edge)
	p.SetAutoPageBreak(false, 0)
	p.SetTitle(printable(s.Event), true)
	p.SetLang(s.Language)
	for i := range s.Tickets {
		if err := p.ticket(&s, i); err != nil {
			return nil, fmt.Errorf("draw ticket %s: %w", s.Tickets[i].ID, err)
		}
	}
	var out bytes.Buffer
	if err := p.Output(&out); err != nil {
		return nil, fmt.Errorf("draw tickets: %w", err)
	}
	return out.Bytes(), nil
}

type page struct {
	*fpdf.Fpdf
	words words
}

func (p *page) ticket(s *Sheet, i int) error {
	t := &s.Tickets[i]
	p.AddPage()
	p.write("B", 24, 10, 3, s.Event)
	p.write("", 13, 6, 2, s.When)
	p.write("", 13, 6, 2, s.Where)
	p.Ln(6)
	p.write("B", 18, 8, 2, t.Tier)
	if t.Seat != "" {
		p.write("B", 18, 8, 2, p.place(t.Seat))
	}
	p.Ln(6)
	if err := p.code(s, t); err != nil {
		return err
	}
	p.SetY(297 - edge - 15)
	p.SetTextColor(90, 90, 90)
	p.write("", 9, 5, 1, p.words.ticket+" "+fmt.Sprintf(p.words.page, i+1, len(s.Tickets))+" · "+t.ID.String())
	p.write("", 9, 5, 1, p.words.order+" "+s.Order.String())
	p.SetTextColor(0, 0, 0)
	return p.Error()
}

// code draws the ticket's code, or says where it is.
func (p *page) code(s *Sheet, t *Ticket) error {
	if t.Code == "" {
		p.write("", 13, 6, 6, p.words.changes)
		if s.URL != "" {
			p.Ln(3)
			p.write("", 13, 6, 1, p.words.open)
			p.SetFont("go", "", 10)
			p.CellFormat(width, 6, printable(s.URL), "", 1, "L", false, 0, s.URL)
		}
		return nil
	}
	picture, err := code.PNG(t.Code)
	if err != nil {
		return err
	}
	options := fpdf.ImageOptions{ImageType: "PNG"}
	p.RegisterImageOptionsReader(t.ID.String(), options, bytes.NewReader(picture))
	p.ImageOptions(t.ID.String(), edge+(width-qr)/2, p.GetY(), qr, qr, true, options, 0, "")
	p.Ln(3)
	p.write("", 12, 6, 3, p.words.show)
	return nil
}

// place is a seat in words.
func (p *page) place(seat string) string {
	parts := strings.Split(seat, "/")
	if len(parts) != 3 {
		return seat
	}
	return fmt.Sprintf(p.words.seat, parts[0], parts[1], parts[2])
}

// write writes a text in lines of the page's width, and no more lines than most: what does not fit ends in an ellipsis.
func (p *page) write(style string, size, height float64, most int, text string) {
	p.SetFont("go", style, size)
	line, lines := "", []string{}
	for word := range strings.FieldsSeq(printable(text)) {
		for line != "" && p.GetStringWidth(line+" "+word) > width || line == "" && p.GetStringWidth(word) > width {
			if line == "" { // a word that fits on no line
				cut := p.fitting(word)
				line, word = word[:cut], word[cut:]
			}
			lines, line = append(lines, line), ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	if line != "" {
		lines = append(lines, line)
	}
	if len(lines) > most {
		lines = lines[:most]
		lines[most-1] = strings.TrimSuffix(lines[most-1], ".") + "…"
	}
	for _, line := range lines {
		p.CellFormat(width, height, line, "", 1, "L", false, 0, "")
	}
}

// fitting is how many bytes of a word fit on a line, one letter at least.
func (p *page) fitting(word string) int {
	cut := 0
	for i, r := range word {
		end := i + len(string(r))
		if cut > 0 && p.GetStringWidth(word[:end]) > width {
			break
		}
		cut = end
	}
	return cut
}

// font tells which letters there are.
var font = sync.OnceValues(func() (*sfnt.Font, error) { return sfnt.Parse(goregular.TTF) })

// printable is a text in which a question mark stands for every letter that the fonts do not have.
func printable(text string) string {
	f, err := font()
	if err != nil {
		return "" // it is embedded, and a test reads it
	}
	var buffer sfnt.Buffer
	return strings.Map(func(r rune) rune {
		if r <= ' ' {
			return ' '
		}
		if n, err := f.GlyphIndex(&buffer, r); err != nil || n == 0 || r > 0xffff {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}
