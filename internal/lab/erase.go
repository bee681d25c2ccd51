package lab

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"tutela"
	"tutela/internal/catalog"
	"tutela/internal/durable"
	"tutela/internal/ledger"
)

// Errors of erasing.
var (
	ErrUnsealed = errors.New("a scan of the exhibit is not sealed, and could not be gone on with after erasing")
	ErrLoss     = errors.New("other records would be lost with them")
)

// Erasure asks to erase records of an exhibit for ever.
type Erasure struct {
	Exhibit   string
	Scan      int      // in which the leaves are
	Leaves    []uint64 // of its record tree, in any order; at least one
	Case      string
	Authority string // reference of the order to erase
	Reason    string

	// AcceptLoss erases also where that takes other records with it, see
	// [LossError], and where an unfinished scan of the exhibit can never be gone
	// on with.
	AcceptLoss bool
}

// LossError says which other records nobody could open any more. Scans of an
// exhibit share a seed, so that erasing a leaf of one takes the leaf of the same
// number in the others with it, and where the evidence had changed between two
// scans that is the record of another file. It wraps [ErrLoss].
type LossError struct{ Lost []Loss }

// Loss is one such record.
type Loss struct {
	Scan int
	Leaf uint64
	Path string // see tutela.DisplayPath
}

func (e *LossError) Error() string {
	first := e.Lost[0]
	return fmt.Sprintf("%v: %d, the first is leaf %d of scan %d, %s", ErrLoss, len(e.Lost), first.Leaf, first.Scan, first.Path)
}

func (e *LossError) Unwrap() error { return ErrLoss }

// Erase erases records in all scans of the exhibit that hold them (the same
// volume, path and content), with what match runs said of them, their rows in the
// catalogue, and thumbnails of contents that lie nowhere else. The roots, every
// other record and every proof that was given out stay what they were.
//
// First the event that will be logged is written down as an intent; from there
// on a crash only interrupts it, and the next opening of the lab goes on. When the
// seed's file has been replaced nobody can open the records any more; the event
// comes last, when nothing is left of them.
//
// It refuses with a [*LossError] or [ErrUnsealed] what the caller has not
// accepted, and leaves that were erased before with ledger.ErrErased. Whether the
// authority covers it is for the caller to ask.
func (l *Lab) Erase(ctx context.Context, e Erasure) (tutela.Erase, error) {
	return (&eraser{Lab: l, reached: func(string) error { return nil }}).erase(ctx, e)
}

// eraser erases. reached is called after each step; a test crashes there.
type eraser struct {
	*Lab
	reached func(step string) error
}

func (x *eraser) erase(ctx context.Context, e Erasure) (tutela.Erase, error) {
	if err := x.resume(ctx); err != nil {
		return tutela.Erase{}, err
	}
	told, err := x.plan(ctx, e)
	if err != nil {
		return told, fmt.Errorf("erase from exhibit %s: %w", e.Exhibit, err)
	}
	ev, err := x.event(e, told)
	if err != nil {
		return told, err
	}
	// Now, and not when it is recorded: whoever resumes may not be who erased.
	if err := x.sign(ctx, &ev); err != nil {
		return told, err
	}
	if err := durable.WriteFile(x.intentPath(e.Exhibit), ledger.AppendEvent(nil, &ev), 0o600); err != nil {
		return told, fmt.Errorf("write down what will be erased: %w", err)
	}
	return told, x.carryOut(ctx, ev)
}

func (x *eraser) event(e Erasure, told tutela.Erase) (tutela.Event, error) {
	ev, err := tutela.NewEvent(tutela.EventErase, time.Now(), x.actor, told)
	if err != nil {
		return ev, err
	}
	sum := sha256.Sum256(ev.Detail)
	ev.Case, ev.Exhibit, ev.Authority = e.Case, e.Exhibit, e.Authority
	ev.Key = fmt.Sprintf("erase/%s/%x", e.Exhibit, sum[:8])
	return ev, nil
}

// intentPath is the file that holds the event of an erasure until it is logged.
func (l *Lab) intentPath(exhibit string) string {
	return filepath.Join(l.exhibitDir(exhibit), "erasing")
}

