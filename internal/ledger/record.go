package ledger

import (
	"encoding/binary"
	"time"

	"tutela"
)

// Flags of a record. The other bits are zero.
const (
	flagHashed   = 1 << 0 // Record.Hashed
	flagPicture  = 1 << 1 // Record.Picture follows
	flagDigests  = 1 << 2 // digests follow; they are not all zero
	flagVariants = 1 << 3 // scale and variants of the picture follow it; there are such
	flagVideo    = 1 << 4 // Record.Video follows

	allFlags = flagHashed | flagPicture | flagDigests | flagVariants | flagVideo
)

// AppendRecord appends the canonical encoding of r, version 1, to dst. Times
// are kept as instants, to the nanosecond.
//
//	"R" 1 · flags · kind · state · size · volume · path · chain · times · runs
//	· unread · digests? · type · picture? · variants? · video? · findings · failure
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
		dst = appendVariants(dst, p)
	}
	if r.Video != nil {
		dst = appendVideo(dst, r.Video)
	}
	dst = binary.AppendUvarint(dst, uint64(len(r.Findings)))
	for _, f := range r.Findings {
		dst = appendText(appendText(dst, f.Code), f.Detail)
	}
	return appendText(dst, r.Failure)
}

// appendVariants writes nothing for an exact hash without variants.
func appendVariants(dst []byte, p *tutela.Perceptual) []byte {
	if !furtherHashes(p) {
		return dst
	}
	dst = binary.AppendUvarint(appendInt(dst, int64(p.Scale)), uint64(len(p.Variants)))
	for _, v := range p.Variants {
		dst = appendInt(append(appendText(dst, v.Name), v.PDQ[:]...), int64(v.Quality))
	}
	return dst
}

func furtherHashes(p *tutela.Perceptual) bool {
	return p != nil && (p.Scale != 0 || len(p.Variants) > 0)
}

func appendVideo(dst []byte, v *tutela.Video) []byte {
	dst = appendText(appendText(dst, v.Container), v.Codec)
	dst = appendInt(appendInt(dst, int64(v.Width)), int64(v.Height))
	dst = appendText(appendInt(dst, int64(v.Duration)), v.Decoder)
	dst = binary.AppendUvarint(dst, uint64(len(v.Frames)))
	for _, f := range v.Frames {
		dst = appendInt(append(appendInt(dst, int64(f.At)), f.PDQ[:]...), int64(f.Quality))
	}
	return dst
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
	if furtherHashes(r.Picture) {
		flags |= flagVariants
	}
	if r.Video != nil {
		flags |= flagVideo
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
	if flags&^allFlags != 0 || flags&flagVariants != 0 && flags&flagPicture == 0 {
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
	if flags&flagVariants != 0 && r.Picture != nil {
		decodeVariants(d, r.Picture)
	}
	if flags&flagVideo != 0 {
		r.Video = decodeVideo(d)
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

func decodeVariants(d *decoder, p *tutela.Perceptual) {
	p.Scale = d.plain()
	for n := d.count(len(tutela.PDQ{}) + 2); n > 0 && d.err == nil; n-- {
		v := tutela.Variant{Name: d.text()}
		d.fixed(v.PDQ[:])
		v.Quality = d.plain()
		p.Variants = append(p.Variants, v)
	}
	if !furtherHashes(p) {
		d.fail("further hashes that are told and are none")
	}
}

func decodeVideo(d *decoder) *tutela.Video {
	v := &tutela.Video{Container: d.text(), Codec: d.text(), Width: d.plain(), Height: d.plain()}
	v.Duration, v.Decoder = time.Duration(d.int()), d.text()
	for n := d.count(len(tutela.PDQ{}) + 2); n > 0 && d.err == nil; n-- {
		f := tutela.Frame{At: time.Duration(d.int())}
		d.fixed(f.PDQ[:])
		f.Quality = d.plain()
		v.Frames = append(v.Frames, f)
	}
	return v
}

func decodeFindings(d *decoder) []tutela.Finding {
	var findings []tutela.Finding
	for n := d.count(2); n > 0 && d.err == nil; n-- {
		findings = append(findings, tutela.Finding{Code: d.text(), Detail: d.text()})
	}
	return findings
}
