package confine

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidence/archive"
	"tutela/internal/evidence/filesystem"
	"tutela/internal/evidencetest"
	"tutela/internal/picture"
)

// TestMain lets this program be the child of its own tests. The child knows one
// reader more than the true one: a wicked one.
func TestMain(m *testing.M) {
	runChild(openWicked)
	goleak.VerifyTestMain(m)
}

// openWicked opens volumes that say what shall go wrong with them: "wicked WHAT
// ENTRIES". Others go to the true readers.
func openWicked(src evidence.Source, only string) (evidence.FileSystem, string, error) {
	head := make([]byte, min(64, src.Size()))
	src.ReadAt(head, 0)
	w := &wicked{src: src}
	if _, err := fmt.Sscanf(string(head), "wicked %s %d", &w.what, &w.good); err != nil {
		return filesystem.Open(src, only)
	}
	if w.what == "crash-on-open" {
		explode()
	}
	return w, "wicked", nil
}

type wicked struct {
	src  evidence.Source
	what string
	good int
}

func (w *wicked) Walk(ctx context.Context, _ evidence.Limits, visit func(*evidence.Entry) error) error {
	for i := range w.good {
		e := &evidence.Entry{Path: fmt.Appendf(nil, "/%d", i), Chain: []tutela.Locator{{Layer: "wicked", At: "x"}}, Kind: tutela.File, State: tutela.Allocated, Size: -1}
		e.Open = func() (evidence.Content, error) { return &wickedContent{w: w, left: 3 << 20}, nil }
		if err := visit(e); err != nil {
			return err
		}
	}
	return w.misbehave(visit)
}

func (w *wicked) misbehave(visit func(*evidence.Entry) error) error {
	tell := func(err error) error {
		return visit(&evidence.Entry{Path: []byte("/told"), Chain: []tutela.Locator{{}}, Kind: tutela.File, State: tutela.Allocated, Findings: []tutela.Finding{{Code: "told", Detail: fmt.Sprint(err)}}})
	}
	switch w.what {
	case "crash":
		explode()
	case "panic":
		panic("within the reader")
	case "hang":
		for n := 0; ; n++ {
			w.good = n
		}
	case "read-for-ever":
		b := make([]byte, 1<<20)
		for {
			w.src.ReadAt(b, 0)
		}
	case "memory":
		for b := []byte(w.what); ; {
			b = append(b, b...)
		}
	case "file":
		return tell(os.WriteFile(os.TempDir()+"/tutela-wicked", []byte("x"), 0o600))
	case "look":
		_, err := os.ReadFile("/etc/passwd")
		return tell(err)
	case "network":
		_, err := net.Dial("tcp", "127.0.0.1:1")
		return tell(err)
	case "signal":
		return tell(signalParent())
	case "program":
		return tell(exec.Command("/bin/true").Run())
	}
	return nil
}

// explode ends the process as a fault in the runtime does: nothing recovers it.
func explode() {
	go func() { panic("nobody recovers this") }()
	select {}
}

type wickedContent struct {
	w    *wicked
	left int
}

func (c *wickedContent) Read(p []byte) (int, error) {
	if c.left == 0 {
		if c.w.what == "crash-on-read" {
			explode()
		}
		return 0, io.EOF
	}
	n := min(len(p), c.left)
	for i := range p[:n] {
		p[i] = byte(c.left - i)
	}
	c.left -= n
	return n, nil
}

func (c *wickedContent) Close() error { return nil }

