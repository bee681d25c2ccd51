package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

const (
	dfvfs = "dfvfs/test_data/"
	ext2  = "a6c2f0e39afe6c6ab432ca5465349fcefe8dc944398e97b2d957d3f89dbb5d80" // of the same disk in many containers
)

func openIn(t *testing.T, st evidence.Storage, name string) *Image {
	t.Helper()
	img, err := OpenIn(st, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { img.Close() })
	return img
}

func sum(t *testing.T, src evidence.Source) string {
	t.Helper()
	return fmt.Sprintf("%x", sha256.Sum256([]byte(content(t, src))))
}

func TestContainers(t *testing.T) {
	for _, c := range []struct {
		names []string
		want  tutela.Locator
		sum   string
	}{
		{[]string{"ext2.E01"}, tutela.Locator{Layer: "e01", At: "ext2.E01"}, ext2},
		{[]string{"ext2.split.E01", "ext2.split.E02"}, tutela.Locator{Layer: "e01", At: "ext2.split.E01+2"}, ext2},
		{[]string{"ext2.qcow2"}, tutela.Locator{Layer: "qcow2", At: "ext2.qcow2"}, ext2},
		{[]string{"ext2.vmdk"}, tutela.Locator{Layer: "vmdk-monolithicSparse", At: "ext2.vmdk"}, ext2},
		{[]string{"ext2.vhd"}, tutela.Locator{Layer: "vhd-dynamic", At: "ext2.vhd"}, ""},
		{[]string{"hfsplus_zlib.dmg"}, tutela.Locator{Layer: "udif", At: "hfsplus_zlib.dmg"}, ""},
	} {
		st := evidencetest.Storage{}
		for _, name := range c.names {
			st[name] = evidencetest.Image(t, dfvfs+name)
		}
		img := openIn(t, st, c.names[0])
		if img.Chain()[0] != c.want || len(img.Chain()) != 1 {
			t.Errorf("chain %v, want %v", img.Chain(), c.want)
		}
		if got := sum(t, img); c.sum != "" && got != c.sum {
			t.Errorf("%s: sha256 %s", c.names[0], got)
		}
	}
}

func TestContainerThatWasSplit(t *testing.T) {
	whole := evidencetest.Image(t, dfvfs+"ext2.qcow2")
	st := evidencetest.Storage{"d.001": whole[:70_000], "d.002": whole[70_000:70_001], "d.003": whole[70_001:]}
	img := openIn(t, st, "d.001")
	if got := fmt.Sprint(img.Chain()); got != "[{split-raw d.001+3} {qcow2 d.001}]" {
		t.Errorf("chain %s", got)
	}
	if got := sum(t, img); got != ext2 {
		t.Errorf("sha256 %s", got)
	}
}

