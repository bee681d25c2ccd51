package disclosure_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"tutela"
	"tutela/internal/actor"
	"tutela/internal/authority"
	"tutela/internal/catalog"
	"tutela/internal/disclosure"
	"tutela/internal/lab"
	"tutela/internal/ledger"
	"tutela/internal/ledger/check"
)

const (
	officerName = "Erika Mustermann"
	caseNumber  = "2026-0815"
)

// drawnLab is a lab with a case, whose scans are drawn by code: no evidence is
// read.
type drawnLab struct {
	*lab.Lab
	t       *testing.T
	dir     string
	officer actor.Signer
}

func newLab(t *testing.T) *drawnLab {
	t.Helper()
	d := &drawnLab{t: t, dir: filepath.Join(t.TempDir(), "lab")}
	d.must(lab.Init(t.Context(), d.dir, lab.Config{Agency: "Example Police", Country: "BE"}, officerName))
	d.open()
	t.Cleanup(func() { d.Close() })
	var err error
	d.officer, err = actor.FromSeed(ledger.NewSeed(), officerName)
	d.must(err)
	enrol := tutela.Event{Kind: tutela.EventKeyEnrol, Actor: officerName, Facts: []tutela.Fact{
		{Name: tutela.FactActor, Value: []byte(officerName)}, {Name: tutela.FactActorKey, Value: []byte(d.officer.VerifierKey())},
	}}
	d.record(enrol,
		event(tutela.EventCaseOpen, "", tutela.Case{Number: caseNumber, Status: tutela.CaseOpen}),
		event(tutela.EventAuthorityAdd, "", tutela.Authority{Reference: "W-1", Case: caseNumber, Kind: tutela.SearchWarrant, From: time.Unix(0, 0), Until: time.Now().Add(time.Hour)}),
	)
	return d
}

func (d *drawnLab) open() {
	d.t.Helper()
	var err error
	d.Lab, err = lab.Open(d.t.Context(), d.dir, lab.Write, officerName)
	d.must(err)
}

func (d *drawnLab) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func event(kind tutela.EventKind, exhibit string, detail any) tutela.Event {
	ev, err := tutela.NewEvent(kind, time.Now(), officerName, detail)
	if err != nil {
		panic(err)
	}
	ev.Case, ev.Exhibit = caseNumber, exhibit
	return ev
}

func (d *drawnLab) record(events ...tutela.Event) []uint64 {
	d.t.Helper()
	indices, err := d.RecordAll(d.t.Context(), events...)
	d.must(err)
	return indices
}

func (d *drawnLab) seize(labels ...string) {
	d.t.Helper()
	for _, label := range labels {
		d.must(d.AddExhibitSeed(label))
		d.record(event(tutela.EventSeize, label, tutela.Exhibit{Label: label, Case: caseNumber}))
	}
}

// drawnRecord is the i-th record of a scan; its content is its name.
func drawnRecord(i int) *tutela.Record {
	name := fmt.Sprintf("/drawn/picture %d.png", i)
	r := &tutela.Record{Path: []byte(name), Kind: tutela.File, State: tutela.Allocated, Size: int64(len(name)), Type: "image/png"}
	if r.Hashed = i%7 != 3; r.Hashed {
		r.Digests.SHA256 = sha256.Sum256([]byte(name))
	} else {
		r.Failure = "read error"
	}
	return r
}

// scan writes a sealed scan of n records, and a match run that tells of every
// leaf that known says.
func (d *drawnLab) scan(label string, number, n int, known func(leaf int) bool) catalog.ScanID {
	d.t.Helper()
	id := catalog.ScanID{Exhibit: label, Number: number}
	tree, err := d.OpenRecords(id)
	d.must(err)
	defer tree.Close()
	for i := range n {
		d.must(tree.Append(ledger.AppendRecord(nil, drawnRecord(i))))
	}
	d.must(tree.Commit(nil))
	records, err := d.ReadRecords(id)
	d.must(err)
	defer records.Close()
	seal := event(tutela.EventSeal, label, tutela.Seal{Exhibit: label, Number: number, Root: tutela.SHA256(records.Root()), Records: uint64(n)})
	seal.Facts, err = d.RootFacts(d.t.Context(), tutela.FactRecords, records)
	d.must(err)
	start := event(tutela.EventScanStart, label, tutela.ScanStart{Exhibit: label, Number: number, Profile: "standard", Paths: []string{}})
	d.record(start, seal, d.match(id, 1, n, known))
	return id
}

