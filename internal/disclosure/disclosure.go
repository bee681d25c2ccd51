// Package disclosure makes the bundle that a lab hands to a court and to the
// defence, as docs/reference/bundle-format.md lays down.
//
// Call [Open] for each exhibit, with the grant to disclose it: it opens the
// records that were chosen and proves them. Then [Order.Disclose] writes into the
// agency log what is handed to whom, and writes the bundle.
//
// Promised: the disclosure is in the log, under a head that a quorum of the
// policy's witnesses signed, before there is a bundle; an order that is repeated
// after a crash finds its event there and adds no second; the bundle is there
// whole or not at all, and never in place of something else; the same lab, order
// and time of issue give the same bytes, but for the signatures of heads that
// were signed anew. Not promised: that what is disclosed may be disclosed, beyond
// the authority that the grant rests on. The content of files is in a bundle only
// where it is handed in: a lab keeps digests.
package disclosure

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"tutela"
	"tutela/internal/actor"
	"tutela/internal/lab"
	"tutela/internal/ledger"
	"tutela/internal/ledger/check"
)

// Errors that callers tell apart.
var (
	ErrExists   = errors.New("there is something in the bundle's place already")
	ErrNothing  = errors.New("nothing was chosen")
	ErrNoChain  = errors.New("its history is not linked from the seizure on")
	ErrBadOrder = errors.New("the order cannot be written down")
	ErrNoHead   = errors.New("the head of the log is not signed as the policy demands")
)

// Form is how a bundle lies on the disk.
type Form int

// A bundle is a folder, or the same files in one uncompressed tar.
const (
	Folder Form = iota
	Tar
)

// Order is what is to be handed to whom. All fields up to Path are needed.
type Order struct {
	Case    string
	To      string // whom: 1 to 1,000 bytes of printable text
	Purpose string // what for: likewise
	Issued  time.Time
	Officer actor.Signer // a key that the log enrolled and that is in force
	Path    string       // where the bundle is to be; nothing may be there
	Form    Form

	// Head is the head of the log with the signatures of a quorum, as bytes of
	// a signed note; nil takes the log's own, which is enough where the policy
	// names no witnesses.
	Head func(context.Context) ([]byte, error)
	// Content are files with the contents of records, which go into the bundle.
	Content []Content
	// Show are indices of tool-validate events about no exhibit that the bundle
	// shows too.
	Show []uint64
	// Enclose gives what else the bundle holds, by path: verify.py,
	// tool/validation.txt and report/…; nil gives nothing.
	Enclose func(*Contents) (map[string][]byte, error)
}

// Content is a file with the content of a record that is opened.
type Content struct {
	Item
	File string // where it lies; it must stay as it is until the bundle is written
}

// Contents is what a bundle says, for those who write about it.
type Contents struct {
	Case, To, Purpose string
	Issued            time.Time
	Officer           string           // the name of whoever signs
	Head              check.Checkpoint // under which everything stands
	Policy            string           // which keys signed it, as the bundle has it
	Events            []ledger.Entry   // of the bundle, in their order
	Opened            []*Opened        // by exhibit
}

// Disclosed is a bundle that was written.
type Disclosed struct {
	Head   check.Checkpoint
	Opened uint64        // leaves
	Events []uint64      // the disclose events, in the order of the exhibits
	Policy tutela.SHA256 // of the policy, which verifiers show: it stands for the keys
}

// Disclose records the disclosure of what was opened and writes the bundle. The
// order of its steps is the promise:
//
//  1. the order can be written down, nothing is in the bundle's place, the grants
//     stand, the officer's key is in force
//  2. a quorum of witnesses answers; else nothing is recorded
//  3. one disclose event for each exhibit goes into the log: the commit point.
//     From then on the disclosure has happened, and repeating the order goes on
//     here
//  4. the quorum signs the head that covers the events
//  5. the bundle is written beside its place, synced, and renamed into it
func (o Order) Disclose(ctx context.Context, l *lab.Lab, opened ...*Opened) (*Disclosed, error) {
	d := &disclosing{Order: o, l: l, opened: sortedByExhibit(opened)}
	if err := d.permitted(ctx); err != nil {
		return nil, err
	}
	if _, err := d.signedHead(ctx, 0); err != nil {
		return nil, err
	}
	indices, err := d.record(ctx)
	if err != nil {
		return nil, err
	}
	signed, err := d.signedHead(ctx, slices.Max(indices)+1)
	if err != nil {
		return nil, err
	}
	files, err := d.compose(ctx, signed, indices)
	if err != nil {
		return nil, fmt.Errorf("compose the bundle: %w", err)
	}
	// A head that others hold is kept: it shows if the log is ever another.
	if err := l.Heads().Save(d.head.Size, signed); err != nil {
		return nil, err
	}
	if err := d.write(files); err != nil {
		return nil, fmt.Errorf("write the bundle %s: %w", o.Path, err)
	}
	return &Disclosed{d.head, d.count(), indices, sha256.Sum256(files["policy"])}, nil
}

// disclosing is one call of Disclose.
type disclosing struct {
	Order
	l      *lab.Lab
	opened []*Opened
	person string           // whose key signs
	policy *check.Policy    // of log keys and witnesses, as it stands
	head   check.Checkpoint // the last that was signed
	stored map[string]stored
}

func sortedByExhibit(opened []*Opened) []*Opened {
	return slices.SortedFunc(slices.Values(opened), func(a, b *Opened) int { return strings.Compare(a.Exhibit(), b.Exhibit()) })
}

