// Package scan takes evidence all the way: it walks and reads what was seized,
// digests it, hashes pictures, looks into archives, and writes every
// observation into the exhibit ledger, every match into a match run, and both
// into the catalogue.
//
// Call [Run] with a Grant; it begins a scan or goes on with one. [Rematch]
// meets the sets of today without the evidence, [Rescan] reads the evidence
// again and holds it against the ledger.
//
// Promised: the same evidence and exhibit seed end in the same root, however
// many workers there were and however often the scan was interrupted; a crash
// at any moment loses nothing that was committed and repeats nothing; whatever
// could not be read has a record that says why. Not promised: a consistent
// picture of a folder that somebody changes meanwhile; each file that changed
// under the reader is marked.
package scan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"tutela"
	"tutela/internal/authority"
	"tutela/internal/catalog"
	"tutela/internal/evidence"
	"tutela/internal/ledger"
)

// Desk is the lab as a scan needs it: where ledgers are opened and events
// written.
type Desk interface {
	// RecordAll appends events to the agency log in their order. When it
	// returns nil they are durable; the indices are where.
	RecordAll(ctx context.Context, events ...tutela.Event) (indices []uint64, err error)
	OpenRecords(id catalog.ScanID) (*ledger.Tree, error)
	ReadRecords(id catalog.ScanID) (*ledger.Reader, error)
	OpenMatches(id catalog.ScanID, run int) (*ledger.Tree, error)
	ReadMatches(id catalog.ScanID, run int) (*ledger.Reader, error)
	// LastMatchRun is the number of the newest match run that has a tree, 0 if
	// there is none.
	LastMatchRun(id catalog.ScanID) (int, error)
	// RootFacts tells a finished tree by its root, or by its roots where the
	// lab asks for two: the fact of the name that is given comes first.
	RootFacts(ctx context.Context, name string, tree *ledger.Reader) ([]tutela.Fact, error)
	// ShowMatches makes a match run, as far as it was committed and is about
	// leaves below a number, what a catalogue shows for its scan.
	ShowMatches(ctx context.Context, store catalog.Store, id catalog.ScanID, run int, below uint64) error
}

// Job is what one scan works with.
type Job struct {
	ID      catalog.ScanID
	Desk    Desk
	Catalog catalog.Store
	Sets    Matcher

	Evidence Evidence
	Host     Host                  // who reads hostile contents; nil is this process
	Keys     evidence.Keys         // for what is encrypted
	Thumbs   Thumbnails            // nil keeps none
	Sources  []tutela.SealedSource // what the evidence is made of, for the seal
	Volumes  []tutela.SealedVolume
	Profile  Profile         // empty is Standard
	Limits   evidence.Limits // zero fields are defaults
	Workers  int             // 0 is one for each processor
	SpoolDir string          // for temporary files, which are encrypted
	Tool     string          // name and version of the program, for the seal
	Watch    *Watch          // may be nil

	// Tests make these small.
	batch     int           // records committed together; 0 is commitRecords
	showEvery time.Duration // until matches are first shown; 0 is firstShow
}

// Summary is what came out of a scan.
type Summary struct {
	catalog.Counts
	Root     tutela.SHA256
	LogIndex uint64 // of the seal in the agency log
	Run      int    // of the match run
	NotKept  error  // why thumbnails were not kept; nil if all were
}

// Run reads the evidence from where the ledger of the scan ends, seals it and
// writes the match run. What ctx interrupts can be continued by calling Run
// again; so can what ended with any other error.
func Run(ctx context.Context, grant authority.Grant, job Job) (Summary, error) {
	if err := grant.Permits(tutela.ActionScan); err != nil {
		return Summary{}, err
	}
	if job.Watch == nil {
		job.Watch = new(Watch)
	}
	s, err := begin(ctx, grant, job)
	if err != nil {
		return Summary{}, err
	}
	err = s.read(ctx)
	if err := errors.Join(ended(ctx, err), s.close()); err != nil {
		return Summary{}, err
	}
	sum, err := s.seal(ctx)
	sum.NotKept = s.journal.thumbs.err()
	return sum, err
}

// scan is one call of Run.
type scan struct {
	job     Job
	grant   authority.Grant
	run     int // of the match run
	journal *journal
}

// begin opens the ledgers, brings the match run and the catalogue up to the
// records, and so makes continuing and beginning the same thing.
func begin(ctx context.Context, grant authority.Grant, job Job) (*scan, error) {
	records, err := job.Desk.OpenRecords(job.ID)
	if err != nil {
		return nil, err
	}
	s := &scan{job: job, grant: grant, journal: &journal{
		ctx: ctx, grant: grant, desk: job.Desk, id: job.ID, records: records,
		batch: cmp.Or(job.batch, commitRecords), last: time.Now(), interim: time.Now(), interimN: records.Size(), progress: &job.Watch.progress,
		thumbs: &thumbs{store: job.Thumbs},
	}}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *scan) open(ctx context.Context) (err error) {
	j := s.journal
	if j.state, err = openState(j.records); err != nil {
		return err
	}
	reader, err := s.job.Desk.ReadRecords(s.job.ID)
	if err != nil {
		return err
	}
	defer reader.Close()
	if s.run, j.matches, err = openRun(ctx, s.job); err != nil {
		return err
	}
	if err := j.matches.catchUp(ctx, reader); err != nil {
		return err
	}
	j.progress.match(&j.matches.state)
	j.follow, err = follow(ctx, s.job.Catalog, s.job.ID, reader, func(below uint64) error {
		return s.job.Desk.ShowMatches(ctx, s.job.Catalog, s.job.ID, s.run, below)
	})
	if err == nil && s.job.showEvery > 0 {
		j.follow.every = s.job.showEvery
	}
	if err == nil {
		go j.follow.run()
	}
	return err
}

