// Package scanner is the page with which a phone, or a computer with a USB scanner, is a gate on line: HTML, a style sheet, scripts
// and the texts of each language (strings), embedded in the binary and served beside the API that they ask. It decides nothing.
//
// The page is dark, nothing of it is inline or comes from elsewhere, and what it is told it shows as text, never as markup. Where the
// browser has no BarcodeDetector, jsQR reads the camera's picture in a worker (Apache-2.0, jsQR.LICENSE.txt beside it).
//
// A gate's credential is kept in sessionStorage: it belongs to the tab, is gone with it, and is sent by this page's own requests
// alone. A cookie would be out of reach of scripts, but would come with every request to this address whoever made it, stay behind on a
// shared phone, and need Secure, which a gate in a closed network may not have.
//
// The page is on line or does not open. A scan of which no answer came is asked about with the same id when the code is shown again, so an
// entry that core had committed is found as this gate's own and not refused as used.
package scanner

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// policy is what the page may do: use its own files and its own core, and the camera.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; worker-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

//go:embed static strings
var files embed.FS

// types are the content types of the embedded files.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".json": "application/json",
	".svg":  "image/svg+xml",
	".txt":  "text/plain; charset=utf-8",
}

// file is one file, ready to be sent.
type file struct {
	kind, etag string
	body, zip  []byte
}

// Handler serves the page at / and its files below /scanner/. It may be used from many goroutines.
func Handler() (http.Handler, error) {
	byPath := map[string]*file{}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		f, err := prepare(path.Ext(name), body)
		if err != nil {
			return fmt.Errorf("prepare %s: %w", name, err)
		}
		byPath["/scanner/"+strings.TrimPrefix(name, "static/")] = f
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the scanner's files: %w", err)
	}
	byPath["/"] = byPath["/scanner/index.html"]
	delete(byPath, "/scanner/index.html")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f := byPath[r.URL.Path]
		if f == nil {
			http.NotFound(w, r)
			return
		}
		f.serve(w, r)
	}), nil
}

func prepare(ext string, body []byte) (*file, error) {
	kind, ok := types[ext]
	if !ok {
		return nil, fmt.Errorf("no content type for %q files", ext)
	}
	var zipped bytes.Buffer
	z, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(body); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	return &file{kind, `"` + hex.EncodeToString(sum[:12]) + `"`, body, zipped.Bytes()}, nil
}

func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("Permissions-Policy", "camera=(self), screen-wake-lock=(self), microphone=(), geolocation=()")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache") // asked about at each use, which costs a 304: a new release must not meet old scripts
	h.Set("ETag", f.etag)
	h.Set("Vary", "Accept-Encoding")
	if r.Header.Get("If-None-Match") == f.etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", f.kind)
	body := f.body
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = f.zip
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client has gone
	}
}
