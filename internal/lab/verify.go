package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"tutela"
	"tutela/internal/catalog"
	"tutela/internal/ledger"
	"tutela/internal/ledger/check"
)

// Verdict is what Verify found.
type Verdict struct {
	Exhibits int    // with a ledger
	Records  uint64 // leaves of record trees that were recomputed
	Entries  uint64 // of the agency log
	Erased   uint64 // leaves of records and match runs that an erase event tells of
	Second   int    // trees that have a root under SHA-512 too, which was made again
	Heads    int    // that are kept for what others say of them, and are the log's
	Reads    uint64 // leaves of access ledgers that were recomputed
	Stamps   int    // time-stamps and anchors of those that verify
	Problems []string
	Notes    []string // what is to be known and is no problem of the ledger, such as a clock that was off
}

func (v *Verdict) problem(format string, args ...any) {
	v.Problems = append(v.Problems, fmt.Sprintf(format, args...))
}

func (v *Verdict) note(format string, args ...any) {
	v.Notes = append(v.Notes, fmt.Sprintf(format, args...))
}

// Verify recomputes the agency log and, for the named exhibits or all, every
// leaf and root of every record tree and match run, and holds them against the
// seals in the log; it holds the heads that are kept, their stamps and their anchors
// against the log too. The catalogue is not asked: it proves nothing. What does not
// hold is a problem of the verdict, not an error.
func (l *Lab) Verify(ctx context.Context, exhibits []string) (v Verdict, err error) {
	log, err := l.ReadLog()
	if err != nil {
		v.problem("agency log: %v", err)
		return v, nil
	}
	problems, err := log.Verify(ctx)
	if err != nil {
		return v, err
	}
	for _, p := range problems {
		v.problem("agency log: %s", p)
	}
	told, err := l.told(ctx, log, &v)
	if err != nil {
		return v, err
	}
	if err := l.verifyReads(ctx, &v); err != nil {
		return v, err
	}
	return v, l.verifyTold(ctx, told, exhibits, &v)
}

// told is what the agency log says of the ledgers beside it.
type told struct {
	exhibits []string                       // that were added, in order
	cases    map[string]string              // of each exhibit
	starts   []catalog.ScanID               // that were begun
	seals    map[catalog.ScanID]tutela.Seal // of those that were sealed
	runs     map[catalog.ScanID][]tutela.MatchRun
	erased   map[treeID][]uint64      // leaves
	facts    map[treeID][]tutela.Fact // by which seals and renewals name the tree
}

// treeID names a tree: the records of a scan where run is 0, else one of its
// match runs.
type treeID struct {
	catalog.ScanID
	run int
}

func (id treeID) String() string {
	if id.run == 0 {
		return id.ScanID.String()
	}
	return fmt.Sprintf("%s match run %d", id.ScanID, id.run)
}

// fact is the name of the fact that tells the root of such a tree.
func (id treeID) fact() string {
	if id.run == 0 {
		return tutela.FactRecords
	}
	return tutela.FactMatches
}

func newTold() told {
	return told{cases: map[string]string{}, seals: map[catalog.ScanID]tutela.Seal{}, runs: map[catalog.ScanID][]tutela.MatchRun{}, erased: map[treeID][]uint64{}, facts: map[treeID][]tutela.Fact{}}
}

func (l *Lab) told(ctx context.Context, log *ledger.LogReader, v *Verdict) (told, error) {
	kept, err := l.Heads().Sizes()
	shown, err2 := l.ownGossip()
	if err := errors.Join(err, err2); err != nil {
		v.problem("%v", err)
	}
	heads, signed := newVouching(slices.Concat(kept, shown)), newSignings()
	t := newTold()
	for entry, err := range log.Events(ctx, 0) {
		if ctx.Err() != nil {
			return t, context.Cause(ctx)
		}
		if err != nil {
			v.problem("agency log: %v", err)
			break
		}
		v.Entries++
		if err := errors.Join(t.take(entry.Event), heads.take(entry), signed.take(entry.Index, &entry.Event)); err != nil {
			v.problem("agency log: entry %d: %v", entry.Index, err)
		}
	}
	l.verifyHeads(heads, v)
	l.verifyGossip(heads, v)
	return t, nil
}

