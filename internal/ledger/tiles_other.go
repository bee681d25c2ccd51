//go:build !unix

package ledger

// keepsTiles says whether this platform can keep a log of tiles: Tessera's POSIX
// driver does not build here.
const keepsTiles = false

func newTiles(*LogReader, *rootGuard) (sequencer, error) { return nil, ErrNoTiles }
