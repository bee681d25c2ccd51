package catalog

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"tutela"
)

// Nouns is what a store must be able to keep for [Project]: each noun under its
// key, inside the transaction that applies one event. Reading what is not there
// must return ErrNotFound; putting replaces.
type Nouns interface {
	Case(number string) (tutela.Case, error)
	PutCase(tutela.Case) error
	Authority(reference string) (tutela.Authority, error)
	PutAuthority(tutela.Authority) error
	Exhibit(label string) (tutela.Exhibit, error)
	PutExhibit(tutela.Exhibit) error
	Scan(ScanID) (Scan, error) // the newest where the number is 0
	PutScan(Scan) error
	SetVersions(name string) ([]Set, error) // none is no error
	PutSet(Set) error
	Account(name string) (tutela.Account, error)
	PutAccount(tutela.Account) error
}

// Misfit says why an event changes nothing: it refers to what is not there, or
// its detail cannot be understood. It wraps one of this package's errors.
type Misfit struct {
	Kind tutela.EventKind
	Err  error
}

func (m *Misfit) Error() string { return fmt.Sprintf("%s event: %v", m.Kind, m.Err) }
func (m *Misfit) Unwrap() error { return m.Err }

// Project puts into nouns what the event at an index of the log changes. It
// returns a [*Misfit] if the event does not fit, and then has put nothing; any
// other error is a failure of nouns. Kinds that change no noun are fine.
func Project(nouns Nouns, index uint64, ev tutela.Event) error {
	ev.Time = ev.Time.UTC()
	p := projection{nouns: nouns, index: index, ev: ev}
	err := p.apply()
	if isMisfit(err) {
		return &Misfit{Kind: ev.Kind, Err: err}
	}
	return err
}

func isMisfit(err error) bool {
	return errors.Is(err, ErrNotFound) || errors.Is(err, ErrExists) || errors.Is(err, ErrDetail)
}

// projection is one event on its way into the nouns. Every rule asks all its
// questions before it puts anything.
type projection struct {
	nouns Nouns
	index uint64
	ev    tutela.Event
}

func (p *projection) apply() error {
	switch p.ev.Kind {
	case tutela.EventCaseOpen:
		return p.caseOpen()
	case tutela.EventCaseClose:
		return p.caseClose()
	case tutela.EventAuthorityAdd:
		return p.authorityAdd()
	case tutela.EventAuthorityPropose:
		return p.authorityPropose()
	case tutela.EventAuthorityApprove, tutela.EventAuthorityDecline:
		return p.authorityDecide()
	case tutela.EventAuthorityRevoke:
		return p.authorityRevoke()
	case tutela.EventAccess, tutela.EventExport, tutela.EventDisclose:
		return p.use(map[string]uint64{p.ev.Authority: 1})
	case tutela.EventAccessRoot:
		return p.accessRoot()
	case tutela.EventSeize:
		return p.seize()
	case tutela.EventTransfer:
		return p.transfer()
	case tutela.EventReceive:
		return p.receive()
	case tutela.EventImage:
		return p.image()
	case tutela.EventScanStart:
		return p.scanStart()
	case tutela.EventSeal:
		return p.seal()
	case tutela.EventMatchRun:
		return p.matchRun()
	case tutela.EventAdmit:
		return p.admit()
	case tutela.EventErase:
		return p.erase()
	case tutela.EventAccountAdd:
		return p.accountAdd()
	case tutela.EventAccountChange:
		return p.accountChange()
	case tutela.EventAccountClose:
		return p.accountClose()
	case tutela.EventSetImport:
		return p.setImport()
	case tutela.EventSetRemove:
		return p.setRemove()
	}
	return nil // tells of something that changes no noun, or is not known yet
}

func (p *projection) caseOpen() error {
	var c tutela.Case
	if err := p.decode(&c); err != nil {
		return err
	}
	if err := p.names("case", c.Number, p.ev.Case); err != nil {
		return err
	}
	if _, err := p.nouns.Case(c.Number); !errors.Is(err, ErrNotFound) {
		return exists(err, "case", c.Number)
	}
	if c.Status == "" {
		c.Status = tutela.CaseOpen
	}
	if c.Opened.IsZero() {
		c.Opened = p.ev.Time
	}
	return p.nouns.PutCase(c)
}

