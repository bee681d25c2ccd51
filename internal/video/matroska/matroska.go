// Package matroska reads Matroska and WebM.
//
// Start with [Open]; the [Movie] tells of the first track of pictures and hands
// over the places of its key frames: by the cues where there are some that lead
// to them, else by going through all clusters.
//
// Promised: no size or count of the file is believed beyond the file's own
// length, clusters and segments of unknown length are read, the number of
// elements looked at is bounded. Not promised: tracks beside the first, segments
// beside the first, key frames that cues do not list, and frames that are
// compressed or encrypted by the container (bytes that were stripped from the
// beginning of frames are put back).
//
// Sources: RFC 8794 (EBML), RFC 9559 (Matroska), the codec mappings of
// matroska.org.
package matroska

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"tutela"
	"tutela/internal/video/track"
)

// Movie is an open file. It is not safe for concurrent use.
type Movie struct {
	src    io.ReaderAt
	size   int64
	win    *track.Window
	notes  track.Notes
	told   track.Track
	looked int // elements in this go

	segment element
	cluster int64   // where the first is, 0 if none was met
	cues    element // end is 0 if they are not known
	seeks   map[uint32]int64

	scale  int64 // nanoseconds a tick
	length float64
	number uint64        // of the track
	each   time.Duration // a frame lasts; 0 where it is not told
}

var _ track.Movie = (*Movie)(nil)

// maxConfig bounds what is kept for a decoder, in bytes.
const maxConfig = 1 << 20

// Open reads the head of a file of size bytes. Errors wrap track.ErrFormat unless
// they are the source's.
func Open(src io.ReaderAt, size int64) (*Movie, error) {
	m := &Movie{
		src: src, size: size, win: track.NewWindow(src, size), told: track.Track{Container: "matroska"},
		scale: 1e6, seeks: map[uint32]int64{},
	}
	if err := m.elements(0, size, m.outermost); err != nil {
		return nil, limitIsFormat(err)
	}
	if m.segment.end == 0 {
		return nil, fmt.Errorf("%w: no segment", track.ErrFormat)
	}
	if err := m.elements(m.segment.body, m.segment.end, m.top); err != nil {
		return nil, limitIsFormat(err)
	}
	if err := m.seek(); err != nil {
		return nil, limitIsFormat(err)
	}
	if m.number == 0 {
		return nil, fmt.Errorf("%w: no track of pictures", track.ErrFormat)
	}
	m.told.Duration = max(m.ticks(m.length), 0)
	return m, nil
}

func limitIsFormat(err error) error {
	if err == errLimit {
		return fmt.Errorf("%w: %v", track.ErrFormat, err)
	}
	return err
}

// Track is what the head tells. The length of a file that does not tell it is
// known after Keys only, if there are no cues.
func (m *Movie) Track() track.Track { return m.told }

// Findings says what was wrong so far.
func (m *Movie) Findings() []tutela.Finding { return m.notes.Findings() }

// ticks is a time of the segment. What is too far off, or no number, is 0.
func (m *Movie) ticks(t float64) time.Duration {
	ns := t * float64(m.scale)
	if math.IsNaN(ns) || math.Abs(ns) >= math.MaxInt64 {
		return 0
	}
	return time.Duration(ns)
}

func (m *Movie) outermost(e element) error {
	switch e.id {
	case idHead:
		return m.elements(e.body, e.end, func(e element) error {
			if e.id != idDocType {
				return nil
			}
			kind, err := m.data(e, 64)
			if string(kind) == "webm" {
				m.told.Container = "webm"
			}
			return passOver(err)
		})
	case idSegment:
		m.segment = e
		return errEnough
	}
	return nil
}

