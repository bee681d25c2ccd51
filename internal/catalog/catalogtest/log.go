package catalogtest

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"tutela"
	"tutela/internal/catalog"
)

func testEmpty(l *lab) {
	next, err := l.Applied(l.Context())
	l.must(err)
	if next != 0 {
		l.Errorf("applied %d events of none", next)
	}
	_, err = l.Case(l.Context(), "1")
	l.refuse("case", err, catalog.ErrNotFound)
	_, err = l.Authority(l.Context(), "1")
	l.refuse("authority", err, catalog.ErrNotFound)
	_, err = l.Exhibit(l.Context(), "1")
	l.refuse("exhibit", err, catalog.ErrNotFound)
	_, err = l.Scan(l.Context(), catalog.ScanID{Exhibit: "1"})
	l.refuse("scan", err, catalog.ErrNotFound)
	_, err = l.Rollup(l.Context(), catalog.ScanID{Exhibit: "1", Number: 1})
	l.refuse("rollup", err, catalog.ErrNotFound)
	_, err = l.Loader(l.Context(), catalog.ScanID{Exhibit: "1", Number: 1})
	l.refuse("loader", err, catalog.ErrNotFound)
	l.refuse("matches", l.LoadMatches(l.Context(), catalog.ScanID{Exhibit: "1", Number: 1}, 1, each(nil)), catalog.ErrNotFound)
	if dump := l.dump(); dump != "" {
		l.Errorf("an empty catalogue holds %q", dump)
	}
}

// testAccounts follows an account until it is closed.
func testAccounts(l *lab) {
	a := tutela.Account{Name: "anna", Person: "Anna Ö.", Roles: []tutela.Role{tutela.RoleExaminer}, By: "b"}
	l.happen(tutela.EventAccountAdd, a)
	got := get(l.Account(l.Context(), "anna"))
	if got.Added.IsZero() {
		l.Error("an account was added at no time")
	}
	a.Added, a.Roles = got.Added, []tutela.Role{tutela.RoleReviewer, tutela.RoleLead}
	l.happen(tutela.EventAccountChange, tutela.AccountChange{Name: "anna", Roles: a.Roles})
	equal(l, "changed account", get(l.Account(l.Context(), "anna")), a)
	l.happen(tutela.EventAccountClose, tutela.AccountClosing{Name: "anna", Reason: "left"})
	got = get(l.Account(l.Context(), "anna"))
	if got.Open() || got.Reason != "left" {
		l.Errorf("closed account: %+v", got)
	}
	equal(l, "accounts", get(l.Accounts(l.Context())), []tutela.Account{got})
}

// testProposals follows authorities that one person proposed and another decided on,
// and counts what was done under them.
func testProposals(l *lab) {
	l.happen(tutela.EventCaseOpen, tutela.Case{Number: "1"})
	propose := l.event(tutela.EventAuthorityPropose, tutela.Authority{Reference: "W-1", Case: "1", From: noon, Until: noon.Add(99 * time.Hour), ApprovedBy: "anna", Approved: noon})
	propose.Actor = "anna"
	l.apply(propose)
	a := get(l.Authority(l.Context(), "W-1"))
	if !a.Waits() || a.ProposedBy != "anna" || a.ActiveAt(noon.Add(time.Hour)) {
		l.Errorf("a proposal stands: %+v", a)
	}
	decide := l.event(tutela.EventAuthorityApprove, tutela.Decision{Reference: "W-1"})
	decide.Actor = "anna"
	l.refuse("own proposal", l.Check(l.Context(), decide), catalog.ErrDetail)
	decide.Actor = "ben"
	l.apply(decide)
	if a = get(l.Authority(l.Context(), "W-1")); a.Waits() || a.ApprovedBy != "ben" || !a.ActiveAt(noon.Add(time.Hour)) {
		l.Errorf("an approved authority does not stand: %+v", a)
	}
	l.refuse("twice", l.Check(l.Context(), decide), catalog.ErrExists)

	second := l.event(tutela.EventAuthorityPropose, tutela.Authority{Reference: "W-2", Case: "1", Parent: "W-1"})
	second.Actor = "anna"
	l.apply(second)
	decline := l.event(tutela.EventAuthorityDecline, tutela.Decision{Reference: "W-2", Reason: "too wide"})
	decline.Actor = "ben"
	l.apply(decline)
	if a = get(l.Authority(l.Context(), "W-2")); a.Declined.IsZero() || a.Reason != "too wide" || a.Parent != "W-1" {
		l.Errorf("a declined authority: %+v", a)
	}

	seen := l.event(tutela.EventAccess, tutela.Look{Action: tutela.ActionView})
	seen.Authority = "W-1"
	l.apply(seen)
	l.happen(tutela.EventAccessRoot, tutela.AccessRoot{Period: 1, Leaves: 3, Used: map[string]uint64{"W-1": 3, "gone": 1}})
	if a = get(l.Authority(l.Context(), "W-1")); a.Used != 4 {
		l.Errorf("4 acts were counted as %d", a.Used)
	}
}

