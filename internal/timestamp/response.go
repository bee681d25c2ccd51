package timestamp

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// token is a response that was read and not yet judged.
type token struct {
	info    info
	content []byte // the TSTInfo as it was signed
	signer  signer
	bag     []*certificate
}

// info is the TSTInfo of RFC 3161 section 2.4.2.
type info struct {
	policy     string
	hash       crypto.Hash
	imprint    []byte
	serial     *big.Int
	time       time.Time
	resolution time.Duration
	accuracy   time.Duration
	ordered    bool
	nonce      *big.Int
	authority  []byte // the directory name it gives itself, DER; nil if none
}

// statusText says what becomes of text for people that no signature covers.
type statusText int

const (
	textRefused statusText = iota
	textAllowed
)

// parseResponse reads TimeStampResp ::= SEQUENCE { status, timeStampToken }.
func parseResponse(b []byte, text statusText) (*token, error) {
	signed, err := openResponse(b, text)
	if err != nil {
		return nil, err
	}
	d := readDER(signed)
	t := &token{}
	t.read(&d)
	d.end()
	if d.err() != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, d.err())
	}
	return t, nil
}

// openResponse is the token inside a response, as bytes.
func openResponse(b []byte, text statusText) ([]byte, error) {
	if len(b) > maxResponse {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are read", ErrFormat, len(b), maxResponse)
	}
	outer := readDER(b)
	d := outer.in(tagSequence)
	outer.end()
	state := readStatus(&d)
	if outer.err() == nil && state.code > statusModified {
		return nil, state.refusal()
	}
	if state.code == statusModified {
		d.fail("granted with modifications: not what was asked for")
	}
	if len(state.texts) > 0 && text == textRefused {
		d.fail("a status text, %q, which no signature covers", state.texts[0])
	}
	if state.failures != 0 {
		d.fail("granted, yet with reasons why not")
	}
	signed := d.whole(tagSequence)
	d.end()
	if d.err() != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, d.err())
	}
	return signed, nil
}

// Bare is the response without texts for people in its status, which some
// authorities send, no signature covers and [Verify] therefore refuses. It is
// what should be stored: still a response of RFC 3161 with the authority's own
// token, byte for byte.
func Bare(response []byte) ([]byte, error) {
	signed, err := openResponse(response, textAllowed)
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(struct {
		Status struct{ Code int }
		Token  asn1.RawValue
	}{Token: asn1.RawValue{FullBytes: signed}})
}

// The values of PKIStatus.
const (
	statusGranted  = 0
	statusModified = 1
	statusLast     = 5
)

// status is PKIStatusInfo, RFC 3161 section 2.4.2.
type status struct {
	code     int64
	texts    []string
	failures uint32 // bits of PKIFailureInfo
}

func readStatus(d *der) status {
	in := d.in(tagSequence)
	s := status{code: in.number(tagInteger, statusLast)}
	if in.is(tagSequence) {
		list := in.in(tagSequence)
		for more := true; more; more = !list.empty() {
			s.texts = append(s.texts, list.text())
		}
	}
	if in.is(tagBitString) {
		s.failures = in.bits()
	}
	in.end()
	return s
}

// refusal says in words why an authority did not do it.
func (s status) refusal() error {
	states := []string{2: "rejection", 3: "waiting", 4: "revocation warning", 5: "revocation notification"}
	reasons := []string{states[s.code]}
	for _, f := range []struct {
		bit  int
		text string
	}{
		{0, "unrecognised hash algorithm"}, {2, "request not permitted"}, {5, "request has the wrong format"},
		{14, "its clock is not available"}, {15, "policy not supported"}, {16, "extension not supported"},
		{17, "additional information not available"}, {25, "system failure"},
	} {
		if s.failures&(1<<f.bit) != 0 {
			reasons = append(reasons, f.text)
		}
	}
	for _, t := range s.texts {
		reasons = append(reasons, fmt.Sprintf("%.200q", t))
	}
	return fmt.Errorf("%w: %s", ErrRejected, strings.Join(reasons, ", "))
}

// hashOf is the hash algorithm of an identifier, if it is one that is believed.
func hashOf(oid string) (crypto.Hash, error) {
	switch oid {
	case oidSHA256:
		return crypto.SHA256, nil
	case oidSHA384:
		return crypto.SHA384, nil
	case oidSHA512:
		return crypto.SHA512, nil
	}
	return 0, fmt.Errorf("hash algorithm %s is not SHA-256, SHA-384 or SHA-512", oid)
}

func sum(h crypto.Hash, b []byte) []byte {
	switch h {
	case crypto.SHA256:
		s := sha256.Sum256(b)
		return s[:]
	case crypto.SHA384:
		s := sha512.Sum384(b)
		return s[:]
	case crypto.SHA512:
		s := sha512.Sum512(b)
		return s[:]
	}
	panic("internal error: hash " + h.String())
}

