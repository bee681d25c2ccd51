package mp4

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tutela"
	"tutela/internal/video/track"
	"tutela/internal/video/track/tracktest"
)

// part is a box with what is in it: bytes, numbers of 8, 16, 32 and 64 bits, and
// strings.
func part(name string, content ...any) []byte {
	b := append([]byte(name), tracktest.Inside(binary.BigEndian, content...)...)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b)+4)), b...)
}

// film is a file of hand: tables of the samples, edits, and what follows.
func film(tables, edits, extra []byte) []byte {
	entry := part("avc1", make([]byte, 24), uint16(64), uint16(48), make([]byte, 50))
	return append(append(part("ftyp", "isom", 0), part("moov",
		part("mvhd", 0, 0, 0, 1000, 6000, make([]byte, 80)),
		part("trak",
			part("tkhd", 0, 0, 0, 7, make([]byte, 68)),
			edits,
			part("mdia",
				part("mdhd", 0, 0, 0, 100, 600, 0),
				part("hdlr", 0, 0, "vide", make([]byte, 13)),
				part("minf", part("stbl", part("stsd", 0, 1, entry), tables)),
			)),
	)...), extra...)
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func opened(t *testing.T, data []byte) *Movie {
	t.Helper()
	return tracktest.Open(t, Open, data)
}

// say writes key frames as "seconds@offset+size".
func say(keys []track.Key) string {
	var s []string
	for _, k := range keys {
		s = append(s, fmt.Sprintf("%v@%d+%d", k.At, k.Offset, k.Size))
	}
	return strings.Join(s, " ")
}

func TestTables(t *testing.T) {
	room := part("mdat", make([]byte, 4096))
	times := part("stts", 0, 1, 6, 100)
	chunks := part("stsc", 0, 2, 1, 2, 1, 3, 1, 1) // two chunks of two samples, then one each
	sizes := part("stsz", 0, 0, 6, 10, 11, 12, 13, 14, 15)
	offsets := part("stco", 0, 4, 100, 200, 300, 400)
	keys := part("stss", 0, 3, 1, 4, 6)
	for _, c := range []struct {
		name          string
		tables, edits []byte
		want          string
	}{
		{"plain", join(times, chunks, sizes, offsets, keys), nil, "0s@100+10 3s@212+13 5s@400+15"},
		{"every sample is a key frame", join(times, chunks, sizes, offsets), nil, "0s@100+10 1s@110+11 2s@200+12 3s@212+13 4s@300+14 5s@400+15"},
		{"64 bits", join(times, chunks, sizes, part("co64", 0, 4, uint64(100), uint64(200), uint64(300), uint64(400)), keys), nil, "0s@100+10 3s@212+13 5s@400+15"},
		{"one size", join(times, chunks, part("stsz", 0, 20, 6), offsets, keys), nil, "0s@100+20 3s@220+20 5s@400+20"},
		{"sizes of 4 bits", join(times, chunks, part("stz2", 0, 4, 6, []byte{0x12, 0x34, 0x56}), offsets, keys), nil, "0s@100+1 3s@203+4 5s@400+6"},
		{"sizes of 8 bits", join(times, chunks, part("stz2", 0, 8, 6, []byte{10, 11, 12, 13, 14, 15}), offsets, keys), nil, "0s@100+10 3s@212+13 5s@400+15"},
		{"sizes of 16 bits", join(times, chunks, part("stz2", 0, 16, 6, []byte{0, 10, 0, 11, 0, 12, 0, 13, 0, 14, 0, 15}), offsets, keys), nil, "0s@100+10 3s@212+13 5s@400+15"},
		{"steps that change", join(part("stts", 0, 2, 2, 50, 4, 200), chunks, sizes, offsets, keys), nil, "0s@100+10 3s@212+13 7s@400+15"},
		{"shown later than decoded", join(times, part("ctts", 1<<24, 2, 3, 100, 3, -50), chunks, sizes, offsets, keys), nil, "1s@100+10 2.5s@212+13 4.5s@400+15"},
		{"an edit that begins later", join(times, chunks, sizes, offsets, keys), part("edts", part("elst", 0, 2, 500, -1, 1<<16, 5000, 50, 1<<16)), "0s@100+10 3s@212+13 5s@400+15"},
		{"an edit of 64 bits", join(times, chunks, sizes, offsets, keys), part("edts", part("elst", 1<<24, 1, uint64(5000), uint64(300), 1<<16)), "-3s@100+10 0s@212+13 2s@400+15"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := opened(t, film(c.tables, c.edits, room))
			if got := say(tracktest.Keys(t, m, 0)); got != c.want || len(m.Findings()) > 0 {
				t.Errorf("%s %v, want %s", got, m.Findings(), c.want)
			}
			if told := m.Track(); told.Width != 64 || told.Height != 48 || told.Duration != 6*time.Second || told.Codec != track.H264 {
				t.Errorf("%+v", told)
			}
		})
	}
}

