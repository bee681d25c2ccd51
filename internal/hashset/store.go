package hashset

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"tutela"
	"tutela/internal/durable"
)

// Store is a lab's folder of sets: NAME/VERSION.set, its digest beside it in
// VERSION.set.sha256, VERSION.features if it was made from pictures, and
// VERSION.removed once it was taken out of use. Nothing
// in it is ever rewritten or deleted: a match of years ago must be provable
// against the very bytes it was made with.
//
// A set is matched in its newest version that was not removed. Import, and so
// the act of changing what is matched, belongs to one process at a time for
// each name.
type Store struct{ dir string }

// OpenStore uses the folder dir, which is made if it is not there.
func OpenStore(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open sets: %w", err)
	}
	return &Store{dir}, nil
}

const (
	setSuffix     = ".set"
	removedSuffix = ".removed"
	maxName       = 100
)

// ErrName means that a set cannot be called that.
var ErrName = errors.New("not a name for a set")

// CheckName holds a name against the rule: a letter or digit, then letters,
// digits, blanks, dots, underscores and dashes, at most 100 in all, not ending
// in a blank or dot, and none of the names that Windows keeps for devices. It is
// a folder's name on every system. Errors wrap ErrName.
func CheckName(name string) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("%w: %.100q has %d bytes, 1 to %d are allowed", ErrName, name, len(name), maxName)
	}
	for i, r := range name {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letter && (i == 0 || !strings.ContainsRune(" ._-", r)) {
			return fmt.Errorf("%w: %q: letters, digits, blanks, dots, underscores and dashes only, a letter or digit first", ErrName, name)
		}
	}
	if strings.HasSuffix(name, " ") || strings.HasSuffix(name, ".") {
		return fmt.Errorf("%w: %q ends in a blank or dot", ErrName, name)
	}
	if base, _, _ := strings.Cut(strings.ToUpper(name), "."); isDevice(base) {
		return fmt.Errorf("%w: %q is a device on Windows", ErrName, name)
	}
	return nil
}

func isDevice(base string) bool {
	if slices.Contains([]string{"CON", "PRN", "AUX", "NUL"}, base) {
		return true
	}
	return len(base) == 4 && (base[:3] == "COM" || base[:3] == "LPT") && base[3] >= '0' && base[3] <= '9'
}

func (s *Store) file(name string, version int, suffix string) string {
	return filepath.Join(s.dir, name, strconv.Itoa(version)+suffix)
}

// ImportRequest says what to import.
type ImportRequest struct {
	Name     string
	Status   tutela.Status             // 0 is that of the version in use, to add to it or withdraw from it
	Files    []string                  // at least one; all become one set
	Format   Format                    // "" detects it for each file
	Pictures iter.Seq2[Picture, error] // instead of Files: what somebody saw in pictures; an error ends the import
	Options  Options
	Imported time.Time
	Work     Work   // TempDir "" is the folder of the set
	Intent   Intent // towards the version in use
}

// Import compiles files into the next version of a set. The caller writes the
// ledger event: the store keeps no diary. ErrLocked of package durable means
// that another import of the same name is under way.
func (s *Store) Import(ctx context.Context, q ImportRequest) (tutela.SetVersion, Report, error) {
	version, report, err := s.importSet(ctx, q)
	if err != nil {
		err = fmt.Errorf("import set %q: %w", q.Name, err)
	}
	return version, report, err
}

