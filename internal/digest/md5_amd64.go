package digest

import "golang.org/x/sys/cpu"

//go:generate go run gen/md5.go

// md5x16 and md5x8 run blocks 64-byte blocks through MD5 in every lane i, from
// base[offsets[i]] on, and store the new state of the lanes whose bit is set in
// mask. The others compute too, for nothing: their offset must lead to as many
// readable bytes. blocks is at least 1.

// md5x16 needs AVX-512 F and VL.
//
//go:noescape
func md5x16(state *[4][16]uint32, base *byte, offsets *[16]uint32, mask uint32, blocks int)

// md5x8 needs AVX2 and looks at lanes 0 to 7 only.
//
//go:noescape
func md5x8(state *[4][16]uint32, base *byte, offsets *[16]uint32, mask uint32, blocks int)

// kernels lists what this processor can run, the fastest first.
func kernels() []kernel {
	var found []kernel
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512VL {
		found = append(found, kernel{name: "avx512", lanes: 16, worth: 2, blocks: md5x16})
	}
	if cpu.X86.HasAVX2 {
		found = append(found, kernel{name: "avx2", lanes: 8, worth: 2, blocks: md5x8})
	}
	return append(found, plain)
}
