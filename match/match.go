// Package match answers one question about one content: is this known?
//
// A program calls [Child] first thing in main, since hostile bytes are read in
// copies of it; then [Open] on a lab's folder of hash sets, and
// [Matcher.Content] for each content, or [Matcher.Value] for a digest that it
// has from elsewhere.
//
// Promised: every match names the set, its version, its status and category, by
// what it agreed, at which distance, in which variant, and what decoded the
// pixels; matches by likeness rest on exact hashes; a set that is damaged is an
// error, never an answer. Not promised: that a match is more than a lead, or
// that a content without one is unknown to everybody.
//
// It asks for no warrant and writes nothing down: it is for what a person has at
// hand. Seized media are scanned, by package scan.
package match

import (
	"context"
	"errors"
	"fmt"
	"io"

	"tutela"
	"tutela/internal/confine"
	"tutela/internal/digest"
	"tutela/internal/hashset"
	"tutela/internal/picture"
	"tutela/internal/video"
)

// Child does the work of a process that reads hostile bytes, and does not
// return, if this process was started as one; else it returns at once.
func Child() { confine.Child() }

// Answer is what a content is and what is known about it.
type Answer struct {
	Size     int64 // bytes
	Digests  tutela.Digests
	Type     string              // MIME type by content
	Picture  *tutela.Perceptual  // exact, with its variants; nil if it is none or was not decoded
	Video    *tutela.Video       // nil if it is none
	Findings []tutela.Finding    // what could not be seen
	Matches  []tutela.Match      // without a Leaf
	Features []byte              // places in the picture, as a set of pictures has them; only by [Matcher.Learn]
	Sets     []tutela.SetVersion // that were asked
}

// Hit is a row of a set that a digest led to.
type Hit = hashset.Hit

// Matcher asks sets. Its methods but Close are safe for concurrent use.
type Matcher struct {
	sets *hashset.Sets
	host *confine.Host
}

// Open opens every set in use in a lab's folder of sets.
func Open(dir string) (*Matcher, error) {
	store, err := hashset.OpenStore(dir)
	if err != nil {
		return nil, err
	}
	sets, err := store.OpenActive()
	if err != nil {
		return nil, err
	}
	m, err := New(sets)
	if err != nil {
		return nil, errors.Join(err, sets.Close())
	}
	return m, nil
}

// New takes sets over: Close closes them. Without any, what a content is can be
// asked all the same.
func New(sets *hashset.Sets) (*Matcher, error) {
	host, err := confine.New(confine.Options{})
	if err != nil {
		return nil, err
	}
	return &Matcher{sets, host}, nil
}

// Close ends the readers and closes the sets.
func (m *Matcher) Close() error { return errors.Join(m.host.Close(), m.sets.Close()) }

// Value finds what is known about a digest in hexadecimal digits: MD5, SHA-1,
// SHA-256 or, within 31 bits, PDQ. Errors wrap tutela.ErrDigest if it is none.
func (m *Matcher) Value(value string) ([]Hit, error) { return m.sets.LookupValue(value) }

// Content says what a content is and what is known about it. That a picture or
// video was not decoded is a finding, not an error.
//
// A picture that no set knows otherwise is held against the sets that were made
// from pictures, by places in it.
func (m *Matcher) Content(ctx context.Context, content io.ReaderAt, size int64) (*Answer, error) {
	a, err := m.see(ctx, content, size, picture.Ask{Exact: true, Variants: true})
	if err != nil {
		return nil, err
	}
	r := tutela.Record{Hashed: true, Digests: a.Digests, Type: a.Type, Picture: a.Picture, Video: a.Video}
	if a.Matches = m.sets.Match(0, &r); len(a.Matches) == 0 && m.placed(a) {
		a.Matches, err = m.places(ctx, content, a)
	}
	return a, errors.Join(err, m.sets.Damage())
}

// Learn says what a content is, with what a set of pictures is made of: exact
// hashes and features. It asks no set.
func (m *Matcher) Learn(ctx context.Context, content io.ReaderAt, size int64) (*Answer, error) {
	return m.see(ctx, content, size, picture.Ask{Exact: true, Features: true})
}

// placed reports whether places can tell more of a content.
func (m *Matcher) placed(a *Answer) bool {
	return m.sets.Features() && a.Picture != nil && min(a.Picture.Width, a.Picture.Height) >= hashset.MinSide
}

func (m *Matcher) places(ctx context.Context, content io.ReaderAt, a *Answer) ([]tutela.Match, error) {
	data, err := readAll(content, a.Size)
	if err != nil {
		return nil, err
	}
	view, err := m.host.Look(ctx, data, picture.Ask{Features: true})
	if err != nil {
		return nil, a.note(ctx, err)
	}
	return m.sets.Places(0, view.Features, view.Perceptual.Decoder), nil
}

// see reads a content and decodes it.
func (m *Matcher) see(ctx context.Context, content io.ReaderAt, size int64, ask picture.Ask) (*Answer, error) {
	a := &Answer{Size: size, Sets: m.sets.Versions()}
	head := make([]byte, min(size, digest.TypeBytes))
	if _, err := content.ReadAt(head, 0); err != nil && err != io.EOF {
		return nil, err
	}
	var err error
	if a.Digests, a.Size, err = digest.Sum(io.NewSectionReader(content, 0, size)); err != nil {
		return nil, err
	}
	switch a.Type = digest.Type(head); {
	case picture.IsPicture(a.Type):
		err = m.picture(ctx, a, content, ask)
	case video.IsVideo(a.Type):
		err = m.video(ctx, a, content)
	}
	if err := a.note(ctx, err); err != nil {
		return nil, err
	}
	return a, nil
}

func (m *Matcher) picture(ctx context.Context, a *Answer, content io.ReaderAt, ask picture.Ask) error {
	if a.Size > picture.MaxFile {
		return fmt.Errorf("a picture file of %d bytes is over the limit of %d", a.Size, picture.MaxFile)
	}
	data, err := readAll(content, a.Size)
	if err != nil {
		return err
	}
	view, err := m.host.Look(ctx, data, ask)
	if err != nil {
		return err
	}
	a.Picture, a.Findings, a.Features = &view.Perceptual, view.Findings, view.Features
	return nil
}

func readAll(content io.ReaderAt, size int64) ([]byte, error) {
	data := make([]byte, size)
	if _, err := content.ReadAt(data, 0); err != nil && err != io.EOF {
		return nil, err
	}
	return data, nil
}

func (m *Matcher) video(ctx context.Context, a *Answer, content io.ReaderAt) error {
	view, err := m.host.Video(ctx, content, a.Size)
	if err != nil {
		return err
	}
	a.Video, a.Findings = &view.Video, view.Findings
	return nil
}

// note makes a finding of an error of a decoder. What ends because ctx ends is
// an error.
func (a *Answer) note(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	f := tutela.Finding{Code: tutela.FindingNotDecoded, Detail: err.Error()}
	if death, ok := errors.AsType[*confine.Death](err); ok {
		f = death.Finding()
	}
	a.Findings = append(a.Findings, f)
	return nil
}
