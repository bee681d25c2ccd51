package confine

import (
	"bytes"
	"context"
	"errors"

	"tutela"
)

// Perceptual decodes and hashes a picture in a child, as package picture does.
func (h *Host) Perceptual(ctx context.Context, data []byte) (p tutela.Perceptual, err error) {
	var t tries
	for {
		p, err = h.perceptual(ctx, data)
		var death *Death
		if !errors.As(err, &death) || !t.again(0) {
			return p, err
		}
	}
}

func (h *Host) perceptual(ctx context.Context, data []byte) (p tutela.Perceptual, err error) {
	if err := ctx.Err(); err != nil {
		return p, err
	}
	child, err := h.borrow()
	if err != nil {
		return p, err
	}
	defer h.giveBack(child)
	id, source := child.lend(bytes.NewReader(data), int64(len(data)))
	defer child.takeBack(id)
	reply, err := child.call(opPicture, source)
	if err != nil {
		if death := child.died(err); death != nil {
			return p, death
		}
		return p, err
	}
	return decodePerceptual(reply)
}

func decodePerceptual(reply []byte) (p tutela.Perceptual, err error) {
	d := &decoder{b: reply}
	p.Quality = int(d.int())
	if len(d.b) < len(p.PDQ) {
		return p, errGarbled
	}
	d.b = d.b[copy(p.PDQ[:], d.b):]
	p.Width, p.Height, p.Decoder = int(d.int()), int(d.int()), d.string()
	return p, d.end()
}
