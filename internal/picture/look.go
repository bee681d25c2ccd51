package picture

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"tutela"
	"tutela/internal/pdq"
	"tutela/internal/picture/jpeg"
)

// Ask says what [Look] is to find out.
type Ask struct {
	Exact     bool // hash from all pixels; the zero value hashes large JPEG from reduced ones
	Variants  bool // also hash the picture turned, mirrored, cropped and cut
	Thumbnail bool // also make a small JPEG of it
	Features  bool // also describe places in it, for package feature
}

// View is what [Look] found.
type View struct {
	Perceptual tutela.Perceptual
	Thumbnail  []byte // JPEG of at most 256 pixels a side; nil if not asked for or not possible
	Features   []byte // a feature.Set; nil if not asked for
	Findings   []tutela.Finding
}

// Look hashes a picture. Large JPEG pictures are read at reduced size, if not
// asked to be exact; the hash's Scale says so. A JPEG that is damaged or ends too
// early is hashed as far as it goes, from its luma alone, with a finding, also
// when asked to be exact. Errors are those of [Decode].
func Look(ctx context.Context, data []byte, ask Ask, limits Limits) (View, error) {
	return Looker{Limits: limits}.Look(ctx, data, ask)
}

// Looker is [Look] with a decoder of key frames, by which it also reads HEIC and
// AVIF. The zero value is Look with the default limits.
type Looker struct {
	Limits  Limits
	Decoder Decoder // nil if there is none
}

// Look is [Look]. What the decoder does not decode is looked at as it is without
// one, and a finding says what failed. If that is not possible either, the error is the
// decoder's.
func (k Looker) Look(ctx context.Context, data []byte, ask Ask) (View, error) {
	if k.Decoder == nil || !NeedsDecoder(data) {
		return lookHere(ctx, data, ask, k.Limits)
	}
	v, err := k.lookStill(ctx, data, ask)
	if err == nil || ctx.Err() != nil {
		return v, err
	}
	v, errPreview := lookHere(ctx, data, ask, k.Limits)
	if errPreview != nil {
		return View{}, err
	}
	if !errors.Is(err, ErrUnsupported) { // the preview's decoder tells enough
		v.Findings = append(v.Findings, tutela.Finding{Code: tutela.FindingNotDecoded, Detail: err.Error()})
	}
	return v, nil
}

func (k Looker) lookStill(ctx context.Context, data []byte, ask Ask) (View, error) {
	s, err := openStill(data, k.Limits)
	if err != nil {
		return View{}, err
	}
	p, findings, err := s.decode(ctx, k.Decoder)
	if err != nil {
		return View{}, err
	}
	l := &looking{ask: ask, limits: k.Limits, orientation: s.orientation}
	v := l.exact(p)
	v.Findings = findings
	return v, nil
}

func lookHere(ctx context.Context, data []byte, ask Ask, limits Limits) (View, error) {
	part, err := locate(data)
	if err != nil {
		return View{}, err
	}
	l := &looking{ask: ask, limits: limits, part: part}
	if ask.Thumbnail {
		l.orientation = orientation(data)
	}
	if v, ok := l.fast(ctx); ok {
		return v, nil
	}
	p, err := Decode(ctx, data, limits)
	if errors.Is(err, ErrDamaged) {
		if v, ok := l.salvaged(ctx); ok {
			return v, nil
		}
	}
	if err != nil {
		return View{}, err
	}
	return l.exact(p), nil
}

// looking is one [Look] under way.
type looking struct {
	ask         Ask
	limits      Limits
	part        part
	orientation int // as EXIF has it
}

// fast reads a large JPEG at reduced size. It is not ok with a picture that is to
// be decoded as others are: one of another kind, a small one, a damaged one, and
// one whose hash would be doubtful.
func (l *looking) fast(ctx context.Context) (v View, ok bool) {
	h, ok := l.header()
	scale := scaleOf(h.frame.X, h.frame.Y)
	if l.ask.Exact || !ok || scale == 0 || ctx.Err() != nil {
		return View{}, false
	}
	planes, err := l.read(scale)
	if err != nil || planes.Missing != "" {
		return View{}, false
	}
	plane := planeOf(planes)
	all := plane.View(plane.Whole())
	if l.ask.Features && !showsPlaces(planes) {
		return View{}, false
	}
	if doubtful(plane, all) {
		return View{}, false
	}
	return l.of(planes, plane, all), true
}

