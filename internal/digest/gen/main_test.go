package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestCommittedFilesAreWhatIsGenerated: if it fails, run `go generate` in
// package digest.
func TestCommittedFilesAreWhatIsGenerated(t *testing.T) {
	for _, f := range files {
		committed, err := os.ReadFile(filepath.Join("..", f.name))
		if err != nil {
			t.Fatal(err)
		}
		if f.text() != string(committed) {
			t.Errorf("%s is not what the generator writes", f.name)
		}
	}
}

// TestTables holds the tables for VPTERNLOGD against numbers that are printed
// in many places.
func TestTables(t *testing.T) {
	for _, test := range []struct {
		name string
		got  int
		want int
	}{
		{"parity", boolean(parity).table(), 0x96},
		{"majority", boolean(majority).table(), 0xe8},
	} {
		if test.got != test.want {
			t.Errorf("%s: %#x, want %#x", test.name, test.got, test.want)
		}
	}
}