func (t *told) take(ev tutela.Event) error {
	switch ev.Kind {
	case tutela.EventSeize:
		t.exhibits = append(t.exhibits, ev.Exhibit)
		t.cases[ev.Exhibit] = ev.Case
	case tutela.EventScanStart:
		var start tutela.ScanStart
		if err := tutela.DecodeDetail(ev.Detail, &start); err != nil {
			return err
		}
		t.starts = append(t.starts, catalog.ScanID{Exhibit: start.Exhibit, Number: start.Number})
	case tutela.EventSeal:
		var seal tutela.Seal
		if err := tutela.DecodeDetail(ev.Detail, &seal); err != nil {
			return err
		}
		id := catalog.ScanID{Exhibit: seal.Exhibit, Number: seal.Number}
		t.seals[id] = seal
		t.takeFacts(treeID{ScanID: id}, tutela.FactRecords, ev.Facts)
	case tutela.EventMatchRun:
		var run tutela.MatchRun
		if err := tutela.DecodeDetail(ev.Detail, &run); err != nil {
			return err
		}
		id := catalog.ScanID{Exhibit: run.Exhibit, Number: run.Number}
		t.runs[id] = append(t.runs[id], run)
		t.takeFacts(treeID{id, run.Run}, tutela.FactMatches, ev.Facts)
	case tutela.EventRenew:
		var r tutela.Renew
		if err := tutela.DecodeDetail(ev.Detail, &r); err != nil {
			return err
		}
		tree := treeID{catalog.ScanID{Exhibit: r.Exhibit, Number: r.Number}, r.Run}
		t.takeFacts(tree, tree.fact(), ev.Facts)
	case tutela.EventAdmit:
		var a tutela.Admit
		if err := tutela.DecodeDetail(ev.Detail, &a); err != nil {
			return err
		}
		return t.takeAdmitted(a, ev.Facts)
	case tutela.EventErase:
		var e tutela.Erase
		if err := tutela.DecodeDetail(ev.Detail, &e); err != nil {
			return err
		}
		t.takeErased(e)
	}
	return nil
}

// takeAdmitted keeps what an admit event says of a scan: all that start, seal and
// match runs say of others.
func (t *told) takeAdmitted(a tutela.Admit, facts []tutela.Fact) error {
	id := catalog.ScanID{Exhibit: a.Exhibit, Number: a.Number}
	t.starts = append(t.starts, id)
	t.seals[id], t.runs[id] = a.Seal, a.Runs
	t.takeErased(tutela.Erase{Exhibit: a.Exhibit, Scans: []tutela.ErasedScan{a.Erased}})
	t.takeFacts(treeID{ScanID: id}, tutela.FactRecords, facts)
	if len(a.Runs) > 0 {
		t.takeFacts(treeID{id, a.Runs[len(a.Runs)-1].Run}, tutela.FactMatches, facts)
	}
	return verifyAdmit(&a)
}

// takeFacts keeps what an event says of a tree under a fact's name and under that
// of its second root.
func (t *told) takeFacts(tree treeID, name string, facts []tutela.Fact) {
	for _, f := range facts {
		if f.Name == name || f.Name == secondName(name) {
			t.facts[tree] = append(t.facts[tree], f)
		}
	}
}

func (t *told) takeErased(e tutela.Erase) {
	for _, s := range e.Scans {
		tree := treeID{ScanID: catalog.ScanID{Exhibit: e.Exhibit, Number: s.Number}}
		t.erased[tree] = union(t.erased[tree], s.Leaves)
		for _, r := range s.Runs {
			tree.run = r.Run
			t.erased[tree] = union(t.erased[tree], r.Leaves)
		}
	}
}