func TestVerify(t *testing.T) {
	st := evidencetest.Storage{"d.E01": evidencetest.Image(t, dfvfs+"ext2.E01"), "d.dd": make([]byte, 512)}
	img := openIn(t, st, "d.E01")
	var last int64
	if err := img.Verify(context.Background(), func(read int64) { last = read }); err != nil || last != img.Size() {
		t.Errorf("verify: %v after %d bytes", err, last)
	}
	if facts := img.Facts(); len(facts) == 0 || facts[0] != (evidence.Fact{Name: "case number", Value: "case"}) {
		t.Errorf("facts %v", facts)
	}
	if err := openIn(t, st, "d.dd").Verify(context.Background(), nil); !errors.Is(err, ErrNoDigest) {
		t.Errorf("raw: %v", err)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := img.Verify(ended, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// tampered is a disk with a digest of another.
type tampered struct{ evidence.File }

func (tampered) Stored() []evidence.StoredDigest {
	return []evidence.StoredDigest{{Algorithm: "md5", Value: make([]byte, 16)}, {Algorithm: "sha1", Value: make([]byte, 20)}}
}

func TestVerifyFindsMismatch(t *testing.T) {
	img := &Image{disk: tampered{openIn(t, evidencetest.Storage{"d": []byte("abc")}, "d").disk}}
	err := img.Verify(context.Background(), nil)
	mismatch, ok := errors.AsType[*MismatchError](err)
	if !ok || mismatch.Algorithm != "md5" || len(mismatch.Stored) != 16 {
		t.Fatalf("verify: %v", err)
	}
	for _, want := range []string{
		"md5 of the medium is 900150983cd24fb0d6963f7d28e17f72, stored in the image is 00000000000000000000000000000000",
		"sha1 of the medium is a9993e364706816aba3e25717850c26c9cd0d89d, stored",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

func TestContainersAreRefusedByName(t *testing.T) {
	pad := strings.Repeat("\x00", 1024)
	for content, want := range map[string]string{
		"AFF10\r\n\x00" + pad:            "aff: no reader in this version",
		"ADCRYPT\x00" + pad:              "ad encryption: no reader in this version",
		"LVF\x09\x0d\x0a\xff\x00" + pad:  "L01",
		"EVF2\x0d\x0a\x81\x00" + pad:     "Ex01",
		"LEF2\x0d\x0a\x81\x00" + pad[:3]: "Lx01",
	} {
		_, err := OpenIn(evidencetest.Storage{"d.dd": []byte(content)}, "d.dd")
		unsupported, ok := errors.AsType[*UnsupportedError](err)
		if !ok || !errors.Is(err, evidence.ErrUnsupported) || !strings.Contains(err.Error(), want) || unsupported.Format == "" {
			t.Errorf("%q: %v", want, err)
		}
	}
}

func TestBrokenContainersAreNotRaw(t *testing.T) {
	pad := strings.Repeat("\x00", 1024)
	for _, content := range []string{
		"EVF\x09\x0d\x0a\xff\x00\x01\x01\x00\x00\x00" + pad, "EVF\x09\x0d\x0a\xff\x00",
		"KDMV" + pad, "vhdxfile" + pad, "QFI\xfb" + pad, "conectix" + pad, "WithoutFreeSpace" + pad,
	} {
		if img, err := OpenIn(evidencetest.Storage{"d.dd": []byte(content)}, "d.dd"); err == nil {
			t.Errorf("%q was opened as %v", content[:4], img.Chain())
		}
	}
}

// dying is a storage of one file with stretches that cannot be read.
type dying struct{ failing }

func (d dying) Names() ([]string, error) { return []string{"d.dd"}, nil }

func (d dying) Open(name string) (evidence.File, error) {
	return &localFile{file: d.failing, name: name, size: int64(len(d.content))}, nil
}

func TestMediumWithoutItsFirstSectorIsRaw(t *testing.T) {
	for _, bad := range []tutela.Run{{Length: 512}, {Offset: 10_000 - 100, Length: 1}} {
		st := dying{failing{bytes.Repeat([]byte("x"), 10_000), []tutela.Run{bad}}}
		img := openIn(t, st, "d.dd")
		if img.Chain()[0].Layer != "raw" || img.Size() != 10_000 {
			t.Errorf("%v, %d bytes", img.Chain(), img.Size())
		}
		if _, err := img.ReadAt(make([]byte, 10_000), 0); !errors.Is(err, syscall.EIO) {
			t.Errorf("read: %v", err)
		}
	}
}

func TestLocalRefusesPaths(t *testing.T) {
	dir := write(t, map[string]string{"d.dd": "abc"})
	sub := filepath.Join(dir, "sub")
	if err := os.Mkdir(sub, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", ".", "..", "../d.dd", "/etc/passwd", "sub/x", "d\x00"} {
		if _, err := Local(sub).Open(name); err == nil {
			t.Errorf("%q was opened", name)
		}
	}
	if _, err := Local(dir).Open("gone"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	if names, err := Local(dir).Names(); err != nil || len(names) != 2 {
		t.Errorf("names %v, %v", names, err)
	}
}