// caseClose takes status and outcome from the detail; what a case was opened as
// is not changed by closing it.
func (p *projection) caseClose() error {
	var told tutela.Case
	if err := p.decode(&told); err != nil {
		return err
	}
	if err := p.names("case", told.Number, p.ev.Case); err != nil {
		return err
	}
	if told.Status == tutela.CaseOpen {
		return fmt.Errorf("%w: closed with the status open", ErrDetail)
	}
	c, err := p.nouns.Case(told.Number)
	if err != nil {
		return wanting(err, "case", told.Number)
	}
	c.Status, c.Outcome, c.Closed = told.Status, told.Outcome, told.Closed
	if c.Status == "" {
		c.Status = tutela.CaseClosed
	}
	if c.Closed.IsZero() {
		c.Closed = p.ev.Time
	}
	return p.nouns.PutCase(c)
}

func (p *projection) authorityAdd() error {
	var a tutela.Authority
	if err := p.decode(&a); err != nil {
		return err
	}
	if a.ProposedBy != "" || a.ApprovedBy != "" {
		return fmt.Errorf("%w: an authority that was proposed is added by proposing it", ErrDetail)
	}
	return p.addAuthority(a)
}

// authorityPropose keeps an authority that carries nothing yet. Who proposed it is
// who caused the event, whatever the detail says.
func (p *projection) authorityPropose() error {
	var a tutela.Authority
	if err := p.decode(&a); err != nil {
		return err
	}
	if p.ev.Actor == "" {
		return fmt.Errorf("%w: proposed by nobody", ErrDetail)
	}
	a.ProposedBy, a.ApprovedBy, a.Approved, a.Declined = p.ev.Actor, "", time.Time{}, time.Time{}
	return p.addAuthority(a)
}

// authorityDecide approves or declines. Nobody decides on their own proposal, and
// nobody twice.
func (p *projection) authorityDecide() error {
	var d tutela.Decision
	if err := p.decode(&d); err != nil {
		return err
	}
	a, err := p.nouns.Authority(d.Reference)
	if err != nil {
		return wanting(err, "authority", d.Reference)
	}
	if !a.Waits() {
		return exists(nil, "decision on authority", d.Reference)
	}
	if p.ev.Actor == a.ProposedBy || p.ev.Actor == "" {
		return fmt.Errorf("%w: %q decides on their own proposal %q", ErrDetail, p.ev.Actor, d.Reference)
	}
	if p.ev.Kind == tutela.EventAuthorityApprove {
		a.ApprovedBy, a.Approved = p.ev.Actor, p.ev.Time
	} else {
		a.Declined, a.Reason = p.ev.Time, d.Reason
	}
	return p.nouns.PutAuthority(a)
}

func (p *projection) addAuthority(a tutela.Authority) error {
	if err := p.names("authority", a.Reference, ""); err != nil {
		return err
	}
	if _, err := p.nouns.Case(a.Case); err != nil {
		return wanting(err, "case", a.Case)
	}
	if _, err := p.nouns.Authority(a.Reference); !errors.Is(err, ErrNotFound) {
		return exists(err, "authority", a.Reference)
	}
	if err := p.parent(a); err != nil {
		return err
	}
	if a.Added.IsZero() {
		a.Added = p.ev.Time
	}
	a.Used = 0
	return p.nouns.PutAuthority(a)
}

// parent demands that what an authority rests on is there, and of the same case. As
// it must be there first, none rests on itself.
func (p *projection) parent(a tutela.Authority) error {
	if a.Parent == "" {
		return nil
	}
	parent, err := p.nouns.Authority(a.Parent)
	if err != nil {
		return wanting(err, "authority", a.Parent)
	}
	if parent.Case != a.Case {
		return fmt.Errorf("%w: authority %q rests on %q of case %q", ErrDetail, a.Reference, a.Parent, parent.Case)
	}
	return nil
}

// use counts acts under authorities. One that is not known was refused, or is of
// another lab.
func (p *projection) use(acts map[string]uint64) error {
	for _, reference := range slices.Sorted(maps.Keys(acts)) {
		if reference == "" {
			continue
		}
		a, err := p.nouns.Authority(reference)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		a.Used += acts[reference]
		if err := p.nouns.PutAuthority(a); err != nil {
			return err
		}
	}
	return nil
}

