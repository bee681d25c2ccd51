package oversight

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"tutela"
	"tutela/internal/ledger/check"
)

// Limits of an export, in bytes.
const (
	maxSmallFile = 1 << 20  // manifest, policy, checkpoint
	maxLine      = 24 << 20 // of entries and leaves: a body of 16 MiB in base64, and what is around it
)

// clockSlack is how far apart two clocks of one lab may be before a note is made.
const clockSlack = time.Minute

// maxNotes is after how many of a kind no more are told one by one.
const maxNotes = 20

// Given is what whoever checks an export knows by another way than from the lab.
type Given struct {
	Policies [][]byte // C2SP tlog-policy, the line of the quorum left out if none is asked for; all must hold. None: the export's own alone
	// Each is shown every act of looking, giving away and refusing, in the order of
	// the ledgers, before the verdict is known; nil: none.
	Each func(Seen) error
}

// Seen is an act that somebody saw something by, or was refused to.
type Seen struct {
	Period  int           // of the access ledger; 0 for the agency log
	Index   uint64        // of the leaf or entry
	Action  tutela.Action // "" where the event names none
	Purpose string        // in the person's own words
	tutela.Event
}

// Used counts acts of one person on one day.
type Used struct {
	Day       string // UTC, 2006-01-02
	Person    string
	Authority string // "" where none was named
	Action    string // or the kind of event where it names no action
	Purpose   string
	Acts      uint64
	Refused   uint64
}

// Audit is what an export proves. If it is refused, all but Problems is not to be
// believed.
type Audit struct {
	OK           bool
	Origin       string
	Root         string // of the log, hexadecimal digits
	Entries      uint64 // of the agency log
	Reads        uint64 // leaves of access ledgers
	Ledgers      int    // access ledgers
	Signed       uint64 // entries that their actors signed, with keys that the log enrols
	Exported     string // who took the export, as the log says
	PolicySHA256 string // of the export's policy: it stands for the keys
	Uses         []Used // by day, person, authority, action and purpose

	Proven    []string // sentences
	NotProven []string // sentences
	Problems  []string // at least one if OK is false
	Notes     []string // such as a clock that went backwards
}

// Verify checks an export without the lab: the signatures of the head, that all
// entries lead to its root, that all leaves of the access ledgers lead to each root
// that the entries name, and that what the entries say of each other fits. The error
// is about what could not be read; what does not hold is in the audit. One entry and
// one leaf are in memory at a time, and for each access-root what it says; the counts
// grow with the days, people, authorities and purposes there are.
func Verify(ctx context.Context, dir string, given Given) (*Audit, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open export: %w", err)
	}
	defer root.Close()
	a := &auditing{Audit: new(Audit), ctx: ctx, root: root, given: given, uses: map[Used]*Used{}, people: map[string]personKey{}}
	if err := a.judge(); err != nil {
		if unread := a.unread(err); unread != nil {
			return nil, fmt.Errorf("read export: %w", unread)
		}
		a.problem("%s", strings.ToValidUTF8(err.Error(), "�"))
	}
	a.finish()
	return a.Audit, nil
}

// IsExport reports whether dir looks like an export for oversight, whole or not.
func IsExport(dir string) bool {
	for _, name := range []string{manifestName, entriesName} {
		if info, err := os.Lstat(dir + string(os.PathSeparator) + name); err == nil && info.Mode().IsRegular() {
			return true
		}
	}
	return false
}

// auditing is an audit on its way.
type auditing struct {
	*Audit
	ctx   context.Context
	root  *os.Root
	given Given

	policy   tutela.SHA256 // of the file
	signed   tutela.SHA256 // of the checkpoint
	head     check.Checkpoint
	vouched  []check.Cosignature
	manifest manifest
	last     time.Time // of the entry before
	roots    []rootEntry
	people   map[string]personKey // by key ID, as the log enrolled them
	uses     map[Used]*Used
	notes    int
}

type personKey struct{ actor, vkey string }

// rootEntry is an access-root event.
type rootEntry struct {
	index uint64
	time  time.Time
	tutela.AccessRoot
}

// errTold ends an audit when whoever is shown the acts, or ctx, says so.
type errTold struct{ error }

