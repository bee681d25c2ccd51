package lab

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"tutela"
	"tutela/internal/catalog"
	"tutela/internal/ledger"
)

// AddExhibitSeed makes the secret of an exhibit, from which the seeds of all
// its ledgers grow. One that exists is kept: the event that adds the exhibit may
// have to be repeated after a crash.
func (l *Lab) AddExhibitSeed(label string) error {
	name := l.seedPath(label)
	if _, err := os.Stat(name); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	return l.safe.SaveSeed(name, ledger.NewSeed())
}

// The keys of an exhibit, each in a file of its own:
//
//	LABEL.seed               its seed, for the records of all scans
//	LABEL+N.seed             for the records of scan N alone, which was begun after
//	                         leaves of the exhibit's seed had been erased
//	LABEL+N+matches-R.seed   for match run R of scan N, where that does not grow
//	                         from the seed of the records
//
// Any of them may be punctured. A label has no plus sign in a file name.

// recordsSecret opens the records of a scan. All scans have the exhibit's seed, so
// that two scans of unchanged evidence end in one root, until something is erased.
func (l *Lab) recordsSecret(id catalog.ScanID) (ledger.Secret, error) {
	return l.safe.LoadSecret(l.recordsKey(id))
}

// recordsKey is the file of the seed of a scan's records.
func (l *Lab) recordsKey(id catalog.ScanID) string {
	if own := l.ownKey(id); isFile(own) {
		return own
	}
	return l.seedPath(id.Exhibit)
}

func isFile(name string) bool {
	info, err := os.Lstat(name)
	return err == nil && info.Mode().IsRegular()
}

// growSecret is the whole seed of a tree that is to grow. One that was punctured
// cannot: ledger.ErrErased.
func growSecret(secret ledger.Secret, err error) (ledger.Seed, error) {
	if err != nil {
		return ledger.Seed{}, err
	}
	seed, whole := secret.(ledger.Seed)
	if !whole {
		return seed, fmt.Errorf("leaves of its seed were %w, it cannot grow", ledger.ErrErased)
	}
	return seed, nil
}

// matchesSecret opens the matches of one run.
func (l *Lab) matchesSecret(id catalog.ScanID, run int) (ledger.Secret, error) {
	if own := l.runKey(id, run); isFile(own) {
		return l.safe.LoadSecret(own)
	}
	records, err := growSecret(l.recordsSecret(id))
	if err != nil {
		return nil, err
	}
	return matchesSeed(records, id, run), nil
}

// matchesSeed grows the seed of a match run from that of the records.
func matchesSeed(records ledger.Seed, id catalog.ScanID, run int) ledger.Seed {
	text := append([]byte("tutela match run v1\x00"), records[:]...)
	text = binary.BigEndian.AppendUint64(text, uint64(id.Number))
	text = binary.BigEndian.AppendUint64(text, uint64(run))
	return sha256.Sum256(text)
}

// OpenRecords opens the record tree of a scan to append, making it if there is
// none. One of which leaves were erased cannot grow: ledger.ErrErased.
func (l *Lab) OpenRecords(id catalog.ScanID) (*ledger.Tree, error) {
	dir := l.recordsDir(id)
	if secret, err := l.recordsSecret(id); err == nil && !isDir(dir) && !isFile(l.ownKey(id)) {
		if err := l.freshUnlessWhole(secret, l.ownKey(id)); err != nil {
			return nil, err
		}
	}
	seed, err := growSecret(l.recordsSecret(id))
	if err != nil {
		return nil, fmt.Errorf("open the records of %s: %w", id, err)
	}
	return openOrCreate(dir, seed)
}

// OpenMatches opens the tree of a match run to append, making it if there is
// none. One of which leaves were erased cannot grow: ledger.ErrErased.
func (l *Lab) OpenMatches(id catalog.ScanID, run int) (*ledger.Tree, error) {
	dir := l.matchesDir(id, run)
	if secret, err := l.recordsSecret(id); err == nil && !isDir(dir) && !isFile(l.runKey(id, run)) {
		if err := l.freshUnlessWhole(secret, l.runKey(id, run)); err != nil {
			return nil, err
		}
	}
	seed, err := growSecret(l.matchesSecret(id, run))
	if err != nil {
		return nil, fmt.Errorf("open match run %d of %s: %w", run, id, err)
	}
	return openOrCreate(dir, seed)
}

// freshUnlessWhole gives a tree that is to be made a seed of its own, where the
// seed that it would have had was punctured.
func (l *Lab) freshUnlessWhole(secret ledger.Secret, own string) error {
	if _, whole := secret.(ledger.Seed); whole {
		return nil
	}
	return l.safe.SaveSeed(own, ledger.NewSeed())
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

func openOrCreate(dir string, seed ledger.Seed) (*ledger.Tree, error) {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return ledger.CreateTree(dir, seed)
	}
	return ledger.OpenTree(dir, seed)
}

// ReadRecords reads the record tree of a scan.
func (l *Lab) ReadRecords(id catalog.ScanID) (*ledger.Reader, error) {
	secret, err := l.recordsSecret(id)
	if err != nil {
		return nil, err
	}
	return ledger.ReadTree(l.recordsDir(id), secret)
}

