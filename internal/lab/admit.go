package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"tutela"
	"tutela/internal/catalog"
	"tutela/internal/durable"
	"tutela/internal/ledger"
	"tutela/internal/ledger/check"
)

// ErrNotAdmissible means that a scan of another lab cannot become one of this lab.
var ErrNotAdmissible = errors.New("cannot be admitted")

// Admission asks for scans of another lab.
type Admission struct {
	From     string    // folder of the other lab
	Key      *[32]byte // under which its keys are encrypted, see [Wrapped]; nil if they are not
	Exhibits []string  // empty: all
}

// Admitted is a scan of another lab that is one of this lab now.
type Admitted struct {
	tutela.Admit
	Fingerprint string // of the other log's keys, see [Lab.KeyFingerprint]
	LogIndex    uint64 // of the admit event in this lab's log
	Before      bool   // it had been admitted already
}

// Admit takes over the sealed scans of another lab: those of the named exhibits, or
// of all. Each is handed to done.
//
// The other lab is only read. All of it that concerns the exhibits is verified by
// its own keys first; whether those are that lab's, people must know by another
// way. An exhibit that is not known here is added as it was described there; its
// case must be open here. Then, for each scan:
//
//  1. its ledgers are copied beside those of the exhibit, durably, and the copy is
//     read as a whole and held against the sealed roots
//  2. its seeds are saved
//  3. the event that will be logged is written down as an intent, signed. From here
//     on a crash only interrupts it, and the next opening goes on
//  4. the copy takes its name, the event is logged, and the catalogue is filled
//
// A scan that was admitted before is not admitted again. Errors wrap ErrIntegrity
// where the other lab does not verify, and ErrNotAdmissible where its scan does not
// fit: not sealed and matched, a number that is taken here, another case or serial
// number, or a seed other than that of scans which are here.
func (l *Lab) Admit(ctx context.Context, a Admission, done func(Admitted) error) error {
	return (&admitter{Lab: l, reached: func(string) error { return nil }}).admit(ctx, a, done)
}

// admitter admits. reached is called after each step; a test crashes there.
type admitter struct {
	*Lab
	reached func(step string) error
}

func (x *admitter) admit(ctx context.Context, a Admission, done func(Admitted) error) error {
	if err := x.resume(ctx); err != nil {
		return err
	}
	other, err := openOther(ctx, a, x.keys)
	if err != nil {
		return fmt.Errorf("admit from %s: %w", a.From, err)
	}
	offers, err := other.offers(ctx, a.Exhibits)
	if err != nil {
		return fmt.Errorf("admit from %s: %w", a.From, err)
	}
	for _, o := range offers {
		admitted, err := x.admitOne(ctx, other, o)
		if err != nil {
			return fmt.Errorf("admit %s: %w", o.id(), err)
		}
		admitted.Fingerprint = other.KeyFingerprint()
		if err := done(admitted); err != nil {
			return err
		}
	}
	return nil
}

// otherLab is a lab that is only read. It has no catalogue.
type otherLab struct{ *Lab }

func openOther(ctx context.Context, a Admission, ours *ledger.Keys) (otherLab, error) {
	l := &Lab{Dir: a.From, key: a.Key}
	if !isLab(l.Dir) {
		return otherLab{}, fmt.Errorf("%w: %s has no lab.toml", ErrNoLab, l.Dir)
	}
	for _, part := range []string{"keys", "ledger"} {
		if err := refuseOddFiles(ctx, filepath.Join(l.Dir, part)); err != nil {
			return otherLab{}, err
		}
	}
	if err := l.readConfig(); err != nil {
		return otherLab{}, err
	}
	if err := l.loadKeys(ctx, Read); err != nil {
		return otherLab{}, err
	}
	if l.keys.Fingerprint() == ours.Fingerprint() {
		return otherLab{}, fmt.Errorf("%w: it is this lab, or a copy of it", ErrNotAdmissible)
	}
	return otherLab{l}, nil
}

// refuseOddFiles refuses a folder that holds anything but files and folders: a pipe
// would never end, and a link lead elsewhere. Who can still change the folder is not
// kept from it.
func refuseOddFiles(ctx context.Context, dir string) error {
	return filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if !e.IsDir() && !e.Type().IsRegular() {
			return fmt.Errorf("%w: %s is neither a file nor a folder", ErrNotAdmissible, name)
		}
		return nil
	})
}

