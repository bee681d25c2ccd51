package video

import (
	"bytes"
	"encoding/binary"
	"math"

	"tutela/internal/video/track"
)

// Feed turns the key frames of a track into a stream that a decoder takes: IVF,
// which says of each frame where it ends and bears a number in place of a time,
// so that what comes back can be told. H.264 and HEVC are written with start
// codes and their parameter sets before each frame (ISO/IEC 14496-10 and 23008-2,
// annex B). The decoder sees nothing of the container.
//
// Decoders put pictures in order by counters that run on from one picture to the
// next, and key frames that were cut out of their surroundings do not fit. Most
// of H.264 and HEVC reset them (IDR); with one that does not, a new stream begins.
type Feed struct {
	codec         track.Codec
	fourCC        string
	width, height int
	before        []byte // goes before every frame
	lengths       int    // bytes of the length before each unit of a frame; 0 if start codes stand there
	number        int64
}

// NewFeed makes the feed of a track, nil where no decoder could take it.
func NewFeed(t track.Track) *Feed {
	f := &Feed{codec: t.Codec, fourCC: ivfNames[t.Codec], width: t.Width, height: t.Height}
	switch t.Codec {
	case track.H264:
		f.before, f.lengths = parameterSets(t.Config, avcSets)
	case track.HEVC:
		f.before, f.lengths = parameterSets(t.Config, hevcSets)
	case track.MPEG4, track.MPEG2, track.MPEG1:
		if bytes.HasPrefix(t.Config, []byte{0, 0, 1}) {
			f.before = t.Config
		}
	}
	if f.fourCC == "" {
		return nil
	}
	return f
}

// ivfNames are the names of codings by which IVF is read.
var ivfNames = map[track.Codec]string{
	track.H264: "H264", track.HEVC: "H265", track.VP8: "VP80", track.VP9: "VP90", track.AV1: "AV01",
	track.MPEG1: "mpg1", track.MPEG2: "mpg2", track.MPEG4: "FMP4", track.MSMPEG4: "MP43", track.MSMPEG4v2: "MP42", track.H263: "H263", track.FLV1: "FLV1",
	track.ProRes: "apcn",
}

// Packet is the next frame. Where it begins a stream it has the stream's head, and
// is frame 0 of it.
func (f *Feed) Packet(frame []byte) (b []byte, begins bool) {
	units := f.units(frame)
	if f.number == 0 || !f.beginsAnew(units) {
		f.number, b = 0, f.head()
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(units)))
	b = binary.LittleEndian.AppendUint64(b, uint64(f.number))
	f.number++
	return append(b, units...), f.number == 1
}

// units are a frame as a decoder takes it.
func (f *Feed) units(frame []byte) []byte {
	b := append([]byte(nil), f.before...)
	if f.lengths > 0 && !startCode(frame) {
		return appendUnits(b, frame, f.lengths)
	}
	return append(b, frame...)
}

// beginsAnew reports whether a frame has a slice of a picture that resets the
// decoder. In other codings than H.264 and HEVC every key frame does.
func (f *Feed) beginsAnew(units []byte) bool {
	if f.codec != track.H264 && f.codec != track.HEVC {
		return true
	}
	for {
		i := bytes.Index(units, []byte{0, 0, 1})
		if i < 0 || i+3 >= len(units) {
			return false
		}
		units = units[i+3:]
		if slice, anew := f.slice(units[0]); slice {
			return anew
		}
	}
}

// slice reports by the first byte of a unit whether it is a slice, and whether of
// a picture that begins anew.
func (f *Feed) slice(c byte) (slice, anew bool) {
	if f.codec == track.H264 {
		kind := c & 31
		return kind >= 1 && kind <= 5, kind == 5
	}
	kind := c >> 1 & 63
	return kind < 32, kind == 19 || kind == 20
}

// FeedRate is how many frames a second a stream pretends to have, so that the times
// of what comes back are the numbers of its frames.
const FeedRate = 25

func (f *Feed) head() []byte {
	b := make([]byte, 32)
	copy(b, "DKIF")
	binary.LittleEndian.PutUint16(b[6:], 32)
	copy(b[8:], f.fourCC)
	binary.LittleEndian.PutUint16(b[12:], uint16(min(f.width, math.MaxUint16)))
	binary.LittleEndian.PutUint16(b[14:], uint16(min(f.height, math.MaxUint16)))
	binary.LittleEndian.PutUint32(b[16:], FeedRate)
	binary.LittleEndian.PutUint32(b[20:], 1)
	return b
}

func startCode(b []byte) bool {
	return bytes.HasPrefix(b, []byte{0, 0, 1}) || bytes.HasPrefix(b, []byte{0, 0, 0, 1})
}

// appendUnits writes units with start codes in place of lengths. It ends where a
// length does not hold.
func appendUnits(b, frame []byte, lengths int) []byte {
	for len(frame) > lengths {
		n := uint64(0)
		for _, c := range frame[:lengths] {
			n = n<<8 | uint64(c)
		}
		frame = frame[lengths:]
		unit := frame[:min(n, uint64(len(frame)))]
		b = appendUnit(b, unit)
		frame = frame[len(unit):]
	}
	return b
}

func appendUnit(b, unit []byte) []byte {
	if len(unit) == 0 {
		return b
	}
	return append(append(b, 0, 0, 0, 1), unit...)
}

// parameterSets takes the parameter sets from a decoder's configuration. One that
// is none of the kind that is expected is taken as it is, if it has start codes.
func parameterSets(config []byte, sets func(*reader) int) (before []byte, lengths int) {
	if startCode(config) {
		return config, 0
	}
	r := &reader{b: config}
	if r.byte() != 1 {
		return nil, 0
	}
	lengths = sets(r)
	return r.sets, lengths
}

// avcSets reads an AVCDecoderConfigurationRecord behind its version (ISO/IEC
// 14496-15, 5.3.3.1).
func avcSets(r *reader) (lengths int) {
	r.skip(3)
	lengths = int(r.byte()&3) + 1
	for range r.byte() & 31 {
		r.set()
	}
	for range r.byte() {
		r.set()
	}
	return lengths
}

// hevcSets reads an HEVCDecoderConfigurationRecord behind its version (ISO/IEC
// 14496-15, 8.3.3.1).
func hevcSets(r *reader) (lengths int) {
	r.skip(20)
	lengths = int(r.byte()&3) + 1
	for range r.byte() {
		r.skip(1)
		for range r.uint16() {
			if !r.set() {
				break
			}
		}
	}
	return lengths
}

// reader reads a configuration; behind its end there are zeros.
type reader struct {
	b    []byte
	sets []byte // the parameter sets so far, with start codes
}

func (r *reader) skip(n int) { r.b = r.b[min(n, len(r.b)):] }

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) uint16() int { return int(r.byte())<<8 | int(r.byte()) }

// set reads a parameter set, and reports whether there was one.
func (r *reader) set() bool {
	n := r.uint16()
	if n == 0 || n > len(r.b) {
		return false
	}
	r.sets = appendUnit(r.sets, r.b[:n])
	r.b = r.b[n:]
	return true
}