func (p *projection) accessRoot() error {
	var r tutela.AccessRoot
	if err := p.decode(&r); err != nil {
		return err
	}
	return p.use(r.Used)
}

func (p *projection) authorityRevoke() error {
	var r tutela.Revocation
	if err := p.decode(&r); err != nil {
		return err
	}
	a, err := p.nouns.Authority(r.Reference)
	if err != nil {
		return wanting(err, "authority", r.Reference)
	}
	if !a.Revoked.IsZero() {
		return fmt.Errorf("revocation of %q: %w", r.Reference, ErrExists)
	}
	a.Revoked, a.Reason = p.ev.Time, r.Reason
	return p.nouns.PutAuthority(a)
}

func (p *projection) seize() error {
	var x tutela.Exhibit
	if err := p.decode(&x); err != nil {
		return err
	}
	if err := p.names("exhibit", x.Label, p.ev.Exhibit); err != nil {
		return err
	}
	if err := p.names("case", x.Case, p.ev.Case); err != nil {
		return err
	}
	if _, err := p.nouns.Case(x.Case); err != nil {
		return wanting(err, "case", x.Case)
	}
	if _, err := p.nouns.Exhibit(x.Label); !errors.Is(err, ErrNotFound) {
		return exists(err, "exhibit", x.Label)
	}
	if x.Added.IsZero() {
		x.Added = p.ev.Time
	}
	return p.nouns.PutExhibit(x)
}

func (p *projection) transfer() error {
	var t tutela.Transfer
	if err := p.decode(&t); err != nil {
		return err
	}
	return p.holder(t.To)
}

func (p *projection) receive() error {
	var r tutela.Receipt
	if err := p.decode(&r); err != nil {
		return err
	}
	if r.From == "" {
		return fmt.Errorf("%w: received from nobody", ErrDetail)
	}
	return p.holder(r.To)
}

// holder gives the exhibit that the event is about to somebody.
func (p *projection) holder(to string) error {
	x, err := p.nouns.Exhibit(p.ev.Exhibit)
	if err != nil {
		return wanting(err, "exhibit", p.ev.Exhibit)
	}
	if to == "" {
		return fmt.Errorf("%w: given to nobody", ErrDetail)
	}
	x.Holder = to
	return p.nouns.PutExhibit(x)
}

// image changes no noun; it must be of an exhibit that is there.
func (p *projection) image() error {
	var a tutela.Acquisition
	if err := p.decode(&a); err != nil {
		return err
	}
	if _, err := p.nouns.Exhibit(p.ev.Exhibit); err != nil {
		return wanting(err, "exhibit", p.ev.Exhibit)
	}
	return nil
}

func (p *projection) scanStart() error {
	var s tutela.ScanStart
	if err := p.decode(&s); err != nil {
		return err
	}
	if err := p.names("exhibit", s.Exhibit, p.ev.Exhibit); err != nil {
		return err
	}
	x, err := p.nouns.Exhibit(s.Exhibit)
	if err != nil {
		return wanting(err, "exhibit", s.Exhibit)
	}
	newest, err := p.nouns.Scan(ScanID{Exhibit: s.Exhibit})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	id := ScanID{s.Exhibit, s.Number}
	if err := rises(id.String(), s.Number, newest.Number); err != nil {
		return err
	}
	if err := p.use(map[string]uint64{p.ev.Authority: 1}); err != nil {
		return err
	}
	return p.nouns.PutScan(Scan{ScanID: id, Case: x.Case, Authority: p.ev.Authority, Started: p.ev.Time, Start: s})
}

func (p *projection) seal() error {
	var seal tutela.Seal
	if err := p.decode(&seal); err != nil {
		return err
	}
	s, err := p.scan(seal.Exhibit, seal.Number)
	if err != nil {
		return err
	}
	if s.Seal != nil {
		return exists(nil, "seal of", s.ScanID.String())
	}
	s.Seal, s.Sealed, s.LogIndex = &seal, p.ev.Time, p.index
	return p.nouns.PutScan(s)
}

