package archive_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"unicode/utf16"

	"tutela/internal/evidence"
	"tutela/internal/evidence/archive"
	"tutela/internal/evidencetest"
)

// members is an archive as a file system of its members, for the tests that all
// readers share. What mend makes of the bytes first, such as right checksums,
// lets damage reach what stands behind them.
type members struct {
	src  evidence.Source
	keys evidence.Keys
}

func openMembers(mend func([]byte) []byte, keys evidence.Keys) evidencetest.Open {
	return func(src evidence.Source) (evidence.FileSystem, error) {
		b := make([]byte, src.Size())
		if _, err := src.ReadAt(b, 0); err != nil && len(b) > 0 {
			b = b[:0]
		}
		if mend != nil {
			b = mend(b)
		}
		if archive.Detect(b[:min(len(b), archive.HeadBytes)]) == "" {
			return nil, evidence.ErrNotThis
		}
		return members{evidencetest.Source(b), keys}, nil
	}
}

func (m members) Walk(ctx context.Context, limits evidence.Limits, visit func(*evidence.Entry) error) error {
	limits.EntriesPerRoot, limits.ExpandedBytes = 2000, 64<<20
	x := archive.New(archive.Options{Limits: limits, Spool: &memorySpool{}, Keys: m.keys})
	err := x.Expand(ctx, rootEntry("r"), m.src, m.src.Size(), visit)
	if errors.Is(err, evidence.ErrNotThis) {
		return nil // what Detect took for an archive was cut
	}
	return err
}

// mendSeven sets the checksums of a 7z file's two headers.
func mendSeven(b []byte) []byte {
	if len(b) < 32 {
		return b
	}
	offset, size := binary.LittleEndian.Uint64(b[12:]), binary.LittleEndian.Uint64(b[20:])
	if end := offset + size; end >= offset && end <= uint64(len(b)-32) {
		binary.LittleEndian.PutUint32(b[28:], crc32.ChecksumIEEE(b[32+offset:][:size]))
	}
	binary.LittleEndian.PutUint32(b[8:], crc32.ChecksumIEEE(b[12:32]))
	return b
}

// mendRAR sets the checksums of the block headers of a RAR file.
func mendRAR(b []byte) []byte {
	switch {
	case bytes.HasPrefix(b, []byte("Rar!\x1a\x07\x00")):
		for at := 7; at+7 <= len(b); {
			size := int(binary.LittleEndian.Uint16(b[at+5:]))
			if size < 7 || at+size > len(b) {
				break
			}
			binary.LittleEndian.PutUint16(b[at:], uint16(crc32.ChecksumIEEE(b[at+2:at+size])))
			if binary.LittleEndian.Uint16(b[at+3:])&0x8000 != 0 && size >= 11 {
				size += int(binary.LittleEndian.Uint32(b[at+7:]))
			}
			at += size
		}
	case bytes.HasPrefix(b, []byte("Rar!\x1a\x07\x01\x00")):
		for at := 8; at+7 <= len(b); {
			size, width := binary.Uvarint(b[at+4:])
			if width <= 0 || size > uint64(len(b)-at-4-width) {
				break
			}
			end := at + 4 + width + int(size)
			binary.LittleEndian.PutUint32(b[at:], crc32.ChecksumIEEE(b[at+4:end]))
			_, kind := binary.Uvarint(b[at+4+width:])
			flags, n := binary.Uvarint(b[at+4+width+max(kind, 0):])
			if at = end; flags&2 == 0 || n <= 0 {
				continue
			}
			break // one file is enough
		}
	}
	return b
}

// rar4File writes a RAR 4 file with one stored member for each file; flags are
// added to those of each.
func rar4File(mainFlags, fileFlags uint16, files ...file) []byte {
	block := func(kind byte, flags uint16, body, data []byte) []byte {
		h := binary.LittleEndian.AppendUint16([]byte{0, 0, kind}, flags)
		h = append(binary.LittleEndian.AppendUint16(h, uint16(7+len(body))), body...)
		binary.LittleEndian.PutUint16(h, uint16(crc32.ChecksumIEEE(h[2:])))
		return append(h, data...)
	}
	out := append([]byte("Rar!\x1a\x07\x00"), block(0x73, mainFlags, make([]byte, 6), nil)...)
	for _, f := range files {
		var b []byte
		b = binary.LittleEndian.AppendUint32(b, uint32(len(f.content)))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(f.content)))
		b = append(b, 2) // Windows
		b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE([]byte(f.content)))
		b = binary.LittleEndian.AppendUint32(b, 0x58439085) // 2024-02-03 18:04:10
		b = append(b, 20, 0x30)
		b = binary.LittleEndian.AppendUint16(b, uint16(len(f.name)))
		b = append(binary.LittleEndian.AppendUint32(b, 0x20), f.name...)
		out = append(out, block(0x74, 0x8000|fileFlags, b, []byte(f.content))...)
	}
	return append(out, block(0x7b, 0, nil, nil)...)
}

// rar5File writes a RAR 5 file with one member for each file, stored unless
// compression says otherwise.
func rar5File(mainFlags, headerFlags, compression uint64, files ...file) []byte {
	block := func(kind, flags uint64, body, data []byte) []byte {
		h := binary.AppendUvarint(nil, kind)
		h = binary.AppendUvarint(h, flags)
		if flags&2 != 0 {
			h = binary.AppendUvarint(h, uint64(len(data)))
		}
		h = append(h, body...)
		h = append(binary.AppendUvarint(nil, uint64(len(h))), h...)
		return slices.Concat(binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(h)), h, data)
	}
	out := append([]byte("Rar!\x1a\x07\x01\x00"), block(1, 0, binary.AppendUvarint(nil, mainFlags), nil)...)
	for _, f := range files {
		b := binary.AppendUvarint(nil, 2|4) // time and CRC
		b = binary.AppendUvarint(b, uint64(len(f.content)))
		b = binary.AppendUvarint(b, 0x20)
		b = binary.LittleEndian.AppendUint32(b, 1706983450)
		b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE([]byte(f.content)))
		b = binary.AppendUvarint(b, compression)
		b = binary.AppendUvarint(b, 0)
		b = append(binary.AppendUvarint(b, uint64(len(f.name))), f.name...)
		out = append(out, block(2, 2|headerFlags, b, []byte(f.content))...)
	}
	return append(out, block(5, 0, []byte{0}, nil)...)
}

