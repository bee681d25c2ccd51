package ewf

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"io"
	"testing"

	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

// stored puts files of the public test images into a storage, under the last
// part of their names.
func stored(t testing.TB, folder string, names ...string) evidencetest.Storage {
	t.Helper()
	st := evidencetest.Storage{}
	for _, name := range names {
		st[name] = evidencetest.Image(t, folder+"/"+name)
	}
	return st
}

func mustOpen(t testing.TB, st evidence.Storage, name string) *Disk {
	t.Helper()
	d, err := Open(st, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func content(t testing.TB, d *Disk) []byte {
	t.Helper()
	b, err := io.ReadAll(io.NewSectionReader(d, 0, d.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// verify holds a medium against the digests of its image, and returns how many
// there are.
func verify(t testing.TB, d *Disk, medium []byte) int {
	t.Helper()
	m, s := md5.Sum(medium), sha1.Sum(medium)
	for _, stored := range d.Stored() {
		if want := map[string][]byte{"md5": m[:], "sha1": s[:]}[stored.Algorithm]; !bytes.Equal(want, stored.Value) {
			t.Errorf("%s is %x, stored is %x", stored.Algorithm, want, stored.Value)
		}
	}
	return len(d.Stored())
}

func TestPublicImages(t *testing.T) {
	const dfvfs, velocidex = "dfvfs/test_data", "velocidex"
	for _, c := range []struct {
		folder string
		names  []string
		sha256 string
	}{
		{dfvfs, []string{"ext2.E01"}, "a6c2f0e39afe6c6ab432ca5465349fcefe8dc944398e97b2d957d3f89dbb5d80"},
		{dfvfs, []string{"ext2.split.E01", "ext2.split.E02"}, "a6c2f0e39afe6c6ab432ca5465349fcefe8dc944398e97b2d957d3f89dbb5d80"},
		{velocidex, []string{"rand.dd.E01", "rand.dd.E02", "rand.dd.E03", "rand.dd.E04", "rand.dd.E05", "rand.dd.E06"}, "90e7b861deb70458566782e7a833dc37db266555c3c384564a7d412de0370d1f"},
		{velocidex, []string{"test.ntfs.dd.E01"}, "4efccac3f92a14da89ae9bca7231644ba25c65c09772c1f06b4e490e691f28ca"},
	} {
		t.Run(c.names[0], func(t *testing.T) {
			d := mustOpen(t, stored(t, c.folder, c.names...), c.names[0])
			medium := content(t, d)
			if got := fmt.Sprintf("%x", sha256.Sum256(medium)); got != c.sha256 {
				t.Errorf("sha256 %s", got)
			}
			if n := verify(t, d, medium); n != 1 {
				t.Errorf("%d digests", n)
			}
			if notes := d.Notes(); len(notes) > 0 {
				t.Errorf("notes %v", notes)
			}
		})
	}
}