// openRun goes on with the newest match run if it was made against these sets,
// is not complete and nothing was erased from it; else it begins the next. One that
// is in the log and has lost its cursor, as after a repair, is left as it is: it
// would seem to be new.
func openRun(ctx context.Context, job Job) (run int, m *matching, err error) {
	last, err := job.Desk.LastMatchRun(job.ID)
	if err != nil {
		return 0, nil, err
	}
	told, err := toldRun(ctx, job)
	if err != nil {
		return 0, nil, err
	}
	for run = max(last, 1); ; run++ {
		tree, err := job.Desk.OpenMatches(job.ID, run)
		if errors.Is(err, ledger.ErrErased) {
			continue
		}
		if err != nil {
			return 0, nil, err
		}
		m, fits, err := openMatching(tree, job.Sets)
		if fits && err == nil && (run > told || len(tree.Cursor()) > 0) {
			return run, m, nil
		}
		if err := errors.Join(err, tree.Close()); err != nil {
			return 0, nil, err
		}
	}
}

// toldRun is the newest match run of the scan that is in the log, 0 if there is none.
func toldRun(ctx context.Context, job Job) (int, error) {
	s, err := job.Catalog.Scan(ctx, job.ID)
	if err != nil || s.Run == nil {
		return 0, err
	}
	return s.Run.Run, nil
}

// read walks the evidence and takes every record.
func (s *scan) read(ctx context.Context) error {
	j := s.journal
	o := newObserver(&s.job, j.progress, j.matches.certain, j.thumbs)
	if err := observe(ctx, s.job.Evidence, o, s.job.workers(), j.state.Cursor, j.take); err != nil {
		return err
	}
	return j.commit()
}

func (j Job) profile() Profile {
	if j.Profile == "" {
		return Standard
	}
	return j.Profile
}

func (j Job) workers() int {
	if j.Workers > 0 {
		return j.Workers
	}
	return runtime.GOMAXPROCS(0)
}

// close gives back what begin opened. What was not committed is dropped.
func (s *scan) close() error {
	j := s.journal
	errs := []error{j.records.Close()}
	if j.matches != nil {
		errs = append(errs, j.matches.tree.Close())
	}
	if j.follow != nil {
		errs = append(errs, j.follow.close())
	}
	return errors.Join(errs...)
}

// seal shows the matches and writes both roots into the agency log. The events
// carry keys, so that a crash between them leads to one of each when the scan is
// run again.
func (s *scan) seal(ctx context.Context) (Summary, error) {
	reader, err := s.job.Desk.ReadRecords(s.job.ID)
	if err != nil {
		return Summary{}, err
	}
	defer reader.Close()
	state := s.journal.state
	sum := Summary{Counts: state.Counts, Root: tutela.SHA256(reader.Root()), Run: s.run}
	id := s.job.ID
	sealed, err := event(s.grant, tutela.EventSeal, fmt.Sprintf("seal/%s/%d", id.Exhibit, id.Number), tutela.Seal{
		Exhibit: id.Exhibit, Number: id.Number, Root: sum.Root, Records: reader.Size(), Bytes: state.Counts.Bytes,
		Unreadable: state.Counts.Unreadable, States: state.Counts.States, Sources: s.job.Sources, Volumes: s.job.Volumes,
		Unread: state.Unread, Tool: s.job.Tool,
	})
	if err != nil {
		return sum, err
	}
	if sealed.Facts, err = s.job.Desk.RootFacts(ctx, tutela.FactRecords, reader); err != nil {
		return sum, ended(ctx, err)
	}
	run, matched, err := completeRun(ctx, s.grant, s.job, reader, s.run, &s.journal.matches.state)
	if err != nil {
		return sum, err
	}
	indices, err := s.job.Desk.RecordAll(ctx, sealed, matched)
	if err != nil {
		return sum, err
	}
	sum.LogIndex = indices[0]
	sum.Alerts, sum.OfInterest, sum.KnownGood = run.Alerts, run.OfInterest, run.KnownGood
	return sum, nil
}

// rootOf is the fact that a tree has a size and a root.
func rootOf(name string, size uint64, root tutela.SHA256) tutela.Fact {
	return tutela.Fact{Name: name, Number: size, Value: root[:]}
}

// event is an event about the granted exhibit.
func event(grant authority.Grant, kind tutela.EventKind, key string, detail any) (tutela.Event, error) {
	ev, err := tutela.NewEvent(kind, time.Now(), grant.Actor(), detail)
	ev.Case, ev.Exhibit, ev.Authority, ev.Key = grant.Exhibit().Case, grant.Exhibit().Label, grant.Reference(), key
	return ev, err
}
