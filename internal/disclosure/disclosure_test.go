package disclosure_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tutela"
	"tutela/internal/disclosure"
	"tutela/internal/lab"
	"tutela/internal/ledger"
	"tutela/internal/timestamp"
	throwaway "tutela/internal/timestamp/authority"
	"tutela/verify"
)

// judge has both verifiers look at a bundle. verify.py shares no code with what
// wrote it; what it prints comes back.
func judge(t *testing.T, path string) (page string, holds bool) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "python3", "-B", "../../verify/verify.py", path).CombinedOutput()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	v, wrong := verify.Path(path, verify.Options{})
	if wrong != nil {
		t.Fatal(wrong)
	}
	if v.OK != (err == nil) {
		t.Errorf("verify.Path says %v %q, verify.py %s", v.OK, v.Problems, out)
	}
	return string(out), err == nil
}

func mustHold(t *testing.T, path string, says ...string) {
	t.Helper()
	page, holds := judge(t, path)
	if !holds {
		t.Fatalf("%s: %s", path, page)
	}
	for _, want := range says {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q:\n%s", want, page)
		}
	}
}

// TestRandomLabsHold draws labs and choices at random, and has verify.py judge
// what is disclosed of them.
func TestRandomLabsHold(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 0))
			d := newLab(t)
			var chosen [][]disclosure.Item
			for i := range 1 + rng.IntN(2) {
				chosen = append(chosen, d.drawExhibit(rng, fmt.Sprintf("%d-B", i)))
			}
			o := d.order()
			o.Form = disclosure.Form(seed % 2)
			done := d.disclose(o, d.opened(chosen...)...)
			mustHold(t, o.Path, fmt.Sprintf("%d leaves", done.Opened), fmt.Sprintf("Head: %d entries, root %s", done.Head.Size, done.Head.Root))
		})
	}
}

// drawExhibit draws an exhibit with scans, and chooses some of its records.
func (d *drawnLab) drawExhibit(rng *rand.Rand, label string) (chosen []disclosure.Item) {
	d.seize(label)
	for number := range 1 + rng.IntN(2) {
		if rng.IntN(2) == 0 {
			d.policy(lab.Policy{SecondRoot: true})
		}
		n := 1 + rng.IntN(40)
		id := d.scan(label, number+1, n, func(int) bool { return rng.IntN(3) == 0 })
		more := []tutela.Event{event(tutela.EventTransfer, label, tutela.Transfer{To: "vault"}), event(tutela.EventToolValidate, label, tutela.ToolValidate{Exhibit: label})}
		if rng.IntN(2) == 0 {
			more = append(more, d.match(id, 2, n, func(int) bool { return rng.IntN(2) == 0 }))
		}
		d.record(more...)
		if number == 0 || rng.IntN(2) == 0 {
			chosen = append(chosen, items(id, some(rng, n)...)...)
		}
	}
	return chosen
}

func (d *drawnLab) policy(p lab.Policy) {
	d.t.Helper()
	d.record(event(tutela.EventPolicyChange, "", p))
}

// TestRepeatedOrderFindsItsEvent: a retry after a crash, and a second copy, rest
// on the one disclosure that happened. Another recipient is another.
func TestRepeatedOrderFindsItsEvent(t *testing.T) {
	t.Parallel()
	d := newLab(t)
	d.seize("7-B")
	id := d.scan("7-B", 1, 9, func(leaf int) bool { return leaf%2 == 0 })
	first := d.disclose(d.order(), d.opened(items(id, 2, 3))...)
	d.record(event(tutela.EventTransfer, "7-B", tutela.Transfer{To: "vault"}))
	again := d.order()
	second := d.disclose(again, d.opened(items(id, 3, 2, 3))...)
	if second.Events[0] != first.Events[0] {
		t.Errorf("the event is entry %d, and then entry %d", first.Events[0], second.Events[0])
	}
	mustHold(t, again.Path)
	other := d.order()
	other.To = "Defence"
	if third := d.disclose(other, d.opened(items(id, 2, 3))...); third.Events[0] <= first.Events[0] {
		t.Errorf("disclosed to somebody else by entry %d, the first was %d", third.Events[0], first.Events[0])
	}
	mustHold(t, other.Path, "to Defence")
}

