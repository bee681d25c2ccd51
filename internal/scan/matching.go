package scan

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"tutela"
	"tutela/internal/ledger"
)

// Matcher says what a record means against the hash sets. It must be safe for
// use by one goroutine and give the same matches in the same order every time.
type Matcher interface {
	Match(leaf uint64, r *tutela.Record) []tutela.Match
	Versions() []tutela.SetVersion
}

// matching writes one match run: what records mean against the sets of a day,
// in a tree of its own beside the records.
type matching struct {
	tree  *ledger.Tree
	sets  Matcher
	state matchState
	body  []byte
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
	m = &matching{tree: tree, sets: sets, state: matchState{Sets: fingerprint(sets)}}
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
	for _, r := range records[min(m.state.Records-first, uint64(len(records))):] {
		if err := m.match(r); err != nil {
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

func (m *matching) match(r *tutela.Record) error {
	found := m.sets.Match(m.state.Records, r)
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
