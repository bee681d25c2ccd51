package apfs

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidencetest"
)

// noise is n bytes that are alike in every run.
func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// rich is a container that holds one of everything, and the rows of what must be
// found: allocated, then gone.
func rich(blockSize, blocks int, shape func(c *craft)) (c *craft, live, gone []string) {
	c = newCraft(blockSize, blocks)
	if shape != nil {
		shape(c)
	}
	row := func(path string, b []byte) string {
		return fmt.Sprintf("%s\t%d\t%x", path, len(b), sha256.Sum256(b))
	}
	has := func(path string, b []byte) { live = append(live, row(path, b)) }
	v := c.volume("Rich", volumeCaseInsensitive)
	v.mounted = c.mounted
	if c.sealed {
		v.incompatible |= volumeSealed
	}

	album := v.directory(inodeRoot, "Album")
	deep := v.directory(album, "déjà vu")
	big := noise(1, 9*blockSize+17)
	blocksOfBig := c.data(big, 2)
	v.fileAt(c, deep, "in pieces.jpg", len(big), blocksOfBig)
	has("Album/déjà vu/in pieces.jpg", big)

	clone := v.new() // the same blocks, under another stream
	stream := v.new()
	at(v.inode(clone, album, "clone.jpg", modeFile, field(fieldStream, dataStream(len(big), 10*blockSize))), 8, stream)
	v.link(album, "clone.jpg", clone, modeFile)
	v.extents(c, stream, blocksOfBig)
	has("Album/clone.jpg", big)

	sparse := make([]byte, 6*blockSize-5)
	end := noise(2, 2*blockSize)
	copy(sparse[4*blockSize:], end)
	v.fileAt(c, inodeRoot, "sparse", len(sparse), append([]uint64{0, 0, 0, 0}, c.data(end, 9999)...))
	has("sparse", sparse)

	v.fileAt(c, inodeRoot, "empty", 0, nil)
	has("empty", nil)

	twice := v.file(c, album, "one name", []byte("two names, one file"))
	v.link(inodeRoot, "another name", twice, modeFile)
	has("Album/one name", []byte("two names, one file"))
	has("another name", []byte("two names, one file"))

	link := v.new()
	v.inode(link, inodeRoot, "link", modeLink)
	v.link(inodeRoot, "link", link, modeLink)
	v.small(link, attributeLink, []byte("Album/one name\x00"))
	for _, mode := range []uint16{modeSocket, modePipe} {
		oid, name := v.new(), map[uint16]string{modeSocket: "socket", modePipe: "pipe"}[mode]
		v.inode(oid, inodeRoot, name, mode)
		v.link(inodeRoot, name, oid, mode)
	}
	device := v.new()
	v.inode(device, inodeRoot, "disk", modeBlock, field(fieldDevice, put(uint32(1<<24|4))))
	v.link(inodeRoot, "disk", device, modeBlock)

	forked := v.file(c, inodeRoot, "forked", []byte("data fork"))
	v.large(c, forked, attributeFork, big[:5000])
	v.large(c, forked, "org.example.long", big[:4097])
	v.small(forked, "org.example.short", []byte("short"))
	v.small(album, "org.example.folder", []byte("on a folder"))
	v.small(inodeRoot, "org.example.root", []byte("on the volume"))
	has(":org.example.root", []byte("on the volume"))
	has("forked", []byte("data fork"))
	has("forked:rsrc", big[:5000])
	has("forked:org.example.long", big[:4097])
	has("forked:org.example.short", []byte("short"))
	has("Album:org.example.folder", []byte("on a folder"))

	plain := bytes.Repeat([]byte("packed "), 9000)
	packInline(v, "packed small", plain)
	has("packed small", plain)
	packInFork(c, v, "packed large", big)
	has("packed large", big)

	inStream := v.new()
	at(v.inode(inStream, inodeRoot, "packed in a stream", modeFile), 68, uint32(bsdCompressed))
	v.link(inodeRoot, "packed in a stream", inStream, modeFile)
	v.large(c, inStream, "com.apple.decmpfs", put("fpmc", uint32(9), uint64(5000), uint8(0xcc), big[:5000]))
	has("packed in a stream", big[:5000])

	own := v.new()
	at(v.inode(own, inodeRoot, "own", modeFile, field(fieldStream, dataStream(7, blockSize))), 48, uint64(flagPrivate))
	v.extents(c, own, c.data([]byte("private"), 999))
	gone = append(gone, row("$OrphanFiles/own", []byte("private")))

	for i := range 40 {
		content := noise(byte(10+i), i*200)
		v.file(c, album, fmt.Sprintf("file %02d", i), content)
		has(fmt.Sprintf("Album/file %02d", i), content)
	}

	open := v.new()
	v.inode(open, inodePrivate, "open-dead", modeFile, field(fieldStream, dataStream(11, blockSize)))
	v.link(inodePrivate, "open-dead", open, modeFile)
	v.extents(c, open, c.data([]byte("still open\n"), 999))
	gone = append(gone, row("$OrphanFiles/open-dead", []byte("still open\n")))

	kept := v.file(c, inodeRoot, "in a snapshot.png", big[:2222])
	gone = append(gone, row("in a snapshot.png", big[:2222]))
	edited := v.file(c, inodeRoot, "edited.txt", []byte("before"))
	gone = append(gone, row("edited.txt", []byte("before")))
	c.commit()
	c.snapshot(v, "before lunch")

	lost := v.directory(album, "lost")
	ghost := v.file(c, lost, "deleted.png", big[:3000])
	gone = append(gone, row("Album/lost/deleted.png", big[:3000]))
	waiting := v.file(c, album, "just deleted.png", big[:7000])
	gone = append(gone, row("Album/just deleted.png", big[:7000]))
	first := c.next
	over := v.file(c, album, "overwritten.png", big[:12000])

	for i := range 30 { // what is taken away is not what was added last
		v.file(c, album, fmt.Sprintf("later %02d", i), noise(byte(i), 100))
		has(fmt.Sprintf("Album/later %02d", i), noise(byte(i), 100))
	}
	c.commit()
	v.records = slices.DeleteFunc(v.records, func(r craftRecord) bool { // the snapshot keeps the blocks
		oid := identifier(r.key)[0]
		return oid == kept || oid == edited || identifier(r.key)[1] == recordEntry && slices.Contains([]uint64{kept, edited}, little.Uint64(r.value))
	})
	v.inode(edited, inodeRoot, "edited.txt", modeFile, field(fieldStream, dataStream(15, blockSize)))
	v.link(inodeRoot, "edited.txt", edited, modeFile)
	v.extents(c, edited, c.data([]byte("after lunchtime"), 999))
	has("edited.txt", []byte("after lunchtime"))
	c.commit()

	v.remove(c, ghost, false)
	v.remove(c, lost, false)
	v.remove(c, waiting, true)
	v.remove(c, over, false)
	first, c.next = c.next, first
	v.file(c, inodeRoot, "on top of it", noise(99, blockSize))
	c.next = first
	has("on top of it", noise(99, blockSize))
	c.commit()
	return c, live, gone
}

