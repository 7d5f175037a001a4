package wallet

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
)

// pictures are those of every pass: the icon of notifications and the logo of the pass's corner, for screens of one, two and three pixels
// a point. Apple asks for an icon of 29 points; a logo may have up to 160 by 50.
var pictures = []struct {
	name string
	side int
}{
	{"icon.png", 29}, {"icon@2x.png", 58}, {"icon@3x.png", 87},
	{"logo.png", 50}, {"logo@2x.png", 100}, {"logo@3x.png", 150},
}

var (
	paper = color.NRGBA{R: 0xf4, G: 0xf1, B: 0xea, A: 0xff}
	ink   = color.NRGBA{R: 0x16, G: 0x20, B: 0x33, A: 0xff}
)

// samples is how many points of each side of a pixel are looked at, so that edges are smooth.
const samples = 4

// draw makes a picture: a ticket, torn at both sides, with a gate in it.
func draw(side int) ([]byte, error) {
	drawn := image.NewNRGBA(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			var inTicket, inGate int
			for s := range samples * samples {
				u := (float64(x) + (float64(s%samples)+0.5)/samples) / float64(side)
				v := (float64(y) + (float64(s/samples)+0.5)/samples) / float64(side)
				if isTicket(u, v) {
					inTicket++
					if isGate(u, v) {
						inGate++
					}
				}
			}
			if inTicket == 0 {
				continue
			}
			mix := func(a, b uint8) uint8 {
				return uint8((int(a)*(inTicket-inGate) + int(b)*inGate) / inTicket)
			}
			drawn.SetNRGBA(x, y, color.NRGBA{R: mix(paper.R, ink.R), G: mix(paper.G, ink.G), B: mix(paper.B, ink.B),
				A: uint8(255 * inTicket / (samples * samples))})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, drawn); err != nil {
		return nil, fmt.Errorf("draw a picture of a pass: %w", err)
	}
	return b.Bytes(), nil
}

// isTicket tells whether a point of the unit square lies on the ticket: a rounded square with a bite out of either side.
func isTicket(u, v float64) bool {
	const edge, corner, bite = 0.04, 0.14, 0.11
	dx, dy := math.Abs(u-0.5), math.Abs(v-0.5)
	half := 0.5 - edge
	if dx > half || dy > half || math.Hypot(dx-half, dy) < bite {
		return false
	}
	ex, ey := dx-(half-corner), dy-(half-corner)
	return ex <= 0 || ey <= 0 || math.Hypot(ex, ey) <= corner
}

// isGate tells whether a point lies on the gate: an arch, open below.
func isGate(u, v float64) bool {
	const outer, inner, spring, floor = 0.27, 0.15, 0.48, 0.78
	x := math.Abs(u - 0.5)
	if v > spring {
		return v <= floor && x <= outer && x >= inner
	}
	r := math.Hypot(x, v-spring)
	return r <= outer && r >= inner
}
