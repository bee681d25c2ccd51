package confine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/jpeg"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tutela"
	"tutela/internal/pdq"
	"tutela/internal/video"
	"tutela/internal/video/track"
)

// needFFmpeg fails a test that is about what ffmpeg makes of videos: a machine
// without it has not tested this.
func needFFmpeg(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Fatal("ffmpeg is needed to test the decoding of videos: apt install ffmpeg")
	}
	return path
}

func drawnVideo(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../video/testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func watch(t *testing.T, h *Host, data []byte) video.View {
	t.Helper()
	v, err := h.Video(context.Background(), bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// plainly are the hashes of the key frames of a file as ffmpeg shows them that is
// given the file itself, by their number among all key frames.
func plainly(t *testing.T, ffmpeg, name string, width, height int) (hashes []tutela.PDQ) {
	t.Helper()
	out, err := exec.Command(ffmpeg, "-nostdin", "-v", "error", "-i", filepath.Join("../video/testdata", name),
		"-map", "0:v:0", "-vf", "select=key", "-vsync", "0", "-f", "rawvideo", "-pix_fmt", "rgb24", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	g := video.NewGatherer(width, height)
	for ; len(out) >= g.FrameBytes(); out = out[g.FrameBytes():] {
		hash, _ := g.Add(out[:g.FrameBytes()])
		hashes = append(hashes, hash)
	}
	return hashes
}

// The frames are those that a plain ffmpeg shows of the whole file, at the times
// that the container tells: at most 10 bits apart.
func TestVideoIsWhatFFmpegShows(t *testing.T) {
	ffmpeg := needFFmpeg(t)
	h := newHost(t, Options{})
	for name, coding := range map[string]string{
		"pieces.mp4": "h264", "sound.mov": "h264", "part2.mp4": "mpeg4", "av1.mp4": "av1", "h263.3gp": "h263",
		"cues.mkv": "h264", "open.mkv": "h264", "pipe.mkv": "hevc", "mpeg2.mkv": "mpeg2video", "vp8.webm": "vp8", "live.webm": "vp9",
		"h264.avi": "h264", "part2.avi": "mpeg4", "ms.avi": "msmpeg4",
	} {
		t.Run(name, func(t *testing.T) {
			data := drawnVideo(t, name)
			v := watch(t, h, data)
			if !decoderConfined {
				if len(v.Findings) != 1 || !strings.Contains(v.Findings[0].Detail, "can be confined") {
					t.Errorf("%v", v.Findings)
				}
				return
			}
			if len(v.Findings) > 0 || !strings.HasPrefix(v.Video.Decoder, "ffmpeg ") || !strings.HasSuffix(v.Video.Decoder, " "+coding) {
				t.Fatalf("%q %v", v.Video.Decoder, v.Findings)
			}
			want := plainly(t, ffmpeg, name, v.Video.Width, v.Video.Height)
			picked := pickedOf(t, data)
			if len(v.Video.Frames) != len(picked) {
				t.Fatalf("%d frames, want %d", len(v.Video.Frames), len(picked))
			}
			for i, f := range v.Video.Frames {
				d := pdq.Distance(f.PDQ, want[picked[i].number])
				if d > 10 || f.At != picked[i].at || f.Quality < pdq.MinQuality {
					t.Errorf("frame at %v (want %v): %d bits away, quality %d", f.At, picked[i].at, d, f.Quality)
				}
			}
			strip, err := jpeg.Decode(bytes.NewReader(v.Strip))
			if err != nil || strip.Bounds().Dy() != v.Video.Height || strip.Bounds().Dx() < len(picked)*v.Video.Width {
				t.Errorf("strip %v %v", strip.Bounds(), err)
			}
		})
	}
}

type picked struct {
	number int // among all key frames
	at     time.Duration
}

func pickedOf(t *testing.T, data []byte) (list []picked) {
	t.Helper()
	m, err := video.Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	p, n := track.Picker{Every: video.Every}, 0
	err = m.Keys(context.Background(), &track.Picker{}, func(k track.Key) error {
		if p.Wants(k.At) {
			p.Took(k.At)
			list = append(list, picked{n, max(k.At, 0)})
		}
		n++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestVideoHere(t *testing.T) {
	h := newHost(t, Options{FFmpeg: "none"})
	v := watch(t, h, drawnVideo(t, "jpeg.mov"))
	if v.Video.Decoder != "tutela/jpeg 1" || len(v.Video.Frames) != 2 || v.Strip == nil || len(v.Findings) > 0 {
		t.Errorf("%+v", v)
	}
}

func TestVideoWithoutDecoder(t *testing.T) {
	h := newHost(t, Options{FFmpeg: "none"})
	v := watch(t, h, drawnVideo(t, "hevc.mp4"))
	want := tutela.Video{Container: "mp4", Codec: "hvc1", Width: 160, Height: 120, Duration: 4 * time.Second}
	if fmt.Sprint(v.Video) != fmt.Sprint(want) || v.Strip != nil {
		t.Errorf("%+v", v)
	}
	if fmt.Sprint(v.Findings) != "[not-decoded: video not decoded: no decoder for hvc1 here]" {
		t.Errorf("%v", v.Findings)
	}
	if _, err := New(Options{FFmpeg: "/nowhere/ffmpeg"}); err == nil {
		t.Error("a decoder that was named and is not there")
	}
}

func TestVideoOfNothing(t *testing.T) {
	h := newHost(t, Options{FFmpeg: "none"})
	v := watch(t, h, []byte("this is no video at all"))
	if len(v.Findings) != 1 || v.Findings[0].Code != tutela.FindingNotDecoded || v.Video.Container != "" {
		t.Errorf("%+v", v)
	}
	bad := errors.New("bad sector")
	_, err := h.Video(context.Background(), badSource{bad}, 1<<20)
	if err == nil || !strings.Contains(err.Error(), bad.Error()) {
		t.Errorf("%v", err)
	}
}

type badSource struct{ err error }

func (b badSource) ReadAt([]byte, int64) (int, error) { return 0, b.err }

var _ io.ReaderAt = badSource{}

func TestVideoIsStopped(t *testing.T) {
	h := newHost(t, Options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	data := drawnVideo(t, "end.mp4")
	if _, err := h.Video(ctx, bytes.NewReader(data), int64(len(data))); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestShortVersion(t *testing.T) {
	for in, want := range map[string]string{"5.1.9-0+deb12u1": "5.1.9", "7.1": "7.1", "n6.1-3": "n6.1-3", "N-1-g2": "N-1-g2", "6.0+x": "6.0"} {
		if got := shortVersion(in); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
	for in, want := range map[string]string{"4.4.2": "-vsync", "5.0": "-vsync", "5.1.9": "-fps_mode", "7.1": "-fps_mode", "N-1": "-fps_mode"} {
		if got := passthrough(in); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
}
