package code_test

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"strings"
	"testing"
	"time"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
	"github.com/srwiley/oksvg"
	"github.com/srwiley/rasterx"

	"fairgate/core/ticket/code"
)

// longest is the longest text that is ever shown.
func longest(t *testing.T) string {
	t.Helper()
	c := testCode()
	c.Place = strings.Repeat("X", 19)
	text, _ := sign(t, c)
	return code.Rotate(text, code.Seed(bytes.Repeat([]byte{7}, 32), c.TicketID, c.Epoch), time.Unix(1_800_000_000, 0))
}

// scanned is what somebody else's decoder reads in a picture.
func scanned(t *testing.T, picture image.Image) string {
	t.Helper()
	bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
	if err != nil {
		t.Fatal(err)
	}
	read, err := qrcode.NewQRCodeReader().Decode(bitmap, nil)
	if err != nil {
		t.Fatal(err)
	}
	return read.GetText()
}

func TestAScannerReadsThePNG(t *testing.T) {
	text := longest(t)
	drawn, err := code.PNG(text)
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(drawn))
	if err != nil {
		t.Fatal(err)
	}
	if read := scanned(t, picture); read != text {
		t.Errorf("read %q", read)
	}
	if side := picture.Bounds().Dx(); side > 560 {
		t.Errorf("the picture is %d pixels wide: the code is not in alphanumeric mode", side)
	}
}

func TestAScannerReadsTheSVGAtAnySize(t *testing.T) {
	text := longest(t)
	drawn, err := code.SVG(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, side := range []int{256, 500, 1201} {
		icon, err := oksvg.ReadIconStream(bytes.NewReader(drawn), oksvg.StrictErrorMode)
		if err != nil {
			t.Fatal(err)
		}
		icon.SetTarget(0, 0, float64(side), float64(side))
		picture := image.NewRGBA(image.Rect(0, 0, side, side))
		draw.Draw(picture, picture.Bounds(), image.NewUniform(color.RGBA{R: 90, A: 255}), image.Point{}, draw.Src) // the picture brings its own white
		icon.Draw(rasterx.NewDasher(side, side, rasterx.NewScannerGV(side, side, picture, picture.Bounds())), 1)
		if read := scanned(t, picture); read != text {
			t.Errorf("at %d pixels: read %q", side, read)
		}
	}
}

func TestWhatNoQRCodeHoldsIsNotDrawn(t *testing.T) {
	for name, draw := range map[string]func(string) ([]byte, error){"PNG": code.PNG, "SVG": code.SVG} {
		if _, err := draw(strings.Repeat("A", 8000)); err == nil {
			t.Errorf("%s: 8000 characters were drawn", name)
		}
	}
}