// offer is a sealed scan of another lab with all that its log tells of it.
type offer struct {
	tutela.Admit
	exhibit tutela.Exhibit
	claims  []claim // its trees, the records first
}

func (o *offer) id() catalog.ScanID {
	return catalog.ScanID{Exhibit: o.Exhibit, Number: o.Number}
}

// newest is the claim of the newest match run.
func (o *offer) newest() claim { return o.claims[len(o.claims)-1] }

// offers verifies the other lab and lists the scans that can be admitted.
func (l otherLab) offers(ctx context.Context, exhibits []string) ([]*offer, error) {
	v, err := l.Verify(ctx, exhibits)
	if err != nil {
		return nil, err
	}
	if len(v.Problems) > 0 {
		return nil, fmt.Errorf("%w: %s", ErrIntegrity, v.Problems[0])
	}
	h, err := l.history(ctx)
	if err != nil {
		return nil, err
	}
	claims, err := h.told.claims(exhibits)
	if err != nil {
		return nil, err
	}
	var offers []*offer
	for _, c := range claims {
		if c.tree.run == 0 {
			offers = append(offers, h.offer(c))
			continue
		}
		last := offers[len(offers)-1]
		last.claims = append(last.claims, c)
	}
	if offers, err = finished(offers); err != nil {
		return nil, err
	}
	for _, o := range offers {
		if !printable(o.exhibit.Label) || !printable(o.exhibit.Case) || o.exhibit.Label != o.Exhibit {
			return nil, fmt.Errorf("%w: %s has no name that can be shown", ErrNotAdmissible, o.id())
		}
		if err := l.proveOffer(ctx, o); err != nil {
			return nil, err
		}
	}
	return offers, nil
}

// printable reports whether a name can be shown to people as it is.
func printable(name string) bool {
	return name != "" && strings.TrimSpace(name) == name && tutela.DisplayPath([]byte(name)) == name
}

// history is what another lab's log tells, with who did it and when.
type history struct {
	told     told
	exhibits map[string]tutela.Exhibit
	starts   map[catalog.ScanID]ledger.Entry
	seals    map[catalog.ScanID]ledger.Entry
	matched  map[catalog.ScanID]time.Time
}

func (l otherLab) history(ctx context.Context) (*history, error) {
	log, err := l.ReadLog()
	if err != nil {
		return nil, err
	}
	h := &history{told: newTold(), exhibits: map[string]tutela.Exhibit{}, starts: map[catalog.ScanID]ledger.Entry{},
		seals: map[catalog.ScanID]ledger.Entry{}, matched: map[catalog.ScanID]time.Time{}}
	for entry, err := range log.Events(ctx, 0) {
		if err == nil {
			err = errors.Join(h.told.take(entry.Event), h.take(entry))
		}
		if err != nil {
			return nil, err
		}
	}
	return h, nil
}

func (h *history) take(e ledger.Entry) error {
	switch e.Event.Kind {
	case tutela.EventSeize:
		var x tutela.Exhibit
		if err := tutela.DecodeDetail(e.Event.Detail, &x); err != nil {
			return err
		}
		h.exhibits[x.Label] = x
	case tutela.EventScanStart, tutela.EventSeal, tutela.EventMatchRun:
		number, err := scanNumber(e.Event)
		if err != nil {
			return err
		}
		h.keep(catalog.ScanID{Exhibit: e.Event.Exhibit, Number: number}, e)
	}
	return nil
}

func (h *history) keep(id catalog.ScanID, e ledger.Entry) {
	switch e.Event.Kind {
	case tutela.EventScanStart:
		h.starts[id] = e
	case tutela.EventSeal:
		h.seals[id] = e
	case tutela.EventMatchRun:
		h.matched[id] = e.Event.Time
	}
}

