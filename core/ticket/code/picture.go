package code

import (
	"fmt"
	"strconv"

	"rsc.io/qr"
)

const (
	// pngScale is how many pixels wide a module of the QR code is: a code of 57 modules and its margin become 520 pixels, enough
	// for a phone's screen and for print.
	pngScale = 8
	// margin is the white border around a QR code, in modules: what the standard asks for.
	margin = 4
)

// PNG draws a code's text as a QR code. Level M reads with 15% of the code unreadable.
func PNG(text string) ([]byte, error) {
	drawn, err := qr.Encode(text, qr.M)
	if err != nil {
		return nil, fmt.Errorf("draw QR code: %w", err)
	}
	drawn.Scale = pngScale
	return drawn.PNG(), nil
}

// SVG draws the same picture to be scaled at will: one unit of its coordinates is one module, each black run of a row one
// rectangle of a single path. It refers to nothing outside itself.
func SVG(text string) ([]byte, error) {
	drawn, err := qr.Encode(text, qr.M)
	if err != nil {
		return nil, fmt.Errorf("draw QR code: %w", err)
	}
	side := strconv.Itoa(drawn.Size + 2*margin)
	b := make([]byte, 0, 16<<10)
	b = append(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 `+side+` `+side+`" shape-rendering="crispEdges">`...)
	b = append(b, `<rect width="`+side+`" height="`+side+`" fill="#ffffff"/><path fill="#000000" d="`...)
	for y := range drawn.Size {
		for x := 0; x < drawn.Size; x++ {
			from := x
			for x < drawn.Size && drawn.Black(x, y) {
				x++
			}
			if x > from {
				b = fmt.Appendf(b, "M%d %dh%dv1h-%dz", from+margin, y+margin, x-from, x-from)
			}
		}
	}
	return append(b, `"/></svg>`...), nil
}
