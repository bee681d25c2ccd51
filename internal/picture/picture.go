// Package picture turns untrusted bytes into pixels, and pixels into what the
// perceptual hash looks at.
//
// Start with [Perceptual], which does both, or with [Decode]. [IsPicture] says
// for which types either is worth calling; [Thumbnail] makes a small JPEG.
//
// JPEG, PNG, GIF (its first frame), WebP, TIFF (its first page), BMP, icons and
// cursors (the largest of their pictures) and Photoshop files (all layers
// together) are read. HEIC and AVIF are where a [Looker] has a [Decoder] for their
// key frames. Of the raw files of cameras, and of HEIC and AVIF without one, the
// largest JPEG preview is, if there is one; Picture.Decoder then says so, and size
// and hash are the preview's. JPEG 2000, JPEG XL and BigTIFF are named and not
// read.
//
// Promised: the picture's size is read from its header by code of this package,
// which allocates little, and a picture that is too large, or too large for the
// number of its bytes, is refused before a decoder sees it. A decoder that
// panics is an error. Every error but the context's wraps [ErrNotDecoded] and
// says which of [ErrTooLarge], [ErrDamaged] and [ErrUnsupported] it is. Not
// promised: that a decoder ends soon; it can be stopped only between reads of
// its input, when the context ends.
//
// Alpha channels are ignored: colours are taken as they are stored, also where
// they are invisible, since that is where things hide. (GIF stores no colour for
// transparent pixels; they are black.) An orientation told by EXIF is not
// applied, nor is a turn told by HEIC and AVIF, but to thumbnails. Samples of 16
// bits lose their lower half.
package picture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"runtime"
	"slices"

	"golang.org/x/image/webp"

	"tutela"
	"tutela/internal/pdq"
)

// ErrNotDecoded is wrapped by every error of a picture that no decoder took; the
// record of such a picture carries [tutela.FindingNotDecoded].
var ErrNotDecoded = errors.New("picture not decoded")

// The reasons why a picture is not decoded.
var (
	ErrTooLarge    = fmt.Errorf("%w: too large", ErrNotDecoded)     // more than the limits allow, or than its bytes can hold
	ErrDamaged     = fmt.Errorf("%w: damaged", ErrNotDecoded)       // does not follow its format, or ends too early
	ErrUnsupported = fmt.Errorf("%w: not supported", ErrNotDecoded) // no decoder here reads this kind
)

// Limits bound what a picture may ask for. The zero value of a field means its
// default.
type Limits struct {
	Pixels int64 // default 250 million
	Memory int64 // bytes a decoder may need at its worst, by our estimate; default 1 GiB
}

func (l Limits) pixels() int64 { return orDefault(l.Pixels, 250e6) }
func (l Limits) memory() int64 { return orDefault(l.Memory, 1<<30) }

func orDefault(n, otherwise int64) int64 {
	if n == 0 {
		return otherwise
	}
	return n
}

// Picture is a decoded picture.
type Picture struct {
	Width, Height int    // pixels
	Decoder       string // name and version of what made the pixels
	Image         image.Image
}

// format is one kind of picture. A decoder of this package is own, works from the
// header that was checked, and makes config and decode needless.
type format struct {
	mime    string
	decoder string
	is      func(data []byte) bool
	header  func(data []byte) (header, error)
	config  func(io.Reader) (image.Config, error)
	decode  func(io.Reader) (image.Image, error)
	own     func(ctx context.Context, data []byte) (image.Image, error)
}

// webpDecoder names the module and its version as go.mod has it.
const webpDecoder = "golang.org/x/image/webp v0.47.0"

func formats() []format {
	return []format{
		{"image/jpeg", "image/jpeg " + runtime.Version(), isJPEG, jpegHeader, jpeg.DecodeConfig, jpeg.Decode, nil},
		{"image/png", "image/png " + runtime.Version(), isPNG, pngHeader, png.DecodeConfig, png.Decode, nil},
		{"image/gif", "image/gif " + runtime.Version(), isGIF, gifHeader, gif.DecodeConfig, gif.Decode, nil},
		{"image/webp", webpDecoder, isWebP, webpHeader, webp.DecodeConfig, webp.Decode, nil},
		{"image/tiff", "tutela/tiff", isTIFF, tiffHeader, nil, nil, decodeTIFF},
		{"image/bmp", "tutela/bmp", isBMP, bmpHeader, nil, nil, decodeBMP},
		{"image/x-icon", "tutela/icon", isIcon, iconHeader, nil, nil, decodeIcon},
		{"image/vnd.adobe.photoshop", "tutela/psd", isPSD, psdHeader, nil, nil, decodePSD},
	}
}