func newHost(t *testing.T, o Options) *Host {
	t.Helper()
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func wickedSource(what string, good int) evidence.Source {
	b := make([]byte, 8<<20)
	copy(b, fmt.Sprintf("wicked %s %d ", what, good))
	return evidencetest.Source(b)
}

// walkWicked lists what a wicked volume gives before it misbehaves.
func walkWicked(t *testing.T, h *Host, what string, good int) (paths []string, told string, err error) {
	t.Helper()
	fs, name, err := h.Volume(wickedSource(what, good), "")
	if err != nil {
		return nil, "", err
	}
	if name != "wicked" {
		t.Fatalf("name %q", name)
	}
	err = fs.Walk(context.Background(), evidence.Limits{}, func(e *evidence.Entry) error {
		paths = append(paths, string(e.Path))
		for _, f := range e.Findings {
			told = f.Detail
		}
		return nil
	})
	return paths, told, err
}

// TestSameAsInTheProcess holds listings made by a child against those made here.
func TestSameAsInTheProcess(t *testing.T) {
	h := newHost(t, Options{})
	for _, name := range []string{"fslib/ntfs.dd", "velocidex/test.ntfs.dd", "diskfs/rockridge.iso"} {
		src := evidencetest.Source(evidencetest.Image(t, name))
		here, hereName, err := filesystem.Open(src, "")
		if err != nil {
			t.Fatal(err)
		}
		there, thereName, err := h.Volume(src, "")
		if err != nil {
			t.Fatal(err)
		}
		if hereName != thereName {
			t.Errorf("%s: %s here, %s in a child", name, hereName, thereName)
		}
		want, got := evidencetest.List(t, here), evidencetest.List(t, there)
		if a, b := evidencetest.Listing(want), evidencetest.Listing(got); a != b {
			t.Errorf("%s differs: here\n%s\nin a child\n%s", name, a, b)
		}
		evidencetest.InPlace(t, src, got)
	}
}

func TestErrorsCross(t *testing.T) {
	h := newHost(t, Options{})
	if _, name, err := h.Volume(evidencetest.Source(make([]byte, 8192)), ""); !errors.Is(err, evidence.ErrNotThis) || name != "" {
		t.Errorf("%q %v", name, err)
	}
	failing := failingSource{evidencetest.Source(evidencetest.Image(t, "velocidex/test.ntfs.dd"))}
	_, _, err := h.Volume(failing, "")
	var bad *evidence.ReadError
	if !errors.As(err, &bad) || bad.Run.Length != 512 || innermost(bad.Err).Error() != "the head crashed" {
		t.Errorf("%v %+v", err, bad)
	}
}

// failingSource cannot be read.
type failingSource struct{ evidence.Source }

func (f failingSource) ReadAt(p []byte, off int64) (int, error) {
	return 0, &evidence.ReadError{Run: tutela.Run{Offset: off, Length: 512}, Err: fmt.Errorf("read disk: %w", errors.New("the head crashed"))}
}

func TestDeaths(t *testing.T) {
	for what, want := range map[string]struct{ code, says string }{
		"crash":         {tutela.FindingCrashed, "nobody recovers this"},
		"memory":        {tutela.FindingCrashed, "out of memory"},
		"hang":          {tutela.FindingStalled, "no progress"},
		"read-for-ever": {tutela.FindingStalled, "over and over"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			patience := 30 * time.Second
			if what == "hang" {
				patience = 500 * time.Millisecond
			}
			h := newHost(t, Options{Patience: patience})
			paths, _, err := walkWicked(t, h, what, 700)
			var death *Death
			if !errors.As(err, &death) || death.Code != want.code || !strings.Contains(death.Cause, want.says) {
				t.Fatalf("%v", err)
			}
			if len(paths) != 700 {
				t.Errorf("%d entries before the end", len(paths))
			}
			for i, p := range paths {
				if p != fmt.Sprintf("/%d", i) {
					t.Fatalf("entry %d is %s", i, p)
				}
			}
		})
	}
}

func TestPanicCostsNoProcess(t *testing.T) {
	paths, _, err := walkWicked(t, newHost(t, Options{}), "panic", 5)
	if err == nil || !strings.Contains(err.Error(), "within the reader") || len(paths) != 5 {
		t.Errorf("%d entries, %v", len(paths), err)
	}
}

func TestCrashOnOpen(t *testing.T) {
	_, _, err := walkWicked(t, newHost(t, Options{}), "crash-on-open", 5)
	var death *Death
	if !errors.As(err, &death) || death.Code != tutela.FindingCrashed {
		t.Errorf("%v", err)
	}
}

