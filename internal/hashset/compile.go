package hashset

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tutela"
	"tutela/internal/durable"
)

// Meta is what the importer says about a set; it is written into the file.
type Meta struct {
	Name     string
	Version  int // from 1
	Status   tutela.Status
	Scheme   string // default category scheme
	Format   string // what it was imported from
	Imported time.Time
	Sources  []Source

	pictures *pictures // nil if the version has no features
}

// Work bounds what compiling may use.
type Work struct {
	TempDir string // for sorting; "" is the folder of the set
	Memory  int64  // bytes of buffers, 0 is 128 MiB; Go's own overhead comes on top

	Progress func(Progress) // called some thousand rows apart, by one goroutine; nil tells nobody
}

// Stage is what an import is doing.
type Stage string

// The stages of an import, in their order. Comparing is left out where there is
// nothing to compare with.
const (
	Reading   Stage = "reading"
	Comparing Stage = "comparing"
	Writing   Stage = "writing"
	Indexing  Stage = "indexing"
)

// Progress is how far a stage is.
type Progress struct {
	Stage       Stage
	Done, Total int64 // bytes when reading, rows when comparing and writing, steps when indexing; 0 in all if not known
	Rows        int64 // so far
}

const defaultMemory = 128 << 20

// Report says what became of what was read. Nothing is dropped in silence.
type Report struct {
	Read     int64 // assertions given by the reader
	Rows     int64 // assertions in the set
	Merged   int64 // repeated with the same digests, category and series
	NoDigest int64 // left out: the source gave no digest that can be looked up
	Refused  int64 // left out: no digest but trivial ones
	Trivial  int64 // trivial digests taken off, also from assertions that were kept

	// Against the version before: without one, all rows are added. A row of which
	// anything changed was withdrawn and another added.
	Added, Withdrawn, Unchanged int64
	NotFound                    int64 // to withdraw, but no row holds them

	PoorFrames int64 // frames of videos left out: their quality is too low to be matched
	Placeless  int64 // pictures with too few places to be found by them

	Uncategorised int64
	Unlisted      []CodeCount // codes that the scheme registry does not list; kept
}

// CodeCount is how often a category stood in the source.
type CodeCount struct {
	Category tutela.Category
	Count    int64
}

const maxRows = math.MaxUint32

// compiler holds what one import needs while it runs.
type compiler struct {
	ctx    context.Context
	dir    string // temporary, its own
	memory int64
	tell   func(Progress)
	names  *names // by which records are numbered
	rows   *sorter
	bound  most
	counts map[tutela.Category]int64
	report Report
	row    []byte // scratch
}

func newCompiler(ctx context.Context, dir string, work Work) (_ *compiler, err error) {
	c := &compiler{ctx: ctx, memory: cmp.Or(work.Memory, defaultMemory), tell: work.Progress, names: newNames(), counts: map[tutela.Category]int64{}}
	if c.tell == nil {
		c.tell = func(Progress) {}
	}
	if c.dir, err = os.MkdirTemp(cmp.Or(work.TempDir, dir), ".compile-*"); err != nil {
		return nil, err
	}
	c.rows = newSorter(c.dir, c.memory/2, order(c.names))
	return c, nil
}

// Compile writes the assertions of r as a compiled set to path, which must not
// exist, and beside it path.sha256 in the format of sha256sum. Before the last
// rename nothing has happened; an error leaves nothing behind. The same
// assertions in the same order with the same meta give the same bytes.
func Compile(ctx context.Context, path string, meta Meta, r Reader, work Work) (_ tutela.SetVersion, _ Report, err error) {
	fail := func(err error) error { return fmt.Errorf("compile set %q: %w", meta.Name, err) }
	if err := checkMeta(path, meta); err != nil {
		return tutela.SetVersion{}, Report{}, fail(err)
	}
	c, err := newCompiler(ctx, filepath.Dir(path), work)
	if err != nil {
		return tutela.SetVersion{}, Report{}, fail(err)
	}
	defer func() { err = errors.Join(err, c.cleanUp()) }()
	if err := c.read(r); err != nil {
		return tutela.SetVersion{}, c.report, fail(err)
	}
	version, err := c.write(path, meta, draft{rows: c.distinct, bound: c.bound, count: c.rows.count})
	if err != nil {
		return tutela.SetVersion{}, c.report, fail(err)
	}
	c.report.Added = c.report.Rows
	return version, c.report, nil
}

