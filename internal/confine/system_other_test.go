//go:build !linux

package confine

const confinedBySystem = false

func signalParent() error { return nil }
