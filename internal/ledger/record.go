package ledger

import (
	"encoding/binary"
	"time"

	"tutela"
	"tutela/internal/ledger/check"
)

// AppendRecord appends the canonical encoding of r, version 1, to dst. Times
// are kept as instants, to the nanosecond.
//
//	"R" 1 · flags · kind · state · size · volume · path · chain · times · runs
//	· unread · digests? · type · picture? · variants? · video? · findings · failure
func AppendRecord(dst []byte, r *tutela.Record) []byte {
	dst = append(append(dst, check.RecordTag...), recordFlags(r), byte(r.Kind), byte(r.State))
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
		flags |= check.RecordHashed
	}
	if r.Picture != nil {
		flags |= check.RecordPicture
	}
	if r.Digests != (tutela.Digests{}) {
		flags |= check.RecordDigests
	}
	if furtherHashes(r.Picture) {
		flags |= check.RecordVariants
	}
	if r.Video != nil {
		flags |= check.RecordVideo
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
	d := check.ReadBody(b, check.RecordTag)
	r, flags := check.DecodeRecordHead(d)
	r.Type = d.Text()
	if flags&check.RecordPicture != 0 {
		r.Picture = decodePicture(d)
	}
	if flags&check.RecordVariants != 0 && r.Picture != nil {
		decodeVariants(d, r.Picture)
	}
	if flags&check.RecordVideo != 0 {
		r.Video = decodeVideo(d)
	}
	r.Findings = decodeFindings(d)
	r.Failure = d.Text()
	if err := d.End(); err != nil {
		return nil, err
	}
	return r, nil
}

func decodePicture(d *check.BodyReader) *tutela.Perceptual {
	p := new(tutela.Perceptual)
	d.Fixed(p.PDQ[:])
	p.Quality, p.Width, p.Height = d.Plain(), d.Plain(), d.Plain()
	p.Decoder = d.Text()
	return p
}

func decodeVariants(d *check.BodyReader, p *tutela.Perceptual) {
	p.Scale = d.Plain()
	for n := d.Count(len(tutela.PDQ{}) + 2); n > 0 && !d.Failed(); n-- {
		v := tutela.Variant{Name: d.Text()}
		d.Fixed(v.PDQ[:])
		v.Quality = d.Plain()
		p.Variants = append(p.Variants, v)
	}
	if !furtherHashes(p) {
		d.Fail("further hashes that are told and are none")
	}
}

func decodeVideo(d *check.BodyReader) *tutela.Video {
	v := &tutela.Video{Container: d.Text(), Codec: d.Text(), Width: d.Plain(), Height: d.Plain()}
	v.Duration, v.Decoder = time.Duration(d.Int()), d.Text()
	for n := d.Count(len(tutela.PDQ{}) + 2); n > 0 && !d.Failed(); n-- {
		f := tutela.Frame{At: time.Duration(d.Int())}
		d.Fixed(f.PDQ[:])
		f.Quality = d.Plain()
		v.Frames = append(v.Frames, f)
	}
	return v
}

func decodeFindings(d *check.BodyReader) []tutela.Finding {
	var findings []tutela.Finding
	for n := d.Count(2); n > 0 && !d.Failed(); n-- {
		findings = append(findings, tutela.Finding{Code: d.Text(), Detail: d.Text()})
	}
	return findings
}
