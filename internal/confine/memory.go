//go:build !race

package confine

// childMemory is what a child may take, in bytes.
const childMemory = 512 << 20
