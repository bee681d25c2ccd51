package hfsplus

import (
	"encoding/binary"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

func TestBadBlocks(t *testing.T) {
	c := newCraft(t, fslib)
	x := c.store([]byte("on bad blocks"))
	r := binary.BigEndian.AppendUint32([]byte{0, 10, dataFork, 0}, cnidBadBlocks)
	r = binary.BigEndian.AppendUint32(r, 0)
	f := make([]byte, forkBytes)
	putFork(f, 0, x)
	c.overflow = append(c.overflow, append(r, f[16:]...))
	all := list(t, c.finish())
	if e := find(t, all, "/$BadBlockFile"); e.Size != 4096 || e.Runs[0] != (tutela.Run{Offset: int64(x.first) * 4096, Length: 4096}) {
		t.Errorf("%s", e.Line())
	}
}

// TestStrays: no more deleted files than the volume has blocks.
func TestStrays(t *testing.T) {
	fs := evidencetest.MustOpen(t, open, evidencetest.Source(image(t, dfvfs))).(*FileSystem)
	var got []string
	w := newWalker(fs, evidence.Limits{}, func(e *evidence.Entry) error {
		got = append(got, e.State.String()+" "+string(e.Path))
		return nil
	})
	w.strays.left = 2
	for _, name := range []string{"a", "b", "c", "d"} {
		s := subject{name: []byte(name), dir: w.folders.find(0), found: " somewhere"}
		if err := w.give(&s, item{kind: tutela.File}); err != nil {
			t.Fatal(err)
		}
	}
	if want := "orphan /$OrphanFiles/a, orphan /$OrphanFiles/b, allocated /$OrphanFiles"; strings.Join(got, ", ") != want {
		t.Errorf("%s", got)
	}
}

// TestPlaces: paths that go in circles, or on for ever.
func TestPlaces(t *testing.T) {
	f := newFolders(50)
	f.live[20] = directory{cnidRoot, "one"}
	f.live[21] = directory{20, "two"}
	f.gone[22] = directory{21, "gone"}
	f.live[23] = directory{24, "a"}
	f.live[24] = directory{23, "b"}
	f.live[25] = directory{25, "itself"}
	f.live[26] = directory{99, "no parent"}
	f.live[27] = directory{20, strings.Repeat("long", 20)}
	for cnid, want := range map[uint32]place{
		cnidRoot: {path: "", trust: live},
		21:       {path: "/one/two", trust: live},
		22:       {path: "/one/two/gone", trust: freed},
		26:       {path: orphanFolder + "/no parent", trust: lost},
		0:        {path: orphanFolder, trust: lost},
	} {
		if got := f.find(cnid); got != want {
			t.Errorf("%d: %+v", cnid, got)
		}
	}
	for cnid, code := range map[uint32]string{23: tutela.FindingLoop, 25: tutela.FindingLoop, 27: tutela.FindingLimit} {
		if got := f.find(cnid); got.problem == nil || got.problem.Code != code || got.path != orphanFolder {
			t.Errorf("%d: %+v", cnid, got)
		}
	}
}

func TestNames(t *testing.T) {
	for disk, want := range map[string]string{
		"\x00a\x00/\x00b":  "a:b",
		"\xd8\x3d\xde\x00": "\U0001f600",
		"\xde\x00\xd8\x3d": "\xed\xb8\x80\xed\xa0\xbd",
		"\x00e\x03\x01":    "e\u0301",
		"\x00\x00\x00H":    "\x00H",
		"\xd8\x3d\x00x":    "\xed\xa0\xbdx",
		"\x22\x60\x00\r":   "\u2260\r",
	} {
		if got := string(pathName([]byte(disk))); got != want {
			t.Errorf("%x: %q, want %q", disk, got, want)
		}
	}
}

// TestMapNodes: the map of a tree goes on in nodes of its own.
func TestMapNodes(t *testing.T) {
	const size, nodes = 512, 8
	img := make([]byte, size*nodes)
	head := img[:size]
	head[8] = kindHeader
	binary.BigEndian.PutUint32(head, 3)
	binary.BigEndian.PutUint16(head[10:], 3)
	binary.BigEndian.PutUint16(head[descriptorBytes+18:], size)
	binary.BigEndian.PutUint32(head[descriptorBytes+22:], nodes)
	for i, at := range []uint16{14, 120, 248, 249} {
		binary.BigEndian.PutUint16(head[size-2*(i+1):], at)
	}
	head[248] = 0xa0
	second := img[3*size:][:size]
	second[8] = kindMap
	binary.BigEndian.PutUint32(second, 3) // back to itself
	binary.BigEndian.PutUint16(second[10:], 1)
	binary.BigEndian.PutUint16(second[size-2:], 14)
	binary.BigEndian.PutUint16(second[size-4:], 16)
	second[14] = 0x80
	file := evidence.NewExtents(evidencetest.Source(img), []evidence.Extent{{Offset: 0, Length: size * nodes}}, size*nodes)
	tr, err := openTree("test", file, file)
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range map[uint32]bool{0: true, 1: false, 2: true, 3: false, 8: true, 9: false} {
		if tr.inUse(n) != want {
			t.Errorf("node %d: in use: %t", n, !want)
		}
	}
}
