package near

import "tutela"

// engines lists what this processor can run, the fastest first. Every arm64
// processor has the instructions.
func engines() []engine { return []engine{neon, plain} }

// filterNEON does what filterPlain does: spans is the first of count, at least
// one, and all they name lies within postings.
//
//go:noescape
func filterNEON(postings *byte, spans *span, count int, hits *[hitRoom]uint64) (done, found int)

func (e engine) filter(postings []byte, spans []span, hits *[hitRoom]uint64) (done, found int) {
	if e == plain || len(spans) == 0 || len(postings) == 0 {
		return filterPlain(postings, spans, hits)
	}
	return filterNEON(&postings[0], &spans[0], len(spans), hits)
}

// sweepNarrowNEON does what sweepNarrowPlain does.
//
//go:noescape
func sweepNarrowNEON(b *block, group *[groupSize]tutela.PDQ, m *marks) bool

func (e engine) sweepNarrow(b *block, group *[groupSize]tutela.PDQ, m *marks) bool {
	if e == plain {
		return sweepNarrowPlain(b, group, m)
	}
	return sweepNarrowNEON(b, group, m)
}

// A wide sweep is left to the plain kernel: it is seldom asked for.
func (engine) sweepWide(b *block, group *[groupSize]tutela.PDQ, limit int, m *marks) bool {
	return sweepWidePlain(b, group, limit, m)
}