// pack records a compressed file.
func pack(v *craftVolume, name string, method uint32, size int, rest []byte) uint64 {
	oid := v.new()
	b := v.inode(oid, inodeRoot, name, modeFile)
	at(b, 68, uint32(bsdCompressed))
	v.link(inodeRoot, name, oid, modeFile)
	v.small(oid, "com.apple.decmpfs", put("fpmc", method, uint64(size), rest))
	return oid
}

func packInline(v *craftVolume, name string, content []byte) {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	z.Write(content)
	z.Close()
	pack(v, name, 3, len(content), b.Bytes())
}

// packInFork keeps chunks of 64 KiB in the resource fork, as they are.
func packInFork(c *craft, v *craftVolume, name string, content []byte) uint64 {
	oid := pack(v, name, 10, len(content), nil)
	chunks := slices.Collect(slices.Chunk(content, 64<<10))
	offset := uint32(4 * (len(chunks) + 1))
	var table, data []byte
	for _, chunk := range chunks {
		table = put(table, offset+uint32(len(data)))
		data = put(data, uint8(0xcc), chunk)
	}
	table = put(table, offset+uint32(len(data)))
	v.large(c, oid, attributeFork, put(table, data))
	return oid
}

// expectRows holds what is found against rows: all live ones and no others, and
// all gone ones.
func expectRows(t *testing.T, image []byte, live, gone []string) []evidencetest.Entry {
	t.Helper()
	src := evidencetest.Source(image)
	all := evidencetest.List(t, evidencetest.MustOpen(t, opener, src))
	evidencetest.InPlace(t, src, all)
	allocated, deleted := evidencetest.Rows(all, tutela.Allocated), evidencetest.Rows(all, evidencetest.Deleted...)
	for _, r := range live {
		if !allocated[r] {
			t.Errorf("missing: %s", r)
		}
		delete(allocated, r)
	}
	for _, r := range gone {
		if !deleted[r] {
			t.Errorf("missing among the deleted: %s", r)
		}
		delete(deleted, r)
	}
	for r := range allocated {
		t.Errorf("not on the image: %s", r)
	}
	for r := range deleted {
		t.Errorf("never deleted: %s", r)
	}
	return all
}

func TestRich(t *testing.T) {
	for name, shape := range map[string]func(c *craft){
		"plain":                  nil,
		"wide nodes":             func(c *craft) { c.perNode = 30 },
		"deep tree":              func(c *craft) { c.perNode = 3 },
		"lists of chunks":        func(c *craft) { c.lists = true },
		"area in several pieces": func(c *craft) { c.areaTree = true },
	} {
		t.Run(name, func(t *testing.T) {
			c, live, gone := rich(4096, 2500, shape)
			expectRows(t, c.img, live, gone)
		})
	}
	for _, size := range []int{8192, 65536} {
		t.Run(fmt.Sprint("blocks of ", size), func(t *testing.T) {
			c, live, gone := rich(size, 1500, nil)
			expectRows(t, c.img, live, gone)
		})
	}
}

func TestRichGolden(t *testing.T) {
	c, _, _ := rich(4096, 2500, nil)
	if name := os.Getenv("TUTELA_APFS_IMAGE"); name != "" { // for a look with other programs
		if err := os.WriteFile(name, c.img, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	evidencetest.Golden(t, "rich", opener, c.img)
}

// line is the first entry of a path as the golden files write it.
func line(all []evidencetest.Entry, path string) string {
	for i := range all {
		if string(all[i].Path) == path {
			return all[i].Line()
		}
	}
	return "no " + path
}

func expectLine(t *testing.T, all []evidencetest.Entry, path string, parts ...string) {
	t.Helper()
	got := line(all, path)
	for _, p := range parts {
		if !strings.Contains(got, p) {
			t.Errorf("%s: no %q in %q", path, p, got)
		}
	}
}
