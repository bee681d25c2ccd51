package matroska

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tutela"
	"tutela/internal/video/track"
	"tutela/internal/video/track/tracktest"
)

// piece is an element with what is in it: bytes, strings, unsigned numbers and
// floats.
func piece(id uint32, content ...any) []byte {
	body := tracktest.Inside(binary.BigEndian, content...)
	return append(binary.BigEndian.AppendUint64(name(id), 1<<56|uint64(len(body))), body...)
}

// open is an element whose length is not told.
func open(id uint32, content ...any) []byte {
	return append(append(name(id), 0xff), tracktest.Inside(binary.BigEndian, content...)...)
}

func name(id uint32) []byte { return bytes.TrimLeft(binary.BigEndian.AppendUint32(nil, id), "\x00") }

// block is the body of a block of a track: when, flags, and what follows.
func blockOf(number, at int, flags byte, content string) []byte {
	return append([]byte{0x80 | byte(number), byte(at >> 8), byte(at), flags}, content...)
}

func film(segment ...any) []byte {
	return append(piece(idHead, piece(idDocType, "matroska")), open(idSegment, segment...)...)
}

var (
	info  = piece(idInfo, piece(idScale, 1e6), piece(idDuration, 5000.0))
	sound = piece(idEntry, piece(idNumber, 1), piece(idType, 2), piece(idCodec, "A_OPUS"))
)

func pictures(more ...any) []byte {
	return piece(idTracks, sound, piece(idEntry, append([]any{
		piece(idNumber, 2), piece(idType, 1), piece(idCodec, "V_VP8"), piece(idEach, 40_000_000),
		piece(idVideo, piece(idWidth, 64), piece(idHeight, 48))}, more...)...))
}

func opened(t *testing.T, data []byte) *Movie {
	t.Helper()
	return tracktest.Open(t, Open, data)
}

func TestBlocks(t *testing.T) {
	const key, none, xiph, fixed, laced = 0x80, 0, 2, 4, 6
	for _, c := range []struct {
		name    string
		cluster []byte
		want    string
	}{
		{"simple", piece(idCluster, piece(idTimestamp, 1000), piece(idSimpleBlock, blockOf(2, 5, key, "abc")), piece(idSimpleBlock, blockOf(2, 9, none, "no"))), "1.005s=abc"},
		{"before its cluster", piece(idCluster, piece(idTimestamp, 1000), piece(idSimpleBlock, blockOf(2, -5, key, "abc"))), "995ms=abc"},
		{"of another track", piece(idCluster, piece(idTimestamp, 0), piece(idSimpleBlock, blockOf(1, 5, key, "abc"))), ""},
		{"groups", piece(idCluster, piece(idTimestamp, 0), piece(idGroup, piece(idBlock, blockOf(2, 0, 0, "key"))), piece(idGroup, piece(idBlock, blockOf(2, 5, 0, "no")), piece(idReference, -5))), "0s=key"},
		{"laced in equal parts", piece(idCluster, piece(idTimestamp, 0), piece(idSimpleBlock, blockOf(2, 0, key|fixed, "\x02aabbcc"))), "0s=aa 40ms=bb 80ms=cc"},
		{"laced as Xiph does", piece(idCluster, piece(idTimestamp, 0), piece(idSimpleBlock, blockOf(2, 0, key|xiph, "\x02\x01\x03abbbcc"))), "0s=a 40ms=bbb 80ms=cc"},
		{"laced as EBML does", piece(idCluster, piece(idTimestamp, 0), piece(idSimpleBlock, blockOf(2, 0, key|laced, "\x03\x83\xbe\x5f\xfeaaabbcd"))), "0s=aaa 40ms=bb 80ms=c 120ms=d"},
		{"clusters of unknown length", append(open(idCluster, piece(idTimestamp, 0), piece(idSimpleBlock, blockOf(2, 0, key, "a"))), open(idCluster, piece(idTimestamp, 2000), piece(idSimpleBlock, blockOf(2, 0, key, "b")), piece(idTags))...), "0s=a 2s=b"},
	} {
		data := film(info, pictures(), c.cluster)
		m := opened(t, data)
		if got := tracktest.Say(data, tracktest.Keys(t, m, 0)); got != c.want || len(m.Findings()) > 0 {
			t.Errorf("%s: %q %v, want %q", c.name, got, m.Findings(), c.want)
		}
		if told := m.Track(); told.Codec != track.VP8 || told.Width != 64 || told.Height != 48 || told.Duration != 5*time.Second {
			t.Errorf("%+v", told)
		}
	}
}

func TestLacesThatLie(t *testing.T) {
	for _, c := range []string{"\x02\xff", "\x05\x09\x09abc", "\x01\xff\xff\xff"} {
		for _, lacing := range []byte{0x82, 0x86} {
			data := film(info, pictures(), piece(idCluster, piece(idTimestamp, 0), piece(idSimpleBlock, blockOf(2, 0, lacing, c))))
			m := opened(t, data)
			if keys := tracktest.Keys(t, m, 0); len(keys) > 0 || len(m.Findings()) == 0 {
				t.Errorf("%x by %x: %v %v", c, lacing, keys, m.Findings())
			}
		}
	}
}

