package timestamp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
)

// The signature algorithms of RFC 5754 and RFC 4056.
const (
	oidRSA       = "1.2.840.113549.1.1.1"
	oidRSASHA256 = "1.2.840.113549.1.1.11"
	oidRSASHA384 = "1.2.840.113549.1.1.12"
	oidRSASHA512 = "1.2.840.113549.1.1.13"
	oidPSS       = "1.2.840.113549.1.1.10"
	oidMGF1      = "1.2.840.113549.1.1.8"
	oidECDSA256  = "1.2.840.10045.4.3.2"
	oidECDSA384  = "1.2.840.10045.4.3.3"
	oidECDSA512  = "1.2.840.10045.4.3.4"
)

// scheme is how a token is signed.
type scheme struct {
	kind schemeKind
	hash crypto.Hash
	salt int // bytes, of PSS
}

type schemeKind int

const (
	schemePKCS1 schemeKind = iota + 1
	schemePSS
	schemeECDSA
)

// readScheme reads the signature algorithm of a signer whose digest algorithm
// is hash: both must be about the same one.
func readScheme(d *der, hash crypto.Hash) scheme {
	in := d.in(tagSequence)
	oid := in.oid()
	s, its := scheme{hash: hash}, hash
	switch oid {
	case oidPSS:
		s.kind = schemePSS
		its, s.salt = readPSS(&in)
	case oidRSA:
		s.kind = schemePKCS1
	case oidRSASHA256, oidRSASHA384, oidRSASHA512:
		s.kind, its = schemePKCS1, hashIn(oid)
	case oidECDSA256, oidECDSA384, oidECDSA512:
		s.kind, its = schemeECDSA, hashIn(oid)
	default:
		in.fail("signature algorithm %s is none of RSA and ECDSA with SHA-256, SHA-384 or SHA-512", oid)
	}
	if s.kind == schemePKCS1 {
		passNull(&in)
	}
	in.end()
	if d.err() == nil && its != hash {
		d.fail("digest and signature with two hash algorithms")
	}
	return s
}

func hashIn(oid string) crypto.Hash {
	switch oid {
	case oidRSASHA256, oidECDSA256:
		return crypto.SHA256
	case oidRSASHA384, oidECDSA384:
		return crypto.SHA384
	}
	return crypto.SHA512
}

// readPSS reads RSASSA-PSS-params, RFC 4055 section 3.1. Its defaults are SHA-1,
// so nothing may be left out but the trailer.
func readPSS(d *der) (hash crypto.Hash, salt int) {
	in := d.in(tagSequence)
	first := in.in(tagExplicit0)
	hash = readHashAlgorithm(&first)
	first.end()
	second := in.in(tagExplicit1)
	mask := second.in(tagSequence)
	second.end()
	if mask.oid() != oidMGF1 || readHashAlgorithm(&mask) != hash {
		mask.fail("a mask of RSA-PSS that does not use the hash algorithm of the digest")
	}
	mask.end()
	third := in.in(tagExplicit2)
	salt = int(third.number(tagInteger, 64))
	if salt == 0 {
		third.fail("RSA-PSS without a salt") // 0 means any length to package rsa
	}
	third.end()
	in.end()
	return hash, salt
}

// verify holds a signature over message against a key.
func (s scheme) verify(key any, message, signature []byte) error {
	digest := sum(s.hash, message)
	switch key := key.(type) {
	case *rsa.PublicKey:
		if err := s.verifyRSA(key, digest, signature); err != nil {
			return fmt.Errorf("its signature: %w", err)
		}
		return nil
	case *ecdsa.PublicKey:
		if s.kind != schemeECDSA || !ecdsa.VerifyASN1(key, digest, signature) {
			return errors.New("its signature is not by the key in the certificate")
		}
		return nil
	}
	return fmt.Errorf("a key of a kind, %T, that no time-stamp is signed with", key)
}

func (s scheme) verifyRSA(key *rsa.PublicKey, digest, signature []byte) error {
	if bits := key.N.BitLen(); bits < minRSA {
		return fmt.Errorf("a key of %d bits, at least %d are demanded", bits, minRSA)
	}
	switch s.kind {
	case schemePKCS1:
		return rsa.VerifyPKCS1v15(key, s.hash, digest, signature)
	case schemePSS:
		return rsa.VerifyPSS(key, s.hash, digest, signature, &rsa.PSSOptions{SaltLength: s.salt, Hash: s.hash})
	}
	return errors.New("another algorithm than the certificate's key is for")
}

func hugeKey(c *certificate) bool {
	key, ok := c.PublicKey.(*rsa.PublicKey)
	return ok && key.N.BitLen() > maxRSA
}

// verifyChain leads the signer's certificate to a root, as of the time in the
// stamp.
func (t *token) verifyChain(roots *x509.CertPool) error {
	leaf := t.signer.certificate
	if err := isStamping(leaf); err != nil {
		return err
	}
	if t.info.authority != nil && !sameName(t.info.authority, leaf.RawSubject) {
		return errors.New("the authority gives itself another name than its certificate does")
	}
	between := x509.NewCertPool()
	for _, c := range t.bag {
		between.AddCert(c)
	}
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: t.info.time,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping},
	})
	if err != nil {
		return fmt.Errorf("its certificates: %w", err)
	}
	if !slices.ContainsFunc(chains, t.signer.namesOnly) {
		return errors.New("its signature names a certificate that is not in the chain")
	}
	return nil
}

// namesOnly reports whether all certificates that the signature names are in
// the chain.
func (s *signer) namesOnly(chain []*certificate) bool {
	for _, id := range s.named {
		if !slices.ContainsFunc(chain, id.names) {
			return false
		}
	}
	return true
}

// The extension that says what a key is for, RFC 5280 section 4.2.1.12.
var extendedKeyUsage = []int{2, 5, 29, 37}

// isStamping demands a certificate for time-stamps and nothing else, and that it
// says so critically, RFC 3161 section 2.3.
func isStamping(c *certificate) error {
	if len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != x509.ExtKeyUsageTimeStamping || len(c.UnknownExtKeyUsage) > 0 {
		return errors.New("the certificate of the signer is not for time-stamps alone")
	}
	for _, e := range c.Extensions {
		if e.Id.Equal(extendedKeyUsage) && !e.Critical {
			return errors.New("the certificate of the signer does not say critically that it is for time-stamps")
		}
	}
	if c.KeyUsage != 0 && c.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0 {
		return errors.New("the certificate of the signer is not for signatures")
	}
	return nil
}