func (p *projection) matchRun() error {
	var run tutela.MatchRun
	if err := p.decode(&run); err != nil {
		return err
	}
	s, err := p.scan(run.Exhibit, run.Number)
	if err != nil {
		return err
	}
	before := 0
	if s.Run != nil {
		before = s.Run.Run
	}
	if err := rises(fmt.Sprintf("match run %d of %s", run.Run, s.ScanID), run.Run, before); err != nil {
		return err
	}
	s.Run, s.Matched = &run, p.ev.Time
	return p.nouns.PutScan(s)
}

// admit makes a scan of another lab one of this lab, sealed and matched.
func (p *projection) admit() error {
	var a tutela.Admit
	if err := p.decode(&a); err != nil {
		return err
	}
	if err := p.names("exhibit", a.Exhibit, p.ev.Exhibit); err != nil {
		return err
	}
	x, err := p.nouns.Exhibit(a.Exhibit)
	if err != nil {
		return wanting(err, "exhibit", a.Exhibit)
	}
	newest, err := p.nouns.Scan(ScanID{Exhibit: a.Exhibit})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	id := ScanID{a.Exhibit, a.Number}
	if err := rises(id.String(), a.Number, newest.Number); err != nil {
		return err
	}
	if err := fits(a); err != nil {
		return err
	}
	return p.nouns.PutScan(Scan{
		ScanID: id, Case: x.Case, Authority: a.Authority, Started: a.Started.UTC(), Start: a.Start,
		Sealed: a.Sealed.UTC(), Seal: &a.Seal, LogIndex: p.index,
		Matched: a.Matched.UTC(), Run: &a.Runs[len(a.Runs)-1], Erased: uint64(len(a.Erased.Leaves)),
	})
}

// fits demands that all parts of an admitted scan are about one scan.
func fits(a tutela.Admit) error {
	if len(a.Runs) == 0 {
		return fmt.Errorf("%w: a scan that was not matched is admitted", ErrDetail)
	}
	same := a.Start.Exhibit == a.Exhibit && a.Start.Number == a.Number && a.Seal.Exhibit == a.Exhibit && a.Seal.Number == a.Number
	for i, run := range a.Runs {
		same = same && run.Exhibit == a.Exhibit && run.Number == a.Number && run.Run > 0 && (i == 0 || run.Run > a.Runs[i-1].Run)
	}
	for _, t := range []time.Time{a.Started, a.Sealed, a.Matched} {
		same = same && t.Year() >= 0 && t.Year() <= 9999
	}
	if !same {
		return fmt.Errorf("%w: the parts of an admitted scan are of different ones", ErrDetail)
	}
	return nil
}

func (p *projection) erase() error {
	var e tutela.Erase
	if err := p.decode(&e); err != nil {
		return err
	}
	var scans []Scan
	for i, told := range e.Scans {
		if i > 0 && told.Number <= e.Scans[i-1].Number {
			return fmt.Errorf("%w: scan %d is told behind scan %d", ErrDetail, told.Number, e.Scans[i-1].Number)
		}
		s, err := p.scan(e.Exhibit, told.Number)
		if err != nil {
			return err
		}
		s.Erased += uint64(len(told.Leaves))
		scans = append(scans, s)
	}
	for _, s := range scans {
		if err := p.nouns.PutScan(s); err != nil {
			return err
		}
	}
	return p.use(map[string]uint64{p.ev.Authority: 1})
}

func (p *projection) setImport() error {
	var set tutela.SetImport
	if err := p.decode(&set); err != nil {
		return err
	}
	if set.Set.Name == "" || set.Set.Version < 1 {
		return fmt.Errorf("%w: a set has a name and a version from 1", ErrDetail)
	}
	versions, err := p.nouns.SetVersions(set.Set.Name)
	if err != nil {
		return err
	}
	for _, v := range versions {
		if v.Set.Version == set.Set.Version {
			return exists(nil, "set", fmt.Sprintf("%s version %d", v.Set.Name, v.Set.Version))
		}
	}
	return p.nouns.PutSet(Set{SetImport: set, Imported: p.ev.Time})
}

