package video

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	stdjpeg "image/jpeg"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tutela"
	"tutela/internal/evidencetest"
	"tutela/internal/pdq"
	"tutela/internal/picture"
	"tutela/internal/video/track"
)

// notebook is a sink that writes down what it is given.
type notebook struct {
	told    tutela.Video
	coding  string
	follows bool
	frames  []tutela.Frame
	times   []time.Duration
	stream  []byte
	streams int
}

func (n *notebook) Told(v tutela.Video, coding string, packets bool) error {
	n.told, n.coding, n.follows = v, coding, packets
	return nil
}

func (n *notebook) Frame(f tutela.Frame) error {
	n.frames = append(n.frames, f)
	return nil
}

func (n *notebook) Stream() error {
	n.streams++
	return nil
}

func (n *notebook) Packet(at time.Duration, b []byte) error {
	n.times, n.stream = append(n.times, at), append(n.stream, b...)
	return nil
}

func scanned(t testing.TB, data []byte, packets bool) (*notebook, Ending) {
	t.Helper()
	n := &notebook{}
	e, err := Scan(context.Background(), bytes.NewReader(data), int64(len(data)), packets, n)
	if err != nil {
		t.Fatal(err)
	}
	return n, e
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The hashes of motion JPEG are nearly those of its frames as pictures: luma is
// taken as it is stored, before colours that do not exist are clipped.
func TestMotionJPEG(t *testing.T) {
	for _, name := range []string{"jpeg.avi", "jpeg.mov"} {
		data := read(t, name)
		n, e := scanned(t, data, true)
		if n.told.Decoder == "" || n.follows || n.coding != "" || len(n.frames) != 2 || len(e.Findings) > 0 {
			t.Fatalf("%s: %+v %v", name, n, e.Findings)
		}
		m, err := Open(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		for i, k := range pickedKeys(t, m) {
			want, err := picture.Perceptual(context.Background(), data[k.Offset:k.Offset+k.Size], picture.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			got := n.frames[i]
			if d := pdq.Distance(got.PDQ, want.PDQ); d > 10 || got.Quality < want.Quality-1 || got.At != k.At {
				t.Errorf("%s at %v: %d bits from the picture's, quality %d of %d", name, k.At, d, got.Quality, want.Quality)
			}
		}
		strip, err := stdjpeg.Decode(bytes.NewReader(e.Strip))
		if err != nil || strip.Bounds() != image.Rect(0, 0, 2*160+stripGap, 120) {
			t.Errorf("%s: a strip of %v, %v", name, strip.Bounds(), err)
		}
	}
}

func pickedKeys(t testing.TB, m track.Movie) (keys []track.Key) {
	t.Helper()
	err := m.Keys(context.Background(), &track.Picker{Every: Every}, func(k track.Key) error {
		keys = append(keys, k)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestBadFramesAreCounted(t *testing.T) {
	data := bytes.Clone(read(t, "jpeg.avi"))
	m, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	k := pickedKeys(t, m)[1]
	copy(data[k.Offset:], make([]byte, 40))
	n, e := scanned(t, data, true)
	if len(n.frames) != 1 || fmt.Sprint(e.Findings) != "[damaged: 1 of 2 frames could not be decoded]" {
		t.Errorf("%d frames, %v", len(n.frames), e.Findings)
	}
}

// Frames of another coding are handed over as a stream, or not at all.
func TestPackets(t *testing.T) {
	data := read(t, "end.mp4")
	n, e := scanned(t, data, true)
	if !n.follows || n.coding != "h264" || fmt.Sprint(n.times) != "[0s 1.2s 2.4s 3.6s]" || !bytes.HasPrefix(n.stream, []byte("DKIF")) || len(e.Findings) > 0 {
		t.Errorf("%v %q %v %v", n.follows, n.coding, n.times, e.Findings)
	}
	if n, _ = scanned(t, data, false); n.follows || n.coding != "h264" || len(n.times) > 0 {
		t.Errorf("unasked: %v %q %v", n.follows, n.coding, n.times)
	}
	if n.told.Codec != "avc1" || n.told.Container != "mp4" || n.told.Duration != 4*time.Second {
		t.Errorf("%+v", n.told)
	}
}

func TestNothingDecodesIt(t *testing.T) {
	data := bytes.ReplaceAll(read(t, "end.mp4"), []byte("avc1"), []byte("SVQ3"))
	n, e := scanned(t, data, true)
	if n.follows || n.told.Codec != "SVQ3" || len(e.Findings) != 1 || e.Findings[0].String() != "not-decoded: video not decoded: no decoder for SVQ3 here" {
		t.Errorf("%+v %v", n, e.Findings)
	}
	n, e = scanned(t, []byte("nothing of the kind, but long enough"), true)
	if n.told.Container != "" || len(e.Findings) != 1 || e.Findings[0].Code != tutela.FindingNotDecoded {
		t.Errorf("%+v %v", n, e.Findings)
	}
}

var errSink = errors.New("full")

type full struct{ notebook }

func (full) Packet(time.Duration, []byte) error { return errSink }

func TestErrorOfSinkEndsScan(t *testing.T) {
	data := read(t, "end.mp4")
	if _, err := Scan(context.Background(), bytes.NewReader(data), int64(len(data)), true, &full{}); err != errSink {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	data = read(t, "pieces.mp4")
	if _, err := Scan(ctx, bytes.NewReader(data), int64(len(data)), true, &notebook{}); err != context.Canceled {
		t.Errorf("%v", err)
	}
}

func TestFeedByHand(t *testing.T) {
	avc := []byte{1, 0x42, 0, 30, 0xfd, 0xe1, 0, 3, 0x67, 1, 2, 1, 0, 2, 0x68, 9}
	f := NewFeed(track.Track{Codec: track.H264, Width: 64, Height: 48, Config: avc})
	got, _ := f.Packet([]byte{0, 2, 0x65, 7, 0, 1, 0x06, 0, 9, 1}) // lengths of two bytes; the last unit is cut off
	want := "DKIF\x00\x00\x20\x00H264\x40\x00\x30\x00\x19\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x1f\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x00\x00\x00\x01\x67\x01\x02\x00\x00\x00\x01\x68\x09\x00\x00\x00\x01\x65\x07\x00\x00\x00\x01\x06\x00\x00\x00\x01\x01"
	want = strings.Replace(want, "\x1f\x00\x00\x00", string([]byte{byte(len(want) - 44), 0, 0, 0}), 1)
	if string(got) != want {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
	// Start codes stay; the second packet has a number and no head.
	if got, begins := f.Packet([]byte{0, 0, 1, 0x65}); begins || !bytes.HasPrefix(got, []byte{17, 0, 0, 0, 1, 0}) || !bytes.HasSuffix(got, []byte{9, 0, 0, 1, 0x65}) {
		t.Errorf("%x", got)
	}
	if NewFeed(track.Track{Codec: track.Unknown}) != nil || NewFeed(track.Track{Codec: track.MJPEG}) != nil {
		t.Error("a feed of what no decoder takes")
	}
	for n := range avc { // whatever is left of a configuration
		NewFeed(track.Track{Codec: track.H264, Config: avc[:n]}).Packet([]byte{0, 0, 0, 9, 1})
		NewFeed(track.Track{Codec: track.HEVC, Config: append(avc[:n:n], 0xff, 0xff, 0xff, 0xff)}).Packet([]byte{0, 0, 0, 9, 1})
	}
}

// With a key frame of H.264 or HEVC that does not reset the decoder begins a new
// stream.
func TestFeedOfOpenGroups(t *testing.T) {
	avc := [][]byte{{0, 0, 1, 0x65, 1}, {0, 0, 1, 0x65, 1}, {0, 0, 1, 0x06, 5, 0, 0, 1, 0x41, 2}, {0, 0, 1, 0x67, 1, 0, 0, 1, 0x65, 1}, {0, 0, 1, 0x61, 1}}
	hevc := [][]byte{{0, 0, 1, 0x28, 1}, {0, 0, 1, 0x26, 1}, {0, 0, 1, 0x4e, 1, 0, 0, 1, 0x2a, 1}, {0, 0, 1, 0x28, 1}, {0, 0, 1, 0x2a, 1}}
	for codec, frames := range map[track.Codec][][]byte{track.H264: avc, track.HEVC: hevc} {
		f := NewFeed(track.Track{Codec: codec})
		for i, want := range []struct {
			begins bool
			number byte
		}{{true, 0}, {false, 1}, {true, 0}, {false, 1}, {true, 0}} {
			got, begins := f.Packet(frames[i])
			if begins != want.begins || bytes.HasPrefix(got, []byte("DKIF")) != begins {
				t.Fatalf("%s %d: begins a stream: %v", codec, i, begins)
			}
			if begins {
				got = got[32:]
			}
			if got[4] != want.number || !bytes.Equal(got[12:], frames[i]) {
				t.Errorf("%s %d: %x", codec, i, got)
			}
		}
	}
	vp9 := NewFeed(track.Track{Codec: track.VP9})
	vp9.Packet([]byte{1})
	if _, begins := vp9.Packet([]byte{1}); begins {
		t.Error("VP9 begins a stream with every frame")
	}
}

func TestStripKeepsEqualSteps(t *testing.T) {
	for _, c := range []struct{ frames, tiles int }{{0, 0}, {1, 1}, {5, 5}, {8, 8}, {15, 8}, {16, 8}, {1000, 8}} {
		var s Strip
		for i := range c.frames {
			m := image.NewRGBA(image.Rect(0, 0, 20, 10))
			for j := range m.Pix {
				m.Pix[j] = byte(i * 255 / c.frames)
			}
			s.Add(m)
		}
		b := s.JPEG()
		if c.tiles == 0 {
			if b != nil {
				t.Error("a strip of nothing")
			}
			continue
		}
		m, err := stdjpeg.Decode(bytes.NewReader(b))
		if err != nil || m.Bounds().Dx() != c.tiles*20+(c.tiles-1)*stripGap {
			t.Fatalf("%d frames: %v %v", c.frames, m.Bounds(), err)
		}
		last := -1
		for i := range c.tiles {
			grey := int(color.GrayModel.Convert(m.At(i*(20+stripGap)+5, 5)).(color.Gray).Y)
			if grey <= last {
				t.Errorf("%d frames: tile %d is no later than the one before", c.frames, i)
			}
			last = grey
		}
	}
}

func TestFit(t *testing.T) {
	for _, c := range [][4]int{{1920, 1080, 284, 160}, {1080, 1920, 90, 160}, {160, 120, 160, 120}, {4000, 100, 320, 8}, {1, 5000, 1, 160}, {5000, 1, 320, 1}} {
		if w, h := fit(c[0], c[1]); w != c[2] || h != c[3] {
			t.Errorf("%v: %d×%d", c, w, h)
		}
	}
}

// What a decoder gives back is hashed as the picture would be.
func TestGatherer(t *testing.T) {
	m := image.NewNRGBA(image.Rect(0, 0, 1024, 2048))
	for y := range 2048 {
		for x := range 1024 {
			m.SetNRGBA(x, y, color.NRGBA{uint8(x * y / 5000), uint8(x / 4), uint8(y * y / 20000), 255})
		}
	}
	g := NewGatherer(1024, 2048)
	raw := make([]byte, 0, g.FrameBytes())
	columns, rows := pdq.Grid(1024, 2048)
	for _, y := range rows {
		for _, x := range columns {
			c := m.NRGBAAt(x, y)
			raw = append(raw, c.R, c.G, c.B)
		}
	}
	hash, quality := g.Add(raw)
	want, wantQuality := pdq.Hash((&picture.Picture{Width: 1024, Height: 2048, Image: m}).Luma())
	if hash != want || quality != wantQuality {
		t.Errorf("%v %d, want %v %d", hash, quality, want, wantQuality)
	}
	strip, err := stdjpeg.Decode(bytes.NewReader(g.Strip()))
	if err != nil || strip.Bounds() != image.Rect(0, 0, 80, 160) {
		t.Errorf("%v %v", strip.Bounds(), err)
	}
}

func TestIsVideo(t *testing.T) {
	for mime, want := range map[string]bool{"video/mp4": true, "video/x-msvideo": true, "video/webm": true, "video/mpeg": false, "image/jpeg": false} {
		if IsVideo(mime) != want {
			t.Error(mime)
		}
	}
}

// hostile scans whatever bytes.
func hostile(t testing.TB, data []byte) {
	n := &notebook{}
	_, err := Scan(context.Background(), bytes.NewReader(data), int64(len(data)), true, n)
	if err != nil {
		t.Fatalf("%v", err)
	}
	if len(n.frames)+len(n.times) > MostFrames {
		t.Fatalf("%d frames", len(n.frames)+len(n.times))
	}
}

func TestMutants(t *testing.T) {
	for _, name := range []string{"start.mp4", "pieces.mp4", "cues.mkv", "live.webm", "part2.avi", "jpeg.avi"} {
		data := read(t, name)
		hot := []tutela.Run{{Length: min(4096, int64(len(data)))}, {Offset: int64(len(data)) * 3 / 4, Length: int64(len(data)) / 4}}
		evidencetest.MutantsOf(t, data, hot, func(damaged []byte) { hostile(t, damaged) })
	}
}

func FuzzScan(f *testing.F) {
	for _, name := range []string{"start.mp4", "cues.mkv", "jpeg.avi"} {
		f.Add(read(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) { hostile(t, data) })
}

func BenchmarkMotionJPEG(b *testing.B) {
	data := read(b, "jpeg.avi")
	for b.Loop() {
		scanned(b, data, true)
	}
}
