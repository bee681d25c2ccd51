package iso_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/filesystem/iso"
	"tutela/internal/evidencetest"
)

func newSource(b []byte) evidence.Source { return evidencetest.Source(b) }

func readImage(t testing.TB, name string) []byte { return evidencetest.Image(t, "testdata/"+name) }

func openAny(src evidence.Source) (evidence.FileSystem, error) {
	fs, err := iso.Open(src)
	if err != nil {
		return nil, err
	}
	return fs, nil
}

func list(t testing.TB, image []byte) string {
	t.Helper()
	fs, err := iso.Open(newSource(image))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	err = fs.Walk(context.Background(), evidence.Limits{}, func(e *evidence.Entry) error {
		writeLine(&b, e)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// writeLine writes one entry as the golden files hold it: path, kind, size,
// SHA-256, times, locator and findings.
func writeLine(b *strings.Builder, e *evidence.Entry) {
	fmt.Fprintf(b, "%s\t%s\t%d\t%s\t%s\t%s@%s", tutela.DisplayPath(e.Path), e.Kind, e.Size, digest(e), times(e.Times), e.Chain[0].Layer, e.Chain[0].At)
	for _, f := range e.Findings {
		fmt.Fprintf(b, "\t%s", f)
	}
	b.WriteByte('\n')
}

func digest(e *evidence.Entry) string {
	if e.Open == nil {
		return "-"
	}
	c, err := e.Open()
	if err != nil {
		return "open: " + err.Error()
	}
	defer c.Close()
	h := sha256.New()
	n, err := io.Copy(h, c)
	if err != nil {
		return fmt.Sprintf("%d bytes, then: %v", n, err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

func times(t tutela.Times) string {
	if t.Modified.IsZero() {
		return "-"
	}
	return t.Modified.Format("2006-01-02T15:04:05Z07:00")
}

func images() []string {
	return []string{"rockridge.iso", "plain.iso", "both.iso", "joliet.iso", "zisofs.iso", "multi.iso"}
}

func TestListingsMatchGolden(t *testing.T) {
	for _, name := range images() {
		t.Run(name, func(t *testing.T) { evidencetest.Golden(t, name, openAny, readImage(t, name)) })
	}
}

// TestMutants damages images where descriptors and directories lie.
func TestMutants(t *testing.T) {
	for _, name := range images() {
		image := readImage(t, name)
		evidencetest.Mutants(t, openAny, image, tutela.Run{Offset: 32 << 10, Length: 64 << 10})
	}
}

func TestOpenRefusesOtherBytes(t *testing.T) {
	for _, size := range []int{0, 6, 32768, 32769, 40000} {
		if _, err := iso.Open(newSource(make([]byte, size))); !errors.Is(err, evidence.ErrNotThis) {
			t.Errorf("%d zero bytes: got %v, want ErrNotThis", size, err)
		}
	}
}

// The Sleuth Kit is an oracle for content, not for names: it shows the ISO
// identifiers of this disc, lists the link and the placeholder of a relocated
// directory as empty files, and shows that directory in the root.
func TestContentAgreesWithSleuthKit(t *testing.T) {
	tsv, err := os.ReadFile("testdata/rockridge.iso.tsk.tsv")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{}
	for line := range strings.Lines(string(tsv)) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		if f[1] != "LINK" && f[1] != "DEEP/A/B/C/D/E/F/G" {
			want[f[2]+" "+f[3]]++
		}
	}
	got := map[string]int{}
	for line := range strings.Lines(list(t, readImage(t, "rockridge.iso"))) {
		if f := strings.Split(line, "\t"); f[1] == "file" {
			got[f[2]+" "+f[3]]++
		}
	}
	if !maps.Equal(got, want) || len(got) == 0 {
		t.Errorf("sizes and digests differ: got %v, want %v", got, want)
	}
}

func TestHostileAndRareStructures(t *testing.T) {
	for _, tc := range []struct {
		name  string
		build func() *disc
		want  string
	}{
		{"a directory that holds its parent", func() *disc {
			d := newDisc(24)
			d.directory(rootAt, "", entry("SUB", 21, sector, directory, ""))
			d.directory(21, "", entry("UP", rootAt, sector, directory, ""), entry("A.;1", 22, 3, 0, ""))
			copy(d.sector(22), "abc")
			return d
		}, "/SUB/UP\tdirectory\t0\t-\t-\tiso9660@record @ 43076\tloop: sector 20 belongs to a directory that was listed before\n" +
			"/SUB/A\tfile\t3\tba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\t2024-02-03T03:05:06Z\tiso9660@record @ 43112\n"},
		{"a file in two extents", func() *disc {
			d := newDisc(25)
			d.directory(rootAt, "", entry("TWO.BIN;1", 22, sector, more, ""), entry("TWO.BIN;1", 24, 3, 0, ""))
			copy(d.sector(24), "abc")
			return d
		}, "/TWO.BIN\tfile\t2051\tfb90de47a14cb6af88c23f86f89ae799d00dcbc3d7b1662af791c5ebf3caf4c6\t2024-02-03T03:05:06Z\tiso9660@record @ 41028\n"},
		{"a file whose last extent is not recorded", func() *disc {
			d := newDisc(25)
			d.directory(rootAt, "", entry("ONE", 22, 0, more, ""), entry("TWO", 22, 0, 0, ""))
			return d
		}, "/ONE\tfile\t0\te3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\t2024-02-03T03:05:06Z\tiso9660@record @ 41028\tdamaged: the last of its extents is not recorded\n" +
			"/TWO\tfile\t0\te3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\t2024-02-03T03:05:06Z\tiso9660@record @ 41064\n"},
		{"a file that runs beyond the image", func() *disc {
			d := newDisc(23)
			d.directory(rootAt, "", entry("LONG", 22, 4<<20, 0, ""))
			return d
		}, "/LONG\tfile\t4194304\t2048 bytes, then: read at byte 47104: the image ends before the file does: unexpected EOF\t2024-02-03T03:05:06Z\tiso9660@record @ 41028\ttruncated: 4192256 of 4194304 bytes lie beyond the end of the image\n"},
		{"a directory beyond the image", func() *disc {
			d := newDisc(23)
			d.directory(rootAt, "", entry("FAR", 1<<30, 4<<20, directory, ""))
			return d
		}, "/FAR\tdirectory\t0\t-\t-\tiso9660@record @ 41028\ttruncated: the image ends before this directory does, at byte 2199023255552\n"},
		{"an associated file", func() *disc {
			d := newDisc(23)
			d.directory(rootAt, "", entry("A;1", 22, 0, 1<<2|1, ""))
			return d
		}, "/A:associated\tfile\t0\te3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\t2024-02-03T03:05:06Z\tiso9660@record @ 41028\n"},
		{"an interleaved file", func() *disc {
			d := newDisc(23)
			r := []byte(entry("I", 22, 0, 0, ""))
			r[26], r[27] = 1, 1
			d.directory(rootAt, "", string(r))
			return d
		}, "/I\tfile\t0\topen: iso 9660: interleaved file: not supported\t2024-02-03T03:05:06Z\tiso9660@record @ 41028\tunsupported: iso 9660: interleaved file: not supported\n"},
		{"two byte orders that disagree", func() *disc {
			d := newDisc(23)
			r := []byte(entry("D", 22, 0, 0, ""))
			r[9]++
			d.directory(rootAt, "", string(r))
			return d
		}, "/D\tfile\t0\te3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\t2024-02-03T03:05:06Z\tiso9660@record @ 41028\tdamaged: location and length differ between the two byte orders; little-endian was read\n"},
		{"a record shorter than its head", func() *disc {
			d := newDisc(23)
			d.directory(rootAt, "", "\x14", entry("LOST", 22, 0, 0, ""))
			return d
		}, "/\tdirectory\t0\t-\t-\tiso9660@record @ 32924\tdamaged: at byte 41028: directory record does not hold together; the rest of the sector was left\n"},
		{"relocated, but nothing links to it", func() *disc {
			d := newDisc(24)
			d.directory(rootAt, rockRoot(), entry("RR", 21, sector, directory, field("RE", "")))
			d.directory(21, "", entry("A", 22, 0, 0, field("NM", "\x01long")+field("NM", "\x00er")))
			return d
		}, "/RR/longer\tfile\t0\te3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\t2024-02-03T03:05:06Z\trockridge@record @ 43076\n" +
			"/RR\tdirectory\t0\t-\t-\trockridge@record @ 41053\tdamaged: rock ridge: marked as relocated, but nothing links to it\n"},
		{"a link to a relocated directory that is not there", func() *disc {
			d := newDisc(24)
			d.directory(rootAt, rockRoot(), entry("C", 23, 0, 0, field("CL", both32(22))))
			return d
		}, "/C\tdirectory\t0\t-\t-\trockridge@record @ 41053\tdamaged: rock ridge: no relocated directory at byte 45056\n"},
		{"a continuation area that continues in itself", func() *disc {
			d := newDisc(24)
			ce := field("CE", both32(22)+both32(0)+both32(28))
			d.directory(rootAt, rockRoot(), entry("A", 23, 0, 0, ce))
			copy(d.sector(22), ce)
			return d
		}, "/A\tfile\t0\te3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\t2024-02-03T03:05:06Z\trockridge@record @ 41053\tdamaged: rock ridge: a continuation area lies outside the image or refers to itself\n"},
		{"times in long form", func() *disc {
			d := newDisc(24)
			d.directory(rootAt, rockRoot(), entry("A", 23, 0, 0, field("TF", "\x82"+"2001020304050607\xfc")))
			return d
		}, "/A\tfile\t0\te3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\t2001-02-03T05:05:06Z\trockridge@record @ 41053\n"},
		{"a device, a socket and a link of every component", func() *disc {
			d := newDisc(24)
			link := "\x00" + "\x08\x00" + "\x04\x00" + "\x01\x02ab" + "\x00\x01c" + "\x02\x00"
			d.directory(rootAt, rockRoot(),
				entry("D", 23, 0, 0, field("PX", both32(0o060600))),
				entry("S", 23, 0, 0, field("PX", both32(0o140600))),
				entry("L", 23, 0, 0, field("PX", both32(0o120777))+field("SL", link)))
			return d
		}, "/D\tdevice\t0\t-\t2024-02-03T03:05:06Z\trockridge@record @ 41053\tnot-a-file: device\n" +
			"/S\tsocket\t0\t-\t2024-02-03T03:05:06Z\trockridge@record @ 41099\tnot-a-file: socket\n" +
			"/L\tsymlink\t0\t-\t2024-02-03T03:05:06Z\trockridge@record @ 41145\tnot-a-file: symlink to /../abc/.\n"},
		{"rock ridge behind the fields of CD-ROM XA", func() *disc {
			d := newDisc(24)
			xa := strings.Repeat("\x00", 14)
			root := xa + field("SP", "\xbe\xef\x0e") + field("ER", "\x0a\x00\x00\x01RRIP_1991A")
			d.directory(rootAt, root, entry("A", 23, 0, 0, xa+field("NM", "\x00lower")))
			return d
		}, "/lower\tfile\t0\te3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\t2024-02-03T03:05:06Z\trockridge@record @ 41067\n"},
		{"no terminator", func() *disc {
			d := newDisc(24)
			clear(d.sector(17))
			d.directory(rootAt, "")
			return d
		}, "/\tdirectory\t0\t-\t-\tiso9660@volume\tdamaged: the volume descriptor set has no terminator\n"},
		{"two primary descriptors and a block size that is none", func() *disc {
			d := newDisc(24)
			d.sector(16)[129] = 7
			copy(d.sector(18), d.sector(17))
			copy(d.sector(17), d.sector(16))
			d.directory(rootAt, "")
			return d
		}, "/\tdirectory\t0\t-\t-\tiso9660@volume\tdamaged: iso9660: logical block size 1792, read as 2048\t" +
			"damaged: iso9660: logical block size 1792, read as 2048\tdamaged: 2 primary volume descriptors at sector 16; the first one's tree is preferred\n"},
		{"a session behind the end", func() *disc {
			d, late := newDisc(24), newDisc(64)
			binary.LittleEndian.PutUint32(d.sector(16)[80:], 24)
			copy(late.b, d.b)
			d = late
			copy(d.sector(40), d.sector(16))
			copy(d.sector(40)[156:], entry("\x00", 50, sector, directory, ""))
			copy(d.sector(41), d.sector(17))
			d.directory(rootAt, "", entry("OLD", 22, 3, 0, ""))
			d.directory(50, "", entry("OLD", 22, 3, 0, ""), entry("NEW", 52, 0, 0, ""), entry("NEWER", 52, 3, 0, ""))
			copy(d.sector(22), "abc")
			copy(d.sector(52), "abc")
			return d
		}, "/OLD\tfile\t3\tba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\t2024-02-03T03:05:06Z\tiso9660@record @ 41028\n" +
			"/NEW\tfile\t0\te3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\t2024-02-03T03:05:06Z\tiso9660@record @ 102504\tdamaged: the trees do not agree: only iso9660 of the descriptors at sector 40 lists it\n" +
			"/NEWER\tfile\t3\tba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\t2024-02-03T03:05:06Z\tiso9660@record @ 102540\tdamaged: the trees do not agree: only iso9660 of the descriptors at sector 40 lists it\n"},
		{"a name no file system allows", func() *disc {
			d := newDisc(24)
			d.directory(rootAt, rockRoot(), entry("A", 23, 0, 0, field("NM", "\x00../x")))
			return d
		}, "/../x\tfile\t0\te3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\t2024-02-03T03:05:06Z\trockridge@record @ 41053\tdamaged: no file system allows this name\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := list(t, tc.build().b); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

func TestUDFBridgeIsReported(t *testing.T) {
	d := newDisc(24)
	copy(d.sector(18), "\x00BEA01\x01")
	d.directory(rootAt, "")
	want := "/\tdirectory\t0\t-\t-\tiso9660@volume\tunsupported: udf: a second file system is declared at sector 18 and not read\n"
	if got := list(t, d.b); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestLongPathsAreCut(t *testing.T) {
	d := newDisc(23)
	d.directory(rootAt, "", entry("ABCDEF", 21, sector, directory, ""), entry("FILE", 22, 0, 0, ""))
	fs, err := iso.Open(newSource(d.b))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	err = fs.Walk(context.Background(), evidence.Limits{NameBytes: 5}, func(e *evidence.Entry) error {
		got = append(got, fmt.Sprintf("%s %s %v", e.Path, e.Kind, e.Findings))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"/ABCD directory [limit: the path has more than 5 bytes; it was cut and the content left]",
		"/FILE file []",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWalkStops(t *testing.T) {
	fs, err := iso.Open(newSource(readImage(t, "rockridge.iso")))
	if err != nil {
		t.Fatal(err)
	}
	stop := errors.New("stop")
	if err := fs.Walk(context.Background(), evidence.Limits{}, func(*evidence.Entry) error { return stop }); err != stop {
		t.Errorf("error of visit came back as %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := fs.Walk(ctx, evidence.Limits{}, func(*evidence.Entry) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("walk under an ended context: got %v", err)
	}
}

func TestRunsHoldTheContent(t *testing.T) {
	image := readImage(t, "rockridge.iso")
	fs, err := iso.Open(newSource(image))
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	err = fs.Walk(context.Background(), evidence.Limits{}, func(e *evidence.Entry) error {
		if e.Kind != tutela.File {
			return nil
		}
		files++
		var fromRuns []byte
		for _, r := range e.Runs {
			fromRuns = append(fromRuns, image[r.Offset:r.Offset+r.Length]...)
		}
		content, err := e.Open()
		if err != nil {
			return err
		}
		whole := make([]byte, e.Size)
		if _, err := content.(io.ReaderAt).ReadAt(whole, 0); err != nil && err != io.EOF {
			return err
		}
		if !bytes.Equal(whole, fromRuns) {
			t.Errorf("%s: runs and content differ", e.Path)
		}
		return nil
	})
	if err != nil || files == 0 {
		t.Fatalf("%d files, error %v", files, err)
	}
}

func TestOpenSaysWhatIsBroken(t *testing.T) {
	d := newDisc(24)
	clear(d.sector(16)[156:190])
	if _, err := iso.Open(newSource(d.b)); err == nil || errors.Is(err, evidence.ErrNotThis) {
		t.Errorf("a descriptor without a root directory: got %v", err)
	}
}

// Every supplementary descriptor may bring a tree of its own over the same
// sectors. The work must follow the size of the image, not their number.
func TestTreesAreBounded(t *testing.T) {
	const trees = 60
	d := newDisc(200)
	for i := range trees {
		svd := d.sector(17 + i)
		copy(svd, d.sector(16))
		svd[0] = 2
		copy(svd[156:], entry("\x00", 100+i, (100-i)*sector, directory, ""))
	}
	copy(d.sector(17+trees), "\xffCD001\x01")
	copy(d.sector(16)[156:], entry("\x00", 99, 101*sector, directory, ""))
	for i := range 101 {
		copy(d.sector(99+i), entry("F", 0, 0, 0, ""))
	}
	got := list(t, d.b)
	if !strings.Contains(got, "limit: the trees of this disc") || strings.Count(got, "\n") > 400 {
		t.Errorf("got\n%s", got)
	}
}
