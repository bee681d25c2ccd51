package confine

import (
	"context"
	"time"

	"tutela"
	"tutela/internal/video"
)

// pieceBytes is how much of a packet goes along at a time.
const pieceBytes = 512 << 10

// video goes through a video. Its items are taken one by one, so that no packets
// pile up here.
func (c *child) video(d *decoder) ([]byte, error) {
	packets, src := d.int() != 0, c.source(d)
	if err := d.end(); err != nil {
		return nil, err
	}
	s := newSession(true)
	go s.run(func(ctx context.Context, emit func([]byte) error) error {
		e, err := video.Scan(ctx, src, src.Size(), packets, videoSink{emit})
		if err != nil {
			return err
		}
		b := appendInt(appendInt(nil, videoEnding), e.Duration)
		return emit(appendVideoFindings(appendBytes(b, e.Strip), e.Findings))
	})
	return appendInt(nil, c.keep(s)), nil
}

// videoSink hands over what is seen of a video.
type videoSink struct{ emit func([]byte) error }

var _ video.Sink = videoSink{}

func (s videoSink) Told(v tutela.Video, coding string, packets bool) error {
	b := appendInt(nil, videoTold)
	b = appendBytes(appendBytes(appendBytes(b, v.Container), v.Codec), v.Decoder)
	b = appendInt(appendInt(appendInt(b, v.Width), v.Height), v.Duration)
	return s.emit(appendBytes(appendInt(b, flag(packets)), coding))
}

func (s videoSink) Frame(f tutela.Frame) error {
	b := appendInt(appendInt(appendInt(nil, videoFrame), f.At), f.Quality)
	return s.emit(appendBytes(b, f.PDQ[:]))
}

func (s videoSink) Stream() error { return s.emit(appendInt(nil, videoStream)) }

func (s videoSink) Packet(at time.Duration, p []byte) error {
	if err := s.emit(appendInt(appendInt(nil, videoPacket), at)); err != nil {
		return err
	}
	for len(p) > 0 {
		n := min(len(p), pieceBytes)
		if err := s.emit(appendBytes(appendInt(nil, videoPiece), p[:n])); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

func appendVideoFindings(b []byte, list []tutela.Finding) []byte {
	b = appendInt(b, len(list))
	for _, f := range list {
		b = appendBytes(appendBytes(b, f.Code), f.Detail)
	}
	return b
}
