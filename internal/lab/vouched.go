package lab

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tutela"
	"tutela/internal/ledger"
	"tutela/internal/ledger/check"
	"tutela/internal/timestamp"
)

// Trust is what time-stamps and anchors are verified by. Its zero value verifies
// none.
type Trust struct {
	Roots   *x509.CertPool // of time-stamping authorities; nil verifies no stamp
	Headers [][]byte       // of Bitcoin blocks, 80 bytes each
	Floor   float64        // difficulty of a block; 0 is [timestamp.DifficultyFloor]
}

// VouchState says what a stamp or an anchor is worth.
type VouchState string

// The states.
const (
	VouchVerified   VouchState = "verified"
	VouchUnverified VouchState = "unverified" // there was nothing to verify it by
	VouchPending    VouchState = "pending"    // a calendar promised a block and there is none yet
	VouchFailed     VouchState = "failed"
)

// Vouched is what one stamp or anchor says of when a head was.
type Vouched struct {
	Size       uint64
	Signatures int    // signature lines of the head that it covers
	Kind       string // "rfc3161" or "opentimestamps"
	State      VouchState
	Time       time.Time     // at the latest; zero if it is not told
	Accuracy   time.Duration // of Time, either way
	By         string        // the authority, the block or the calendars
	Serial     string        // that an authority gave the stamp
	Problem    string        // why it is not verified; "" if it is
}

// Vouched judges all that vouches for a head.
func (h StoredHead) Vouched(t Trust) (all []Vouched) {
	for _, version := range append([]StoredHead{h}, h.Earlier...) {
		lines := bytes.Count(version.Signed, []byte("\n— "))
		for _, response := range version.Stamps {
			v := t.judgeStamp(response, version.Signed)
			v.Size, v.Signatures, v.Kind = h.Size, lines, "rfc3161"
			all = append(all, v)
		}
		for _, proof := range version.Anchors {
			v := t.judgeAnchor(proof, version.Signed)
			v.Size, v.Signatures, v.Kind = h.Size, lines, "opentimestamps"
			all = append(all, v)
		}
	}
	return all
}

func (t Trust) judgeStamp(response, signed []byte) Vouched {
	claim, err := timestamp.Inspect(response)
	if err != nil {
		return Vouched{State: VouchFailed, Problem: err.Error()}
	}
	v := Vouched{Time: claim.Time, Accuracy: claim.Accuracy + claim.Resolution, By: claim.Authority, Serial: claim.Serial}
	if t.Roots == nil {
		v.State, v.Problem = VouchUnverified, "no root certificate to trust was given"
		return v
	}
	_, err = timestamp.Verify(response, signed, t.Roots)
	_, stranger := errors.AsType[x509.UnknownAuthorityError](err)
	switch {
	case stranger: // whom somebody else may trust
		v.State, v.Problem = VouchUnverified, "it leads to none of the root certificates to trust"
	case err != nil:
		v.State, v.Problem = VouchFailed, err.Error()
	default:
		v.State = VouchVerified
	}
	return v
}

func (t Trust) judgeAnchor(proof, signed []byte) Vouched {
	p, err := timestamp.ParseProof(proof)
	if err != nil {
		return Vouched{State: VouchFailed, Problem: err.Error()}
	}
	var calendars, blocks []string
	known := false
	for _, a := range p.Attestations() {
		switch {
		case a.Bitcoin:
			blocks = append(blocks, fmt.Sprintf("block %d", a.Height))
			known = known || slices.ContainsFunc(t.Headers, func(h []byte) bool { return len(h) == 80 && bytes.Equal(h[36:68], a.Message) })
		case a.Calendar != "":
			calendars = append(calendars, a.Calendar)
		}
	}
	switch {
	case len(blocks) == 0:
		return Vouched{State: VouchPending, By: strings.Join(calendars, ", "), Problem: "no block attests it yet"}
	case !known:
		return Vouched{State: VouchUnverified, By: strings.Join(blocks, ", "), Problem: "the header of its block was not given"}
	}
	return t.judgeBlock(proof, signed, blocks)
}