// resumeErasures goes on with what a crash interrupted.
func (l *Lab) resumeErasures(ctx context.Context) error {
	return (&eraser{Lab: l, reached: func(string) error { return nil }}).resume(ctx)
}

// resume goes on with erasures that a crash interrupted.
func (x *eraser) resume(ctx context.Context) error {
	events, err := x.intents("erasing")
	if err != nil {
		return err
	}
	for _, ev := range events {
		if err := x.carryOut(ctx, ev); err != nil {
			return err
		}
	}
	return nil
}

// intents are the events that files of a name hold in the folders of exhibits until
// they are logged.
func (l *Lab) intents(name string) (events []tutela.Event, err error) {
	dirs, err := l.exhibitDirs()
	if err != nil {
		return nil, err
	}
	for _, dir := range dirs {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		ev, err := ledger.DecodeEvent(b)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", filepath.Join(dir, name), err)
		}
		events = append(events, *ev)
	}
	return events, nil
}

// exhibitDirs are the folders of exhibits that have ledgers.
func (l *Lab) exhibitDirs() (dirs []string, err error) {
	parent := filepath.Join(l.Dir, "ledger", "exhibits")
	entries, err := os.ReadDir(parent)
	for _, e := range entries {
		if e.IsDir() {
			dirs = append(dirs, filepath.Join(parent, e.Name()))
		}
	}
	return dirs, err
}

// carryOut does what an intent says. Every step may be done again.
func (x *eraser) carryOut(ctx context.Context, ev tutela.Event) error {
	var told tutela.Erase
	if err := tutela.DecodeDetail(ev.Detail, &told); err != nil {
		return fmt.Errorf("erase: %w", err)
	}
	for _, step := range []struct {
		name string
		do   func(context.Context, tutela.Erase) error
	}{
		{"thumbnails", x.dropThumbs},
		{"notes", x.note},
		{"run seeds", x.keepRuns},
		{"record seeds", x.punctureRecords},
		{"blanks", x.blank},
		{"catalogue", x.purge},
		{"event", func(ctx context.Context, _ tutela.Erase) error {
			_, err := x.Record(ctx, ev)
			return err
		}},
		{"done", func(context.Context, tutela.Erase) error { return x.dropIntent(told.Exhibit) }},
	} {
		err := step.do(ctx, told)
		if err == nil {
			err = x.reached(step.name)
		}
		if err != nil {
			return fmt.Errorf("erase from exhibit %s: %s: %w", told.Exhibit, step.name, err)
		}
	}
	return nil
}

func (x *eraser) dropIntent(exhibit string) error {
	if err := os.Remove(x.intentPath(exhibit)); err != nil {
		return err
	}
	return durable.SyncDir(x.exhibitDir(exhibit))
}

// heldScans are the scans of an exhibit that have records.
func (l *Lab) heldScans(exhibit string) (ids []catalog.ScanID, err error) {
	entries, err := os.ReadDir(l.exhibitDir(exhibit))
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		number, err := strconv.Atoi(entry.Name())
		id := catalog.ScanID{Exhibit: exhibit, Number: number}
		if err == nil && isDir(l.recordsDir(id)) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b catalog.ScanID) int { return a.Number - b.Number })
	return ids, nil
}

// plan finds everything that has to go.
func (x *eraser) plan(ctx context.Context, e Erasure) (tutela.Erase, error) {
	told := tutela.Erase{Exhibit: e.Exhibit, Reason: e.Reason, Scans: []tutela.ErasedScan{}}
	scans, err := x.heldScans(e.Exhibit)
	if err != nil {
		return told, err
	}
	if err := x.refuseUnsealed(ctx, e, scans); err != nil {
		return told, err
	}
	wanted, err := x.identities(catalog.ScanID{Exhibit: e.Exhibit, Number: e.Scan}, e.Leaves)
	if err != nil {
		return told, err
	}
	found := map[catalog.ScanID][]uint64{}
	together := map[string][]uint64{} // by file of the seed
	for _, id := range scans {
		if found[id], err = x.find(ctx, id, wanted); err != nil {
			return told, err
		}
		key := x.recordsKey(id)
		together[key] = union(together[key], found[id])
	}
	var lost []Loss
	for _, id := range scans {
		gone, more, err := x.goes(id, together[x.recordsKey(id)], found[id])
		if err != nil {
			return told, err
		}
		lost = append(lost, more...)
		if len(gone) == 0 {
			continue
		}
		runs, err := x.runsAbout(ctx, id, gone)
		if err != nil {
			return told, err
		}
		told.Scans = append(told.Scans, tutela.ErasedScan{Number: id.Number, Leaves: gone, Runs: runs})
	}
	if len(lost) > 0 && !e.AcceptLoss {
		return told, &LossError{lost}
	}
	return told, nil
}

