package robustness

import (
	"fmt"
	"hash/fnv"
	"image"
	"math/rand/v2"
	"slices"
)

// Transform is one way in which people alter a picture before they pass it on.
type Transform struct {
	Name string // stable
	What string // in plain words
	// quality of the JPEG the altered picture is saved as; 0 is 90
	quality int
	alter   func(*bench) image.Image
}

// Copy is an altered picture as it would be found: a JPEG.
type Copy struct {
	JPEG []byte
	// Shows are the indices of all pictures that are in it: first the one that
	// was altered, then those that stand beside it in a collage.
	Shows []int
}

// Transforms are the 28 of the suite, in the order of the table.
func Transforms() []Transform {
	return []Transform{
		{Name: "JPEG quality 20", What: "saved as JPEG of quality 20", quality: 20, alter: same},
		{Name: "saved again and again", What: "three times made smaller or larger and saved, at quality 60, 40 and 75", quality: 75, alter: handedOn},
		{Name: "half size", What: "half as wide and high", alter: halfSize},
		{Name: "128 pixels", What: "the longer side 128 pixels", alter: thumbnail},
		{Name: "squeezed", What: "three quarters as wide, as high as before", alter: squeezed},
		{Name: "greyscale", What: "without colour", alter: greyscale},
		{Name: "brighter", What: "50 of 255 added to every value", alter: brighter},
		{Name: "more contrast", What: "distances from the middle grey times 1.5", alter: contrast},
		{Name: "noise", What: "Gaussian noise, standard deviation 20 of 255", alter: noisy},
		{Name: "blur", What: "two means over 7×7 pixels", alter: blurred},
		{Name: "sharpened", What: "unsharp mask over 5×5 pixels, strength 1.5", alter: sharpened},
		{Name: "corner watermark", What: "a white plate with a name in the lower right corner, 3/10 of the width", alter: watermark},
		{Name: "caption bar", What: "a white bar with a line of text added above, 15 % of the height", alter: captionBar},
		{Name: "big text", What: "two lines of large white letters with black rims over the picture", alter: bigText},
		{Name: "crop 2.5 %", What: "2.5 % of the size cut off at each side", alter: crop(0.025)},
		{Name: "crop 5 %", What: "5 % of the size cut off at each side", alter: crop(0.05)},
		{Name: "random crop 80 %", What: "a part of 80 % of the width and height, anywhere", alter: randomCrop(0.8)},
		{Name: "random crop 60 %", What: "a part of 60 % of the width and height, anywhere", alter: randomCrop(0.6)},
		{Name: "rotate 2°", What: "turned by 2°, the corners black", alter: tilted(2)},
		{Name: "rotate 90°", What: "turned counter-clockwise", alter: rotate90},
		{Name: "rotate 180°", What: "upside down", alter: rotate180},
		{Name: "rotate 270°", What: "turned clockwise", alter: rotate270},
		{Name: "mirror", What: "left and right exchanged", alter: mirrored},
		{Name: "flip", What: "top and bottom exchanged", alter: flipped},
		{Name: "border", What: "a frame of one colour around it, 8 % of the width", alter: borderOf(8)},
		{Name: "letterbox", What: "black bars above and below, each 15 % of the height", alter: letterbox},
		{Name: "pillarbox", What: "black bars at the left and right, each 25 % of the width", alter: pillarbox},
		{Name: "mosaic", What: "one tile of a collage of 2×2 pictures", alter: mosaic},
	}
}

// Others are alterations that the suite has by other amounts, or elsewhere. They
// count in no mean: they show whether what undoes an alteration does so for that
// amount only.
func Others() []Transform {
	return []Transform{
		{Name: "caption bar below", What: "a white bar with a line of text added below, 20 % of the height", alter: captionBelow},
		{Name: "crop 1.5 %", What: "1.5 % of the size cut off at each side", alter: crop(0.015)},
		{Name: "crop 3.5 %", What: "3.5 % of the size cut off at each side", alter: crop(0.035)},
		{Name: "crop 10 %", What: "10 % of the size cut off at each side", alter: crop(0.1)},
		{Name: "rotate 1°", What: "turned by 1° the other way, the corners black", alter: tilted(-1)},
		{Name: "rotate 3.5°", What: "turned by 3.5°, the corners black", alter: tilted(3.5)},
		{Name: "rotate 5°", What: "turned by 5°, the corners black", alter: tilted(5)},
		{Name: "narrow border", What: "a frame of one colour around it, 2 % of the width", alter: borderOf(2)},
	}
}

func all() []Transform { return append(Transforms(), Others()...) }

// TransformNamed finds a transform, also among the others.
func TransformNamed(name string) (Transform, bool) {
	for _, t := range all() {
		if t.Name == name {
			return t, true
		}
	}
	return Transform{}, false
}

// Copy makes the altered copy of picture i of a set. It depends on the set, i
// and the transform alone.
func (t Transform) Copy(set []Picture, i int) (Copy, error) {
	original, err := set[i].decode()
	if err != nil {
		return Copy{}, err
	}
	return t.copyOf(original, set, i)
}

func (t Transform) copyOf(original *image.RGBA, set []Picture, i int) (Copy, error) {
	b := &bench{RGBA: original, rnd: t.randomness(i), set: set, shows: []int{i}}
	altered := t.alter(b)
	if b.err != nil {
		return Copy{}, fmt.Errorf("%s of %s: %w", t.Name, set[i].Name, b.err)
	}
	quality := t.quality
	if quality == 0 {
		quality = 90
	}
	data, err := encode(altered, quality)
	return Copy{data, b.shows}, err
}

// randomness is a transform's own for each picture, so that a change of one
// transform leaves the others' copies as they are.
func (t Transform) randomness(i int) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(t.Name))
	return rand.New(rand.NewPCG(seed^h.Sum64(), uint64(i)))
}

// bench is where a picture lies while it is altered. An alteration leaves the
// original's pixels alone; its first error is kept in err.
type bench struct {
	*image.RGBA
	rnd   *rand.Rand
	set   []Picture
	shows []int
	err   error
}

func (b *bench) width() int  { return b.Rect.Dx() }
func (b *bench) height() int { return b.Rect.Dy() }

// another is a picture of the set that is not yet in the copy.
func (b *bench) another() image.Image {
	free := len(b.set) - len(b.shows)
	if free <= 0 {
		return image.Black
	}
	at := b.rnd.IntN(free)
	for i := range b.set {
		if slices.Contains(b.shows, i) {
			continue
		}
		if at == 0 {
			b.shows = append(b.shows, i)
			return b.decode(i)
		}
		at--
	}
	return image.Black
}

func (b *bench) decode(i int) image.Image {
	p, err := b.set[i].decode()
	if err != nil {
		b.err = err
		return image.Black
	}
	return p
}

// savedAt is a picture after JPEG of that quality.
func (b *bench) savedAt(p image.Image, quality int) *image.RGBA {
	data, err := encode(p, quality)
	if err == nil {
		var out *image.RGBA
		if out, err = decode(data); err == nil {
			return out
		}
	}
	b.err = err
	return b.RGBA
}