// permitted is step 1.
func (d *disclosing) permitted(ctx context.Context) error {
	if len(d.opened) == 0 {
		return ErrNothing
	}
	for i, o := range d.opened {
		if err := o.grant.Permits(tutela.ActionDisclose); err != nil {
			return err
		}
		if o.grant.Exhibit().Case != d.Case {
			return fmt.Errorf("exhibit %s is of case %s, not %s", o.Exhibit(), o.grant.Exhibit().Case, d.Case)
		}
		if i > 0 && o.Exhibit() == d.opened[i-1].Exhibit() {
			return fmt.Errorf("exhibit %s was opened twice", o.Exhibit())
		}
	}
	if err := d.officer(ctx); err != nil {
		return err
	}
	if err := d.writable(); err != nil {
		return err
	}
	if err := d.storeContent(); err != nil {
		return err
	}
	return Vacant(d.Path)
}

// officer finds out whose key signs.
func (d *disclosing) officer(ctx context.Context) error {
	standing, err := d.l.Standing(ctx)
	if err != nil {
		return err
	}
	key, ok := standing.Keys[d.Officer.KeyID()]
	if !ok || key.VKey != d.Officer.VerifierKey() {
		return fmt.Errorf("%w: %s", lab.ErrNotEnrolled, d.Officer.KeyID())
	}
	d.person = key.Actor
	d.policy, err = d.l.WitnessPolicy(ctx)
	return err
}

// writable reports whether the words of the order can stand in the head of a
// bundle.
func (d *disclosing) writable() error {
	for _, f := range []struct{ name, value string }{
		{"case", d.Case}, {"recipient", d.To}, {"purpose", d.Purpose}, {"officer", d.person},
	} {
		if err := checkText(f.value); err != nil {
			return fmt.Errorf("%w: %s %.60q: %v", ErrBadOrder, f.name, f.value, err)
		}
	}
	if y := d.Issued.UTC().Year(); y < 1 || y > 9999 {
		return fmt.Errorf("%w: issued in the year %d", ErrBadOrder, y)
	}
	return nil
}

// maxText is how long a value in the head of a bundle may be, in bytes.
const maxText = 1000

// checkText says why a value cannot stand in the head of a bundle.
func checkText(s string) error {
	switch {
	case s == "":
		return errors.New("it is empty")
	case len(s) > maxText:
		return fmt.Errorf("it has %d bytes, at most %d fit", len(s), maxText)
	case !utf8.ValidString(s):
		return errors.New("it is not UTF-8")
	case strings.HasPrefix(s, " ") || strings.HasSuffix(s, " "):
		return errors.New("it begins or ends with a space")
	case strings.ContainsFunc(s, unprintable):
		return errors.New("it has characters that cannot be seen")
	}
	return nil
}

// unprintable tells what would make one line two, or read in another order than
// it is written.
func unprintable(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r)
}

// count is how many leaves are opened in all.
func (d *disclosing) count() (n uint64) {
	for _, o := range d.opened {
		n += o.count()
	}
	return n
}

// record is step 3, and returns where the events are. They are signed by the
// officer, and their keys are made of the whole order: one that is repeated
// finds them.
func (d *disclosing) record(ctx context.Context) ([]uint64, error) {
	var events []tutela.Event
	for _, o := range d.opened {
		ev, err := d.event(o)
		if err != nil {
			return nil, err
		}
		events = append(events, ev)
	}
	indices, err := d.l.RecordAll(ctx, events...)
	if err != nil {
		return nil, fmt.Errorf("write the disclosure into the ledger: %w", err)
	}
	return indices, nil
}

func (d *disclosing) event(o *Opened) (tutela.Event, error) {
	ev, err := tutela.NewEvent(tutela.EventDisclose, time.Now(), d.person, tutela.Disclose{To: d.To, Purpose: d.Purpose, Trees: o.summary(), Contents: d.contentsOf(o.Exhibit())})
	if err != nil {
		return ev, err
	}
	ev.Case, ev.Exhibit, ev.Authority = d.Case, o.Exhibit(), o.grant.Reference()
	ev.Key = fmt.Sprintf("disclose/%x/%s", d.digest(), o.Exhibit())
	sum := o.hash()
	ev.Facts = []tutela.Fact{
		{Name: tutela.FactOpened, Number: o.count(), Value: sum[:]},
		{Name: tutela.FactTo, Value: []byte(d.To)},
		{Name: tutela.FactPurpose, Value: []byte(d.Purpose)},
	}
	if ev.Signature, err = d.Officer.Sign(ledger.EventMessage(&ev)); err != nil {
		return ev, fmt.Errorf("sign the disclosure: %w", err)
	}
	ev.Signer = d.Officer.KeyID()
	return ev, nil
}

// digest is what makes two orders one: who hands which leaves to whom, for what.
func (d *disclosing) digest() [32]byte {
	h := sha256.New()
	for _, word := range []string{d.Case, d.To, d.Purpose, d.person} {
		fmt.Fprintf(h, "%q\n", word)
	}
	for _, o := range d.opened {
		fmt.Fprintf(h, "%q %d %x\n", o.Exhibit(), o.count(), o.hash())
	}
	for _, path := range slices.Sorted(maps.Keys(d.stored)) {
		fmt.Fprintln(h, path)
	}
	return [32]byte(h.Sum(nil))
}

// enclosed are the paths that [Order.Enclose] may give.
var enclosed = regexp.MustCompile(`^(verify\.py|tool/validation\.txt|report/[a-z0-9.-]{1,90})$`)

func checkEnclosed(path string) error {
	if !enclosed.MatchString(path) || path == "report/." || path == "report/.." {
		return fmt.Errorf("%.100q has no place in a bundle", path)
	}
	return nil
}
