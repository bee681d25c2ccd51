package jpeg

import (
	"fmt"
	"strings"
)

// decoder reads one picture.
type decoder struct {
	data    []byte
	at      int // of the next byte that is not read
	options Options

	frame         frame
	quantisations [4]*quantisation
	huffman       [2][4]*huffman // class (DC, AC), slot
	restart       int            // MCUs between restart markers; 0 none
	jfif, adobe   bool
	transform     byte // what Adobe's segment says of colours
	skips         map[[2]*huffman]*skips
	values        map[*huffman]*valueTable
	stream        *stream
	progress      *progress // nil if sequential
	y             Plane     // sequential, scales 1 and 4: the luma as it is read
	scan          int       // counted from 1
	blocks        int       // MCUs that were read
	missing       []string
}

// header reads up to the first scan header, without it.
func (d *decoder) header() error {
	if len(d.data) < 2 || d.data[0] != 0xff || d.data[1] != soi {
		return damaged("no SOI")
	}
	d.at = 2
	for {
		at := d.at
		marker, segment, err := d.segment()
		switch {
		case err != nil:
			return fmt.Errorf("%w in its header", err)
		case marker == eoi, marker == sos && d.frame.width == 0:
			return damaged("no frame before its data")
		case marker == sos:
			d.at = at
			return d.colours()
		}
		if err := d.take(marker, segment); err != nil {
			return err
		}
	}
}

// scans reads scan after scan up to the end of the picture. What comes after the
// first error is given up, and an error only if nothing was read before.
func (d *decoder) scans() error {
	for !d.complete() {
		marker, segment, err := d.segment()
		if err == nil && marker == eoi {
			break
		}
		if err == nil {
			err = d.take(marker, segment)
		}
		if err != nil && d.blocks == 0 {
			return err
		}
		if err != nil {
			d.note("%v after scan %d", strings.TrimPrefix(err.Error(), ErrFormat.Error()+": "), d.scan)
			break
		}
	}
	if d.blocks == 0 {
		return damaged("no block could be read")
	}
	return nil
}

func (d *decoder) note(format string, a ...any) {
	d.missing = append(d.missing, fmt.Sprintf(format, a...))
}

// segment reads the next marker and, if it has one, the segment behind it. Bytes
// between segments are passed over.
func (d *decoder) segment() (marker byte, segment []byte, err error) {
	for {
		at := nextMarker(d.data, d.at)
		if at < 0 {
			d.at = len(d.data)
			return 0, nil, damaged("ends")
		}
		marker, d.at = d.data[at+1], at+2
		if marker >= rst0 && marker <= soi || marker == tem {
			continue
		}
		if marker == eoi {
			return marker, nil, nil
		}
		rest := d.data[d.at:]
		if len(rest) < 2 {
			return 0, nil, damaged("ends")
		}
		length := int(rest[0])<<8 | int(rest[1])
		if length < 2 {
			return 0, nil, damaged("segment of %d bytes", length)
		}
		if length > len(rest) {
			return 0, nil, damaged("ends")
		}
		d.at += length
		return marker, rest[2:length], nil
	}
}

// nextMarker finds the next 0xff that is followed by neither 0 nor 0xff, or gives
// -1.
func nextMarker(data []byte, at int) int {
	for at < len(data) {
		n := indexFF(data[at:])
		if n < 0 || at+n+1 >= len(data) {
			return -1
		}
		at += n
		if next := data[at+1]; next == 0xff {
			at++
			continue
		} else if next != 0 {
			return at
		}
		at += 2
	}
	return -1
}

// take does what a segment says.
func (d *decoder) take(marker byte, segment []byte) error {
	switch {
	case marker == dqt:
		return d.setQuantisation(segment)
	case marker == dht:
		return d.setHuffman(segment)
	case marker == dri:
		return d.setRestart(segment)
	case marker == sos:
		return d.readScan(segment)
	case marker == dac:
		return unsupported("arithmetic coding")
	case isFrame(marker):
		return d.setFrame(marker, segment)
	}
	d.setApplication(marker, segment)
	return nil
}
