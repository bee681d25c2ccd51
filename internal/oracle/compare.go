package oracle

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"iter"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"

	"tutela"
)

// witness is the other program. An error of list may come after some rows.
type witness interface {
	partitions(ctx context.Context, image string) ([]partition, error)
	list(ctx context.Context, image string, offset int64, visit func(row) error) error
	content(ctx context.Context, image string, offset int64, address string, limit int64) (tutela.SHA256, int64, error)
}

// Kind says in which way the two differ.
type Kind string

// The kinds of difference.
const (
	OnlyOurs   Kind = "only-ours"
	OnlyTheirs Kind = "only-theirs"
	Content    Kind = "content" // also where one of the two could not read it
	Name       Kind = "name"    // the same content under another name
	State      Kind = "state"   // allocated for one, deleted for the other
	Volume     Kind = "volume"  // a partition that one of the two does not have
)

// Difference is one place where the two do not say the same.
type Difference struct {
	Kind   Kind
	Volume string // as Record.Volume
	Path   string // for people; empty for a volume
	Detail string
}

// String tells the difference in words.
func (d Difference) String() string {
	place := d.Path
	if d.Volume != "" {
		place = strings.TrimSpace("volume " + d.Volume + " " + d.Path)
	}
	if place == "" {
		return string(d.Kind) + ": " + d.Detail
	}
	return fmt.Sprintf("%s: %s: %s", d.Kind, place, d.Detail)
}

// Result is what came of a comparison.
type Result struct {
	Records     uint64 // of ours, that the other program could know of
	Rows        uint64 // of theirs
	Agreed      uint64 // pairs without a difference
	Contents    uint64 // of these, whose content was read by both and is the same
	Differences []Difference
	NotCompared []string // volumes and parts, and why
}

// Count is how many differences there are of a kind.
func (r *Result) Count(k Kind) (n uint64) {
	for _, d := range r.Differences {
		if d.Kind == k {
			n++
		}
	}
	return n
}

// Lines are the differences in words, in their order.
func (r *Result) Lines() []string {
	words := []string{}
	for _, d := range r.Differences {
		words = append(words, d.String())
	}
	return words
}

// Digest is the SHA-256 of Lines, each ended by a line feed: who keeps the list
// can show that it is the one that was written down.
func (r *Result) Digest() tutela.SHA256 {
	h := sha256.New()
	for _, line := range r.Lines() {
		io.WriteString(h, line+"\n")
	}
	return tutela.SHA256(h.Sum(nil))
}

// Compare holds the records of a scan of one image, with the volumes as its seal
// names them, against what the other program finds. It ends with ctx and on an
// error of records.
func (k *Kit) Compare(ctx context.Context, image string, volumes []tutela.SealedVolume, records iter.Seq2[*tutela.Record, error]) (*Result, error) {
	return compare(ctx, k, image, volumes, records)
}

func compare(ctx context.Context, w witness, image string, volumes []tutela.SealedVolume, records iter.Seq2[*tutela.Record, error]) (*Result, error) {
	c := &comparison{witness: w, image: image, result: &Result{}}
	if err := c.gather(records); err != nil {
		return nil, err
	}
	c.table(ctx, volumes)
	for _, v := range volumes {
		if err := c.volume(ctx, v); err != nil {
			return nil, err
		}
	}
	return c.result, ctx.Err()
}

// comparison is one image between two readers.
type comparison struct {
	witness witness
	image   string
	ours    map[string]map[string][]*ours // by volume, by key of the path
	result  *Result
}

// ours is what a record says that can be compared; records are too large to keep
// them all.
type ours struct {
	path    string
	kind    tutela.EntryKind
	state   tutela.State
	size    int64
	hashed  bool
	sum     tutela.SHA256
	doubt   string // a finding that explains why another reader may give other bytes
	failure string
	met     bool
}

func (c *comparison) gather(records iter.Seq2[*tutela.Record, error]) error {
	c.ours = map[string]map[string][]*ours{}
	for r, err := range records {
		if err != nil {
			return err
		}
		if !comparable(r) {
			continue
		}
		if c.ours[r.Volume] == nil {
			c.ours[r.Volume] = map[string][]*ours{}
		}
		at := key(string(r.Path))
		c.ours[r.Volume][at] = append(c.ours[r.Volume][at], &ours{
			path: r.DisplayPath(), kind: r.Kind, state: r.State, size: r.Size, hashed: r.Hashed,
			sum: r.Digests.SHA256, doubt: doubt(r), failure: r.Failure,
		})
	}
	return nil
}

// comparable reports whether another reader of file systems would list it.
func comparable(r *tutela.Record) bool {
	named := r.State == tutela.Allocated || r.State == tutela.Deleted || r.State == tutela.Orphan
	return named && r.Kind != tutela.Directory && r.Kind != tutela.Volume && r.Kind != tutela.Gap
}

