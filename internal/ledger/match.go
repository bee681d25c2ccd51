package ledger

import (
	"encoding/binary"

	"tutela"
)

// AppendMatch appends the canonical encoding of m, version 1, to dst.
//
//	"M" 1 · kind · status · leaf · row · set · version · scheme · code · distance · variant
func AppendMatch(dst []byte, m *tutela.Match) []byte {
	dst = append(append(dst, matchTag...), byte(m.Kind), byte(m.Status))
	dst = binary.AppendUvarint(binary.AppendUvarint(dst, m.Leaf), m.Row)
	dst = appendInt(appendText(dst, m.Set), int64(m.Version))
	dst = appendText(appendText(dst, m.Category.Scheme), m.Category.Code)
	return appendText(appendInt(dst, int64(m.Distance)), m.Variant)
}

// DecodeMatch is the inverse of [AppendMatch]: it accepts its one encoding and
// nothing else. Errors wrap [ErrEncoding].
func DecodeMatch(b []byte) (*tutela.Match, error) {
	d := decode(b, matchTag)
	m := &tutela.Match{Kind: tutela.MatchKind(d.byte()), Status: tutela.Status(d.byte())}
	m.Leaf, m.Row = d.uint(), d.uint()
	m.Set, m.Version = d.text(), d.plain()
	m.Category = tutela.Category{Scheme: d.text(), Code: d.text()}
	m.Distance, m.Variant = d.plain(), d.text()
	if err := d.end(); err != nil {
		return nil, err
	}
	return m, nil
}
