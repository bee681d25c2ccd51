package timestamp

import (
	"bytes"
	"crypto"
	"crypto/sha1"
	"crypto/subtle"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
)

// Object identifiers: RFC 5652, RFC 3161, RFC 5035, RFC 5754.
const (
	oidSignedData           = "1.2.840.113549.1.7.2"
	oidTSTInfo              = "1.2.840.113549.1.9.16.1.4"
	oidContentType          = "1.2.840.113549.1.9.3"
	oidMessageDigest        = "1.2.840.113549.1.9.4"
	oidSigningCertificate   = "1.2.840.113549.1.9.16.2.12"
	oidSigningCertificateV2 = "1.2.840.113549.1.9.16.2.47"

	oidSHA1   = "1.3.14.3.2.26"
	oidSHA256 = "2.16.840.1.101.3.4.2.1"
	oidSHA384 = "2.16.840.1.101.3.4.2.2"
	oidSHA512 = "2.16.840.1.101.3.4.2.3"
)

type certificate = x509.Certificate

// signer is the one SignerInfo of a token, RFC 5652 section 5.3.
type signer struct {
	certificate *certificate
	hash        crypto.Hash
	attributes  []byte // as they are signed: a SET OF
	digest      []byte // of the content, as the attributes tell it
	named       []certID
	scheme      scheme
	signature   []byte
}

// certID names a certificate by its hash, RFC 5035 section 4; the SHA-1 of RFC
// 2634 is a digest among them, of which no second preimage is known. Of the list
// in a signature the first is the signer.
type certID struct {
	hash   crypto.Hash
	digest []byte
	issuer []byte   // a Name, DER; nil if not told
	serial *big.Int // nil if not told
}

// read reads ContentInfo { signedData, [0] SignedData }, RFC 5652 section 5.1.
func (t *token) read(d *der) {
	outer := d.in(tagSequence)
	if oid := outer.oid(); oid != oidSignedData {
		outer.fail("content %s is not signed data", oid)
	}
	wrap := outer.in(tagExplicit0)
	outer.end()
	in := wrap.in(tagSequence)
	wrap.end()
	if v := in.number(tagInteger, 5); v != 3 {
		in.fail("version %d of signed data around a time-stamp", v)
	}
	algorithms := in.in(tagSet)
	hash := readHashAlgorithm(&algorithms)
	algorithms.end()
	t.content = readContent(&in)
	t.bag = readCertificates(&in)
	if in.is(tagExplicit1) {
		in.fail("revocation lists, which no signature covers")
	}
	signers := in.in(tagSet)
	in.end()
	t.signer = readSigner(&signers, t.bag)
	signers.end()
	if d.err() == nil && t.signer.hash != hash {
		d.fail("the signer used another hash algorithm than the data name")
	}
	info := der{t.content, d.bad}
	t.info = readInfo(&info)
	info.end()
}

// readContent reads EncapsulatedContentInfo.
func readContent(d *der) []byte {
	in := d.in(tagSequence)
	if oid := in.oid(); oid != oidTSTInfo {
		in.fail("content %s is not a time-stamp", oid)
	}
	wrap := in.in(tagExplicit0)
	in.end()
	content := wrap.octets(tagOctets)
	wrap.end()
	return content
}

// readCertificates reads the CertificateSet, X.509 certificates only.
func readCertificates(d *der) []*certificate {
	var bag []*certificate
	if !d.is(tagExplicit0) {
		d.fail("no certificates: a response without its chain cannot be checked later")
	}
	in := d.in(tagExplicit0)
	for !in.empty() {
		c, err := x509.ParseCertificate(in.whole(tagSequence))
		switch {
		case in.err() != nil:
		case err != nil:
			in.fail("a certificate: %w", err)
		case len(bag) == maxCertificates:
			in.fail("more than %d certificates", maxCertificates)
		case hugeKey(c):
			in.fail("a key of more than %d bits", maxRSA)
		default:
			bag = append(bag, c)
		}
	}
	return bag
}

// readSigner reads SignerInfo and finds its certificate in the bag.
func readSigner(d *der, bag []*certificate) (s signer) {
	in := d.in(tagSequence)
	version := in.number(tagInteger, 3)
	s.certificate = readSignerID(&in, version, bag)
	s.hash = readHashAlgorithm(&in)
	s.attributes = bytes.Clone(in.whole(tagExplicit0))
	s.scheme = readScheme(&in, s.hash)
	s.signature = in.octets(tagOctets)
	if in.is(tagExplicit1) {
		in.fail("unsigned attributes, which no signature covers")
	}
	in.end()
	if d.err() != nil {
		return s
	}
	if s.certificate == nil {
		d.fail("the certificate of the signer is not among those in the response")
		return s
	}
	// It is signed as a SET OF and sent as [0], RFC 5652 section 5.4.
	s.attributes[0] = tagSet
	attributes := der{s.attributes, d.bad}
	s.readAttributes(&attributes)
	return s
}