// unread is an error that is no judgement on the export.
func (a *auditing) unread(err error) error {
	if told, ok := errors.AsType[errTold](err); ok {
		return told.error
	}
	if path, ok := errors.AsType[*fs.PathError](err); ok && !errors.Is(err, fs.ErrNotExist) {
		return path
	}
	return nil
}

func (a *auditing) problem(format string, args ...any) {
	a.Problems = append(a.Problems, fmt.Sprintf(format, args...))
}

func (a *auditing) note(format string, args ...any) {
	if a.notes++; a.notes <= maxNotes {
		a.Notes = append(a.Notes, fmt.Sprintf(format, args...))
	}
}

// judge goes through all there is. What it returns ends the audit.
func (a *auditing) judge() error {
	if err := a.judgeHead(); err != nil {
		return err
	}
	if err := a.judgeFiles(); err != nil {
		return err
	}
	if err := a.judgeEntries(); err != nil {
		return err
	}
	if err := a.judgeLedgers(); err != nil {
		return err
	}
	for _, of := range a.manifest.Reads {
		if err := a.judgeReads(of); err != nil {
			return err
		}
	}
	return nil
}

func (a *auditing) small(name string) ([]byte, error) {
	f, err := a.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSmallFile+1))
	if err == nil && len(b) > maxSmallFile {
		err = fmt.Errorf("%s: larger than %d bytes", name, maxSmallFile)
	}
	return b, err
}

// open opens a file of the export, and nothing that waits or leads elsewhere.
func (a *auditing) open(name string) (*os.File, error) {
	info, err := a.root.Lstat(name)
	if err != nil {
		return nil, fmt.Errorf("%s is missing: %w", name, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file", name)
	}
	return a.root.Open(name)
}

// judgeHead holds the head against the policy inside, and those that were given.
func (a *auditing) judgeHead() error {
	text, err := a.small(policyName)
	if err != nil {
		return err
	}
	signed, err := a.small(checkpointName)
	if err != nil {
		return err
	}
	policy, err := check.ParseCanonicalPolicy(text)
	if err != nil {
		return err
	}
	if a.head, a.vouched, err = policy.Open(signed, check.OthersRefused); err != nil {
		return err
	}
	for i, other := range a.given.Policies {
		p, err := check.ParsePolicy(withQuorum(other))
		if err == nil {
			_, _, err = p.Open(signed, check.OthersUnjudged)
		}
		if err != nil {
			return fmt.Errorf("policy %d that was given: %w", i+1, err)
		}
	}
	a.policy, a.signed = sha256.Sum256(text), sha256.Sum256(signed)
	a.Origin, a.Root, a.PolicySHA256 = a.head.Origin, a.head.Root.String(), a.policy.String()
	return nil
}

// withQuorum has keys of a log alone count as a policy that asks for no witness.
func withQuorum(policy []byte) []byte {
	for line := range bytes.Lines(policy) {
		if bytes.HasPrefix(line, []byte("quorum ")) {
			return policy
		}
	}
	return append(bytes.Clone(policy), "quorum none\n"...)
}

// judgeFiles reads the manifest and refuses a file that it does not call for.
func (a *auditing) judgeFiles() error {
	text, err := a.small(manifestName)
	if err != nil {
		return err
	}
	if a.manifest, err = parseCanonical[manifest](text); err != nil {
		return fmt.Errorf("%s: %w", manifestName, err)
	}
	m := a.manifest
	switch {
	case m.Format != ExportFormat:
		return fmt.Errorf("%s: format %.40q, this program knows %s", manifestName, m.Format, ExportFormat)
	case m.Origin != a.head.Origin:
		return fmt.Errorf("%s: of %.80q, the head is of %.80q", manifestName, m.Origin, a.head.Origin)
	case m.Policy != a.policy || m.Checkpoint != a.signed:
		return fmt.Errorf("%s: names another policy or checkpoint", manifestName)
	case m.Entries != a.head.Size:
		return fmt.Errorf("%s: %d entries, the head has %d", manifestName, m.Entries, a.head.Size)
	case m.Reads == nil:
		return fmt.Errorf("%s: not in its one form", manifestName)
	}
	names := []string{manifestName, policyName, checkpointName, entriesName}
	for i, of := range m.Reads {
		if i > 0 && of.Period <= m.Reads[i-1].Period || of.Period < 1 {
			return fmt.Errorf("%s: access ledger %d is out of order", manifestName, of.Period)
		}
		names = append(names, readsName(of.Period))
	}
	files, err := fs.ReadDir(a.root.FS(), ".")
	if err != nil {
		return err
	}
	for _, f := range files {
		if !slices.Contains(names, f.Name()) {
			return fmt.Errorf("a file that belongs to no export: %.100q", f.Name())
		}
	}
	return nil
}

// each visits the openings in a file, each at its place.
func (a *auditing) each(name string, visit func(index uint64, o check.Opening, ev *tutela.Event, signed []byte) error) (n uint64, err error) {
	f, err := a.open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	lines.Split(wholeLines)
	for ; lines.Scan(); n++ {
		if a.ctx.Err() != nil {
			return n, errTold{context.Cause(a.ctx)}
		}
		o, err := parseOpening(lines.Bytes(), n)
		var ev *tutela.Event
		var signed []byte
		if err == nil {
			ev, signed, err = check.DecodeEvent(o.Body)
		}
		if err == nil {
			err = visit(n, o, ev, signed)
		}
		if err != nil {
			return n, fmt.Errorf("%s: line %d: %w", name, n+1, err)
		}
	}
	if err := lines.Err(); err != nil {
		return n, fmt.Errorf("%s: line %d: %w", name, n+1, err)
	}
	return n, nil
}

// wholeLines splits at line feeds, keeps them, and refuses an end without one.
func wholeLines(b []byte, atEnd bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return i + 1, b[:i+1], nil
	}
	if atEnd && len(b) > 0 {
		return 0, nil, errors.New("the last line does not end")
	}
	return 0, nil, nil
}

