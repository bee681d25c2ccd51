package ledger

import (
	"encoding/binary"
	"time"

	"tutela"
)

// Flags of a record. The other bits are zero.
const (
	flagHashed  = 1 << 0 // Record.Hashed
	flagPicture = 1 << 1 // Record.Picture follows
	flagDigests = 1 << 2 // digests follow; they are not all zero
)

// AppendRecord appends the canonical encoding of r, version 1, to dst. Times
// are kept as instants, to the nanosecond.
//
//	"R" 1 · flags · kind · state · size · volume · path · chain · times · runs
//	· unread · digests? · type · picture? · findings · failure
func AppendRecord(dst []byte, r *tutela.Record) []byte {
	dst = append(append(dst, recordTag...), recordFlags(r), byte(r.Kind), byte(r.State))
	dst = appendInt(dst, r.Size)
	dst = appendText(appendText(dst, r.Volume), r.Path)
	dst = binary.AppendUvarint(dst, uint64(len(r.Chain)))
	for _, step := range r.Chain {
		dst = appendText(appendText(dst, step.Layer), step.At)
	}
	dst = appendTimes(dst, r.Times)
	dst = appendRuns(appendRuns(dst, r.Runs), r.Unread)
	if r.Digests != (tutela.Digests{}) {
		dst = append(dst, r.Digests.MD5[:]...)
		dst = append(dst, r.Digests.SHA1[:]...)
		dst = append(dst, r.Digests.SHA256[:]...)
	}
	dst = appendText(dst, r.Type)
	if p := r.Picture; p != nil {
		dst = appendInt(append(dst, p.PDQ[:]...), int64(p.Quality))
		dst = appendInt(appendInt(dst, int64(p.Width)), int64(p.Height))
		dst = appendText(dst, p.Decoder)
	}
	dst = binary.AppendUvarint(dst, uint64(len(r.Findings)))
	for _, f := range r.Findings {
		dst = appendText(appendText(dst, f.Code), f.Detail)
	}
	return appendText(dst, r.Failure)
}

func appendRuns(dst []byte, runs []tutela.Run) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(runs)))
	for _, run := range runs {
		dst = appendInt(appendInt(dst, run.Offset), run.Length)
	}
	return dst
}

func recordFlags(r *tutela.Record) (flags byte) {
	if r.Hashed {
		flags |= flagHashed
	}
	if r.Picture != nil {
		flags |= flagPicture
	}
	if r.Digests != (tutela.Digests{}) {
		flags |= flagDigests
	}
	return flags
}

// appendTimes writes a byte that says which of the four times are told, in the
// order modified, accessed, changed, born, then those.
func appendTimes(dst []byte, t tutela.Times) []byte {
	told := len(dst)
	dst = append(dst, 0)
	for i, at := range []time.Time{t.Modified, t.Accessed, t.Changed, t.Born} {
		if !at.IsZero() {
			dst[told] |= 1 << i
			dst = appendTime(dst, at)
		}
	}
	return dst
}

// DecodeRecord is the inverse of [AppendRecord]: it accepts its one encoding
// and nothing else. Errors wrap [ErrEncoding]. Empty lists come back as nil,
// times in UTC.
func DecodeRecord(b []byte) (*tutela.Record, error) {
	d := decode(b, recordTag)
	flags := d.byte()
	if flags&^(flagHashed|flagPicture|flagDigests) != 0 {
		d.fail("unknown flags %#x", flags)
	}
	r := &tutela.Record{Hashed: flags&flagHashed != 0, Kind: tutela.EntryKind(d.byte()), State: tutela.State(d.byte())}
	r.Size, r.Volume, r.Path = d.int(), d.text(), d.bytes()
	r.Chain = decodeChain(d)
	r.Times = decodeTimes(d)
	r.Runs, r.Unread = decodeRuns(d), decodeRuns(d)
	if flags&flagDigests != 0 {
		r.Digests = decodeDigests(d)
	}
	r.Type = d.text()
	if flags&flagPicture != 0 {
		r.Picture = decodePicture(d)
	}
	r.Findings = decodeFindings(d)
	r.Failure = d.text()
	if err := d.end(); err != nil {
		return nil, err
	}
	return r, nil
}

func decodeChain(d *decoder) []tutela.Locator {
	var chain []tutela.Locator
	for n := d.count(2); n > 0 && d.err == nil; n-- {
		chain = append(chain, tutela.Locator{Layer: d.text(), At: d.text()})
	}
	return chain
}

func decodeTimes(d *decoder) (t tutela.Times) {
	told := d.byte()
	if told > 0x0f {
		d.fail("unknown times %#x", told)
	}
	for i, at := range []*time.Time{&t.Modified, &t.Accessed, &t.Changed, &t.Born} {
		if told&(1<<i) == 0 {
			continue
		}
		if *at = d.time(); at.IsZero() {
			d.fail("a time that is told and is none")
		}
	}
	return t
}

func decodeRuns(d *decoder) []tutela.Run {
	n := d.count(2)
	if n == 0 {
		return nil
	}
	runs := make([]tutela.Run, n)
	for i := range runs {
		runs[i] = tutela.Run{Offset: d.int(), Length: d.int()}
	}
	return runs
}

func decodeDigests(d *decoder) (g tutela.Digests) {
	d.fixed(g.MD5[:])
	d.fixed(g.SHA1[:])
	d.fixed(g.SHA256[:])
	if g == (tutela.Digests{}) {
		d.fail("digests that are told and are none")
	}
	return g
}

func decodePicture(d *decoder) *tutela.Perceptual {
	p := new(tutela.Perceptual)
	d.fixed(p.PDQ[:])
	p.Quality, p.Width, p.Height = d.plain(), d.plain(), d.plain()
	p.Decoder = d.text()
	return p
}

func decodeFindings(d *decoder) []tutela.Finding {
	var findings []tutela.Finding
	for n := d.count(2); n > 0 && d.err == nil; n-- {
		findings = append(findings, tutela.Finding{Code: d.text(), Detail: d.text()})
	}
	return findings
}
