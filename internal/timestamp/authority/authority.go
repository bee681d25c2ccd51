// Package authority is a throw-away time-stamping authority: a root certificate, a
// key for time-stamps alone, and answers to requests of RFC 3161, for demonstrations
// and tests.
//
// Call [New], hand [Authority.Roots] to whoever shall believe its stamps, and serve
// [Authority.Answer] with client.Handler. Promised: responses that openssl and
// package timestamp hold. Not promised: anything about time. It tells the clock that it is
// given, on the machine whose clock a time-stamp is to be independent of, and
// its keys are gone with the process. A stamp of it is evidence of nothing.
package authority

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"time"

	"tutela/internal/timestamp"
)

// Policy is the policy that stamps are issued under: an arc for examples, RFC 7299
// names none.
const Policy = "1.3.6.1.4.1.32473.1"

// Authority answers requests. It is safe for concurrent use.
type Authority struct {
	roots []byte // PEM
	cert  *x509.Certificate
	key   *ecdsa.PrivateKey
	now   func() time.Time

	mu     sync.Mutex // guards serial
	serial int64      // of the last stamp
}

// New makes an authority with fresh keys, whose certificates are good from a day
// before what now says to a year after. now is asked for the time of each stamp.
func New(now func() time.Time) (*Authority, error) {
	a := &Authority{now: now}
	if err := a.certify(); err != nil {
		return nil, fmt.Errorf("make a time-stamping authority: %w", err)
	}
	return a, nil
}

func (a *Authority) certify() error {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return err
	}
	root := template("Throw-away Root", 1, a.now())
	root.IsCA, root.KeyUsage = true, x509.KeyUsageCertSign
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, &rootKey.PublicKey, rootKey)
	if err != nil {
		return err
	}
	a.roots = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER})
	leaf := template("Throw-away Time-Stamping Authority", 2, a.now())
	leaf.KeyUsage, leaf.ExtraExtensions = x509.KeyUsageDigitalSignature, []pkix.Extension{stampingAlone}
	der, err := x509.CreateCertificate(rand.Reader, leaf, root, &a.key.PublicKey, rootKey)
	if err != nil {
		return err
	}
	a.cert, err = x509.ParseCertificate(der)
	return err
}

func template(name string, serial int64, now time.Time) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: now.AddDate(0, 0, -1), NotAfter: now.AddDate(1, 0, 0), BasicConstraintsValid: true,
	}
}

// stampingAlone says critically that a key is for time-stamps and nothing else, as
// RFC 3161 section 2.3 demands; package x509 would not say it critically.
var stampingAlone = pkix.Extension{
	Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true,
	Value: element(tagSequence, object(1, 3, 6, 1, 5, 5, 7, 3, 8)),
}

// Roots is the certificate that its stamps lead to, in PEM.
func (a *Authority) Roots() []byte { return bytes.Clone(a.roots) }

// Answer is the response to a request: a stamp with all certificates, or a refusal
// of what is no request for the hash algorithms and the policy that it knows.
func (a *Authority) Answer(request []byte) []byte {
	q, err := timestamp.ParseRequest(request)
	switch {
	case err != nil:
		return refusal(badFormat)
	case q.Policy != "" && q.Policy != Policy:
		return refusal(unknownPolicy)
	}
	token, err := a.token(q)
	if err != nil {
		return refusal(systemFailure)
	}
	return element(tagSequence, element(tagSequence, number(0)), token)
}

// The bits of PKIFailureInfo, RFC 3161 section 2.4.2, that occur.
const (
	badFormat     = 5
	unknownPolicy = 15
	systemFailure = 25
)

// refusal is a response without a stamp: status 2, rejection.
func refusal(bit int) []byte {
	info := make([]byte, 2+bit/8)
	info[0] = byte(7 - bit%8) // unused bits
	info[1+bit/8] = 0x80 >> (bit % 8)
	return element(tagSequence, element(tagSequence, number(2), element(tagBitString, info)))
}