// readable are the types of which [Decode] reads at least some. The raw files of
// cameras that are TIFF go by that.
var readable = []string{
	"image/jpeg", "image/png", "image/gif", "image/webp", "image/vnd.mozilla.apng",
	"image/tiff", "image/bmp", "image/x-icon", "image/vnd.adobe.photoshop",
	"image/heic", "image/heic-sequence", "image/heif", "image/heif-sequence", "image/avif",
	"image/x-canon-cr2", "image/x-canon-cr3", "image/x-fuji-raf", "image/x-olympus-orf", "image/x-panasonic-rw2",
	"image/jp2", "image/jpx", "image/jpm", "image/jxl", "image/jxr", // so that a record says what they are
}

// MaxFile is the largest picture file, in bytes, that is worth reading into
// memory.
const MaxFile = 512 << 20

// IsPicture reports whether [Decode] is worth calling for contents of a MIME type:
// it reads them, or says by name what it does not read.
func IsPicture(mime string) bool { return slices.Contains(readable, mime) }

// Decode turns the bytes of a picture into pixels. What the bytes are is told by
// the bytes alone.
func Decode(ctx context.Context, data []byte, limits Limits) (*Picture, error) {
	part, err := locate(data)
	if err != nil {
		return nil, err
	}
	p, err := part.decode(ctx, limits)
	if err != nil && part.of != "" {
		return nil, fmt.Errorf("preview of %s: %w", part.of, err)
	}
	if err != nil {
		return nil, err
	}
	p.Decoder = part.decoder(p.Decoder)
	return p, nil
}

func (p part) decode(ctx context.Context, limits Limits) (*Picture, error) {
	for _, f := range formats() {
		if !f.is(p.data) {
			continue
		}
		m, err := f.open(ctx, p.data, limits)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.mime, err)
		}
		return m, nil
	}
	return nil, fmt.Errorf("%w: no picture that is known", ErrUnsupported)
}

// Perceptual decodes a picture and hashes it, exactly.
func Perceptual(ctx context.Context, data []byte, limits Limits) (tutela.Perceptual, error) {
	p, err := Decode(ctx, data, limits)
	if err != nil {
		return tutela.Perceptual{}, err
	}
	return p.perceptual(pdq.See(p.Luma())), nil
}

func (f format) open(ctx context.Context, data []byte, limits Limits) (*Picture, error) {
	h, err := f.header(data)
	if err != nil {
		return nil, err
	}
	if err := h.check(int64(len(data)), limits); err != nil {
		return nil, err
	}
	if f.own == nil {
		if err := f.agree(ctx, data, h); err != nil {
			return nil, err
		}
	}
	m, err := f.pixels(ctx, data)
	if err != nil {
		return nil, err
	}
	if s := m.Bounds().Size(); s != h.frame {
		return nil, fmt.Errorf("%w: the header says %v pixels, the decoder made %v", ErrDamaged, h.frame, s)
	}
	return &Picture{Width: h.frame.X, Height: h.frame.Y, Decoder: f.decoder, Image: m}, nil
}

// agree asks the decoder for the size it will allocate for, so that a header
// which we and it read differently cannot get past our limits.
func (f format) agree(ctx context.Context, data []byte, h header) (err error) {
	defer recoverTo(&err)
	c, err := f.config(reader{ctx, bytes.NewReader(data)})
	if err != nil {
		return classify(ctx, err)
	}
	if got := image.Pt(c.Width, c.Height); got != h.canvas {
		return fmt.Errorf("%w: %v pixels or %v", ErrDamaged, h.canvas, got)
	}
	return nil
}

func (f format) pixels(ctx context.Context, data []byte) (m image.Image, err error) {
	defer recoverTo(&err)
	if f.own != nil {
		return f.own(ctx, data)
	}
	m, err = f.decode(reader{ctx, bytes.NewReader(data)})
	if err != nil {
		return nil, classify(ctx, err)
	}
	return m, nil
}

// recoverTo makes a decoder's panic an error: its input made it do that.
func recoverTo(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: decoder panicked: %v", ErrDamaged, p)
	}
}

// classify says what a decoder's error means.
func classify(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var j jpeg.UnsupportedError
	var p png.UnsupportedError
	if errors.As(err, &j) || errors.As(err, &p) {
		return fmt.Errorf("%w: %v", ErrUnsupported, err)
	}
	return fmt.Errorf("%w: %v", ErrDamaged, err)
}

// reader stops a decoder when the context ends.
type reader struct {
	ctx context.Context
	r   *bytes.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
