package hfsplus

import (
	"testing"

	"tutela"
	"tutela/internal/evidencetest"
)

// hot are the stretches of an image where its structure lies.
func hot(t testing.TB, img []byte) []tutela.Run {
	t.Helper()
	fs := evidencetest.MustOpen(t, open, evidencetest.Source(img)).(*FileSystem)
	runs := []tutela.Run{{Offset: headerAt, Length: headerBytes}, {Offset: int64(len(img)) - headerAt, Length: headerBytes}}
	for _, tr := range []*tree{fs.catalog, fs.attributes, fs.overflow.tree} {
		for number := range tr.nodes {
			if n, err := tr.read(number); err == nil && tr.inUse(number) {
				runs = append(runs, tutela.Run{Offset: tr.place(n.number, 0), Length: 200}, tutela.Run{Offset: tr.place(n.number, tr.size-100), Length: 100})
			}
		}
	}
	if run, _, _ := fs.journalRun(); run.Length > 0 {
		runs = append(runs, tutela.Run{Offset: run.Offset, Length: 100}, tutela.Run{Offset: fs.header.start + int64(fs.header.journalInfo)*fs.header.block, Length: 100})
	}
	return runs
}

func TestMutants(t *testing.T) {
	dirty := image(t, fslib)
	setJournal(dirty, sector, 109056)
	for _, img := range [][]byte{image(t, dfvfs), featured(t), dirty} {
		where := hot(t, img)
		fs := evidencetest.MustOpen(t, open, evidencetest.Source(img)).(*FileSystem)
		for _, tr := range []*tree{fs.catalog, fs.attributes} {
			where = append(where, tutela.Run{Offset: tr.place(0, 0), Length: 12 * int64(tr.size)})
		}
		evidencetest.Mutants(t, open, img, where...)
	}
}

// FuzzOpen changes the bytes of a whole image. The fuzzer gets the changes, not
// the image: a stretch of structure, a place in it and a byte each. They are
// undone afterwards: a copy of the image takes longer than the walk.
func FuzzOpen(f *testing.F) {
	img := image(f, dfvfs)
	where := hot(f, img)
	f.Add([]byte{})
	f.Add([]byte{0, 40, 0, 0x80, 1, 0, 0, 'x'})
	f.Add([]byte{2, 24, 0, 7, 3, 14, 0, 1, 4, 10, 0, 200})
	f.Fuzz(func(t *testing.T, changes []byte) {
		for ; len(changes) >= 4; changes = changes[4:] {
			run := where[int(changes[0])%len(where)]
			at := run.Offset + (int64(changes[1])|int64(changes[2])<<8)%max(run.Length, 4096)
			if at < int64(len(img)) {
				old := img[at]
				defer func() { img[at] = old }()
				img[at] = changes[3]
			}
		}
		evidencetest.Hostile(t, open, img)
	})
}
