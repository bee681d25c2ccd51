package hfsplus

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"testing"

	"tutela"
	"tutela/internal/evidencetest"
)

// IDs of fslib's image.
const (
	idPrivateFiles   = 18
	idPrivateFolders = 19
	idDocument       = 23
	idFolder         = 25
	idImage          = 26
	idReadme         = 27
	idPNG            = 44
)

func deflated(b []byte) []byte {
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	z.Write(b)
	z.Close()
	return out.Bytes()
}

func packedHead(method uint32, size int) []byte {
	b := binary.LittleEndian.AppendUint32([]byte("fpmc"), method)
	return binary.LittleEndian.AppendUint64(b, uint64(size))
}

// zlibFork is a resource fork with one chunk for every 64 KiB.
func zlibFork(data []byte) []byte {
	var chunks [][]byte
	for len(data) > 0 {
		n := min(len(data), 64<<10)
		chunks = append(chunks, deflated(data[:n]))
		data = data[n:]
	}
	body := binary.LittleEndian.AppendUint32(nil, uint32(len(chunks)))
	at := 4 + 8*len(chunks)
	for _, c := range chunks {
		body = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(body, uint32(at)), uint32(len(c)))
		at += len(c)
	}
	body = append(body, bytes.Join(chunks, nil)...)
	fork := make([]byte, 256)
	binary.BigEndian.PutUint32(fork, 256)
	binary.BigEndian.PutUint32(fork[4:], uint32(260+len(body)))
	binary.BigEndian.PutUint32(fork[8:], uint32(4+len(body)))
	binary.BigEndian.PutUint32(fork[12:], 50)
	fork = binary.BigEndian.AppendUint32(fork, uint32(len(body)))
	return append(append(fork, body...), make([]byte, 50)...)
}

// pieces cuts an extent into n.
func pieces(x blocks, n uint32) (out []blocks) {
	for i := range n {
		from, to := x.count*i/n, x.count*(i+1)/n
		out = append(out, blocks{x.first + from, to - from})
	}
	return out
}

// text is n bytes that zlib makes smaller.
func text(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "line %d of the text\n", i)
	}
	return b.Bytes()[:n]
}

func compressedFile(cnid uint32, change func(b []byte)) []byte {
	return newFile(cnid, func(b []byte) {
		b[41] = ownerPacked
		if change != nil {
			change(b)
		}
	})
}

// featured is fslib's image with what it lacks.
func featured(t *testing.T) []byte {
	c := newCraft(t, fslib)
	whole := c.addFeatures()
	// A large attribute, and forks as attributes.
	large := append(packedHead(3, 50000), deflated(text(50000))...)
	c.add(idDocument, "large attribute.txt", compressedFile(74, nil))
	c.addFork(74, "com.apple.decmpfs", len(large), c.store(large))
	c.addFork(idPNG, "cut off", 1338018, pieces(whole, 30)[:9]...)
	c.addFork(idPNG, "the beginning", 4000, whole)
	c.addFork(idPNG, "in pieces", 1338018, pieces(whole, 16)...)
	c.addInline(24, protection, []byte("a wrapped key"))
	c.add(500, "no parent", newFile(86, nil))
	return c.finish()
}

// addFeatures returns where alps.png lies.
func (c *craft) addFeatures() (whole blocks) {
	// A file with three names, and one without any link.
	readme := c.take(cnidRoot, "README.md")
	c.add(idPrivateFiles, "iNode27", readme)
	c.add(cnidRoot, "README.md", hardLink(60, idReadme))
	c.add(cnidRoot, "linked.md", hardLink(61, idReadme))
	c.add(idDocument, "linked again.md", hardLink(62, idReadme))
	c.add(idDocument, "link to nothing", hardLink(63, 999))
	unlinked := c.store([]byte("unlinked"))
	c.add(idPrivateFiles, "iNode64", newFile(64, func(b []byte) { putFork(b[88:], 8, unlinked) }))
	// A directory with two names.
	c.add(idPrivateFolders, "dir_25", c.take(cnidRoot, "folder"))
	c.add(cnidRoot, "folder", folderLink(65, idFolder))
	c.add(idDocument, "folder too", folderLink(66, idFolder))
	c.add(idDocument, "folder nowhere", folderLink(67, 998))
	// Compressed files.
	c.add(idDocument, "inline.txt", compressedFile(70, nil))
	c.addInline(70, "com.apple.decmpfs", append(packedHead(3, 3000), deflated(text(3000))...))
	c.addInline(70, "other", []byte("beside"))
	fork := zlibFork(text(200000))
	packed := c.store(fork)
	c.add(idDocument, "forked.txt", compressedFile(71, func(b []byte) { putFork(b[168:], len(fork), packed) }))
	c.addInline(71, "com.apple.decmpfs", packedHead(4, 200000))
	c.add(idDocument, "bitmap.txt", compressedFile(72, func(b []byte) { putFork(b[168:], 17, c.store([]byte("not to be read ye"))) }))
	c.addInline(72, "com.apple.decmpfs", packedHead(14, 200000))
	c.add(idDocument, "no attribute.txt", compressedFile(73, nil))
	// A fragmented file.
	png := c.take(idImage, "alps.png")
	whole = parseFork(png[88:]).extents[0]
	parts := pieces(whole, 30)
	putFork(png[88:], 1338018, parts...)
	c.add(idImage, "alps.png", png)
	c.addOverflow(idPNG, dataFork, parts)
	// Names and kinds.
	c.add(idDocument, "and/or", newFile(80, nil))
	c.addRaw(idDocument, []byte{0xd8, 0x00, 0, 'x'}, newFile(81, nil))
	c.add(idDocument, "e\u0301t\u00e9 \U0001f600", newFile(82, nil))
	c.add(idDocument, "fifo", special(83, modePipe))
	c.add(idDocument, "socket", special(84, modeSocket))
	c.add(idDocument, "null", newFile(85, func(b []byte) {
		binary.BigEndian.PutUint16(b[42:], modeChar)
		binary.BigEndian.PutUint32(b[44:], 3<<24|2)
	}))
	return whole
}

