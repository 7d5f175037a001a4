package ticket

import (
	"fmt"

	"rsc.io/qr"
)

// pngScale is how many pixels wide a module of the QR code is: a code of 57 modules and its margin become 520 pixels, enough for a
// phone's screen and for print.
const pngScale = 8

// PNG draws a code's text as a QR code. Level M reads with 15% of the code unreadable.
func PNG(code string) ([]byte, error) {
	drawn, err := qr.Encode(code, qr.M)
	if err != nil {
		return nil, fmt.Errorf("draw QR code: %w", err)
	}
	drawn.Scale = pngScale
	return drawn.PNG(), nil
}
