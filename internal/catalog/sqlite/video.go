package sqlite

import (
	"encoding/binary"
	"fmt"
	"time"

	"tutela"
	"tutela/internal/catalog"
)

// A video is one value: it is read back whole, and a near search goes through
// its frames.
//
//	version   byte, 1
//	container, codec, decoder   each a length (uvarint) and bytes
//	width, height, duration     varint, the last in nanoseconds
//	frames    to the end: time (varint, ns), quality (varint), PDQ (32 bytes)
const videoVersion = 1

func appendVideo(b []byte, v *tutela.Video) []byte {
	b = append(b, videoVersion)
	b = appendText(appendText(appendText(b, v.Container), v.Codec), v.Decoder)
	b = binary.AppendVarint(binary.AppendVarint(b, int64(v.Width)), int64(v.Height))
	b = binary.AppendVarint(b, int64(v.Duration))
	for _, f := range v.Frames {
		b = binary.AppendVarint(binary.AppendVarint(b, int64(f.At)), int64(f.Quality))
		b = append(b, f.PDQ[:]...)
	}
	return b
}

// parseVideo is the inverse of appendVideo. Anything else is ErrDamaged.
func parseVideo(b []byte) (*tutela.Video, error) {
	if len(b) == 0 || b[0] != videoVersion {
		return nil, fmt.Errorf("%w: a video begins with %.1x", catalog.ErrDamaged, b)
	}
	r := reader{rest: b[1:]}
	v := &tutela.Video{Container: r.text(), Codec: r.text(), Decoder: r.text()}
	v.Width, v.Height, v.Duration = int(r.varint()), int(r.varint()), time.Duration(r.varint())
	for len(r.rest) > 0 && !r.bad {
		f := tutela.Frame{At: time.Duration(r.varint()), Quality: int(r.varint())}
		r.fixed(f.PDQ[:])
		v.Frames = append(v.Frames, f)
	}
	if r.bad {
		return nil, fmt.Errorf("%w: a video of %d bytes does not hold together", catalog.ErrDamaged, len(b))
	}
	return v, nil
}