// scanNumber is the number of the scan that an event is about.
func scanNumber(ev tutela.Event) (int, error) {
	switch ev.Kind {
	case tutela.EventScanStart:
		var d tutela.ScanStart
		err := tutela.DecodeDetail(ev.Detail, &d)
		return d.Number, err
	case tutela.EventSeal:
		var d tutela.Seal
		err := tutela.DecodeDetail(ev.Detail, &d)
		return d.Number, err
	}
	var d tutela.MatchRun
	err := tutela.DecodeDetail(ev.Detail, &d)
	return d.Number, err
}

// offer is a scan by the claim of its records, which may not be sealed.
func (h *history) offer(records claim) *offer {
	id := records.tree.ScanID
	start, seal := h.starts[id], h.seals[id]
	o := &offer{exhibit: h.exhibits[id.Exhibit], claims: []claim{records}}
	o.Admit = tutela.Admit{
		Exhibit: id.Exhibit, Number: id.Number, SealIndex: seal.Index, Actor: seal.Event.Actor, Authority: start.Event.Authority,
		Started: start.Event.Time, Sealed: seal.Event.Time, Matched: h.matched[id],
		Seal: h.told.seals[id], Runs: h.told.runs[id], Erased: h.told.erasedOf(id),
	}
	// It was decoded before: told has taken it.
	_ = tutela.DecodeDetail(start.Event.Detail, &o.Start)
	return o
}

// erasedOf lists what was erased of a scan.
func (t *told) erasedOf(id catalog.ScanID) tutela.ErasedScan {
	e := tutela.ErasedScan{Number: id.Number, Leaves: append([]uint64{}, t.erased[treeID{ScanID: id}]...), Runs: []tutela.ErasedRun{}}
	for _, run := range t.runs[id] {
		if leaves := t.erased[treeID{id, run.Run}]; len(leaves) > 0 {
			e.Runs = append(e.Runs, tutela.ErasedRun{Run: run.Run, Leaves: leaves})
		}
	}
	return e
}

// finished drops scans that were begun and given up for a later one. An exhibit
// whose newest scan is not finished is refused.
func finished(offers []*offer) (sealed []*offer, err error) {
	for i, o := range offers {
		if o.claims[0].sealed && len(o.Runs) > 0 {
			sealed = append(sealed, o)
			continue
		}
		later := func(other *offer) bool { return other.Exhibit == o.Exhibit }
		if !slices.ContainsFunc(offers[i+1:], later) {
			return nil, fmt.Errorf("%w: %s is not sealed and matched; finish it where it was begun", ErrNotAdmissible, o.id())
		}
	}
	if len(sealed) == 0 {
		return nil, fmt.Errorf("%w: there is no sealed scan", ErrNotAdmissible)
	}
	return sealed, nil
}

// proveOffer adds the proof of the seal under the head of the other log.
func (l otherLab) proveOffer(ctx context.Context, o *offer) error {
	keys := l.keys.VerifierKeys()
	proof, head, _, err := l.proveEvent(ctx, o.SealIndex, keys)
	if err != nil {
		return err
	}
	o.Origin, o.LogKeys, o.HeadSize, o.HeadRoot = head.Origin, keys, head.Size, tutela.SHA256(head.Root)
	o.LogProof, o.LogSalt, o.LogBody = string(proof.Text()), tutela.SHA256(proof.Opening.Salt), proof.Opening.Body
	return nil
}

// verifyAdmit holds an admit event's claims about the other log against the proof
// in it.
func verifyAdmit(a *tutela.Admit) error {
	keys, err := check.ParseLogKeys(a.LogKeys...)
	if err != nil {
		return err
	}
	proof, err := check.ParseLogProof([]byte(a.LogProof))
	if err != nil {
		return err
	}
	head, err := proof.VerifyEvent(check.Opening{Salt: check.Hash(a.LogSalt), Body: a.LogBody}, keys)
	if err != nil {
		return err
	}
	if head.Origin != a.Origin || head.Size != a.HeadSize || tutela.SHA256(head.Root) != a.HeadRoot || proof.Index != a.SealIndex {
		return fmt.Errorf("%w: the proof is of another head or entry", ErrIntegrity)
	}
	return verifyAdmittedSeal(a)
}

