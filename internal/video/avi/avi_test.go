package avi

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tutela"
	"tutela/internal/video/track"
	"tutela/internal/video/track/tracktest"
)

// piece is a chunk with what is in it: bytes, strings, and numbers.
func piece(name string, content ...any) []byte {
	body := tracktest.Inside(binary.LittleEndian, content...)
	b := binary.LittleEndian.AppendUint32([]byte(name), uint32(len(body)))
	b = append(b, body...)
	return append(b, make([]byte, len(body)%2)...)
}

func list(name string, content ...any) []byte {
	return piece("LIST", append([]any{name}, content...)...)
}

// head is the list of two streams, of sound and of pictures, two frames a second.
func head(coding string, extra ...any) []byte {
	sound := list("strl", piece("strh", "auds", make([]byte, 52)), piece("strf", make([]byte, 16)))
	pictures := []any{
		piece("strh", "vids", coding, make([]byte, 12), 1, 2, 0, 6, make([]byte, 20)),
		piece("strf", 40, 64, -48, uint16(1), uint16(24), coding, make([]byte, 20)),
	}
	return list("hdrl", piece("avih", make([]byte, 56)), sound, list("strl", append(pictures, extra...)...))
}

func riff(name string, content ...any) []byte {
	return piece("RIFF", append([]any{name}, content...)...)
}

func opened(t *testing.T, data []byte) *Movie {
	t.Helper()
	return tracktest.Open(t, Open, data)
}

// Three frames, of which the first and the last are key frames of VP8 (by the
// lowest bit of their first byte), sound between them.
func frames() [][]byte {
	return [][]byte{piece("01dc", "bee"), piece("00wb", "sound"), piece("01dc", "cow"), piece("01dc", "dog!")}
}

const threeFrames = "0s=bee 1s=dog!"

func TestWithoutIndex(t *testing.T) {
	f := frames()
	for name, data := range map[string][]byte{
		"plain":        riff("AVI ", head("VP80"), list("movi", f[0], f[1], f[2], f[3])),
		"in groups":    riff("AVI ", head("VP80"), list("movi", list("rec ", f[0], f[1]), list("rec ", f[2]), f[3])),
		"in two RIFFs": append(riff("AVI ", head("VP80"), list("movi", f[0], f[1])), riff("AVIX", list("movi", f[2], f[3]))...),
	} {
		m := opened(t, data)
		if got := tracktest.Say(data, tracktest.Keys(t, m, 0)); got != threeFrames || m.Track().Indexed {
			t.Errorf("%s: %q %v", name, got, m.Findings())
		}
		if told := m.Track(); told.Codec != track.VP8 || told.Name != "VP80" || told.Width != 64 || told.Height != 48 || told.Duration != 3*time.Second {
			t.Errorf("%+v", told)
		}
	}
}

// A recording that was broken off has lengths of zero.
func TestBrokenOff(t *testing.T) {
	f := frames()
	data := riff("AVI ", head("VP80"), list("movi", f[0], f[1], f[2], f[3]))
	binary.LittleEndian.PutUint32(data[4:], 0)
	movi := bytes.Index(data, []byte("movi"))
	binary.LittleEndian.PutUint32(data[movi-4:], 0)
	if got := tracktest.Say(data, tracktest.Keys(t, opened(t, data), 0)); got != threeFrames {
		t.Errorf("%q", got)
	}
}

func TestOldIndex(t *testing.T) {
	f := frames()
	movi := list("movi", f[0], f[1], f[2], f[3])
	start := 12 + len(head("VP80")) + 8 // of "movi" in the file
	for _, base := range []int{0, start, 77} {
		var entries []any
		at := base + 4
		for i, c := range f {
			flags := 0
			if i != 2 {
				flags = oldIsKey
			}
			entries = append(entries, c[:4], flags, at, int(binary.LittleEndian.Uint32(c[4:])))
			at += len(c)
		}
		data := riff("AVI ", head("VP80"), movi, piece("idx1", entries...))
		m := opened(t, data)
		got := tracktest.Say(data, tracktest.Keys(t, m, 0))
		if got != threeFrames || m.Track().Indexed != (base != 77) || len(m.Findings()) > 0 != (base == 77) {
			t.Errorf("from %d: %q %v, indexed %v", base, got, m.Findings(), m.Track().Indexed)
		}
	}
}

