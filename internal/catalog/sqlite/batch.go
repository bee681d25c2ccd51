package sqlite

import "tutela"

// batch is records on their way into the tables, in a shape that is reused from
// one commit to the next.
type batch struct {
	rows     []row
	text     []byte // path and observation of every row, one after the other
	pictures []picture
	videos   []video
	findings []finding
}

type row struct {
	state    tutela.State
	kind     tutela.EntryKind
	hashed   bool
	size     int64
	digests  tutela.Digests
	content  int64 // contents.id, once it is known
	mime     string
	volume   string
	failure  string
	pathEnd  int // in batch.text; it begins where the row before ends
	observed int // in batch.text, the end of the observation that follows it
}

type picture struct {
	row int
	tutela.Perceptual
}

type video struct {
	row  int
	body []byte
}

type finding struct {
	row, seq int
	tutela.Finding
}

func (b *batch) add(r *tutela.Record) {
	n := len(b.rows)
	b.text = append(b.text, r.Path...)
	pathEnd := len(b.text)
	b.text = appendObservation(b.text, r.Times, r.Chain)
	b.rows = append(b.rows, row{
		state: r.State, kind: r.Kind, hashed: r.Hashed, size: r.Size, digests: r.Digests,
		mime: r.Type, volume: r.Volume, failure: r.Failure, pathEnd: pathEnd, observed: len(b.text),
	})
	if r.Picture != nil {
		b.pictures = append(b.pictures, picture{n, *r.Picture})
	}
	if r.Video != nil {
		b.videos = append(b.videos, video{n, appendVideo(nil, r.Video)})
	}
	for seq, f := range r.Findings {
		b.findings = append(b.findings, finding{n, seq, f})
	}
}

func (b *batch) reset() {
	clear(b.rows) // lets go of the strings
	clear(b.pictures)
	clear(b.videos)
	b.rows, b.text, b.pictures, b.videos, b.findings = b.rows[:0], b.text[:0], b.pictures[:0], b.videos[:0], b.findings[:0]
}

// bytes are the path and the observation of a row, until the next add.
func (b *batch) bytes(i int) (path, observation []byte) {
	begin := 0
	if i > 0 {
		begin = b.rows[i-1].observed
	}
	r := &b.rows[i]
	// An empty slice that is not nil: nil would be NULL.
	return b.text[begin:r.pathEnd:r.pathEnd], b.text[r.pathEnd:r.observed]
}

// contentID is the content as SQL takes it, NULL where there is none.
func (r *row) contentID() any {
	if !r.hashed {
		return nil
	}
	return r.content
}
