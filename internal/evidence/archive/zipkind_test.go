package archive_test

import (
	"archive/zip"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
)

func TestUFDRIsNamed(t *testing.T) {
	z := makeZip(t, zip.Deflate, file{"files/Image/1.jpg", "one"}, file{"report.xml", "<project/>"})
	if got := list(t, "phone.ufdr", z, evidence.Limits{}); strings.Count(got, "\tufdr: member ") != 2 {
		t.Errorf("the chain does not name it:\n%s", got)
	}
	z = makeZip(t, zip.Deflate, file{"docs/report.xml", "<project/>"})
	if got := list(t, "other.zip", z, evidence.Limits{}); !strings.Contains(got, "\tzip: member 1 ") {
		t.Errorf("it is not one:\n%s", got)
	}
}

func TestEncryptedOpenDocument(t *testing.T) {
	manifest := `<manifest:manifest><manifest:file-entry manifest:full-path="content.xml"><manifest:encryption-data manifest:checksum="x"/></manifest:file-entry></manifest:manifest>`
	z := makeZip(t, zip.Deflate, file{"mimetype", "application/vnd.oasis.opendocument.text"}, file{"content.xml", "ciphertext"}, file{"META-INF/manifest.xml", manifest})
	got := expand(t, z, evidence.Limits{})
	if got.findings[tutela.FindingEncrypted] != 1 || len(got.paths) != 4 {
		t.Errorf("%q, findings %v", got.paths, got.findings)
	}
	plain := strings.ReplaceAll(manifest, "encryption-data", "other")
	z = makeZip(t, zip.Deflate, file{"META-INF/manifest.xml", plain})
	if got := expand(t, z, evidence.Limits{}); len(got.findings) != 0 {
		t.Errorf("not encrypted: findings %v", got.findings)
	}
}

// What is marked as a link or a pipe and has content is not hidden by that.
func TestMarkedContentIsNotHidden(t *testing.T) {
	z := makeZip(t, zip.Store, file{"picture", strings.Repeat("p", 5000)})
	for _, mode := range []byte{0xa1, 0x11} { // a symlink, a pipe
		centralField(z, 5)[0] = 3
		centralField(z, 38)[3] = mode
		if got := expand(t, z, evidence.Limits{}); got.read != 5000 || got.findings[tutela.FindingSpecial] != 1 {
			t.Errorf("mode %x: read %d bytes, findings %v", mode, got.read, got.findings)
		}
	}
}
