package paper_test

import (
	"bytes"
	"compress/zlib"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image/png"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"

	"fairgate/core/ticket/code"
	"fairgate/core/ticket/paper"
)

func sheet(t *testing.T, n int) paper.Sheet {
	t.Helper()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{5}, ed25519.SeedSize))
	s := paper.Sheet{Language: "de", Event: "Größenwahn — Ελλάδα, Москва & Łódź", When: "Samstag, 12. Juni 2027, 20:30 (CEST)", Where: "Palau, Barcelona", Order: uuid.New()}
	for i := range n {
		x := paper.Ticket{ID: uuid.New(), Tier: "Unterrang", Seat: "101/A/" + strconv.Itoa(i+1)}
		var err error
		x.Code, err = code.Code{KeyNo: 3, TicketID: x.ID, EventID: uuid.New(), Epoch: 1, Place: code.Place(x.Tier, x.Seat)}.Sign(key)
		if err != nil {
			t.Fatal(err)
		}
		s.Tickets = append(s.Tickets, x)
	}
	return s
}

func draw(t *testing.T, s paper.Sheet) []byte {
	t.Helper()
	pdf, err := paper.PDF(s)
	if err != nil {
		t.Fatal(err)
	}
	return pdf
}

// object is one object of a PDF that has a stream.
type object struct {
	number string
	dict   string
	stream []byte
}

var (
	streamStart = regexp.MustCompile(`(?s)(\d+) 0 obj\s*<<(.*?)>>\s*stream\r?\n`)
	painted     = regexp.MustCompile(`/(I\w+) Do`)
	length      = regexp.MustCompile(`/Length (\d+)`)
)

// objects are those with streams, read as a reader does: the length of each stands in its dictionary.
func objects(t *testing.T, pdf []byte) (all []object) {
	t.Helper()
	for {
		at := streamStart.FindSubmatchIndex(pdf)
		if at == nil {
			return all
		}
		dict := string(pdf[at[4]:at[5]])
		n, err := strconv.Atoi(length.FindStringSubmatch(dict)[1])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, object{string(pdf[at[2]:at[3]]), dict, pdf[at[1] : at[1]+n]})
		pdf = pdf[at[1]+n:]
	}
}

