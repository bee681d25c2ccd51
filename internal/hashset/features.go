package hashset

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tutela"
	"tutela/internal/durable"
	"tutela/internal/feature"
)

// The features of a set's pictures lie in a file of their own beside it,
// VERSION.features, since no list from elsewhere has any and since they are more
// sensitive than the set. Little endian:
//
//	magic, 8 bytes; version, u32
//	for each picture the SHA-256 of its content, length u16, a feature.Set
//
// The head of the compiled set tells how many there are, and the size and SHA-256
// of the file. Rows are found by the SHA-256 of the content, so a picture whose
// row was withdrawn is met no longer.
const (
	featuresMagic   = "tutfea\r\n"
	featuresVersion = 1
	featuresHead    = 12
	featuresEntry   = 34 // besides the set
	featuresSuffix  = ".features"
)

// featuresText is how the head of a compiled set names its features.
type featuresText struct {
	Pictures uint64 `json:"pictures"`
	Size     int64  `json:"size"`
	SHA256   string `json:"sha256"`
}

func featuresPath(set string) string { return strings.TrimSuffix(set, setSuffix) + featuresSuffix }

// Picture is what somebody saw in a picture that is to be known.
type Picture struct {
	Name      string // of its file, without the folder
	Assertion tutela.Assertion
	Features  []byte // feature.Set; nil if there are none
}

// pictures reads an import of pictures and keeps their features in a temporary
// file until the version is written.
type pictures struct {
	next      func() (Picture, error, bool)
	stop      func()
	intent    Intent
	sources   []Source
	placeless int64

	file *os.File // nil once it was published
	w    *bufio.Writer
	seen map[tutela.SHA256]bool
}

var _ Reader = (*pictures)(nil)

// newPictures keeps its file in dir, under a name that a later import sweeps away.
func newPictures(dir string, q ImportRequest) (*pictures, error) {
	f, err := os.CreateTemp(dir, ".set-*")
	if err != nil {
		return nil, err
	}
	p := &pictures{intent: q.Intent, file: f, w: bufio.NewWriter(f), seen: map[tutela.SHA256]bool{}}
	all := q.Pictures
	if all == nil {
		all = func(func(Picture, error) bool) {}
	}
	p.next, p.stop = iter.Pull2(all)
	_, err = p.w.Write(binary.LittleEndian.AppendUint32([]byte(featuresMagic), featuresVersion))
	return p, err
}

// Next is the next picture.
func (p *pictures) Next() (a tutela.Assertion, err error) {
	seen, err, ok := p.next()
	if err != nil {
		return a, err
	}
	if !ok {
		return a, io.EOF
	}
	a = seen.Assertion
	if a.SHA256 == nil {
		return a, fmt.Errorf("%s: no SHA-256", seen.Name)
	}
	p.sources = append(p.sources, Source{Name: seen.Name, Size: a.Size, SHA256: *a.SHA256, Format: Pictures, Intent: p.intent})
	var set feature.Set
	if len(seen.Features) > 0 {
		if err := set.UnmarshalBinary(seen.Features); err != nil {
			return a, fmt.Errorf("%s: %w", seen.Name, err)
		}
	}
	return a, p.add(*a.SHA256, set)
}

// add keeps the features of a content once. Too few places can never match.
func (p *pictures) add(content tutela.SHA256, set feature.Set) error {
	if p.seen[content] {
		return nil
	}
	if set.Len() < feature.MinInliers {
		p.placeless++
		return nil
	}
	p.seen[content] = true
	entry := append(content[:], 0, 0)
	entry, err := set.AppendBinary(entry)
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint16(entry[sha256.Size:], uint16(len(entry)-featuresEntry))
	_, err = p.w.Write(entry)
	return err
}

// follow keeps the features of the version before, of rows that are in use.
func (p *pictures) follow(ctx context.Context, prev *Set) error {
	var errs []error
	err := prev.eachFeatures(ctx, func(content tutela.SHA256, set feature.Set) {
		if len(prev.rowsOf(content)) > 0 {
			errs = append(errs, p.add(content, set))
		}
	})
	return errors.Join(append(errs, err, prev.Damage())...)
}

// publish puts the features where the set will say they are. It must be done
// before the set is there.
func (p *pictures) publish(ctx context.Context, path string) (*featuresText, error) {
	if err := errors.Join(p.w.Flush(), p.file.Sync()); err != nil {
		return nil, err
	}
	info, err := p.file.Stat()
	if err != nil {
		return nil, err
	}
	digest, err := hashFile(ctx, p.file)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(p.file.Close(), os.Rename(p.file.Name(), path), durable.SyncDir(filepath.Dir(path))); err != nil {
		return nil, err
	}
	p.file = nil
	return &featuresText{uint64(len(p.seen)), info.Size(), digest.String()}, nil
}