// passOver leaves what does not hold together untold.
func passOver(err error) error {
	if errors.Is(err, track.ErrFormat) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// top reads an element of the segment, up to the first cluster if the tracks
// stand before it.
func (m *Movie) top(e element) error {
	switch e.id {
	case idSeekHead:
		return m.elements(e.body, e.end, m.seekEntry)
	case idInfo:
		return m.elements(e.body, e.end, m.info)
	case idTracks:
		return m.elements(e.body, e.end, m.entry)
	case idCues:
		m.cues = e
	case idCluster:
		if m.cluster == 0 {
			m.cluster = e.body
		}
		if m.number != 0 || m.seeks[idTracks] > 0 {
			return errEnough
		}
	}
	return nil
}

func (m *Movie) seekEntry(e element) error {
	if e.id != idSeek {
		return nil
	}
	var id, at uint64
	err := m.elements(e.body, e.end, func(e element) (err error) {
		switch e.id {
		case idSeekID:
			id, err = m.count(e)
		case idSeekAt:
			at, err = m.count(e)
		}
		return err
	})
	if at < uint64(m.size) && id < 1<<32 && isTop(uint32(id)) {
		m.seeks[uint32(id)] = m.segment.body + int64(at)
	}
	return err
}

// count is unsigned without the errors that the file is to blame for.
func (m *Movie) count(e element) (uint64, error) {
	v, err := m.unsigned(e)
	return v, passOver(err)
}

// seek reads what the seek head leads to and was not met on the way.
func (m *Movie) seek() error {
	for _, wanted := range []struct {
		id  uint32
		had bool
	}{{idInfo, m.length != 0}, {idTracks, m.number != 0}, {idCues, m.cues.end != 0}} {
		at := m.seeks[wanted.id]
		if wanted.had || at == 0 || at >= m.segment.end {
			continue
		}
		e, err := m.element(at, m.segment.end)
		if passOver(err) != nil {
			return err
		}
		if err != nil || e.id != wanted.id {
			m.notes.Add(tutela.FindingDamaged, "the seek head leads astray")
			continue
		}
		if err := m.top(e); err != nil && err != errEnough {
			return err
		}
	}
	return nil
}

func (m *Movie) info(e element) (err error) {
	switch e.id {
	case idScale:
		v, err := m.count(e)
		if v > 0 && v <= 1e12 {
			m.scale = int64(v)
		}
		return err
	case idDuration:
		m.length, err = m.real(e)
	}
	return passOver(err)
}

// entry reads a track, if it is of pictures and none was read before.
func (m *Movie) entry(e element) error {
	if e.id != idEntry || m.number != 0 {
		return nil
	}
	t := &entry{Movie: m, told: track.Track{Container: m.told.Container}}
	if err := m.elements(e.body, e.end, t.field); err != nil {
		return err
	}
	if t.kind != 1 || t.number == 0 {
		return nil
	}
	t.name()
	m.number, m.told, m.each = t.number, t.told, t.each
	return nil
}

// entry is a track as it is read.
type entry struct {
	*Movie
	number, kind uint64
	codec        string
	each         time.Duration
	told         track.Track
	opaque       bool // its frames are packed in a way that is not read here
}

func (t *entry) field(e element) (err error) {
	switch e.id {
	case idNumber:
		t.number, err = t.count(e)
	case idType:
		t.kind, err = t.count(e)
	case idEach:
		v, err := t.count(e)
		if v < 1<<62 {
			t.each = time.Duration(v)
		}
		return err
	case idCodec:
		b, err := t.data(e, 256)
		t.codec = strings.TrimRight(string(b), "\x00")
		return passOver(err)
	case idPrivate:
		t.told.Config, err = t.data(e, maxConfig)
	case idVideo:
		return t.elements(e.body, e.end, t.video)
	case idEncodings:
		return t.elements(e.body, e.end, t.encoding)
	}
	return passOver(err)
}

func (t *entry) video(e element) error {
	switch e.id {
	case idWidth, idHeight:
	default:
		return nil
	}
	v, err := t.count(e)
	if v >= 1<<31 {
		v = 0
	}
	if e.id == idWidth {
		t.told.Width = int(v)
	} else {
		t.told.Height = int(v)
	}
	return err
}

func (t *entry) encoding(e element) error {
	if e.id != idEncoding {
		return nil
	}
	scope, kind, algorithm := uint64(1), uint64(0), uint64(0)
	var settings []byte
	err := t.elements(e.body, e.end, func(e element) (err error) {
		switch e.id {
		case idScope:
			scope, err = t.count(e)
		case idKind:
			kind, err = t.count(e)
		case idCompression:
			return t.elements(e.body, e.end, func(e element) (err error) {
				switch e.id {
				case idAlgorithm:
					algorithm, err = t.count(e)
				case idSettings:
					settings, err = t.data(e, 4096)
				}
				return passOver(err)
			})
		}
		return err
	})
	if err != nil || scope&1 == 0 {
		return err
	}
	switch {
	case kind == 1:
		t.opaque = true
		t.notes.Add(tutela.FindingEncrypted, "the frames are encrypted, each by itself")
	case algorithm == 3:
		t.told.Prefix = append(settings, t.told.Prefix...)
	default:
		t.opaque = true
		t.notes.Add(tutela.FindingUnsupported, "the frames are compressed once more, by algorithm %d", algorithm)
	}
	return nil
}

// name says what the track's codec is.
func (t *entry) name() {
	t.told.Name = tutela.DisplayPath([]byte(t.codec))
	t.told.Codec = codecs[t.codec]
	switch {
	case t.codec == "V_MS/VFW/FOURCC" && len(t.told.Config) >= 40: // a BITMAPINFOHEADER
		four := string(t.told.Config[16:20])
		t.told.Name += " " + tutela.DisplayPath([]byte(four))
		t.told.Codec = track.FourCC(four)
		t.told.Config = t.told.Config[40:]
	case t.opaque:
		t.told.Codec = track.Unknown
	}
}

var codecs = map[string]track.Codec{
	"V_MPEG4/ISO/AVC": track.H264, "V_MPEGH/ISO/HEVC": track.HEVC,
	"V_VP8": track.VP8, "V_VP9": track.VP9, "V_AV1": track.AV1,
	"V_MPEG1": track.MPEG1, "V_MPEG2": track.MPEG2,
	"V_MPEG4/ISO/SP": track.MPEG4, "V_MPEG4/ISO/ASP": track.MPEG4, "V_MPEG4/ISO/AP": track.MPEG4,
	"V_MPEG4/MS/V3": track.MSMPEG4, "V_MJPEG": track.MJPEG,
}
