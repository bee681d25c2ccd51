// Package jpeg reads the brightness of a JPEG picture, at full size or reduced
// to a quarter or an eighth a side, and nothing that is not needed for it.
//
// Start with [Read]; [Inspect] tells what the header says. The caller must have
// bounded the number of pixels: memory grows with the size that the header
// tells, however short the file.
//
// Promised: for an undamaged picture the luma is, bit for bit, what libjpeg-turbo
// 2.1.5 gives for `djpeg -grayscale -dct int` at scale 1, with `-scale 1/4` at
// scale 4 and with `-scale 1/8` at scale 8. Read are sequential and progressive
// pictures with Huffman coding and samples of 8 bits (ITU-T T.81, processes 1, 2
// and 6), grey or YCbCr, with any sampling in which chroma is not finer than
// luma, with and without restart markers. A frame of motion JPEG without Huffman
// tables is read with those of T.81, annex K.3, which are usually meant. A
// damaged or shortened picture is read as far as it goes, resuming at restart
// markers, and [Planes.Missing] says what is missing. Work is bounded by the
// length of the file and the number of blocks, whatever the file says.
//
// Not promised: that a file is intact. What a scale does not need is passed over
// unread, such as all but the first coefficient at scale 8 in a progressive
// picture. The contents of missing parts are not what libjpeg would make up, and
// a progressive picture whose coefficients are incomplete is not smoothed.
//
// What bounds the speed is the entropy code: each code word's place is known only
// when its predecessor has been read. At scale 8 a table therefore tells for each
// window of bits how far all the words in it reach together; more than nine
// tenths of the time go into that loop, for tables waited for and wrong guesses of
// where a block ends. The rest is the unstuffing of 0xFF00 and, for small
// pictures, the making of the tables, about 20 µs for each pair of them.
package jpeg

import (
	"errors"
	"fmt"
)

// The reasons why a picture is not read; every error wraps one of them.
var (
	ErrFormat      = errors.New("not a JPEG picture, or too damaged")   // no block could be read
	ErrUnsupported = errors.New("a kind of JPEG that is not read here") // the error names the kind
	ErrColour      = errors.New("colours other than grey and YCbCr")    // RGB, CMYK or YCCK: luma must be computed from all components
)

// Scale is how many pixels a side of the full picture one sample of the result
// stands for: 1, 4 or 8.
type Scale int

// Options say what is read. Scale must be set.
type Options struct {
	Scale  Scale
	Chroma bool // also give one sample a block of Cb and Cr, enough for a small colour picture
}

// Plane is a rectangle of samples, row by row without gaps.
type Plane struct {
	Width, Height int
	Pix           []uint8 // 0 black, 255 white; for chroma 128 is neutral
}

// Planes is what was read of a picture.
type Planes struct {
	Width, Height int // of the full picture, pixels
	Scale         Scale
	Y             Plane // ⌈Width/Scale⌉ × ⌈Height/Scale⌉
	// Cb and Cr have one sample for each 8×8 samples of the component, whose own
	// resolution is often half the picture's. Empty without Options.Chroma and
	// for grey pictures.
	Cb, Cr Plane
	// Missing is empty if all that the scale needs was read. Else it says for
	// people what is missing; there the planes are mid-grey, or what the scans
	// before gave.
	Missing string
}

// Info is what the header of a picture says.
type Info struct {
	Width, Height int // pixels
	Components    int // 1 grey, 3 colour, 4 print
	Progressive   bool
	// Luma and Chroma are the sampling factors, horizontal then vertical. 4:2:0
	// is {2, 2} and {1, 1}. Chroma is that of the second component.
	Luma, Chroma [2]int
}

// Inspect reads the header up to the first scan. It allocates nothing big. With
// [ErrColour], and with [ErrUnsupported] where the frame could be read, the Info
// is valid nevertheless.
func Inspect(data []byte) (Info, error) {
	d := decoder{data: data}
	err := d.header()
	return d.frame.info(), err
}

// Read reads a picture's planes.
func Read(data []byte, o Options) (*Planes, error) {
	if o.Scale != 1 && o.Scale != 4 && o.Scale != 8 {
		panic(fmt.Sprintf("internal error: jpeg scale %d is none of 1, 4 and 8", o.Scale))
	}
	d := decoder{data: data, options: o}
	if err := d.header(); err != nil {
		return nil, err
	}
	d.prepare()
	if err := d.scans(); err != nil {
		return nil, err
	}
	return d.planes()
}