// token is the signed data of RFC 5652 around the time-stamp.
func (a *Authority) token(q *timestamp.Request) ([]byte, error) {
	content := a.info(q)
	signer, err := a.sign(content)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(a.roots)
	return element(tagSequence, object(1, 2, 840, 113549, 1, 7, 2), element(tagExplicit0, element(tagSequence,
		number(3),
		element(tagSet, sha256Algorithm),
		element(tagSequence, timeStamp, element(tagExplicit0, element(tagOctets, content))),
		element(tagExplicit0, setOf(a.cert.Raw, block.Bytes)...),
		element(tagSet, signer),
	))), nil
}

var (
	timeStamp       = object(1, 2, 840, 113549, 1, 9, 16, 1, 4)
	sha256Algorithm = element(tagSequence, object(2, 16, 840, 1, 101, 3, 4, 2, 1))
	ecdsaWithSHA256 = element(tagSequence, object(1, 2, 840, 10045, 4, 3, 2))
)

// info is the TSTInfo of RFC 3161 section 2.4.2, with a time in milliseconds.
func (a *Authority) info(q *timestamp.Request) []byte {
	a.mu.Lock()
	a.serial++
	serial := a.serial
	a.mu.Unlock()
	parts := [][]byte{
		number(1),
		object(1, 3, 6, 1, 4, 1, 32473, 1),
		element(tagSequence, element(tagSequence, hashObject(q.Hash)), element(tagOctets, q.Imprint)),
		number(serial),
		// The layout leaves zeroes at the end of a fraction away, as DER demands.
		element(tagTime, []byte(a.now().UTC().Format("20060102150405.999")+"Z")),
		element(tagSequence, number(1)), // accuracy: a second
	}
	if q.Nonce != nil {
		parts = append(parts, integer(q.Nonce))
	}
	return element(tagSequence, parts...)
}

func hashObject(h crypto.Hash) []byte {
	last := map[crypto.Hash]int{crypto.SHA256: 1, crypto.SHA384: 2, crypto.SHA512: 3}
	return object(2, 16, 840, 1, 101, 3, 4, 2, last[h])
}

// sign makes the SignerInfo. The signature is over the attributes as a SET OF, RFC
// 5652 section 5.4; which certificate they name, RFC 5816.
func (a *Authority) sign(content []byte) ([]byte, error) {
	digest, named := sha256.Sum256(content), sha256.Sum256(a.cert.Raw)
	attributes := setOf(
		attribute(object(1, 2, 840, 113549, 1, 9, 3), timeStamp),
		attribute(object(1, 2, 840, 113549, 1, 9, 4), element(tagOctets, digest[:])),
		attribute(object(1, 2, 840, 113549, 1, 9, 16, 2, 47), element(tagSequence, element(tagSequence, element(tagSequence, element(tagOctets, named[:]))))),
	)
	sum := sha256.Sum256(element(tagSet, attributes...))
	signature, err := ecdsa.SignASN1(rand.Reader, a.key, sum[:])
	if err != nil {
		return nil, err
	}
	return element(tagSequence,
		number(1),
		element(tagSequence, a.cert.RawIssuer, integer(a.cert.SerialNumber)),
		sha256Algorithm,
		element(tagExplicit0, attributes...),
		ecdsaWithSHA256,
		element(tagOctets, signature),
	), nil
}

func attribute(name, value []byte) []byte {
	return element(tagSequence, name, element(tagSet, value))
}

// The tags of ASN.1 that occur, X.690 section 8.
const (
	tagBitString = 0x03
	tagOctets    = 0x04
	tagTime      = 0x18
	tagSequence  = 0x30
	tagSet       = 0x31
	tagExplicit0 = 0xa0
)

// element is one DER element. Parts are its content, one after another.
func element(tag byte, parts ...[]byte) []byte {
	body := slices.Concat(parts...)
	raw, err := asn1.Marshal(asn1.RawValue{Class: int(tag >> 6), Tag: int(tag & 0x1f), IsCompound: tag&0x20 != 0, Bytes: body})
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return raw
}

// setOf sorts the elements of a SET OF as DER demands.
func setOf(elements ...[]byte) [][]byte {
	slices.SortFunc(elements, bytes.Compare)
	return elements
}

func number(n int64) []byte { return integer(big.NewInt(n)) }

func integer(n *big.Int) []byte { return marshal(n) }

func object(arcs ...int) []byte { return marshal(asn1.ObjectIdentifier(arcs)) }

func marshal(value any) []byte {
	raw, err := asn1.Marshal(value)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return raw
}