// TestSameLabSameBytes: nothing of the moment and the machine is in a bundle.
func TestSameLabSameBytes(t *testing.T) {
	t.Parallel()
	d := newLab(t)
	d.seize("7-B")
	id := d.scan("7-B", 1, 9, func(leaf int) bool { return leaf == 4 })
	opened := d.opened(items(id, 4))
	one, two, tar := d.order(), d.order(), d.order()
	tar.Form = disclosure.Tar
	for _, o := range []disclosure.Order{one, two, tar} {
		d.disclose(o, opened...)
	}
	a, b := contents(t, one.Path), contents(t, two.Path)
	if len(a) == 0 || len(a) != len(b) {
		t.Fatalf("%d files and %d", len(a), len(b))
	}
	for path, data := range a {
		if !bytes.Equal(data, b[path]) {
			t.Errorf("%s differs", path)
		}
	}
	mustHold(t, tar.Path)
}

func contents(t *testing.T, root string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(root, func(name string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		inside, err := filepath.Rel(root, name)
		if err == nil {
			files[filepath.ToSlash(inside)], err = os.ReadFile(name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// stamp has the head of the log time-stamped by a throw-away authority.
func (d *drawnLab) stamp() (size uint64) {
	d.t.Helper()
	log, err := d.ReadLog()
	d.must(err)
	head, err := log.Head(d.t.Context())
	d.must(err)
	d.must(d.Heads().Save(head.Size, head.Signed))
	kept, err := d.Heads().Load(head.Size)
	d.must(err)
	a, err := throwaway.New(time.Now)
	d.must(err)
	request := timestamp.NewRequest(kept.Signed)
	asked, err := request.Encode()
	d.must(err)
	stamp, err := timestamp.Bare(a.Answer(asked))
	d.must(err)
	d.must(d.Heads().AddStamp(head.Size, stamp))
	return head.Size
}

// rotate gives the log new keys.
func (d *drawnLab) rotate() {
	d.t.Helper()
	d.must(d.RotateKeys(d.t.Context(), "every year"))
}

// recover gives the log new keys by a recovery key.
func (d *drawnLab) recover(file string) {
	d.t.Helper()
	d.must(d.Close())
	d.must(lab.RecoverKeys(d.t.Context(), d.dir, officerName, file, "lost", nil))
	d.open()
}

// TestStampedHeads: earlier heads that were stamped are in the bundle with the
// proof that the log has grown from them, also those under keys that the log has
// no more.
func TestStampedHeads(t *testing.T) {
	t.Parallel()
	d := newLab(t)
	d.seize("7-B")
	sealed := d.stamp()
	id := d.scan("7-B", 1, 9, func(leaf int) bool { return leaf == 4 })
	d.rotate()
	later := d.stamp()
	d.rotate()
	d.record(event(tutela.EventTransfer, "7-B", tutela.Transfer{To: "vault"}))
	d.stamp() // covers nothing that a proof rests on, but is the last
	o := d.order()
	d.disclose(o, d.opened(items(id, 4))...)
	mustHold(t, o.Path, "3 time-stamps")
	files := contents(t, o.Path)
	for _, size := range []uint64{sealed, later} {
		for _, form := range []string{"prev/%d.checkpoint", "prev/%d.proof", "time/%d-1.tsr"} {
			if path := fmt.Sprintf(form, size); len(files[path]) == 0 {
				t.Errorf("there is no %s", path)
			}
		}
	}
}

// TestHeadBeforeARecovery: a head that keys signed which were lost, and then
// replaced by the recovery key, stands in the bundle as any other.
func TestHeadBeforeARecovery(t *testing.T) {
	t.Parallel()
	d := newLab(t)
	d.seize("7-B")
	file := filepath.Join(t.TempDir(), "recovery.key")
	_, err := d.NewRecoveryKey(t.Context(), file)
	d.must(err)
	id := d.scan("7-B", 1, 9, func(leaf int) bool { return leaf == 4 })
	early := d.stamp()
	d.recover(file)
	d.record(event(tutela.EventTransfer, "7-B", tutela.Transfer{To: "vault"}))
	later := d.stamp()
	d.recover(file)
	o := d.order()
	d.disclose(o, d.opened(items(id, 4))...)
	mustHold(t, o.Path, "2 time-stamps")
	for _, size := range []uint64{early, later} {
		if path := fmt.Sprintf("prev/%d.checkpoint", size); len(contents(t, o.Path)[path]) == 0 {
			t.Errorf("there is no %s", path)
		}
	}
}

// TestErasedLeaf: a leaf that was erased cannot be disclosed, and all others can.
func TestErasedLeaf(t *testing.T) {
	t.Parallel()
	d := newLab(t)
	d.policy(lab.Policy{SecondRoot: true})
	d.seize("7-B")
	id := d.scan("7-B", 1, 9, func(leaf int) bool { return leaf%2 == 0 })
	if _, err := d.Erase(t.Context(), lab.Erasure{Exhibit: "7-B", Scan: 1, Leaves: []uint64{4}, Case: caseNumber, Authority: "W-1", Reason: "ordered"}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.openItems(items(id, 3, 4)); !errors.Is(err, ledger.ErrErased) || !strings.Contains(err.Error(), "leaf 4") {
		t.Errorf("opening what was erased: %v", err)
	}
	o := d.order()
	done := d.disclose(o, d.opened(items(id, 2, 3, 6))...)
	if done.Opened != 5 {
		t.Errorf("%d leaves, not 3 records and 2 matches", done.Opened)
	}
	mustHold(t, o.Path)
}

// TestRenewedTree is opened by the event that names both its roots.
func TestRenewedTree(t *testing.T) {
	t.Parallel()
	d := newLab(t)
	d.seize("7-B")
	one := d.scan("7-B", 1, 9, func(leaf int) bool { return leaf == 2 })
	two := d.scan("7-B", 2, 9, func(leaf int) bool { return leaf == 2 }) // has the same root
	d.must(d.Renew(t.Context(), nil, func(lab.Renewed) error { return nil }))
	o := d.order()
	d.disclose(o, d.opened(append(items(one, 2), items(two, 2, 3)...))...)
	mustHold(t, o.Path, "5 leaves")
	second := 0
	for path := range contents(t, o.Path) {
		if strings.HasSuffix(path, "/proof-sha512") {
			second++
		}
	}
	if second != 4 {
		t.Errorf("%d proofs under SHA-512, not 4", second)
	}
}

// TestRefusedOrders leave no bundle and no disclosure behind.
func TestRefusedOrders(t *testing.T) {
	t.Parallel()
	d := newLab(t)
	d.seize("7-B")
	id := d.scan("7-B", 1, 3, func(int) bool { return true })
	opened := d.opened(items(id, 1))
	stranger := newLab(t).officer
	for name, c := range map[string]struct {
		change func(*disclosure.Order)
		opened []*disclosure.Opened
		want   error
	}{
		"nothing":       {func(*disclosure.Order) {}, nil, disclosure.ErrNothing},
		"in place":      {func(o *disclosure.Order) { o.Path = t.TempDir() }, opened, disclosure.ErrExists},
		"no recipient":  {func(o *disclosure.Order) { o.To = "" }, opened, disclosure.ErrBadOrder},
		"two lines":     {func(o *disclosure.Order) { o.Purpose = "trial\nopened 0" }, opened, disclosure.ErrBadOrder},
		"backwards":     {func(o *disclosure.Order) { o.To = "court\u202e" }, opened, disclosure.ErrBadOrder},
		"blank":         {func(o *disclosure.Order) { o.To = " court" }, opened, disclosure.ErrBadOrder},
		"no UTF-8":      {func(o *disclosure.Order) { o.To = "court\xff" }, opened, disclosure.ErrBadOrder},
		"long":          {func(o *disclosure.Order) { o.To = strings.Repeat("a", 1001) }, opened, disclosure.ErrBadOrder},
		"stranger":      {func(o *disclosure.Order) { o.Officer = stranger }, opened, lab.ErrNotEnrolled},
		"other case":    {func(o *disclosure.Order) { o.Case = "2026-0816" }, opened, nil},
		"exhibit twice": {func(*disclosure.Order) {}, append(opened, opened...), nil},
	} {
		o := d.order()
		c.change(&o)
		before := d.size()
		_, err := o.Disclose(t.Context(), d.Lab, c.opened...)
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if name != "in place" && disclosure.Vacant(o.Path) != nil {
			t.Errorf("%s: a bundle was written", name)
		}
		if d.size() != before {
			t.Errorf("%s: something was recorded", name)
		}
	}
}

func (d *drawnLab) size() uint64 {
	d.t.Helper()
	log, err := d.ReadLog()
	d.must(err)
	head, err := log.Head(d.t.Context())
	d.must(err)
	return head.Size
}

// TestNoQuorumNoDisclosure: where witnesses must have signed and none has, nothing
// is recorded and nothing written.
func TestNoQuorumNoDisclosure(t *testing.T) {
	t.Parallel()
	d := newLab(t)
	d.seize("7-B")
	id := d.scan("7-B", 1, 3, func(int) bool { return true })
	w := newWitness(t, "court.example/witness")
	d.policy(lab.Policy{Witnesses: "witness court " + w.vkey + " https://court.example/\nquorum court\n"})
	opened := d.opened(items(id, 1))
	o := d.order()
	before := d.size()
	if _, err := o.Disclose(t.Context(), d.Lab, opened...); !errors.Is(err, disclosure.ErrNoHead) || !strings.Contains(err.Error(), "quorum") {
		t.Errorf("without a witness: %v", err)
	}
	if d.size() != before || disclosure.Vacant(o.Path) != nil {
		t.Error("something was recorded or written")
	}
	o.Head = w.cosign(d)
	d.disclose(o, opened...)
	mustHold(t, o.Path, "so did 1 witness")
}

// TestCutShort: what fails behind the commit point leaves the disclosure in the log
// and no bundle, and the same order goes on there.
func TestCutShort(t *testing.T) {
	t.Parallel()
	d := newLab(t)
	d.seize("7-B")
	id := d.scan("7-B", 1, 3, func(int) bool { return true })
	opened := d.opened(items(id, 1))
	o, before := d.order(), d.size()
	o.Enclose = func(*disclosure.Contents) (map[string][]byte, error) { return nil, errors.New("cut short") }
	if _, err := o.Disclose(t.Context(), d.Lab, opened...); err == nil || !strings.Contains(err.Error(), "cut short") {
		t.Fatal(err)
	}
	if d.size() != before+1 {
		t.Errorf("%d events were recorded, not the disclosure alone", d.size()-before)
	}
	if left, err := os.ReadDir(filepath.Dir(o.Path)); err != nil || len(left) > 0 {
		t.Errorf("%v was left, %v", left, err)
	}
	o.Enclose = nil
	if done := d.disclose(o, opened...); done.Events[0] != before || d.size() != before+1 {
		t.Errorf("the repeated order rests on entry %d of %d, not on entry %d", done.Events[0], d.size(), before)
	}
	mustHold(t, o.Path)
}

// TestEnclosures: what stands beside the proofs has its places, and gets to see
// what the bundle says.
func TestEnclosures(t *testing.T) {
	t.Parallel()
	d := newLab(t)
	d.seize("7-B")
	id := d.scan("7-B", 1, 3, func(int) bool { return true })
	opened := d.opened(items(id, 1))
	for _, path := range []string{"BUNDLE", "policy", "report/../policy", "report/..", "report/A", "tool/build.txt", "other"} {
		o := d.order()
		o.Enclose = func(*disclosure.Contents) (map[string][]byte, error) { return map[string][]byte{path: {1}}, nil }
		if _, err := o.Disclose(t.Context(), d.Lab, opened...); err == nil {
			t.Errorf("%s has a place", path)
		}
	}
	o := d.order()
	o.Enclose = func(c *disclosure.Contents) (map[string][]byte, error) {
		last := c.Events[len(c.Events)-1]
		text := fmt.Sprintln(c.Officer, last.Event.Kind, c.Opened[0].Items[0].Record.DisplayPath(), len(c.Opened[0].Items[0].Matches))
		return map[string][]byte{"report/report.txt": []byte(text), "tool/validation.txt": []byte("passed\n")}, nil
	}
	d.disclose(o, opened...)
	mustHold(t, o.Path)
	if got := string(contents(t, o.Path)["report/report.txt"]); got != officerName+" disclose /drawn/picture 1.png 1\n" {
		t.Errorf("the report says %q", got)
	}
}

// TestNothingElseIsShown: a bundle has nothing of what was not chosen.
func TestNothingElseIsShown(t *testing.T) {
	t.Parallel()
	d := newLab(t)
	d.seize("7-B", "SECRET-8")
	d.record(event(tutela.EventCaseOpen, "", tutela.Case{Number: "SECRET-CASE", Status: tutela.CaseOpen}))
	d.scan("SECRET-8", 1, 3, func(int) bool { return true })
	id := d.scan("7-B", 1, 9, func(int) bool { return true })
	o := d.order()
	done := d.disclose(o, d.opened(items(id, 4))...)
	if done.Opened != 2 {
		t.Errorf("%d leaves were opened", done.Opened)
	}
	for path, data := range contents(t, o.Path) {
		for _, secret := range []string{"SECRET", "picture 5.png"} {
			if bytes.Contains(data, []byte(secret)) {
				t.Errorf("%s shows %s", path, secret)
			}
		}
	}
	mustHold(t, o.Path)
}

// TestContent: a file is handed over if it is what its record says, and recorded.
func TestContent(t *testing.T) {
	t.Parallel()
	d := newLab(t)
	d.seize("7-B")
	id := d.scan("7-B", 1, 9, func(int) bool { return false })
	opened, good := d.opened(items(id, 1, 3)), filepath.Join(t.TempDir(), "file")
	d.must(os.WriteFile(good, []byte("/drawn/picture 1.png"), 0o600))
	item := func(leaf uint64) disclosure.Item { return items(id, leaf)[0] }
	before := d.size()
	for name, c := range map[string]disclosure.Content{
		"not read": {Item: item(3), File: good}, "not opened": {Item: item(2), File: good}, "not there": {Item: item(1), File: good + "x"},
		"other": {Item: item(1), File: "disclosure_test.go"},
	} {
		o := d.order()
		o.Content = []disclosure.Content{c}
		if _, err := o.Disclose(t.Context(), d.Lab, opened...); err == nil {
			t.Errorf("%s: handed over", name)
		}
	}
	if d.size() != before {
		t.Error("something was recorded")
	}
	for form := range disclosure.Form(2) {
		o := d.order()
		o.Form, o.Content = form, []disclosure.Content{{Item: item(1), File: good}}
		d.disclose(o, opened...)
		mustHold(t, o.Path)
	}
	without := d.order()
	if done := d.disclose(without, opened...); done.Events[0] != before+1 {
		t.Errorf("records alone rest on entry %d, as the files do", done.Events[0])
	}
}