func checkMeta(path string, meta Meta) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s is there already: a version never changes", path)
	}
	if meta.Version < 1 {
		return fmt.Errorf("version %d: versions count from 1", meta.Version)
	}
	if _, err := tutela.ParseStatus(meta.Status.String()); err != nil {
		return err
	}
	return CheckName(meta.Name)
}

// draft is what a file is made of.
type draft struct {
	rows  stream
	bound most
	count uint64  // of rows, at most
	base  *Set    // nil if the file is whole
	left  *rowSet // rows of the base that are withdrawn
}

func (c *compiler) write(path string, meta Meta, what draft) (tutela.SetVersion, error) {
	desc := description{Name: meta.Name, Version: meta.Version, Status: meta.Status.String(),
		Scheme: meta.Scheme, Format: meta.Format, Imported: meta.Imported.UTC().Round(0)}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".set-*")
	if err != nil {
		return tutela.SetVersion{}, err
	}
	if meta.pictures != nil {
		desc.Features, err = meta.pictures.publish(c.ctx, featuresPath(path))
		meta.Sources = slices.Concat(meta.Sources, meta.pictures.sources)
		c.report.Placeless = meta.pictures.placeless
	}
	var digest tutela.SHA256
	if err == nil {
		digest, err = c.fill(tmp, &desc, meta.Sources, what)
	}
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = publish(tmp.Name(), path, digest)
	}
	if err != nil {
		return tutela.SetVersion{}, errors.Join(err, discard(tmp.Name()), discard(featuresPath(path)))
	}
	c.report.Rows = int64(desc.Holds.Rows)
	version, err := desc.setVersion()
	version.Digest = digest
	return version, err
}

func discard(name string) error {
	if err := os.Remove(name); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// publish is the commit point: with the rename the set is there. Its digest, for
// sha256sum and for quick opening, is written first, so that nothing can fail
// after the rename but the sync of the folder; then both are taken back.
func publish(tmp, path string, digest tutela.SHA256) error {
	line := digest.String() + "  " + filepath.Base(path) + "\n"
	if err := durable.WriteFile(path+digestSuffix, []byte(line), 0o600); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return errors.Join(err, discard(path+digestSuffix))
	}
	if err := durable.SyncDir(filepath.Dir(path)); err != nil {
		return errors.Join(err, discard(path), discard(path+digestSuffix))
	}
	return nil
}

const digestSuffix = ".sha256"

func (c *compiler) cleanUp() error { return errors.Join(c.rows.close(), os.RemoveAll(c.dir)) }

// measured is a Reader that knows how far it is.
type measured interface {
	// Progress gives bytes read and bytes in all; 0 in all if not known.
	Progress() (done, total int64)
}

// sifted is a Reader that leaves out frames of too poor a quality.
type sifted interface {
	Poor() int64
}

// read takes everything from the reader into the sorter.
func (c *compiler) read(r Reader) error {
	far, _ := r.(measured)
	for {
		a, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("nothing was imported: %w", err)
		}
		if c.report.Read%4096 == 0 {
			if c.ctx.Err() != nil {
				return c.ctx.Err()
			}
			p := Progress{Stage: Reading, Rows: c.report.Read}
			if far != nil {
				p.Done, p.Total = far.Progress()
			}
			c.tell(p)
		}
		c.report.Read++
		if err := c.take(&a); err != nil {
			return err
		}
	}
	if s, ok := r.(sifted); ok {
		c.report.PoorFrames = s.Poor()
	}
	c.report.Unlisted = unlisted(c.counts)
	return c.rows.settle()
}