func (s *Store) importSet(ctx context.Context, q ImportRequest) (_ tutela.SetVersion, _ Report, err error) {
	var none tutela.SetVersion
	if err := s.checkNew(q.Name); err != nil {
		return none, Report{}, err
	}
	if q.Pictures != nil && q.Intent == Withdraw {
		return none, Report{}, errors.New("pictures are withdrawn by a list of their digests")
	}
	files, err := openAll(ctx, q)
	if err != nil {
		return none, Report{}, err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	dir := filepath.Join(s.dir, q.Name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return none, Report{}, err
	}
	lock, err := durable.Lock(filepath.Join(dir, ".lock"), "import")
	if err != nil {
		return none, Report{}, err
	}
	defer lock.Unlock()
	if err := errors.Join(sweep(dir), s.sweepFeatures(q.Name)); err != nil {
		return none, Report{}, err
	}
	next, err := s.nextVersion(q.Name)
	if err != nil {
		return none, Report{}, err
	}
	meta := Meta{Name: q.Name, Version: next, Status: q.Status, Scheme: cmp.Or(q.Options.Scheme, files.scheme),
		Format: files.formats(), Imported: q.Imported, Sources: files.sources}
	if q.Pictures == nil {
		return s.compile(ctx, q, meta, files)
	}
	meta.Format = string(Pictures)
	if meta.pictures, err = newPictures(dir, q); err != nil {
		return none, Report{}, err
	}
	defer func() { err = errors.Join(err, meta.pictures.close()) }()
	return s.compile(ctx, q, meta, meta.pictures)
}

// compile writes the next version against the one in use.
func (s *Store) compile(ctx context.Context, q ImportRequest, meta Meta, from Reader) (_ tutela.SetVersion, _ Report, err error) {
	path := s.file(q.Name, meta.Version, setSuffix)
	prev, err := s.Open(q.Name, 0)
	if err != nil && q.Intent == Replace {
		return Compile(ctx, path, meta, from, q.Work) // also over one that is damaged
	}
	if err != nil {
		return tutela.SetVersion{}, Report{}, err
	}
	defer func() { err = errors.Join(err, prev.Close()) }()
	if q.Intent != Replace {
		meta = meta.follow(prev, q.Intent)
		if meta.pictures == nil && prev.Features() > 0 {
			if meta.pictures, err = newPictures(filepath.Dir(path), ImportRequest{}); err != nil {
				return tutela.SetVersion{}, Report{}, err
			}
			defer func() { err = errors.Join(err, meta.pictures.close()) }()
		}
		if meta.pictures != nil {
			if err := meta.pictures.follow(ctx, prev); err != nil {
				return tutela.SetVersion{}, Report{}, err
			}
		}
	}
	return compileChange(ctx, path, meta, from, prev, q.Intent, q.Work)
}

// follow is the meta of a version that goes on with prev.
func (m Meta) follow(prev *Set, intent Intent) Meta {
	m.Status = cmp.Or(m.Status, prev.meta.Status)
	m.Scheme = cmp.Or(m.Scheme, prev.meta.Scheme)
	m.Sources = slices.Concat(prev.sources, m.Sources)
	formats := strings.Split(prev.meta.Format, "+")
	if intent == Add {
		formats = append(formats, strings.Split(m.Format, "+")...)
	}
	slices.Sort(formats)
	m.Format = strings.Join(slices.Compact(formats), "+")
	return m
}

// checkNew also refuses a name that differs from another set's only in case:
// on some systems they would be one folder.
func (s *Store) checkNew(name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	names, err := s.names()
	if err != nil {
		return err
	}
	for _, n := range names {
		if n == name || !strings.EqualFold(n, name) {
			continue
		}
		if versions, err := s.versions(n); err != nil || len(versions) > 0 {
			return fmt.Errorf("%w: there is a set %q already", ErrName, n)
		}
	}
	return nil
}

// sweep removes what an import left that was cut off: under the lock nothing
// else can own it.
func sweep(dir string) error {
	for _, pattern := range []string{".compile-*", ".set-*", ".tmp-*"} {
		left, err := filepath.Glob(filepath.Join(globQuote(dir), pattern))
		if err != nil {
			return err
		}
		for _, name := range left {
			if err := os.RemoveAll(name); err != nil {
				return err
			}
		}
	}
	return nil
}

var globQuote = strings.NewReplacer(`*`, `[*]`, `?`, `[?]`, `[`, `[[]`).Replace

func (s *Store) names() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && CheckName(e.Name()) == nil {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// versions lists the versions of a set, removed ones too, in order.
func (s *Store) versions(name string) ([]int, error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, name))
	if err != nil {
		return nil, err
	}
	var versions []int
	for _, e := range entries {
		text, ok := strings.CutSuffix(e.Name(), setSuffix)
		n, err := strconv.Atoi(text)
		if ok && err == nil && n > 0 && strconv.Itoa(n) == text {
			versions = append(versions, n)
		}
	}
	slices.Sort(versions)
	return versions, nil
}

func (s *Store) nextVersion(name string) (int, error) {
	versions, err := s.versions(name)
	if err != nil || len(versions) == 0 {
		return 1, err
	}
	return versions[len(versions)-1] + 1, nil
}

// Removal says when and why a version was taken out of use.
type Removal struct {
	At  time.Time `json:"at"`
	Why string    `json:"why"`
}

// Listed is one version of a set in a store.
type Listed struct {
	tutela.SetVersion
	Removed *Removal // nil while it is in use
	Err     error    // why it cannot be used; then only Name and Version are told
}

// List gives every version, removed ones too, by name and version. It reads
// heads only; a version that cannot be read is listed with the reason.
func (s *Store) List() ([]Listed, error) {
	names, err := s.names()
	if err != nil {
		return nil, fmt.Errorf("list sets: %w", err)
	}
	var out []Listed
	for _, name := range names {
		versions, err := s.versions(name)
		if err != nil {
			return nil, fmt.Errorf("list sets: %w", err)
		}
		for _, v := range versions {
			out = append(out, s.listed(name, v))
		}
	}
	return out, nil
}

