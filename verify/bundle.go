package verify

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tutela/internal/ledger/check"
)

// bundle is what the steps of a judgement know, each from those before.
type bundle struct {
	ctx  context.Context
	src  source
	o    Options
	text []byte // BUNDLE
	list *check.BundleList

	files  map[string]check.BundleFile // of the list, by path
	paths  []placed                    // of the list, in the order of their numbers
	head   head
	events *history
	trees  []*tree
	marks  []mark
	gossip [][]byte
}

// placed is a file and what its path says it is.
type placed struct {
	path string
	check.BundlePath
}

// judge takes a bundle through all rules. The steps up to the events rest on one
// another; of those behind them each says what it finds.
func judge(ctx context.Context, src source, o Options) (*Verdict, error) {
	v, b := new(Verdict), &bundle{ctx: ctx, src: src, o: o}
	for _, step := range []func() error{b.readList, b.compareSums, b.readHead, b.readEvents} {
		if err := v.step(ctx, step); err != nil || len(v.Problems) > 0 {
			return v, err
		}
	}
	for _, step := range []func() error{b.checkOfficer, b.readTrees, b.checkDisclosures, b.checkEarlierHeads, b.checkMarks, b.readGossip} {
		if err := v.step(ctx, step); err != nil {
			return v, err
		}
	}
	if len(v.Problems) == 0 {
		b.tell(v)
	}
	return v, nil
}

// step takes one step and takes down why the bundle does not hold. An end that ctx
// made is no judgement and comes back.
func (v *Verdict) step(ctx context.Context, step func() error) error {
	err := step()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return v.refuse(err)
}

// readList holds BUNDLE against the files that are there.
func (b *bundle) readList() error {
	sizes := b.src.sizes()
	if len(sizes) > check.MaxBundleFiles {
		return errors.New("too many files")
	}
	for path, size := range sizes {
		p, err := check.ParseBundlePath(path)
		if err != nil {
			return err
		}
		if size > largest(p.Kind) {
			return fmt.Errorf("a file that is too large: %s has %d bytes", path, size)
		}
		b.paths = append(b.paths, placed{path, p})
	}
	slices.SortFunc(b.paths, func(x, y placed) int {
		return cmp.Or(cmp.Compare(x.N, y.N), strings.Compare(x.Tree, y.Tree), cmp.Compare(x.I, y.I), strings.Compare(x.path, y.path))
	})
	var err error
	if b.text, err = b.required("BUNDLE", sizes); err != nil {
		return err
	}
	if b.list, err = check.ParseBundleList(b.text); err != nil {
		return err
	}
	return b.compareNames(sizes)
}

// largest is how large a file may be, in bytes.
func largest(kind check.PathKind) uint64 {
	switch kind {
	case check.PathList, check.PathListSignature:
		return check.MaxBundleList
	case check.PathContent:
		return 1<<63 - 1
	}
	return check.MaxBundleFile
}

// required reads a file that every bundle has and no list vouches for.
func (b *bundle) required(path string, sizes map[string]uint64) ([]byte, error) {
	size, ok := sizes[path]
	if !ok {
		return nil, fmt.Errorf("no file %s", path)
	}
	return whole(b.src, path, size)
}

func (b *bundle) compareNames(sizes map[string]uint64) error {
	b.files = make(map[string]check.BundleFile, len(b.list.Files))
	for _, f := range b.list.Files {
		size, ok := sizes[f.Path]
		if !ok || size != f.Size {
			return fmt.Errorf("missing, or of another size than BUNDLE says: %s", f.Path)
		}
		b.files[f.Path] = f
	}
	for _, path := range slices.Sorted(maps.Keys(sizes)) {
		if _, ok := b.files[path]; !ok && path != "BUNDLE" && path != "BUNDLE.sig" {
			return fmt.Errorf("a file that BUNDLE does not list: %s", path)
		}
	}
	return nil
}

// maxProblems is how many changed files are named.
const maxProblems = 20

// compareSums reads every file once, to its end.
func (b *bundle) compareSums() error {
	var changed []error
	for _, f := range b.list.Files {
		h, err := sum(b.ctx, b.src, f.Path, f.Size)
		if err != nil {
			return err
		}
		if h != f.SHA256 {
			changed = append(changed, fmt.Errorf("%w: %s", errChanged, f.Path))
		}
		if len(changed) == maxProblems {
			break
		}
	}
	return errors.Join(changed...)
}

// read reads a file of the list, and makes sure again that it is the one.
func (b *bundle) read(path string) ([]byte, error) {
	f, ok := b.files[path]
	if !ok {
		return nil, fmt.Errorf("no file %s", path)
	}
	data, err := whole(b.src, path, f.Size)
	if err == nil && sha256.Sum256(data) != f.SHA256 {
		err = fmt.Errorf("%w: %s", errChanged, path)
	}
	return data, err
}

// of are the files of a kind, by N, then tree, then I.
func (b *bundle) of(kinds ...check.PathKind) (found []placed) {
	for _, p := range b.paths {
		if slices.Contains(kinds, p.Kind) {
			found = append(found, p)
		}
	}
	return found
}

// hashes reads a proof.
func hashes[H check.Digest[H]](b *bundle, path string) ([]H, error) {
	raw, err := b.read(path)
	if err != nil {
		return nil, err
	}
	h, err := check.ParseHashes[H](raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return h, nil
}