// TestConfined tries to get out.
func TestConfined(t *testing.T) {
	if !confinedBySystem {
		t.Log("this system confines memory only")
		return
	}
	h := newHost(t, Options{})
	for _, what := range []string{"file", "look", "network", "program", "signal"} {
		_, told, err := walkWicked(t, h, what, 1)
		if err != nil || !strings.Contains(told, "operation not permitted") {
			t.Errorf("%s: %q %v", what, told, err)
		}
	}
}

// TestGarbage holds what comes back from a child that does not speak our way.
func TestGarbage(t *testing.T) {
	program, err := exec.LookPath("yes")
	if err != nil {
		t.Log("no program at hand that speaks without end")
		return
	}
	_, _, err = newHost(t, Options{Program: program}).Volume(wickedSource("nothing", 1), "")
	var death *Death
	if !errors.As(err, &death) || !strings.Contains(death.Cause, "garbage") {
		t.Errorf("%v", err)
	}
}

func TestContentOutlivesAChild(t *testing.T) {
	h := newHost(t, Options{})
	fs, _, err := h.Volume(wickedSource("nothing", 3), "")
	if err != nil {
		t.Fatal(err)
	}
	var entries []*evidence.Entry
	if err := fs.Walk(context.Background(), evidence.Limits{}, func(e *evidence.Entry) error { entries = append(entries, e); return nil }); err != nil {
		t.Fatal(err)
	}
	c, err := entries[1].Open()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var got bytes.Buffer
	io.CopyN(&got, c, 1<<20+17)
	v := fs.(*volume)
	v.child.kill("the test")
	<-v.child.ended
	if _, err := io.Copy(&got, c); err != nil {
		t.Fatal(err)
	}
	want, _ := io.ReadAll(&wickedContent{w: &wicked{}, left: 3 << 20})
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%d bytes, not the %d that are there", got.Len(), len(want))
	}
}

func TestContentThatAlwaysCrashes(t *testing.T) {
	h := newHost(t, Options{})
	fs, _, err := h.Volume(wickedSource("crash-on-read", 1), "")
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	var n int64
	fs.Walk(context.Background(), evidence.Limits{}, func(e *evidence.Entry) error {
		c, err := e.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		n, failed = io.Copy(io.Discard, c)
		return nil
	})
	var death *Death
	if !errors.As(failed, &death) || n > 3<<20 {
		t.Errorf("%d bytes, then %v", n, failed)
	}
}

// spool is what a scan hands in, in memory.
type spool struct{ puts int }

type spooled struct{ *bytes.Reader }

func (spooled) Close() error { return nil }

func (s *spool) Put(_ context.Context, r io.Reader, limit int64) (archive.Spooled, error) {
	s.puts++
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = errors.New("too much")
	}
	return spooled{bytes.NewReader(b)}, err
}

// nest is a zip with small, large and nested members.
func nest(t *testing.T) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32()) & 0x3f
		}
		return b
	}
	pack := func(members map[string][]byte, order ...string) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for _, name := range order {
			w, err := z.Create(name)
			if err != nil {
				t.Fatal(err)
			}
			w.Write(members[name])
		}
		z.Close()
		return b.Bytes()
	}
	inner := pack(map[string][]byte{"big": random(45 << 20), "small": random(10)}, "big", "small")
	return pack(map[string][]byte{"a": random(100), "large": random(3 << 20), "inner.zip": inner, "z": random(5)}, "a", "large", "inner.zip", "z")
}

type expander func(ctx context.Context, o archive.Options, parent *evidence.Entry, content io.ReaderAt, size int64, visit func(*evidence.Entry) error) error

func expandHere(ctx context.Context, o archive.Options, parent *evidence.Entry, content io.ReaderAt, size int64, visit func(*evidence.Entry) error) error {
	return archive.New(o).Expand(ctx, parent, content, size, visit)
}

