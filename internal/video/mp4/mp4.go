// Package mp4 reads containers of the ISO base media format, and QuickTime's
// from which it came: MP4, MOV, 3GP, M4V, whole or in fragments.
//
// Start with [Open]; the [Movie] tells of the first track of pictures and hands
// over the places of its key frames.
//
// Promised: no size or count of the file is believed beyond the file's own
// length; tables are read through small windows and never held; the number of
// samples looked at is bounded. Not promised: tracks beside the first, data in
// other files, headers compressed by old QuickTime, and edits of a movie other
// than a shift of its beginning.
//
// Sources: ISO/IEC 14496-12 (base format), 14496-14 (esds), 14496-15 (avcC,
// hvcC), Apple's QuickTime File Format.
package mp4

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"tutela"
	"tutela/internal/video/track"
)

// mostSamples is how many samples of a track are looked at: 77 hours at 60 a
// second.
const mostSamples = 1 << 24

// Movie is an open file. It is not safe for concurrent use.
type Movie struct {
	src   io.ReaderAt
	size  int64
	win   *track.Window
	notes track.Notes
	told  track.Track

	movieScale int64 // ticks a second of the movie header and the edits
	id         uint32
	scale      int64 // ticks a second of the track
	shift      int64 // ticks that are added to every time of the track

	times, offsets, chunks, sizes, composition, syncs table

	uniform   int64 // bytes of every sample; 0 if sizes has them
	sizeBits  int   // of an entry of sizes: 32, or 4, 8, 16 with stz2
	samples   int64
	wide      bool // chunk offsets have 64 bits
	allSync   bool // there is no list of the key frames: all are
	defaults  fragmentDefaults
	fragments bool // there may be fragments
}

var _ track.Movie = (*Movie)(nil)

// Open reads the header of a file of size bytes. Errors wrap track.ErrFormat
// unless they are the source's.
func Open(src io.ReaderAt, size int64) (*Movie, error) {
	m := &Movie{src: src, size: size, win: track.NewWindow(src, size), told: track.Track{Container: "quicktime"}}
	found := false
	err := m.boxes(0, size, func(b box) error {
		switch b.name {
		case "ftyp":
			return m.brand(b)
		case "moof":
			m.fragments = true
			if found {
				return errEnough
			}
		case "moov":
			found = true
			if err := m.movie(b); err != nil {
				return err
			}
			if m.samples > 0 && !m.fragments {
				return errEnough
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fmt.Errorf("%w: no movie header (moov): the recording was not finished, or its end is missing", track.ErrFormat)
	}
	if m.id == 0 {
		return nil, fmt.Errorf("%w: no track of pictures", track.ErrFormat)
	}
	return m, nil
}

// Track is what the header tells. The length of a movie in fragments is known
// after Keys only.
func (m *Movie) Track() track.Track { return m.told }

// Findings says what was wrong so far.
func (m *Movie) Findings() []tutela.Finding { return m.notes.Findings() }

func (m *Movie) brand(b box) error {
	major, err := m.field(b, 0, 4)
	if err == nil && string(major) != "qt  " {
		m.told.Container = "mp4"
	}
	return ignoreShort(err)
}

// ignoreShort passes over a box that is too short: what it would say is not
// told.
func ignoreShort(err error) error {
	if errors.Is(err, track.ErrFormat) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

func (m *Movie) movie(moov box) error {
	return m.boxes(moov.body, moov.end, func(b box) error {
		switch b.name {
		case "mvhd":
			return m.movieHeader(b)
		case "trak":
			return m.track(b)
		case "mvex":
			m.fragments = true
			return m.boxes(b.body, b.end, m.extends)
		case "cmov":
			return fmt.Errorf("%w: the movie header is compressed (cmov)", track.ErrFormat)
		}
		return nil
	})
}

// span reads the time scale and length of mvhd and mdhd.
func (m *Movie) span(b box) (scale, length int64, err error) {
	h, err := m.field(b, 0, 20)
	if err != nil {
		return 0, 0, err
	}
	if h[0] != 1 {
		length = int64(binary.BigEndian.Uint32(h[16:]))
		if length == 1<<32-1 {
			length = 0
		}
		return int64(binary.BigEndian.Uint32(h[12:])), length, nil
	}
	h, err = m.field(b, 20, 12)
	if err != nil {
		return 0, 0, err
	}
	return int64(binary.BigEndian.Uint32(h)), max(int64(binary.BigEndian.Uint64(h[4:])), 0), nil
}

func (m *Movie) movieHeader(b box) error {
	scale, length, err := m.span(b)
	if err != nil {
		return ignoreShort(err)
	}
	m.movieScale, m.told.Duration = scale, track.Ticks(length, scale)
	return nil
}

// extends reads what fragments take for granted.
func (m *Movie) extends(b box) error {
	if b.name == "mehd" && m.told.Duration == 0 {
		h, err := m.field(b, 0, 8)
		if err != nil {
			return ignoreShort(err)
		}
		length := int64(binary.BigEndian.Uint32(h[4:]))
		if h[0] == 1 {
			if h, err = m.field(b, 4, 8); err != nil {
				return ignoreShort(err)
			}
			length = int64(binary.BigEndian.Uint64(h))
		}
		m.told.Duration = track.Ticks(max(length, 0), m.movieScale)
	}
	if b.name != "trex" {
		return nil
	}
	h, err := m.field(b, 0, 24)
	if err != nil || m.id != 0 && binary.BigEndian.Uint32(h[4:]) != m.id {
		return ignoreShort(err)
	}
	m.defaults = fragmentDefaults{
		duration: binary.BigEndian.Uint32(h[12:]),
		size:     binary.BigEndian.Uint32(h[16:]),
		flags:    binary.BigEndian.Uint32(h[20:]),
	}
	return nil
}

// Keys hands over the key frames, first those of the header's tables, then those
// of the fragments.
func (m *Movie) Keys(ctx context.Context, picker *track.Picker, take func(track.Key) error) error {
	w := &walk{m: m, ctx: ctx, picker: picker, take: take}
	if err := w.tables(); err != nil {
		return w.enough(err)
	}
	if !m.fragments {
		return nil
	}
	return w.enough(w.allFragments())
}

// walk goes through the samples of a track.
type walk struct {
	m      *Movie
	ctx    context.Context
	picker *track.Picker
	take   func(track.Key) error

	looked int64 // samples
	decode int64 // time of the next sample, in ticks
}

// enough tells the limit from errors.
func (w *walk) enough(err error) error {
	if err != errEnough {
		return err
	}
	w.m.notes.Add(tutela.FindingLimit, "only the first %d frames were looked at", mostSamples)
	return nil
}

// sample counts a sample, and hands it over if it is a key frame that is wanted.
func (w *walk) sample(offset, size, composition int64, key bool) error {
	if w.looked++; w.looked > mostSamples {
		return errEnough
	}
	if w.looked%4096 == 0 {
		if err := w.ctx.Err(); err != nil {
			return err
		}
	}
	if !key {
		return nil
	}
	at := track.Ticks(w.decode+composition+w.m.shift, w.m.scale)
	if !w.picker.Wants(at) {
		return nil
	}
	return w.m.notes.Deliver(track.Key{At: at, Offset: offset, Size: size}, w.m.size, w.picker, w.take)
}

// lasts makes the movie as long as what was seen of it, if it does not tell.
func (w *walk) lasts(until int64) {
	w.m.told.Duration = max(w.m.told.Duration, track.Ticks(until+w.m.shift, w.m.scale), time.Duration(0))
}