// verifyAdmittedSeal holds what an admit event says of the seal against the seal.
func verifyAdmittedSeal(a *tutela.Admit) error {
	ev, err := ledger.DecodeEvent(a.LogBody)
	if err != nil {
		return err
	}
	told, err := tutela.EncodeDetail(a.Seal)
	if err != nil {
		return err
	}
	if ev.Kind != tutela.EventSeal || ev.Actor != a.Actor || !ev.Time.Equal(a.Sealed) || !bytes.Equal(ev.Detail, told) ||
		a.Seal.Exhibit != a.Exhibit || a.Seal.Number != a.Number {
		return fmt.Errorf("%w: entry %d of %s is another seal", ErrIntegrity, a.SealIndex, a.Origin)
	}
	return nil
}

func (x *admitter) admitOne(ctx context.Context, other otherLab, o *offer) (Admitted, error) {
	before, err := x.admittedBefore(ctx, o)
	if err != nil || before != nil {
		return Admitted{Admit: o.Admit, LogIndex: indexOf(before), Before: true}, err
	}
	if err := x.receive(ctx, o); err != nil {
		return Admitted{}, err
	}
	facts, err := x.stage(ctx, other, o)
	if err != nil {
		return Admitted{}, err
	}
	ev, err := x.event(ctx, o, facts)
	if err != nil {
		return Admitted{}, err
	}
	if err := durable.WriteFile(x.admittingPath(o.Exhibit), ledger.AppendEvent(nil, &ev), 0o600); err != nil {
		return Admitted{}, fmt.Errorf("write down what will be admitted: %w", err)
	}
	if err := x.reached("intent"); err != nil {
		return Admitted{}, err
	}
	index, err := x.carryOut(ctx, ev)
	return Admitted{Admit: o.Admit, LogIndex: index}, err
}

func indexOf(s *catalog.Scan) uint64 {
	if s == nil {
		return 0
	}
	return s.LogIndex
}

