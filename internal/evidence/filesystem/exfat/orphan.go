package exfat

import "context"

const headBytes = 2048 // hold the longest set, wherever before it another ends

// search looks into the beginning of every cluster that nothing in use has, for
// sets whose checksum is right: no other bytes look like that.
func (w *walker) search(ctx context.Context) error {
	heads := heads{src: w.fs.src, geo: w.geo}
	for c := uint32(firstCluster); w.geo.holds(c); c++ {
		if w.claimed.has(c) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := heads.of(c, min(w.geo.cluster, headBytes))
		if err != nil || !holdsSet(b) {
			continue // what cannot be read is told where somebody reads it
		}
		w.pieces = append(w.pieces, c)
		if _, err = w.list(ctx, orphan(c), w.noteInside); err != nil {
			return err
		}
	}
	return nil
}

// noteInside remembers where a directory lies that a piece names.
func (w *walker) noteInside(e *entry) error {
	if e.directory && w.geo.holds(e.start) && !w.claimed.has(e.start) {
		each(w.geo, w.exactly(e), func(c uint32) bool { w.inside.add(c); return true })
	}
	return nil
}

// holdsSet reports whether a whole set lies in b. A directory's cluster may begin
// in the middle of one.
func holdsSet(b []byte) bool {
	var s set
	for i := 0; i+2*slotBytes < len(b) && i <= maxSecondary*slotBytes; i += slotBytes {
		if b[i]|inUse != typeFile || b[i+slotBytes]|inUse != typeStream {
			continue
		}
		s.begin(b[i:i+slotBytes], 0)
		for j := i + slotBytes; j < len(b) && s.takes(b[j:j+slotBytes]); j += slotBytes {
			s.add(b[j : j+slotBytes])
		}
		if s.fits() {
			return true
		}
	}
	return false
}
