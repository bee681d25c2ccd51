package feature

import (
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
)

// A set as bytes, all numbers big-endian: the version (1 byte), width and height
// of the working picture and the number of points (2 each), then for each point
// x, y (2 each, 1/64 pixels), size (1, 1/16 octaves), angle (1, 1/256 turns) and
// its description (16). The version must change whenever sets of before would no
// longer match sets of after: with the layout, and with how points are found.
const (
	version    = 1
	headLength = 1 + 3*2
	pointBytes = 3*2 + 2*8
)

// ErrMalformed is returned for bytes that are no set.
var ErrMalformed = errors.New("malformed set of features")

// ErrVersion is returned for a set made in another way. It is no longer compared:
// make it anew from the picture.
var ErrVersion = errors.New("features of another version")

var (
	_ encoding.BinaryAppender    = Set{}
	_ encoding.BinaryMarshaler   = Set{}
	_ encoding.BinaryUnmarshaler = (*Set)(nil)
)

// MarshalBinary gives the set as at most 4,407 bytes.
func (s Set) MarshalBinary() ([]byte, error) { return s.AppendBinary(nil) }

// AppendBinary appends the set as bytes. It never fails.
func (s Set) AppendBinary(to []byte) ([]byte, error) {
	to = append(to, version)
	for _, v := range [...]int{s.width, s.height, len(s.points)} {
		to = binary.BigEndian.AppendUint16(to, uint16(v))
	}
	for _, p := range s.points {
		to = binary.BigEndian.AppendUint16(to, p.x)
		to = binary.BigEndian.AppendUint16(to, p.y)
		to = append(to, p.size, p.angle)
		to = binary.BigEndian.AppendUint64(to, p.looks[0])
		to = binary.BigEndian.AppendUint64(to, p.looks[1])
	}
	return to, nil
}

// UnmarshalBinary reads a set. It keeps nothing of data.
func (s *Set) UnmarshalBinary(data []byte) error {
	if len(data) < headLength {
		return ErrMalformed
	}
	if data[0] != version {
		return fmt.Errorf("%w: %d", ErrVersion, data[0])
	}
	width, height := int(binary.BigEndian.Uint16(data[1:])), int(binary.BigEndian.Uint16(data[3:]))
	count := int(binary.BigEndian.Uint16(data[5:]))
	data = data[headLength:]
	if count > maxPoints || len(data) != count*pointBytes || max(width, height) > workingSide {
		return ErrMalformed
	}
	read := Set{width: width, height: height}
	for ; len(data) > 0; data = data[pointBytes:] {
		p := readPoint(data)
		if int(p.x) >= width*subpixel || int(p.y) >= height*subpixel {
			return ErrMalformed
		}
		read.points = append(read.points, p)
	}
	*s = read
	return nil
}

func readPoint(b []byte) point {
	return point{
		x: binary.BigEndian.Uint16(b), y: binary.BigEndian.Uint16(b[2:]),
		size: b[4], angle: b[5],
		looks: description{binary.BigEndian.Uint64(b[6:]), binary.BigEndian.Uint64(b[14:])},
	}
}
