package avi

import (
	"bytes"
	"errors"
	"io"

	"tutela/internal/video/track"
)

func ignoreEnd(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, track.ErrFormat) {
		return nil
	}
	return err
}

// startsAnew reports by how a frame begins whether it can be decoded without
// another. Where a coding cannot be told so, none can.
func startsAnew(codec track.Codec, b []byte) bool {
	if len(b) == 0 {
		return false
	}
	switch codec {
	case track.MJPEG, track.ProRes:
		return true
	case track.MSMPEG4, track.MSMPEG4v2: // picture type, two bits
		return b[0]>>6 == 0
	case track.VP8:
		return b[0]&1 == 0
	case track.VP9:
		return vp9Key(b[0])
	case track.AV1: // a temporal delimiter, then a sequence header
		return bytes.HasPrefix(b, []byte{0x12, 0x00, 0x0a}) || bytes.HasPrefix(b, []byte{0x0a})
	case track.MPEG4:
		return afterStart(b, func(c []byte) (bool, bool) { return c[0] == 0xb6, c[1]>>6 == 0 })
	case track.MPEG1, track.MPEG2:
		return afterStart(b, func(c []byte) (bool, bool) { return c[0] == 0, len(c) > 2 && c[2]>>3&7 == 1 })
	case track.H264:
		return afterStart(b, func(c []byte) (bool, bool) {
			kind := c[0] & 31
			return kind >= 1 && kind <= 5 || kind == 7, kind == 5 || kind == 7
		})
	case track.HEVC:
		return afterStart(b, func(c []byte) (bool, bool) {
			kind := c[0] >> 1 & 63
			return kind <= 21 || kind >= 32 && kind <= 33, kind >= 16
		})
	}
	return false
}

// afterStart asks of what follows each start code (00 00 01) whether it decides,
// and how.
func afterStart(b []byte, decide func([]byte) (decides, key bool)) bool {
	for {
		i := bytes.Index(b, []byte{0, 0, 1})
		if i < 0 || len(b)-i < 5 {
			return false
		}
		b = b[i+3:]
		if decides, key := decide(b); decides {
			return key
		}
	}
}

// vp9Key reads the first byte of a frame (VP9 bitstream, 6.2): a marker, the
// profile in two bits (and a third with profile 3), whether a frame is shown
// again, the type.
func vp9Key(c byte) bool {
	if c>>6 != 2 {
		return false
	}
	c <<= 2
	if c>>6 == 3 {
		c <<= 1
	}
	return c>>5&1 == 0 && c>>4&1 == 0
}
