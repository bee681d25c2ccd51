// Package lab opens a lab folder and keeps its parts together: keys, agency
// log, exhibit ledgers, hash sets and catalogue.
//
// Call [Init] once, [Locate] and [Open] ever after. Promised: what
// [Lab.Record] acknowledged is in the agency log and in the catalogue; opening
// for writing is recovery, so that whatever a crash left behind is caught up
// from the ledgers; one process at a time writes. Not promised: that a reader
// sees what a writer does at the same moment.
//
// The folder:
//
//	lab.toml                     agency, country, format
//	keys/                        the lab's secrets, encrypted or not
//	ledger/agency/               the agency log
//	ledger/agency/heads/         its signed heads that others vouch for
//	ledger/exhibits/LABEL/N/     the ledger of scan N: records, matches-RUN
//	ledger/access/N/             what people read
//	sets/NAME/                   compiled hash sets
//	catalog.sqlite               derived from the ledgers; may be deleted
//	thumbs/                      thumbnails, encrypted; derived from the evidence
//	validation/                  reports on the program itself
//	jobs/                        temporary files, encrypted
//	lock                         held by the process that writes
package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/BurntSushi/toml"

	"tutela"
	"tutela/internal/catalog"
	"tutela/internal/catalog/sqlite"
	"tutela/internal/durable"
	"tutela/internal/hashset"
	"tutela/internal/ledger"
)

// format is the version of the folder's layout. A lab of a newer format is
// refused.
const format = 1

// Errors that callers tell apart.
var (
	ErrNoLab     = errors.New("no lab here")
	ErrNotEmpty  = errors.New("the folder is not empty")
	ErrNewer     = errors.New("the lab was made by a newer version of tutela")
	ErrIntegrity = errors.New("the ledger does not hold together")
	ErrNoCatalog = errors.New("the catalogue is not there")
)

// Config is what lab.toml says.
type Config struct {
	Format  int       `toml:"format"`
	Agency  string    `toml:"agency"`
	Country string    `toml:"country"`
	Field   bool      `toml:"field,omitempty"` // its scans are to be admitted to another lab; its log is plain
	Created time.Time `toml:"created"`
}

// Mode says what a lab is opened for.
type Mode int

// Read looks only and works beside a writer. Write takes the lab's lock and
// brings the catalogue up to the ledgers. Anew takes the lock and leaves the
// catalogue closed, for Rebuild and for repairs: it may be past opening.
const (
	Read Mode = iota
	Write
	Anew
)

// Lab is an open lab folder.
type Lab struct {
	Dir     string
	Config  Config
	Catalog catalog.Store
	Sets    *hashset.Store

	keys  *ledger.Keys
	key   *[32]byte   // under which keys/ is encrypted; nil if it is not
	safe  ledger.Safe // of that key
	log   *ledger.Log // nil when opened to read
	lock  *durable.FileLock
	actor string

	signer   Signer    // nil when nobody signs
	standing *Standing // guarded by standingLock

	recording    sync.Mutex // events reach log and catalogue in one order
	standingLock sync.Mutex
	headsLock    sync.Mutex // see Heads
	closing      func()     // see BeforeClose
}

// Locate finds the lab: the named folder, or the nearest one upwards from the
// working directory that holds lab.toml. It returns ErrNoLab if there is none.
func Locate(named string) (string, error) {
	if named != "" {
		if !isLab(named) {
			return "", fmt.Errorf("%w: %s has no lab.toml", ErrNoLab, named)
		}
		return named, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for at := dir; ; at = filepath.Dir(at) {
		if isLab(at) {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("%w: neither %s nor a folder above it holds lab.toml", ErrNoLab, dir)
		}
	}
}

func isLab(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, "lab.toml"))
	return err == nil && info.Mode().IsRegular()
}

