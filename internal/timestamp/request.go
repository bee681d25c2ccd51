package timestamp

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// Request is a question to a time-stamping authority, RFC 3161 section 2.4.1.
type Request struct {
	Hash    crypto.Hash
	Imprint []byte   // hash of what is to be stamped
	Policy  string   // under which it is to be; "" leaves that to the authority
	Nonce   *big.Int // tells an answer to this question from an old one; nil if there is none
	Chain   bool     // whether the answer is to hold the authority's certificates
}

// NewRequest asks for a time-stamp over the SHA-256 of a message, with a fresh
// nonce of 64 bits and the chain of the authority.
func NewRequest(message []byte) *Request {
	sum := sha256.Sum256(message)
	nonce := make([]byte, 8)
	rand.Read(nonce)
	return &Request{Hash: crypto.SHA256, Imprint: sum[:], Nonce: new(big.Int).SetBytes(nonce), Chain: true}
}

// requestASN1 is TimeStampReq.
type requestASN1 struct {
	Version int
	Imprint struct {
		Algorithm struct {
			OID  asn1.ObjectIdentifier
			Null asn1.RawValue
		}
		Hash []byte
	}
	Policy asn1.ObjectIdentifier `asn1:"optional"`
	Nonce  *big.Int              `asn1:"optional"`
	Chain  bool                  `asn1:"optional"`
}

// Encode is the request in DER, as it is sent.
func (r *Request) Encode() ([]byte, error) {
	q := requestASN1{Version: 1, Nonce: r.Nonce, Chain: r.Chain}
	oid, err := hashOID(r.Hash)
	if err != nil {
		return nil, err
	}
	q.Imprint.Algorithm.OID, q.Imprint.Algorithm.Null = oid, asn1.NullRawValue
	q.Imprint.Hash = r.Imprint
	if q.Policy, err = parseOID(r.Policy); err != nil {
		return nil, err
	}
	return asn1.Marshal(q)
}

func hashOID(h crypto.Hash) (asn1.ObjectIdentifier, error) {
	switch h {
	case crypto.SHA256:
		return parseOID(oidSHA256)
	case crypto.SHA384:
		return parseOID(oidSHA384)
	case crypto.SHA512:
		return parseOID(oidSHA512)
	}
	return nil, fmt.Errorf("time-stamp request: hash %v is not SHA-256, SHA-384 or SHA-512", h)
}

// parseOID reads a dotted object identifier; "" is none.
func parseOID(text string) (oid asn1.ObjectIdentifier, err error) {
	if text == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(text, ".") {
		n, ok := new(big.Int).SetString(part, 10)
		if !ok || n.Sign() < 0 || n.BitLen() > 31 {
			return nil, fmt.Errorf("time-stamp request: %q is not an object identifier", text)
		}
		oid = append(oid, int(n.Int64()))
	}
	return oid, nil
}

// ParseRequest is the inverse of [Request.Encode], for those who answer. Errors
// wrap [ErrFormat].
func ParseRequest(b []byte) (*Request, error) {
	if len(b) > maxResponse {
		return nil, fmt.Errorf("%w: a request of %d bytes", ErrFormat, len(b))
	}
	d := readDER(b)
	in := d.in(tagSequence)
	d.end()
	if v := in.number(tagInteger, 1); v != 1 {
		in.fail("version %d of a request", v)
	}
	r := &Request{}
	r.Hash, r.Imprint = readImprint(&in)
	if in.is(tagOID) {
		r.Policy = in.oid()
	}
	if in.is(tagInteger) {
		r.Nonce = in.integer(tagInteger)
	}
	if in.is(tagBoolean) {
		r.Chain = in.boolean()
	}
	in.end()
	if d.err() != nil {
		return nil, fmt.Errorf("%w: request: %w", ErrFormat, d.err())
	}
	return r, nil
}

// Check reports whether a response answers this question: the imprint, the
// nonce and the policy are those that were asked for. It does not verify the
// response; [Verify] does. Errors wrap [ErrFormat], [ErrRejected] or [ErrStamp].
func (r *Request) Check(response []byte) error {
	c, err := Inspect(response)
	if err != nil {
		return err
	}
	if err := r.match(c); err != nil {
		return fmt.Errorf("%w: %w", ErrStamp, err)
	}
	return nil
}

func (r *Request) match(c *Claim) error {
	switch {
	case c.Hash != r.Hash || !bytes.Equal(c.Imprint, r.Imprint):
		return errors.New("the answer is over other bytes than were sent")
	case (r.Nonce == nil) != (c.Nonce == nil) || r.Nonce != nil && r.Nonce.Cmp(c.Nonce) != 0:
		return errors.New("the answer is to another question: its nonce is not the one that was sent")
	case r.Policy != "" && c.Policy != r.Policy:
		return fmt.Errorf("the answer is under policy %s, asked for was %s", c.Policy, r.Policy)
	}
	return nil
}