func (t Trust) judgeBlock(proof, signed []byte, blocks []string) Vouched {
	floor := t.Floor
	if floor == 0 {
		floor = timestamp.DifficultyFloor
	}
	a, err := timestamp.VerifyOTSAbove(floor, proof, signed, t.Headers)
	if err != nil {
		return Vouched{State: VouchFailed, By: strings.Join(blocks, ", "), Problem: err.Error()}
	}
	const minersMayBeOff = 2 * time.Hour
	return Vouched{State: VouchVerified, Time: a.Time, Accuracy: minersMayBeOff, By: fmt.Sprintf("block %d, %s", a.Height, a.Block)}
}

// vouching holds the heads that are kept against the log while its events go by.
type vouching struct {
	edge  check.Edge
	roots map[uint64]check.Hash // of the log, at the sizes of heads that are kept
	keys  []rotation
	trust []string // root certificates that a policy ever named, PEM
	times []time.Time
}

// rotation is a change of the log's keys by the entry at an index.
type rotation struct {
	index         uint64
	retired, next []string
}

func newVouching(sizes []uint64) *vouching {
	k := &vouching{roots: map[uint64]check.Hash{}}
	for _, n := range sizes {
		k.roots[n] = check.Hash{}
	}
	if _, kept := k.roots[0]; kept {
		k.roots[0] = check.EmptyRoot()
	}
	return k
}

// take follows one entry of the log.
func (k *vouching) take(e ledger.Entry) error {
	k.edge.Append(e.Leaf)
	if _, kept := k.roots[k.edge.Size()]; kept {
		k.roots[k.edge.Size()] = k.edge.Root()
	}
	k.times = append(k.times, e.Event.Time)
	switch e.Event.Kind {
	case tutela.EventKeyRotate:
		r := rotation{index: e.Index}
		for _, f := range e.Event.Facts {
			switch f.Name {
			case tutela.FactLogKey:
				r.next = append(r.next, string(f.Value))
			case tutela.FactRetiredLogKey:
				r.retired = append(r.retired, string(f.Value))
			}
		}
		k.keys = append(k.keys, r)
	case tutela.EventPolicyChange:
		var p Policy
		if err := tutela.DecodeDetail(e.Event.Detail, &p); err != nil {
			return err
		}
		if p.TimeRoots != "" && !slices.Contains(k.trust, p.TimeRoots) {
			k.trust = append(k.trust, p.TimeRoots)
		}
	}
	return nil
}

// keysOf are the keys that may have signed a head of a size: those that the first
// change of keys from its last entry on retired, or today's. The head that ends with
// a change is signed by either: see ledger.Rotation.
func (k *vouching) keysOf(size uint64, today []string) [][]string {
	for _, r := range k.keys {
		if r.index+1 == size {
			return [][]string{r.retired, r.next}
		}
		if r.index+1 > size {
			return [][]string{r.retired}
		}
	}
	return [][]string{today}
}

// verifyHeads holds the heads that are kept, and what vouches for them, against
// the log whose entries have gone by.
func (l *Lab) verifyHeads(k *vouching, v *Verdict) {
	h := l.Heads()
	files, err := h.list()
	if err != nil {
		v.problem("%v", err)
		return
	}
	h.verifyNames(files, v)
	trust, err := k.trusted()
	if err != nil {
		v.problem("the policy's root certificates: %v", err)
	}
	evidence := evidenceOf(files)
	for _, size := range sizesOf(files) {
		head, err := h.load(size, evidence[size])
		if err != nil {
			v.problem("%v", err)
			continue
		}
		v.Heads++
		if err := k.verifyHead(head, l.keys.VerifierKeys()); err != nil {
			v.problem("the head of %d entries that was kept: %v", size, err)
			continue
		}
		h.verifyEvidence(head, evidence[size], v)
		k.verifyTimes(head.Vouched(trust), v)
	}
}

// vouchingOf has the whole log gone by, to hold heads of these sizes against.
func (l *Lab) vouchingOf(ctx context.Context, sizes []uint64) (*vouching, error) {
	log, err := l.ReadLog()
	if err != nil {
		return nil, err
	}
	k := newVouching(sizes)
	for entry, err := range log.Events(ctx, 0) {
		if err != nil {
			return nil, fmt.Errorf("read the agency log: %w", err)
		}
		if err := k.take(entry); err != nil {
			return nil, fmt.Errorf("event %d of the agency log: %w", entry.Index, err)
		}
	}
	return k, nil
}

