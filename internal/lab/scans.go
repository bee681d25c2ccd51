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
	"strconv"
	"strings"

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
	return ledger.SaveSeed(name, ledger.NewSeed())
}

// recordsSeed is the seed of the records of an exhibit. It is the same for all
// its scans, so that two scans of unchanged evidence end in one root.
func (l *Lab) recordsSeed(label string) (ledger.Seed, error) {
	return ledger.LoadSeed(l.seedPath(label))
}

// matchesSeed is the seed of one match run.
func (l *Lab) matchesSeed(id catalog.ScanID, run int) (ledger.Seed, error) {
	seed, err := l.recordsSeed(id.Exhibit)
	if err != nil {
		return seed, err
	}
	text := append([]byte("tutela match run v1\x00"), seed[:]...)
	text = binary.BigEndian.AppendUint64(text, uint64(id.Number))
	text = binary.BigEndian.AppendUint64(text, uint64(run))
	return sha256.Sum256(text), nil
}

// OpenRecords opens the record tree of a scan to append, making it if there is
// none.
func (l *Lab) OpenRecords(id catalog.ScanID) (*ledger.Tree, error) {
	seed, err := l.recordsSeed(id.Exhibit)
	if err != nil {
		return nil, err
	}
	return openOrCreate(filepath.Join(l.scanDir(id), "records"), seed)
}

// OpenMatches opens the tree of a match run to append, making it if there is
// none.
func (l *Lab) OpenMatches(id catalog.ScanID, run int) (*ledger.Tree, error) {
	seed, err := l.matchesSeed(id, run)
	if err != nil {
		return nil, err
	}
	return openOrCreate(l.matchesDir(id, run), seed)
}

func openOrCreate(dir string, seed ledger.Seed) (*ledger.Tree, error) {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return ledger.CreateTree(dir, seed)
	}
	return ledger.OpenTree(dir, seed)
}

// ReadRecords reads the record tree of a scan.
func (l *Lab) ReadRecords(id catalog.ScanID) (*ledger.Reader, error) {
	seed, err := l.recordsSeed(id.Exhibit)
	if err != nil {
		return nil, err
	}
	return ledger.ReadTree(filepath.Join(l.scanDir(id), "records"), seed)
}

// ReadMatches reads the tree of a match run.
func (l *Lab) ReadMatches(id catalog.ScanID, run int) (*ledger.Reader, error) {
	seed, err := l.matchesSeed(id, run)
	if err != nil {
		return nil, err
	}
	return ledger.ReadTree(l.matchesDir(id, run), seed)
}

// ReadLog opens the agency log for looking.
func (l *Lab) ReadLog() (*ledger.LogReader, error) {
	return ledger.ReadLog(l.agencyDir(), l.keys)
}

// LastMatchRun is the number of the newest match run that has a tree, 0 if
// there is none.
func (l *Lab) LastMatchRun(id catalog.ScanID) (int, error) {
	entries, err := os.ReadDir(l.scanDir(id))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, err
	}
	last := 0
	for _, entry := range entries {
		if number, ok := strings.CutPrefix(entry.Name(), "matches-"); ok {
			run, _ := strconv.Atoi(number)
			last = max(last, run)
		}
	}
	return last, nil
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

func (l *Lab) exhibitDir(label string) string {
	return filepath.Join(l.Dir, "ledger", "exhibits", escape(label))
}

func (l *Lab) scanDir(id catalog.ScanID) string {
	return filepath.Join(l.exhibitDir(id.Exhibit), strconv.Itoa(id.Number))
}

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

// slug writes a name as it may stand in the origin of a log.
func slug(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
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