func (p *projection) setRemove() error {
	var r tutela.SetRemove
	if err := p.decode(&r); err != nil {
		return err
	}
	versions, err := p.nouns.SetVersions(r.Name)
	if err != nil {
		return err
	}
	removed := 0
	for _, v := range versions {
		if !v.Removed.IsZero() {
			continue
		}
		v.Removed, v.Reason = p.ev.Time, r.Reason
		if err := p.nouns.PutSet(v); err != nil {
			return err
		}
		removed++
	}
	if removed == 0 {
		return wanting(ErrNotFound, "set", r.Name)
	}
	return nil
}

// accountAdd keeps the name of an account that was closed: whoever reads an old
// event must not find another person behind it.
func (p *projection) accountAdd() error {
	var a tutela.Account
	if err := p.decode(&a); err != nil {
		return err
	}
	if err := p.names("account", a.Name, ""); err != nil {
		return err
	}
	if _, err := p.nouns.Account(a.Name); !errors.Is(err, ErrNotFound) {
		return exists(err, "account", a.Name)
	}
	if a.Added.IsZero() {
		a.Added = p.ev.Time
	}
	return p.nouns.PutAccount(a)
}

func (p *projection) accountChange() error {
	var c tutela.AccountChange
	if err := p.decode(&c); err != nil {
		return err
	}
	a, err := p.nouns.Account(c.Name)
	if err != nil {
		return wanting(err, "account", c.Name)
	}
	a.Roles = c.Roles
	return p.nouns.PutAccount(a)
}

func (p *projection) accountClose() error {
	var c tutela.AccountClosing
	if err := p.decode(&c); err != nil {
		return err
	}
	a, err := p.nouns.Account(c.Name)
	if err != nil {
		return wanting(err, "account", c.Name)
	}
	if !a.Open() {
		return exists(nil, "closing of account", c.Name)
	}
	a.Closed, a.Reason = p.ev.Time, c.Reason
	return p.nouns.PutAccount(a)
}

// decode reads the detail, and demands that what nouns take over from the event
// around it can be written as JSON, in which stores keep them.
func (p *projection) decode(into any) error {
	if y := p.ev.Time.Year(); y < 0 || y > 9999 {
		return fmt.Errorf("%w: it happened in the year %d", ErrDetail, y)
	}
	if !utf8.ValidString(p.ev.Authority) || !utf8.ValidString(p.ev.Exhibit) {
		return fmt.Errorf("%w: its names are not UTF-8", ErrDetail)
	}
	if err := tutela.DecodeDetail(p.ev.Detail, into); err != nil {
		return fmt.Errorf("%w: %v", ErrDetail, err)
	}
	return nil
}

// names demands that a noun has a key, and the one the event is about if the
// event says so: else the custody of one thing would tell of another.
func (p *projection) names(what, key, about string) error {
	if key == "" {
		return fmt.Errorf("%w: %s without a name", ErrDetail, what)
	}
	if about != "" && about != key {
		return fmt.Errorf("%w: the event is about %s %q, its detail about %q", ErrDetail, what, about, key)
	}
	return nil
}

func (p *projection) scan(exhibit string, number int) (Scan, error) {
	id := ScanID{exhibit, number}
	if err := p.names("exhibit", exhibit, p.ev.Exhibit); err != nil {
		return Scan{}, err
	}
	if number < 1 {
		return Scan{}, fmt.Errorf("%w: scan %d", ErrDetail, number)
	}
	s, err := p.nouns.Scan(id)
	if err != nil {
		return Scan{}, wanting(err, "scan", id.String())
	}
	return s, nil
}

// rises demands a higher number than the one before. Gaps are fine: an act that
// was begun and never written down has used up its number.
func rises(what string, number, before int) error {
	if number < 1 {
		return fmt.Errorf("%w: %s: numbers begin at 1", ErrDetail, what)
	}
	if number <= before {
		return fmt.Errorf("%s: %w", what, ErrExists)
	}
	return nil
}

// exists says that something is there; err is what kept it from being read, if
// anything.
func exists(err error, what, key string) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("%s %q: %w", what, key, ErrExists)
}

func wanting(err error, what, key string) error {
	return fmt.Errorf("%s %q: %w", what, key, err)
}
