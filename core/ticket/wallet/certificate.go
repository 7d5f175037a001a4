package wallet

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
)

// oidUserID is the part of a certificate's subject that names its pass type.
var oidUserID = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}

// errNoPEM means that a file is not what it is configured as.
var errNoPEM = errors.New("no PEM block of that kind")

// parseCertificate reads a certificate as PEM, or as the DER in which Apple gives WWDR out.
func parseCertificate(b []byte) (*x509.Certificate, error) {
	for rest := b; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == "CERTIFICATE" {
			return x509.ParseCertificate(block.Bytes)
		}
	}
	if c, err := x509.ParseCertificate(b); err == nil {
		return c, nil
	}
	return nil, errNoPEM
}

// parseKey reads a private RSA key as PEM, PKCS #8 or PKCS #1, not encrypted. No error quotes the key.
func parseKey(b []byte) (*rsa.PrivateKey, error) {
	for rest := b; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errNoPEM
		}
		switch block.Type {
		case "PRIVATE KEY":
			key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			if err != nil {
				return nil, errors.New("the key is malformed")
			}
			private, ok := key.(*rsa.PrivateKey)
			if !ok {
				return nil, errors.New("the key is no RSA key")
			}
			return private, nil
		case "RSA PRIVATE KEY":
			private, err := x509.ParsePKCS1PrivateKey(block.Bytes)
			if err != nil {
				return nil, errors.New("the key is malformed or encrypted")
			}
			return private, nil
		case "ENCRYPTED PRIVATE KEY":
			return nil, errors.New("the key is encrypted; give it without a password, readable by core alone")
		}
	}
}

// check tells what of a pass type's certificate does not fit the rest: a phone would refuse every pass, and not say why.
func checkCertificate(c, wwdr *x509.Certificate, key *rsa.PrivateKey, passType, team string) error {
	if public, ok := c.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(key.Public()) {
		return errors.New("the certificate is of another key")
	}
	if err := c.CheckSignatureFrom(wwdr); err != nil {
		return fmt.Errorf("the certificate was not issued by the WWDR certificate that is given: %w", err)
	}
	for _, name := range c.Subject.Names {
		if name.Type.Equal(oidUserID) && name.Value != passType {
			return fmt.Errorf("the certificate is for the pass type %v, not %s", name.Value, passType)
		}
	}
	for _, unit := range c.Subject.OrganizationalUnit {
		if unit != team {
			return fmt.Errorf("the certificate is of the team %s, not %s", unit, team)
		}
	}
	return nil
}