// large is a file of OpenDML: two RIFFs, each with an index of its frames, and an
// index of the two. Its frames say nothing of themselves that could be believed.
func large() []byte {
	f := [][]byte{piece("01dc", "\x01one"), piece("01dc", "\x00two"), piece("01dc", "\x01three!")}
	build := func(first, second, firstBase, secondBase int) (data []byte, at []int) {
		super := piece("indx", uint16(4), byte(0), byte(indexOfIndexes), 2, "01dc", make([]byte, 12),
			uint64(first), 40, 2, uint64(second), 32, 1, make([]byte, 64))
		standard := func(base int, frames ...[]byte) []byte {
			content := []any{uint16(2), byte(0), byte(indexOfChunks), len(frames), "01dc", uint64(base), 0}
			place := 8
			for _, c := range frames {
				size := int(binary.LittleEndian.Uint32(c[4:]))
				if c[8] == 0 {
					size |= newIsNotKey
				}
				content = append(content, place, uint32(size))
				place += len(c)
			}
			return piece("ix01", content...)
		}
		h := head("VP80", super)
		one := riff("AVI ", h, list("movi", f[0], f[1], standard(firstBase, f[0], f[1])))
		two := riff("AVIX", list("movi", f[2], standard(secondBase, f[2])))
		data = append(one, two...)
		movi := 12 + len(h) + 12
		movi2 := len(one) + 24
		return data, []int{movi + len(f[0]) + len(f[1]), movi2 + len(f[2]), movi, movi2}
	}
	_, at := build(0, 0, 0, 0)
	data, _ := build(at[0], at[1], at[2], at[3])
	return data
}

func TestOpenDML(t *testing.T) {
	data := large()
	m := opened(t, data)
	if got, want := tracktest.Say(data, tracktest.Keys(t, m, 0)), "0s=\x01one 1s=\x01three!"; got != want || !m.Track().Indexed || len(m.Findings()) > 0 {
		t.Errorf("%q %v, want %q", got, m.Findings(), want)
	}
}

// A frame says itself whether it is a key frame: without an index the same are
// found.
func TestDrawnWithoutIndex(t *testing.T) {
	for _, name := range []string{"jpeg.avi", "part2.avi", "h264.avi", "ms.avi"} {
		data := drawn(t, name)
		m := opened(t, data)
		want := fmt.Sprint(tracktest.Keys(t, m, 0))
		if !m.Track().Indexed {
			t.Errorf("%s: the index was not used", name)
		}
		blind := bytes.ReplaceAll(data, []byte("idx1"), []byte("JUNK"))
		if got := fmt.Sprint(tracktest.Keys(t, opened(t, blind), 0)); got != want {
			t.Errorf("%s: %s, with the index %s", name, got, want)
		}
	}
}

func TestStartsAnew(t *testing.T) {
	for _, c := range []struct {
		codec track.Codec
		b     string
		want  bool
	}{
		{track.MJPEG, "\xff\xd8", true},
		{track.MPEG4, "\x00\x00\x01\xb0\x01\x00\x00\x01\xb6\x10\x00", true},
		{track.MPEG4, "\x00\x00\x01\xb6\x50\x00", false},
		{track.MPEG2, "\x00\x00\x01\xb3\x0a\x00\x00\x01\x00\x00\x0f\xff", true},
		{track.MPEG2, "\x00\x00\x01\x00\x00\x57\xff", false},
		{track.H264, "\x00\x00\x00\x01\x09\x10\x00\x00\x00\x01\x67\x42", true},
		{track.H264, "\x00\x00\x00\x01\x09\x30\x00\x00\x00\x01\x41\x9a\x00", false},
		{track.H264, "\x00\x00\x01\x65\x88", true},
		{track.HEVC, "\x00\x00\x01\x46\x01\x10\x00\x00\x01\x40\x01\x0c", true},
		{track.HEVC, "\x00\x00\x01\x02\x01\xd0", false},
		{track.HEVC, "\x00\x00\x01\x2a\x01\xd0", true},
		{track.VP9, "\x82\x49\x83\x42", true},
		{track.VP9, "\x86\x00\x40", false},
		{track.AV1, "\x12\x00\x0a\x0a", true},
		{track.AV1, "\x12\x00\x32\x10", false},
		{track.Unknown, "\x00", false},
		{track.H264, "", false},
	} {
		if got := startsAnew(c.codec, []byte(c.b)); got != c.want {
			t.Errorf("%s %x: %v", c.codec, c.b, got)
		}
	}
}

func drawn(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestTruncated(t *testing.T) {
	data := drawn(t, "part2.avi")
	m := opened(t, data[:len(data)/2])
	keys := tracktest.Keys(t, m, 0)
	if len(keys) == 0 || len(m.Findings()) == 0 || m.Findings()[0].Code != tutela.FindingTruncated {
		t.Errorf("%v %v", keys, m.Findings())
	}
}

func TestNothingOfUse(t *testing.T) {
	for _, data := range [][]byte{nil, riff("AVI "), riff("WAVE"), riff("AVI ", list("hdrl", list("strl", piece("strh", "auds", make([]byte, 52)))))} {
		if m, err := Open(bytes.NewReader(data), int64(len(data))); err == nil {
			t.Errorf("%q: %+v", data, m.Track())
		}
	}
}

func TestEveryLength(t *testing.T) {
	for _, data := range [][]byte{large(), drawn(t, "part2.avi")} {
		for n := 0; n < len(data); n += 23 {
			tracktest.Hostile(t, Open, data[:n])
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(drawn(f, "part2.avi"))
	f.Add(large())
	c := frames()
	f.Add(riff("AVI ", head("VP80"), list("movi", list("rec ", c[0], c[1]), c[2], c[3])))
	f.Fuzz(func(t *testing.T, data []byte) { tracktest.Hostile(t, Open, data) })
}