func (x *eraser) refuseUnsealed(ctx context.Context, e Erasure, scans []catalog.ScanID) error {
	for _, id := range scans {
		s, err := x.Catalog.Scan(ctx, id)
		if err != nil {
			return err
		}
		if s.Seal == nil && !e.AcceptLoss {
			return fmt.Errorf("%w: scan %d", ErrUnsealed, id.Number)
		}
	}
	return nil
}

// identity is what tells a record from others across the scans of an exhibit.
func identity(r *tutela.Record) string {
	return fmt.Sprintf("%q %q %v %s", r.Volume, r.Path, r.Hashed, r.Digests.SHA256)
}

// identities are those of some leaves of a scan.
func (x *eraser) identities(id catalog.ScanID, leaves []uint64) (map[string]bool, error) {
	if len(leaves) == 0 {
		return nil, errors.New("no leaf was named")
	}
	tree, err := x.ReadRecords(id)
	if err != nil {
		return nil, err
	}
	defer tree.Close()
	wanted := map[string]bool{}
	for _, leaf := range leaves {
		r, err := recordOf(tree, leaf)
		if err != nil {
			return nil, err
		}
		wanted[identity(r)] = true
	}
	return wanted, nil
}

func recordOf(tree *ledger.Reader, leaf uint64) (*tutela.Record, error) {
	body, err := tree.Body(leaf)
	if err != nil {
		return nil, err
	}
	return ledger.DecodeRecord(body)
}

// find lists the leaves of a scan that hold the wanted records.
func (x *eraser) find(ctx context.Context, id catalog.ScanID, wanted map[string]bool) (leaves []uint64, err error) {
	tree, err := x.ReadRecords(id)
	if err != nil {
		return nil, err
	}
	defer tree.Close()
	leaf := uint64(0)
	for r, err := range tree.Records(0) {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return nil, err
		}
		if !ledger.Erased(r) && wanted[identity(r)] {
			leaves = append(leaves, leaf)
		}
		leaf++
	}
	return leaves, nil
}