// TimeRoots are the root certificates of time-stamping authorities that the policy
// names or named before; nil if there are none.
func (l *Lab) TimeRoots(ctx context.Context) (*x509.CertPool, error) {
	k, err := l.vouchingOf(ctx, nil)
	if err != nil {
		return nil, err
	}
	t, err := k.trusted()
	return t.Roots, err
}

// verifyNames reports files that are nothing. What a crash left half written is
// none of them.
func (h *Heads) verifyNames(files []fs.DirEntry, v *Verdict) {
	heads := map[uint64]bool{}
	for _, size := range sizesOf(files) {
		heads[size] = true
	}
	for _, f := range files {
		size, _, ok := parseHeadFile(f.Name())
		switch {
		case strings.HasPrefix(f.Name(), ".tmp-"):
		case !ok:
			v.problem("among the heads lies %q, which is none", f.Name())
		case !heads[size]:
			v.problem("among the heads lies %s, and no head of %d entries", f.Name(), size)
		}
	}
}

// trusted are the root certificates that any policy named.
func (k *vouching) trusted() (Trust, error) {
	if len(k.trust) == 0 {
		return Trust{}, nil
	}
	roots, err := timestamp.ParseRoots([]byte(strings.Join(k.trust, "\n")))
	return Trust{Roots: roots}, err
}

// verifyHead holds a head against the log. Errors about its signatures wrap
// [check.ErrCheckpoint], those that the log is not what it was [ErrForked] or
// [ErrCutBack].
func (k *vouching) verifyHead(head StoredHead, today []string) error {
	var errs []error
	for _, vkeys := range k.keysOf(head.Size, today) {
		keys, err := check.ParseLogKeys(vkeys...)
		if err != nil {
			return err
		}
		c, err := keys.Open(head.Signed)
		switch {
		case err != nil:
			errs = append(errs, err)
			continue
		case c.Size > k.edge.Size():
			return fmt.Errorf("%w: it has %d entries", ErrCutBack, k.edge.Size())
		case c.Root != k.roots[head.Size]:
			return fmt.Errorf("%w: its root is %s, that of the log was %s", ErrForked, c.Root, k.roots[head.Size])
		}
		return nil
	}
	return errors.Join(errs...)
}

// verifyEvidence reports files about a head that do not belong to it.
func (h *Heads) verifyEvidence(head StoredHead, names []string, v *Verdict) {
	for _, name := range names {
		b, err := h.read(name, maxHeadEvidence)
		if err == nil {
			_, err = covered(head.Signed, filepath.Ext(name), b)
		}
		if err != nil {
			v.problem("%s: %v", name, err)
		}
	}
}

// clockSlack is how far the lab's clock may be ahead of a time-stamp before a note is
// made of it.
const clockSlack = time.Minute

// verifyTimes reports stamps that do not hold, and events whose times a verified
// one contradicts: they were in the log before the moment that they state.
func (k *vouching) verifyTimes(all []Vouched, v *Verdict) {
	for _, one := range all {
		switch one.State {
		case VouchFailed:
			v.problem("the head of %d entries that was kept: %s: %s", one.Size, one.Kind, one.Problem)
		case VouchVerified:
			v.Stamps++
			k.verifyClock(one, v)
		case VouchUnverified:
			if one.Kind == "rfc3161" && len(k.trust) > 0 {
				v.note("the head of %d entries that was kept: the time-stamp by %s does not count: %s", one.Size, one.By, one.Problem)
			}
		}
	}
}

func (k *vouching) verifyClock(one Vouched, v *Verdict) {
	limit := one.Time.Add(one.Accuracy + clockSlack)
	for i, t := range k.times[:one.Size] {
		if t.After(limit) {
			v.note("entry %d of the agency log says %s, and was in the log by %s, as a time-stamp shows: the lab's clock was ahead",
				i, t.UTC().Format(time.RFC3339), one.Time.Format(time.RFC3339))
			return
		}
	}
}
