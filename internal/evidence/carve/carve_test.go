package carve

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

// whole looks through all of a source.
func whole(src evidence.Source) (evidence.FileSystem, error) {
	return New(src, []tutela.Run{{Length: src.Size()}}), nil
}

// disk is filler with files put in at sectors, and what must be found there.
type disk struct {
	bytes []byte
	want  []string
}

func row(at int64, ext string, b []byte) string {
	return fmt.Sprintf("$Carved/%012d.%s\t%d\t%x", at, ext, len(b), sha256.Sum256(b))
}

// put appends a file, the rest of its last cluster, and some free space.
func (d *disk) put(s sample, between []byte) {
	d.want = append(d.want, row(int64(len(d.bytes)), s.ext, s.bytes))
	d.bytes = append(append(d.bytes, s.bytes...), between...)
	d.bytes = append(d.bytes, make([]byte, -len(d.bytes)&(sector-1))...)
}

func carved(t testing.TB, image []byte) []string {
	t.Helper()
	src := evidencetest.Source(image)
	fs, _ := whole(src)
	return rows(t, src, evidencetest.List(t, fs))
}

func rows(t testing.TB, src evidence.Source, all []evidencetest.Entry) (rows []string) {
	t.Helper()
	evidencetest.InPlace(t, src, all)
	for i := range all {
		row := all[i].Row()
		for _, f := range all[i].Findings {
			if f.Code != tutela.FindingAssumed {
				row += "\t" + f.String()
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func same(t *testing.T, got, want []string) {
	t.Helper()
	for _, row := range want {
		if !slices.Contains(got, row) {
			t.Errorf("missing: %s", row)
		}
	}
	for _, row := range got {
		if !slices.Contains(want, row) {
			t.Errorf("not there: %s", row)
		}
	}
	if len(got) == len(want) && !slices.Equal(got, want) {
		t.Errorf("out of order: %s", strings.Join(got, "\n"))
	}
}

// Every format, with each kind of filler behind it: zeros, noise, the byte of
// erased flash, text, and nothing.
func TestEveryFormat(t *testing.T) {
	fillers := map[string][]byte{
		"zeros":  make([]byte, 3*sector),
		"noise":  noise(5*sector+100, 1),
		"erased": bytes.Repeat([]byte{0xff}, 2*sector),
		"text":   bytes.Repeat([]byte("what was here before\n"), 70),
		"none":   nil,
	}
	for name, filler := range fillers {
		t.Run(name, func(t *testing.T) {
			var d disk
			for _, s := range append(samples(t), publicSamples(t)...) {
				d.put(s, filler)
			}
			same(t, carved(t, d.bytes), d.want)
		})
	}
}

// The files of whole volumes, among the structures of their file systems, held
// against what was written to them. Some lie there in pieces.
func TestImages(t *testing.T) {
	endings := []string{".jpg", ".png", ".tiff", ".zip", ".pdf", ".xlsx", ".docx", ".pptx"}
	for image, pieces := range map[string]int{
		"fat16.dd": 0, "fat32.dd": 0, "exfat.dd": 0, "mbr_fat16.dd": 0, "ext4.dd": 0, "hfs+.dd": 0, "gpt_apfs.dd": 0, "ntfs.dd": 1, "ext2.dd": 7,
	} {
		t.Run(image, func(t *testing.T) {
			found, known, missing := map[string]bool{}, map[string]bool{}, 0
			for _, row := range carved(t, evidencetest.Image(t, "fslib/"+image)) {
				if cells := strings.Split(row, "\t"); len(cells) == 3 {
					found[cells[2]] = true
				}
			}
			for _, row := range evidencetest.GroundTruth(t) {
				cells := strings.Split(row, "\t")
				known[cells[2]] = true
				if slices.Contains(endings, filepath.Ext(cells[0])) && !found[cells[2]] {
					missing++
				}
			}
			if missing != pieces {
				t.Errorf("%d files not found, want %d", missing, pieces)
			}
			for digest := range found {
				if !known[digest] {
					t.Errorf("not the bytes of any file: %s", digest)
				}
			}
		})
	}
}

// A file that ends with the free space is whole; one byte less, and it is not.
func TestEnd(t *testing.T) {
	for _, s := range samples(t) {
		t.Run(s.name, func(t *testing.T) {
			same(t, carved(t, s.bytes), []string{row(0, s.ext, s.bytes)})
			cut := s.bytes[:len(s.bytes)-1]
			for _, got := range carved(t, cut) {
				if !strings.Contains(got, tutela.FindingTruncated) && s.ext != "pdf" && s.name != "live.webm" && s.name != "motion.jpg" && s.name != "samsung.jpg" {
					t.Errorf("a cut file is called whole: %s", got)
				}
			}
		})
	}
}

// Blocks, sectors and stretches begin anywhere; headers count only at sectors of
// the stretch.
func TestStretches(t *testing.T) {
	image := noise(3<<20, 2)
	a, b, c := named(t, "drawn.jpg"), named(t, "drawn.png"), named(t, "drawn.gif")
	copy(image[100:], a.bytes)                    // the beginning of a stretch that is at no sector
	copy(image[200_000+10*sector:], b.bytes)      // counted from the beginning of its stretch
	copy(image[200_000+80*sector+7:], b.bytes)    // at no sector
	copy(image[1<<20+200_000-3*sector:], b.bytes) // across a block
	copy(image[2<<20:], c.bytes)                  // reaches out of its stretch
	src := evidencetest.Source(image)
	fs := New(src, []tutela.Run{
		{Offset: 200_000, Length: 500_000}, {Offset: 2 << 20, Length: int64(len(c.bytes)) - 1},
		{Offset: 100, Length: int64(len(a.bytes))}, {Offset: 700_000, Length: 1<<20 - 400_000},
		{Offset: 700_000, Length: 50_000}, {Offset: -5, Length: 10}, {Offset: 1 << 40, Length: 1 << 40}, {Offset: 5},
	})
	same(t, rows(t, src, evidencetest.List(t, fs)), []string{
		row(100, "jpg", a.bytes), row(200_000+10*sector, "png", b.bytes), row(1<<20+200_000-3*sector, "png", b.bytes),
	})
}

// What is no file must not be found: noise, and every sector of noise with the
// first bytes of a format.
func TestNoise(t *testing.T) {
	size := 32 << 20
	if testing.Short() {
		size = 4 << 20
	}
	image := noise(size, 3)
	same(t, carved(t, image), nil)
	rng := rand.New(rand.NewPCG(4, 4))
	all := samples(t)
	image = image[:4<<20]
	for at := 0; at < len(image); at += sector {
		head := all[rng.IntN(len(all))].bytes
		copy(image[at:], head[:4+rng.IntN(16)])
	}
	same(t, carved(t, image), nil)
}

// A picture that breaks off is given up to there, never as whole.
func TestBroken(t *testing.T) {
	picture := drawJPEG(t, 300, 300)
	other := drawPNG(t, 50, 50)
	at := len(picture) / 2 &^ (sector - 1)
	broken := func(why string) string {
		return fmt.Sprintf("%s\ttruncated: the picture breaks off at byte %d: %s", row(0, "jpg", picture[:at]), at, why)
	}
	for name, c := range map[string]struct {
		behind []byte
		want   []string
	}{
		"end":   {nil, []string{broken("the free space ends")}},
		"zeros": {make([]byte, 300<<10), []string{broken("what follows is not of the picture")}},
		"noise": {noise(100<<10, 4), []string{broken("what follows is not of the picture")}},
		"jpeg": {picture, []string{
			broken("what follows is not of the picture"), row(int64(at), "jpg", picture),
		}},
		"png": {other, []string{
			broken("what follows is not of the picture"), row(int64(at), "png", other),
		}},
		"too short": {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			kept := picture[:at:at]
			if name == "too short" {
				kept = kept[:leastBroken-1]
			}
			if kept[len(kept)-1] == 0 {
				t.Fatal("the example ends with a zero")
			}
			same(t, carved(t, append(kept, c.behind...)), c.want)
		})
	}
}

// The first half of one picture and the second of another are not a picture,
// although every marker is in its place.
func TestHalves(t *testing.T) {
	a, b := drawJPEG(t, 300, 300), drawJPEG(t, 280, 300)
	at := len(a) / 2 &^ (sector - 1)
	got := carved(t, slices.Concat(a[:at], b[at:]))
	if len(got) != 1 || !strings.Contains(got[0], tutela.FindingTruncated) {
		t.Errorf("got %q", got)
	}
}

// Where codes are not followed, a broken picture may run into the file that
// begins behind it, which ends it.
func TestHeld(t *testing.T) {
	picture, other := file(t, "testdata/arithmetic.jpg"), file(t, "testdata/lossless.webp")
	scan := bytes.LastIndex(picture, []byte{0xff, markerSOS}) + 10
	long := slices.Concat(picture[:scan], bytes.Repeat([]byte{0x12, 0x34, 0x56, 0x78, 0x9a}, 4000))
	at := len(long) &^ (sector - 1)
	same(t, carved(t, slices.Concat(long[:at], other, make([]byte, 5000))), []string{
		row(0, "jpg", long[:at]) + "\ttruncated: another file begins in it", row(int64(at), "webp", other),
	})
}

// damagedSource cannot be read in a few places.
type damagedSource struct {
	evidence.Source
	bad   []tutela.Run
	shift int64 // between the places here and those that errors tell
}

func (d damagedSource) ReadAt(p []byte, off int64) (int, error) {
	for _, r := range d.bad {
		if off < end(r) && off+int64(len(p)) > r.Offset {
			n, _ := d.Source.ReadAt(p[:max(r.Offset-off, 0)], off)
			return n, &evidence.ReadError{Run: tutela.Run{Offset: r.Offset + d.shift, Length: r.Length}, Err: errors.New("bad sector")}
		}
	}
	return d.Source.ReadAt(p, off)
}

// What cannot be read is told, the rest is looked through, also where the error
// tells the place as a layer below knows it.
func TestReadErrors(t *testing.T) {
	picture, photo := named(t, "drawn.png"), drawJPEG(t, 300, 300)
	for _, shift := range []int64{0, 1 << 30} {
		image := make([]byte, 3<<20)
		copy(image, picture.bytes)
		copy(image[100*sector:], photo)
		copy(image[2<<20:], picture.bytes)
		bad := []tutela.Run{{Offset: 120 * sector, Length: 4096}, {Offset: 1 << 20, Length: 300 << 10}}
		src := damagedSource{evidencetest.Source(image), bad, shift}
		fs, _ := whole(src)
		var got []string
		err := fs.Walk(t.Context(), evidence.Limits{}, func(e *evidence.Entry) error {
			got = append(got, fmt.Sprint(string(e.Path), " ", e.Size, " ", e.Findings))
			return nil
		})
		want := []string{
			fmt.Sprint("/$Carved/000000000000.png ", len(picture.bytes), " []"),
			fmt.Sprint("/$Carved/000000051200.jpg ", 20*sector, " [truncated: the picture breaks off at byte 10240: the source cannot be read]"),
			fmt.Sprint("/$Carved/000002097152.png ", len(picture.bytes), " []"),
			"/ 0 [read-error: carving: bytes 61440 to 65535 could not be read; no file was looked for in them " +
				"read-error: carving: bytes 1048576 to 1355775 could not be read; no file was looked for in them]",
		}
		if err != nil || shift == 0 && !slices.Equal(got, want) || len(got) != len(want) || !slices.Equal(got[:3], want[:3]) {
			t.Errorf("%v\n%s", err, strings.Join(got, "\n"))
		}
	}
	broken := errors.New("the pipe is gone")
	fs, _ := whole(failing{evidencetest.Source(make([]byte, 5000)), broken})
	if err := fs.Walk(t.Context(), evidence.Limits{}, nil); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

type failing struct {
	evidence.Source
	err error
}

func (f failing) ReadAt([]byte, int64) (int, error) { return 0, f.err }

// counting counts the bytes that are read.
type counting struct {
	evidence.Source
	read *int64
}

func (c counting) ReadAt(p []byte, off int64) (int, error) {
	*c.read += int64(len(p))
	return c.Source.ReadAt(p, off)
}

// Headers that lead far and nowhere, at every sector, cost no more than a few
// passes over all of it, and "/" says that some were passed over.
func TestLinear(t *testing.T) {
	const size = 32 << 20
	streamed := append([]byte("PK\x03\x04\x14\x00\x08\x00\x00\x00"), make([]byte, 16)...)
	streamed = append(streamed, 1, 0, 0, 0, 'a')
	for name, head := range map[string][]byte{
		"boxes":    slices.Concat(drawBox("ftyp", []byte("isom\x00\x00\x00\x00isom")), binary.BigEndian.AppendUint32(nil, 1<<20-24), []byte("mdat")),
		"streamed": streamed,
		"pdf":      []byte("%PDF-1.4\n1 0 obj\n<<>>\nendobj\n"),
		"jpeg":     drawJPEG(t, 2000, 2000)[:650],
	} {
		t.Run(name, func(t *testing.T) {
			image := bytes.Repeat([]byte("filler\n"), size/7+1)[:size]
			for at := 0; at+2*sector < size; at += 2 * sector {
				copy(image[at:], head)
			}
			var read int64
			src := counting{evidencetest.Source(image), &read}
			fs, _ := whole(src)
			began := time.Now()
			err := fs.Walk(t.Context(), evidence.Limits{}, func(*evidence.Entry) error { return nil })
			t.Logf("%d MiB read in %v", read>>20, time.Since(began))
			if err != nil || read > 4*size+2*vain {
				t.Errorf("%v, %d bytes read of %d", err, read, size)
			}
		})
	}
}

// A second picture that is missing does not take the first away.
func TestMissingPicture(t *testing.T) {
	pair := pairOfPictures(t)
	cut := pair[:len(pair)-20]
	got := carved(t, append(cut, make([]byte, 10000)...))
	if len(got) != 1 || !strings.Contains(got[0], "truncated: a further picture") {
		t.Errorf("got %q", got)
	}
}

// Every changed byte is noticed where a format has checksums.
func TestDamaged(t *testing.T) {
	picture := drawPNG(t, 60, 45)
	for at := range picture {
		picture[at] ^= 0x10
		if got := carved(t, picture); got != nil {
			t.Fatalf("byte %d changed: %q", at, got)
		}
		picture[at] ^= 0x10
	}
}

func TestLimit(t *testing.T) {
	picture := drawPNG(t, 120, 90)
	src := evidencetest.Source(append(bytes.Clone(picture), make([]byte, 5000)...))
	fs, _ := whole(src)
	var got []string
	err := fs.Walk(t.Context(), evidence.Limits{MemberBytes: int64(len(picture)) - 1}, func(e *evidence.Entry) error {
		got = append(got, string(e.Path)+" "+fmt.Sprint(e.Findings))
		return nil
	})
	if err != nil || len(got) != 1 || !strings.HasPrefix(got[0], "/ [limit: carving: 1 files, from byte 0 on") {
		t.Errorf("%q, %v", got, err)
	}
}
