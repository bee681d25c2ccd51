package scan

import (
	"sync/atomic"

	"tutela"
)

// thumbs keeps the thumbnails of a scan. They are derived and can be made again:
// that some cannot be kept is told in the summary, and stops nothing.
type thumbs struct {
	store Thumbnails            // nil keeps none
	lost  atomic.Pointer[error] // why the first was not kept
}

// wants reports whether a thumbnail of a record is to be made.
func (t *thumbs) wants(rec *tutela.Record) bool {
	return t.store != nil && !t.store.Has(rec.Digests.SHA256)
}

// keep keeps a thumbnail, if one was made.
func (t *thumbs) keep(rec *tutela.Record, jpeg []byte) {
	if t.store != nil && len(jpeg) > 0 {
		t.note(t.store.Put(rec.Digests.SHA256, jpeg))
	}
}

// sync makes durable what was kept. It comes before the commit of the records,
// since a scan that goes on does not look at committed pictures again.
func (t *thumbs) sync() {
	if t.store != nil {
		t.note(t.store.Sync())
	}
}

func (t *thumbs) note(err error) {
	if err != nil {
		t.lost.CompareAndSwap(nil, &err)
	}
}

// err is why thumbnails were not kept, nil if all were.
func (t *thumbs) err() error {
	if lost := t.lost.Load(); lost != nil {
		return *lost
	}
	return nil
}
