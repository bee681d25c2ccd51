package confine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"tutela"
	"tutela/internal/video"
)

// Video looks at a video of size bytes as package video does: a child reads the
// container and decodes motion JPEG; frames of other codings go as a bare stream
// to an ffmpeg that is confined more than the child is, where there is one (see
// [Options]). Where there is none the view holds what the container tells, and a
// finding.
//
// The error is a [*Death] for a child that ended over the video twice. A decoder
// that ends over it twice is a finding: what was seen by then is in the view.
func (h *Host) Video(ctx context.Context, content io.ReaderAt, size int64) (view video.View, err error) {
	var child, decoder tries
	for {
		w := &watching{h: h, ctx: ctx}
		err := w.run(content, size)
		var death *Death
		switch {
		case errors.As(err, &death) && child.again(0):
			continue
		case err == nil && w.decoderDied != nil && decoder.again(0):
			continue
		}
		return w.view, err
	}
}

// What a child tells of a video, each an item of its session.
const (
	videoTold   = iota + 1 // what the container tells, and whether packets follow
	videoFrame             // time, hash, quality
	videoStream            // the next packet is for a decoder that has seen nothing
	videoPacket            // time of a packet that begins
	videoPiece             // bytes of it
	videoEnding            // length, strip, findings
)

// watching is one try to look at a video.
type watching struct {
	h    *Host
	ctx  context.Context
	view video.View

	coding      string // that the decoder must know; "" if there is none
	gathered    *video.Gatherer
	decoder     *videoDecoder // of the stream that is fed
	deaf        bool          // it takes no more
	decoderDied *Death
	first       int             // number of the stream's first packet
	times       []time.Duration // of the packets
	decoded     int
}

func (w *watching) run(content io.ReaderAt, size int64) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	child, err := w.h.borrow()
	if err != nil {
		return err
	}
	defer w.h.giveBack(child)
	id, source := child.lend(content, size)
	defer child.takeBack(id)
	packets := w.h.refusesVideo() == ""
	session, err := child.begin(opVideo, append(appendInt(nil, flag(packets)), source...))
	if err == nil {
		err = child.pull(w.ctx, session, w.take)
	}
	w.endStream()
	w.conclude()
	if errors.Is(err, errDecoderGone) {
		err = nil
	}
	if death := child.died(err); death != nil {
		return death
	}
	return err
}

var errDecoderGone = errors.New("the decoder has ended")

// take takes what the child tells.
func (w *watching) take(d *decoder) error {
	switch d.int() {
	case videoTold:
		return w.told(d)
	case videoFrame:
		w.keep(d.frame())
	case videoStream:
		return w.stream()
	case videoPacket:
		if len(w.times) >= video.MostFrames {
			return errGarbled
		}
		w.times = append(w.times, time.Duration(d.int()))
	case videoPiece:
		piece := d.bytes()
		if w.decoder == nil {
			return errGarbled
		}
		w.deaf = w.deaf || w.decoder.write(piece) != nil
	case videoEnding:
		w.view.Video.Duration = time.Duration(d.int())
		if strip := d.bytes(); len(strip) > 0 {
			w.view.Strip = strip
		}
		w.view.Findings = append(w.view.Findings, d.videoFindings()...)
	default:
		return errGarbled
	}
	return nil
}

// told takes what the container tells, and starts a decoder if one is needed.
func (w *watching) told(d *decoder) error {
	v := &w.view.Video
	v.Container, v.Codec, v.Decoder = d.string(), d.string(), d.string()
	v.Width, v.Height, v.Duration = int(d.int()), int(d.int()), time.Duration(d.int())
	wanted, coding := d.int() != 0, d.string()
	if v.Width < 0 || v.Height < 0 || len(v.Frames) > 0 {
		return errGarbled
	}
	switch why := w.h.refusesVideo(); {
	case coding == "": // it was decoded there, or nothing can
		return nil
	case why != "":
		w.find(tutela.FindingNotDecoded, "video not decoded: "+fmt.Sprintf(why, v.Codec))
		return nil
	case !wanted || w.coding != "":
		return errGarbled
	}
	w.coding, w.gathered = coding, video.NewGatherer(v.Width, v.Height)
	v.Decoder = "ffmpeg " + w.h.ffmpegVersion() + " " + coding
	return nil
}

// stream ends the stream before and starts a decoder for another.
func (w *watching) stream() error {
	if w.coding == "" {
		return errGarbled
	}
	if w.endStream(); w.decoderDied != nil {
		return errDecoderGone
	}
	decoder, err := w.h.startVideoDecoder(w.ctx, w.coding, w.gathered)
	if err != nil {
		w.find(tutela.FindingNotDecoded, fmt.Sprintf("video not decoded: start the decoder: %v", err))
		return errDecoderGone
	}
	w.decoder, w.deaf, w.first = decoder, false, len(w.times)
	return nil
}

func (w *watching) find(code, detail string) {
	w.view.Findings = append(w.view.Findings, tutela.Finding{Code: code, Detail: detail})
}

// keep keeps a frame that can be matched.
func (w *watching) keep(f tutela.Frame) {
	if video.Comparable(f) && len(w.view.Video.Frames) < video.MostFrames {
		w.view.Video.Frames = append(w.view.Video.Frames, f)
	}
}

// endStream waits for the last frames of the decoder.
func (w *watching) endStream() {
	if w.decoder == nil {
		return
	}
	frames, death := w.decoder.finish()
	w.decoder, w.decoderDied = nil, death
	times := w.times[w.first:]
	had := make([]bool, len(times))
	for _, f := range frames {
		if f.number < 0 || f.number >= int64(len(times)) || had[f.number] {
			continue
		}
		had[f.number] = true
		w.decoded++
		w.keep(tutela.Frame{At: times[f.number], PDQ: f.hash, Quality: f.quality})
	}
}

// conclude says what came of the decoding.
func (w *watching) conclude() {
	if w.coding == "" {
		return
	}
	w.view.Strip = w.gathered.Strip()
	switch left := len(w.times) - w.decoded; {
	case w.ctx.Err() != nil:
	case w.decoderDied != nil:
		w.find(w.decoderDied.Code, w.decoderDied.Cause)
	case left > 0 && w.decoded == 0:
		w.find(tutela.FindingNotDecoded, "video not decoded: "+w.view.Video.Decoder+" made nothing of its frames")
	case left > 0:
		w.find(tutela.FindingNotDecoded, fmt.Sprintf("%d of %d frames could not be decoded", left, len(w.times)))
	}
	if w.decoded == 0 {
		w.view.Video.Decoder = ""
	}
}

func (d *decoder) frame() (f tutela.Frame) {
	f.At, f.Quality = time.Duration(d.int()), int(d.int())
	hash := d.bytes()
	d.bad = d.bad || len(hash) != len(f.PDQ)
	copy(f.PDQ[:], hash)
	return f
}

func (d *decoder) videoFindings() (list []tutela.Finding) {
	for range d.count() {
		list = append(list, tutela.Finding{Code: d.string(), Detail: d.string()})
	}
	return list
}
