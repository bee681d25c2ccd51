// Package video reads videos: what their container tells of them, and their key
// frames, of which it hashes one a second.
//
// Start with [Scan], which goes through a video and hands what it makes to a
// [Sink]. Frames of motion JPEG it hashes itself; those of other codings it hands
// over in a form that a decoder takes ([Feed]), and a [Gatherer] makes hashes and
// a strip of pictures of what the decoder gives back. [Open] gives a container
// alone.
//
// Promised: hostile bytes cost bounded memory and work, whatever they say; the
// time of a frame is the container's, not the decoder's. Only key frames are
// looked at, so where they are rare there are fewer hashes than seconds. Not
// promised: frames that an index of the container leaves out, more than the first
// track of pictures, and anything about sound. Rotation told by the container is
// not applied; the shape of pixels that are not square is not either.
package video

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"tutela"
	"tutela/internal/pdq"
	"tutela/internal/video/track"
)

const (
	// Every is how much of a video one hash stands for, as in vPDQ.
	Every = time.Second
	// MostFrames is how many frames of a video are looked at: an hour of key
	// frames a second.
	MostFrames = 3600
	// maxFrame bounds the bytes of a frame.
	maxFrame = 32 << 20
)

// View is what was seen of a video.
type View struct {
	Video    tutela.Video
	Strip    []byte // a JPEG of up to eight frames side by side, each 160 pixels high at most; nil if none was decoded
	Findings []tutela.Finding
}

// Comparable reports whether a frame has enough detail to be told from others. A
// View holds no other.
func Comparable(f tutela.Frame) bool { return f.Quality >= pdq.MinQuality }

// Sink takes what [Scan] makes of a video. An error of it ends the scan.
type Sink interface {
	// Told is called first, and once: with what the container tells, with the
	// coding that a decoder elsewhere must know ("" if none is needed, or none
	// could take it), and with whether frames follow by Packet.
	Told(v tutela.Video, coding string, packets bool) error
	// Frame is a frame that was hashed here.
	Frame(tutela.Frame) error
	// Stream says that the next packet begins a stream, for a decoder that has
	// seen nothing before.
	Stream() error
	// Packet is a frame for a decoder, in the form that Feed gives it. The bytes
	// are the sink's until it returns.
	Packet(at time.Duration, b []byte) error
}

// Ending is what is known of a video when it was gone through.
type Ending struct {
	Duration time.Duration // as in Told, or better
	Strip    []byte        // of frames that were hashed here
	Findings []tutela.Finding
}

// Scan goes through a video of size bytes. With packets the frames that it cannot
// decode itself are handed over. Its error is the sink's, the source's or the
// context's; what is wrong with the video is a finding.
func Scan(ctx context.Context, src io.ReaderAt, size int64, packets bool, sink Sink) (Ending, error) {
	m, err := Open(src, size)
	if errors.Is(err, track.ErrFormat) {
		return Ending{Findings: []tutela.Finding{notDecoded("%v", err)}}, nil
	}
	if err != nil {
		return Ending{}, err
	}
	s := &scan{src: src, movie: m, sink: sink, told: m.Track()}
	if err := s.run(ctx, packets); err != nil {
		return Ending{}, err
	}
	return Ending{
		Duration: m.Track().Duration,
		Strip:    s.strip.JPEG(),
		Findings: append(m.Findings(), s.notes.Findings()...),
	}, nil
}

func notDecoded(format string, a ...any) tutela.Finding {
	return tutela.Finding{Code: tutela.FindingNotDecoded, Detail: "video not decoded: " + fmt.Sprintf(format, a...)}
}

// scan is a video that is gone through.
type scan struct {
	src   io.ReaderAt
	movie track.Movie
	sink  Sink
	told  track.Track
	notes track.Notes
	strip Strip
	feed  *Feed

	frames, bad int
}

var errEnough = errors.New("enough")

func (s *scan) run(ctx context.Context, packets bool) error {
	v := tutela.Video{Container: s.told.Container, Codec: s.told.Name, Width: s.told.Width, Height: s.told.Height, Duration: s.told.Duration}
	take, coding := s.hash, ""
	if s.told.Codec == track.MJPEG {
		v.Decoder, packets = decoderHere, false
	} else {
		if s.feed = NewFeed(s.told); s.feed == nil {
			s.notes.Add(tutela.FindingNotDecoded, "video not decoded: no decoder for %s here", nameOr(s.told.Name))
			packets = false
		}
		take = s.hand
	}
	if s.feed != nil {
		coding = string(s.told.Codec)
	}
	if err := s.sink.Told(v, coding, packets); err != nil {
		return err
	}
	if v.Decoder == "" && !packets {
		return nil
	}
	return s.keys(ctx, take)
}

func nameOr(name string) string {
	if name == "" {
		return "its coding"
	}
	return name
}

// keys goes through one key frame a second.
func (s *scan) keys(ctx context.Context, take func(at time.Duration, frame []byte) error) error {
	err := s.movie.Keys(ctx, &track.Picker{Every: Every}, func(k track.Key) error {
		if s.frames == MostFrames {
			return errEnough
		}
		s.frames++
		if k.Size > maxFrame {
			s.notes.Add(tutela.FindingLimit, "a frame of %d bytes was left", k.Size)
			return nil
		}
		frame, err := s.read(k)
		if err != nil {
			return err
		}
		return take(max(k.At, 0), frame)
	})
	if err == errEnough {
		s.notes.Add(tutela.FindingLimit, "only the first %d frames were looked at", MostFrames)
		err = nil
	}
	if s.bad > 0 {
		s.notes.Add(tutela.FindingDamaged, "%d of %d frames could not be decoded", s.bad, s.frames)
	}
	return err
}

func (s *scan) read(k track.Key) ([]byte, error) {
	n := len(s.told.Prefix)
	b := make([]byte, n+int(k.Size))
	copy(b, s.told.Prefix)
	m, err := s.src.ReadAt(b[n:], k.Offset)
	if int64(m) == k.Size {
		return b, nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return nil, fmt.Errorf("read a frame: %w", err)
}

// hash decodes and hashes a frame of motion JPEG.
func (s *scan) hash(at time.Duration, frame []byte) error {
	p, err := readJPEG(frame)
	if err != nil {
		s.bad++
		return nil
	}
	s.strip.Offer(p.small)
	hash, quality := pdq.Hash(p.luma())
	return s.sink.Frame(tutela.Frame{At: at, PDQ: hash, Quality: quality})
}

// hand gives a frame to the sink as a decoder takes it.
func (s *scan) hand(at time.Duration, frame []byte) error {
	packet, begins := s.feed.Packet(frame)
	if begins {
		if err := s.sink.Stream(); err != nil {
			return err
		}
	}
	return s.sink.Packet(at, packet)
}