// Init makes a lab in dir, which must be empty or absent. lab.toml is written
// last: before it there is no lab, after it there is a whole one.
func Init(ctx context.Context, dir string, c Config, actor string) error {
	if err := refuseFilled(dir); err != nil {
		return err
	}
	for _, sub := range []string{"keys", "ledger/exhibits", "sets", "jobs"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return err
		}
	}
	c.Format, c.Created = format, time.Now().UTC().Truncate(time.Second)
	keys, err := ledger.GenerateKeys("tutela/" + slug(c.Agency))
	if err != nil {
		return err
	}
	if err := (ledger.Safe{}).SaveKeys(filepath.Join(dir, "keys"), keys); err != nil {
		return fmt.Errorf("save the keys: %w", err)
	}
	if err := begin(ctx, dir, c, keys, actor); err != nil {
		return err
	}
	text, err := toml.Marshal(c)
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, "lab.toml"), text, 0o600)
}

func refuseFilled(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("%w: %s holds %s", ErrNotEmpty, dir, entries[0].Name())
	}
	return nil
}

// begin makes the agency log with its first event, and an empty catalogue.
func begin(ctx context.Context, dir string, c Config, keys *ledger.Keys, actor string) error {
	detail, err := tutela.EncodeDetail(struct {
		Agency  string `json:"agency"`
		Country string `json:"country"`
	}{c.Agency, c.Country})
	if err != nil {
		return err
	}
	l := &Lab{Dir: dir, Config: c, keys: keys, actor: actor}
	create := ledger.CreateLog
	if c.Field {
		create = ledger.CreatePlainLog
	}
	if l.log, err = create(ctx, l.agencyDir(), keys); err != nil {
		return fmt.Errorf("make the agency log: %w", err)
	}
	if l.Catalog, err = openCatalog(ctx, l.catalogPath()); err != nil {
		return errors.Join(err, l.log.Close())
	}
	_, err = l.Record(ctx, tutela.Event{Kind: tutela.EventInit, Time: c.Created, Actor: actor, Detail: detail, Key: "init"})
	return errors.Join(err, l.Close())
}

// Open opens the lab in dir, whose keys are not encrypted; see [OpenSealed].
func Open(ctx context.Context, dir string, mode Mode, actor string) (*Lab, error) {
	return OpenSealed(ctx, dir, mode, actor, nil)
}

func (l *Lab) open(ctx context.Context, mode Mode) (err error) {
	if err := l.readConfig(); err != nil {
		return err
	}
	if mode != Read {
		if err := l.takeLock(); err != nil {
			return err
		}
	}
	if err := l.loadKeys(ctx, mode); err != nil {
		return err
	}
	if l.Sets, err = hashset.OpenStore(filepath.Join(l.Dir, "sets")); err != nil {
		return fmt.Errorf("open the hash sets: %w", err)
	}
	if mode == Anew {
		return l.openLog(ctx)
	}
	if l.Catalog, err = openCatalog(ctx, l.catalogPath()); err != nil {
		return fmt.Errorf("open the catalogue: %w", err)
	}
	if mode == Write {
		return l.recover(ctx)
	}
	if applied, err := l.Catalog.Applied(ctx); err != nil || applied == 0 {
		return errors.Join(err, ErrNoCatalog)
	}
	return nil
}

func (l *Lab) openLog(ctx context.Context) (err error) {
	if l.log, err = ledger.OpenLog(ctx, l.agencyDir(), l.keys); err != nil {
		return fmt.Errorf("open the agency log: %w", err)
	}
	return nil
}

// openCatalog keeps a nil pointer from becoming a Store that is not nil.
func openCatalog(ctx context.Context, path string) (catalog.Store, error) {
	store, err := sqlite.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	return store, nil
}

func (l *Lab) readConfig() error {
	text, err := os.ReadFile(filepath.Join(l.Dir, "lab.toml"))
	if err != nil {
		return err
	}
	if err := toml.Unmarshal(text, &l.Config); err != nil {
		return fmt.Errorf("read lab.toml: %w", err)
	}
	if l.Config.Format > format {
		return fmt.Errorf("%w: its format is %d, this version knows %d", ErrNewer, l.Config.Format, format)
	}
	if l.Config.Format < 1 {
		return errors.New("read lab.toml: it names no format")
	}
	return nil
}