func parseOpening(line []byte, index uint64) (o check.Opening, err error) {
	told, err := parseCanonical[opened](line)
	if err != nil {
		return o, err
	}
	if told.Index != index {
		return o, fmt.Errorf("index %d where %d must stand", told.Index, index)
	}
	salt, err := hex.DecodeString(told.Salt)
	if err != nil || len(salt) != len(o.Salt) || hex.EncodeToString(salt) != told.Salt {
		return o, errors.New("the salt is not 64 hexadecimal digits")
	}
	o.Salt = check.Hash(salt)
	if o.Body, err = base64.StdEncoding.Strict().DecodeString(told.Body); err == nil && base64.StdEncoding.EncodeToString(o.Body) != told.Body {
		err = errors.New("the body is not in its one form")
	}
	return o, err
}

// judgeEntries recomputes the root of the agency log.
func (a *auditing) judgeEntries() error {
	var edge check.Edge
	n, err := a.each(entriesName, func(index uint64, o check.Opening, ev *tutela.Event, signed []byte) error {
		edge.Append(check.Leaf(check.Entry(o.Leaf())))
		return a.takeEntry(index, ev, signed)
	})
	if err != nil {
		return err
	}
	if a.Entries = n; n != a.head.Size {
		return fmt.Errorf("%s: %d entries, the head has %d", entriesName, n, a.head.Size)
	}
	if is := edge.Root(); is != a.head.Root {
		return fmt.Errorf("%s: the entries lead to root %s, the signed one is %s", entriesName, is, a.head.Root)
	}
	if a.Exported == "" {
		a.problem("%s: no entry tells that this export was taken", entriesName)
	}
	return nil
}

func (a *auditing) takeEntry(index uint64, ev *tutela.Event, signed []byte) error {
	if ev.Time.Before(a.last.Add(-clockSlack)) {
		a.note("entry %d says %s, the one before %s: the lab's clock went backwards", index, ev.Time.UTC().Format(time.RFC3339), a.last.UTC().Format(time.RFC3339))
	}
	a.last = ev.Time
	if err := a.takeSigner(index, ev, signed); err != nil {
		return err
	}
	switch ev.Kind {
	case tutela.EventAccessRoot:
		return a.takeRoot(index, ev)
	case tutela.EventAccess, tutela.EventRefused, tutela.EventExport, tutela.EventDisclose:
		var e tutela.Export
		if ev.Kind == tutela.EventExport && json.Unmarshal(ev.Detail, &e) == nil && e.Format == "oversight" {
			a.Exported = ev.Actor
		}
		return a.see(SeenIn(0, index, *ev))
	}
	return nil
}

