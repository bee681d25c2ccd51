package archive_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/archive"
)

type file struct{ name, content string }

func makeZip(t testing.TB, method uint16, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		m, err := w.CreateHeader(&zip.FileHeader{Name: f.name, Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(m, f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func makeTar(t testing.TB, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o600, Size: int64(len(f.content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func makeGzip(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// seen is what a visitor that reads everything learns.
type seen struct {
	paths    []string
	findings map[string]int // by code, from entries and from errors
	read     int64
}

func expand(t testing.TB, content []byte, limits evidence.Limits) seen {
	t.Helper()
	return expandWith(t, content, limits, evidence.Keys{})
}

func expandWith(t testing.TB, content []byte, limits evidence.Limits, keys evidence.Keys) seen {
	t.Helper()
	s := seen{findings: map[string]int{}}
	x := archive.New(archive.Options{Limits: limits, Spool: &memorySpool{}, Keys: keys})
	err := x.Expand(context.Background(), rootEntry("r"), bytes.NewReader(content), int64(len(content)), func(e *evidence.Entry) error {
		s.paths = append(s.paths, string(e.Path))
		for _, f := range e.Findings {
			s.findings[f.Code]++
		}
		if e.Open != nil {
			n, code := readAll(t, e)
			s.read += n
			if code != "" {
				s.findings["read: "+code]++
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func readAll(t testing.TB, e *evidence.Entry) (n int64, code string) {
	c, err := e.Open()
	if err == nil {
		defer c.Close()
		n, err = io.Copy(io.Discard, c)
	}
	var coded *archive.Error
	if err != nil && !errors.As(err, &coded) {
		t.Errorf("%s: an error without a code: %v", e.Path, err)
	}
	if coded != nil {
		code = coded.Code
	}
	return n, code
}

func TestBombStops(t *testing.T) {
	limits := evidence.Limits{Ratio: 10, RatioAfter: 1 << 20}
	zeros := strings.Repeat("\x00", 8<<20)
	for name, content := range map[string][]byte{
		"deflate": makeZip(t, zip.Deflate, file{"a", "first"}, file{"bomb", zeros}, file{"z", "last"}),
		"nested":  makeZip(t, zip.Deflate, file{"in.zip", string(makeZip(t, zip.Store, file{"bomb", zeros}))}, file{"z", "last"}),
		"gzip":    makeGzip(t, []byte(zeros)),
		"tar.gz":  makeGzip(t, makeTar(t, file{"bomb", zeros})),
	} {
		t.Run(name, func(t *testing.T) {
			got := expand(t, content, limits)
			if got.findings[tutela.FindingBomb] == 0 || got.read > 3<<20 {
				t.Errorf("read %d bytes, findings %v", got.read, got.findings)
			}
			if strings.HasPrefix(name, "d") && !slices.Equal(got.paths, []string{"/r!/a", "/r!/bomb", "/r!/z", "/r!/"}) {
				t.Errorf("what follows a bomb must still be listed, got %q", got.paths)
			}
		})
	}
}

// The same for formats that only other programs write, packed as tightly as
// they do.
func TestPackedBombsStop(t *testing.T) {
	limits := evidence.Limits{Ratio: 10, RatioAfter: 1 << 20}
	for _, name := range []string{"zeros.7z", "zeros.Z", "zeros.lz4", "zeros.lzma", "zeros.cab"} {
		got := expand(t, readTestdata(t, "bombs/"+name), limits)
		if got.findings[tutela.FindingBomb] == 0 || got.read > 2<<20 {
			t.Errorf("%s: read %d bytes, findings %v", name, got.read, got.findings)
		}
	}
}

// Archives in archives that name a million empty files are a bomb too, though
// hardly a byte comes out of them.
func TestFanOutIsABomb(t *testing.T) {
	content := makeZip(t, zip.Deflate, manyFiles(40, "")...)
	for range 3 {
		content = makeZip(t, zip.Deflate, manyFiles(40, string(content))...)
	}
	got := expand(t, content, evidence.Limits{RatioAfter: 1 << 20})
	if got.findings[tutela.FindingBomb] == 0 || len(got.paths) > 20_000 {
		t.Errorf("%d members of an archive of %d bytes, findings %v", len(got.paths), len(content), got.findings)
	}
}

func manyFiles(n int, content string) []file {
	files := make([]file, n)
	for i := range files {
		files[i] = file{fmt.Sprintf("%d.zip", i), content}
	}
	return files
}

func TestExpandedBytesAndMemberBytesAreLimits(t *testing.T) {
	content := makeZip(t, zip.Store, file{"a", strings.Repeat("a", 600)}, file{"b", strings.Repeat("b", 600)}, file{"c", "c"})
	got := expand(t, content, evidence.Limits{ExpandedBytes: 1000})
	if got.findings["read: limit"] != 2 || len(got.paths) != 4 {
		t.Errorf("expanded bytes: %q, findings %v", got.paths, got.findings)
	}
	got = expand(t, content, evidence.Limits{MemberBytes: 500})
	if got.findings["read: limit"] != 2 || got.read >= 600 || len(got.paths) != 3 {
		t.Errorf("member bytes: %q, read %d, findings %v", got.paths, got.read, got.findings)
	}
}

func TestNestingIsALimit(t *testing.T) {
	for _, method := range []uint16{zip.Store, zip.Deflate} {
		content := makeZip(t, method, file{"picture.png", "the innermost"})
		for range 9 {
			content = makeZip(t, method, file{"n.zip", string(content)})
		}
		got := expand(t, content, evidence.Limits{})
		if len(got.paths) != 8 || got.findings[tutela.FindingLimit] != 1 {
			t.Errorf("ten deep: %q, findings %v", got.paths, got.findings)
		}
		got = expand(t, content, evidence.Limits{Nesting: 10})
		if last := got.paths[len(got.paths)-1]; !strings.HasSuffix(last, "!/picture.png") || len(got.findings) != 0 {
			t.Errorf("ten allowed: last is %q, findings %v", last, got.findings)
		}
	}
}

// fanOut is a zip with 16 directory entries that all point at one stored zip,
// and so on inwards: few bytes, 16 to the power of depth members.
func fanOut(t testing.TB, depth int) []byte {
	content := makeZip(t, zip.Store, file{"leaf", "x"})
	for range depth {
		content = repeatEntry(makeZip(t, zip.Store, file{"n.zip", string(content)}), 16)
	}
	return content
}

// repeatEntry writes the one entry of a zip's directory n times.
func repeatEntry(z []byte, n int) []byte {
	end := len(z) - 22
	start := int(binary.LittleEndian.Uint32(z[end+16:]))
	out := append(slices.Clone(z[:start]), bytes.Repeat(z[start:end], n)...)
	tail := slices.Clone(z[end:])
	binary.LittleEndian.PutUint16(tail[8:], uint16(n))
	binary.LittleEndian.PutUint16(tail[10:], uint16(n))
	binary.LittleEndian.PutUint32(tail[12:], uint32((end-start)*n))
	return append(out, tail...)
}

func TestEntriesAreALimit(t *testing.T) {
	got := expand(t, fanOut(t, 6), evidence.Limits{EntriesPerRoot: 5000})
	if len(got.paths) > 5010 || got.findings[tutela.FindingLimit] == 0 {
		t.Errorf("%d members, findings %v", len(got.paths), got.findings)
	}
}

func TestFanOutIsABombThoughNothingIsCompressed(t *testing.T) {
	got := expand(t, fanOut(t, 6), evidence.Limits{RatioAfter: 1 << 20, Ratio: 20})
	if got.findings[tutela.FindingBomb] == 0 || len(got.paths) > 20_000 {
		t.Errorf("%d members, findings %v", len(got.paths), got.findings)
	}
}

// The zip that contains itself, by Russ Cox, from the Go archive/zip tests.
func quine(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/quine.hex")
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestQuineEnds(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := expand(t, quine(t), evidence.Limits{})
	runtime.ReadMemStats(&after)
	if len(got.paths) != 8 || got.findings[tutela.FindingLimit] != 1 {
		t.Errorf("%q, findings %v", got.paths, got.findings)
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 20<<20 {
		t.Errorf("allocated %d bytes for a file of 440", allocated)
	}
}

// flip inverts a byte, counted from the end where negative.
func flip(b []byte, at int) []byte {
	b[(len(b)+at)%len(b)] ^= 0xff
	return b
}

func TestDamageIsFound(t *testing.T) {
	stored := makeZip(t, zip.Store, file{"one", "the first content"}, file{"two", "the second content"})
	tarred := makeTar(t, file{"one", strings.Repeat("1", 700)}, file{"two", strings.Repeat("2", 700)}, file{"three", "3"})
	patch := func(b []byte, old, new string) []byte {
		if !bytes.Contains(b, []byte(old)) {
			t.Fatalf("no %q to patch", old)
		}
		return bytes.Replace(b, []byte(old), []byte(new), 1)
	}
	noise := []byte(strings.Repeat("\xa5", 512))
	for _, tc := range []struct {
		name    string
		content []byte
		want    string
	}{
		{"zip, content changed", patch(stored, "first", "FIRST"),
			"one [] damaged 17; two []  18"},
		{"zip, no directory", stored[:bytes.Index(stored, []byte("PK\x01\x02"))],
			"one []  17; two []  18;  [damaged]"},
		{"zip, cut in a member", stored[:bytes.Index(stored, []byte("second"))],
			"one []  17; two []  4;  [damaged]"},
		{"zip, directory broken", patch(stored, "PK\x01\x02", "PK\x01\x03"),
			"one []  17; two []  18;  [damaged]"},
		{"zip, local name differs", patch(stored, "one", "uno"),
			"one [damaged]  17; two []  18"},
		{"zip, local header gone", patch(stored, "PK\x03\x04\x14\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00two", strings.Repeat("?", 33)),
			"one []  17; two [damaged] damaged 0"},
		{"two zips in a row", slices.Concat(stored, makeZip(t, zip.Deflate, file{"three", "3"})),
			"one []  17; two []  18; three []  1;  [damaged]"},
		{"tar, header damaged", slices.Concat(tarred[:1536], noise, tarred[2048:]),
			"one []  700; three []  1;  [damaged]"},
		{"tar, cut in a member", tarred[:2200],
			"one []  700; two [truncated] truncated 152;  [truncated]"},
		{"two tars in a row", slices.Concat(tarred, makeTar(t, file{"four", "4"})),
			"one []  700; two []  700; three []  1; four []  1;  [damaged]"},
		{"gzip, checksum", flip(makeGzip(t, []byte("content")), -8), "r [] damaged 7"},
		{"gzip, cut", makeGzip(t, []byte("content"))[:20], "r [] truncated 7"},
		{"tar.gz, checksum", flip(makeGzip(t, makeTar(t, file{"one", "1"})), -8), "r [damaged] damaged 2048; r!/one []  1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			x := archive.New(archive.Options{Limits: evidence.Limits{}, Spool: &memorySpool{}})
			err := x.Expand(context.Background(), rootEntry("r"), bytes.NewReader(tc.content), int64(len(tc.content)), func(e *evidence.Entry) error {
				var codes []string
				for _, f := range e.Findings {
					codes = append(codes, f.Code)
				}
				line := fmt.Sprintf("%s %v", strings.TrimPrefix(string(e.Path), "/r!/"), codes)
				if e.Open != nil {
					n, code := readAll(t, e)
					line += fmt.Sprintf(" %s %d", code, n)
				}
				got = append(got, line)
				return nil
			})
			if all := strings.Join(got, "; "); err != nil || all != tc.want {
				t.Errorf("got  %s, %v\nwant %s", all, err, tc.want)
			}
		})
	}
}

// Headers may ask for a window of 64 MiB in a file of a few bytes.
func TestMemoryFollowsTheInput(t *testing.T) {
	zst := "\x28\xb5\x2f\xfd\x00\x80\x29\x00\x00hello"
	xz, err := os.ReadFile("testdata/xz-sha256.tar.xz") // xz -9e: a dictionary of 64 MiB
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name    string
		content []byte
		most    uint64
	}{
		{"zstd", []byte(zst), 1 << 20}, // refused: no writer asks for so much of so little
		{"xz", xz, 8 << 20},
		{"zip directory", slices.Concat([]byte("PK\x03\x04"), make([]byte, 40), []byte("PK\x05\x06\x00\x00\x00\x00\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")), 1 << 20},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got := expand(t, tc.content, evidence.Limits{})
		runtime.ReadMemStats(&after)
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > tc.most {
			t.Errorf("%s: allocated %d bytes for %d, %v", tc.name, allocated, len(tc.content), got.paths)
		}
	}
}

func TestTooWideWindowIsUnsupported(t *testing.T) {
	got := expand(t, []byte("\x28\xb5\x2f\xfd\x00\x90\x29\x00\x00hello"), evidence.Limits{})
	if got.findings["read: "+tutela.FindingUnsupported] != 1 {
		t.Errorf("findings %v", got.findings)
	}
}

func TestNamesAreLabels(t *testing.T) {
	content := makeZip(t, zip.Store, file{"//etc/passwd", "1"}, file{"../../up", "2"}, file{`C:\windows`, "3"}, file{"lat\xefn1", "4"}, file{strings.Repeat("n", 300), "5"}, file{"", "6"})
	got := expand(t, content, evidence.Limits{NameBytes: 100})
	want := []string{"/r!/etc/passwd", "/r!/../../up", `/r!/C:\windows`, "/r!/lat\xefn1", "/r!/" + strings.Repeat("n", 96), "/r!/"}
	if !slices.Equal(got.paths, want) || got.findings[tutela.FindingLimit] != 1 {
		t.Errorf("got %q, findings %v", got.paths, got.findings)
	}
}

func TestUnicodeNameField(t *testing.T) {
	fieldFor := func(name string, crc uint32, unicode string) []byte {
		b := binary.LittleEndian.AppendUint16(nil, 0x7075)
		b = binary.LittleEndian.AppendUint16(b, uint16(5+len(unicode)))
		b = binary.LittleEndian.AppendUint32(append(b, 1), crc)
		return append(b, unicode...)
	}
	for _, tc := range []struct {
		name, unicode string
		crc           uint32
		lies          bool
	}{
		{"caf\x82", "café", crc32.ChecksumIEEE([]byte("caf\x82")), false},
		{"caf\x82", "café", 7, true},
		{"holiday.jpg", "other.jpg", crc32.ChecksumIEEE([]byte("holiday.jpg")), true},
		{"same", "same", crc32.ChecksumIEEE([]byte("same")), false},
	} {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		if _, err := w.CreateHeader(&zip.FileHeader{Name: tc.name, NonUTF8: true, Extra: fieldFor(tc.name, tc.crc, tc.unicode)}); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		got := expand(t, b.Bytes(), evidence.Limits{})
		if lies := got.findings[tutela.FindingDamaged] > 0; lies != tc.lies || got.paths[0] != "/r!/"+tc.name {
			t.Errorf("%q and %q: findings %v, path %q", tc.name, tc.unicode, got.findings, got.paths)
		}
	}
}

func TestErrorsOfOthersComeBack(t *testing.T) {
	content := makeZip(t, zip.Deflate, file{"a.gz", string(makeGzip(t, []byte("text")))}, file{"b", "b"})
	run := func(ctx context.Context, spool archive.Spool, visit func(*evidence.Entry) error) error {
		return archive.New(archive.Options{Limits: evidence.Limits{}, Spool: spool}).Expand(ctx, rootEntry("r"), bytes.NewReader(content), int64(len(content)), visit)
	}
	nothing := func(*evidence.Entry) error { return nil }

	stop := errors.New("stop")
	if err := run(context.Background(), &memorySpool{}, func(*evidence.Entry) error { return stop }); err != stop {
		t.Errorf("error of visit came back as %v", err)
	}
	if err := run(context.Background(), brokenSpool{stop}, nothing); !errors.Is(err, stop) {
		t.Errorf("error of the spool came back as %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := run(ctx, &memorySpool{}, nothing); !errors.Is(err, context.Canceled) {
		t.Errorf("under an ended context: %v", err)
	}
	err := archive.New(archive.Options{Limits: evidence.Limits{}, Spool: nil}).Expand(context.Background(), rootEntry("r"), strings.NewReader("plain text"), 10, nothing)
	if !errors.Is(err, evidence.ErrNotThis) {
		t.Errorf("plain text: %v", err)
	}
}

type brokenSpool struct{ err error }

func (b brokenSpool) Put(context.Context, io.Reader, int64) (archive.Spooled, error) {
	return nil, b.err
}

// A member is decompressed once, also when it is an archive that both the
// visitor and the walk inside read.
func TestOneDecompression(t *testing.T) {
	spool := &memorySpool{}
	inner := makeZip(t, zip.Deflate, file{"a", strings.Repeat("text ", 5000)})
	content := countingReaderAt{bytes.NewReader(makeGzip(t, inner)), new(int64)}
	size := content.r.Size()
	x := archive.New(archive.Options{Limits: evidence.Limits{}, Spool: spool})
	err := x.Expand(context.Background(), rootEntry("r"), content, size, func(e *evidence.Entry) error {
		_, code := readAll(t, e)
		if code != "" {
			t.Errorf("%s: %s", e.Path, code)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// The head for Detect and the name are read once more.
	if spool.put != 1 || *content.n > size+archive.HeadBytes {
		t.Errorf("%d spooled, %d bytes read of %d", spool.put, *content.n, size)
	}
}

type countingReaderAt struct {
	r *bytes.Reader
	n *int64
}

func (c countingReaderAt) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.r.ReadAt(p, off)
	*c.n += int64(n)
	return n, err
}

// A sparse file can claim exabytes of holes in a few blocks.
func TestSparseTarIsBounded(t *testing.T) {
	b := makeTar(t, file{"sparse", strings.Repeat("x", 512)})
	h := b[:512]
	h[156] = 'S'
	copy(h[257:], "ustar  \x00")
	clear(h[345:512])
	copy(h[386:], "00000000000\x0000000001000\x00")                   // 512 bytes at 0
	copy(h[483:], "\x80\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00") // of 2^60, in base 256
	h = mendTar(b)
	got := expand(t, h, evidence.Limits{RatioAfter: 1 << 20})
	if got.findings["read: "+tutela.FindingBomb] != 1 || got.read < 1<<19 || got.read > 4<<20 {
		t.Errorf("%q, read %d, findings %v", got.paths, got.read, got.findings)
	}
}

// centralField is where a field of the first central header lies.
func centralField(z []byte, offset int) []byte {
	return z[bytes.Index(z, []byte("PK\x01\x02"))+offset:]
}

func TestZipMembersThatCannotBeTrusted(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(z []byte)
		want   map[string]int
	}{
		{"told too short", func(z []byte) { centralField(z, 24)[0]-- }, map[string]int{"read: damaged": 1}},
		{"told too long", func(z []byte) { centralField(z, 24)[0]++ }, map[string]int{"read: truncated": 1}},
		{"implode", func(z []byte) { centralField(z, 10)[0] = 6 }, map[string]int{"unsupported": 1, "read: unsupported": 1}},
		{"method nobody knows", func(z []byte) { centralField(z, 10)[0] = 77 }, map[string]int{"unsupported": 1, "read: unsupported": 1}},
		{"encrypted", func(z []byte) { centralField(z, 8)[0] |= 1 }, map[string]int{"encrypted": 1, "read: encrypted": 1}},
		{"not a deflate stream", func(z []byte) { z[31] = 0xff }, map[string]int{"read: damaged": 1}},
		{"compressed size beyond the archive", func(z []byte) { centralField(z, 20)[2] = 1 }, map[string]int{"truncated": 1}},
		{"header beyond the archive", func(z []byte) { centralField(z, 42)[2] = 1 }, map[string]int{"truncated": 1, "read: truncated": 1}},
		{"a name marked as UTF-8", func(z []byte) { z[30] = 0xff; centralField(z, 46)[0] = 0xff; centralField(z, 8)[1] |= 8 }, map[string]int{"damaged": 1}},
		{"a Unix device", func(z []byte) { centralField(z, 5)[0] = 3; centralField(z, 38)[3] = 0x21 }, map[string]int{"not-a-file": 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			z := makeZip(t, zip.Deflate, file{"n", strings.Repeat("some text ", 20)})
			tc.change(z)
			if got := expand(t, z, evidence.Limits{}); !maps.Equal(got.findings, tc.want) {
				t.Errorf("findings %v, want %v", got.findings, tc.want)
			}
		})
	}
}

func TestXZDamage(t *testing.T) {
	whole, err := os.ReadFile("testdata/two-streams.txt.xz")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		content []byte
		want    map[string]int
	}{
		"whole":              {whole, map[string]int{}},
		"cut":                {whole[:40], map[string]int{"read: truncated": 1}},
		"stream header":      {flip(slices.Clone(whole), 9), map[string]int{"read: damaged": 1}},
		"block header":       {flip(slices.Clone(whole), 14), map[string]int{"read: damaged": 1}},
		"content":            {flip(slices.Clone(whole), 40), map[string]int{"read: damaged": 1}},
		"something follows":  {append(slices.Clone(whole), "hidden behind"...), map[string]int{"read: damaged": 1}},
		"padding that stops": {append(slices.Clone(whole), 0, 0), map[string]int{"read: truncated": 1}},
	} {
		if got := expand(t, tc.content, evidence.Limits{}); !maps.Equal(got.findings, tc.want) {
			t.Errorf("%s: findings %v, want %v", name, got.findings, tc.want)
		}
	}
}

func TestTarSpecials(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range []*tar.Header{
		{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "../x"},
		{Name: "disk", Typeflag: tar.TypeBlock, Devmajor: 8, Devminor: 1},
		{Name: "fifo", Typeflag: tar.TypeFifo},
		{Name: "dir/", Typeflag: tar.TypeDir},
	} {
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	want := "/r!/link\tsymlink\t0\t-\t1970-01-01T00:00:00Z\ttar: member 1 @ 512\tnot-a-file: symlink to ../x\n" +
		"/r!/disk\tdevice\t0\t-\t1970-01-01T00:00:00Z\ttar: member 2 @ 1024\tnot-a-file: device 8, 1\n" +
		"/r!/fifo\tpipe\t0\t-\t1970-01-01T00:00:00Z\ttar: member 3 @ 1536\tnot-a-file: pipe\n"
	if got := list(t, "r", b.Bytes(), evidence.Limits{}); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A tar of nothing but headers that fail must not be tried for ever.
func TestBrokenTarGivesUp(t *testing.T) {
	block := makeTar(t, file{"a", ""})[:512]
	block[156] = 'x' // an extended header that is never followed by a file
	block = mendTar(block)
	got := expand(t, bytes.Repeat(append(block, make([]byte, 512)...), 300), evidence.Limits{})
	if got.findings[tutela.FindingLimit] != 1 || got.findings[tutela.FindingDamaged] != 33 {
		t.Errorf("%q, findings %v", got.paths, got.findings)
	}
}
