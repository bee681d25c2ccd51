package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"tutela"
	"tutela/internal/picture"
)

// look decodes a picture and adds its perceptual hashes, or the finding that it
// could not. What was not read whole is not looked at.
func (r *reading) look(ctx context.Context, rec *tutela.Record) {
	if r.wants&wantPicture == 0 || !rec.Hashed {
		return
	}
	data, err := r.data()
	if err != nil {
		notDecoded(rec, err)
		return
	}
	view, err := r.o.host.Look(ctx, data, picture.Ask{Variants: true, Thumbnail: r.o.thumbs.wants(rec)})
	if err != nil {
		notDecoded(rec, err)
		return
	}
	rec.Picture = &view.Perceptual
	rec.Findings = append(slices.Clip(rec.Findings), view.Findings...)
	r.o.thumbs.keep(rec, view.Thumbnail)
	r.confirm(ctx, rec, data)
}

// confirm makes the exact hashes of a picture whose quick ones met something, so
// that no match that is reported rests on a quick one.
func (r *reading) confirm(ctx context.Context, rec *tutela.Record, data []byte) {
	if rec.Picture.Scale == 0 || r.o.certain == nil {
		return
	}
	met := func(m tutela.Match) bool { return m.Kind == tutela.MatchPDQ }
	if !slices.ContainsFunc(r.o.sets.Match(0, rec), met) {
		r.o.certain.lend(rec, nil)
		return
	}
	exact, err := r.o.host.Look(ctx, data, picture.Ask{Exact: true, Variants: true})
	if err == nil {
		r.o.certain.lend(rec, &exact.Perceptual)
	}
	// Otherwise the match stands, and is marked as not confirmed.
}

// watch reads a video and adds the hashes of its frames, or the finding that
// they could not be decoded.
func (r *reading) watch(ctx context.Context, rec *tutela.Record) {
	if r.wants&wantVideo == 0 || !rec.Hashed {
		return
	}
	content, size, done, err := r.random(ctx)
	if err != nil {
		notDecoded(rec, err)
		return
	}
	defer done()
	view, err := r.o.host.Video(ctx, content, size)
	if err != nil {
		notDecoded(rec, err)
		return
	}
	rec.Video = &view.Video
	rec.Findings = append(slices.Clip(rec.Findings), view.Findings...)
	r.o.thumbs.keep(rec, view.Strip)
}

// notDecoded says why a picture or video has no hash.
func notDecoded(rec *tutela.Record, err error) {
	if ended, ok := errors.AsType[finder](err); ok {
		find(rec, ended.Finding().Code, err)
		return
	}
	find(rec, tutela.FindingNotDecoded, err)
}

// pictureBytes bounds what one picture file may take in memory.
const pictureBytes = 512 << 20

// data is the whole content: what was kept, or read a second time.
func (r *reading) data() ([]byte, error) {
	if r.keep != nil {
		return r.keep, nil
	}
	if r.entry.Size > pictureBytes {
		return nil, fmt.Errorf("a picture file of %d bytes is over the limit of %d", r.entry.Size, pictureBytes)
	}
	content, err := r.entry.Open()
	if err != nil {
		return nil, err
	}
	defer content.Close()
	return io.ReadAll(io.LimitReader(content, pictureBytes))
}