func (p *pictures) close() error {
	p.stop()
	if p.file == nil {
		return nil
	}
	p.file.Close()
	return discard(p.file.Name())
}

// sweepFeatures removes features whose set was never written.
func (s *Store) sweepFeatures(name string) error {
	left, err := filepath.Glob(filepath.Join(globQuote(filepath.Join(s.dir, name)), "*"+featuresSuffix))
	if err != nil {
		return err
	}
	for _, path := range left {
		_, err := os.Lstat(strings.TrimSuffix(path, featuresSuffix) + setSuffix)
		if errors.Is(err, os.ErrNotExist) {
			err = os.Remove(path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Features is how many pictures of the set can be found by places in them.
func (s *Set) Features() uint64 {
	if s.desc.Features == nil {
		return 0
	}
	return s.desc.Features.Pictures
}

// hasFeatures holds what the head tells against the file, but for its content.
func (s *Set) hasFeatures() error {
	want := s.desc.Features
	if want == nil {
		return nil
	}
	info, err := os.Stat(featuresPath(s.path))
	if err != nil {
		return fmt.Errorf("%w: its features: %v", ErrCorrupt, err)
	}
	if info.Size() != want.Size {
		return fmt.Errorf("%w: %s has %d bytes, not %d", ErrCorrupt, featuresPath(s.path), info.Size(), want.Size)
	}
	return nil
}

// eachFeatures visits the features of all pictures. What it gave counts only if
// it returns nil: then the file is the one that was written with the set. Errors
// wrap ErrCorrupt, ErrNewer or ErrOlder where the file is the cause.
func (s *Set) eachFeatures(ctx context.Context, visit func(content tutela.SHA256, set feature.Set)) error {
	want := s.desc.Features
	if want == nil {
		return nil
	}
	f, err := os.Open(featuresPath(s.path))
	if err != nil {
		return fmt.Errorf("%w: its features: %v", ErrCorrupt, err)
	}
	defer f.Close()
	sum := sha256.New()
	n, err := readFeatures(ctx, bufio.NewReader(io.TeeReader(f, sum)), visit)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name(), err)
	}
	if got := tutela.SHA256(sum.Sum(nil)).String(); got != want.SHA256 || n != want.Pictures {
		return fmt.Errorf("%w: the digest of %s is %s, not %s", ErrCorrupt, f.Name(), got, want.SHA256)
	}
	return nil
}

// readFeatures reads a whole file of features.
func readFeatures(ctx context.Context, r io.Reader, visit func(content tutela.SHA256, set feature.Set)) (n uint64, err error) {
	var head [featuresHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil || !bytes.HasPrefix(head[:], []byte(featuresMagic)) {
		return 0, fmt.Errorf("%w: it does not begin as features", ErrCorrupt)
	}
	if v := binary.LittleEndian.Uint32(head[8:]); v != featuresVersion {
		return 0, fmt.Errorf("%w: features of version %d, this one reads %d", ErrNewer, v, featuresVersion)
	}
	for ; ; n++ {
		if ctx.Err() != nil {
			return n, ctx.Err()
		}
		content, set, err := readEntry(r)
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		visit(content, set)
	}
}

// readEntry is io.EOF where the file ends between two entries.
func readEntry(r io.Reader) (content tutela.SHA256, set feature.Set, err error) {
	var entry [featuresEntry]byte
	if _, err := io.ReadFull(r, entry[:]); err == io.EOF {
		return content, set, err
	} else if err != nil {
		return content, set, fmt.Errorf("%w: %v", ErrCorrupt, err)
	}
	b := make([]byte, binary.LittleEndian.Uint16(entry[sha256.Size:]))
	if _, err := io.ReadFull(r, b); err != nil {
		return content, set, fmt.Errorf("%w: %v", ErrCorrupt, err)
	}
	switch err := set.UnmarshalBinary(b); {
	case errors.Is(err, feature.ErrVersion):
		return content, set, fmt.Errorf("%w: %v: import the pictures again", ErrOlder, err)
	case err != nil:
		return content, set, fmt.Errorf("%w: %v", ErrCorrupt, err)
	}
	return tutela.SHA256(entry[:sha256.Size]), set, nil
}

// rowsOf are the rows in use that hold a SHA-256.
func (s *Set) rowsOf(content tutela.SHA256) (rows []uint64) {
	s.having(tutela.MatchSHA256, content[:], func(row uint64) { rows = append(rows, row) })
	slices.Sort(rows)
	return rows
}