// ReadMatches reads the tree of a match run.
func (l *Lab) ReadMatches(id catalog.ScanID, run int) (*ledger.Reader, error) {
	secret, err := l.matchesSecret(id, run)
	if err != nil {
		return nil, err
	}
	return ledger.ReadTree(l.matchesDir(id, run), secret)
}

// readTree reads the records of a scan, or the matches of one of its runs.
func (l *Lab) readTree(id treeID) (*ledger.Reader, error) {
	if id.run == 0 {
		return l.ReadRecords(id.ScanID)
	}
	return l.ReadMatches(id.ScanID, id.run)
}

// treeDir is where a tree lies.
func (l *Lab) treeDir(id treeID) string {
	if id.run == 0 {
		return l.recordsDir(id.ScanID)
	}
	return l.matchesDir(id.ScanID, id.run)
}

// treeSecret opens a tree.
func (l *Lab) treeSecret(id treeID) (ledger.Secret, error) {
	if id.run == 0 {
		return l.recordsSecret(id.ScanID)
	}
	return l.matchesSecret(id.ScanID, id.run)
}

// ReadLog opens the agency log for looking, under new keys if a writer has changed
// them since the lab was opened.
func (l *Lab) ReadLog() (*ledger.LogReader, error) {
	log, err := ledger.ReadLog(l.agencyDir(), l.keys)
	if l.lock != nil || !errors.Is(err, ledger.ErrWrongKey) {
		return log, err
	}
	keys, err := l.safe.FindKeys(l.agencyDir(), l.keysDir())
	if err != nil {
		return nil, err
	}
	return ledger.ReadLog(l.agencyDir(), keys)
}

// LogKeys are the verifier keys of the agency log, C2SP signed-note.
func (l *Lab) LogKeys() []string { return l.keys.VerifierKeys() }

// LastMatchRun is the number of the newest match run that has a tree, 0 if
// there is none.
func (l *Lab) LastMatchRun(id catalog.ScanID) (int, error) {
	runs, err := l.matchRuns(id)
	if len(runs) == 0 || err != nil {
		return 0, err
	}
	return runs[len(runs)-1], nil
}

// matchRuns are the numbers of the match runs that have a tree, ascending.
func (l *Lab) matchRuns(id catalog.ScanID) (runs []int, err error) {
	entries, err := os.ReadDir(l.scanDir(id))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for _, entry := range entries {
		number, ok := strings.CutPrefix(entry.Name(), "matches-")
		if run, err := strconv.Atoi(number); ok && err == nil {
			runs = append(runs, run)
		}
	}
	slices.Sort(runs)
	return runs, nil
}

// ShowMatches makes a match run, as far as it was committed and is about leaves
// below a number, what a catalogue shows for its scan.
func (l *Lab) ShowMatches(ctx context.Context, store catalog.Store, id catalog.ScanID, run int, below uint64) error {
	tree, err := l.ReadMatches(id, run)
	if err != nil {
		return err
	}
	defer tree.Close()
	if err := store.LoadMatches(ctx, id, run, until(below, tree.Matches(0))); err != nil {
		return fmt.Errorf("load the matches of %s into the catalogue: %w", id, err)
	}
	return nil
}

// until yields the matches of the leaves below a number.
func until(below uint64, all iter.Seq2[*tutela.Match, error]) iter.Seq2[tutela.Match, error] {
	return func(yield func(tutela.Match, error) bool) {
		for m, err := range all {
			if err != nil {
				yield(tutela.Match{}, err)
				return
			}
			if m.Leaf >= below || !yield(*m, nil) {
				return
			}
		}
	}
}

func (l *Lab) seedPath(label string) string {
	return filepath.Join(l.Dir, "keys", "exhibits", escape(label)+".seed")
}

// ownKey is the file of the seed that a scan's records have for themselves.
func (l *Lab) ownKey(id catalog.ScanID) string {
	return filepath.Join(l.Dir, "keys", "exhibits", fmt.Sprintf("%s+%d.seed", escape(id.Exhibit), id.Number))
}

// runKey is the file of the seed that a match run has for itself.
func (l *Lab) runKey(id catalog.ScanID, run int) string {
	return filepath.Join(l.Dir, "keys", "exhibits", fmt.Sprintf("%s+%d+matches-%d.seed", escape(id.Exhibit), id.Number, run))
}

func (l *Lab) exhibitDir(label string) string {
	return filepath.Join(l.Dir, "ledger", "exhibits", escape(label))
}

func (l *Lab) scanDir(id catalog.ScanID) string {
	return filepath.Join(l.exhibitDir(id.Exhibit), strconv.Itoa(id.Number))
}

func (l *Lab) recordsDir(id catalog.ScanID) string { return filepath.Join(l.scanDir(id), "records") }

func (l *Lab) matchesDir(id catalog.ScanID, run int) string {
	return filepath.Join(l.scanDir(id), "matches-"+strconv.Itoa(run))
}

// escape writes a label as a file name that is valid on every system and that
// no two labels share, also where the file system folds case.
func escape(label string) string {
	var b strings.Builder
	for i := range len(label) {
		switch c := label[i]; {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.' && i > 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return b.String()
}

// slug writes a name as it may stand in the origin of a log: letters lose their
// accents.
func slug(name string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(strings.ToLower(name)) {
		switch {
		case unicode.Is(unicode.Mn, r):
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	if s := strings.Trim(b.String(), "-"); s != "" {
		return s
	}
	return "lab"
}
