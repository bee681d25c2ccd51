package check

import (
	"time"

	"tutela"
)

// RecordTag begins the body of a record. It must never change.
const RecordTag = "R\x01"

// MatchLetter begins the body of a match, of every version.
const MatchLetter = 'M'

// Flags of a record. The other bits are zero.
const (
	RecordHashed   = 1 << 0 // Record.Hashed
	RecordPicture  = 1 << 1 // Record.Picture follows
	RecordDigests  = 1 << 2 // digests follow; they are not all zero
	RecordVariants = 1 << 3 // scale and variants of the picture follow it; there are such
	RecordVideo    = 1 << 4 // Record.Video follows

	allRecordFlags = RecordHashed | RecordPicture | RecordDigests | RecordVariants | RecordVideo
)

// DecodeRecordHead reads a record from its flags up to its digests, and returns
// the flags, which say what follows. Empty lists come back as nil, times in UTC.
// The verdict is the reader's.
func DecodeRecordHead(d *BodyReader) (r *tutela.Record, flags byte) {
	flags = d.Byte()
	if flags&^allRecordFlags != 0 || flags&RecordVariants != 0 && flags&RecordPicture == 0 {
		d.Fail("unknown flags %#x", flags)
	}
	r = &tutela.Record{Hashed: flags&RecordHashed != 0, Kind: tutela.EntryKind(d.Byte()), State: tutela.State(d.Byte())}
	r.Size, r.Volume, r.Path = d.Int(), d.Text(), d.Bytes()
	r.Chain = decodeChain(d)
	r.Times = decodeTimes(d)
	r.Runs, r.Unread = decodeRuns(d), decodeRuns(d)
	if flags&RecordDigests != 0 {
		r.Digests = decodeDigests(d)
	}
	return r, flags
}

// RecordSum is what a record says of the bytes of its file.
type RecordSum struct {
	Size    int64 // bytes
	SHA256  Hash
	Digests bool // whether it says more than the size
}

// ReadRecordSum reads the body of a record up to its digests; what follows is not
// judged. Errors wrap [ErrEncoding].
func ReadRecordSum(body []byte) (RecordSum, error) {
	d := ReadBody(body, RecordTag)
	r, flags := DecodeRecordHead(d)
	if err := d.Err(); err != nil {
		return RecordSum{}, err
	}
	return RecordSum{Size: r.Size, SHA256: Hash(r.Digests.SHA256), Digests: flags&RecordDigests != 0}, nil
}

func decodeChain(d *BodyReader) []tutela.Locator {
	var chain []tutela.Locator
	for n := d.Count(2); n > 0 && !d.Failed(); n-- {
		chain = append(chain, tutela.Locator{Layer: d.Text(), At: d.Text()})
	}
	return chain
}

func decodeTimes(d *BodyReader) (t tutela.Times) {
	told := d.Byte()
	if told > 0x0f {
		d.Fail("unknown times %#x", told)
	}
	for i, at := range []*time.Time{&t.Modified, &t.Accessed, &t.Changed, &t.Born} {
		if told&(1<<i) == 0 {
			continue
		}
		if *at = d.Time(); at.IsZero() {
			d.Fail("a time that is told and is none")
		}
	}
	return t
}

func decodeRuns(d *BodyReader) []tutela.Run {
	n := d.Count(2)
	if n == 0 {
		return nil
	}
	runs := make([]tutela.Run, n)
	for i := range runs {
		runs[i] = tutela.Run{Offset: d.Int(), Length: d.Int()}
	}
	return runs
}

func decodeDigests(d *BodyReader) (g tutela.Digests) {
	d.Fixed(g.MD5[:])
	d.Fixed(g.SHA1[:])
	d.Fixed(g.SHA256[:])
	if g == (tutela.Digests{}) {
		d.Fail("digests that are told and are none")
	}
	return g
}
