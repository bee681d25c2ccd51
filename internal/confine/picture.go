package confine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"tutela"
	"tutela/internal/picture"
)

// Look decodes and hashes a picture in a child, as package picture does. The key
// frames that HEIC and AVIF are made of go on to an ffmpeg that is confined more
// than the child is, where there is one (see [Options]).
func (h *Host) Look(ctx context.Context, data []byte, ask picture.Ask) (v picture.View, err error) {
	var t tries
	for {
		v, err = h.look(ctx, data, ask)
		var death *Death
		if !errors.As(err, &death) || !t.again(0) {
			return v, err
		}
	}
}

// Perceptual is the exact hash of a picture alone.
func (h *Host) Perceptual(ctx context.Context, data []byte) (tutela.Perceptual, error) {
	v, err := h.Look(ctx, data, picture.Ask{Exact: true})
	return v.Perceptual, err
}

func (h *Host) look(ctx context.Context, data []byte, ask picture.Ask) (v picture.View, err error) {
	if err := ctx.Err(); err != nil {
		return v, err
	}
	child, err := h.borrow()
	if err != nil {
		return v, err
	}
	defer h.giveBack(child)
	id, source := child.lend(bytes.NewReader(data), int64(len(data)))
	defer child.takeBack(id)
	decodes := picture.NeedsDecoder(data) && h.refusesVideo() == ""
	leave := func() *Death { return nil }
	if decodes {
		leave = child.decodeFor(ctx, h)
	}
	reply, err := child.call(opPicture, appendInt(appendAsk(source, ask), flag(decodes)))
	decoderDied := leave()
	if death := child.died(err); death != nil {
		return v, death
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return v, ctx.Err()
	case err != nil && decoderDied != nil:
		return v, decoderDied
	case err != nil:
		return v, err
	}
	return decodeView(reply)
}

// picture is what the child does of it.
func (c *child) picture(d *decoder) ([]byte, error) {
	src, ask, decodes := c.source(d), d.ask(), d.int() != 0
	if err := d.end(); err != nil {
		return nil, err
	}
	if src.Size() > pictureMemory/2 {
		return nil, fmt.Errorf("%w: a file of %d bytes, at most %d are read", picture.ErrTooLarge, src.Size(), pictureMemory/2)
	}
	data := make([]byte, src.Size())
	if _, err := io.ReadFull(io.NewSectionReader(src, 0, src.Size()), data); err != nil {
		return nil, err
	}
	looker := picture.Looker{Limits: picture.Limits{Memory: pictureMemory - src.Size()}}
	if decodes {
		looker.Decoder = stillClient{c.peer}
	}
	v, err := looker.Look(context.Background(), data, ask)
	if err != nil {
		return nil, err
	}
	return appendView(nil, &v), nil
}

func appendAsk(b []byte, a picture.Ask) []byte {
	b = appendInt(appendInt(b, flag(a.Exact)), flag(a.Variants))
	return appendInt(appendInt(b, flag(a.Thumbnail)), flag(a.Features))
}

func (d *decoder) ask() picture.Ask {
	return picture.Ask{Exact: d.int() != 0, Variants: d.int() != 0, Thumbnail: d.int() != 0, Features: d.int() != 0}
}

func appendView(b []byte, v *picture.View) []byte {
	p := &v.Perceptual
	b = appendInt(append(b, p.PDQ[:]...), p.Quality)
	b = appendInt(appendInt(b, p.Width), p.Height)
	b = appendInt(appendBytes(b, p.Decoder), p.Scale)
	b = appendInt(b, len(p.Variants))
	for _, variant := range p.Variants {
		b = appendBytes(b, variant.Name)
		b = appendInt(append(b, variant.PDQ[:]...), variant.Quality)
	}
	b = appendBytes(appendBytes(b, v.Thumbnail), v.Features)
	b = appendInt(b, len(v.Findings))
	for _, f := range v.Findings {
		b = appendBytes(appendBytes(b, f.Code), f.Detail)
	}
	return b
}

func decodeView(reply []byte) (v picture.View, err error) {
	d := &decoder{b: reply}
	p := &v.Perceptual
	p.PDQ, p.Quality = d.pdq(), int(d.int())
	p.Width, p.Height = int(d.int()), int(d.int())
	p.Decoder, p.Scale = d.string(), int(d.int())
	if n := d.count(); n > 0 {
		p.Variants = make([]tutela.Variant, n)
		for i := range p.Variants {
			p.Variants[i] = tutela.Variant{Name: d.string(), PDQ: d.pdq(), Quality: int(d.int())}
		}
	}
	if b := d.bytes(); len(b) > 0 {
		v.Thumbnail = b
	}
	if b := d.bytes(); len(b) > 0 {
		v.Features = b
	}
	if n := d.count(); n > 0 {
		v.Findings = make([]tutela.Finding, n)
		for i := range v.Findings {
			v.Findings[i] = tutela.Finding{Code: d.string(), Detail: d.string()}
		}
	}
	return v, d.end()
}

func (d *decoder) pdq() (hash tutela.PDQ) {
	if len(d.b) < len(hash) {
		d.bad, d.b = true, nil
		return hash
	}
	d.b = d.b[copy(hash[:], d.b):]
	return hash
}
