package demo

import (
	"encoding/binary"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// isoSector is the logical sector and block of ISO 9660 (ECMA-119, 6.1.2).
const isoSector = 2048

// Sectors of what stands before the directories.
const (
	isoDescriptor = 16
	isoTerminator = 17
	isoPathTableL = 18
	isoPathTableM = 19
	isoContents   = 20
)

// isoNode is a directory or a file.
type isoNode struct {
	name     string // Rock Ridge; ISO 9660 itself knows a number only
	id       string
	number   int // directories, in the order of the path table, from 1
	parent   *isoNode
	children []*isoNode // directories only
	dir      bool
	content  []byte
	sector   int64
	size     int64 // bytes
}

// isoVolume is a disc in the making: directories in the order of the path
// table, which is breadth first, then files.
type isoVolume struct {
	label string
	dirs  []*isoNode
	files []*isoNode
	end   int64 // sectors
}

// writeISO writes an ISO 9660 volume of at most size bytes whose names are Rock
// Ridge's. Identifiers are numbers: they need no rules for clashes and sort by
// themselves.
func writeISO(w io.WriterAt, size int64, label string, files []file) error {
	v := &isoVolume{label: label, dirs: []*isoNode{{id: "\x00", number: 1, dir: true}}}
	v.dirs[0].parent = v.dirs[0]
	v.grow(files)
	v.layOut()
	if v.end*isoSector > size {
		return fmt.Errorf("%d sectors do not fit into %d bytes", v.end, size)
	}
	return v.write(w)
}

// grow makes the tree, outer directories first.
func (v *isoVolume) grow(files []file) {
	var folders []string
	for _, f := range files {
		for dir := path.Dir(f.path); dir != "/"; dir = path.Dir(dir) {
			folders = append(folders, dir)
		}
	}
	slices.SortFunc(folders, func(a, b string) int {
		if d := strings.Count(a, "/") - strings.Count(b, "/"); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	byPath := map[string]*isoNode{"/": v.dirs[0]}
	for _, dir := range slices.Compact(folders) {
		n := &isoNode{dir: true, number: len(v.dirs) + 1, id: fmt.Sprintf("D%07d", len(v.dirs))}
		byPath[dir] = n.hang(byPath[path.Dir(dir)], path.Base(dir))
		v.dirs = append(v.dirs, n)
	}
	for i, f := range files {
		n := &isoNode{content: f.content, id: fmt.Sprintf("F%07d.;1", i)}
		v.files = append(v.files, n.hang(byPath[path.Dir(f.path)], path.Base(f.path)))
	}
}

// hang puts n into its parent under a name. Directories come before files, in
// the order of their numbers, which is the order of their identifiers.
func (n *isoNode) hang(parent *isoNode, name string) *isoNode {
	n.name, n.parent = name, parent
	parent.children = append(parent.children, n)
	return n
}

// layOut gives everything its place.
func (v *isoVolume) layOut() {
	v.end = isoContents
	for _, d := range v.dirs {
		d.size = int64(len(d.records()))
		v.place(d)
	}
	for _, f := range v.files {
		f.size = int64(len(f.content))
		v.place(f)
	}
}

func (v *isoVolume) place(n *isoNode) {
	n.sector = v.end
	v.end += (n.size + isoSector - 1) / isoSector
}

func (v *isoVolume) write(w io.WriterAt) error {
	pieces := map[int64][]byte{
		isoDescriptor: v.descriptor(),
		isoTerminator: []byte("\xffCD001\x01"),
		isoPathTableL: v.pathTable(binary.LittleEndian),
		isoPathTableM: v.pathTable(binary.BigEndian),
	}
	for _, d := range v.dirs {
		pieces[d.sector] = d.records()
	}
	for _, f := range v.files {
		if len(f.content) > 0 {
			pieces[f.sector] = f.content
		}
	}
	for sector, piece := range pieces {
		if _, err := w.WriteAt(piece, sector*isoSector); err != nil {
			return fmt.Errorf("sector %d: %w", sector, err)
		}
	}
	return nil
}

// descriptor is the primary volume descriptor (8.4). Text that is not told is
// spaces, times that are not told are digits zero.
func (v *isoVolume) descriptor() []byte {
	b := make([]byte, isoSector)
	copy(b, "\x01CD001\x01")
	text := func(from, to int, s string) { copy(b[from:to], s+strings.Repeat(" ", to-from)) }
	text(8, 40, "")
	text(40, 72, v.label)
	putBoth32(b[80:], uint32(v.end))
	putBoth16(b[120:], 1)
	putBoth16(b[124:], 1)
	putBoth16(b[128:], isoSector)
	putBoth32(b[132:], uint32(len(v.pathTable(binary.LittleEndian))))
	binary.LittleEndian.PutUint32(b[140:], isoPathTableL)
	binary.BigEndian.PutUint32(b[148:], isoPathTableM)
	copy(b[156:190], v.dirs[0].record("\x00", nil))
	text(190, 813, "")
	for i := range 4 {
		copy(b[813+17*i:], "0000000000000000\x00")
	}
	copy(b[813:], drawnAt().Format("20060102150405")+"00")
	b[881] = 1
	return b
}

// pathTable lists the directories (9.4).
func (v *isoVolume) pathTable(order binary.AppendByteOrder) []byte {
	var b []byte
	for _, d := range v.dirs {
		b = append(b, byte(len(d.id)), 0)
		b = order.AppendUint32(b, uint32(d.sector))
		b = order.AppendUint16(b, uint16(d.parent.number))
		b = padded(append(b, d.id...), 2)
	}
	return b
}

// records is a directory's content: itself, its parent and its children. No
// record crosses the end of a sector (6.8.1.1).
func (n *isoNode) records() []byte {
	b := n.record("\x00", n.rockRidge())
	b = append(b, n.parent.record("\x01", posixMode(n.parent))...)
	for _, child := range n.children {
		r := child.record(child.id, append(posixMode(child), alternateName(child.name)...))
		if len(b)%isoSector+len(r) > isoSector {
			b = padded(b, isoSector)
		}
		b = append(b, r...)
	}
	return padded(b, isoSector)
}

// record is one directory record (9.1) with a system use area.
func (n *isoNode) record(id string, use []byte) []byte {
	b := make([]byte, 33, 256)
	putBoth32(b[2:], uint32(n.sector))
	putBoth32(b[10:], uint32(n.size))
	t := drawnAt()
	copy(b[18:], []byte{byte(t.Year() - 1900), byte(t.Month()), byte(t.Day()), byte(t.Hour()), byte(t.Minute()), byte(t.Second())})
	if n.dir {
		b[25] = 2
	}
	putBoth16(b[28:], 1)
	b[32] = byte(len(id))
	b = padded(append(b, id...), 2)
	b = padded(append(b, use...), 2)
	b[0] = byte(len(b))
	return b
}

// putBoth32 writes a number in both byte orders (7.3.3).
func putBoth32(b []byte, n uint32) {
	binary.LittleEndian.PutUint32(b, n)
	binary.BigEndian.PutUint32(b[4:], n)
}

// putBoth16 is the same for 16 bits (7.2.3).
func putBoth16(b []byte, n uint16) {
	binary.LittleEndian.PutUint16(b, n)
	binary.BigEndian.PutUint16(b[2:], n)
}
