//go:build race

package confine

// childMemory is what a child may take, in bytes. The race detector takes many
// times what the program does.
const childMemory = 8 << 30
