package decmpfs

import "bytes"

// sample is the plain text of the files in testdata: n bytes of words in an
// order that a generator of random numbers chooses, with some noise between.
func sample(n int) []byte {
	words := []string{"exhibit ", "seizure ", "volume ", "slack ", "witness ", "of the ", "and ", "hash set\n", "lab, ", "not "}
	var b bytes.Buffer
	seed := uint32(1)
	for b.Len() < n {
		seed = seed*1664525 + 1013904223
		b.WriteString(words[seed>>8%uint32(len(words))])
		if seed>>28 == 0 {
			b.Write([]byte{byte(seed >> 16), byte(seed >> 8), byte(seed >> 4)})
		}
		if seed>>23 == 0 {
			b.Write(bytes.Repeat([]byte{byte(seed)}, 3000))
		}
	}
	return b.Bytes()[:n]
}
