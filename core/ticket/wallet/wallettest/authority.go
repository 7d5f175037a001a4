// Package wallettest stands in for Apple and Google where tests and benchmarks need their certificates and keys: it makes them, for
// itself alone. No phone believes them.
package wallettest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"
)

// What the certificate of the pass type is for, and whose.
const (
	PassTypeID = "pass.org.example.tickets"
	TeamID     = "TEAM012345"
)

// Account is the service account of ServiceKey.
const Account = "tickets@tickets.iam.gserviceaccount.com"

// Authority is a root, WWDR below it, and the certificate of a pass type below that with its key; all PEM.
type Authority struct {
	Root, WWDR, Certificate, Key []byte
}

// NewAuthority makes certificates that are valid from and until.
func NewAuthority(from, until time.Time) (*Authority, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	issue := func(c, by *x509.Certificate, of crypto.PublicKey) (*x509.Certificate, []byte, error) {
		c.NotBefore, c.NotAfter = from, until
		der, err := x509.CreateCertificate(rand.Reader, c, by, of, caKey)
		if err != nil {
			return nil, nil, fmt.Errorf("make a certificate: %w", err)
		}
		made, err := x509.ParseCertificate(der)
		return made, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), err
	}
	ca := func(n int64, name string) *x509.Certificate {
		return &x509.Certificate{SerialNumber: big.NewInt(n), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
			KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte{byte(n)}}
	}
	a := &Authority{}
	root := ca(1, "Test Root CA")
	if root, a.Root, err = issue(root, root, caKey.Public()); err != nil {
		return nil, err
	}
	wwdr, wwdrPEM, err := issue(ca(2, "Test Worldwide Developer Relations CA"), root, caKey.Public())
	if err != nil {
		return nil, err
	}
	a.WWDR = wwdrPEM
	leaf := &x509.Certificate{SerialNumber: big.NewInt(3), KeyUsage: x509.KeyUsageDigitalSignature,
		Subject: pkix.Name{CommonName: "Pass Type ID: " + PassTypeID, OrganizationalUnit: []string{TeamID},
			ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}, Value: PassTypeID}}}}
	if _, a.Certificate, err = issue(leaf, wwdr, key.Public()); err != nil {
		return nil, err
	}
	a.Key, err = KeyPEM(key)
	return a, err
}

// KeyPEM writes a private key as PKCS #8.
func KeyPEM(key crypto.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("write a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// ServiceKey is the file that Google gives out for a service account, and the public half of the key in it.
func ServiceKey() (file []byte, public *rsa.PublicKey, err error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	text, err := KeyPEM(key)
	if err != nil {
		return nil, nil, err
	}
	file, err = json.Marshal(map[string]string{"type": "service_account", "project_id": "tickets", "private_key_id": "key-1",
		"private_key": string(text), "client_email": Account, "token_uri": "https://oauth2.googleapis.com/token"})
	return file, &key.PublicKey, err
}
