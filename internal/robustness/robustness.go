// Package robustness measures which altered copies of a picture are still found
// by its perceptual hash: a fixed set of ordinary pictures, 28 ways in which
// people alter them, and every copy held against every picture.
//
// Start with [Run]; [Table.Write] writes what it found as Markdown. [Pictures]
// and [Transforms] give the parts to whoever measures something else with them.
//
// A known picture stands for a row of a hash set: the PDQ hash of the original,
// as it is. A copy stands for a file on an exhibit: it is saved as JPEG and goes
// the way that a scan goes, picture.Look with variants. It is found if its
// own hash or that of a variant lies within pdq.MaxRadius of its original, both
// of pdq.MinQuality or more. It is a false match if it lies so near to a picture
// that is not in it.
//
// Promised: pictures, alterations and so the table are the same in every run on
// one kind of processor. Not promised: the same bytes on another, where the
// compiler may fuse products into sums while drawing; a share may then differ
// by a picture. Nor that another set of pictures gives the same shares: flat
// ones survive less, busy ones more.
package robustness

import (
	"context"
	"runtime"

	"golang.org/x/sync/errgroup"

	"tutela"
	"tutela/internal/pdq"
	"tutela/internal/picture"
)

// Options say how much of the suite to run. The zero value runs all of it.
type Options struct {
	Limit   Limit // pictures; the zero value is all
	Workers int   // copies made and hashed at a time; 0 is one for each processor
}

// Run makes every altered copy of every picture, looks at it as a scan would,
// and holds it against all known pictures. All of the suite takes some minutes
// of processor time. It returns ctx's error if it is cancelled.
func Run(ctx context.Context, o Options) (*Table, error) {
	if o.Limit == (Limit{}) {
		o.Limit = whole()
	}
	set, err := Pictures(o.Limit)
	if err != nil {
		return nil, err
	}
	known, err := hashed(ctx, set)
	if err != nil {
		return nil, err
	}
	seen, err := lookedAt(ctx, set, known, o.Workers)
	if err != nil {
		return nil, err
	}
	return tabulate(set, known, seen), nil
}

// hash is a hash and what it was made of.
type hash struct {
	variant string // "" for the picture as it is
	pdq     tutela.PDQ
}

// usable reports whether a hash of that quality is matched at all.
func usable(quality int) bool { return quality >= pdq.MinQuality }

// hashed are the hashes of the originals; nil of one that is too flat to be in
// a hash set.
func hashed(ctx context.Context, set []Picture) ([]*tutela.PDQ, error) {
	known := make([]*tutela.PDQ, len(set))
	for i, p := range set {
		v, err := picture.Look(ctx, p.JPEG, picture.Ask{Exact: true}, picture.Limits{})
		if err != nil {
			return nil, err
		}
		if usable(v.Perceptual.Quality) {
			known[i] = &v.Perceptual.PDQ
		}
	}
	return known, nil
}

// sighting is what a scan sees of one altered copy.
type sighting struct {
	shows  []int
	hashes []hash // those that may be matched
}

// lookedAt is every copy of every known picture, by picture and transform.
func lookedAt(ctx context.Context, set []Picture, known []*tutela.PDQ, workers int) ([][]sighting, error) {
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	seen := make([][]sighting, len(set))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for i := range set {
		if known[i] == nil {
			continue
		}
		g.Go(func() (err error) {
			seen[i], err = copiesOf(ctx, set, i)
			return err
		})
	}
	return seen, g.Wait()
}

func copiesOf(ctx context.Context, set []Picture, i int) ([]sighting, error) {
	original, err := set[i].decode()
	if err != nil {
		return nil, err
	}
	var seen []sighting
	for _, t := range all() {
		c, err := t.copyOf(original, set, i)
		if err != nil {
			return nil, err
		}
		hashes, err := look(ctx, c.JPEG)
		if err != nil {
			return nil, err
		}
		seen = append(seen, sighting{c.Shows, hashes})
	}
	return seen, nil
}

// look gives the hashes that a scan would match.
func look(ctx context.Context, data []byte) (hashes []hash, err error) {
	v, err := picture.Look(ctx, data, picture.Ask{Variants: true}, picture.Limits{})
	if err != nil {
		return nil, err
	}
	if usable(v.Perceptual.Quality) {
		hashes = append(hashes, hash{"", v.Perceptual.PDQ})
	}
	for _, w := range v.Perceptual.Variants {
		if usable(w.Quality) {
			hashes = append(hashes, hash{w.Name, w.PDQ})
		}
	}
	return hashes, nil
}
