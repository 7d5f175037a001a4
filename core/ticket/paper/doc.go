// Package paper draws tickets for print: a PDF with one page for each, and its code as a QR code that any reader reads.
//
// It refuses to draw what changes: a ticket whose code rotates has no code on paper, and its page says where the code is. Letters are Go's
// own fonts (golang.org/x/image/font/gofont, under a BSD licence), embedded as far as they are used: Latin, Greek and Cyrillic. What they do
// not have is drawn as a question mark. Everything here may be used from many goroutines.
package paper