func TestLiesAreFindings(t *testing.T) {
	room := part("mdat", make([]byte, 4096))
	times := part("stts", 0, 1, 6, 100)
	chunks := part("stsc", 0, 1, 1, 1<<30, 1)
	for _, c := range []struct {
		name   string
		tables []byte
		code   string
	}{
		{"a table that tells of more than it holds", join(times, chunks, part("stsz", 0, 0, 1<<30, 10, 11), part("stco", 0, 1, 100)), tutela.FindingDamaged},
		{"frames beyond the file", join(times, chunks, part("stsz", 0, 10, 3), part("stco", 0, 1, 1<<30)), tutela.FindingTruncated},
		{"frames without end", join(times, chunks, part("stsz", 0, 1, -1), part("stco", 0, 1<<10, make([]byte, 4<<10))), tutela.FindingLimit},
		{"no places", join(times, chunks, part("stsz", 0, 10, 3)), tutela.FindingDamaged},
		{"a second description", join(times, part("stsc", 0, 1, 1, 9, 2), part("stsz", 0, 10, 3), part("stco", 0, 1, 100)), tutela.FindingUnsupported},
	} {
		m := opened(t, film(c.tables, nil, room))
		tracktest.Keys(t, m, time.Hour)
		if !slices.ContainsFunc(m.Findings(), func(f tutela.Finding) bool { return f.Code == c.code }) {
			t.Errorf("%s: %v, want %s", c.name, m.Findings(), c.code)
		}
	}
}

func TestFragmentByHand(t *testing.T) {
	none := join(part("stts", 0, 0), part("stsc", 0, 0), part("stsz", 0, 0, 0), part("stco", 0, 0))
	// A fragment by defaults alone, but the first sample's flags; offsets from the file.
	fragment := part("moof", part("mfhd", 0, 1), part("traf",
		part("tfhd", hasBase|hasDuration|hasSize|hasFlags, 7, uint64(5000), 50, 9, sampleNotSync),
		part("tfdt", 1<<24, uint64(400)),
		part("trun", hasDataOffset|hasFirstFlags, 4, 8, 0),
		part("trun", eachSize|eachFlags, 2, 5, 0, 6, sampleDependsYes),
	))
	other := part("moof", part("traf", part("tfhd", 0, 8), part("trun", eachSize, 1, 5)))
	m := opened(t, film(none, nil, join(fragment, other, make([]byte, 6000))))
	m.fragments = true
	if got, want := say(tracktest.Keys(t, m, 0)), "4s@5008+9 6s@5044+5"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := m.Track().Duration; got != 7*time.Second {
		t.Errorf("lasts %v, want 7s", got)
	}
}

func TestWithoutHeader(t *testing.T) {
	for _, data := range [][]byte{nil, part("ftyp", "isom", 0), join(part("ftyp", "isom", 0), part("mdat", make([]byte, 100))), part("moov"), part("moov", part("cmov"))} {
		if m, err := Open(bytes.NewReader(data), int64(len(data))); err == nil {
			t.Errorf("%q: %+v", data[:min(20, len(data))], m.Track())
		}
	}
}

func TestElementaryStreamDescriptor(t *testing.T) {
	own := []byte{1, 2, 3}
	decoder := join([]byte{4, 0x80, 0x80, 0x80, 18, 0x20, 0x11}, make([]byte, 11), []byte{5, 3}, own)
	stream := join([]byte{0, 0, 0, 0, 3, 0x80, byte(3 + 2 + 3 + 2 + len(decoder)), 0, 1, 0xe0, 0, 9, 2, 'a', 'b', 0, 7}, decoder)
	if kind, config := elementary(stream); kind != 0x20 || !bytes.Equal(config, own) {
		t.Errorf("%x %x", kind, config)
	}
	for n := range stream {
		elementary(stream[:n])
	}
}

// Whatever is left of a file, no more is told than is there.
func TestEveryLength(t *testing.T) {
	for _, name := range []string{"start.mp4", "pieces.mp4"} {
		data, err := os.ReadFile(filepath.Join("../testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; n < len(data); n += 23 {
			tracktest.Hostile(t, Open, data[:n])
		}
	}
}

func FuzzOpen(f *testing.F) {
	for _, name := range []string{"start.mp4", "pieces.mp4", "part2.mp4", "sound.mov"} {
		data, err := os.ReadFile(filepath.Join("../testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add(film(join(part("stts", 0, 1, 6, 100), part("stsc", 0, 1, 1, 2, 1), part("stz2", 0, 4, 4, []byte{0x12, 0x34}), part("co64", 0, 1, uint64(99))), nil, nil))
	f.Fuzz(func(t *testing.T, data []byte) { tracktest.Hostile(t, Open, data) })
}
