package jpeg

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Markers: T.81, table B.1.
const (
	soi   = 0xd8
	eoi   = 0xd9
	sos   = 0xda
	dqt   = 0xdb
	dht   = 0xc4
	jpg   = 0xc8
	dac   = 0xcc
	dri   = 0xdd
	rst0  = 0xd0
	rst7  = 0xd7
	tem   = 0x01
	app0  = 0xe0
	app14 = 0xee
)

// frame is what the frame header says: T.81, B.2.2.
type frame struct {
	width, height int // pixels; 0 before the frame header
	progressive   bool
	components    []component
	maxH, maxV    int // the largest sampling factors
	columns, rows int // MCUs of a scan of several components
}

// component is one component of a frame. Its blocks are 8×8 samples.
type component struct {
	id         byte
	h, v       int
	table      byte // of quantisation
	quantised  *quantisation
	wide, high int     // blocks that hold samples
	stride     int     // blocks a row, up to whole MCUs
	dc         []int16 // the DC coefficients of all blocks, quantised; nil if not wanted
	read       bool    // sequential: its scan has been met
}

// quantisation holds a table's divisors in natural order, as libjpeg holds them:
// as multipliers of 16 bits.
type quantisation [64]int32

func (f *frame) info() Info {
	i := Info{Width: f.width, Height: f.height, Components: len(f.components), Progressive: f.progressive}
	if len(f.components) > 0 {
		i.Luma = [2]int{f.components[0].h, f.components[0].v}
	}
	if len(f.components) > 1 {
		i.Chroma = [2]int{f.components[1].h, f.components[1].v}
	}
	return i
}

func damaged(format string, a ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrFormat}, a...)...)
}

func unsupported(what string) error { return fmt.Errorf("%w: %s", ErrUnsupported, what) }

// isFrame: SOF0 to SOF15, without DHT, JPG and DAC between them.
func isFrame(marker byte) bool {
	return marker >= 0xc0 && marker <= 0xcf && marker != dht && marker != jpg && marker != dac
}

// process refuses all coding processes but 1, 2 and 6, by their names.
func process(marker byte) error {
	switch marker {
	case 0xc0, 0xc1, 0xc2:
		return nil
	case 0xc3:
		return unsupported("lossless")
	case 0xc5, 0xc6, 0xc7:
		return unsupported("hierarchical")
	case 0xc9, 0xca:
		return unsupported("arithmetic coding")
	case 0xcb:
		return unsupported("lossless, arithmetic coding")
	}
	return unsupported("hierarchical, arithmetic coding")
}

// setFrame reads a frame header's payload.
func (d *decoder) setFrame(marker byte, b []byte) error {
	if d.frame.width != 0 {
		return damaged("two frames")
	}
	if err := process(marker); err != nil {
		return err
	}
	if len(b) < 6 || len(b) != 6+3*int(b[5]) || b[5] == 0 {
		return damaged("frame header of %d bytes", len(b))
	}
	if b[0] != 8 {
		return unsupported(fmt.Sprintf("samples of %d bits", b[0]))
	}
	f := frame{height: int(binary.BigEndian.Uint16(b[1:])), width: int(binary.BigEndian.Uint16(b[3:])), progressive: marker == 0xc2}
	if f.width == 0 {
		return damaged("width 0")
	}
	if f.height == 0 {
		return unsupported("height told behind the first scan (DNL)")
	}
	if len(b) > 6+3*4 {
		return unsupported(fmt.Sprintf("%d components", b[5]))
	}
	if err := f.setComponents(b[6:]); err != nil {
		return err
	}
	d.frame = f
	return nil
}

func (f *frame) setComponents(b []byte) error {
	for ; len(b) > 0; b = b[3:] {
		c := component{id: b[0], h: int(b[1] >> 4), v: int(b[1] & 15), table: b[2]}
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 || c.table > 3 {
			return damaged("component %d", c.id)
		}
		for _, other := range f.components {
			if other.id == c.id {
				return damaged("two components %d", c.id)
			}
		}
		f.components = append(f.components, c)
		f.maxH, f.maxV = max(f.maxH, c.h), max(f.maxV, c.v)
	}
	f.columns, f.rows = ceilDiv(f.width, 8*f.maxH), ceilDiv(f.height, 8*f.maxV)
	for i := range f.components {
		c := &f.components[i]
		c.wide = ceilDiv(ceilDiv(f.width*c.h, f.maxH), 8)
		c.high = ceilDiv(ceilDiv(f.height*c.v, f.maxV), 8)
		c.stride = f.columns * c.h
	}
	return nil
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// colours refuses what is neither grey nor YCbCr. Which it is, libjpeg tells from
// the JFIF and Adobe segments first, then from the components' names.
func (d *decoder) colours() error {
	f := &d.frame
	switch len(f.components) {
	case 1:
		return nil
	case 2:
		return unsupported("2 components")
	case 4:
		return fmt.Errorf("%w: four components", ErrColour)
	}
	if d.isRGB() {
		return fmt.Errorf("%w: RGB", ErrColour)
	}
	if y := f.components[0]; y.h != f.maxH || y.v != f.maxV {
		return unsupported("luma sampled more coarsely than chroma")
	}
	return nil
}

func (d *decoder) isRGB() bool {
	if d.jfif {
		return false
	}
	if d.adobe {
		return d.transform == 0
	}
	c := d.frame.components
	return string([]byte{c[0].id, c[1].id, c[2].id}) == "RGB"
}

// setApplication takes notice of the two segments that tell colours.
func (d *decoder) setApplication(marker byte, b []byte) {
	switch {
	case marker == app0 && len(b) >= 14 && bytes.HasPrefix(b, []byte("JFIF\x00")):
		d.jfif = true
	case marker == app14 && len(b) >= 12 && bytes.HasPrefix(b, []byte("Adobe")):
		d.adobe, d.transform = true, b[11]
	}
}

// setQuantisation reads tables: T.81, B.2.4.1.
func (d *decoder) setQuantisation(b []byte) error {
	for len(b) > 0 {
		wide, slot := int(b[0]>>4), b[0]&15
		if wide > 1 || slot > 3 || len(b) < 1+64<<wide {
			return damaged("quantisation table")
		}
		q := new(quantisation)
		for i, at := range zigzag {
			if wide == 1 {
				q[at] = int32(int16(binary.BigEndian.Uint16(b[1+2*i:])))
			} else {
				q[at] = int32(b[1+i])
			}
		}
		d.quantisations[slot] = q
		b = b[1+64<<wide:]
	}
	return nil
}

// setRestart reads the restart interval, MCUs: T.81, B.2.4.4.
func (d *decoder) setRestart(b []byte) error {
	if len(b) != 2 {
		return damaged("restart interval")
	}
	d.restart = int(binary.BigEndian.Uint16(b))
	return nil
}

// zigzag gives the place of a coefficient in its block, row by row: T.81, figure 5.
var zigzag = [64]uint8{
	0, 1, 8, 16, 9, 2, 3, 10,
	17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34,
	27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36,
	29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46,
	53, 60, 61, 54, 47, 55, 62, 63,
}