// takeSigner holds an actor's signature against the key that the log enrolled for
// them. Who signs by a key that it does not know is no reason to refuse: the keys
// of recovery are such.
func (a *auditing) takeSigner(index uint64, ev *tutela.Event, signed []byte) error {
	if key, known := a.people[ev.Signer]; known && ev.Signer != "" {
		v, err := check.ParseSignerKey(key.vkey)
		if err != nil {
			return err
		}
		if key.actor != ev.Actor || !v.Verify(check.EventMessage(signed), ev.Signature) {
			return fmt.Errorf("the signature of %s does not hold", ev.Actor)
		}
		a.Signed++
	}
	vkey := ev.Text(tutela.FactActorKey)
	switch ev.Kind {
	case tutela.EventKeyEnrol:
		a.people[tutela.KeyID(vkey)] = personKey{ev.Text(tutela.FactActor), vkey}
	case tutela.EventKeyWithdraw:
		delete(a.people, tutela.KeyID(vkey))
	}
	return nil
}

// takeRoot keeps what an access-root says, which must go on from those before.
func (a *auditing) takeRoot(index uint64, ev *tutela.Event) error {
	r := rootEntry{index: index, time: ev.Time}
	if err := tutela.DecodeDetail(ev.Detail, &r.AccessRoot); err != nil {
		return err
	}
	fact := ev.Fact(tutela.FactReads)
	if fact.Number != r.Leaves || !bytes.Equal(fact.Value, r.Root[:]) {
		return errors.New("an access-root whose fact and detail differ")
	}
	if n := len(a.roots); n > 0 {
		before := a.roots[n-1]
		if r.Period < before.Period || r.Period == before.Period && r.Leaves < before.Leaves {
			return fmt.Errorf("the access ledger shrinks: %d leaves of ledger %d after %d of %d", r.Leaves, r.Period, before.Leaves, before.Period)
		}
	}
	a.roots = append(a.roots, r)
	return nil
}

// judgeLedgers holds the access ledgers that are there against those that the log
// tells of.
func (a *auditing) judgeLedgers() error {
	told := []accessLedger{}
	for _, r := range a.roots {
		if n := len(told); n == 0 || told[n-1].Period != r.Period {
			told = append(told, accessLedger{Period: r.Period})
		}
		told[len(told)-1].Leaves = r.Leaves
	}
	if !slices.Equal(told, a.manifest.Reads) {
		return fmt.Errorf("the log tells of access ledgers %v, the export holds %v", told, a.manifest.Reads)
	}
	a.Ledgers = len(told)
	return nil
}

// judgeReads recomputes one access ledger and holds it against each of its roots.
func (a *auditing) judgeReads(of accessLedger) error {
	roots := slices.DeleteFunc(slices.Clone(a.roots), func(r rootEntry) bool { return r.Period != of.Period })
	var edge check.Edge
	used, after := map[string]uint64{}, time.Time{}
	n, err := a.each(readsName(of.Period), func(index uint64, o check.Opening, ev *tutela.Event, _ []byte) error {
		if len(roots) == 0 {
			return errors.New("a leaf that no entry of the log has a root over")
		}
		if ev.Kind != tutela.EventAccess && ev.Kind != tutela.EventRefused {
			return fmt.Errorf("a %.40q event in an access ledger", ev.Kind)
		}
		edge.Append(o.Leaf())
		if ev.Kind == tutela.EventAccess && ev.Authority != "" {
			used[ev.Authority]++
		}
		if ev.Time.Before(after.Add(-clockSlack)) || ev.Time.After(roots[0].time.Add(clockSlack)) {
			a.note("leaf %d of access ledger %d says %s, and stands between roots of %s and %s", index, of.Period, ev.Time.UTC().Format(time.RFC3339), after.UTC().Format(time.RFC3339), roots[0].time.UTC().Format(time.RFC3339))
		}
		if err := a.see(SeenIn(of.Period, index, *ev)); err != nil {
			return err
		}
		for len(roots) > 0 && roots[0].Leaves == edge.Size() {
			if is := edge.Root(); tutela.SHA256(is) != roots[0].Root {
				return fmt.Errorf("the leaves lead to root %s, entry %d of the log says %s", is, roots[0].index, roots[0].Root)
			}
			a.holdUsed(of.Period, roots[0], used)
			after, used, roots = roots[0].time, map[string]uint64{}, roots[1:]
		}
		return nil
	})
	if err != nil {
		return err
	}
	if a.Reads += n; n != of.Leaves || len(roots) > 0 {
		return fmt.Errorf("%s: %d leaves, the log has a root over %d", readsName(of.Period), n, of.Leaves)
	}
	return nil
}

