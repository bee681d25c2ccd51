// Package timestamp reads and verifies what others say about when something
// was: RFC 3161 time-stamps of an authority, and OpenTimestamps proofs that end
// in a block of Bitcoin. It is offline; package client gets both.
//
// Call [Verify] for a stored response and the bytes that were stamped, with the
// authority's root certificates; it says when they existed, at the latest.
// [Inspect] says what a response claims, without believing it. A response is
// asked for with [NewRequest] and held against the question with
// [Request.Check]. [VerifyOTS] is the same for a proof and block headers.
// [ClockOffset] and [Watch] hold the clock of the machine against such times:
// the local clock is never evidence alone.
//
// # Stored responses
//
// A request asks for the authority's certificates, so a response holds its whole
// chain but for the root, and stays checkable after its certificates expired: they
// are judged as of the time in the stamp. That rests on three things which no byte
// of the response can show: that the authority's key was not stolen while the hash
// and signature schemes still held, that the authority was not revoked by then (no
// CRL and no OCSP is asked), and that the roots are those of an authority which
// tells the truth. Who must trust it for decades has it stamped again before the
// schemes fall, as RFC 4998 describes.
//
// # What is covered
//
// DER only, and no element that is not described here is passed over. Every bit of a
// response with one chain and no spare certificates is either covered by the
// authority's signature or has one allowed value, but for these: the signatures
// themselves (whoever holds an ECDSA signature can make its mirror image), the
// parameters of algorithms that may be NULL or absent, and certificates that the
// chain did not need. Status texts, CRLs and unsigned attributes are
// refused: no signature covers them. [Bare] takes the first away.
//
// Not promised: that the bytes did not exist much earlier, and who sent them.
package timestamp

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// Errors that callers tell apart; all are wrapped with what was found.
var (
	ErrFormat   = errors.New("not a time-stamp as RFC 3161 has it")
	ErrRejected = errors.New("the time-stamping authority refused")
	ErrStamp    = errors.New("time-stamp does not hold")
)

// Limits on what strangers send.
const (
	maxResponse     = 64 << 10 // bytes
	maxCertificates = 16
	maxRSA          = 8192 // bits; larger keys only cost time
	minRSA          = 2048
)

// Stamp says that something existed at a time.
type Stamp struct {
	Time       time.Time     // UTC
	Resolution time.Duration // the last digit of Time that is told: 1 s, 100 ms … 1 ns
	Accuracy   time.Duration // how far Time may be off either way; 0 if the authority does not say
	Ordered    bool          // stamps of this authority are in order whatever their accuracy
	Policy     string        // under which it was issued: an object identifier, dotted
	Serial     string        // which the authority gave it, hexadecimal digits
	Authority  string        // subject of the certificate that signed, as RFC 2253 writes names
}

// Claim is what a response says, before anybody believed it.
type Claim struct {
	Stamp
	Hash         crypto.Hash         // SHA-256, SHA-384 or SHA-512
	Imprint      []byte              // hash of what was stamped
	Nonce        *big.Int            // nil if there is none
	Certificates []*x509.Certificate // all that the response brings, the signer's first
}

// Inspect reads a response, a TimeStampResp of RFC 3161, without any judgement:
// nothing that it returns is proven. Errors wrap [ErrFormat], or [ErrRejected]
// if the response is a refusal.
func Inspect(response []byte) (*Claim, error) {
	t, err := parseResponse(response, textRefused)
	if err != nil {
		return nil, err
	}
	return t.claim(), nil
}

// Verify says when message existed, at the latest, by a response of a
// time-stamping authority whose certificates lead to one of the roots. Whether
// they do is judged as of the time in the stamp: see the package comment for
// what that rests on. Errors wrap [ErrFormat], [ErrRejected] or [ErrStamp].
func Verify(response, message []byte, roots *x509.CertPool) (Stamp, error) {
	if roots == nil {
		return Stamp{}, fmt.Errorf("%w: no root certificate to trust was given", ErrStamp)
	}
	t, err := parseResponse(response, textRefused)
	if err != nil {
		return Stamp{}, err
	}
	if err := t.verify(message, roots); err != nil {
		return Stamp{}, fmt.Errorf("%w: %w", ErrStamp, err)
	}
	return t.claim().Stamp, nil
}

func (t *token) verify(message []byte, roots *x509.CertPool) error {
	if err := t.info.covers(message); err != nil {
		return err
	}
	if err := t.signer.verify(t.content); err != nil {
		return err
	}
	return t.verifyChain(roots)
}

func (t *token) claim() *Claim {
	i := &t.info
	return &Claim{
		Stamp: Stamp{
			Time: i.time, Resolution: i.resolution, Accuracy: i.accuracy, Ordered: i.ordered,
			Policy: i.policy, Serial: i.serial.Text(16), Authority: t.signer.certificate.Subject.String(),
		},
		Hash: i.hash, Imprint: bytes.Clone(i.imprint), Nonce: i.nonce, Certificates: t.certificates(),
	}
}

// certificates puts the signer's in front.
func (t *token) certificates() []*x509.Certificate {
	all := []*x509.Certificate{t.signer.certificate}
	for _, c := range t.bag {
		if c != t.signer.certificate {
			all = append(all, c)
		}
	}
	return all
}

// ParseRoots reads the certificates that a caller trusts, in PEM. Unlike
// [x509.CertPool.AppendCertsFromPEM] it passes over nothing: a file with
// anything else in it, or with none, is an error.
func ParseRoots(text []byte) (*x509.CertPool, error) {
	pool, found := x509.NewCertPool(), 0
	for rest := bytes.TrimSpace(text); len(rest) > 0; found++ {
		block, after := pem.Decode(rest)
		if block == nil || block.Type != "CERTIFICATE" || !bytes.HasPrefix(rest, []byte("-----BEGIN")) {
			return nil, fmt.Errorf("root certificate %d: not a certificate in PEM", found+1)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("root certificate %d: %w", found+1, err)
		}
		pool.AddCert(c)
		rest = bytes.TrimSpace(after)
	}
	if found == 0 {
		return nil, errors.New("no root certificate")
	}
	return pool, nil
}