// testNouns follows each noun through what can happen to it.
func testNouns(l *lab) {
	l.happen(tutela.EventCaseOpen, tutela.Case{Number: "2026-1", Title: "Operation <é>", Lead: "A"})
	equal(l, "case", get(l.Case(l.Context(), "2026-1")), tutela.Case{Number: "2026-1", Title: "Operation <é>", Lead: "A", Status: tutela.CaseOpen, Opened: noon})
	l.happen(tutela.EventCaseClose, tutela.Case{Number: "2026-1", Title: "not this", Status: tutela.CaseDismissed, Outcome: "nothing"})
	equal(l, "closed case", get(l.Case(l.Context(), "2026-1")),
		tutela.Case{Number: "2026-1", Title: "Operation <é>", Lead: "A", Status: tutela.CaseDismissed, Outcome: "nothing", Opened: noon, Closed: noon.Add(time.Hour)})

	digest := digests("order").SHA256
	a := tutela.Authority{
		Reference: "W-1", Case: "2026-1", Kind: tutela.SearchWarrant, Issuer: "Court", From: noon, Until: noon.Add(time.Hour),
		Exhibits: []string{"7-B"}, Actions: []tutela.Action{tutela.ActionScan}, Document: &digest, Added: noon,
	}
	l.happen(tutela.EventAuthorityAdd, a)
	equal(l, "authority", get(l.Authority(l.Context(), "W-1")), a)
	l.happen(tutela.EventAuthorityRevoke, tutela.Revocation{Reference: "W-1", Reason: "quashed"})
	a.Revoked, a.Reason = noon.Add(3*time.Hour), "quashed"
	equal(l, "revoked authority", get(l.Authority(l.Context(), "W-1")), a)

	l.seize("7-B", "2026-1")
	ev := l.event(tutela.EventTransfer, tutela.Transfer{To: "B", Reason: "imaging"})
	ev.Exhibit = "7-B"
	l.apply(ev)
	equal(l, "exhibit", get(l.Exhibit(l.Context(), "7-B")), tutela.Exhibit{Label: "7-B", Case: "2026-1", Kind: "drive", Holder: "B", Added: noon.Add(4 * time.Hour)})
	testScanNoun(l)
	testSetNoun(l)
	testAdmittedNoun(l)
}

func testAdmittedNoun(l *lab) {
	a := admission("7-B", 5)
	at := uint64(len(l.log))
	l.happen(tutela.EventAdmit, a)
	equal(l, "admitted scan", get(l.Scan(l.Context(), catalog.ScanID{Exhibit: "7-B", Number: 5})), catalog.Scan{
		ScanID: catalog.ScanID{Exhibit: "7-B", Number: 5}, Case: "2026-1", Authority: "W", Started: a.Started, Start: a.Start,
		Sealed: a.Sealed, Seal: &a.Seal, LogIndex: at, Matched: a.Matched, Run: &a.Runs[1], Erased: 1,
	})
}

func testScanNoun(l *lab) {
	id := l.scan("7-B", 1)
	want := catalog.Scan{ScanID: id, Case: "2026-1", Authority: "W-1", Started: noon.Add(6 * time.Hour), Start: tutela.ScanStart{Exhibit: "7-B", Number: 1, Profile: "full"}}
	got := get(l.Scan(l.Context(), id))
	equal(l, "scan", got, want)
	if got.State() != catalog.ScanRunning {
		l.Errorf("a scan that began is %s", got.State())
	}
	seal := tutela.Seal{Exhibit: "7-B", Number: 1, Root: digests("root").SHA256, Records: 3, States: tutela.StateCounts{Allocated: 3}, Sources: []tutela.SealedSource{{Path: "disk.dd", Format: "raw", Size: 512}}}
	l.happen(tutela.EventSeal, seal)
	run := tutela.MatchRun{Exhibit: "7-B", Number: 1, Run: 1, Root: digests("run").SHA256, Matches: 2, Alerts: 1, Sets: []tutela.SetVersion{{Name: "s", Version: 1, Status: tutela.Alert}}}
	l.happen(tutela.EventMatchRun, run)
	want.Sealed, want.Seal, want.LogIndex = noon.Add(7*time.Hour), &seal, 7
	want.Matched, want.Run = noon.Add(8*time.Hour), &run
	got = get(l.Scan(l.Context(), catalog.ScanID{Exhibit: "7-B"}))
	equal(l, "sealed scan", got, want)
	if got.State() != catalog.ScanSealed {
		l.Errorf("a sealed scan is %s", got.State())
	}
}

