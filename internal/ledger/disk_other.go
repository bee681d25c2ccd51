//go:build !linux

package ledger

import "os"

// syncData waits until the file is on the medium.
func syncData(f *os.File) error { return f.Sync() }

// beginWriting and forget do nothing here: the system does it when it likes.
func beginWriting(*os.File, int64, int64) {}
func forget(*os.File, int64, int64)       {}

// refuseNetworkFolder refuses nothing here: only on Linux do we know how to ask.
func refuseNetworkFolder(string) error { return nil }
