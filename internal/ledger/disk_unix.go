//go:build !windows

package ledger

import "os"

// syncFolder makes names in a folder durable.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// renameOver gives a file the name of another, in one step.
func renameOver(from, to string) error { return os.Rename(from, to) }