// readSignerID finds the certificate by issuer and serial number (version 1) or
// by its subject key identifier (version 3).
func readSignerID(d *der, version int64, bag []*certificate) *certificate {
	if version == 3 {
		id := d.octets(tagImplicit0)
		return find(bag, func(c *certificate) bool { return len(id) > 0 && bytes.Equal(c.SubjectKeyId, id) })
	}
	if version != 1 {
		d.fail("version %d of a signer", version)
	}
	in := d.in(tagSequence)
	issuer, serial := in.whole(tagSequence), in.integer(tagInteger)
	in.end()
	return find(bag, func(c *certificate) bool {
		return bytes.Equal(c.RawIssuer, issuer) && c.SerialNumber.Cmp(serial) == 0
	})
}

func find(bag []*certificate, fits func(*certificate) bool) *certificate {
	for _, c := range bag {
		if fits(c) {
			return c
		}
	}
	return nil
}

// readAttributes reads the signed attributes. Those that decide must be there
// once; others say nothing here, and the signature covers them.
func (s *signer) readAttributes(d *der) {
	set, seen := d.in(tagSet), map[string]bool{}
	for more := true; more && d.err() == nil; more = !set.empty() {
		attribute := set.in(tagSequence)
		oid := attribute.oid()
		values := attribute.in(tagSet)
		attribute.end()
		if seen[oid] {
			d.fail("signed attribute %s twice", oid)
		}
		seen[oid] = true
		s.readAttribute(oid, &values)
	}
	for _, oid := range []string{oidContentType, oidMessageDigest} {
		if d.err() == nil && !seen[oid] {
			d.fail("signed attribute %s is missing", oid)
		}
	}
	if d.err() == nil && len(s.named) == 0 {
		d.fail("the signature does not name its certificate")
	}
}

func (s *signer) readAttribute(oid string, values *der) {
	switch oid {
	case oidContentType:
		if values.oid() != oidTSTInfo {
			values.fail("the signature is about another kind of content")
		}
	case oidMessageDigest:
		s.digest = values.octets(tagOctets)
	case oidSigningCertificate:
		s.named = append(s.named, readCertIDs(values, readCertIDv1)...)
	case oidSigningCertificateV2:
		s.named = append(s.named, readCertIDs(values, readCertIDv2)...)
	default:
		return
	}
	values.end()
}

// readCertIDs reads SigningCertificate or SigningCertificateV2, without
// policies.
func readCertIDs(d *der, read func(*der) certID) []certID {
	in := d.in(tagSequence)
	list := in.in(tagSequence)
	if in.is(tagSequence) {
		in.whole(tagSequence) // policies: they say nothing of the time
	}
	in.end()
	var ids []certID
	for more := true; more && len(ids) <= maxCertificates; more = !list.empty() {
		ids = append(ids, read(&list))
	}
	list.end()
	return ids
}

func readCertIDv1(d *der) certID {
	in := d.in(tagSequence)
	id := certID{hash: crypto.SHA1, digest: in.octets(tagOctets)}
	id.readIssuer(&in)
	return id
}

func readCertIDv2(d *der) certID {
	in := d.in(tagSequence)
	id := certID{hash: crypto.SHA256}
	if in.is(tagSequence) {
		id.hash = readHashAlgorithm(&in)
	}
	id.digest = in.octets(tagOctets)
	id.readIssuer(&in)
	return id
}

// readIssuer reads the optional IssuerSerial at the end of a certID.
func (id *certID) readIssuer(in *der) {
	if in.is(tagSequence) {
		pair := in.in(tagSequence)
		names := pair.in(tagSequence)
		id.serial = pair.integer(tagInteger)
		pair.end()
		name := names.in(tagExplicit4)
		names.end()
		id.issuer = name.whole(tagSequence)
		name.end()
	}
	in.end()
}

// names reports whether the certificate is the one that is meant.
func (id certID) names(c *certificate) bool {
	digest := id.digest
	if id.hash == crypto.SHA1 {
		s := sha1.Sum(c.Raw)
		return bytes.Equal(s[:], digest) && id.fits(c)
	}
	return bytes.Equal(sum(id.hash, c.Raw), digest) && id.fits(c)
}

func (id certID) fits(c *certificate) bool {
	return id.serial == nil || c.SerialNumber.Cmp(id.serial) == 0 && sameName(c.RawIssuer, id.issuer)
}

// verify holds the signature against the content.
func (s *signer) verify(content []byte) error {
	if subtle.ConstantTimeCompare(sum(s.hash, content), s.digest) != 1 {
		return errors.New("its signature is over another time-stamp")
	}
	if !s.named[0].names(s.certificate) {
		return errors.New("its signature names another certificate than the signer's")
	}
	return s.scheme.verify(s.certificate.PublicKey, s.attributes, s.signature)
}

// readable is a directory name as RFC 2253 writes it.
func readable(raw []byte) (string, error) {
	var name pkix.RDNSequence
	rest, err := asn1.Unmarshal(raw, &name)
	if err != nil || len(rest) > 0 {
		return "", fmt.Errorf("a name that is none: %w", err)
	}
	return name.String(), nil
}
