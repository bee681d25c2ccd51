// Package avi reads AVI files, those of OpenDML beyond 2 GB among them.
//
// Start with [Open]; the [Movie] tells of the first stream of pictures and hands
// over the places of its key frames: by OpenDML's index, by the old index (idx1),
// or by going through all chunks and looking at how each frame begins.
//
// Promised: no size or count of the file is believed beyond the file's own
// length; indexes are read through small windows and never held; the number of
// chunks looked at is bounded. Not promised: streams beside the first, and the
// true time of frames where the number of frames is not even in time.
//
// Sources: Microsoft's AVI RIFF File Reference; OpenDML AVI File Format
// Extensions 1.02.
package avi

import (
	"context"
	"encoding/binary"
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
	src   io.ReaderAt
	size  int64
	win   *track.Window
	notes track.Notes
	told  track.Track

	streams     int    // met so far
	id          string // "00": that of the stream, with which its chunks begin; "" before it was found
	scale, rate int64  // a frame lasts scale/rate seconds
	first       int64  // frames before which the stream begins
	super       chunk  // OpenDML's index, end 0 if there is none
	old         chunk  // idx1, end 0 if there is none
	lists       []chunk
}

var _ track.Movie = (*Movie)(nil)

const (
	maxConfig  = 1 << 20
	mostChunks = 1 << 24
	mostLists  = 4096 // lists of frames: one a gigabyte
)

var (
	errEnough = errors.New("enough")
	errLimit  = errors.New("too many chunks")
)

// chunk is a piece of the file: a name, a length and a body. Of a LIST or RIFF
// the name is that of its contents.
type chunk struct {
	name             string
	list             bool
	start, body, end int64 // bytes from the beginning of the file
}

// chunks visits those of a stretch of the file, and ends without error where the
// stretch does or visit returns errEnough.
func (m *Movie) chunks(start, end int64, visit func(chunk) error) error {
	for n := 0; start <= end-8; n++ {
		if n == mostChunks {
			return errLimit
		}
		c, err := m.chunk(start, end)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			m.notes.Add(tutela.FindingTruncated, "the file ends within a chunk")
			return nil
		}
		if err != nil {
			return err
		}
		if err := visit(c); err != nil {
			if err == errEnough {
				return nil
			}
			return err
		}
		start = c.end + c.end&1
	}
	return nil
}

// chunk reads the head of a chunk. One that would go beyond end is cut there.
func (m *Movie) chunk(start, end int64) (chunk, error) {
	h, err := m.win.Bytes(start, 8)
	if err != nil {
		return chunk{}, err
	}
	c := chunk{name: string(h[:4]), start: start, body: start + 8}
	size := int64(binary.LittleEndian.Uint32(h[4:]))
	c.list = c.name == "LIST" || c.name == "RIFF"
	if c.list && size == 0 { // a recording that was not finished
		size = end - c.body
	}
	if c.end = c.body + size; c.end > end {
		if c.end > m.size {
			m.notes.Add(tutela.FindingTruncated, "the file ends within a chunk")
		}
		c.end = end
	}
	if !c.list {
		return c, nil
	}
	if h, err = m.win.Bytes(c.body, 4); err != nil {
		return chunk{}, err
	}
	c.name = string(h)
	c.body = min(c.body+4, c.end)
	return c, nil
}

// Open reads the heads of a file of size bytes. Errors wrap track.ErrFormat
// unless they are the source's.
func Open(src io.ReaderAt, size int64) (*Movie, error) {
	m := &Movie{src: src, size: size, win: track.NewWindow(src, size), told: track.Track{Container: "avi"}}
	err := m.chunks(0, size, func(c chunk) error {
		if !c.list || c.name != "AVI " && c.name != "AVIX" {
			return nil
		}
		return m.chunks(c.body, c.end, m.top)
	})
	if err == errLimit {
		m.notes.Add(tutela.FindingLimit, "only the first %d chunks were looked at", mostChunks)
		err = nil
	}
	if err != nil {
		return nil, err
	}
	if m.id == "" {
		return nil, fmt.Errorf("%w: no stream of pictures", track.ErrFormat)
	}
	return m, nil
}

// Track is what the heads tell.
func (m *Movie) Track() track.Track { return m.told }

// Findings says what was wrong so far.
func (m *Movie) Findings() []tutela.Finding { return m.notes.Findings() }

func (m *Movie) top(c chunk) error {
	switch {
	case c.list && c.name == "hdrl":
		return m.chunks(c.body, c.end, func(c chunk) error {
			if !c.list || c.name != "strl" {
				return nil
			}
			return m.stream(c)
		})
	case c.list && c.name == "movi":
		if len(m.lists) == mostLists {
			return errLimit
		}
		m.lists = append(m.lists, c)
	case c.name == "idx1" && m.old.end == 0:
		m.old = c
	}
	return nil
}

