package disclosure

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"tutela"
	"tutela/internal/authority"
	"tutela/internal/catalog"
	"tutela/internal/lab"
	"tutela/internal/ledger"
	"tutela/internal/ledger/check"
)

// Item is a record of a sealed scan.
type Item struct {
	catalog.ScanID
	Leaf uint64
}

// Opened are the leaves of one exhibit that were opened to be disclosed: the
// records that were chosen, and what the newest match run of their scan says
// about them.
type Opened struct {
	Items []Disclosing

	grant authority.Grant
	trees []*opening // by event, then name
}

// Disclosing is one record with its matches.
type Disclosing struct {
	Item
	Seal    uint64 // index of the event that names the tree it stands in
	Record  *tutela.Record
	Matches []tutela.Match
}

// Exhibit is the label of what the leaves are about.
func (o *Opened) Exhibit() string { return o.grant.Exhibit().Label }

// opening are the leaves of one tree that are opened, and their proofs.
type opening struct {
	event  uint64 // that names the root
	name   string // of the fact
	leaves []uint64
	opened []check.Opening
	proof  []check.Hash
	second []ledger.Hash512 // nil where the event names no second root
	twice  bool             // the event names a second root
}

// Open opens records of the exhibit that the grant is for, and proves them. One
// that was erased is an error that wraps [ledger.ErrErased]; a tree that is not
// what the log says, [lab.ErrIntegrity].
func Open(ctx context.Context, grant authority.Grant, l *lab.Lab, items []Item) (*Opened, error) {
	if err := grant.Permits(tutela.ActionDisclose); err != nil {
		return nil, err
	}
	label := grant.Exhibit().Label
	entries, err := readHistory(ctx, l, label)
	if err != nil {
		return nil, err
	}
	o := &Opened{grant: grant}
	for _, of := range byScan(items) {
		if of[0].Exhibit != label {
			return nil, fmt.Errorf("the grant is for %s, not for %s", label, of[0].Exhibit)
		}
		if err := o.openScan(ctx, l, entries, of); err != nil {
			return nil, fmt.Errorf("open %s: %w", of[0].ScanID, err)
		}
	}
	if len(o.trees) == 0 {
		return nil, ErrNothing
	}
	slices.SortFunc(o.trees, func(a, b *opening) int { return cmp.Or(cmp.Compare(a.event, b.event), cmp.Compare(a.name, b.name)) })
	return o, nil
}

// byScan sorts items, each once, and divides them by scan.
func byScan(items []Item) (scans [][]Item) {
	sorted := slices.SortedFunc(slices.Values(items), func(a, b Item) int {
		return cmp.Or(cmp.Compare(a.Exhibit, b.Exhibit), cmp.Compare(a.Number, b.Number), cmp.Compare(a.Leaf, b.Leaf))
	})
	for i, item := range slices.Compact(sorted) {
		if i == 0 || item.ScanID != scans[len(scans)-1][0].ScanID {
			scans = append(scans, nil)
		}
		scans[len(scans)-1] = append(scans[len(scans)-1], item)
	}
	return scans
}

func (o *Opened) openScan(ctx context.Context, l *lab.Lab, entries []ledger.Entry, items []Item) error {
	id := items[0].ScanID
	scan, err := l.Catalog.Scan(ctx, id)
	if err != nil {
		return err
	}
	if scan.Seal == nil {
		return errors.New("the scan is not sealed")
	}
	records, err := l.ReadRecords(id)
	if err != nil {
		return err
	}
	defer records.Close()
	var leaves []uint64
	for _, item := range items {
		leaves = append(leaves, item.Leaf)
	}
	by, err := naming(entries, scan.LogIndex, id, 0)
	if err != nil {
		return err
	}
	of, err := prove(ctx, records, tutela.FactRecords, by, leaves)
	if err != nil {
		return err
	}
	o.trees = append(o.trees, of)
	if err := o.addRecords(items, of); err != nil {
		return err
	}
	return o.openMatches(ctx, l, entries, id, leaves)
}

func (o *Opened) addRecords(items []Item, of *opening) error {
	for i, item := range items {
		record, err := ledger.DecodeRecord(of.opened[i].Body)
		if err != nil {
			return fmt.Errorf("leaf %d: %w", item.Leaf, err)
		}
		o.Items = append(o.Items, Disclosing{Item: item, Seal: of.event, Record: record})
	}
	return nil
}

// openMatches opens what the newest match run that is in the log says about
// leaves of a scan.
func (o *Opened) openMatches(ctx context.Context, l *lab.Lab, entries []ledger.Entry, id catalog.ScanID, leaves []uint64) error {
	at, run, err := newestRun(entries, id)
	if err != nil || run == 0 {
		return err
	}
	matches, err := l.ReadMatches(id, run)
	if err != nil {
		return err
	}
	defer matches.Close()
	about, err := o.matchesAbout(matches, id, leaves)
	if err != nil || len(about) == 0 {
		return err
	}
	by, err := naming(entries, at, id, run)
	if err != nil {
		return err
	}
	of, err := prove(ctx, matches, tutela.FactMatches, by, about)
	if err != nil {
		return fmt.Errorf("match run %d: %w", run, err)
	}
	o.trees = append(o.trees, of)
	return nil
}

