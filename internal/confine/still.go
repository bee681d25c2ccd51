package confine

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"tutela/internal/picture"
	"tutela/internal/video/track"
)

// stills decodes for a child the key frames that a picture is made of, each stream
// of them by an ffmpeg that is confined more than the child is. One runs at a
// time; it ends with the call for whose picture it runs.
type stills struct {
	h   *Host
	ctx context.Context

	mu      sync.Mutex
	decoder *stillDecoder
	death   *Death // of the first that died
	shut    bool
}

// decodeFor lets a child have key frames decoded until leave is called, which says
// what decoder died.
func (p *process) decodeFor(ctx context.Context, h *Host) (leave func() *Death) {
	s := &stills{h: h, ctx: ctx}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stills = s
	return func() *Death {
		p.mu.Lock()
		p.stills = nil
		p.mu.Unlock()
		return s.close()
	}
}

func (p *process) serveStill(op byte, d *decoder) ([]byte, error) {
	p.mu.Lock()
	s := p.stills
	p.mu.Unlock()
	if s == nil {
		return nil, errGarbled
	}
	if op == opStill {
		return s.begin(d)
	}
	decoder := s.running()
	if decoder == nil {
		return nil, errDecoderGone
	}
	if op == opStillPiece {
		return nil, decoder.take(d)
	}
	return s.pixels(decoder, d)
}

func (s *stills) running() *stillDecoder {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.decoder
}

// begin starts a decoder. What it is told becomes arguments of ffmpeg, so nothing
// of it is a text of the child's.
func (s *stills) begin(d *decoder) ([]byte, error) {
	coding := codingOf(d.string())
	c := picture.Coded{Coding: coding, Width: int(d.int()), Height: int(d.int())}
	c.Colour = picture.Colour{Told: d.int() != 0, Matrix: int(d.int()), Full: d.int() != 0}
	if d.end() != nil || coding == "" || c.Width < 1 || c.Height < 1 || c.Width > 65535 || c.Height > 65535 {
		return nil, errGarbled
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut || s.h.refusesVideo() != "" {
		return nil, errGarbled
	}
	s.end()
	decoder, err := s.h.startStillDecoder(s.ctx, c)
	if err != nil {
		return nil, fmt.Errorf("start the decoder: %w", err)
	}
	s.decoder = decoder
	return appendBytes(nil, "ffmpeg "+s.h.ffmpegVersion()+" "+coding), nil
}

// codingOf is a coding of pictures, "" if it is none.
func codingOf(name string) string {
	for _, known := range []track.Codec{track.HEVC, track.AV1, track.H264} {
		if name == string(known) {
			return name
		}
	}
	return ""
}

// pixels are the next of a decoder, at most readMost bytes, and the number of the
// frame that ends with them, below 0 where none does. None are the last.
func (s *stills) pixels(decoder *stillDecoder, d *decoder) ([]byte, error) {
	if d.end() != nil {
		return nil, errGarbled
	}
	piece, number := decoder.next()
	if piece == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.end()
		if s.death != nil {
			return nil, s.death
		}
	}
	return appendBytes(appendInt(nil, number), piece), nil
}

// end ends the decoder that runs, if one does. mu is held.
func (s *stills) end() {
	if s.decoder == nil {
		return
	}
	if death := s.decoder.finish(); death != nil && s.death == nil && s.ctx.Err() == nil {
		s.death = death
	}
	s.decoder = nil
}

func (s *stills) close() *Death {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shut = true
	s.end()
	return s.death
}

// stillDecoder is a running ffmpeg whose pixels are handed on.
type stillDecoder struct {
	*ffmpegProcess
	stop context.CancelFunc // ends it
	over atomic.Bool        // nothing more is read from it

	reading sync.Mutex // guards what follows
	pixels  io.Reader
	lines   *os.File
	numbers *frameNumbers
	size    int // of a frame, in bytes
	had     int // of the frame at hand
}

// stillPatience is how many times as long as it may make no progress a picture
// may take in all.
const stillPatience = 10

func (h *Host) startStillDecoder(ctx context.Context, c picture.Coded) (*stillDecoder, error) {
	ctx, stop := context.WithTimeout(ctx, stillPatience*h.patience)
	arguments := streamArguments(h.ffmpegVersion(), c.Coding, stillFilter(c), "yuv420p")
	p, pixels, lines, err := h.startFFmpeg(ctx, "picture", arguments)
	if err != nil {
		stop()
		return nil, err
	}
	d := &stillDecoder{
		ffmpegProcess: p, stop: stop, pixels: pixels, lines: lines, size: c.FrameBytes(),
		numbers: &frameNumbers{lines: bufio.NewScanner(lines), unit: 1},
	}
	d.waiting.Store(true) // the child has all that it will give
	go d.guard()
	return d, nil
}

// stillFilter makes frames of the size that was told, as JFIF has them.
func stillFilter(c picture.Coded) string {
	f := fmt.Sprintf("scale=%d:%d:flags=neighbor:out_color_matrix=bt601:out_range=full", c.Width, c.Height)
	if matrix := matrices[c.Colour.Matrix]; c.Colour.Told && matrix != "" {
		f += ":in_color_matrix=" + matrix
	}
	switch {
	case !c.Colour.Told || c.Colour.Matrix == matrixRGB: // as the stream has it
	case c.Colour.Full:
		f += ":in_range=full"
	default:
		f += ":in_range=limited"
	}
	return f
}

// matrices are ffmpeg's names of ITU-T H.273's MatrixCoefficients (table 4).
var matrices = map[int]string{1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020", 10: "bt2020"}

const matrixRGB = 0

// take gives the decoder a piece of its stream; an empty one says that it had all.
func (d *stillDecoder) take(b *decoder) error {
	piece := b.bytes()
	if b.end() != nil {
		return errGarbled
	}
	d.progress()
	if len(piece) == 0 {
		d.in.Close()
		return nil
	}
	if _, err := d.in.Write(piece); err != nil {
		return errDecoderGone
	}
	return nil
}

// next waits for pixels; without any it has ended.
func (d *stillDecoder) next() (piece []byte, number int64) {
	d.reading.Lock()
	defer d.reading.Unlock()
	piece = make([]byte, min(d.size-d.had, readMost))
	if _, err := io.ReadFull(d.pixels, piece); err != nil {
		d.over.Store(true)
		return nil, -1
	}
	d.progress()
	if d.had += len(piece); d.had < d.size {
		return piece, -1
	}
	d.had = 0
	return piece, d.numbers.next()
}

// finish ends the decoder. The Death is that of one that ended by itself, and not
// well.
func (d *stillDecoder) finish() *Death {
	left := !d.over.Load()
	if left { // nobody wants the rest
		d.stop()
	}
	d.in.Close()
	death := d.wait()
	d.stop()
	d.lines.Close()
	if left && !d.stalled.Load() {
		return nil
	}
	return death
}