// claims are the trees of the named exhibits, or of all: those of scans that were
// begun, each followed by its match runs.
func (t *told) claims(exhibits []string) ([]claim, error) {
	for _, label := range exhibits {
		if !slices.Contains(t.exhibits, label) {
			return nil, fmt.Errorf("exhibit %s: %w", label, catalog.ErrNotFound)
		}
	}
	var claims []claim
	for _, id := range t.starts {
		if len(exhibits) > 0 && !slices.Contains(exhibits, id.Exhibit) {
			continue
		}
		seal, sealed := t.seals[id]
		claims = append(claims, t.claim(treeID{ScanID: id}, sealed, seal.Records, seal.Root))
		for _, run := range t.runs[id] {
			claims = append(claims, t.claim(treeID{id, run.Run}, true, run.Matches, run.Root))
		}
	}
	return claims, nil
}

func (t *told) claim(tree treeID, sealed bool, size uint64, root tutela.SHA256) claim {
	return claim{tree: tree, sealed: sealed, size: size, root: root, erased: t.erased[tree], facts: t.facts[tree]}
}

// claim is what the log says of a tree.
type claim struct {
	tree   treeID
	sealed bool // else size and root are not told
	size   uint64
	root   tutela.SHA256
	erased []uint64 // leaves, ascending
	facts  []tutela.Fact
}

func (l *Lab) verifyTold(ctx context.Context, t told, exhibits []string, v *Verdict) error {
	claims, err := t.claims(exhibits)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, want := range claims {
		seen[want.tree.Exhibit] = true
		tree, err := l.readTree(want.tree)
		if !want.sealed && errors.Is(err, fs.ErrNotExist) {
			continue // begun, and stopped before the first record
		}
		n, err := v.verifyTree(ctx, tree, err, want)
		if err != nil {
			return err
		}
		if want.tree.run == 0 {
			v.Records += n
		}
	}
	v.Exhibits = len(seen)
	return nil
}

// verifyTree recomputes a tree and holds it against what the log says. It returns
// how many leaves there are.
func (v *Verdict) verifyTree(ctx context.Context, tree *ledger.Reader, opened error, want claim) (uint64, error) {
	if opened != nil {
		v.problem("%s: %v", want.tree, opened)
		return 0, nil
	}
	defer tree.Close()
	problems, second, err := want.verify(ctx, tree)
	if errors.Is(err, ledger.ErrDamaged) {
		v.problem("%s: %v", want.tree, err)
	} else if err != nil {
		return 0, err
	}
	for _, p := range problems {
		v.problem("%s: %s", want.tree, p)
	}
	if want.sealed && tree.Size() != want.size {
		v.problem("%s: %d leaves, the seal says %d", want.tree, tree.Size(), want.size)
	}
	if want.sealed && tutela.SHA256(tree.Root()) != want.root {
		v.problem("%s: root %s, the seal says %s", want.tree, tree.Root(), want.root)
	}
	v.compareErased(want, tree.Erased())
	v.compareFacts(tree, want, second)
	return tree.Size(), nil
}

// verify reads a tree whole. The second root is made where an event names one, and
// is nil where it is not or can not be.
func (c claim) verify(ctx context.Context, tree *ledger.Reader) ([]ledger.Problem, []byte, error) {
	if !slices.ContainsFunc(c.facts, func(f tutela.Fact) bool { return isSecond(f.Name) }) {
		problems, err := tree.Verify(ctx, nil)
		return problems, nil, err
	}
	problems, second, err := tree.VerifyBoth(ctx, nil)
	if err != nil || len(problems) > 0 {
		return problems, nil, err
	}
	return nil, second[:], nil
}