// readInfo reads the TSTInfo.
func readInfo(d *der) (i info) {
	in := d.in(tagSequence)
	if v := in.integer(tagInteger); v.Cmp(big.NewInt(1)) != 0 {
		in.fail("version %v of a time-stamp", v)
	}
	i.policy = in.oid()
	i.hash, i.imprint = readImprint(&in)
	i.serial = in.integer(tagInteger)
	i.time, i.resolution = readTime(&in)
	if in.is(tagSequence) {
		i.accuracy = readAccuracy(&in)
	}
	if in.is(tagBoolean) {
		i.ordered = in.boolean()
	}
	if in.is(tagInteger) {
		i.nonce = in.integer(tagInteger)
	}
	if in.is(tagExplicit0) {
		i.authority = readName(&in)
	}
	if in.is(tagExplicit1) {
		passExtensions(&in)
	}
	in.end()
	return i
}

// covers reports whether the imprint is that of the message.
func (i *info) covers(message []byte) error {
	if subtle.ConstantTimeCompare(sum(i.hash, message), i.imprint) != 1 {
		return errors.New("it is over other bytes than these")
	}
	return nil
}

// readImprint reads MessageImprint.
func readImprint(d *der) (crypto.Hash, []byte) {
	in := d.in(tagSequence)
	h := readHashAlgorithm(&in)
	b := in.octets(tagOctets)
	in.end()
	if d.err() == nil && len(b) != h.Size() {
		d.fail("an imprint of %d bytes for %v", len(b), h)
	}
	return h, b
}

// readHashAlgorithm reads an AlgorithmIdentifier whose parameters are NULL or
// absent, RFC 5754 section 2.
func readHashAlgorithm(d *der) crypto.Hash {
	in := d.in(tagSequence)
	h, err := hashOf(in.oid())
	if err != nil {
		in.fail("%w", err)
	}
	passNull(&in)
	in.end()
	return h
}

func passNull(d *der) {
	if d.is(tagNull) && len(d.octets(tagNull)) > 0 {
		d.fail("a NULL that is not empty")
	}
}

// rfc3161 is when the specification appeared: no time-stamp is older.
var rfc3161 = time.Date(2001, time.August, 1, 0, 0, 0, 0, time.UTC)

// readTime reads genTime: a GeneralizedTime in UTC with seconds, and a fraction
// without trailing zeros if there is one, RFC 3161 section 2.4.2.
func readTime(d *der) (time.Time, time.Duration) {
	const layout = "20060102150405"
	text := string(d.octets(tagTime))
	whole, isUTC := strings.CutSuffix(text, "Z")
	seconds, fraction, hasFraction := strings.Cut(whole, ".")
	t, err := time.Parse(layout, seconds)
	switch {
	case d.err() != nil:
	case err != nil || len(seconds) != len(layout) || !isUTC || !fractionFits(fraction, hasFraction):
		d.fail("a time that is written in another way than RFC 3161 says")
	case t.Before(rfc3161):
		d.fail("a time before there were time-stamps")
	default:
		nanos, resolution := fractionOf(fraction)
		return t.Add(nanos), resolution
	}
	return time.Time{}, 0
}

func fractionFits(digits string, present bool) bool {
	if !present {
		return true
	}
	return len(digits) > 0 && len(digits) <= 9 && strings.Trim(digits, "0123456789") == "" && digits[len(digits)-1] != '0'
}

// fractionOf is a fraction of a second, and what its last digit is worth.
func fractionOf(digits string) (value, last time.Duration) {
	last = time.Second
	for _, c := range digits {
		last /= 10
		value += time.Duration(c-'0') * last
	}
	return value, last
}

// readAccuracy reads seconds, milliseconds and microseconds, each if told.
func readAccuracy(d *der) (a time.Duration) {
	const most = 1 << 31 // seconds
	in := d.in(tagSequence)
	for _, f := range []struct {
		tag  byte
		most int64
		unit time.Duration
	}{{tagInteger, most, time.Second}, {tagImplicit0, 999, time.Millisecond}, {tagImplicit1, 999, time.Microsecond}} {
		if in.is(f.tag) {
			a += time.Duration(in.number(f.tag, f.most)) * f.unit
		}
	}
	in.end()
	return a
}

// readName reads the name that an authority gives itself: a GeneralName, of
// which only a directory name can be held against a certificate.
func readName(d *der) []byte {
	in := d.in(tagExplicit0)
	if !in.is(tagExplicit4) {
		in.fail("the authority names itself otherwise than by a directory name")
		return nil
	}
	name := in.in(tagExplicit4)
	in.end()
	raw := name.whole(tagSequence)
	name.end()
	return raw
}

// passExtensions passes over extensions that nobody has to understand.
func passExtensions(d *der) {
	in := d.in(tagExplicit1)
	for more := true; more; more = !in.empty() {
		e := in.in(tagSequence)
		oid := e.oid()
		if e.is(tagBoolean) && e.boolean() {
			e.fail("a critical extension, %s", oid)
		}
		e.octets(tagOctets)
		e.end()
	}
}

// sameName compares directory names: by their bytes, or else by what they say,
// since a certificate may write a text in another of ASN.1's string types.
func sameName(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	one, err1 := readable(a)
	two, err2 := readable(b)
	return err1 == nil && err2 == nil && one == two
}
