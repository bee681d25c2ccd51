package picture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
)

// header is what a picture says about itself before its pixels.
type header struct {
	canvas  image.Point // size the decoder's configuration tells
	frame   image.Point // size of the picture that is decoded
	memory  int64       // bytes the decoder needs at its worst
	perByte int64       // pixels that one byte of the file can stand for, at most
	scans   int         // JPEG: passes over the picture
}

// maximumScans of a progressive JPEG. Encoders make about ten; a small file can
// hold tens of thousands that each visit every pixel.
const maximumScans = 200

// check refuses what the limits, or the file's own length, do not allow.
func (h header) check(bytes int64, limits Limits) error {
	if h.frame.X < 1 || h.frame.Y < 1 {
		return fmt.Errorf("%w: %d×%d pixels", ErrDamaged, h.frame.X, h.frame.Y)
	}
	pixels := int64(h.frame.X) * int64(h.frame.Y)
	switch {
	case pixels > limits.pixels():
		return fmt.Errorf("%w: %d×%d pixels, at most %d are decoded", ErrTooLarge, h.frame.X, h.frame.Y, limits.pixels())
	case pixels > bytes*h.perByte:
		return fmt.Errorf("%w: %d×%d pixels in %d bytes", ErrTooLarge, h.frame.X, h.frame.Y, bytes)
	case h.memory > limits.memory():
		return fmt.Errorf("%w: needs %d bytes of memory, at most %d are given", ErrTooLarge, h.memory, limits.memory())
	case h.scans > maximumScans:
		return fmt.Errorf("%w: %d scans, at most %d are decoded", ErrTooLarge, h.scans, maximumScans)
	}
	return nil
}

func truncated(what string) error { return fmt.Errorf("%w: ends in its %s", ErrDamaged, what) }

// JPEG: ITU-T T.81, annex B.

// A block of 64 samples costs at least one bit of Huffman code (the DC scan of a
// grey progressive picture; runs of empty AC blocks cost next to nothing).
const jpegPixelsPerByte = 64 * 8

func isJPEG(data []byte) bool { return bytes.HasPrefix(data, []byte("\xff\xd8")) }

// jpegHeader walks the segments up to the first frame header. Like decoders it
// skips bytes between segments that are none.
func jpegHeader(data []byte) (header, error) {
	rest := data[2:]
	for {
		marker, after, ok := nextMarker(rest)
		if !ok {
			return header{}, truncated("header")
		}
		rest = after
		switch {
		case marker >= 0xd0 && marker <= 0xd7: // a stray restart marker has no segment
			continue
		case marker == 0xd9, marker == 0xda:
			return header{}, fmt.Errorf("%w: no frame before its data", ErrDamaged)
		}
		if len(rest) < 2 {
			return header{}, truncated("header")
		}
		length := int(binary.BigEndian.Uint16(rest))
		if length < 2 || length > len(rest) {
			return header{}, truncated("header")
		}
		if isFrame(marker) {
			return jpegFrame(marker, rest[2:length], data)
		}
		rest = rest[length:]
	}
}

// nextMarker finds the next 0xff that is followed by neither 0 nor 0xff.
func nextMarker(data []byte) (marker byte, rest []byte, ok bool) {
	for i := 0; i+1 < len(data); i++ {
		if data[i] == 0xff && data[i+1] != 0 && data[i+1] != 0xff {
			return data[i+1], data[i+2:], true
		}
	}
	return 0, nil, false
}

// isFrame: SOF0 to SOF15, without DHT, JPG and DAC between them.
func isFrame(marker byte) bool {
	return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc
}

func jpegFrame(marker byte, frame, data []byte) (header, error) {
	if marker > 0xc2 {
		return header{}, fmt.Errorf("%w: JPEG process %d", ErrUnsupported, marker-0xc0)
	}
	if len(frame) < 6 || len(frame) != 6+3*int(frame[5]) {
		return header{}, fmt.Errorf("%w: frame header", ErrDamaged)
	}
	if frame[0] != 8 {
		return header{}, fmt.Errorf("%w: JPEG of %d bits", ErrUnsupported, frame[0])
	}
	size := image.Pt(int(binary.BigEndian.Uint16(frame[3:])), int(binary.BigEndian.Uint16(frame[1:])))
	h := header{canvas: size, frame: size, perByte: jpegPixelsPerByte}
	progressive := marker == 0xc2
	h.memory = jpegMemory(size, frame[6:], progressive, isRGB(frame[6:], data))
	if progressive {
		h.scans = bytes.Count(data, []byte("\xff\xda")) // or fewer: a thumbnail may have its own
	}
	return h, nil
}

