package hashset

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"strings"

	"tutela"
	"tutela/internal/hashset/vpdq"
)

// A record is a row on its way through the sorter. Its first part is the digests
// in the order that rows have, each led by one byte that is 0 where the digest is
// absent: SHA-256, SHA-1, MD5, PDQ, and the frames, led by their number u32. Then
// come category, series and size, each led by the number of its bytes, big
// endian. The bytes of the first part alone order rows; categories and series are
// ordered by what they are called.
type record struct {
	digest [4][]byte // by MatchKind; nil if absent
	pdq    []byte
	frames []byte // 32 bytes each

	digests  []byte // the first part
	category uint16
	series   uint32
	size     uint64 // 0 is not told, else one more
}

const maxFrames = vpdq.MaxFrames // of one video

// has tells which digests the row has.
func (r *record) has() (has uint8) {
	for kind := tutela.MatchMD5; kind <= tutela.MatchSHA256; kind++ {
		if r.digest[kind] != nil {
			has |= 1 << (kind - 1)
		}
	}
	if r.pdq != nil {
		has |= hasPDQ
	}
	if len(r.frames) > 0 {
		has |= hasFrames
	}
	return has
}

// appendRecord encodes a row.
func appendRecord(b []byte, a *tutela.Assertion, category uint16, series uint32) []byte {
	b = appendNumber(appendDigests(b, a), uint64(category))
	b = appendNumber(b, uint64(series))
	return appendNumber(b, uint64(max(a.Size, -1)+1))
}

// appendDigests encodes the first part.
func appendDigests(b []byte, a *tutela.Assertion) []byte {
	var digest [4][]byte
	if a.SHA256 != nil {
		digest[0] = a.SHA256[:]
	}
	if a.SHA1 != nil {
		digest[1] = a.SHA1[:]
	}
	if a.MD5 != nil {
		digest[2] = a.MD5[:]
	}
	if a.PDQ != nil {
		digest[3] = a.PDQ[:]
	}
	for _, d := range digest {
		if d == nil {
			b = append(b, 0)
		} else {
			b = append(append(b, 1), d...)
		}
	}
	if len(a.Frames) == 0 {
		return append(b, 0)
	}
	b = binary.BigEndian.AppendUint32(append(b, 1), uint32(len(a.Frames)))
	for i := range a.Frames {
		b = append(b, a.Frames[i][:]...)
	}
	return b
}

func appendNumber(b []byte, v uint64) []byte {
	var wide [8]byte
	binary.BigEndian.PutUint64(wide[:], v)
	n := 8
	for n > 0 && wide[8-n] == 0 {
		n--
	}
	return append(append(b, byte(n)), wide[8-n:]...)
}

// parseRecord takes apart what appendRecord made. The parts lie in b.
func parseRecord(b []byte) (r record) {
	rest := b
	r.digest[tutela.MatchSHA256], rest = cutDigest(rest, 32)
	r.digest[tutela.MatchSHA1], rest = cutDigest(rest, 20)
	r.digest[tutela.MatchMD5], rest = cutDigest(rest, 16)
	r.pdq, rest = cutDigest(rest, 32)
	there := rest[0]
	if rest = rest[1:]; there != 0 {
		n := 32 * int(binary.BigEndian.Uint32(rest))
		r.frames, rest = rest[4:4+n], rest[4+n:]
	}
	r.digests = b[:len(b)-len(rest)]
	var v uint64
	v, rest = cutNumber(rest)
	r.category = uint16(v)
	v, rest = cutNumber(rest)
	r.series = uint32(v)
	r.size, _ = cutNumber(rest)
	return r
}

func cutDigest(b []byte, size int) (digest, rest []byte) {
	if b[0] == 0 {
		return nil, b[1:]
	}
	return b[1 : 1+size], b[1+size:]
}

func cutNumber(b []byte) (v uint64, rest []byte) {
	n := int(b[0])
	for _, c := range b[1 : 1+n] {
		v = v<<8 | uint64(c)
	}
	return v, b[1+n:]
}

// rowsEqual reports whether two records say the same but for the size.
func rowsEqual(a, b *record) bool {
	return bytes.Equal(a.digests, b.digests) && a.category == b.category && a.series == b.series
}

// order gives the order of rows: that of records whose categories and series are
// numbered by names.
func order(n *names) func(a, b []byte) int {
	return func(a, b []byte) int {
		x, y := parseRecord(a), parseRecord(b)
		return n.compare(&x, &y)
	}
}

func (n *names) compare(x, y *record) int {
	if c := bytes.Compare(x.digests, y.digests); c != 0 {
		return c
	}
	if x.category != y.category {
		return compareCategories(n.categoryAt(x.category), n.categoryAt(y.category))
	}
	if x.series != y.series {
		return cmp.Compare(n.seriesAt(x.series), n.seriesAt(y.series))
	}
	return cmp.Compare(x.size, y.size)
}

func compareCategories(a, b tutela.Category) int {
	return cmp.Or(strings.Compare(a.Scheme, b.Scheme), strings.Compare(a.Code, b.Code))
}

// compareRows is the same order between rows.
func compareRows(a, b *tutela.Assertion) int {
	var room [2][160]byte // of any row without frames
	if c := bytes.Compare(appendDigests(room[0][:0], a), appendDigests(room[1][:0], b)); c != 0 {
		return c
	}
	return cmp.Or(compareCategories(a.Category, b.Category), strings.Compare(a.Series, b.Series), cmp.Compare(a.Size, b.Size))
}

// encodeRow numbers the category and series of a row and encodes it.
func (n *names) encodeRow(b []byte, a *tutela.Assertion) ([]byte, error) {
	category, err := n.category(a.Category)
	if err != nil {
		return nil, err
	}
	series, err := n.seriesOf(a.Series)
	if err != nil {
		return nil, err
	}
	return appendRecord(b, a, category, series), nil
}

// assertion is what a record says.
func (n *names) assertion(b []byte) tutela.Assertion {
	r := parseRecord(b)
	a := tutela.Assertion{Category: n.categoryAt(r.category), Series: n.seriesAt(r.series), Size: int64(r.size) - 1}
	if d := r.digest[tutela.MatchSHA256]; d != nil {
		a.SHA256 = (*tutela.SHA256)(d)
	}
	if d := r.digest[tutela.MatchSHA1]; d != nil {
		a.SHA1 = (*tutela.SHA1)(d)
	}
	if d := r.digest[tutela.MatchMD5]; d != nil {
		a.MD5 = (*tutela.MD5)(d)
	}
	if r.pdq != nil {
		a.PDQ = (*tutela.PDQ)(r.pdq)
	}
	for frames := r.frames; len(frames) > 0; frames = frames[32:] {
		a.Frames = append(a.Frames, tutela.PDQ(frames))
	}
	return a
}