// admittedBefore is the scan here, if it is the one that is offered.
func (x *admitter) admittedBefore(ctx context.Context, o *offer) (*catalog.Scan, error) {
	s, err := x.Catalog.Scan(ctx, o.id())
	if errors.Is(err, catalog.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	log, err := x.ReadLog()
	if err != nil {
		return nil, err
	}
	for e, err := range log.Events(ctx, s.LogIndex) {
		if err != nil {
			return nil, err
		}
		var a tutela.Admit
		if e.Event.Kind == tutela.EventAdmit && tutela.DecodeDetail(e.Event.Detail, &a) == nil && a.Origin == o.Origin && a.SealIndex == o.SealIndex && bytes.Equal(a.LogBody, o.LogBody) {
			return &s, nil
		}
		break
	}
	return nil, fmt.Errorf("%w: exhibit %s has a scan %d here already, and it is another one", ErrNotAdmissible, o.Exhibit, o.Number)
}

// receive makes sure that the exhibit is known here and is the same, or adds it.
func (x *admitter) receive(ctx context.Context, o *offer) error {
	ours, err := x.Catalog.Exhibit(ctx, o.Exhibit)
	if err == nil {
		return sameExhibit(ours, o.exhibit)
	}
	if !errors.Is(err, catalog.ErrNotFound) {
		return err
	}
	if _, err := x.Catalog.Case(ctx, o.exhibit.Case); err != nil {
		return fmt.Errorf("%w: case %s: %w", ErrNotAdmissible, o.exhibit.Case, err)
	}
	added := o.exhibit
	added.Added = time.Now().UTC().Truncate(time.Second)
	detail, err := tutela.EncodeDetail(added)
	if err != nil {
		return err
	}
	_, err = x.Record(ctx, tutela.Event{Kind: tutela.EventSeize, Time: added.Added, Case: added.Case, Exhibit: added.Label, Detail: detail})
	return err
}

func sameExhibit(ours, theirs tutela.Exhibit) error {
	if ours.Case != theirs.Case {
		return fmt.Errorf("%w: exhibit %s belongs to case %s here and to case %s there", ErrNotAdmissible, ours.Label, ours.Case, theirs.Case)
	}
	if ours.Serial != "" && theirs.Serial != "" && ours.Serial != theirs.Serial {
		return fmt.Errorf("%w: exhibit %s has the serial number %s here and %s there", ErrNotAdmissible, ours.Label, ours.Serial, theirs.Serial)
	}
	return nil
}

// stage copies the trees and seeds of a scan, holds the copy against what was
// sealed, and returns the facts that name its trees.
func (x *admitter) stage(ctx context.Context, other otherLab, o *offer) ([]tutela.Fact, error) {
	staged := x.stagedDir(o.id())
	if err := os.RemoveAll(staged); err != nil { // of an attempt that was cut short
		return nil, err
	}
	var facts []tutela.Fact
	for _, c := range o.claims {
		to := filepath.Join(staged, filepath.Base(other.treeDir(c.tree)))
		if err := copyTree(ctx, other.treeDir(c.tree), to); err != nil {
			return nil, fmt.Errorf("copy %s: %w", c.tree, err)
		}
		about, err := copiedFacts(ctx, other, c, to)
		if err != nil {
			return nil, fmt.Errorf("read the copy of %s: %w", c.tree, err)
		}
		if c.tree.run == 0 || c.tree == o.newest().tree {
			facts = append(facts, about...)
		}
	}
	if err := x.reached("copied"); err != nil {
		return nil, err
	}
	return facts, x.keepSeeds(ctx, other, o)
}

// copiedFacts reads a copied tree as a whole and names both its roots.
func copiedFacts(ctx context.Context, other otherLab, c claim, dir string) ([]tutela.Fact, error) {
	secret, err := other.treeSecret(c.tree)
	if err != nil {
		return nil, err
	}
	tree, err := ledger.ReadTree(dir, secret)
	if err != nil {
		return nil, err
	}
	defer tree.Close()
	second, err := c.secondRoot(ctx, tree)
	name := c.tree.fact()
	return []tutela.Fact{rootFact(name, tree), {Name: secondName(name), Number: tree.Size(), Value: second[:]}}, err
}

// copyTree copies the files of a tree into a new folder, durably.
func copyTree(ctx context.Context, from, to string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	for _, f := range treeFiles(from) {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := copyFile(filepath.Join(from, f.Name), filepath.Join(to, f.Name)); err != nil {
			return err
		}
	}
	return errors.Join(durable.SyncDir(to), durable.SyncDir(filepath.Dir(to)))
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Sync()
}

// keepSeeds saves the seeds of a scan's trees under the names that they have there.
// No seed is ever kept in two files: what is erased under one name must not be
// opened by the other.
func (x *admitter) keepSeeds(ctx context.Context, other otherLab, o *offer) error {
	shared := false
	for _, c := range o.claims {
		switch own := ownSeed(other.Lab, c.tree); {
		case isFile(own):
			if err := x.keepSeed(other, own, ownSeed(x.Lab, c.tree)); err != nil {
				return err
			}
		case c.tree.run == 0:
			shared = true
		}
	}
	if !shared {
		return x.AddExhibitSeed(o.Exhibit) // for scans to come
	}
	return x.keepExhibitSeed(ctx, other, o)
}

// ownSeed is the file of the seed that a tree has for itself, if it has one.
func ownSeed(l *Lab, id treeID) string {
	if id.run == 0 {
		return l.ownKey(id.ScanID)
	}
	return l.runKey(id.ScanID, id.run)
}

// keepSeed keeps what a file of the other lab holds in a file here, which must hold
// the same if it is there.
func (x *admitter) keepSeed(other otherLab, from, to string) error {
	secret, err := other.safe.LoadSecret(from)
	if err != nil {
		return err
	}
	if !isFile(to) {
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		return x.safe.SaveSecret(to, secret)
	}
	ours, err := x.safe.LoadSecret(to)
	if err == nil && !reflect.DeepEqual(ours, secret) {
		err = fmt.Errorf("%w: there is another seed of it here", ErrNotAdmissible)
	}
	return err
}

// keepExhibitSeed makes the exhibit's seed here what it is there. One that was never
// used gives way.
func (x *admitter) keepExhibitSeed(ctx context.Context, other otherLab, o *offer) error {
	from, to := other.seedPath(o.Exhibit), x.seedPath(o.Exhibit)
	err := x.keepSeed(other, from, to)
	if !errors.Is(err, ErrNotAdmissible) {
		return err
	}
	scans, err := x.Catalog.Scans(ctx, o.Exhibit)
	if err != nil {
		return err
	}
	if len(scans) > 0 {
		return fmt.Errorf("%w: exhibit %s was scanned here under another seed", ErrNotAdmissible, o.Exhibit)
	}
	fresh := to + ".admitting"
	if err := os.RemoveAll(fresh); err != nil { // of an attempt that was cut short
		return err
	}
	if err := x.keepSeed(other, from, fresh); err != nil {
		return err
	}
	if err := os.Rename(fresh, to); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(to))
}