// compareFacts holds every root by which an event names the tree against the tree.
func (v *Verdict) compareFacts(tree *ledger.Reader, want claim, second []byte) {
	first := tree.Root()
	for _, f := range want.facts {
		root := first[:]
		if isSecond(f.Name) {
			root = second
		}
		if root != nil && (f.Number != tree.Size() || !bytes.Equal(f.Value, root)) {
			v.problem("%s: %s is %x over %d leaves, an event says %x over %d", want.tree, f.Name, root, tree.Size(), f.Value, f.Number)
		}
	}
	if second != nil {
		v.Second++
	}
}

// compareErased holds the leaves that nobody can open any more against those that
// the log says were erased.
func (v *Verdict) compareErased(want claim, erased []uint64) {
	for _, leaf := range erased {
		if _, told := slices.BinarySearch(want.erased, leaf); !told {
			v.problem("%s: leaf %d cannot be opened, and no erase event tells of it", want.tree, leaf)
			return
		}
	}
	for _, leaf := range want.erased {
		if _, gone := slices.BinarySearch(erased, leaf); !gone {
			v.problem("%s: leaf %d was erased, the log says, and it can be opened", want.tree, leaf)
			return
		}
	}
	v.Erased += uint64(len(erased))
}

// Proof shows that a record stands in a sealed scan: from the record to the
// signed head of the agency log.
type Proof struct {
	Scan      catalog.Scan
	Leaf      uint64
	Record    *tutela.Record
	Opening   check.Opening // of the record
	Inclusion []check.Hash
	Size      uint64 // leaves under Root
	Root      check.Hash
	Second    *SecondProof // nil where the event names no second root
	Seal      ledger.Proof // of the event that names Root
	Head      check.Checkpoint
	LogKeys   []string
}

// SecondProof shows the same under SHA-512.
type SecondProof struct {
	Inclusion []ledger.Hash512
	Root      ledger.Hash512
	Renewal   *ledger.Proof // of the event that names Root; nil where the seal does
}

// Prove makes the proof of one record and checks every step of it. An error
// that wraps ErrIntegrity means that a step does not hold.
func (l *Lab) Prove(ctx context.Context, scan catalog.Scan, leaf uint64) (*Proof, error) {
	p := &Proof{Scan: scan, Leaf: leaf, LogKeys: l.keys.VerifierKeys()}
	if err := l.proveRecord(p); err != nil {
		return nil, fmt.Errorf("prove leaf %d of %s: %w", leaf, scan.ScanID, err)
	}
	sealed, err := l.proveSeal(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("prove the seal of %s: %w", scan.ScanID, err)
	}
	if err := l.proveSecond(ctx, p, sealed); err != nil {
		return nil, fmt.Errorf("prove leaf %d of %s under the second root: %w", leaf, scan.ScanID, err)
	}
	return p, nil
}

func (l *Lab) proveRecord(p *Proof) (err error) {
	tree, err := l.ReadRecords(p.Scan.ScanID)
	if err != nil {
		return err
	}
	defer tree.Close()
	p.Size, p.Root = tree.Size(), tree.Root()
	if p.Opening, err = tree.Opening(p.Leaf); err != nil {
		return err
	}
	if p.Record, err = ledger.DecodeRecord(p.Opening.Body); err != nil {
		return err
	}
	if p.Inclusion, err = tree.Prove(p.Leaf); err != nil {
		return err
	}
	if err := check.VerifyInclusion(p.Root, p.Size, p.Leaf, p.Opening.Leaf(), p.Inclusion); err != nil {
		return fmt.Errorf("%w: %w", ErrIntegrity, err)
	}
	return nil
}

// proveSeal proves the event that seals the scan, and returns it.
func (l *Lab) proveSeal(ctx context.Context, p *Proof) (event *tutela.Event, err error) {
	if p.Seal, p.Head, event, err = l.proveEvent(ctx, p.Scan.LogIndex, p.LogKeys); err != nil {
		return nil, err
	}
	seal, err := sealIn(event)
	if err != nil {
		return nil, err
	}
	if seal.Root != tutela.SHA256(p.Root) || seal.Records != p.Size {
		return nil, fmt.Errorf("%w: entry %d of the agency log does not name this root", ErrIntegrity, p.Scan.LogIndex)
	}
	return event, nil
}

