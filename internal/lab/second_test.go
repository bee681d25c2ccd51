package lab

import (
	"strings"
	"testing"

	"tutela"
	"tutela/internal/catalog"
	"tutela/internal/ledger"
)

// sealWithBoth writes a sealed scan of one record under a policy that asks for two
// roots.
func sealWithBoth(t *testing.T, l *Lab, bend func(*tutela.Fact)) catalog.ScanID {
	t.Helper()
	record(t, l, tutela.EventPolicyChange, "", Policy{SecondRoot: true})
	id := begunScan(t, l)
	records, err := l.ReadRecords(id)
	if err != nil {
		t.Fatal(err)
	}
	defer records.Close()
	facts, err := l.RootFacts(t.Context(), tutela.FactRecords, records)
	if err != nil || len(facts) != 2 || facts[1].Name != tutela.FactRecords512 {
		t.Fatalf("%v, %v", facts, err)
	}
	bend(&facts[1])
	ev := tutela.Event{Kind: tutela.EventSeal, Case: "1", Exhibit: "A", Facts: facts}
	if ev.Detail, err = tutela.EncodeDetail(tutela.Seal{Exhibit: "A", Number: 1, Root: tutela.SHA256(records.Root()), Records: 1}); err != nil {
		t.Fatal(err)
	}
	mustRecord(t, l, ev)
	return id
}

// TestSecondRootIsProvenAndVerified seals a scan with two roots, proves its record
// under both and verifies both.
func TestSecondRootIsProvenAndVerified(t *testing.T) {
	t.Parallel()
	l := openLab(t, newLab(t), Write)
	id := sealWithBoth(t, l, func(*tutela.Fact) {})
	v, err := l.Verify(t.Context(), nil)
	if err != nil || len(v.Problems) > 0 || v.Second != 1 {
		t.Fatalf("%+v, %v", v, err)
	}
	scan, err := l.Catalog.Scan(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	p, err := l.Prove(t.Context(), scan, 0)
	if err != nil || p.Second == nil {
		t.Fatalf("%+v, %v", p, err)
	}
	if err := ledger.VerifyInclusion512(p.Second.Root, p.Size, p.Leaf, p.Opening, p.Second.Inclusion); err != nil {
		t.Error(err)
	}
}

// TestSecondRootThatIsNotTheTree is an event that names another second root, or
// another number of leaves, than the tree has.
func TestSecondRootThatIsNotTheTree(t *testing.T) {
	t.Parallel()
	for name, bend := range map[string]func(*tutela.Fact){
		"root":   func(f *tutela.Fact) { f.Value[63] ^= 1 },
		"length": func(f *tutela.Fact) { f.Value = f.Value[:63] },
		"leaves": func(f *tutela.Fact) { f.Number++ },
	} {
		l := openLab(t, newLab(t), Write)
		id := sealWithBoth(t, l, bend)
		v, err := l.Verify(t.Context(), nil)
		if err != nil || len(v.Problems) != 1 || !strings.Contains(v.Problems[0], tutela.FactRecords512) {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
		scan, err := l.Catalog.Scan(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Prove(t.Context(), scan, 0); err == nil {
			t.Errorf("%s: a proof was made", name)
		}
		l.Close()
	}
}