// event is the admit event, signed now and not when it is recorded: whoever resumes
// may not be who admitted.
func (x *admitter) event(ctx context.Context, o *offer, facts []tutela.Fact) (tutela.Event, error) {
	ev, err := tutela.NewEvent(tutela.EventAdmit, time.Now(), x.actor, o.Admit)
	if err != nil {
		return ev, err
	}
	ev.Case, ev.Exhibit, ev.Facts = o.exhibit.Case, o.Exhibit, facts
	ev.Key = fmt.Sprintf("admit/%s/%d", o.Exhibit, o.Number)
	if err := x.Catalog.Check(ctx, ev); err != nil {
		return ev, fmt.Errorf("%w: %w", ErrNotAdmissible, err)
	}
	return ev, x.sign(ctx, &ev)
}

const stagedSuffix = ".admitting"

// stagedDir is where a scan lies until it is admitted.
func (l *Lab) stagedDir(id catalog.ScanID) string { return l.scanDir(id) + stagedSuffix }

// admittingPath is the file that holds the event of an admission until it is logged.
func (l *Lab) admittingPath(exhibit string) string {
	return filepath.Join(l.exhibitDir(exhibit), "admitting")
}

// resumeAdmissions goes on with what a crash interrupted.
func (l *Lab) resumeAdmissions(ctx context.Context) error {
	return (&admitter{Lab: l, reached: func(string) error { return nil }}).resume(ctx)
}

func (x *admitter) resume(ctx context.Context) error {
	events, err := x.intents("admitting")
	if err != nil {
		return err
	}
	for _, ev := range events {
		if _, err := x.carryOut(ctx, ev); err != nil {
			return err
		}
	}
	return x.dropStaged()
}

// dropStaged removes copies that were never going to be admitted: a crash came
// before their intent.
func (x *admitter) dropStaged() error {
	dirs, err := x.exhibitDirs()
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.IsDir() && strings.HasSuffix(e.Name(), stagedSuffix) {
				if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// carryOut does what an intent says. Every step may be done again.
func (x *admitter) carryOut(ctx context.Context, ev tutela.Event) (index uint64, err error) {
	var a tutela.Admit
	if err := tutela.DecodeDetail(ev.Detail, &a); err != nil {
		return 0, fmt.Errorf("admit: %w", err)
	}
	id := catalog.ScanID{Exhibit: a.Exhibit, Number: a.Number}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"named", func() error { return x.nameStaged(id) }},
		{"event", func() error { index, err = x.Record(ctx, ev); return err }},
		{"catalogue", func() error { return x.showAdmitted(ctx, id) }},
		{"done", func() error { return x.dropAdmitting(a.Exhibit) }},
	} {
		err := step.do()
		if err == nil {
			err = x.reached(step.name)
		}
		if err != nil {
			return 0, fmt.Errorf("admit %s: %s: %w", id, step.name, err)
		}
	}
	return index, nil
}

// nameStaged gives the copy its name, if it has it not yet.
func (x *admitter) nameStaged(id catalog.ScanID) error {
	err := os.Rename(x.stagedDir(id), x.scanDir(id))
	if errors.Is(err, fs.ErrNotExist) && isDir(x.recordsDir(id)) {
		return nil
	}
	if err != nil {
		return err
	}
	return durable.SyncDir(x.exhibitDir(id.Exhibit))
}

func (x *admitter) showAdmitted(ctx context.Context, id catalog.ScanID) error {
	s, err := x.Catalog.Scan(ctx, id)
	if err != nil {
		return err
	}
	_, err = x.reload(ctx, x.Catalog, s)
	return err
}

func (x *admitter) dropAdmitting(exhibit string) error {
	if err := os.Remove(x.admittingPath(exhibit)); err != nil {
		return err
	}
	return durable.SyncDir(x.exhibitDir(exhibit))
}