// holdUsed compares what a root tells of acts under authorities with the leaves.
func (a *auditing) holdUsed(period int, r rootEntry, used map[string]uint64) {
	if !maps.Equal(used, r.Used) {
		a.note("entry %d tells of other acts under authorities than the leaves of access ledger %d show", r.index, period)
	}
}

// SeenIn reads the action and the purpose that an event names.
func SeenIn(period int, index uint64, ev tutela.Event) Seen {
	var told struct {
		Action  tutela.Action `json:"action"`
		Purpose string        `json:"purpose"`
	}
	if json.Unmarshal(ev.Detail, &told) != nil {
		return Seen{Period: period, Index: index, Event: ev}
	}
	return Seen{period, index, told.Action, told.Purpose, ev}
}

// see counts an act and shows it.
func (a *auditing) see(s Seen) error {
	action := string(s.Action)
	if action == "" {
		action = string(s.Kind)
	}
	key := Used{Day: s.Time.UTC().Format(time.DateOnly), Person: s.Actor, Authority: s.Authority, Action: action, Purpose: s.Purpose}
	if a.uses[key] == nil {
		a.uses[key] = &Used{Day: key.Day, Person: key.Person, Authority: key.Authority, Action: key.Action, Purpose: key.Purpose}
	}
	if s.Kind == tutela.EventRefused {
		a.uses[key].Refused++
	} else {
		a.uses[key].Acts++
	}
	if a.given.Each == nil {
		return nil
	}
	if err := a.given.Each(s); err != nil {
		return errTold{err}
	}
	return nil
}

// finish says in words what came out.
func (a *auditing) finish() {
	for _, u := range a.uses {
		a.Uses = append(a.Uses, *u)
	}
	slices.SortFunc(a.Uses, func(x, y Used) int {
		return slices.Compare([]string{x.Day, x.Person, x.Authority, x.Action, x.Purpose}, []string{y.Day, y.Person, y.Authority, y.Action, y.Purpose})
	})
	if a.notes > maxNotes {
		a.Notes = append(a.Notes, fmt.Sprintf("and %d more of this kind", a.notes-maxNotes))
	}
	if a.OK = len(a.Problems) == 0; !a.OK {
		return
	}
	a.Proven = append(a.Proven,
		fmt.Sprintf("these are all %d entries of the log %s, in their order, as its keys signed", a.Entries, a.Origin),
		fmt.Sprintf("these are all %d leaves of %d access ledgers that the log has a root over, in their order", a.Reads, a.Ledgers),
		fmt.Sprintf("the actors of %d entries signed them, by the keys that the log enrolled for them", a.Signed))
	for _, c := range a.vouched {
		a.Proven = append(a.Proven, fmt.Sprintf("the witness %s saw this head, it says at %s", c.Witness, c.Time.UTC().Format(time.RFC3339)))
	}
	if len(a.given.Policies) == 0 {
		a.NotProven = append(a.NotProven, "that these keys are the lab's: no policy was given that came by another way")
	} else {
		a.Proven = append(a.Proven, "the head is signed as every policy that was given demands")
	}
	a.NotProven = append(a.NotProven,
		"that everybody who saw something did so through this program",
		"that what people wrote as their purpose is true",
		"that the lab's clock was right")
	if len(a.vouched) == 0 {
		a.NotProven = append(a.NotProven, "that the lab shows everybody the same log: no witness cosigned its head")
	}
}
