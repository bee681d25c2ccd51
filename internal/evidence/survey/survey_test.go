package survey

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
)

// The tests have a file system of their own: a volume that begins with "LIST"
// and a number holds that many files, each of one byte.
func fake(src evidence.Source) (evidence.FileSystem, error) {
	b := make([]byte, 6)
	if n, err := src.ReadAt(b, 0); n < len(b) && err != io.EOF {
		return nil, err
	}
	switch string(b[:4]) {
	case "LIST":
		return fakeFS{src, int(b[4]), b[5]}, nil
	case "BUST":
		return nil, errors.New("its root is gone")
	case "BOOM":
		panic("index out of range")
	}
	return nil, fmt.Errorf("fake: %w", evidence.ErrNotThis)
}

type fakeFS struct {
	src   evidence.Source
	files int
	end   byte // 'E' ends in an error, 'P' in a panic, 'C' has content that panics
}

func (f fakeFS) Walk(_ context.Context, _ evidence.Limits, visit func(*evidence.Entry) error) error {
	var e evidence.Entry // used again for every file, as a reader may
	for i := range f.files {
		at := int64(16 + i)
		e = evidence.Entry{
			Path: fmt.Appendf(nil, "/%d", i), Chain: []tutela.Locator{{Layer: "fake", At: fmt.Sprint(i)}},
			Kind: tutela.File, State: tutela.Allocated, Size: 1, Runs: []tutela.Run{{Offset: at, Length: 1}},
			Open: func() (evidence.Content, error) {
				if f.end == 'C' {
					return bomb{}, nil
				}
				return evidence.Stretch(f.src, tutela.Run{Offset: at, Length: 1}), nil
			},
		}
		if err := visit(&e); err != nil {
			return err
		}
	}
	switch f.end {
	case 'E':
		return errors.New("the index ends")
	case 'P':
		panic("nil map")
	}
	return nil
}

type bomb struct{}

func (bomb) Read([]byte) (int, error) { panic("decoder") }
func (bomb) Close() error             { panic("decoder") }

func fakes() Options { return Options{Host: fakeHost{}} }

// fakeHost knows the file system of the tests and no other.
type fakeHost struct{}

func (fakeHost) Volume(src evidence.Source, only string) (fs evidence.FileSystem, name string, err error) {
	defer rescue(&err)
	if only == "iso9660" { // which may cover a disk that has partitions
		src = evidence.Section(src, 32<<10, max(0, src.Size()-32<<10))
	}
	name = "fake"
	if fs, err = fake(src); errors.Is(err, evidence.ErrNotThis) {
		name = ""
	}
	return fs, name, err
}

// Carve finds nothing, and says so.
func (fakeHost) Carve(src evidence.Source, free []tutela.Run) evidence.FileSystem {
	return here{}.Carve(src, nil)
}

