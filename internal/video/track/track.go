// Package track names what the readers of video containers have in common: a
// [Track] of pictures, its [Key] frames, and the [Picker] that says which of
// them are wanted.
//
// Promised: nothing here reads a container. Not promised: that what a container
// says is true; sizes, places and times are claims, and the readers only see to
// it that a frame lies within the file.
package track

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/big"
	"time"

	"tutela"
)

// ErrFormat is wrapped by every error of a container that is not what its reader
// reads, or in which nothing of use was found.
var ErrFormat = errors.New("not a video that can be read")

// Codec is how the pictures of a track are coded.
type Codec string

// The codings that are told apart, by the names that decoders give them.
const (
	Unknown   Codec = ""
	H264      Codec = "h264"
	HEVC      Codec = "hevc"
	VP8       Codec = "vp8"
	VP9       Codec = "vp9"
	AV1       Codec = "av1"
	MPEG1     Codec = "mpeg1video"
	MPEG2     Codec = "mpeg2video"
	MPEG4     Codec = "mpeg4" // part 2: DivX, Xvid
	MSMPEG4   Codec = "msmpeg4"
	MSMPEG4v2 Codec = "msmpeg4v2"
	H263      Codec = "h263"
	FLV1      Codec = "flv1"
	ProRes    Codec = "prores"
	MJPEG     Codec = "mjpeg"
)

// Track is the first track of pictures in a container, as the container tells of
// it.
type Track struct {
	Container     string        // "mp4", "quicktime", "matroska", "webm", "avi"
	Name          string        // of the coding as the container writes it: "avc1", "V_VP9"; printable
	Codec         Codec         // Unknown where the name says nothing to us
	Width, Height int           // pixels; 0 where it does not tell
	Duration      time.Duration // 0 where it does not tell
	Config        []byte        // what a decoder needs beside the frames: avcC, hvcC, the headers of MPEG-4 …
	Prefix        []byte        // bytes that were stripped from the beginning of every frame
	Indexed       bool          // the container has an index of its key frames, and it was used
}

// Key is a key frame: a picture that can be decoded without another.
type Key struct {
	At     time.Duration // when it is shown, from the beginning
	Offset int64         // bytes from the beginning of the file
	Size   int64         // bytes
}

// Movie is an open container.
type Movie interface {
	// Track is what the container tells of its pictures.
	Track() Track

	// Keys hands over the key frames that picker wants, in the order in which
	// they are stored. It returns the first error of take unchanged; what is
	// wrong with the container is told by Findings and ends nothing that can
	// go on.
	Keys(ctx context.Context, picker *Picker, take func(Key) error) error

	// Findings says what was wrong so far.
	Findings() []tutela.Finding
}

// Picker chooses key frames: the first at or after each step of Every, or all
// with 0. The zero value wants all.
type Picker struct {
	Every time.Duration
	next  time.Duration
}

// Wants reports whether a key frame shown at a time is the first of its step. It
// is to be asked in the order of time; a frame that comes late belongs to a step
// that has one already.
func (p *Picker) Wants(at time.Duration) bool { return p.Every <= 0 || at >= p.next }

// Took says that a frame that was wanted was had.
func (p *Picker) Took(at time.Duration) {
	if p.Every <= 0 {
		return
	}
	if p.next = at - at%p.Every + p.Every; p.next < at {
		p.next = 1<<63 - 1
	}
}

// Ticks turns a count of ticks into time. Beyond what a Duration holds (292
// years) it stays at the end; a rate of 0 gives 0.
func Ticks(ticks, perSecond int64) time.Duration {
	if perSecond <= 0 {
		return 0
	}
	whole, rest := ticks/perSecond, ticks%perSecond
	const most = int64(1<<63-1) / int64(time.Second)
	if whole >= most || whole <= -most {
		return clamp(whole)
	}
	fraction := new(big.Int).Mul(big.NewInt(rest), big.NewInt(int64(time.Second)))
	return time.Duration(whole)*time.Second + time.Duration(fraction.Quo(fraction, big.NewInt(perSecond)).Int64())
}

func clamp(sign int64) time.Duration {
	if sign < 0 {
		return -1 << 63
	}
	return 1<<63 - 1
}

// Notes gathers findings, each once, and not without end.
type Notes struct{ list []tutela.Finding }

// mostNotes is how many findings are kept of one container.
const mostNotes = 16

// Add keeps a finding unless it is there already.
func (n *Notes) Add(code, format string, a ...any) {
	f := tutela.Finding{Code: code, Detail: fmt.Sprintf(format, a...)}
	for _, old := range n.list {
		if old == f {
			return
		}
	}
	if len(n.list) < mostNotes {
		n.list = append(n.list, f)
	}
}

// Findings are those that were kept.
func (n *Notes) Findings() []tutela.Finding { return n.list }

// Deliver hands a wanted key frame over if it lies within a file of so many
// bytes, and else notes that it does not.
func (n *Notes) Deliver(k Key, size int64, picker *Picker, take func(Key) error) error {
	if k.Size == 0 {
		return nil
	}
	if k.Offset < 0 || k.Size < 0 || k.Offset > size || k.Size > size-k.Offset {
		n.Add(tutela.FindingTruncated, "key frames lie beyond the end of the file")
		return nil
	}
	if err := take(k); err != nil {
		return err
	}
	picker.Took(k.At)
	return nil
}

// Window reads a file through a buffer that moves with what is asked for, so
// that small reads one after another cost little.
type Window struct {
	src  io.ReaderAt
	size int64
	buf  []byte
	at   int64 // of buf in the file
}

// windowBytes is how much a Window reads at a time.
const windowBytes = 16 << 10

// NewWindow makes a Window over a file of size bytes. It is not safe for
// concurrent use.
func NewWindow(src io.ReaderAt, size int64) *Window { return &Window{src: src, size: size} }

// Size is that of the file, in bytes.
func (w *Window) Size() int64 { return w.size }

// Bytes are n bytes of the file at off, at most 16 KiB, valid until the next
// call; fewer with io.ErrUnexpectedEOF where the file ends.
func (w *Window) Bytes(off int64, n int) ([]byte, error) {
	if n < 0 || n > windowBytes || off < 0 {
		return nil, fmt.Errorf("%w: %d bytes at %d", ErrFormat, n, off)
	}
	if off >= w.at && off-w.at <= int64(len(w.buf)-n) {
		return w.buf[off-w.at:][:n], nil
	}
	if err := w.move(off); err != nil {
		return nil, err
	}
	if len(w.buf) < n {
		return w.buf, io.ErrUnexpectedEOF
	}
	return w.buf[:n], nil
}

func (w *Window) move(off int64) error {
	if w.buf == nil {
		w.buf = make([]byte, windowBytes)
	}
	room := min(windowBytes, max(w.size-off, 0))
	n, err := w.src.ReadAt(w.buf[:room], off)
	w.at, w.buf = off, w.buf[:n]
	if int64(n) == room || err == io.EOF {
		return nil
	}
	return err
}

// Copy reads n bytes at off into memory of their own. Ask for no more than a
// limit of your own.
func (w *Window) Copy(off, n int64) ([]byte, error) {
	if off < 0 || n < 0 || off > w.size || n > w.size-off {
		return nil, io.ErrUnexpectedEOF
	}
	b := make([]byte, n)
	if m, err := w.src.ReadAt(b, off); int64(m) < n {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return b, nil
}
