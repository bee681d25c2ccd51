package hfsplus

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidencetest"
)

// deleted are the entries of deleted files, by path.
func deleted(t *testing.T, img []byte) map[string]evidencetest.Entry {
	t.Helper()
	found := map[string]evidencetest.Entry{}
	for _, e := range list(t, img) {
		if e.State != tutela.Allocated {
			found[string(e.Path)] = e
		}
	}
	return found
}

// TestDeletedInJournal deletes files of fslib's image, whose journal still holds
// the leaves as they were.
func TestDeletedInJournal(t *testing.T) {
	c := newCraft(t, fslib)
	jpg := parseFork(c.take(idImage, "alps.jpg")[88:])
	tiff := parseFork(c.take(idImage, "alps.tiff")[88:])
	c.setBits(jpg.extents[0], false)
	c.setBits(tiff.extents[0], false)
	c.setBits(blocks{tiff.extents[0].first + 7, 2}, true)
	found := deleted(t, c.finish())
	if len(found) != 2 {
		t.Errorf("%d deleted files", len(found))
	}
	good := rowOf(t, "image/alps.jpg")
	if e := found["/image/alps.jpg"]; e.Row() != good || len(e.Findings) != 0 || e.State != tutela.Deleted || !strings.Contains(e.Chain[0].At, "(journal)") {
		t.Errorf("want %s, have %s", good, e.Line())
	}
	e := found["/image/alps.tiff"]
	if len(e.Findings) != 1 || e.Findings[0].String() != "overwritten: 2 of 1220 blocks belong to something else now" {
		t.Errorf("half overwritten: %s", e.Line())
	}
}

func rowOf(t *testing.T, path string) string {
	t.Helper()
	for _, row := range evidencetest.GroundTruth(t) {
		if strings.HasPrefix(row, path+"\t") {
			return row
		}
	}
	t.Fatalf("no %s in the ground truth", path)
	return ""
}

// IDs of dfvfs' image, which has no journal.
const idADirectory = 18

func (c *craft) node(number int) []byte {
	tr := c.fs.catalog
	return c.img[tr.place(uint32(number), 0):][:tr.size]
}

// leave puts old records into the free space of the last leaf.
func (c *craft) leave(records ...[]byte) {
	leaf := c.node(int(binary.BigEndian.Uint32(c.node(0)[descriptorBytes+14:])))
	n := int(binary.BigEndian.Uint16(leaf[10:]))
	at := int(binary.BigEndian.Uint16(leaf[len(leaf)-2*(n+1):]))
	for _, r := range records {
		if at+len(r) > len(leaf)-2*(n+1) {
			c.t.Fatal("no room for an old record")
		}
		at += copy(leaf[at:], r)
	}
}

// leaveNode makes a free node look like the leaf it was.
func (c *craft) leaveNode(number int, records ...[]byte) {
	leaf := c.node(number)
	leaf[8], leaf[9] = 0xff, 1
	copy(leaf[descriptorBytes:], bytes.Join(records, nil))
}

func oldFile(parent, cnid uint32, name string, size int, x blocks) []byte {
	return catalogRecord(parent, units(name), newFile(cnid, func(b []byte) { putFork(b[88:], size, x) }))
}

func oldFolder(parent, cnid uint32, name string) []byte {
	b := make([]byte, folderBytes)
	b[1] = recordFolder
	binary.BigEndian.PutUint32(b[8:], cnid)
	return catalogRecord(parent, units(name), b)
}

func TestDeletedInSlack(t *testing.T) {
	c := newCraft(t, dfvfs)
	first := c.store([]byte("the first content"))
	second := c.store([]byte("the second content"))
	third := c.store([]byte("the third content"))
	for _, x := range []blocks{first, second, third} {
		c.setBits(x, false)
	}
	c.finish()
	free := blocks{third.first - 3, 3}
	c.leave(
		oldFile(idADirectory, 100, "one", 9, first),  // while it grew
		oldFile(idADirectory, 100, "one", 17, first), // the whole of it
	)
	c.leaveNode(6,
		oldFile(idADirectory, 19, "renamed since", 17, first),
		oldFolder(idADirectory, 101, "gone"),
		oldFile(101, 102, "two", 18, second),
		oldFile(555, 103, "three", 17, third),
	)
	c.leaveNode(7,
		oldFile(idADirectory, 110, "older", 4000, free),
		oldFile(idADirectory, 111, "younger", 4000, free),
		oldFile(idADirectory, 112, "empty", 0, blocks{}),
		oldFile(idADirectory, 113, "too large", 5000, blocks{5, 1}),
		oldFile(idADirectory, 114, "outside", 5000, blocks{1 << 30, 2}),
		oldFile(idADirectory, 115, "in use", 100, blocks{1, 1}),
	)
	found := deleted(t, c.img)
	for path, want := range map[string]struct {
		content string
		state   tutela.State
	}{
		"/a_directory/one":      {"the first content", tutela.Deleted},
		"/a_directory/gone/two": {"the second content", tutela.Deleted},
		"/$OrphanFiles/three":   {"the third content", tutela.Orphan},
	} {
		e, ok := found[path]
		if !ok || string(contentOf(t, &e)) != want.content || e.State != want.state || len(e.Findings) != 0 {
			t.Errorf("%s: %t, %+v", path, ok, e)
		}
		delete(found, path)
	}
	for path, want := range map[string]string{
		"/a_directory/older":   "[overwritten: a younger deleted file had some of its blocks]",
		"/a_directory/younger": "[]",
		"/a_directory/in use":  "[overwritten: 1 of 1 blocks belong to something else now]",
	} {
		e, ok := found[path]
		if got := findings(&e); !ok || got != want {
			t.Errorf("%s: %s", path, got)
		}
		delete(found, path)
	}
	for path := range found {
		t.Errorf("found: %s", path)
	}
}

func findings(e *evidencetest.Entry) string {
	all := make([]string, len(e.Findings))
	for i, f := range e.Findings {
		all[i] = f.String()
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// TestDeletedBytes: deleted files cannot claim more than the limit.
func TestDeletedBytes(t *testing.T) {
	c := newCraft(t, dfvfs)
	c.finish()
	most := int(c.fs.header.bytes()) - 4096*8
	x := blocks{4, uint32(most / 4096)}
	c.leaveNode(7,
		oldFile(idADirectory, 100, "a", most, x), oldFile(idADirectory, 101, "b", most, x), oldFile(idADirectory, 102, "c", most, x),
	)
	e := deleted(t, c.img)["/a_directory/c"]
	if e.Failure == nil || !strings.Contains(findings(&e), tutela.FindingLimit) {
		t.Errorf("the third: %s", e.Line())
	}
}
