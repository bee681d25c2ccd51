package ledger

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// syncFolder does nothing: Windows gives no way to flush a folder, and its file
// systems journal names themselves.
func syncFolder(string) error { return nil }

// renameOver gives a file the name of another. Windows refuses that while somebody
// reads the other, which takes them a moment.
func renameOver(from, to string) error {
	err := os.Rename(from, to)
	for tries := 0; errors.Is(err, fs.ErrPermission) && tries < 100; tries++ {
		time.Sleep(10 * time.Millisecond)
		err = os.Rename(from, to)
	}
	return err
}
