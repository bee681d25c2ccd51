package demo

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"strings"
)

// How many pictures are drawn. All alert pictures are on the alert list; no
// other picture is like any of them.
const (
	alertPictures    = 12
	ordinaryPictures = 48
)

// still is a picture as a file.
type still struct {
	name string
	data []byte
}

// as gives the picture another base name and keeps its extension.
func (s still) as(base string) string { return base + s.name[strings.LastIndexByte(s.name, '.'):] }

// album holds all drawn pictures. Ordinary ones are dealt out in order.
type album struct {
	alert    []still
	ordinary []still
	dealt    int
}

func newAlbum(ctx context.Context) (*album, error) {
	a := &album{}
	for number := range alertPictures + ordinaryPictures {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s, err := drawStill(number)
		if err != nil {
			return nil, fmt.Errorf("picture %d: %w", number, err)
		}
		if number < alertPictures {
			a.alert = append(a.alert, s)
		} else {
			a.ordinary = append(a.ordinary, s)
		}
	}
	return a, nil
}

// next deals an ordinary picture; after the last one the first comes again, as
// a copy in a second place.
func (a *album) next() still {
	s := a.ordinary[a.dealt%len(a.ordinary)]
	a.dealt++
	return s
}

// drawStill paints a picture and encodes it: mostly JPEG of varied quality,
// some PNG and GIF among the small ones.
func drawStill(number int) (still, error) {
	img, base := paint(number), fmt.Sprintf("IMG_%04d", 1001+number*13)
	small := img.Rect.Dx() == 640
	switch {
	case small && number%4 == 3:
		return encode(base, format{extension: "png"}, img)
	case small && number%4 == 1:
		return encode(base, format{extension: "gif"}, img)
	}
	grain(img, 6, rand.New(rand.NewPCG(seed, ^uint64(number))))
	return encode(base, jpg(72+number*7%24), img)
}

// format is how a picture becomes a file.
type format struct {
	extension string // png, gif or jpg
	quality   int    // 1 to 100; jpg only
}

func jpg(quality int) format { return format{"jpg", quality} }

func encode(base string, f format, img image.Image) (still, error) {
	var out bytes.Buffer
	var err error
	switch f.extension {
	case "png":
		err = png.Encode(&out, img)
	case "gif":
		err = gif.Encode(&out, posterise(img), nil)
	default:
		err = jpeg.Encode(&out, img, &jpeg.Options{Quality: f.quality})
	}
	return still{base + "." + f.extension, out.Bytes()}, err
}
