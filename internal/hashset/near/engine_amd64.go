package near

import (
	"golang.org/x/sys/cpu"

	"tutela"
)

// engines lists what this processor can run, the fastest first.
func engines() []engine {
	var found []engine
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VPOPCNTDQ && cpu.X86.HasBMI1 {
		found = append(found, avx512)
	}
	if cpu.X86.HasAVX2 && cpu.X86.HasPOPCNT && cpu.X86.HasBMI1 {
		found = append(found, avx2)
	}
	return append(found, plain)
}

// The filters do what filterPlain does: spans is the first of count, at least
// one, and all they name lies within postings.

//go:noescape
func filter512(postings *byte, spans *span, count int, hits *[hitRoom]uint64) (done, found int)

//go:noescape
func filter256(postings *byte, spans *span, count int, hits *[hitRoom]uint64) (done, found int)

func (e engine) filter(postings []byte, spans []span, hits *[hitRoom]uint64) (done, found int) {
	if len(spans) == 0 || len(postings) == 0 {
		return len(spans), 0
	}
	switch e {
	case avx512:
		return filter512(&postings[0], &spans[0], len(spans), hits)
	case avx2:
		return filter256(&postings[0], &spans[0], len(spans), hits)
	}
	return filterPlain(postings, spans, hits)
}

// The sweeps do what sweepNarrowPlain and sweepWidePlain do.

//go:noescape
func sweepNarrow512(b *block, group *[groupSize]tutela.PDQ, m *marks) bool

//go:noescape
func sweepNarrow256(b *block, group *[groupSize]tutela.PDQ, m *marks) bool

//go:noescape
func sweepWide512(b *block, group *[groupSize]tutela.PDQ, limit int, m *marks) bool

func (e engine) sweepNarrow(b *block, group *[groupSize]tutela.PDQ, m *marks) bool {
	switch e {
	case avx512:
		return sweepNarrow512(b, group, m)
	case avx2:
		return sweepNarrow256(b, group, m)
	}
	return sweepNarrowPlain(b, group, m)
}

// With AVX2, a wide sweep is left to the plain kernel: it is seldom asked for.
func (e engine) sweepWide(b *block, group *[groupSize]tutela.PDQ, limit int, m *marks) bool {
	if e == avx512 {
		return sweepWide512(b, group, limit, m)
	}
	return sweepWidePlain(b, group, limit, m)
}
