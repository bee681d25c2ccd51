package survey

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

// elsewhere knows paths that begin with "far:".
func elsewhere(files evidencetest.Storage) Options {
	options := fakes()
	options.Storage = func(path string) (evidence.Storage, string, bool, error) {
		if path == "far:" {
			return nil, "", false, errors.New("no name")
		}
		name, ok := strings.CutPrefix(path, "far:")
		return files, name, ok, nil
	}
	return options
}

func TestStored(t *testing.T) {
	files := evidencetest.Storage{
		"photo.jpg": []byte("\xff\xd8\xff"), "disk": []byte("LIST\x01" + strings.Repeat("x", 20)), "disk.aff": []byte("AFF10\r\n\x00"),
		"split.aa": make([]byte, 100), "split.ab": make([]byte, 50),
	}
	near := write(t, "near.txt", []byte("here"))
	s := opened(t, elsewhere(files), "far:photo.jpg", near, "far:disk", "far:disk.aff", "far:split.aa")
	entries := expect(t, s,
		"|file /photo.jpg 3",
		"|file /near.txt 4",
		"|file /0 1",
		"|volume / 8 unsupported",
		"|volume / 150 unsupported")
	if got := slurp(t, entries[0]); got != "\xff\xd8\xff" {
		t.Errorf("content %q", got)
	}
	kinds := ""
	for _, src := range s.Describe() {
		kinds += src.Kind + " " + src.Path + ", "
	}
	if kinds != "file far:photo.jpg, file "+near+", image far:disk, container far:disk.aff, image far:split.aa, " {
		t.Errorf("kinds %s", kinds)
	}
	if _, err := Open([]string{"far:gone.dd"}, elsewhere(files)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := Open([]string{"far:"}, elsewhere(files)); err == nil {
		t.Error("a path that its storage refuses was opened")
	}
}

// An image that is encrypted as a whole says both: nothing reads it, and a key
// would be needed.
func TestEncryptedContainer(t *testing.T) {
	b := make([]byte, 4096)
	copy(b, "QFI\xfb")
	binary.BigEndian.PutUint32(b[4:], 2)
	binary.BigEndian.PutUint32(b[20:], 16)
	binary.BigEndian.PutUint64(b[24:], 1<<20)
	binary.BigEndian.PutUint32(b[32:], 1) // AES
	binary.BigEndian.PutUint32(b[36:], 1)
	binary.BigEndian.PutUint64(b[40:], 1<<16)
	expect(t, opened(t, fakes(), write(t, "disk.qcow2", b)), "|volume / 4096 unsupported encrypted")
}

func TestNotesOfAContainer(t *testing.T) {
	f, err := os.Open(filepath.Join("..", "image", "ewf", "testdata", "encase6.E01.xz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := xz.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	image, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	cut := bytes.Clone(image[:len(image)-76]) // without the section that ends it
	s := opened(t, fakes(), write(t, "disk.E01", cut))
	entries := list(t, s)
	if got := outline(entries[0]); got != "|volume / 1311232 "+tutela.FindingTruncated || entries[0].Chain[0].Layer != "e01" {
		t.Errorf("first %s of %v", got, entries[0].Chain)
	}
	if d := s.Describe()[0]; len(d.Findings) != 1 {
		t.Errorf("described with %v", d.Findings)
	}
	if whole := list(t, opened(t, fakes(), write(t, "disk.E01", image))); len(whole) != len(entries)-1 {
		t.Errorf("%d entries of the whole image, %d of the one that was cut", len(whole), len(entries))
	}
}