func TestFeatures(t *testing.T) {
	img := featured(t)
	evidencetest.Golden(t, "features", open, img)
}

func find(t *testing.T, all []evidencetest.Entry, path string) *evidencetest.Entry {
	t.Helper()
	for i := range all {
		if string(all[i].Path) == path {
			return &all[i]
		}
	}
	t.Fatalf("no %s", path)
	return nil
}

func contentOf(t *testing.T, e *evidencetest.Entry) []byte {
	t.Helper()
	c, err := e.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func list(t *testing.T, img []byte) []evidencetest.Entry {
	t.Helper()
	return evidencetest.List(t, evidencetest.MustOpen(t, open, evidencetest.Source(img)))
}

// TestFeatureContents holds contents against what was written.
func TestFeatureContents(t *testing.T) {
	img := featured(t)
	good := list(t, image(t, fslib))
	readme := contentOf(t, find(t, good, "/README.md"))
	png := evidencetest.Image(t, "fslib/ground_truth/image/alps.png")
	all := list(t, img)
	for path, want := range map[string][]byte{
		"/README.md":                                 readme,
		"/linked.md":                                 readme,
		"/document/linked again.md":                  readme,
		"/folder/file.txt":                           contentOf(t, find(t, good, "/folder/file.txt")),
		"/document/inline.txt":                       text(3000),
		"/document/inline.txt:other":                 []byte("beside"),
		"/document/forked.txt":                       text(200000),
		"/document/large attribute.txt":              text(50000),
		"/document/bitmap.txt:rsrc":                  []byte("not to be read ye"),
		"/image/alps.png":                            png,
		"/image/alps.png:in pieces":                  png,
		"/image/alps.png:the beginning":              png[:4000],
		"/document/and:or":                           nil,
		"/document/\xed\xa0\x80x":                    nil,
		"/document/e\u0301t\u00e9 \U0001f600":        nil,
		"/\x00\x00\x00\x00HFS+ Private Data/iNode64": []byte("unlinked"),
	} {
		e := find(t, all, path)
		if e.Failure != nil || e.Size != int64(len(want)) || e.SHA256 != tutela.SHA256(sha256.Sum256(want)) || e.State != tutela.Allocated {
			t.Errorf("%s: %s", path, e.Line())
		}
	}
	for path, code := range map[string]string{
		"/document/link to nothing":  tutela.FindingDamaged,
		"/document/folder too":       tutela.FindingSpecial,
		"/document/folder nowhere":   tutela.FindingDamaged,
		"/document/bitmap.txt":       tutela.FindingUnsupported,
		"/document/no attribute.txt": tutela.FindingDamaged,
		"/document/null":             tutela.FindingSpecial,
		"/$OrphanFiles/no parent":    tutela.FindingDamaged,
		"/image/alps.png:cut off":    tutela.FindingDamaged,
	} {
		e := find(t, all, path)
		if len(e.Findings) != 1 || e.Findings[0].Code != code || e.Open != nil && e.Failure == nil && e.Size > 0 {
			t.Errorf("%s: %s", path, e.Line())
		}
	}
	for i := range all {
		if p := string(all[i].Path); p == "/document/forked.txt:rsrc" || p == "/document/folder too/file.txt" || bytes.HasSuffix(all[i].Path, []byte("iNode27")) {
			t.Errorf("listed: %s", p)
		}
	}
}

// TestManyLinks: a file under many names claims its blocks once.
func TestManyLinks(t *testing.T) {
	c := newCraft(t, fslib)
	c.add(idPrivateFiles, "iNode46", c.take(idImage, "alps.tiff"))
	for i := range uint32(20) {
		c.add(idImage, fmt.Sprintf("alps%d.tiff", i), hardLink(100+i, 46))
	}
	var found int
	for _, e := range list(t, c.finish()) {
		if e.Size == 4994190 && e.Failure == nil && len(e.Findings) == 0 {
			found++
		}
	}
	if found != 20 {
		t.Errorf("%d of 20 links lead to the file", found)
	}
}

// TestCrowded: files that are not links may not have the same blocks again and
// again.
func TestCrowded(t *testing.T) {
	c := newCraft(t, fslib)
	tiff := c.take(idImage, "alps.tiff")
	for i := range uint32(20) {
		binary.BigEndian.PutUint32(tiff[8:], 100+i)
		c.add(idImage, fmt.Sprintf("alps%d.tiff", i), bytes.Clone(tiff))
	}
	var refused int
	for _, e := range list(t, c.finish()) {
		if e.Failure != nil && e.Findings[0].Code == tutela.FindingLimit {
			refused++
		}
	}
	if refused < 10 {
		t.Errorf("%d of 20 files were refused", refused)
	}
}