func integer(t *testing.T, dict, name string) int {
	t.Helper()
	found := regexp.MustCompile(`/` + name + ` (\d+)`).FindStringSubmatch(dict)
	if found == nil {
		t.Fatalf("no %s in %s", name, dict)
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// pictures are the codes of a PDF's pages, in the order of the pages, as somebody else's decoder reads them. The streams of images are those
// of PNG files, whose other parts are put around them again.
func pictures(t *testing.T, pdf []byte) (read []string) {
	t.Helper()
	byNumber := map[string]object{}
	for _, o := range objects(t, pdf) {
		byNumber[o.number] = o
	}
	for _, page := range drawn(t, pdf) {
		name := painted.FindStringSubmatch(page)
		if name == nil {
			t.Fatalf("a page without a picture: %s", page)
		}
		number := regexp.MustCompile(`/` + name[1] + ` (\d+) 0 R`).FindSubmatch(pdf)
		if number == nil {
			t.Fatalf("there is no picture %s", name[1])
		}
		o := byNumber[string(number[1])]
		if !strings.Contains(o.dict, "/DeviceGray") || !strings.Contains(o.dict, "/FlateDecode") {
			t.Fatalf("an image of %s", o.dict)
		}
		file := []byte("\x89PNG\r\n\x1a\n")
		chunk := func(kind string, data []byte) {
			file = binary.BigEndian.AppendUint32(file, uint32(len(data)))
			body := append([]byte(kind), data...)
			file = binary.BigEndian.AppendUint32(append(file, body...), crc32.ChecksumIEEE(body))
		}
		head := binary.BigEndian.AppendUint32(nil, uint32(integer(t, o.dict, "Width")))
		head = binary.BigEndian.AppendUint32(head, uint32(integer(t, o.dict, "Height")))
		chunk("IHDR", append(head, byte(integer(t, o.dict, "BitsPerComponent")), 0, 0, 0, 0))
		chunk("IDAT", o.stream)
		chunk("IEND", nil)
		picture, err := png.Decode(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
		if err != nil {
			t.Fatal(err)
		}
		found, err := qrcode.NewQRCodeReader().Decode(bitmap, nil)
		if err != nil {
			t.Fatal(err)
		}
		read = append(read, found.GetText())
	}
	return read
}

// drawn is what a PDF's pages do, one text a page: fonts are subsets with two-byte codes, which for these fonts are the letters themselves.
func drawn(t *testing.T, pdf []byte) (pages []string) {
	t.Helper()
	for _, o := range objects(t, pdf) {
		r, err := zlib.NewReader(bytes.NewReader(o.stream))
		if err != nil {
			continue
		}
		text, err := io.ReadAll(r)
		if err == nil && bytes.Contains(text, []byte("BT ")) {
			pages = append(pages, strings.ReplaceAll(string(text), "\x00", ""))
		}
	}
	return pages
}

func TestAScannerReadsTheCodeOfEveryPage(t *testing.T) {
	s := sheet(t, 6)
	pdf := draw(t, s)
	read := pictures(t, pdf)
	if len(read) != len(s.Tickets) || bytes.Count(pdf, []byte("/Type /Page\n")) != len(s.Tickets) {
		t.Fatalf("%d codes on %d pages for %d tickets", len(read), bytes.Count(pdf, []byte("/Type /Page\n")), len(s.Tickets))
	}
	for i, x := range s.Tickets {
		if read[i] != x.Code {
			t.Errorf("page %d has the code %q", i+1, read[i])
		}
	}
	if per := len(pdf) / len(s.Tickets); per > 40<<10 {
		t.Errorf("%d bytes a page", per)
	}
}

func TestAPageNamesItsPlace(t *testing.T) {
	pages := drawn(t, draw(t, sheet(t, 3)))
	if len(pages) != 3 {
		t.Fatalf("%d pages with text", len(pages))
	}
	for i, page := range pages {
		for _, want := range []string{"Unterrang", "Block 101, Reihe A, Platz " + strconv.Itoa(i+1), "Palau, Barcelona", fmt.Sprintf("Ticket %d von 3", i+1)} {
			if !strings.Contains(page, want) {
				t.Errorf("page %d does not say %q: %q", i+1, want, page)
			}
		}
	}
}

func TestACodeThatChangesIsNotOnPaper(t *testing.T) {
	s := sheet(t, 2)
	s.Language, s.URL = "en", "https://t.example.org/e/arena?order=1"
	for i := range s.Tickets {
		s.Tickets[i].Code = ""
	}
	pdf := draw(t, s)
	if bytes.Contains(pdf, []byte("/Subtype /Image")) {
		t.Error("there is a picture")
	}
	for _, page := range drawn(t, pdf) {
		if !strings.Contains(page, "This paper lets nobody in") || !strings.Contains(page, s.URL) {
			t.Errorf("the page says %q", page)
		}
	}
	if !bytes.Contains(pdf, []byte("/URI (https://t.example.org/e/arena?order=1)")) {
		t.Error("there is no link")
	}
}

func TestNothingIsTooLongOrTooStrangeToDraw(t *testing.T) {
	s := sheet(t, 1)
	for _, name := range []string{"", strings.Repeat("Donaudampfschifffahrt", 60), strings.Repeat("a b ", 2000), "音楽 🎸 \u202e\x00\xff", strings.Repeat("🎸", 400)} {
		s.Event, s.Where, s.Tickets[0].Tier, s.Language = name, name, name, name
		if read := pictures(t, draw(t, s)); len(read) != 1 || read[0] != s.Tickets[0].Code {
			t.Errorf("%.20q: %q", name, read)
		}
	}
	if _, err := paper.PDF(paper.Sheet{}); !errors.Is(err, paper.ErrEmpty) {
		t.Errorf("no tickets: %v", err)
	}
}