func doubt(r *tutela.Record) string {
	for _, f := range r.Findings {
		switch f.Code {
		case tutela.FindingOverwritten, tutela.FindingAssumed, tutela.FindingEncrypted, tutela.FindingUnsupported, tutela.FindingDamaged:
			return f.String()
		}
	}
	return ""
}

// table compares where partitions begin.
func (c *comparison) table(ctx context.Context, volumes []tutela.SealedVolume) {
	theirs, err := c.witness.partitions(ctx, c.image)
	begins := map[int64]bool{}
	for _, p := range theirs {
		begins[p.offset] = true
	}
	for _, v := range volumes {
		switch {
		case v.Number == "" || begins[v.Offset]:
			delete(begins, v.Offset)
		case err == nil:
			c.differ(Difference{Volume, v.Number, "", fmt.Sprintf("our %s at byte %d is no partition for tsk", v.Filesystem, v.Offset)})
		}
	}
	if err != nil && slices.ContainsFunc(volumes, func(v tutela.SealedVolume) bool { return v.Number != "" }) {
		c.leave("the partition table: %v", reason(err))
		return
	}
	for _, p := range theirs {
		if begins[p.offset] {
			c.differ(Difference{Volume, "", "", fmt.Sprintf("tsk has a partition at byte %d of %d bytes, %s, that we do not have", p.offset, p.length, p.description)})
		}
	}
}

func (c *comparison) differ(d Difference) { c.result.Differences = append(c.result.Differences, d) }

func (c *comparison) leave(format string, args ...any) {
	c.result.NotCompared = append(c.result.NotCompared, fmt.Sprintf(format, args...))
}

// reason is an error in one line.
func reason(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// maxRows bounds what a listing that does not end could do to memory.
const maxRows = 20_000_000

// volume compares the names of one volume.
func (c *comparison) volume(ctx context.Context, v tutela.SealedVolume) error {
	ours := c.ours[v.Number]
	theirs, listed, err := c.list(ctx, v)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		c.leave("%s%s: %s", named(v), after(listed), reason(err))
	}
	if err != nil && listed == 0 {
		return nil // it reads nothing of it, which says nothing about ours
	}
	places := maps.Clone(theirs)
	for at := range ours {
		places[at] = theirs[at]
	}
	before := len(c.result.Differences)
	alone := c.places(ctx, v, slices.Sorted(maps.Keys(places)), ours, theirs)
	if ctx.Err() == nil {
		c.leftovers(ctx, v, unmet(ours), alone)
	}
	inOrder(c.result.Differences[before:])
	return ctx.Err()
}

// unmet are the records that no row has met, in the order of their paths.
func unmet(all map[string][]*ours) (alone []*ours) {
	for _, at := range slices.Sorted(maps.Keys(all)) {
		for _, o := range all[at] {
			if !o.met {
				alone = append(alone, o)
			}
		}
	}
	return alone
}

func named(v tutela.SealedVolume) string {
	if v.Number == "" {
		return "the volume (" + v.Filesystem + ")"
	}
	return "volume " + v.Number + " (" + v.Filesystem + ")"
}

func after(listed uint64) string {
	if listed == 0 {
		return ""
	}
	return fmt.Sprintf(", after %d names", listed)
}

func (c *comparison) list(ctx context.Context, v tutela.SealedVolume) (theirs map[string][]row, listed uint64, err error) {
	theirs = map[string][]row{}
	if v.Offset%sector != 0 {
		return theirs, 0, fmt.Errorf("it begins inside of a sector, at byte %d, and tsk counts in sectors", v.Offset)
	}
	err = c.witness.list(ctx, c.image, v.Offset, func(r row) error {
		if listed++; listed > maxRows {
			return fmt.Errorf("tsk lists more than %d names", maxRows)
		}
		if r.aside() == "" {
			at := key(r.path)
			theirs[at] = append(theirs[at], r)
		}
		return nil
	})
	return theirs, listed, err
}

// places compares what lies at each path, several at a time: reading content is
// starting a program. What they find is put together in the order of the paths. It
// returns the rows that have no record.
func (c *comparison) places(ctx context.Context, v tutela.SealedVolume, all []string, ours map[string][]*ours, theirs map[string][]row) (alone []row) {
	found := make([]place, len(all))
	work := make(chan int)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := range work {
				found[i] = place{witness: c.witness, image: c.image, volume: v, ours: ours[all[i]], theirs: theirs[all[i]]}
				found[i].compare(ctx)
			}
		})
	}
	for i := range all {
		if ctx.Err() != nil {
			break
		}
		work <- i
	}
	close(work)
	workers.Wait()
	for i := range found {
		c.result.add(&found[i].result)
		alone = append(alone, found[i].alone...)
	}
	return alone
}

func (r *Result) add(other *Result) {
	r.Records += other.Records
	r.Rows += other.Rows
	r.Agreed += other.Agreed
	r.Contents += other.Contents
	r.Differences = append(r.Differences, other.Differences...)
}
