//go:build !amd64 && !arm64

package near

import "tutela"

// engines lists what this processor can run: only the plain kernels are written
// for it.
func engines() []engine { return []engine{plain} }

func (engine) filter(postings []byte, spans []span, hits *[hitRoom]uint64) (done, found int) {
	return filterPlain(postings, spans, hits)
}

func (engine) sweepNarrow(b *block, group *[groupSize]tutela.PDQ, m *marks) bool {
	return sweepNarrowPlain(b, group, m)
}

func (engine) sweepWide(b *block, group *[groupSize]tutela.PDQ, limit int, m *marks) bool {
	return sweepWidePlain(b, group, limit, m)
}