func testSetNoun(l *lab) {
	first := tutela.SetImport{Set: tutela.SetVersion{Name: "s", Version: 1, Status: tutela.KnownGood, Count: 9}, Source: "s.csv", Refused: 1}
	second := first
	second.Set.Version = 2
	l.happen(tutela.EventSetImport, second)
	l.happen(tutela.EventSetImport, first)
	l.happen(tutela.EventSetRemove, tutela.SetRemove{Name: "s", Reason: "old"})
	removed := noon.Add(11 * time.Hour)
	equal(l, "sets", get(l.Sets(l.Context())), []catalog.Set{
		{SetImport: first, Imported: noon.Add(10 * time.Hour), Removed: removed, Reason: "old"},
		{SetImport: second, Imported: noon.Add(9 * time.Hour), Removed: removed, Reason: "old"},
	})
}

// testLists: sorted by bytes, and of one case or exhibit where that is asked.
func testLists(l *lab) {
	for _, number := range []string{"b", "B", "a-10", "é", "a-2"} {
		l.open(number)
	}
	for _, label := range []string{"z", "Z", "10", "9"} {
		l.seize(label, "b")
	}
	l.seize("other", "B")
	for _, reference := range []string{"W-2", "W-10"} {
		l.happen(tutela.EventAuthorityAdd, tutela.Authority{Reference: reference, Case: "b"})
	}
	l.happen(tutela.EventAuthorityAdd, tutela.Authority{Reference: "W-1", Case: "B"})
	l.scan("z", 1)
	l.scan("10", 1)
	l.scan("z", 4)

	equal(l, "cases", keys(get(l.Cases(l.Context())), func(c tutela.Case) string { return c.Number }), []string{"B", "a-10", "a-2", "b", "é"})
	label := func(x tutela.Exhibit) string { return x.Label }
	equal(l, "exhibits", keys(get(l.Exhibits(l.Context(), "")), label), []string{"10", "9", "Z", "other", "z"})
	equal(l, "exhibits of B", keys(get(l.Exhibits(l.Context(), "B")), label), []string{"other"})
	equal(l, "exhibits of none", keys(get(l.Exhibits(l.Context(), "none")), label), []string(nil))
	reference := func(a tutela.Authority) string { return a.Reference }
	equal(l, "authorities", keys(get(l.Authorities(l.Context(), "")), reference), []string{"W-1", "W-10", "W-2"})
	equal(l, "authorities of b", keys(get(l.Authorities(l.Context(), "b")), reference), []string{"W-10", "W-2"})
	id := func(s catalog.Scan) string { return s.ScanID.String() }
	equal(l, "scans", keys(get(l.Scans(l.Context(), "")), id), []string{"10 scan 1", "z scan 1", "z scan 4"})
	equal(l, "scans of z", keys(get(l.Scans(l.Context(), "z")), id), []string{"z scan 1", "z scan 4"})
}

func testLogOrder(l *lab) {
	l.open("1")
	l.open("2")
	before := l.dump()
	l.refuse("a gap", l.Apply(l.Context(), 3, l.event(tutela.EventInit, nil)), catalog.ErrOrder)
	l.must(l.Apply(l.Context(), 0, l.log[0]))
	l.must(l.Apply(l.Context(), 1, l.log[1]))
	l.refuse("another event at an old index", l.Apply(l.Context(), 0, l.log[1]), catalog.ErrDiffers)
	if after := l.dump(); after != before {
		l.Errorf("repeats and refusals changed\n%s\ninto\n%s", before, after)
	}
	if next := get(l.Applied(l.Context())); next != 2 {
		l.Errorf("next is %d", next)
	}
}

// misfit is an event that does not fit a lab in which only case 1, exhibit X,
// its sealed scan 1 and authority A exist.
type misfit struct {
	name   string
	kind   tutela.EventKind
	detail any
	want   error
}