// isRGB reports whether the decoder may convert a picture of three components to
// RGBA: they are named so, or an Adobe marker with transform 0 says so.
func isRGB(components, data []byte) bool {
	if len(components) == 9 && string([]byte{components[0], components[3], components[6]}) == "RGB" {
		return true
	}
	for {
		at := bytes.Index(data, []byte("Adobe"))
		if at < 0 || at+12 > len(data) {
			return false
		}
		if data[at+11] == 0 {
			return true
		}
		data = data[at+5:]
	}
}

// jpegMemory counts the samples of all components in whole blocks, 4 bytes for
// each coefficient that a progressive picture keeps, and a conversion to RGBA
// for RGB and where there is a fourth component.
func jpegMemory(size image.Point, components []byte, progressive, rgb bool) int64 {
	var maxH, maxV, perUnit int64 = 1, 1, 0
	for i := 1; i < len(components); i += 3 {
		h, v := int64(components[i]>>4), int64(components[i]&15)
		maxH, maxV, perUnit = max(maxH, h), max(maxV, v), perUnit+h*v
	}
	units := ceilDiv(int64(size.X), 8*maxH) * ceilDiv(int64(size.Y), 8*maxV)
	total := units * perUnit * 64
	if progressive {
		total *= 1 + 4
	}
	if len(components) == 12 || rgb {
		total += units * maxH * maxV * 64 * 4
	}
	return total
}

func ceilDiv(a, b int64) int64 { return (a + b - 1) / b }

// PNG: W3C Portable Network Graphics, third edition, 11.2.1.

// deflateRatio is the most that deflate can compress (258 bytes in two bits,
// RFC 1951, 3.2.5), rounded up.
const deflateRatio = 1032

