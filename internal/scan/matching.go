package scan

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"tutela"
	"tutela/internal/ledger"
)

// Matcher says what a record means against the hash sets. It must be safe for
// concurrent use and give the same matches in the same order every time. Where
// the hash of a picture is not exact (tutela.Perceptual.Scale), it must give
// every match that the exact one could have.
type Matcher interface {
	Match(leaf uint64, r *tutela.Record) []tutela.Match
	Versions() []tutela.SetVersion
	// Damage is not nil once a look-up has met bytes of a set that are not what
	// they were: what it gave may lack matches.
	Damage() error
}

// matching writes one match run: what records mean against the sets of a day,
// in a tree of its own beside the records.
type matching struct {
	tree    *ledger.Tree
	sets    Matcher
	certain *certain
	state   matchState
	body    []byte
}

// matchState is what the commit frame of a match tree carries.
type matchState struct {
	Sets       tutela.SHA256 `json:"sets"`    // over the versions it matches against
	Records    uint64        `json:"records"` // how many were matched
	Alerts     uint64        `json:"alerts"`  // records with such a match
	OfInterest uint64        `json:"of_interest"`
	KnownGood  uint64        `json:"known_good"`
}

// fingerprint names a choice of set versions.
func fingerprint(sets Matcher) tutela.SHA256 {
	h := sha256.New()
	for _, v := range sets.Versions() {
		fmt.Fprintf(h, "%q %d %s\n", v.Name, v.Version, v.Digest)
	}
	return tutela.SHA256(h.Sum(nil))
}

// openMatching goes on with a match run, or begins it. fits is false if the run
// was made against other sets: it stays as it is, and another is begun.
func openMatching(tree *ledger.Tree, sets Matcher) (m *matching, fits bool, err error) {
	m = &matching{tree: tree, sets: sets, certain: new(certain), state: matchState{Sets: fingerprint(sets)}}
	raw := tree.Cursor()
	if len(raw) == 0 {
		return m, true, nil
	}
	var s matchState
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, false, fmt.Errorf("read the cursor of a match run: %w", err)
	}
	fits = s.Sets == m.state.Sets
	m.state = s
	return m, fits, nil
}

// take matches records that follow those taken before, and commits. Records
// that were taken before are passed over.
func (m *matching) take(first uint64, records []*tutela.Record) error {
	if first > m.state.Records {
		panic(fmt.Sprintf("internal error: match run has %d records, %d come next", m.state.Records, first))
	}
	records = records[min(m.state.Records-first, uint64(len(records))):]
	all := m.matchAll(records)
	if err := m.sets.Damage(); err != nil {
		return fmt.Errorf("match: %w", err)
	}
	for _, found := range all {
		if err := m.append(found); err != nil {
			return err
		}
	}
	cursor, err := json.Marshal(m.state)
	if err != nil {
		return err
	}
	if err := m.tree.Commit(cursor); err != nil {
		return fmt.Errorf("commit the matches: %w", err)
	}
	return nil
}

// matchAll looks all records up, on all processors: going through the hashes of
// millions of pictures takes as long as reading one.
func (m *matching) matchAll(records []*tutela.Record) [][]tutela.Match {
	found := make([][]tutela.Match, len(records))
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(records)/matchTogether+1) {
		group.Go(func() {
			for {
				from := int(next.Add(matchTogether)) - matchTogether
				if from >= len(records) {
					return
				}
				for i := from; i < min(from+matchTogether, len(records)); i++ {
					found[i] = m.match(m.state.Records+uint64(i), records[i])
				}
			}
		})
	}
	group.Wait()
	return found
}

// match looks one record up. What was found by places comes in where the order of
// set, version and row puts it.
func (m *matching) match(leaf uint64, r *tutela.Record) []tutela.Match {
	sure, found := m.certain.take(r)
	out := m.sets.Match(leaf, sure)
	if len(found) == 0 {
		return out
	}
	for _, f := range found { // copied: other records have the same content
		f.Leaf = leaf
		out = append(out, f)
	}
	slices.SortStableFunc(out, func(a, b tutela.Match) int {
		return cmp.Or(cmp.Compare(a.Set, b.Set), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Row, b.Row))
	})
	return out
}

// matchTogether is how many records one processor takes at a time.
const matchTogether = 64

func (m *matching) append(found []tutela.Match) error {
	m.state.count(found)
	for i := range found {
		m.body = ledger.AppendMatch(m.body[:0], &found[i])
		if err := m.tree.Append(m.body); err != nil {
			return err
		}
	}
	return nil
}

// count counts the record once for each status it met.
func (s *matchState) count(found []tutela.Match) {
	s.Records++
	var met [tutela.KnownGood + 1]bool
	for _, f := range found {
		if int(f.Status) < len(met) {
			met[f.Status] = true
		}
	}
	for status, n := range map[tutela.Status]*uint64{tutela.Alert: &s.Alerts, tutela.OfInterest: &s.OfInterest, tutela.KnownGood: &s.KnownGood} {
		if met[status] {
			*n++
		}
	}
}

// catchUp matches the records of the ledger that the run has not seen.
func (m *matching) catchUp(ctx context.Context, records *ledger.Reader) error {
	return batches(ctx, records, m.state.Records, m.take)
}

// batches reads the records of a ledger from a leaf on and hands them out in
// the size of a commit, the last batch also if it is empty.
func batches(ctx context.Context, records *ledger.Reader, from uint64, take func(first uint64, batch []*tutela.Record) error) error {
	var batch []*tutela.Record
	first := from
	for r, err := range records.Records(from) {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if batch = append(batch, r); len(batch) == commitRecords {
			if err := take(first, batch); err != nil {
				return err
			}
			first += uint64(len(batch))
			batch = nil
		}
	}
	return take(first, batch)
}
