package ledger

import (
	"bytes"
	"encoding/binary"

	"tutela"
	"tutela/internal/ledger/check"
)

// AppendMatch appends the canonical encoding of m to dst: version 1 for matches
// by digests, version 2 for those by what pixels look like.
//
//	"M" 1 · kind · status · leaf · row · set · version · scheme · code · distance · variant
//	"M" 2 · as version 1 · decoder · scale · query share · known share
func AppendMatch(dst []byte, m *tutela.Match) []byte {
	if !byPixels(m) {
		return appendMatch(append(dst, matchTag...), m)
	}
	dst = appendMatch(append(dst, pixelMatchTag...), m)
	dst = appendInt(appendText(dst, m.Decoder), int64(m.Scale))
	return appendInt(appendInt(dst, int64(m.QueryShare)), int64(m.KnownShare))
}

// byPixels reports whether the match tells what version 1 has no room for.
func byPixels(m *tutela.Match) bool {
	return m.Decoder != "" || m.Scale != 0 || m.QueryShare != 0 || m.KnownShare != 0
}

func appendMatch(dst []byte, m *tutela.Match) []byte {
	dst = append(dst, byte(m.Kind), byte(m.Status))
	dst = binary.AppendUvarint(binary.AppendUvarint(dst, m.Leaf), m.Row)
	dst = appendInt(appendText(dst, m.Set), int64(m.Version))
	dst = appendText(appendText(dst, m.Category.Scheme), m.Category.Code)
	return appendText(appendInt(dst, int64(m.Distance)), m.Variant)
}

// DecodeMatch is the inverse of [AppendMatch]: it accepts its one encoding and
// nothing else. Errors wrap [ErrEncoding].
func DecodeMatch(b []byte) (*tutela.Match, error) {
	tag := matchTag
	if bytes.HasPrefix(b, []byte(pixelMatchTag)) {
		tag = pixelMatchTag
	}
	d := check.ReadBody(b, tag)
	m := &tutela.Match{Kind: tutela.MatchKind(d.Byte()), Status: tutela.Status(d.Byte())}
	m.Leaf, m.Row = d.Uint(), d.Uint()
	m.Set, m.Version = d.Text(), d.Plain()
	m.Category = tutela.Category{Scheme: d.Text(), Code: d.Text()}
	m.Distance, m.Variant = d.Plain(), d.Text()
	if tag == pixelMatchTag {
		m.Decoder, m.Scale, m.QueryShare, m.KnownShare = d.Text(), d.Plain(), d.Plain(), d.Plain()
		if !byPixels(m) {
			d.Fail("version 2 of a match that version 1 can tell")
		}
	}
	if err := d.End(); err != nil {
		return nil, err
	}
	return m, nil
}
