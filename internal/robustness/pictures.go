package robustness

import (
	"bytes"
	"embed"
	"fmt"
	"image"
	"image/jpeg"
	"path"
	"strings"

	"golang.org/x/image/draw"
)

//go:embed testdata/pictures/*.jpg
var photographs embed.FS

// Kind says how a picture of the suite came to be.
type Kind string

const (
	Photograph Kind = "photograph" // taken or painted by a person, free, see testdata/pictures/LICENCES.md
	Drawing    Kind = "drawing"    // a scene drawn by this package
)

// Picture is one original of the suite.
type Picture struct {
	Name string
	Kind Kind
	JPEG []byte // at most 640 pixels a side
}

// Limit is how many pictures of each kind to take; the first of them.
type Limit struct{ Photographs, Drawings int }

// whole is the fixed suite, whose figures are the ones that are shown.
func whole() Limit { return Limit{Photographs: 56, Drawings: 160} }

// Pictures are the originals of the suite, the same in every run.
func Pictures(l Limit) ([]Picture, error) {
	pictures, err := taken(l.Photographs)
	if err != nil {
		return nil, err
	}
	for i := range l.Drawings {
		name, p := scene(i)
		data, err := encode(p, 92)
		if err != nil {
			return nil, err
		}
		pictures = append(pictures, Picture{fmt.Sprintf("%s %d", name, i), Drawing, data})
	}
	return pictures, nil
}

func taken(limit int) ([]Picture, error) {
	const dir = "testdata/pictures"
	files, err := photographs.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var pictures []Picture
	for _, f := range files[:min(limit, len(files))] {
		data, err := photographs.ReadFile(path.Join(dir, f.Name()))
		if err != nil {
			return nil, err
		}
		pictures = append(pictures, Picture{strings.TrimSuffix(f.Name(), ".jpg"), Photograph, data})
	}
	return pictures, nil
}

func (p Picture) decode() (*image.RGBA, error) {
	out, err := decode(p.JPEG)
	if err != nil {
		return nil, fmt.Errorf("picture %s: %w", p.Name, err)
	}
	return out, nil
}

func decode(data []byte) (*image.RGBA, error) {
	p, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	out := image.NewRGBA(image.Rectangle{Max: p.Bounds().Size()})
	draw.Draw(out, out.Rect, p, p.Bounds().Min, draw.Src)
	return out, nil
}

func encode(p image.Image, quality int) ([]byte, error) {
	var b bytes.Buffer
	err := jpeg.Encode(&b, p, &jpeg.Options{Quality: quality})
	return b.Bytes(), err
}
