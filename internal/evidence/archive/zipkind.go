package archive

import (
	"bufio"
	"bytes"
	"io"

	"tutela"
)

// Some zips are more than zips: their chain, or a finding, says what.

// maxKindMembers bounds how many names are looked at to tell what a zip is.
const maxKindMembers = 1 << 16

// zipKind looks through the directory: the reports of phone extractions that
// Cellebrite calls UFDR have a report.xml at their root.
func (l *listing) zipKind(dir zipDirectory) {
	r := bufio.NewReaderSize(io.NewSectionReader(l.content, dir.start, max(0, dir.end-dir.start)), 64<<10)
	for range maxKindMembers {
		m, err := readZipCentral(r)
		if err != nil {
			return
		}
		if string(m.name) == "report.xml" {
			l.format.name = "ufdr"
			return
		}
	}
}

// maxManifest bounds how much of an ODF manifest is read, in bytes.
const maxManifest = 1 << 20

// odfManifest finds out whether an OpenDocument is encrypted (OpenDocument 1.3
// part 2, 4.4 <manifest:encryption-data>): its members can be read as bytes all
// the same.
func (l *listing) odfManifest(m *member) {
	if string(m.name) != "META-INF/manifest.xml" || m.open == nil {
		return
	}
	src, err := m.open()
	if err != nil {
		return
	}
	defer src.Close()
	text, _ := io.ReadAll(io.LimitReader(src, maxManifest))
	if bytes.Contains(text, []byte("manifest:encryption-data")) {
		l.find(tutela.FindingEncrypted, "odf: the document is encrypted")
	}
}