// stream reads the head of a stream, if it is of pictures and none was read
// before.
func (m *Movie) stream(list chunk) error {
	number := m.streams
	m.streams++
	if m.id != "" || number > 99 {
		return nil
	}
	var head, format, super chunk
	err := m.chunks(list.body, list.end, func(c chunk) error {
		switch c.name {
		case "strh":
			head = c
		case "strf":
			format = c
		case "indx":
			super = c
		}
		return nil
	})
	if err != nil || head.end-head.body < 36 {
		return err
	}
	h, err := m.win.Copy(head.body, 36)
	if err != nil {
		return err
	}
	if string(h[:4]) != "vids" {
		return nil
	}
	m.id, m.super = fmt.Sprintf("%02d", number), super
	m.scale, m.rate = int64(binary.LittleEndian.Uint32(h[20:])), int64(binary.LittleEndian.Uint32(h[24:]))
	m.first = int64(binary.LittleEndian.Uint32(h[28:]))
	m.told.Duration = m.lasts(int64(binary.LittleEndian.Uint32(h[32:])))
	return m.format(format, string(h[4:8]))
}

// lasts is how long so many frames last; 0 beyond what can be counted.
func (m *Movie) lasts(frames int64) time.Duration {
	if m.scale > 0 && frames > math.MaxInt64/m.scale {
		return 0
	}
	return track.Ticks(frames*m.scale, m.rate)
}

// format reads the description of the pictures, a BITMAPINFOHEADER.
func (m *Movie) format(c chunk, handler string) error {
	m.name(handler)
	size := c.end - c.body
	if size < 40 {
		return nil
	}
	if size > maxConfig {
		m.notes.Add(tutela.FindingLimit, "a description of the pictures of %d bytes", size)
		size = 40
	}
	b, err := m.win.Copy(c.body, size)
	if err != nil {
		return err
	}
	m.told.Width = int(max(int32(binary.LittleEndian.Uint32(b[4:])), 0))
	height := int64(int32(binary.LittleEndian.Uint32(b[8:]))) // negative where the picture is stored from the top
	m.told.Height = int(max(height, -height))
	m.told.Config = b[40:]
	if four := string(b[16:20]); track.FourCC(four) != track.Unknown || m.told.Codec == track.Unknown && b[16] >= ' ' {
		m.name(four)
	}
	return nil
}

func (m *Movie) name(four string) {
	m.told.Name = tutela.DisplayPath([]byte(strings.TrimRight(four, " \x00")))
	m.told.Codec = track.FourCC(four)
}

// ours reports whether a chunk holds a frame of the stream.
func (m *Movie) ours(name string) bool {
	return len(name) == 4 && name[:2] == m.id && (name[2:] == "dc" || name[2:] == "db")
}

// Keys hands over the key frames.
func (m *Movie) Keys(ctx context.Context, picker *track.Picker, take func(track.Key) error) error {
	w := &walk{Movie: m, ctx: ctx, picker: picker, take: take}
	err := w.all()
	if err == errLimit {
		m.notes.Add(tutela.FindingLimit, "only the first %d frames were looked at", mostChunks)
		return nil
	}
	return err
}

// walk goes through the frames of the stream.
type walk struct {
	*Movie
	ctx    context.Context
	picker *track.Picker
	take   func(track.Key) error
	frame  int64 // the next, from 0
}

// all takes the best index there is.
func (w *walk) all() error {
	if w.super.end > 0 {
		if err := w.superIndex(); err != nil || w.frame > 0 {
			w.told.Indexed = true
			return err
		}
		w.notes.Add(tutela.FindingDamaged, "the index of the stream leads nowhere")
	}
	lists := w.lists
	if w.old.end > 0 && len(lists) > 0 {
		if err := w.oldIndex(); err != nil {
			return err
		}
		if w.frame > 0 {
			w.told.Indexed = true
			lists = lists[1:]
		}
	}
	for _, list := range lists {
		if err := w.through(list.body, list.end); err != nil {
			return err
		}
	}
	return nil
}

// tick counts a frame. Its time is that of its number.
func (w *walk) tick(offset, size int64, key bool) error {
	number := w.frame
	if w.frame++; w.frame > mostChunks {
		return errLimit
	}
	if w.frame%4096 == 0 {
		if err := w.ctx.Err(); err != nil {
			return err
		}
	}
	at := w.lasts(w.first + number)
	if !key || !w.picker.Wants(at) {
		return nil
	}
	return w.notes.Deliver(track.Key{At: at, Offset: offset, Size: size}, w.size, w.picker, w.take)
}

// through goes through a list of frames, and the groups in it.
func (w *walk) through(start, end int64) error {
	return w.chunks(start, end, func(c chunk) error {
		if c.list && c.name == "rec " {
			return w.chunks(c.body, c.end, w.met)
		}
		return w.met(c)
	})
}

func (w *walk) met(c chunk) error {
	if c.list || !w.ours(c.name) {
		return nil
	}
	key := false
	if size := c.end - c.body; size > 0 {
		head, err := w.win.Bytes(c.body, int(min(size, 1024)))
		if err != nil && err != io.ErrUnexpectedEOF {
			return err
		}
		key = startsAnew(w.told.Codec, head)
	}
	return w.tick(c.body, c.end-c.body, key)
}
