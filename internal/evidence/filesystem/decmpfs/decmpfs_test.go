package decmpfs

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"tutela/internal/evidence"
)

func packedSample(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestReference expands what Apple's own encoders wrote.
func TestReference(t *testing.T) {
	for _, c := range []struct {
		name   string
		size   int
		expand func(dst, src []byte) (int, error)
	}{{"400000.lzfse", 400000, LZFSE}, {"2000.lzfse", 2000, LZFSE}, {"65536.lzvn", 65536, LZVN}} {
		packed := packedSample(t, c.name)
		out := make([]byte, c.size)
		n, err := c.expand(out, packed)
		if err != nil || n != c.size || !bytes.Equal(out, sample(c.size)) {
			t.Errorf("%s: %d bytes: %v", c.name, n, err)
		}
		if n, err := c.expand(out[:c.size-1], packed); err == nil {
			t.Errorf("%s: %d bytes into a byte too few, without an error", c.name, n)
		}
		for cut := 0; cut < len(packed)-8; cut += 1 + cut/50 {
			if n, err := c.expand(out, packed[:cut]); err == nil && n == c.size {
				t.Errorf("%s: whole after %d of %d bytes", c.name, cut, len(packed))
			}
		}
	}
}

// TestLZVN holds each sort of operation against its description.
func TestLZVN(t *testing.T) {
	const end = "\x06\x00\x00\x00\x00\x00\x00\x00"
	for _, c := range []struct{ name, packed, want string }{
		{"small literal", "\xe3abc" + end, "abc"},
		{"large literal", "\xe0\x00" + "0123456789abcdef" + end, "0123456789abcdef"},
		{"small distance", "\xe3abc" + "\x48\x04d" + end, "abcdabcd"},
		{"medium distance", "\xe3abc" + "\xa8\x11\x00d" + end, "abcdabcd"},
		{"large distance", "\xe3abc" + "\x4f\x04\x00d" + end, "abcdabcd"},
		{"same distance", "\xe3abc" + "\x00\x03" + "\x46d" + end, "abcabcdbcd"},
		{"small match", "\xe3abc" + "\x00\x03" + "\xf2" + end, "abcabcab"},
		{"large match", "\xe1a" + "\x00\x01" + "\xf0\x01" + end, strings.Repeat("a", 21)},
		{"overlap", "\xe2ab" + "\x20\x02" + end, "ababababa"},
		{"nothing", "\x0e\xe1a\x16\xe1b\x0e" + end, "ab"},
		{"no end", "\xe1a", "a"},
		{"beyond the end", "\xe1a\x06\x00\x00\x00\x00\x00\x00\x00\xe1b", "a"},
	} {
		out := make([]byte, 100)
		n, err := LZVN(out, []byte(c.packed))
		if err != nil || string(out[:n]) != c.want {
			t.Errorf("%s: %q, want %q: %v", c.name, out[:n], c.want, err)
		}
	}
	for _, bad := range []string{
		"\x1e", "\x26", "\x70", "\x7f", "\xd0", "\xdf", // undefined
		"\x00\x01", "\xf1", "\xe1a\x00\x02", "\xe1a\x00\x00", "\xe1a\xf1", "\xe1a\x07\x00\x00", // distances
		"\xe0", "\xe3ab", "\xf0", "\x40", "\xa0\x04", "\x07\x01", "\x41\x01", // cut
	} {
		if n, err := LZVN(make([]byte, 100), []byte(bad)); err == nil {
			t.Errorf("%x: %d bytes without an error", bad, n)
		}
	}
}

func attribute(method uint32, size int, packed []byte) []byte {
	b := binary.LittleEndian.AppendUint32([]byte("fpmc"), method)
	b = binary.LittleEndian.AppendUint64(b, uint64(size))
	return append(b, packed...)
}

func deflated(b []byte) []byte {
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	z.Write(b)
	z.Close()
	return out.Bytes()
}

func marked(mark byte) func([]byte) []byte {
	return func(b []byte) []byte { return append([]byte{mark}, b...) }
}

// lzfsePlain is a stream of one block that is not packed.
func lzfsePlain(b []byte) []byte {
	out := binary.LittleEndian.AppendUint32([]byte("bvx-"), uint32(len(b)))
	return append(append(out, b...), "bvx$"...)
}

// zlibFork is a resource fork as method 4 has it.
func zlibFork(chunks [][]byte) []byte {
	body := binary.LittleEndian.AppendUint32(nil, uint32(len(chunks)))
	at := 4 + 8*len(chunks)
	for _, c := range chunks {
		body = binary.LittleEndian.AppendUint32(body, uint32(at))
		body = binary.LittleEndian.AppendUint32(body, uint32(len(c)))
		at += len(c)
	}
	for _, c := range chunks {
		body = append(body, c...)
	}
	fork := make([]byte, 256)
	binary.BigEndian.PutUint32(fork, 256)
	binary.BigEndian.PutUint32(fork[4:], uint32(256+4+len(body)))
	fork = binary.BigEndian.AppendUint32(fork, uint32(len(body)))
	return append(append(fork, body...), make([]byte, 50)...)
}

// offsetFork is a resource fork as methods 8, 10 and 12 have it.
func offsetFork(chunks [][]byte) []byte {
	at := 4 * (len(chunks) + 1)
	fork := binary.LittleEndian.AppendUint32(nil, uint32(at))
	for _, c := range chunks {
		at += len(c)
		fork = binary.LittleEndian.AppendUint32(fork, uint32(at))
	}
	for _, c := range chunks {
		fork = append(fork, c...)
	}
	return fork
}

func chunksOf(b []byte, pack func([]byte) []byte) (chunks [][]byte) {
	for len(b) > 0 {
		n := min(len(b), chunkBytes)
		chunks = append(chunks, pack(b[:n]))
		b = b[n:]
	}
	return chunks
}

func readAll(attr, fork []byte) ([]byte, error) {
	h, err := Parse(attr)
	if err != nil {
		return nil, err
	}
	c, err := New(h, attr, bytes.NewReader(fork), int64(len(fork)))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return io.ReadAll(c)
}

func same(b []byte) []byte { return b }

func TestMethods(t *testing.T) {
	long := sample(200000)
	short := sample(2000)
	lzvn64 := packedSample(t, "65536.lzvn")
	for i, c := range []struct {
		method     uint32
		inline     []byte
		fork, want []byte
	}{
		{1, short, nil, short},
		{3, deflated(short), nil, short},
		{3, marked(0xff)(short), nil, short},
		{4, nil, zlibFork(chunksOf(long, deflated)), long},
		{4, nil, zlibFork(chunksOf(long, marked(0xff))), long},
		{7, marked(0x06)(short), nil, short},
		{7, lzvn64, nil, sample(65536)},
		{8, nil, offsetFork([][]byte{lzvn64, marked(0x06)(short)}), append(sample(65536), short...)},
		{9, short, nil, short},
		{9, marked(0xcc)(short), nil, short},
		{10, nil, offsetFork(chunksOf(long, same)), long},
		{10, nil, offsetFork(chunksOf(long, marked(0xcc))), long},
		{11, packedSample(t, "2000.lzfse"), nil, short},
		{11, packedSample(t, "400000.lzfse"), nil, sample(400000)},
		{12, nil, offsetFork(chunksOf(long, lzfsePlain)), long},
		{12, nil, offsetFork(chunksOf(long, marked(0x06))), long},
		{12, nil, offsetFork(chunksOf(long, marked(0xff))), long},
		{3, nil, nil, nil},
		{8, nil, nil, nil},
	} {
		got, err := readAll(attribute(c.method, len(c.want), c.inline), c.fork)
		if err != nil || !bytes.Equal(got, c.want) {
			t.Errorf("%d: method %d: %d bytes, want %d: %v", i, c.method, len(got), len(c.want), err)
		}
		if len(c.want) == 0 {
			continue
		}
		for _, wrong := range []int{len(c.want) - 1, len(c.want) + 1, 1 << 60} {
			if wrong > len(c.want) && (c.method == 9 || c.method == 10) && wrong < 1<<60 {
				continue // the mark may be the one byte more
			}
			if got, err := readAll(attribute(c.method, wrong, c.inline), c.fork); err == nil {
				t.Errorf("%d: method %d: %d bytes for %d without an error", i, c.method, len(got), wrong)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	for _, method := range []uint32{0, 2, 5, 6, 13, 14, 99} {
		_, err := readAll(attribute(method, 4, []byte("data")), nil)
		if !errors.Is(err, evidence.ErrUnsupported) || !strings.Contains(err.Error(), fmt.Sprint("decmpfs ", method)) {
			t.Errorf("method %d: %v", method, err)
		}
	}
	for _, bad := range []string{"", "fpmc", "cmpf\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", "fpmc\x03\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"} {
		if h, err := Parse([]byte(bad)); err == nil {
			t.Errorf("%q: %v without an error", bad, h)
		}
	}
	if _, err := LZFSE(make([]byte, 10), []byte("bvx1")); !errors.Is(err, evidence.ErrUnsupported) {
		t.Errorf("bvx1: %v", err)
	}
}

// TestOneChunkTwice: a fork cannot give the same bytes again and again.
func TestOneChunkTwice(t *testing.T) {
	chunk := deflated(make([]byte, chunkBytes))
	fork := zlibFork([][]byte{chunk, chunk})
	copy(fork[256+4+4+8:], fork[256+4+4:256+4+4+8])
	if got, err := readAll(attribute(4, 2*chunkBytes, nil), fork); err == nil {
		t.Errorf("%d bytes without an error", len(got))
	}
}

func FuzzNew(f *testing.F) {
	short := sample(300)
	f.Add(attribute(3, 300, deflated(short)), []byte{})
	f.Add(attribute(4, 300, nil), zlibFork([][]byte{deflated(short)}))
	f.Add(attribute(8, 300, nil), offsetFork([][]byte{marked(0x06)(short)}))
	f.Add(attribute(11, 2000, packedSample(f, "2000.lzfse")), []byte{})
	f.Add(attribute(11, 400000, packedSample(f, "400000.lzfse")), []byte{})
	f.Add(attribute(7, 65536, packedSample(f, "65536.lzvn")), []byte{})
	f.Fuzz(func(t *testing.T, attr, fork []byte) {
		h, err := Parse(attr)
		if err != nil {
			return
		}
		c, err := New(h, attr, bytes.NewReader(fork), int64(len(fork)))
		if err != nil {
			return
		}
		defer c.Close()
		n, err := io.Copy(io.Discard, io.LimitReader(c, 1<<20))
		if err == nil && n != min(h.Size, 1<<20) {
			t.Fatalf("%s: %d of %d bytes without an error", h, n, h.Size)
		}
	})
}