// compoundFile writes a compound file of version 3 whose streams stand at the
// root, or in the storages that a slash in their names calls for.
func compoundFile(files ...file) []byte {
	const sector = 512
	type entry struct {
		name        string
		kind        byte
		child, next uint32
		start, size uint32
	}
	const none = 0xffffffff
	entries := []entry{{name: "Root Entry", kind: 5, child: none, next: none}}
	add := func(parent int, e entry) int {
		e.next, entries[parent].child = entries[parent].child, uint32(len(entries))
		entries = append(entries, e)
		return len(entries) - 1
	}
	storages := map[string]int{}
	var mini, big []byte
	var miniFAT, fat []uint32
	chain := func(table []uint32, n int) []uint32 {
		for i := range n {
			next := uint32(len(table) + 1)
			if i == n-1 {
				next = 0xfffffffe
			}
			table = append(table, next)
		}
		return table
	}
	pad := func(b []byte, to int) []byte { return append(b, make([]byte, (to-len(b)%to)%to)...) }
	for _, f := range files {
		parent := 0
		dir, base := filepath.Split(f.name)
		if dir != "" {
			if _, ok := storages[dir]; !ok {
				storages[dir] = add(0, entry{name: filepath.Clean(dir), kind: 1, child: none})
			}
			parent = storages[dir]
		}
		e := entry{name: base, kind: 2, child: none, size: uint32(len(f.content))}
		if len(f.content) < 4096 {
			e.start = uint32(len(miniFAT))
			mini = pad(append(mini, f.content...), 64)
			miniFAT = chain(miniFAT, (len(f.content)+63)/64)
		} else {
			e.start = uint32(len(fat))
			big = pad(append(big, f.content...), sector)
			fat = chain(fat, (len(f.content)+sector-1)/sector)
		}
		add(parent, e)
	}
	place := func(b []byte) uint32 {
		at := uint32(len(fat))
		if len(b) == 0 {
			return 0xfffffffe
		}
		big = pad(append(big, b...), sector)
		fat = chain(fat, (len(b)+sector-1)/sector)
		return at
	}
	entries[0].start, entries[0].size = place(mini), uint32(len(mini))
	miniTable := place(numbers(miniFAT, sector))
	var directory []byte
	for _, e := range entries {
		d := make([]byte, 128)
		units := utf16.Encode([]rune(e.name))
		for i, u := range units {
			binary.LittleEndian.PutUint16(d[2*i:], u)
		}
		binary.LittleEndian.PutUint16(d[64:], uint16(2*len(units)+2))
		d[66] = e.kind
		binary.LittleEndian.PutUint32(d[68:], none)
		binary.LittleEndian.PutUint32(d[72:], e.next)
		binary.LittleEndian.PutUint32(d[76:], e.child)
		binary.LittleEndian.PutUint32(d[116:], e.start)
		binary.LittleEndian.PutUint32(d[120:], e.size)
		directory = append(directory, d...)
	}
	first := place(directory)
	tables := (len(fat)+sector/4)/(sector/4-1) + 1
	h := make([]byte, sector)
	copy(h, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
	for at, v := range map[int]uint16{24: 0x3e, 26: 3, 28: 0xfffe, 30: 9, 32: 6} {
		binary.LittleEndian.PutUint16(h[at:], v)
	}
	for i := range 109 {
		binary.LittleEndian.PutUint32(h[76+4*i:], none)
	}
	for i := range tables {
		binary.LittleEndian.PutUint32(h[76+4*i:], uint32(len(fat)))
		fat = append(fat, 0xfffffffd)
	}
	for at, v := range map[int]uint32{44: uint32(tables), 48: first, 56: 4096, 60: miniTable, 68: 0xfffffffe} {
		binary.LittleEndian.PutUint32(h[at:], v)
	}
	return slices.Concat(h, big, numbers(fat, sector*tables))
}

// numbers writes a table, with free ones up to a size in bytes.
func numbers(table []uint32, to int) (b []byte) {
	for _, n := range table {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	for len(b) == 0 || len(b)%to != 0 {
		b = binary.LittleEndian.AppendUint32(b, 0xffffffff)
	}
	return b
}

// utf16le is a text as Windows writes it.
func utf16le(s string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return string(b)
}

// thumbcacheFile writes a cache of Windows 10 with one picture for each file.
func thumbcacheFile(files ...file) []byte {
	b := []byte("CMMM\x20\x00\x00\x00\x03\x00\x00\x00\x18\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	for i, f := range files {
		name := utf16le(f.name)
		e := binary.LittleEndian.AppendUint32([]byte("CMMM"), uint32(56+len(name)+2+len(f.content)))
		e = binary.LittleEndian.AppendUint64(e, 0x1122334455667788+uint64(i))
		for _, v := range []int{len(name), 2, len(f.content), 0, 0, 0} {
			e = binary.LittleEndian.AppendUint32(e, uint32(v))
		}
		e = append(e, make([]byte, 16)...)
		b = slices.Concat(b, e, []byte(name), []byte{0, 0}, []byte(f.content))
	}
	return b
}

func readTestdata(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