func isPNG(data []byte) bool { return bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")) }

func pngHeader(data []byte) (header, error) {
	if len(data) < 8+8+13 {
		return header{}, truncated("header")
	}
	if string(data[12:16]) == "CgBI" {
		return header{}, fmt.Errorf("%w: PNG as Xcode rewrites it (CgBI)", ErrUnsupported)
	}
	if binary.BigEndian.Uint32(data[8:]) != 13 || string(data[12:16]) != "IHDR" {
		return header{}, fmt.Errorf("%w: no IHDR first", ErrDamaged)
	}
	ihdr := data[16:29]
	w, h := binary.BigEndian.Uint32(ihdr), binary.BigEndian.Uint32(ihdr[4:])
	if w > 1<<31-1 || h > 1<<31-1 {
		return header{}, fmt.Errorf("%w: %d×%d pixels", ErrDamaged, w, h)
	}
	samples, ok := map[byte]int64{0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[ihdr[9]]
	bits := int64(ihdr[8])
	if !ok || bits < 1 || bits > 16 {
		return header{}, fmt.Errorf("%w: colour type %d with %d bits", ErrDamaged, ihdr[9], bits)
	}
	size := image.Pt(int(w), int(h))
	return header{
		canvas:  size,
		frame:   size,
		memory:  pngMemory(int64(w), int64(h), ihdr),
		perByte: deflateRatio * 8 / (samples * bits),
	}, nil
}

// pngMemory is for the decoder's widest pixel of this colour type (transparency
// widens it), twice for an interlaced picture, which is put together from
// passes, and saturates instead of overflowing.
func pngMemory(w, h int64, ihdr []byte) int64 {
	perPixel := int64(4)
	if ihdr[9] == 3 { // palette
		perPixel = 1
	}
	if ihdr[8] == 16 {
		perPixel = 8
	}
	if ihdr[12] != 0 {
		perPixel *= 2
	}
	if w > (1<<62)/perPixel/max(h, 1) {
		return 1 << 62
	}
	return w * h * perPixel
}

// GIF: CompuServe GIF89a, 18 and 20.

// A code of 12 bits stands for at most about 3,840 pixels, the longest string
// that 4,096 codes can build up.
const gifPixelsPerByte = 2560

func isGIF(data []byte) bool {
	return bytes.HasPrefix(data, []byte("GIF87a")) || bytes.HasPrefix(data, []byte("GIF89a"))
}

// gifHeader reads the logical screen and walks to the first frame.
func gifHeader(data []byte) (header, error) {
	if len(data) < 13 {
		return header{}, truncated("header")
	}
	h := header{canvas: le16Point(data[6:]), perByte: gifPixelsPerByte}
	at := 13 + gifColours(data[10])
	for at+2 < len(data) && data[at] == 0x21 {
		if !regular(data[at+1], data[at+2]) {
			return header{}, fmt.Errorf("%w: extension %#x", ErrDamaged, data[at+1])
		}
		at = skipBlocks(data, at+2)
	}
	if at+10 > len(data) {
		return header{}, truncated("header")
	}
	if data[at] != 0x2c {
		return header{}, fmt.Errorf("%w: no frame", ErrDamaged)
	}
	h.frame = le16Point(data[at+5:])
	h.memory = int64(h.frame.X) * int64(h.frame.Y) * 2 // and once more to lift interlacing
	return h, nil
}

func le16Point(b []byte) image.Point {
	return image.Pt(int(binary.LittleEndian.Uint16(b)), int(binary.LittleEndian.Uint16(b[2:])))
}

// regular reports whether an extension's first block has a length with which
// every reader finds the same end: image/gif takes the fixed part of plain text
// (25) and application (26) extensions on trust.
func regular(label, first byte) bool {
	switch label {
	case 0x01:
		return first == 12
	case 0xff:
		return first != 0
	}
	return true
}

// gifColours is the length in bytes of the colour table that flags announce.
func gifColours(flags byte) int {
	if flags&0x80 == 0 {
		return 0
	}
	return 3 << (1 + flags&7)
}

// skipBlocks passes over sub-blocks up to and including the empty one, and
// returns a place at or behind the end if there is none.
func skipBlocks(data []byte, at int) int {
	for at < len(data) {
		n := int(data[at])
		at += 1 + n
		if n == 0 {
			break
		}
	}
	return at
}

// WebP: RFC 9649.

// A macroblock of 256 pixels costs VP8 about three bits at the least, we reckon. VP8L can
// paint any number of equal pixels with no bits at all; what exceeds the factor
// has no detail to hash.
const (
	vp8PixelsPerByte  = 1024
	vp8lPixelsPerByte = 4096
)

func isWebP(data []byte) bool {
	return len(data) >= 12 && string(data[:4]) == "RIFF" && string(data[8:12]) == "WEBP"
}

// webpHeader walks the chunks to the one that holds the pixels. Every chunk on
// the way must lie within the file: the decoder allocates what it announces.
func webpHeader(data []byte) (header, error) {
	var canvas image.Point
	rest := data[12:]
	for len(rest) >= 8 {
		name, size := string(rest[:4]), int64(binary.LittleEndian.Uint32(rest[4:]))
		rest = rest[8:]
		if size > int64(len(rest)) {
			return header{}, truncated("chunk " + fmt.Sprintf("%q", name))
		}
		chunk := rest[:size]
		rest = rest[min(size+size%2, int64(len(rest))):]
		switch name {
		case "VP8X":
			if size < 10 {
				return header{}, truncated("header")
			}
			canvas = image.Pt(1+le24(chunk[4:]), 1+le24(chunk[7:]))
		case "VP8 ":
			return vp8Header(chunk, canvas)
		case "VP8L":
			return vp8lHeader(chunk, canvas)
		case "ANMF":
			return header{}, fmt.Errorf("%w: animated WebP", ErrUnsupported)
		}
	}
	return header{}, truncated("header")
}

func le24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// vp8Header reads a key frame's size: RFC 6386, 9.1.
func vp8Header(chunk []byte, canvas image.Point) (header, error) {
	if len(chunk) < 10 {
		return header{}, truncated("frame header")
	}
	size := le16Point(chunk[6:])
	size = image.Pt(size.X&0x3fff, size.Y&0x3fff) // the upper two bits scale, and are ignored
	if canvas != (image.Point{}) {                // it may have an alpha channel, coded as VP8L
		return webpFrame(size, canvas, vp8PixelsPerByte, 8)
	}
	return webpFrame(size, canvas, vp8PixelsPerByte, 3)
}

// vp8lHeader reads a lossless picture's size: RFC 9649, 3.4.
func vp8lHeader(chunk []byte, canvas image.Point) (header, error) {
	if len(chunk) < 5 {
		return header{}, truncated("frame header")
	}
	b := binary.LittleEndian.Uint32(chunk[1:])
	size := image.Pt(1+int(b&0x3fff), 1+int(b>>14&0x3fff))
	return webpFrame(size, canvas, vp8lPixelsPerByte, 8)
}

// webpFrame: an extended file must announce the size that its frame has.
func webpFrame(size, canvas image.Point, perByte, memory int64) (header, error) {
	if canvas == (image.Point{}) {
		canvas = size
	}
	if canvas != size {
		return header{}, fmt.Errorf("%w: canvas of %v pixels, frame of %v", ErrDamaged, canvas, size)
	}
	return header{canvas: canvas, frame: size, perByte: perByte, memory: int64(size.X) * int64(size.Y) * memory}, nil
}
