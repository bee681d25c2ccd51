package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"tutela"
	"tutela/internal/hashset"
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
	r.makeSure(ctx, rec, data)
}

// makeSure finds out what the match run, which has no evidence at hand, cannot:
// the exact hashes of a picture whose quick ones met something, and the known
// pictures that have places in common with one that met nothing.
func (r *reading) makeSure(ctx context.Context, rec *tutela.Record, data []byte) {
	known, places := r.placer()
	places = places && min(rec.Picture.Width, rec.Picture.Height) >= hashset.MinSide
	if r.o.certain == nil || rec.Picture.Scale == 0 && !places {
		return
	}
	sure, ok := r.confirmed(ctx, rec, data)
	if !ok {
		return // the match stands, and is marked as not confirmed
	}
	var found []tutela.Match
	if places {
		found = r.places(ctx, sure, data, known)
	}
	r.o.certain.lend(sure, found)
}

// confirmed is the record with the picture that its matches are to rest on: the
// exact one where a quick hash met something, none where it met nothing.
func (r *reading) confirmed(ctx context.Context, rec *tutela.Record, data []byte) (sure *tutela.Record, ok bool) {
	if rec.Picture.Scale == 0 {
		return rec, true
	}
	copied := *rec
	sure = &copied
	met := func(m tutela.Match) bool { return m.Kind == tutela.MatchPDQ }
	if !slices.ContainsFunc(r.o.sets.Match(0, rec), met) {
		sure.Picture = nil
		return sure, true
	}
	exact, err := r.o.host.Look(ctx, data, picture.Ask{Exact: true, Variants: true})
	if err != nil {
		return nil, false
	}
	sure.Picture = &exact.Perceptual
	return sure, true
}

// Placer is a [Matcher] that also finds pictures by places in them, for pictures
// that Match does not know.
type Placer interface {
	// Features reports whether any set can be asked so.
	Features() bool
	// Places gives matches in order of set, version and row, the same every time.
	// features are a feature.Set, decoder what gave the pixels.
	Places(leaf uint64, features []byte, decoder string) []tutela.Match
}

var _ Placer = (*hashset.Sets)(nil)

func (r *reading) placer() (Placer, bool) {
	p, ok := r.o.sets.(Placer)
	return p, ok && p.Features()
}

// places looks for what a picture has in common with known ones, if nothing else
// is known of it. That costs as much as hashing the picture, and is spent on what
// the hashes leave over. A child that dies of it leaves what was found before.
func (r *reading) places(ctx context.Context, sure *tutela.Record, data []byte, known Placer) []tutela.Match {
	if len(r.o.sets.Match(0, sure)) > 0 {
		return nil
	}
	view, err := r.o.host.Look(ctx, data, picture.Ask{Features: true})
	if err != nil {
		return nil
	}
	return known.Places(0, view.Features, view.Perceptual.Decoder)
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

// data is the whole content: what was kept, or read a second time.
func (r *reading) data() ([]byte, error) {
	if r.keep != nil {
		return r.keep, nil
	}
	if r.entry.Size > picture.MaxFile {
		return nil, fmt.Errorf("a picture file of %d bytes is over the limit of %d", r.entry.Size, picture.MaxFile)
	}
	content, err := r.entry.Open()
	if err != nil {
		return nil, err
	}
	defer content.Close()
	return io.ReadAll(io.LimitReader(content, picture.MaxFile))
}
