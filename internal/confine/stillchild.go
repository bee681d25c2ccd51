package confine

import (
	"context"
	"fmt"

	"tutela/internal/picture"
	"tutela/internal/video"
	"tutela/internal/video/track"
)

// stillClient has the key frames of a picture decoded by the parent's decoder.
type stillClient struct{ peer *peer }

var _ picture.Decoder = stillClient{}

// Decode goes through the frames stream by stream: most pictures are one.
func (s stillClient) Decode(ctx context.Context, c *picture.Coded, put func(number int, pixels []byte)) (name string, err error) {
	for _, frames := range streams(c) {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if name, err = s.stream(c, frames, put); err != nil {
			return "", err
		}
	}
	if name == "" {
		return "", fmt.Errorf("%w: no frames", picture.ErrDamaged)
	}
	return name, nil
}

func feedOf(c *picture.Coded) *video.Feed {
	return video.NewFeed(track.Track{Codec: track.Codec(c.Coding), Config: c.Config, Width: c.Width, Height: c.Height})
}

// streams are the numbers of the frames that can be decoded one behind the other.
func streams(c *picture.Coded) (list [][]int) {
	feed := feedOf(c)
	for i, frame := range c.Frames {
		if len(frame) == 0 || feed == nil {
			continue
		}
		if _, begins := feed.Packet(frame); begins {
			list = append(list, nil)
		}
		list[len(list)-1] = append(list[len(list)-1], i)
	}
	return list
}

// stream has some frames decoded. It gives and takes at once: a decoder that
// cannot give its pixels away takes nothing.
func (s stillClient) stream(c *picture.Coded, frames []int, put func(number int, pixels []byte)) (name string, err error) {
	told := appendInt(appendInt(appendBytes(nil, c.Coding), c.Width), c.Height)
	told = appendInt(appendInt(appendInt(told, flag(c.Colour.Told)), c.Colour.Matrix), flag(c.Colour.Full))
	reply, err := s.peer.call(opStill, told)
	if err != nil {
		return "", err
	}
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		s.feed(c, frames)
	}()
	if err := s.pixels(c, frames, put); err != nil {
		return "", err // and the parent ends the decoder
	}
	<-fed
	d := &decoder{b: reply}
	if name = d.string(); d.end() != nil {
		return "", errGarbled
	}
	return name, nil
}

// feed gives the decoder the frames. That it does not take them all shows in what
// it gives back.
func (s stillClient) feed(c *picture.Coded, frames []int) {
	feed := feedOf(c)
	for _, i := range frames {
		packet, _ := feed.Packet(c.Frames[i])
		for len(packet) > 0 {
			n := min(len(packet), pieceBytes)
			if _, err := s.peer.call(opStillPiece, appendBytes(nil, packet[:n])); err != nil {
				return
			}
			packet = packet[n:]
		}
	}
	s.peer.call(opStillPiece, appendBytes(nil, ""))
}

// pixels takes what the decoder gives, of which it must not be more than it was
// given.
func (s stillClient) pixels(c *picture.Coded, frames []int, put func(number int, pixels []byte)) error {
	frame := make([]byte, 0, c.FrameBytes())
	for came := 0; came <= len(frames); {
		reply, err := s.peer.call(opStillPixels, nil)
		if err != nil {
			return err
		}
		d := &decoder{b: reply}
		number, piece := d.int(), d.bytes()
		switch {
		case d.end() != nil || len(piece) > cap(frame)-len(frame):
			return errGarbled
		case len(piece) == 0:
			return nil
		}
		if frame = append(frame, piece...); len(frame) < cap(frame) {
			continue
		}
		if number >= 0 && number < int64(len(frames)) {
			put(frames[number], frame)
		}
		frame = frame[:0]
		came++
	}
	return fmt.Errorf("%w: the decoder does not end", picture.ErrDamaged)
}