// newestRun is the newest match run of a scan that the log tells of, and where;
// run 0 if there is none.
func newestRun(entries []ledger.Entry, id catalog.ScanID) (at uint64, run int, err error) {
	for _, e := range entries {
		if e.Event.Exhibit != id.Exhibit {
			continue
		}
		runs, err := runsIn(&e.Event)
		if err != nil {
			return 0, 0, fmt.Errorf("event %d: %w", e.Index, err)
		}
		for _, told := range runs {
			if told.Number == id.Number && told.Run > run {
				at, run = e.Index, told.Run
			}
		}
	}
	return at, run, nil
}

// runsIn are the match runs that an event tells of: its own, or those of a scan
// that was admitted.
func runsIn(ev *tutela.Event) ([]tutela.MatchRun, error) {
	switch ev.Kind {
	case tutela.EventMatchRun:
		var told tutela.MatchRun
		err := tutela.DecodeDetail(ev.Detail, &told)
		return []tutela.MatchRun{told}, err
	case tutela.EventAdmit:
		var told tutela.Admit
		err := tutela.DecodeDetail(ev.Detail, &told)
		return told.Runs, err
	}
	return nil, nil
}

// matchesAbout notes the matches about the leaves with the records, and returns
// where they stand in the run. Those that were erased are passed over.
func (o *Opened) matchesAbout(tree *ledger.Reader, id catalog.ScanID, leaves []uint64) (about []uint64, err error) {
	at := uint64(0)
	for body, err := range tree.Bodies(0) {
		at++
		if errors.Is(err, ledger.ErrErased) {
			continue
		}
		if err != nil {
			return nil, err
		}
		m, err := ledger.DecodeMatch(body)
		if err != nil {
			return nil, fmt.Errorf("match %d: %w", at-1, err)
		}
		if _, chosen := slices.BinarySearch(leaves, m.Leaf); chosen {
			about = append(about, at-1)
			o.note(Item{id, m.Leaf}, m)
		}
	}
	return about, nil
}

func (o *Opened) note(item Item, m *tutela.Match) {
	for i := len(o.Items) - 1; i >= 0; i-- {
		if o.Items[i].Item == item {
			o.Items[i].Matches = append(o.Items[i].Matches, *m)
			return
		}
	}
}

// naming is the event that names the root of a tree, and index where it was first
// written down: the event there, or the renewal of that tree, which names a second
// root as well. Run 0 is the records.
func naming(entries []ledger.Entry, index uint64, id catalog.ScanID, run int) (first ledger.Entry, err error) {
	for _, e := range entries {
		switch {
		case e.Index == index:
			first = e
		case e.Event.Kind == tutela.EventRenew && e.Event.Exhibit == id.Exhibit && e.Index > index:
			var told tutela.Renew
			if err := tutela.DecodeDetail(e.Event.Detail, &told); err != nil {
				return first, fmt.Errorf("event %d: %w", e.Index, err)
			}
			if told.Number == id.Number && told.Run == run {
				return e, nil
			}
		}
	}
	return first, nil
}

func names(ev *tutela.Event, fact string, tree *ledger.Reader) bool {
	f, root := ev.Fact(fact), tree.Root()
	return hasFact(ev, fact) && f.Number == tree.Size() && string(f.Value) == string(root[:])
}

func hasFact(ev *tutela.Event, name string) bool { return ev.Fact(name).Name == name }

// prove opens leaves of a tree and proves them under the roots that an event
// names.
func prove(ctx context.Context, tree *ledger.Reader, name string, e ledger.Entry, leaves []uint64) (*opening, error) {
	if !names(&e.Event, name, tree) {
		return nil, fmt.Errorf("%w: no event names root %s of its %s", lab.ErrIntegrity, tree.Root(), name)
	}
	of := &opening{event: e.Index, name: name, leaves: leaves}
	for _, leaf := range leaves {
		opened, err := tree.Opening(leaf)
		if errors.Is(err, ledger.ErrErased) {
			return nil, fmt.Errorf("leaf %d: %w; nobody can open it any more", leaf, err)
		}
		if err != nil {
			return nil, err
		}
		of.opened = append(of.opened, opened)
	}
	var err error
	if of.proof, err = tree.ProveMany(leaves); err != nil {
		return nil, err
	}
	return of, of.proveTwice(ctx, tree, e.Event.Fact(name+"-sha512"))
}

// proveTwice proves the leaves under the second root, if there is one.
func (of *opening) proveTwice(ctx context.Context, tree *ledger.Reader, fact tutela.Fact) error {
	if fact.Name == "" {
		return nil
	}
	proof, root, err := tree.ProveMany512(ctx, of.leaves)
	if err != nil {
		return err
	}
	if string(root[:]) != string(fact.Value) || fact.Number != tree.Size() {
		return fmt.Errorf("%w: event %d names another second root", lab.ErrIntegrity, of.event)
	}
	of.second, of.twice = proof, true
	return nil
}

// count is how many leaves are opened.
func (o *Opened) count() (n uint64) {
	for _, t := range o.trees {
		n += uint64(len(t.opened))
	}
	return n
}

// hash is the SHA-256 over the leaf hashes, in the order of the bundle.
func (o *Opened) hash() [32]byte {
	h := sha256.New()
	for _, t := range o.trees {
		for _, opened := range t.opened {
			leaf := opened.Leaf()
			h.Write(leaf[:])
		}
	}
	return [32]byte(h.Sum(nil))
}

// summary says for people how much of which tree is opened.
func (o *Opened) summary() (trees []tutela.DisclosedTree) {
	for _, t := range o.trees {
		trees = append(trees, tutela.DisclosedTree{Entry: t.event, Name: t.name, Leaves: uint64(len(t.opened))})
	}
	return trees
}