// match writes a match run about a scan of n records; its event is yet to be
// recorded.
func (d *drawnLab) match(id catalog.ScanID, run, n int, known func(leaf int) bool) tutela.Event {
	d.t.Helper()
	tree, err := d.OpenMatches(id, run)
	d.must(err)
	defer tree.Close()
	for leaf := range n {
		if known(leaf) {
			m := tutela.Match{Kind: tutela.MatchSHA256, Status: tutela.Alert, Leaf: uint64(leaf), Set: "drawn", Version: run}
			d.must(tree.Append(ledger.AppendMatch(nil, &m)))
		}
	}
	d.must(tree.Commit(nil))
	matches, err := d.ReadMatches(id, run)
	d.must(err)
	defer matches.Close()
	ev := event(tutela.EventMatchRun, id.Exhibit, tutela.MatchRun{
		Exhibit: id.Exhibit, Number: id.Number, Run: run, Root: tutela.SHA256(matches.Root()), Matches: matches.Size(), Sets: []tutela.SetVersion{},
	})
	ev.Facts, err = d.RootFacts(d.t.Context(), tutela.FactMatches, matches)
	d.must(err)
	return ev
}

// items are leaves of a scan.
func items(id catalog.ScanID, leaves ...uint64) (all []disclosure.Item) {
	for _, leaf := range leaves {
		all = append(all, disclosure.Item{ScanID: id, Leaf: leaf})
	}
	return all
}

// openItems opens records of one exhibit under a fresh grant.
func (d *drawnLab) openItems(all []disclosure.Item) (*disclosure.Opened, error) {
	d.t.Helper()
	grant, err := authority.NewOffice(d.Catalog, d, nil).Grant(d.t.Context(), authority.Request{
		Actor: officerName, Action: tutela.ActionDisclose, Exhibit: all[0].Exhibit, Event: tutela.EventAccess, Detail: []byte("{}"),
	})
	d.must(err)
	return disclosure.Open(d.t.Context(), grant, d.Lab, all)
}

func (d *drawnLab) opened(all ...[]disclosure.Item) (opened []*disclosure.Opened) {
	d.t.Helper()
	for _, of := range all {
		one, err := d.openItems(of)
		d.must(err)
		opened = append(opened, one)
	}
	return opened
}

// order is an order of the officer, to be written to a new place.
func (d *drawnLab) order() disclosure.Order {
	return disclosure.Order{
		Case: caseNumber, To: "Court of First Instance, chamber 3", Purpose: "trial", Issued: time.Unix(1_795_000_000, 0),
		Officer: d.officer, Path: filepath.Join(d.t.TempDir(), "bundle"),
	}
}

func (d *drawnLab) disclose(o disclosure.Order, opened ...*disclosure.Opened) *disclosure.Disclosed {
	d.t.Helper()
	done, err := o.Disclose(d.t.Context(), d.Lab, opened...)
	d.must(err)
	return done
}

// some are from 1 to all of n leaves.
func some(rng *rand.Rand, n int) (leaves []uint64) {
	for _, leaf := range rng.Perm(n)[:1+rng.IntN(n)] {
		leaves = append(leaves, uint64(leaf))
	}
	return leaves
}

// witness cosigns what it is shown.
type witness struct {
	note.Signer
	vkey string
}

func newWitness(t *testing.T, name string) *witness {
	t.Helper()
	seed := bytes.Repeat([]byte{7}, 32)
	s, err := check.NewCosigner(name, seed, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	vkey, err := check.CosignerKey(name, seed)
	if err != nil {
		t.Fatal(err)
	}
	return &witness{s, vkey}
}

// cosign gives the head of a lab's log with the witness's signature.
func (w *witness) cosign(d *drawnLab) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) {
		log, err := d.ReadLog()
		if err != nil {
			return nil, err
		}
		head, err := log.Head(ctx)
		if err != nil {
			return nil, err
		}
		text, _, _ := strings.Cut(string(head.Signed), "\n\n")
		line, err := note.Sign(&note.Note{Text: text + "\n"}, w)
		if err != nil {
			return nil, err
		}
		return append(head.Signed, line[len(text)+2:]...), nil
	}
}
