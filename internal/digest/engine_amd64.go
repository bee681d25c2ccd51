package digest

import "golang.org/x/sys/cpu"

//go:generate go run ./gen

// The kernels run blocks 64-byte blocks through a digest in every lane i, from
// base[offsets[i]] on, and store the new state of the lanes whose bit is set in
// mask. The others compute too, for nothing: their offset must lead to as many
// readable bytes. blocks is at least 1.
//
// Those of 16 lanes need AVX-512 F, BW and VL; md5x8 needs AVX2 and looks at
// lanes 0 to 7 only.

//go:noescape
func md5x16(state *words, base *byte, offsets *[maximumLanes]uint32, mask uint32, blocks int)

//go:noescape
func md5x8(state *words, base *byte, offsets *[maximumLanes]uint32, mask uint32, blocks int)

//go:noescape
func sha1x16(state *words, base *byte, offsets *[maximumLanes]uint32, mask uint32, blocks int)

//go:noescape
func sha256x16(state *words, base *byte, offsets *[maximumLanes]uint32, mask uint32, blocks int)

// engines lists what this processor can run, the fastest first.
func engines() []engine {
	var found []engine
	if cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VL {
		found = append(found, avx512)
	}
	if cpu.X86.HasAVX2 {
		found = append(found, avx2)
	}
	return append(found, plain)
}

// Measured on a Zen 4 core, in GB/s: MD5 8.2 with 16 lanes taken against 0.80
// by the standard library; SHA-1 7.2 against 1.9; SHA-256 3.7 against 1.8. A
// kernel takes as long for one lane as for 16, hence worth. The standard library
// had SHA instructions there; a processor that has AVX-512 but not those would
// gain from fewer lanes already.
var (
	avx512 = engine{
		name: "avx512", lanes: 16,
		md5:    kernel{worth: 2, blocks: md5x16},
		sha1:   kernel{worth: 5, blocks: sha1x16},
		sha256: kernel{worth: 9, blocks: sha256x16},
	}
	avx2 = engine{name: "avx2", lanes: 8, md5: kernel{worth: 2, blocks: md5x8}}
)
