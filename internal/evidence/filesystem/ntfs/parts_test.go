package ntfs

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"testing"

	"tutela"
	"tutela/internal/evidence"
)

// part is a piece of a $DATA: clusters low to high, with their runs.
func part(t *testing.T, low, high int64, size uint64, runs ...byte) attribute {
	t.Helper()
	_, a, err := parseAttribute(dataAttribute(low, high, size, append(runs, 0)))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestAssemble joins parts of a content and reads it: the bytes that have a run,
// and an error at the first that has none.
func TestAssemble(t *testing.T) {
	img := image(t, "tiny.ntfs")
	fs := mustOpen(t, img)
	cluster := func(n, count int) []byte { return img[n*512 : (n+count)*512] }
	first := part(t, 0, 1, 6*512, 0x11, 2, 100)
	for name, c := range map[string]struct {
		parts    []attribute
		readable []byte
		sound    bool
	}{
		"whole":         {[]attribute{first, part(t, 2, 5, 0, 0x11, 4, 90)}, append(bytes.Clone(cluster(100, 2)), cluster(90, 4)...), true},
		"second absent": {[]attribute{first}, cluster(100, 2), false},
		"gap":           {[]attribute{first, part(t, 3, 5, 0, 0x11, 3, 90)}, cluster(100, 2), false},
		"overlap":       {[]attribute{first, part(t, 1, 5, 0, 0x11, 5, 90)}, cluster(100, 2), false},
		"first absent":  {[]attribute{part(t, 2, 5, 0, 0x11, 4, 90)}, nil, false},
	} {
		s, problems := fs.assemble(c.parts)
		if (len(problems) == 0) != c.sound {
			t.Errorf("%s: %v", name, problems)
		}
		r, err := s.open()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if !bytes.Equal(got, c.readable) || (err == nil) != c.sound {
			t.Errorf("%s: %d bytes, then %v", name, len(got), err)
		}
	}
}

// TestCompressedUnits spoils a compressed content: what comes before the spoilt
// unit is read, then comes an error.
func TestCompressedUnits(t *testing.T) {
	img, all := linux(t)
	const unit = unitClusters * 512
	for name, spoil := range map[string]func(lcn []byte, attr []byte){
		"packed bytes damaged": func(clusters, _ []byte) { copy(clusters, "\xff\xff\xff\xff") },
		"cluster after sparse": func(_, attr []byte) { setRuns(t, attr, []byte{1, 8, 0x21, 8, 0, 8, 1, 120, 1, 120, 0}) },
		"unit size unknown":    func(_, attr []byte) { attr[34] = 5 },
	} {
		img := bytes.Clone(img)
		edit(t, img, recordOf(t, all, "/packed/text"), func(rec []byte) {
			attr := find(t, rec, typeData, "")
			_, a, err := parseAttribute(attr)
			if err != nil {
				t.Fatal(err)
			}
			runs, err := decodeRuns(nil, a.runs, 0, mustOpen(t, img).geo)
			if err != nil {
				t.Fatal(err)
			}
			spoil(img[runs[0].lcn*512:], attr)
		})
		o := at(t, walkAll(t, mustOpen(t, img), evidence.Limits{}), "/packed/text")
		if o.failure == nil || len(o.bytes)%unit != 0 {
			t.Errorf("%s: %d bytes, then %v", name, len(o.bytes), o.failure)
		}
	}
}

// TestValidLength: what was never written is zeros, packed or not.
func TestValidLength(t *testing.T) {
	img, all := linux(t)
	for _, path := range []string{"/plain/many", "/packed/text"} {
		const valid = 20001
		size := len(at(t, all, path).bytes)
		edit(t, img, recordOf(t, all, path), func(rec []byte) {
			setSizes(find(t, rec, typeData, ""), uint64(size), valid)
		})
		o := at(t, walkAll(t, mustOpen(t, img), evidence.Limits{}), path)
		if o.failure != nil || len(o.bytes) != size {
			t.Fatalf("%s: %d bytes, %v", path, len(o.bytes), o.failure)
		}
		if !bytes.Equal(o.bytes[:valid], at(t, all, path).bytes[:valid]) || !allZero(o.bytes[valid:]) {
			t.Errorf("%s: not %d bytes and then zeros", path, valid)
		}
		if len(o.Runs) > 0 && o.Runs[0].Length != valid {
			t.Errorf("%s: runs %v", path, o.Runs)
		}
	}
}

// TestListedDirectoryName: a directory whose name lies in another record still
// gives its files their path.
func TestListedDirectoryName(t *testing.T) {
	img, all := linux(t)
	dir := parentOf(t, img, recordOf(t, all, "/names/first")).number()
	spare := recordOf(t, all, "/plain/empty")
	blank(t, img, spare, makeReference(dir, 1))
	var name []byte
	edit(t, img, dir, func(rec []byte) {
		name = bytes.Clone(find(t, rec, typeFileName, ""))
		list := append(listEntry(typeFileName, 0, makeReference(spare, 1)), listEntry(typeFileName, 0, makeReference(dir, 1))...)
		replace(t, rec, residentAttribute(typeAttributeList, "", list), bytes.Clone(find(t, rec, typeIndexRoot, "$I30")))
	})
	edit(t, img, spare, func(rec []byte) { replace(t, rec, name) })
	if o := at(t, walkAll(t, mustOpen(t, img), evidence.Limits{}), "/names/first"); o.State != tutela.Allocated {
		t.Errorf("state %v", o.State)
	}
}

// TestBitmap holds the count against looking at every bit.
func TestBitmap(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	raw := make([]byte, 1024)
	for i := range raw {
		raw[i] = byte(r.Uint32())
	}
	s := &stream{src: memory{bytes.NewReader(raw)}, cluster: 512, extents: []extent{{0, 0, 2}}, size: 1024, valid: 1024}
	b := bitmap{stream: s, buf: make([]byte, 100)}
	for range 300 {
		first := r.Int64N(8192)
		end := first + r.Int64N(8192-first) + 1
		var want int64
		for i := first; i < end; i++ {
			want += int64(raw[i/8] >> (i % 8) & 1)
		}
		if got, err := b.count(first, end); got != want || err != nil {
			t.Fatalf("%d to %d: %d, not %d: %v", first, end, got, want, err)
		}
	}
	if _, err := b.count(8000, 9000); err == nil {
		t.Error("bits beyond the bitmap were counted")
	}
}

func TestReferences(t *testing.T) {
	const inUse = flagInUse
	for _, c := range []struct {
		h    head
		seq  uint16
		want bool
	}{
		{head{5, inUse, true}, 5, true}, {head{6, inUse, true}, 5, false}, {head{6, 0, true}, 5, true},
		{head{5, 0, true}, 5, true}, {head{7, 0, true}, 5, false}, {head{1, 0, true}, 0xffff, true},
		{head{5, inUse, false}, 5, false},
	} {
		if got := c.h.meets(makeReference(100, c.seq)); got != c.want {
			t.Errorf("%+v meets %d: %v", c.h, c.seq, got)
		}
	}
}

func TestNames(t *testing.T) {
	for want, units := range map[string][]uint16{
		"":                   nil,
		"aä文":                {'a', 0xe4, 0x6587},
		"🔍":                  {0xd83d, 0xdd0d},
		"\xed\xa0\xbdx":      {0xd83d, 'x'},
		"\xed\xb4\x8d":       {0xdd0d},
		"\xed\xa0\xbd🔍":      {0xd83d, 0xd83d, 0xdd0d},
		"a\x00\x01":          {'a', 0, 1},
		"\uffff\xed\xbf\xbf": {0xffff, 0xdfff},
	} {
		var b []byte
		for _, u := range units {
			b = binary.LittleEndian.AppendUint16(b, u)
		}
		if got := string(evidence.WTF8(b, binary.LittleEndian)); got != want {
			t.Errorf("%x: %q, not %q", units, got, want)
		}
	}
}

func FuzzNames(f *testing.F) {
	f.Add([]byte{'a', 0, 0x3d, 0xd8, 0x0d, 0xdd})
	f.Fuzz(func(t *testing.T, b []byte) {
		b = b[:len(b)&^1]
		if len(b) > 1000 {
			return
		}
		// No two names fall together: WTF-8 can be read back.
		var back []byte
		for out := evidence.WTF8(b, binary.LittleEndian); len(out) > 0; {
			r, n := decodeWTF8(out)
			if r >= 0x10000 {
				back = binary.LittleEndian.AppendUint16(back, uint16(0xd800+(r-0x10000)>>10))
				r = 0xdc00 + (r-0x10000)&0x3ff
			}
			back = binary.LittleEndian.AppendUint16(back, uint16(r))
			out = out[n:]
		}
		if !bytes.Equal(back, b) {
			t.Fatalf("%x comes back as %x", b, back)
		}
	})
}

func decodeWTF8(b []byte) (r rune, n int) {
	switch {
	case b[0] < 0x80:
		return rune(b[0]), 1
	case b[0] < 0xe0:
		return rune(b[0]&0x1f)<<6 | rune(b[1]&0x3f), 2
	case b[0] < 0xf0:
		return rune(b[0]&0xf)<<12 | rune(b[1]&0x3f)<<6 | rune(b[2]&0x3f), 3
	}
	return rune(b[0]&7)<<18 | rune(b[1]&0x3f)<<12 | rune(b[2]&0x3f)<<6 | rune(b[3]&0x3f), 4
}