// salvaged reads what there is of a damaged JPEG, at full size if asked to be
// exact.
func (l *looking) salvaged(ctx context.Context) (v View, ok bool) {
	h, ok := l.header()
	if !ok || ctx.Err() != nil {
		return View{}, false
	}
	scale := scaleOf(h.frame.X, h.frame.Y)
	if l.ask.Exact || scale == 0 {
		scale = 1
	}
	planes, err := l.read(scale)
	if err != nil {
		return View{}, false
	}
	plane := planeOf(planes)
	v = l.of(planes, plane, plane.View(plane.Whole()))
	v.Findings = append(v.Findings, loss(planes.Missing))
	return v, true
}

// header is that of a JPEG within the limits; ok is false for all else.
func (l *looking) header() (h header, ok bool) {
	if !isJPEG(l.part.data) {
		return header{}, false
	}
	h, err := jpegHeader(l.part.data)
	if err != nil || h.check(int64(len(l.part.data)), l.limits) != nil {
		return header{}, false
	}
	return h, true
}

func (l *looking) read(scale jpeg.Scale) (p *jpeg.Planes, err error) {
	defer recoverTo(&err)
	return jpeg.Read(l.part.data, jpeg.Options{Scale: scale, Chroma: l.ask.Thumbnail})
}

func planeOf(p *jpeg.Planes) *pdq.Plane {
	return &pdq.Plane{Width: p.Width, Height: p.Height, Scale: int(p.Scale), Pix: p.Y.Pix}
}

// of is the view of a JPEG's planes. An error of the thumbnail is none of the
// view.
func (l *looking) of(planes *jpeg.Planes, plane *pdq.Plane, all *pdq.View) (v View) {
	v.Perceptual = tutela.Perceptual{Width: planes.Width, Height: planes.Height, Decoder: l.part.decoder(decoderAt(planes.Scale))}
	v.Perceptual.PDQ, v.Perceptual.Quality = all.Hash()
	if planes.Scale != 1 {
		v.Perceptual.Scale = int(planes.Scale)
	}
	if l.ask.Variants {
		v.Perceptual.Variants = variantsOf(plane, all, plane.View)
	}
	if l.ask.Thumbnail {
		v.Thumbnail, _ = thumbnailOf(planes, l.orientation)
	}
	if l.ask.Features {
		v.Features = featuresOf(grayOf(planes))
	}
	return v
}

// decoderAt is the name of our reader of JPEG at a scale.
func decoderAt(scale jpeg.Scale) string {
	if scale == 1 {
		return "tutela/jpeg luma"
	}
	return fmt.Sprintf("tutela/jpeg 1/%d", scale)
}

// loss is the finding of a picture that other decoders refuse. What ends too
// early was cut off; what lacks something in between is damaged.
func loss(missing string) tutela.Finding {
	switch {
	case missing == "":
		return tutela.Finding{Code: tutela.FindingDamaged, Detail: "all of its luma was read, its colours were not"}
	case strings.Contains(missing, "ends"):
		return tutela.Finding{Code: tutela.FindingTruncated, Detail: missing}
	}
	return tutela.Finding{Code: tutela.FindingDamaged, Detail: missing}
}

// exact is the view of a picture that was decoded. Where it was asked for, the
// variants that are parts of it are hashed from all its pixels too.
func (l *looking) exact(p *Picture) (v View) {
	all := pdq.See(p.Luma())
	v.Perceptual = p.perceptual(all)
	switch {
	case l.ask.Variants && l.ask.Exact:
		v.Perceptual.Variants = variantsOf(p.plane(), all, p.see)
	case l.ask.Variants:
		plane := p.plane()
		v.Perceptual.Scale, v.Perceptual.Variants = 1, variantsOf(plane, all, plane.View)
	}
	if l.ask.Thumbnail {
		v.Thumbnail, _ = Thumbnail(p.Image, l.orientation)
	}
	if l.ask.Features {
		v.Features = featuresOf(p.gray())
	}
	return v
}

// perceptual is the exact hash of the picture, all of which was seen.
func (p *Picture) perceptual(all *pdq.View) tutela.Perceptual {
	hash, quality := all.Hash()
	return tutela.Perceptual{PDQ: hash, Quality: quality, Width: p.Width, Height: p.Height, Decoder: p.Decoder}
}

// see looks at a cut inside the picture, pixel by pixel.
func (p *Picture) see(c pdq.Cut) *pdq.View { return pdq.See(p.lumaOf(c)) }