func write(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func opened(t *testing.T, options Options, paths ...string) *Survey {
	t.Helper()
	s, err := Open(paths, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func list(t *testing.T, s *Survey) []evidence.Entry {
	t.Helper()
	var entries []evidence.Entry
	err := s.Walk(context.Background(), evidence.DefaultLimits(), func(e *evidence.Entry) error {
		entries = append(entries, *e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// outline is an entry in one line: volume, kind, path, size, finding codes.
func outline(e evidence.Entry) string {
	s := fmt.Sprintf("%s|%v %s %d", e.Volume, e.Kind, e.Path, e.Size)
	for _, f := range e.Findings {
		s += " " + f.Code
	}
	return s
}

func expect(t *testing.T, s *Survey, want ...string) []evidence.Entry {
	t.Helper()
	entries := list(t, s)
	var got []string
	for _, e := range entries {
		got = append(got, outline(e))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	return entries
}

func slurp(t *testing.T, e evidence.Entry) string {
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
	return string(b)
}

// partitions makes an MBR disk of 64 KiB whose partitions, of 4 KiB each,
// begin with the given bytes.
func partitions(heads ...string) []byte {
	disk := make([]byte, 64<<10)
	disk[510], disk[511] = 0x55, 0xAA
	for i, head := range heads {
		start := uint32(8 + 16*i) // sectors
		raw := disk[446+16*i:]
		raw[4] = 0x07
		binary.LittleEndian.PutUint32(raw[8:], start)
		binary.LittleEndian.PutUint32(raw[12:], 8)
		copy(disk[start*512:], head)
		copy(disk[start*512+16:], "abcdefgh")
	}
	return disk
}

func TestPartitionsThenGaps(t *testing.T) {
	disk := partitions("LIST\x02", "nothing known", "LIST\x01")
	copy(disk[8192:], "hidden")
	s := opened(t, fakes(), write(t, "disk.dd", disk))
	entries := expect(t, s,
		"1|file /0 1", "1|file /1 1",
		"2|volume / 4096 unsupported",
		"3|file /0 1",
		"|gap /$Gap/0+4096 4096", "|gap /$Gap/8192+4096 4096", "|gap /$Gap/16384+4096 4096", "|gap /$Gap/24576+40960 40960")

	second := entries[1]
	if want := []tutela.Locator{{Layer: "raw", At: "disk.dd"}, {Layer: "mbr", At: "1 @ 4096+4096"}, {Layer: "fake", At: "1"}}; !slices.Equal(second.Chain, want) {
		t.Errorf("chain %v, want %v", second.Chain, want)
	}
	if want := []tutela.Run{{Offset: 4096 + 17, Length: 1}}; !slices.Equal(second.Runs, want) {
		t.Errorf("runs %v, want %v in the image", second.Runs, want)
	}
	if got := slurp(t, second); got != "b" {
		t.Errorf("content %q", got)
	}
	gap := entries[5]
	if got := slurp(t, gap); !strings.HasPrefix(got, "hidden") || len(got) != 4096 || gap.State != tutela.Slack {
		t.Errorf("gap of %d bytes, %v", len(got), gap.State)
	}
	if volume := entries[2]; volume.Open != nil || volume.State != tutela.Allocated || !strings.HasPrefix(volume.Findings[0].Detail, "unknown:") {
		t.Errorf("volume without a reader: %+v", volume)
	}
	if again := list(t, s); !reflect.DeepEqual(outlines(again), outlines(entries)) {
		t.Error("a second walk differs")
	}
}

func outlines(entries []evidence.Entry) (lines []string) {
	for _, e := range entries {
		lines = append(lines, outline(e)+fmt.Sprint(e.Chain, e.Runs))
	}
	return lines
}

func TestFailingReadersCostTheirVolumeOnly(t *testing.T) {
	s := opened(t, fakes(), write(t, "disk.dd", partitions("LIST\x01E", "LIST\x02P", "BUST", "BOOM")))
	entries := expect(t, s,
		"1|file /0 1", "1|volume / 4096 damaged",
		"2|file /0 1", "2|file /1 1", "2|volume / 4096 damaged",
		"3|volume / 4096 damaged",
		"4|volume / 4096 damaged",
		"|gap /$Gap/0+4096 4096", "|gap /$Gap/8192+4096 4096", "|gap /$Gap/16384+4096 4096", "|gap /$Gap/24576+4096 4096", "|gap /$Gap/32768+32768 32768")
	for i, want := range map[int]string{1: "fake: the index ends", 4: "fake: reader failed: nil map", 5: "fake: its root is gone", 6: "fake: reader failed: index out of range"} {
		if got := entries[i].Findings[0].Detail; got != want {
			t.Errorf("entry %d says %q, want %q", i, got, want)
		}
	}
}

func TestPanickingContentIsAnError(t *testing.T) {
	s := opened(t, fakes(), write(t, "disk.dd", partitions("LIST\x01C")))
	c, err := list(t, s)[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(nil); err == nil || !strings.Contains(err.Error(), "reader failed: decoder") {
		t.Errorf("read: %v", err)
	}
	if err := c.Close(); err == nil {
		t.Error("close did not report the panic")
	}
}

func TestErrorsAndPanicsOfVisitAreItsOwn(t *testing.T) {
	s := opened(t, fakes(), write(t, "disk.dd", partitions("LIST\x05", "LIST\x05")))
	stop, visits := errors.New("stop"), 0
	err := s.Walk(context.Background(), evidence.Limits{}, func(*evidence.Entry) error {
		if visits++; visits == 7 {
			return stop
		}
		return nil
	})
	if err != stop || visits != 7 {
		t.Errorf("%v after %d visits", err, visits)
	}
	ctx, cancel := context.WithCancel(context.Background())
	err = s.Walk(ctx, evidence.Limits{}, func(*evidence.Entry) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	defer func() {
		if cause := recover(); cause != "a bug of the scan" {
			t.Errorf("recovered %v", cause)
		}
	}()
	s.Walk(context.Background(), evidence.Limits{}, func(*evidence.Entry) error { panic("a bug of the scan") })
}

func TestBareFileSystem(t *testing.T) {
	s := opened(t, fakes(), write(t, "no extension", []byte("LIST\x01 and so on, A")))
	entries := expect(t, s, "|file /0 1")
	if want := []tutela.Locator{{Layer: "raw", At: "no extension"}, {Layer: "fake", At: "0"}}; !slices.Equal(entries[0].Chain, want) {
		t.Errorf("chain %v", entries[0].Chain)
	}
}

func TestWhatAPathIs(t *testing.T) {
	dir := t.TempDir()
	put := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	photo, blank, aff := put("photo.jpg", "\xff\xd8\xff"), put("blank.img", strings.Repeat("\x00", 8192)), put("disk.aff", "AFF10\r\n\x00")
	put("split.001", "LIST\x01")
	put("split.002", strings.Repeat("x", 20))
	sub := filepath.Join(dir, "sub")
	os.Mkdir(sub, 0o700)
	put("sub/disk.dd", "not opened in here")

	s := opened(t, fakes(), photo, blank, aff, filepath.Join(dir, "split.001"), sub)
	entries := expect(t, s,
		"|file /photo.jpg 3",
		"|volume / 8192 unsupported",
		"|volume / 8 unsupported",
		"|file /0 1",
		"|file /disk.dd 18")
	for i, want := range []tutela.Locator{{Layer: "file", At: "photo.jpg"}, {Layer: "raw", At: "blank.img"}, {Layer: "container", At: "disk.aff"}, {Layer: "split-raw", At: "split.001+2"}, {Layer: "folder", At: "sub"}} {
		if entries[i].Chain[0] != want {
			t.Errorf("chain %v, want %v first", entries[i].Chain, want)
		}
	}
	if detail := entries[2].Findings[0].Detail; detail != "aff: no reader in this version" {
		t.Errorf("container: %q", detail)
	}
	kinds := ""
	for _, src := range s.Describe() {
		kinds += src.Kind + " "
	}
	if kinds != "file image container image folder " {
		t.Errorf("kinds %s", kinds)
	}
}

func TestOpenFails(t *testing.T) {
	if _, err := Open([]string{t.TempDir(), "/does/not/exist"}, Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing path: %v", err)
	}
	path := write(t, "d.001", nil)
	os.WriteFile(strings.TrimSuffix(path, "1")+"3", nil, 0o600)
	if _, err := Open([]string{path}, Options{}); err == nil || !strings.Contains(err.Error(), "d.002") {
		t.Errorf("missing part: %v", err)
	}
	if s, err := Open(nil, Options{}); err != nil || s.Close() != nil {
		t.Errorf("nothing at all: %v", err)
	}
}

func TestTruncatedImageListsWhatIsThere(t *testing.T) {
	disk := partitions("LIST\x01", "LIST\x01", "LIST\x01")
	s := opened(t, fakes(), write(t, "disk.dd", disk[:4096+8192+2048]))
	expect(t, s,
		"1|file /0 1",
		"2|volume / 2048 truncated", "2|file /0 1",
		"3|volume / 0 truncated unsupported",
		"|gap /$Gap/0+4096 4096", "|gap /$Gap/8192+4096 4096")
}

func TestTableFindingsHaveAnEntry(t *testing.T) {
	disk := partitions("LIST\x01")
	raw := disk[446+16:] // an extended partition without a record
	raw[4], raw[8], raw[12] = 0x05, 40, 8
	s := opened(t, fakes(), write(t, "disk.dd", disk))
	expect(t, s, "|volume / 65536 damaged", "1|file /0 1", "|gap /$Gap/0+4096 4096", "|gap /$Gap/8192+57344 57344")
}

func TestFileSystemThatThePartitionsDoNotMention(t *testing.T) {
	disk := partitions("x")
	copy(disk[32<<10:], "LIST\x01")
	s := opened(t, fakes(), write(t, "disk.dd", disk))
	expect(t, s, "|volume / 65536 damaged", "|file /0 1", "1|volume / 4096 unsupported", "|gap /$Gap/0+4096 4096", "|gap /$Gap/8192+57344 57344")

	disk = partitions("x")
	copy(disk, "XFSB\x00\x00")
	s = opened(t, fakes(), write(t, "disk.dd", disk))
	entries := expect(t, s, "|volume / 65536 damaged", "1|volume / 4096 unsupported", "|gap /$Gap/0+4096 4096", "|gap /$Gap/8192+57344 57344")
	if got := entries[0].Findings[0].Detail; !strings.Contains(got, "begins like xfs") {
		t.Errorf("finding %q", got)
	}
}

func TestDescribe(t *testing.T) {
	s := opened(t, fakes(), write(t, "disk.dd", partitions("LIST\x01", "SPQR")))
	got := s.Describe()[0]
	if got.Kind != "image" || got.Size != 65536 || got.Scheme != "mbr" || got.SectorSize != 512 || len(got.Gaps) != 3 {
		t.Errorf("%+v", got)
	}
	want := []Volume{
		{Number: 1, Offset: 4096, Length: 4096, Type: "07 NTFS/exFAT", FileSystem: "fake", Listed: true},
		{Number: 2, Offset: 12288, Length: 4096, Type: "07 NTFS/exFAT", FileSystem: "unknown", Findings: []tutela.Finding{{Code: tutela.FindingUnsupported, Detail: "unknown: no file system was recognised"}}},
	}
	want[0].Findings = got.Volumes[0].Findings
	if len(want[0].Findings) != 0 || !reflect.DeepEqual(got.Volumes, want) {
		t.Errorf("volumes %+v", got.Volumes)
	}
}

// unreadable is a source whose first bytes cannot be read.
type unreadable struct{ size int64 }

func (u unreadable) Size() int64 { return u.size }
func (u unreadable) ReadAt(p []byte, off int64) (int, error) {
	return 0, &evidence.ReadError{Run: tutela.Run{Offset: off, Length: int64(len(p))}, Err: errors.New("input/output error")}
}

func TestUnreadableImage(t *testing.T) {
	m := &medium{src: unreadable{4096}, size: 4096, chain: []tutela.Locator{{Layer: "raw", At: "x"}}, options: Options{Host: here{}}}
	m.examine()
	expect(t, &Survey{sources: []source{m}}, "|volume / 4096 read-error")
}

// FuzzWalk holds the survey of any disk against what the package promises.
func FuzzWalk(f *testing.F) {
	f.Add(partitions("LIST\x02", "XFSB\x00\x00", "LIST\x01P")[:24<<10])
	f.Add(partitions("BUST", "BOOM")[:16<<10])
	f.Add([]byte("LIST\x03E"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		m := &medium{src: sourceOf(b), size: int64(len(b)), chain: []tutela.Locator{{Layer: "raw", At: "x"}}, options: fakes()}
		m.examine()
		s := &Survey{sources: []source{m}}
		entries := list(t, s)
		if len(entries) == 0 && !m.volumes[0].Listed { // a reader may know that a volume is empty
			t.Fatal("an empty listing")
		}
		for _, e := range entries {
			for _, r := range e.Runs {
				if e.Kind == tutela.Gap && (r.Offset < 0 || r.Length <= 0 || r.Offset+r.Length > m.size) {
					t.Errorf("%s: run %v in %d bytes", outline(e), r, m.size)
				}
			}
			if len(e.Chain) == 0 || e.Kind == tutela.Volume && len(e.Findings) == 0 {
				t.Errorf("%s: no chain, or no reason", outline(e))
			}
		}
		if again := list(t, s); !slices.Equal(outlines(again), outlines(entries)) {
			t.Error("two walks differ")
		}
	})
}