var misfits = []misfit{
	{"case twice", tutela.EventCaseOpen, tutela.Case{Number: "1"}, catalog.ErrExists},
	{"case without number", tutela.EventCaseOpen, tutela.Case{Title: "T"}, catalog.ErrDetail},
	{"field nobody knows", tutela.EventCaseOpen, map[string]string{"Number": "2", "Colour": "red"}, catalog.ErrDetail},
	{"not an object", tutela.EventCaseOpen, "case 2", catalog.ErrDetail},
	{"close no case", tutela.EventCaseClose, tutela.Case{Number: "2"}, catalog.ErrNotFound},
	{"close as open", tutela.EventCaseClose, tutela.Case{Number: "1", Status: tutela.CaseOpen}, catalog.ErrDetail},
	{"authority twice", tutela.EventAuthorityAdd, tutela.Authority{Reference: "A", Case: "1"}, catalog.ErrExists},
	{"authority for no case", tutela.EventAuthorityAdd, tutela.Authority{Reference: "B", Case: "2"}, catalog.ErrNotFound},
	{"authority on nothing", tutela.EventAuthorityAdd, tutela.Authority{Reference: "B", Case: "1", Parent: "C"}, catalog.ErrNotFound},
	{"proposal twice", tutela.EventAuthorityPropose, tutela.Authority{Reference: "A", Case: "1"}, catalog.ErrExists},
	{"approve nothing", tutela.EventAuthorityApprove, tutela.Decision{Reference: "B"}, catalog.ErrNotFound},
	{"approve what was never proposed", tutela.EventAuthorityApprove, tutela.Decision{Reference: "A"}, catalog.ErrExists},
	{"decline what was never proposed", tutela.EventAuthorityDecline, tutela.Decision{Reference: "A"}, catalog.ErrExists},
	{"revoke nothing", tutela.EventAuthorityRevoke, tutela.Revocation{Reference: "B"}, catalog.ErrNotFound},
	{"revoke twice", tutela.EventAuthorityRevoke, tutela.Revocation{Reference: "A"}, catalog.ErrExists},
	{"exhibit twice", tutela.EventSeize, tutela.Exhibit{Label: "X", Case: "1"}, catalog.ErrExists},
	{"exhibit of no case", tutela.EventSeize, tutela.Exhibit{Label: "Y", Case: "2"}, catalog.ErrNotFound},
	{"transfer of nothing", tutela.EventTransfer, tutela.Transfer{To: "B"}, catalog.ErrNotFound},
	{"receipt of nothing", tutela.EventReceive, tutela.Receipt{From: "A", To: "B"}, catalog.ErrNotFound},
	{"receipt from nobody", tutela.EventReceive, tutela.Receipt{To: "B"}, catalog.ErrDetail},
	{"image of nothing", tutela.EventImage, tutela.Acquisition{By: "A"}, catalog.ErrNotFound},
	{"scan of nothing", tutela.EventScanStart, tutela.ScanStart{Exhibit: "Y", Number: 1}, catalog.ErrNotFound},
	{"scan that was", tutela.EventScanStart, tutela.ScanStart{Exhibit: "X", Number: 1}, catalog.ErrExists},
	{"scan nought", tutela.EventScanStart, tutela.ScanStart{Exhibit: "X"}, catalog.ErrDetail},
	{"seal no scan", tutela.EventSeal, tutela.Seal{Exhibit: "X", Number: 2}, catalog.ErrNotFound},
	{"seal twice", tutela.EventSeal, tutela.Seal{Exhibit: "X", Number: 1}, catalog.ErrExists},
	{"run that was", tutela.EventMatchRun, tutela.MatchRun{Exhibit: "X", Number: 1, Run: 1}, catalog.ErrExists},
	{"run of no scan", tutela.EventMatchRun, tutela.MatchRun{Exhibit: "X", Number: 7, Run: 1}, catalog.ErrNotFound},
	{"admit to no exhibit", tutela.EventAdmit, admission("Y", 1), catalog.ErrNotFound},
	{"admit a scan that was", tutela.EventAdmit, admission("X", 1), catalog.ErrExists},
	{"admit without a run", tutela.EventAdmit, unmatched(admission("X", 2)), catalog.ErrDetail},
	{"admit parts of two scans", tutela.EventAdmit, mixed(admission("X", 2)), catalog.ErrDetail},
	{"erase of no scan", tutela.EventErase, tutela.Erase{Exhibit: "X", Scans: []tutela.ErasedScan{{Number: 1}, {Number: 7}}}, catalog.ErrNotFound},
	{"erase of one scan twice", tutela.EventErase, tutela.Erase{Exhibit: "X", Scans: []tutela.ErasedScan{{Number: 1}, {Number: 1}}}, catalog.ErrDetail},
	{"account twice", tutela.EventAccountAdd, tutela.Account{Name: "p"}, catalog.ErrExists},
	{"account without name", tutela.EventAccountAdd, tutela.Account{}, catalog.ErrDetail},
	{"roles of no account", tutela.EventAccountChange, tutela.AccountChange{Name: "q"}, catalog.ErrNotFound},
	{"close no account", tutela.EventAccountClose, tutela.AccountClosing{Name: "q"}, catalog.ErrNotFound},
	{"close an account twice", tutela.EventAccountClose, tutela.AccountClosing{Name: "p"}, catalog.ErrExists},
	{"set twice", tutela.EventSetImport, tutela.SetImport{Set: tutela.SetVersion{Name: "s", Version: 1}}, catalog.ErrExists},
	{"set without name", tutela.EventSetImport, tutela.SetImport{Set: tutela.SetVersion{Version: 1}}, catalog.ErrDetail},
	{"remove no set", tutela.EventSetRemove, tutela.SetRemove{Name: "t"}, catalog.ErrNotFound},
}