func holder(actor string) string {
	return fmt.Sprintf("process %d of %s, since %s", os.Getpid(), actor, time.Now().UTC().Format("2006-01-02 15:04 UTC"))
}

// recover opens the agency log to append and feeds the catalogue what it has not
// seen of events and records: the ordinary way of starting, and all there is to
// recovery.
func (l *Lab) recover(ctx context.Context) (err error) {
	if err := l.openLog(ctx); err != nil {
		return err
	}
	if err := l.apply(ctx, l.Catalog); err != nil {
		return err
	}
	if err := l.resumeErasures(ctx); err != nil {
		return err
	}
	if err := l.resumeAdmissions(ctx); err != nil {
		return err
	}
	_, err = l.refill(ctx, l.Catalog)
	return err
}

// apply brings a catalogue up to the agency log.
func (l *Lab) apply(ctx context.Context, store catalog.Store) error {
	applied, err := store.Applied(ctx)
	if err != nil {
		return err
	}
	for entry, err := range l.log.Events(ctx, applied) {
		if err != nil {
			return fmt.Errorf("read the agency log: %w", err)
		}
		if err := store.Apply(ctx, entry.Index, entry.Event); err != nil {
			return fmt.Errorf("apply event %d to the catalogue: %w", entry.Index, err)
		}
	}
	return nil
}

// Record is [Lab.RecordAll] for one event.
func (l *Lab) Record(ctx context.Context, ev tutela.Event) (uint64, error) {
	indices, err := l.RecordAll(ctx, ev)
	if err != nil {
		return 0, err
	}
	return indices[0], nil
}

// RecordAll appends events to the agency log, in their order and under one
// checkpoint, and applies them to the catalogue. The log is the commit point: if
// the catalogue fails after it, the events have happened and the next opening
// applies them. A repeat of an event's key changes nothing, and its index is
// where the first one stands. It is safe for concurrent use.
func (l *Lab) RecordAll(ctx context.Context, events ...tutela.Event) ([]uint64, error) {
	l.recording.Lock()
	defer l.recording.Unlock()
	for i := range events {
		if events[i].Actor == "" {
			events[i].Actor = l.actor
		}
		if events[i].Time.IsZero() {
			events[i].Time = time.Now().UTC()
		}
		if err := l.sign(ctx, &events[i]); err != nil {
			return nil, err
		}
	}
	indices, err := l.log.AppendAll(ctx, events...)
	if err != nil {
		return nil, fmt.Errorf("append to the agency log: %w", err)
	}
	if l.Catalog == nil { // the lab is open without it: the next opening applies them
		l.standing = nil
		return indices, nil
	}
	applied, err := l.Catalog.Applied(ctx)
	if err != nil {
		return nil, err
	}
	for i, index := range indices {
		if index < applied {
			continue
		}
		if err := l.follow(index, events[i]); err != nil {
			return nil, err
		}
		if err := l.Catalog.Apply(ctx, index, events[i]); err != nil {
			return nil, fmt.Errorf("apply event %d to the catalogue: %w", index, err)
		}
	}
	return indices, nil
}

// BeforeClose has Close do something first, once, while the lab can still be
// written to. It replaces what was to be done before.
func (l *Lab) BeforeClose(do func()) { l.closing = do }

// Close gives everything back. It is safe on a lab that is half open.
func (l *Lab) Close() error {
	if do := l.closing; do != nil && l.log != nil {
		l.closing = nil
		do()
	}
	var errs []error
	if l.log != nil {
		errs = append(errs, l.log.Close())
	}
	if l.Catalog != nil {
		errs = append(errs, l.Catalog.Close())
	}
	if l.lock != nil {
		errs = append(errs, l.lock.Unlock())
	}
	return errors.Join(errs...)
}

func (l *Lab) agencyDir() string   { return filepath.Join(l.Dir, "ledger", "agency") }
func (l *Lab) catalogPath() string { return filepath.Join(l.Dir, "catalog.sqlite") }

// JobsDir is where temporary files lie; only encrypted ones.
func (l *Lab) JobsDir() string { return filepath.Join(l.Dir, "jobs") }