func TestEncodings(t *testing.T) {
	packed := func(content ...any) []byte { return piece(idEncodings, piece(idEncoding, content...)) }
	for _, c := range []struct {
		name     string
		encoding []byte
		prefix   string
		codec    track.Codec
		code     string
	}{
		{"stripped", packed(piece(idCompression, piece(idAlgorithm, 3), piece(idSettings, "abc"))), "abc", track.VP8, ""},
		{"deflated", packed(piece(idCompression, piece(idAlgorithm, 0))), "", track.Unknown, tutela.FindingUnsupported},
		{"encrypted", packed(piece(idKind, 1)), "", track.Unknown, tutela.FindingEncrypted},
		{"of the private part only", packed(piece(idScope, 2), piece(idCompression, piece(idAlgorithm, 0))), "", track.VP8, ""},
	} {
		m := opened(t, film(info, pictures(c.encoding)))
		code := ""
		if list := m.Findings(); len(list) > 0 {
			code = list[0].Code
		}
		if told := m.Track(); string(told.Prefix) != c.prefix || told.Codec != c.codec || code != c.code {
			t.Errorf("%s: %+v %v", c.name, told, m.Findings())
		}
	}
}

// cued is a film of three key frames, with cues in front that lead to places in
// the segment, or astray by a shift.
func cued(shift int) (data []byte) {
	cluster := func(at int, s string) []byte {
		return piece(idCluster, piece(idTimestamp, at), piece(idSimpleBlock, blockOf(1, 0, 0x80, "sound")), piece(idSimpleBlock, blockOf(2, 0, 0x80, s)))
	}
	clusters := [][]byte{cluster(0, "a"), cluster(2000, "b"), cluster(4000, "c")}
	build := func(first int) []byte {
		var points []any
		place := first
		for i, c := range clusters {
			points = append(points, piece(idPoint, piece(idCueTime, i*2000), piece(idPositions, piece(idCueTrack, 2), piece(idCueCluster, place))))
			if i == 1 {
				place += shift
			}
			place += len(c)
		}
		return piece(idCues, points...)
	}
	head := append(append([]byte{}, info...), pictures()...)
	cues := build(len(head) + len(build(0)))
	return film(head, cues, clusters[0], clusters[1], clusters[2])
}

func TestCues(t *testing.T) {
	const want = "0s=a 2s=b 4s=c"
	for _, shift := range []int{0, 3, -3, 1 << 20} {
		data := cued(shift)
		m := opened(t, data)
		got := tracktest.Say(data, tracktest.Keys(t, m, 0))
		if got != want || m.Track().Indexed != (shift == 0) || len(m.Findings()) > 0 != (shift != 0) {
			t.Errorf("astray by %d: %q %v, indexed %v", shift, got, m.Findings(), m.Track().Indexed)
		}
	}
	data := cued(0)
	if got := tracktest.Say(data, tracktest.Keys(t, opened(t, data), 3*time.Second)); got != "0s=a 4s=c" {
		t.Errorf("every three seconds: %q", got)
	}
}

// Without its cues a file gives the same frames.
func TestDrawnWithoutCues(t *testing.T) {
	for _, name := range []string{"cues.mkv", "part2.mkv", "mpeg2.mkv", "vp8.webm"} {
		data := drawn(t, name)
		m := opened(t, data)
		want := tracktest.Say(data, tracktest.Keys(t, m, 0))
		if !m.Track().Indexed {
			t.Errorf("%s: the cues were not used", name)
		}
		blind := bytes.ReplaceAll(data, []byte{0x1c, 0x53, 0xbb, 0x6b}, []byte{0x1c, 0x53, 0xbb, 0x6a})
		m = opened(t, blind)
		if got := tracktest.Say(data, tracktest.Keys(t, m, 0)); got != want || m.Track().Indexed {
			t.Errorf("%s: without cues other frames", name)
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

func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		b    string
		want int64
		n    int
	}{
		{"\x81", 1, 1}, {"\xff", -1, 1}, {"\x40\x02", 2, 2}, {"\x7f\xff", -1, 2}, {"\x01\x00\x00\x00\x00\x00\x00\x05", 5, 8}, {"\x01\xff\xff\xff\xff\xff\xff\xff", -1, 8},
	} {
		if v, n, err := length([]byte(c.b)); v != c.want || n != c.n || err != nil {
			t.Errorf("%x: %d %d %v", c.b, v, n, err)
		}
	}
	for _, b := range []string{"", "\x00\x01", "\x40", "\x01\x00"} {
		if _, _, err := length([]byte(b)); err == nil {
			t.Errorf("%x: no error", b)
		}
	}
}

func TestNothingOfUse(t *testing.T) {
	for _, data := range [][]byte{nil, piece(idHead), film(), film(info), film(info, piece(idTracks, sound)), film(info, piece(idTracks, piece(idEntry, piece(idType, 1))))} {
		if m, err := Open(bytes.NewReader(data), int64(len(data))); err == nil {
			t.Errorf("%x: %+v", data, m.Track())
		}
	}
}

func TestEveryLength(t *testing.T) {
	for _, name := range []string{"cues.mkv", "live.webm"} {
		data := drawn(t, name)
		for n := 0; n < len(data); n += 23 {
			tracktest.Hostile(t, Open, data[:n])
		}
	}
}

func FuzzOpen(f *testing.F) {
	for _, name := range []string{"cues.mkv", "live.webm"} {
		f.Add(drawn(f, name))
	}
	f.Add(cued(0))
	f.Add(film(info, pictures(), piece(idCluster, piece(idTimestamp, 0), piece(idSimpleBlock, blockOf(2, 0, 0x86, "\x03\x83\xbe\x5f\xfeaaabbcd")))))
	f.Fuzz(func(t *testing.T, data []byte) { tracktest.Hostile(t, Open, data) })
}