func expandAll(t *testing.T, expand expander, data []byte, midway func(path string, c io.Reader)) string {
	t.Helper()
	var b strings.Builder
	parent := &evidence.Entry{Path: []byte("/a.zip"), Chain: []tutela.Locator{{Layer: "folder", At: "a.zip"}}}
	err := expand(context.Background(), archive.Options{Spool: &spool{}}, parent, bytes.NewReader(data), int64(len(data)), func(e *evidence.Entry) error {
		fmt.Fprintf(&b, "%s %v %d %v", e.Path, e.Chain, e.Size, e.Findings)
		if e.Open != nil {
			c, err := e.Open()
			if err != nil {
				return err
			}
			defer c.Close()
			h := sha256.New()
			r := io.TeeReader(c, h)
			if midway != nil {
				midway(string(e.Path), r)
			}
			n, err := io.Copy(io.Discard, r)
			fmt.Fprintf(&b, " %x %v %v", h.Sum(nil), n >= 0, err)
		}
		b.WriteString("\n")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestExpand(t *testing.T) {
	data := nest(t)
	want := expandAll(t, expandHere, data, nil)
	h := newHost(t, Options{})
	if got := expandAll(t, h.Expand, data, nil); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	// Children that end while a member is read are replaced.
	for _, victim := range []string{"/a.zip!/large", "/a.zip!/inner.zip", "/a.zip!/inner.zip!/big"} {
		killed := 0
		got := expandAll(t, h.Expand, data, func(path string, r io.Reader) {
			if path == victim && killed == 0 {
				killed++
				io.CopyN(io.Discard, r, 1<<20+5)
				h.mu.Lock()
				for p := range h.all {
					p.kill("the test")
				}
				h.mu.Unlock()
			}
		})
		if got != want || killed != 1 {
			t.Errorf("after a death at %s (%d): got\n%s\nwant\n%s", victim, killed, got, want)
		}
	}
}

func TestStopOfVisit(t *testing.T) {
	h := newHost(t, Options{})
	enough := errors.New("enough")
	data := nest(t)
	parent := &evidence.Entry{Path: []byte("/a.zip")}
	err := h.Expand(context.Background(), archive.Options{Spool: &spool{}}, parent, bytes.NewReader(data), int64(len(data)), func(e *evidence.Entry) error { return enough })
	if err != enough {
		t.Errorf("%v", err)
	}
	fs, _, err := h.Volume(evidencetest.Source(evidencetest.Image(t, "velocidex/test.ntfs.dd")), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := fs.Walk(context.Background(), evidence.Limits{}, func(e *evidence.Entry) error { return enough }); err != enough {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := fs.Walk(ctx, evidence.Limits{}, func(e *evidence.Entry) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestLook(t *testing.T) {
	h := newHost(t, Options{})
	data := drawn(t)
	for _, ask := range []picture.Ask{{}, {Exact: true}, {Variants: true}, {Exact: true, Variants: true, Thumbnail: true, Features: true}} {
		want, err := picture.Look(context.Background(), data, ask, picture.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := h.Look(context.Background(), data, ask); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v: %+v %v, want %+v", ask, got, err, want)
		}
	}
	if _, err := h.Look(context.Background(), data[:200], picture.Ask{}); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("%v", err)
	}
}

func drawn(t *testing.T) []byte {
	m := image.NewGray(image.Rect(0, 0, 300, 200))
	for i := range m.Pix {
		m.Pix[i] = byte(i * i / 7)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestPerceptual(t *testing.T) {
	h := newHost(t, Options{})
	want, err := picture.Perceptual(context.Background(), drawn(t), picture.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := h.Perceptual(context.Background(), drawn(t)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v %v, want %v", got, err, want)
	}
}

// fullView has every field.
func fullView() *picture.View {
	return &picture.View{
		Perceptual: tutela.Perceptual{
			PDQ: tutela.PDQ{1, 2, 3}, Quality: 77, Width: 4000, Height: 3000, Decoder: "by hand", Scale: 8,
			Variants: []tutela.Variant{{Name: "rot90", PDQ: tutela.PDQ{4, 5}, Quality: 60}, {Name: "border", PDQ: tutela.PDQ{6}, Quality: 100}},
		},
		Thumbnail: []byte("small"),
		Findings:  []tutela.Finding{{Code: tutela.FindingTruncated, Detail: "half of it"}},
	}
}

// TestLargestPicture: what the limits just allow fits into a child, with all that
// is asked of it, and what they do not allow costs no child.
func TestLargestPicture(t *testing.T) {
	h := newHost(t, Options{})
	all := picture.Ask{Exact: true, Variants: true, Thumbnail: true, Features: true}
	v, err := h.Look(context.Background(), packedTIFF(9000, 9500), all) // 342 MB
	if err != nil || v.Perceptual.Width != 9000 || len(v.Thumbnail) == 0 {
		t.Errorf("%d pixels wide, a thumbnail of %d bytes, %v", v.Perceptual.Width, len(v.Thumbnail), err)
	}
	for _, data := range [][]byte{packedTIFF(9000, 11_000), append(packedTIFF(10, 10), make([]byte, pictureMemory/2)...)} {
		if _, err := h.Look(context.Background(), data, all); err == nil || !strings.Contains(err.Error(), "too large") {
			t.Errorf("%v", err)
		}
	}
}

// packedTIFF is an RGB picture in strips of one row, each of run lengths.
func packedTIFF(width, height int) []byte {
	le := binary.LittleEndian
	row := bytes.Repeat([]byte{0x81, 0x55}, (3*width+127)/128)
	fields := [][2]int{{256, width}, {257, height}, {258, 8}, {259, 32773}, {262, 2}, {277, 3}, {278, 1}}
	tables := 8 + 2 + 12*9 + 4
	b := le.AppendUint16(le.AppendUint32([]byte("II*\x00"), 8), 9)
	for _, f := range fields {
		b = le.AppendUint32(le.AppendUint32(le.AppendUint16(le.AppendUint16(b, uint16(f[0])), 4), 1), uint32(f[1]))
	}
	for i, tag := range []uint16{273, 279} {
		b = le.AppendUint32(le.AppendUint32(le.AppendUint16(le.AppendUint16(b, tag), 4), uint32(height)), uint32(tables+4*height*i))
	}
	b = le.AppendUint32(b, 0)
	for y := range height {
		b = le.AppendUint32(b, uint32(tables+8*height+y*len(row)))
	}
	for range height {
		b = le.AppendUint32(b, uint32(len(row)))
	}
	return append(b, bytes.Repeat(row, height)...)
}

func TestViewCrosses(t *testing.T) {
	for _, want := range []*picture.View{fullView(), {}} {
		if got, err := decodeView(appendView(nil, want)); err != nil || !reflect.DeepEqual(&got, want) {
			t.Errorf("%+v %v, want %+v", got, err, want)
		}
	}
	whole := appendView(nil, fullView())
	for n := range whole {
		if _, err := decodeView(whole[:n]); !errors.Is(err, errGarbled) {
			t.Errorf("%d of %d bytes: %v", n, len(whole), err)
		}
	}
	for _, want := range []picture.Ask{{}, {Exact: true}, {Variants: true}, {Thumbnail: true}, {Features: true}} {
		if got := (&decoder{b: appendAsk(nil, want)}).ask(); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add(appendSent(nil, &sent{entry: evidence.Entry{Path: []byte("/a"), Findings: []tutela.Finding{{Code: "x"}}}, how: contentInline, inline: []byte("abc"), failed: io.ErrUnexpectedEOF}))
	f.Add(appendView(nil, fullView()))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := &decoder{b: b}
		d.sent()
		decodeRead(b)
		decodeError(b)
		decodeView(b)
	})
}

func BenchmarkWalk(b *testing.B) {
	h, _ := New(Options{})
	defer h.Close()
	fs, _, err := h.Volume(evidencetest.Source([]byte(fmt.Sprintf("%-4096s", "wicked nothing 100000"))), "")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		fs.Walk(context.Background(), evidence.Limits{}, func(e *evidence.Entry) error { return nil })
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100000, "ns/entry")
}