func (s *Store) listed(name string, version int) Listed {
	l := Listed{}
	l.SetVersion, l.Err = readMeta(s.file(name, version, setSuffix))
	if l.Err == nil {
		l.Err = sameSet(l.SetVersion, name, version)
	}
	if l.Err != nil {
		l.SetVersion = tutela.SetVersion{Name: name, Version: version}
	}
	removed, err := s.removal(name, version)
	l.Removed, l.Err = removed, errors.Join(l.Err, err)
	return l
}

// sameSet refuses a file that was moved to where another one belongs.
func sameSet(m tutela.SetVersion, name string, version int) error {
	if m.Name != name || m.Version != version {
		return fmt.Errorf("%w: it is version %d of %q, not version %d of %q", ErrCorrupt, m.Version, m.Name, version, name)
	}
	return nil
}

func readMeta(path string) (m tutela.SetVersion, err error) {
	f, err := os.Open(path)
	if err != nil {
		return m, err
	}
	defer f.Close()
	head := make([]byte, headSize)
	if _, err := io.ReadFull(f, head); err != nil {
		return m, fmt.Errorf("%w: head: %v", ErrCorrupt, err)
	}
	d, _, err := decodeHead(head)
	if err != nil {
		return m, err
	}
	if m, err = d.setVersion(); err != nil {
		return m, err
	}
	m.Digest, err = toldDigest(path, f)
	return m, err
}

func (s *Store) removal(name string, version int) (*Removal, error) {
	text, err := os.ReadFile(s.file(name, version, removedSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var r Removal
	if err := json.Unmarshal(text, &r); err != nil {
		return &r, fmt.Errorf("read why version %d of %q was removed: %w", version, name, err)
	}
	return &r, nil
}

// ErrNoSet means that there is no such set or version.
var ErrNoSet = errors.New("no such set")

// Open opens one version, removed or not; version 0 is the one in use.
func (s *Store) Open(name string, version int) (*Set, error) {
	if err := CheckName(name); err != nil {
		return nil, fmt.Errorf("open set: %w", err)
	}
	if version == 0 {
		var err error
		if version, err = s.active(name); err != nil {
			return nil, fmt.Errorf("open set: %w", err)
		}
	}
	set, err := Open(s.file(name, version, setSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open set: %w: %q version %d", ErrNoSet, name, version)
	}
	if err != nil {
		return nil, err
	}
	if err := sameSet(set.meta, name, version); err != nil {
		return nil, errors.Join(fmt.Errorf("open set %s: %w", set.path, err), set.Close())
	}
	return set, nil
}

// active is the newest version that was not removed.
func (s *Store) active(name string) (int, error) {
	versions, err := s.versions(name)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("%w: %q", ErrNoSet, name)
	}
	if err != nil {
		return 0, err
	}
	for _, v := range slices.Backward(versions) {
		_, err := os.Lstat(s.file(name, v, removedSuffix))
		if errors.Is(err, fs.ErrNotExist) {
			return v, nil
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, fmt.Errorf("%w: every version of %q was removed", ErrNoSet, name)
}

// OpenActive opens every set in use. It fails whole if one cannot be opened: a
// scan must not pass over a set in silence.
func (s *Store) OpenActive() (_ *Sets, err error) {
	names, err := s.names()
	if err != nil {
		return nil, fmt.Errorf("open sets: %w", err)
	}
	var open []*Set
	defer func() {
		if err != nil {
			err = errors.Join(err, NewSets(open...).Close())
		}
	}()
	for _, name := range names {
		set, err := s.Open(name, 0)
		if errors.Is(err, ErrNoSet) {
			continue
		}
		if err != nil {
			return nil, err
		}
		open = append(open, set)
	}
	return NewSets(open...), nil
}

// Remove takes a version out of use by writing a note beside it. The file
// stays. The version before it, if that was not removed, is matched again: to
// take a set out of use, remove every version that List gives.
func (s *Store) Remove(name string, version int, r Removal) error {
	if err := CheckName(name); err != nil {
		return fmt.Errorf("remove set: %w", err)
	}
	if _, err := os.Lstat(s.file(name, version, setSuffix)); err != nil {
		return fmt.Errorf("remove set: %w: %q version %d", ErrNoSet, name, version)
	}
	note := s.file(name, version, removedSuffix)
	if _, err := os.Lstat(note); err == nil {
		return nil // what was said first stays
	}
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("remove set: %w", err)
	}
	if err := durable.WriteFile(note, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("remove set %q version %d: %w", name, version, err)
	}
	return nil
}
