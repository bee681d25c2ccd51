//go:build !linux

package confine

const confinedBySystem = false