// sealIn is what an event that makes a scan one of this lab says of it.
func sealIn(event *tutela.Event) (tutela.Seal, error) {
	if event.Kind == tutela.EventAdmit {
		var a tutela.Admit
		err := tutela.DecodeDetail(event.Detail, &a)
		return a.Seal, err
	}
	var seal tutela.Seal
	err := tutela.DecodeDetail(event.Detail, &seal)
	return seal, err
}

// proveEvent makes the proof of an entry of the log and checks it.
func (l *Lab) proveEvent(ctx context.Context, index uint64, logKeys []string) (p ledger.Proof, head check.Checkpoint, event *tutela.Event, err error) {
	log, err := l.ReadLog()
	if err != nil {
		return p, head, nil, err
	}
	if p, err = log.Prove(ctx, index); err != nil {
		return p, head, nil, err
	}
	keys, err := check.ParseLogKeys(logKeys...)
	if err != nil {
		return p, head, nil, err
	}
	if head, err = p.VerifyEvent(p.Opening, keys); err != nil {
		return p, head, nil, fmt.Errorf("%w: %w", ErrIntegrity, err)
	}
	event, err = ledger.DecodeEvent(p.Opening.Body)
	return p, head, event, err
}

// proveSecond proves the record under the second root that the seal or a renewal
// names, if one does. It reads all records of the scan.
func (l *Lab) proveSecond(ctx context.Context, p *Proof, sealed *tutela.Event) error {
	second := new(SecondProof)
	named := sealed.Fact(tutela.FactRecords512)
	if named.Name == "" {
		index, err := l.renewal(ctx, p.Scan.ScanID)
		if err != nil || index == 0 {
			return err
		}
		proof, _, event, err := l.proveEvent(ctx, index, p.LogKeys)
		if err != nil {
			return err
		}
		second.Renewal, named = &proof, event.Fact(tutela.FactRecords512)
	}
	p.Second = second
	return l.proveUnder(ctx, p, named)
}

// renewal is the index of the first event that renews the records of a scan; 0 if
// there is none.
func (l *Lab) renewal(ctx context.Context, id catalog.ScanID) (uint64, error) {
	log, err := l.ReadLog()
	if err != nil {
		return 0, err
	}
	for entry, err := range log.Events(ctx, 0) {
		if err != nil {
			return 0, err
		}
		if entry.Event.Kind != tutela.EventRenew || entry.Event.Exhibit != id.Exhibit {
			continue
		}
		var r tutela.Renew
		if err := tutela.DecodeDetail(entry.Event.Detail, &r); err != nil {
			return 0, err
		}
		if r.Number == id.Number && r.Run == 0 {
			return entry.Index, nil
		}
	}
	return 0, nil
}

// proveUnder fills in the proof under a second root, which must be the named one.
func (l *Lab) proveUnder(ctx context.Context, p *Proof, named tutela.Fact) error {
	tree, err := l.ReadRecords(p.Scan.ScanID)
	if err != nil {
		return err
	}
	defer tree.Close()
	s := p.Second
	if s.Inclusion, s.Root, err = tree.Prove512(ctx, p.Leaf); err != nil {
		return err
	}
	if named.Number != p.Size || !bytes.Equal(named.Value, s.Root[:]) {
		return fmt.Errorf("%w: the log names the second root %x over %d leaves, it is %s over %d", ErrIntegrity, named.Value, named.Number, s.Root, p.Size)
	}
	if err := ledger.VerifyInclusion512(s.Root, p.Size, p.Leaf, p.Opening, s.Inclusion); err != nil {
		return fmt.Errorf("%w: %w", ErrIntegrity, err)
	}
	return nil
}