func (c *compiler) take(a *tutela.Assertion) error {
	if digestsOf(a) == 0 {
		c.report.NoDigest++
		return nil
	}
	c.report.Trivial += trivialDigests().strip(a)
	if digestsOf(a) == 0 {
		c.report.Refused++
		return nil
	}
	if len(a.Frames) > maxFrames {
		return fmt.Errorf("a video of %d frames: at most %d are kept", len(a.Frames), maxFrames)
	}
	if a.Category == (tutela.Category{}) {
		c.report.Uncategorised++
	} else {
		c.counts[a.Category]++
	}
	c.bound.count(digestsOf(a))
	record, err := c.encode(a)
	if err != nil {
		return err
	}
	return c.rows.add(record)
}

func (b *most) count(has uint8) {
	if best := strongest(has); best != 0 {
		b[best]++
	}
}

func digestsOf(a *tutela.Assertion) (has uint8) {
	if a.MD5 != nil {
		has |= hasMD5
	}
	if a.SHA1 != nil {
		has |= hasSHA1
	}
	if a.SHA256 != nil {
		has |= hasSHA256
	}
	if a.PDQ != nil {
		has |= hasPDQ
	}
	if len(a.Frames) > 0 {
		has |= hasFrames
	}
	return has
}

// encode gives the record of a row; it is valid until the next.
func (c *compiler) encode(a *tutela.Assertion) (record []byte, err error) {
	c.row, err = c.names.encodeRow(c.row[:0], a)
	return c.row, err
}

// distinct is the stream of what was read, with what is repeated merged.
func (c *compiler) distinct(visit func(record []byte) error) error {
	var held []byte
	repeated := int64(0)
	err := c.rows.each(func(b []byte) error {
		if held == nil {
			held = append(held, b...)
			return nil
		}
		x, y := parseRecord(held), parseRecord(b)
		if rowsEqual(&x, &y) {
			repeated++
			// A size that is told wins over one that is not. Where two are told,
			// the smaller came first and stays.
			if x.size == 0 {
				held = append(held[:0], b...)
			}
			return nil
		}
		if err := visit(held); err != nil {
			return err
		}
		held = append(held[:0], b...)
		return nil
	})
	if err == nil && held != nil {
		err = visit(held)
	}
	c.report.Merged = repeated
	return err
}

func unlisted(counts map[tutela.Category]int64) []CodeCount {
	var out []CodeCount
	for category, n := range counts {
		scheme, ok := SchemeNamed(category.Scheme)
		if _, listed := scheme.Label(category.Code); !ok || !listed {
			out = append(out, CodeCount{category, n})
		}
	}
	slices.SortFunc(out, func(a, b CodeCount) int {
		return cmp.Or(cmp.Compare(a.Category.Scheme, b.Category.Scheme), cmp.Compare(a.Category.Code, b.Category.Code))
	})
	return out
}

// fill writes the whole file and returns its digest.
func (c *compiler) fill(f *os.File, desc *description, sources []Source, what draft) (d tutela.SHA256, err error) {
	if err := f.Chmod(0o600); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return d, err
	}
	out := newSectionWriter(f)
	columns := newColumns(c.ctx, c.dir, c.memory, out, c.names, what.bound)
	columns.told = func(rows uint64) { c.tell(Progress{Writing, int64(rows), int64(what.count), int64(rows)}) }
	columns.indexing = func(done, of int) { c.tell(Progress{Indexing, int64(done), int64(of), int64(columns.desc.Rows)}) }
	err = errors.Join(columns.write(what.rows), columns.close())
	if err != nil {
		return d, err
	}
	desc.Stored = columns.desc
	desc.Holds = columns.desc.holdings
	if what.base != nil {
		if err := c.placeOn(desc, out, what); err != nil {
			return d, err
		}
	}
	text, err := encodeSources(sources)
	if err != nil {
		return d, err
	}
	if err := errors.Join(out.whole(sectionSources, text), out.finish()); err != nil {
		return d, err
	}
	head, err := encodeHead(*desc, out.sections)
	if err != nil {
		return d, err
	}
	if _, err := f.WriteAt(head, 0); err != nil {
		return d, err
	}
	if err := f.Sync(); err != nil {
		return d, err
	}
	return hashFile(c.ctx, f)
}
