//go:build !linux

package ledger

import "os"

// syncData waits until the file is on the medium.
func syncData(f *os.File) error { return f.Sync() }

// refuseNetworkFolder refuses nothing here: only on Linux do we know how to ask.
func refuseNetworkFolder(string) error { return nil }