func union(a, b []uint64) []uint64 {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// goes lists the leaves of a scan that cannot be opened any more when leaves of
// their seed are erased, and those among them that nobody asked for.
func (x *eraser) goes(id catalog.ScanID, together, found []uint64) (gone []uint64, lost []Loss, err error) {
	tree, err := x.ReadRecords(id)
	if err != nil {
		return nil, nil, err
	}
	defer tree.Close()
	for _, leaf := range together {
		if leaf >= tree.Size() {
			break
		}
		gone = append(gone, leaf)
		if _, asked := slices.BinarySearch(found, leaf); asked {
			continue
		}
		r, err := recordOf(tree, leaf)
		if err != nil {
			return nil, nil, err
		}
		lost = append(lost, Loss{Scan: id.Number, Leaf: leaf, Path: r.DisplayPath()})
	}
	return gone, lost, nil
}

// runsAbout lists the leaves of match runs that tell of leaves of their scan.
func (x *eraser) runsAbout(ctx context.Context, id catalog.ScanID, gone []uint64) ([]tutela.ErasedRun, error) {
	numbers, err := x.matchRuns(id)
	if err != nil {
		return nil, err
	}
	runs := []tutela.ErasedRun{}
	for _, run := range numbers {
		leaves, err := x.matchesAbout(ctx, id, run, gone)
		if err != nil {
			return nil, err
		}
		if len(leaves) > 0 {
			runs = append(runs, tutela.ErasedRun{Run: run, Leaves: leaves})
		}
	}
	return runs, nil
}

func (x *eraser) matchesAbout(ctx context.Context, id catalog.ScanID, run int, gone []uint64) (leaves []uint64, err error) {
	tree, err := x.ReadMatches(id, run)
	if err != nil {
		return nil, err
	}
	defer tree.Close()
	index := uint64(0)
	for body, err := range tree.Bodies(0) {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil && !errors.Is(err, ledger.ErrErased) {
			return nil, err
		}
		if err == nil {
			m, err := ledger.DecodeMatch(body)
			if err != nil {
				return nil, err
			}
			if _, about := slices.BinarySearch(gone, m.Leaf); about {
				leaves = append(leaves, index)
			}
		}
		index++
	}
	return leaves, nil
}

// eachTree does something with every tree of which leaves go: records, then match
// runs, scan by scan.
func (x *eraser) eachTree(told tutela.Erase, do func(dir string, secret ledger.Secret, leaves []uint64) error) error {
	for _, s := range told.Scans {
		id := catalog.ScanID{Exhibit: told.Exhibit, Number: s.Number}
		secret, err := x.recordsSecret(id)
		if err != nil {
			return err
		}
		if err := do(x.recordsDir(id), secret, s.Leaves); err != nil {
			return err
		}
		for _, r := range s.Runs {
			if secret, err = x.matchesSecret(id, r.Run); err != nil {
				return err
			}
			if err := do(x.matchesDir(id, r.Run), secret, r.Leaves); err != nil {
				return err
			}
		}
	}
	return nil
}

// note notes the hashes of all leaves that will go.
func (x *eraser) note(ctx context.Context, told tutela.Erase) error {
	return x.eachTree(told, func(dir string, secret ledger.Secret, leaves []uint64) error {
		return ledger.NoteErasure(ctx, dir, secret, leaves)
	})
}

// keepRuns gives the match runs of all scans whose seed will be punctured files
// of their own: their seeds could not be grown from what will be left. Those that
// told of what will go are punctured at once.
func (x *eraser) keepRuns(_ context.Context, told tutela.Erase) error {
	gone := map[int]map[int][]uint64{}
	keys := map[string]bool{}
	for _, s := range told.Scans {
		gone[s.Number] = map[int][]uint64{}
		keys[x.recordsKey(catalog.ScanID{Exhibit: told.Exhibit, Number: s.Number})] = true
		for _, r := range s.Runs {
			gone[s.Number][r.Run] = r.Leaves
		}
	}
	scans, err := x.heldScans(told.Exhibit)
	if err != nil {
		return err
	}
	for _, id := range scans {
		if !keys[x.recordsKey(id)] {
			continue
		}
		runs, err := x.matchRuns(id)
		if err != nil {
			return err
		}
		for _, run := range runs {
			if err := x.keepRun(id, run, gone[id.Number][run]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (x *eraser) keepRun(id catalog.ScanID, run int, gone []uint64) error {
	name := x.runKey(id, run)
	secret, err := x.matchesSecret(id, run)
	if err != nil {
		return err
	}
	if len(gone) == 0 {
		if isFile(name) {
			return nil
		}
		return x.safe.SaveSecret(name, secret)
	}
	tree, err := ledger.ReadTree(x.matchesDir(id, run), secret)
	if err != nil {
		return err
	}
	defer tree.Close()
	return x.puncture(name, secret, gone, tree.Size())
}

// puncture makes what is left of a secret without some leaves what a file holds;
// it may hold the secret, nothing, or already be punctured.
func (x *eraser) puncture(name string, secret ledger.Secret, gone []uint64, leaves uint64) error {
	if isFile(name) {
		if err := ledger.FinishReplacing(name); err != nil {
			return err
		}
	}
	missing := ledger.NotErased(secret, gone)
	if len(missing) == 0 {
		return nil
	}
	left, err := ledger.Puncture(secret, missing, leaves)
	if err != nil {
		return err
	}
	if !isFile(name) {
		return x.safe.SaveSecret(name, left)
	}
	return x.safe.ReplaceSecret(name, left)
}

// punctureRecords is the commit point: from here on nobody opens what was erased.
func (x *eraser) punctureRecords(_ context.Context, told tutela.Erase) error {
	gone := map[string][]uint64{}
	for _, s := range told.Scans {
		key := x.recordsKey(catalog.ScanID{Exhibit: told.Exhibit, Number: s.Number})
		gone[key] = union(gone[key], s.Leaves)
	}
	leaves, err := x.largest(told.Exhibit)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(gone)) {
		secret, err := x.safe.LoadSecret(key)
		if err != nil {
			return err
		}
		if err := x.puncture(key, secret, gone[key], leaves[key]); err != nil {
			return err
		}
	}
	return nil
}

// largest is the number of leaves of the largest record tree of each seed.
func (x *eraser) largest(exhibit string) (map[string]uint64, error) {
	scans, err := x.heldScans(exhibit)
	if err != nil {
		return nil, err
	}
	leaves := map[string]uint64{}
	for _, id := range scans {
		tree, err := x.ReadRecords(id)
		if err != nil {
			return nil, err
		}
		key := x.recordsKey(id)
		leaves[key] = max(leaves[key], tree.Size())
		if err := tree.Close(); err != nil {
			return nil, err
		}
	}
	return leaves, nil
}

// blank writes over what is left of the records.
func (x *eraser) blank(ctx context.Context, told tutela.Erase) error {
	return x.eachTree(told, func(dir string, secret ledger.Secret, _ []uint64) error {
		return ledger.BlankErased(ctx, dir, secret)
	})
}

// purge loads the scans into the catalogue anew, from what can still be read.
func (x *eraser) purge(ctx context.Context, told tutela.Erase) error {
	var ids []catalog.ScanID
	for _, s := range told.Scans {
		ids = append(ids, catalog.ScanID{Exhibit: told.Exhibit, Number: s.Number})
	}
	if err := x.Catalog.Unload(ctx, ids...); err != nil {
		return err
	}
	for _, id := range ids {
		s, err := x.Catalog.Scan(ctx, id)
		if err != nil {
			return err
		}
		if _, err := x.reload(ctx, x.Catalog, s); err != nil {
			return err
		}
	}
	return nil
}

// dropThumbs removes the thumbnails of contents that will lie nowhere any more.
// It comes first, since it must know the contents, and is done again after a
// crash as long as they can be known.
func (x *eraser) dropThumbs(ctx context.Context, told tutela.Erase) error {
	if !isDir(filepath.Join(x.Dir, "thumbs")) {
		return nil
	}
	contents, err := x.contents(told)
	if err != nil || len(contents) == 0 {
		return err
	}
	thumbs, err := x.OpenThumbs()
	if err != nil {
		return err
	}
	for sum := range contents {
		elsewhere, err := x.elsewhere(ctx, sum, told)
		if err == nil && !elsewhere {
			err = thumbs.Remove(sum)
		}
		if err != nil {
			return errors.Join(err, thumbs.Close())
		}
	}
	return errors.Join(thumbs.Compact(), thumbs.Close())
}

// contents are the digests of what will be erased and can still be opened.
func (x *eraser) contents(told tutela.Erase) (map[tutela.SHA256]bool, error) {
	contents := map[tutela.SHA256]bool{}
	for _, s := range told.Scans {
		tree, err := x.ReadRecords(catalog.ScanID{Exhibit: told.Exhibit, Number: s.Number})
		if err != nil {
			return nil, err
		}
		defer tree.Close()
		for _, leaf := range s.Leaves {
			r, err := recordOf(tree, leaf)
			if errors.Is(err, ledger.ErrErased) {
				continue
			}
			if err != nil {
				return nil, err
			}
			if r.Hashed {
				contents[r.Digests.SHA256] = true
			}
		}
	}
	return contents, nil
}

// elsewhere reports whether a content lies at a place that will not be erased.
func (x *eraser) elsewhere(ctx context.Context, sum tutela.SHA256, told tutela.Erase) (bool, error) {
	scans, err := x.Catalog.Scans(ctx, "")
	if err != nil {
		return false, err
	}
	for _, s := range scans {
		for hit, err := range x.Catalog.Find(ctx, catalog.Query{Exhibit: s.Exhibit, Scan: s.Number, SHA256: &sum}) {
			if err != nil {
				return false, err
			}
			if !erases(told, hit.ScanID, hit.Leaf) {
				return true, nil
			}
		}
	}
	return false, nil
}

func erases(told tutela.Erase, id catalog.ScanID, leaf uint64) bool {
	for _, s := range told.Scans {
		if id == (catalog.ScanID{Exhibit: told.Exhibit, Number: s.Number}) {
			_, gone := slices.BinarySearch(s.Leaves, leaf)
			return gone
		}
	}
	return false
}
