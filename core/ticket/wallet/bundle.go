package wallet

import (
	"archive/zip"
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/smallstep/pkcs7"
)

// file is one file of a pass.
type file struct {
	name  string
	bytes []byte
	sum   string // SHA-1, hex; made when empty
	store bool   // does not get smaller
}

// stamp is the time of every file in a pass: one that any reader can show, and always the same.
var stamp = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// manifest lists the SHA-1 of every file: Apple's format has no other sum.
func manifest(files []file) ([]byte, error) {
	sums := make(map[string]string, len(files))
	for _, f := range files {
		if f.sum == "" {
			f.sum = sumOf(f.bytes)
		}
		sums[f.name] = f.sum
	}
	b, err := json.Marshal(sums)
	if err != nil {
		return nil, fmt.Errorf("list the files of a pass: %w", err)
	}
	return b, nil
}

func sumOf(b []byte) string {
	sum := sha1.Sum(b)
	return hex.EncodeToString(sum[:])
}

// sign is the detached signature of a manifest, with its time and the certificates that vouch for it.
func (a *Apple) sign(manifest []byte) ([]byte, error) {
	signed, err := pkcs7.NewSignedData(manifest)
	if err != nil {
		return nil, fmt.Errorf("sign a pass: %w", err)
	}
	signed.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	if err := signed.AddSigner(a.certificate, a.key, pkcs7.SignerInfoConfig{}); err != nil { // it adds the time
		return nil, fmt.Errorf("sign a pass: %w", err)
	}
	signed.AddCertificate(a.wwdr)
	signed.Detach()
	b, err := signed.Finish()
	if err != nil {
		return nil, fmt.Errorf("sign a pass: %w", err)
	}
	return b, nil
}

// bundle writes files in their order.
func bundle(files []file) ([]byte, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: stamp}
		if f.store {
			h.Method = zip.Store
		}
		into, err := w.CreateHeader(h)
		if err == nil {
			_, err = into.Write(f.bytes)
		}
		if err != nil {
			return nil, fmt.Errorf("pack %s into a pass: %w", f.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("pack a pass: %w", err)
	}
	return b.Bytes(), nil
}