func admission(exhibit string, number int) tutela.Admit {
	return tutela.Admit{
		Exhibit: exhibit, Number: number, Origin: "field", Actor: "A", Authority: "W", Started: noon, Sealed: noon.Add(time.Hour), Matched: noon.Add(2 * time.Hour),
		Start:  tutela.ScanStart{Exhibit: exhibit, Number: number, Profile: "full"},
		Seal:   tutela.Seal{Exhibit: exhibit, Number: number, Records: 3},
		Runs:   []tutela.MatchRun{{Exhibit: exhibit, Number: number, Run: 1}, {Exhibit: exhibit, Number: number, Run: 3}},
		Erased: tutela.ErasedScan{Number: number, Leaves: []uint64{2}},
	}
}

func unmatched(a tutela.Admit) tutela.Admit {
	a.Runs = nil
	return a
}

func mixed(a tutela.Admit) tutela.Admit {
	a.Seal.Number++
	return a
}

func (l *lab) fillForMisfits() {
	l.Helper()
	l.open("1")
	l.happen(tutela.EventAuthorityAdd, tutela.Authority{Reference: "A", Case: "1"})
	l.happen(tutela.EventAuthorityRevoke, tutela.Revocation{Reference: "A"})
	l.happen(tutela.EventAccountAdd, tutela.Account{Name: "p"})
	l.happen(tutela.EventAccountClose, tutela.AccountClosing{Name: "p"})
	l.seize("X", "1")
	l.scan("X", 1)
	l.happen(tutela.EventSeal, tutela.Seal{Exhibit: "X", Number: 1})
	l.happen(tutela.EventMatchRun, tutela.MatchRun{Exhibit: "X", Number: 1, Run: 1})
	l.happen(tutela.EventSetImport, tutela.SetImport{Set: tutela.SetVersion{Name: "s", Version: 1}})
}

// testMisfits: an event that makes no sense is kept, with the reason, and the
// log goes on behind it.
func testMisfits(l *lab) {
	l.fillForMisfits()
	before := l.everyNoun()
	for _, m := range misfits {
		l.happen(m.kind, m.detail)
	}
	l.happen("a kind of the future", map[string]int{"answer": 42})
	if after := l.everyNoun(); after != before {
		l.Errorf("misfits changed\n%s\ninto\n%s", before, after)
	}
	entries := l.custody(catalog.About{})
	entries = entries[len(entries)-len(misfits)-1:]
	for i, m := range misfits {
		if entries[i].Misfit == "" || entries[i].Kind != m.kind {
			l.Errorf("%s: kept as %+v", m.name, entries[i])
		}
	}
	if last := entries[len(misfits)]; last.Misfit != "" || string(last.Detail) != `{"answer":42}` {
		l.Errorf("an event of a kind that is not known was kept as %+v", last)
	}
	l.open("2") // and the log goes on
	get(l.Case(l.Context(), "2"))
}

func (l *lab) everyNoun() string {
	l.Helper()
	return fmt.Sprint(get(l.Cases(l.Context())), get(l.Authorities(l.Context(), "")), get(l.Exhibits(l.Context(), "")), get(l.Sets(l.Context())), len(get(l.Scans(l.Context(), ""))))
}

func testCheck(l *lab) {
	l.fillForMisfits()
	before := l.dump()
	for _, m := range misfits {
		l.refuse(m.name, l.Check(l.Context(), l.event(m.kind, m.detail)), m.want)
	}
	other := l.event(tutela.EventSeize, tutela.Exhibit{Label: "Y", Case: "1"})
	other.Exhibit = "X"
	l.refuse("an event about something else", l.Check(l.Context(), other), catalog.ErrDetail)
	far := l.event(tutela.EventCaseOpen, tutela.Case{Number: "2"})
	far.Time = time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC)
	l.refuse("an event in the year 12026", l.Check(l.Context(), far), catalog.ErrDetail)
	l.must(l.Check(l.Context(), l.event(tutela.EventCaseOpen, tutela.Case{Number: "2"})))
	l.must(l.Check(l.Context(), l.event("a kind of the future", nil)))
	if after := l.dump(); after != before {
		l.Errorf("asking changed\n%s\ninto\n%s", before, after)
	}
}

// testRepeatedKeys: a retry after a crash may append an event twice.
func testRepeatedKeys(l *lab) {
	l.open("1")
	l.seize("X", "1")
	moved := l.event(tutela.EventTransfer, tutela.Transfer{To: "B"})
	moved.Exhibit, moved.Key = "X", "k"
	l.must(l.Check(l.Context(), moved))
	l.apply(moved)
	back := l.event(tutela.EventTransfer, tutela.Transfer{To: "C"})
	back.Exhibit = "X"
	l.apply(back)
	l.must(l.Check(l.Context(), moved))
	l.apply(moved)
	if x := get(l.Exhibit(l.Context(), "X")); x.Holder != "C" {
		l.Errorf("the repeat of an older transfer gave the exhibit to %q", x.Holder)
	}
	entries := l.custody(catalog.About{Exhibit: "X"})
	equal(l, "repeats", keys(entries, func(e catalog.Entry) string { return fmt.Sprint(e.Index, " ", e.Repeat) }), []string{"1 false", "2 false", "3 false", "4 true"})
}

func testCustody(l *lab) {
	l.open("1")
	l.seize("X", "1")
	l.seize("Y", "1")
	odd := tutela.Event{
		Kind: tutela.EventAccess, Time: time.Date(1800, 1, 1, 0, 0, 0, 1, time.FixedZone("LMT", 1234)), Actor: "é\x00\xff", Case: "1", Exhibit: "X",
		Authority: "W\n1", Detail: []byte("\x00not JSON\xff"), Key: "k\xff",
	}
	l.apply(odd)
	l.happen(tutela.EventInit, nil)
	index := func(e catalog.Entry) string { return fmt.Sprint(e.Index) }
	equal(l, "all", keys(l.custody(catalog.About{}), index), []string{"0", "1", "2", "3", "4"})
	equal(l, "of the case", keys(l.custody(catalog.About{Case: "1"}), index), []string{"1", "2", "3"})
	of := l.custody(catalog.About{Case: "1", Exhibit: "X"})
	equal(l, "of the exhibit", keys(of, index), []string{"1", "3"})
	equal(l, "of nothing", keys(l.custody(catalog.About{Exhibit: "Z"}), index), []string(nil))
	odd.Time = odd.Time.UTC()
	equal(l, "odd event", of[1], catalog.Entry{Index: 3, Event: odd})
	for range l.Custody(l.Context(), catalog.About{}) {
		break
	}
}

// testCustodyPages: more events than any store reads at once.
func testCustodyPages(l *lab) {
	const n = 450
	for i := range n {
		ev := l.event(tutela.EventAccess, i)
		ev.Exhibit = []string{"X", "Y"}[i%2]
		l.apply(ev)
	}
	if all, half := len(l.custody(catalog.About{})), len(l.custody(catalog.About{Exhibit: "Y"})); all != n || half != n/2 {
		l.Errorf("told %d and %d of %d and %d events", all, half, n, n/2)
	}
}

func (l *lab) custody(about catalog.About) (entries []catalog.Entry) {
	l.Helper()
	for e, err := range l.Custody(l.Context(), about) {
		l.must(err)
		entries = append(entries, e)
	}
	return entries
}

// get unwraps what must be there.
func get[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func keys[T any](list []T, key func(T) string) (out []string) {
	for _, v := range list {
		out = append(out, key(v))
	}
	return out
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}
