package check

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// ErrPolicy is wrapped by every refusal of a policy's text.
var ErrPolicy = errors.New("policy does not hold")

// Policy says which keys a log signs with and which witnesses must have
// cosigned: C2SP tlog-policy. [ParsePolicy] and [ParseCanonicalPolicy] make one.
type Policy struct {
	logs      []policyKey
	witnesses []policyKey
	groups    []group
	quorum    string
}

type policyKey struct {
	label    string // the policy's own name for it; empty for a log
	vkey     string
	verifier note.Verifier
	address  string // of a witness; empty if the policy tells none
}

// group counts as a witness if k of its members do. Members are defined above
// it, so there are no circles.
type group struct {
	name    string
	k       int
	members []string
}

// Cosignature is a witness's statement, which verified.
type Cosignature struct {
	Witness string    // as the policy names it
	Time    time.Time // when it says it signed; zero if it does not say
}

// Others says what becomes of signature lines by keys the policy does not name.
type Others int

const (
	OthersRefused  Others = iota // every line must be by a key of the policy
	OthersUnjudged               // they must have the form of a signature line
)

// ParsePolicy reads a policy in all forms of C2SP tlog-policy. Errors wrap
// [ErrPolicy] and name the line.
func ParsePolicy(text []byte) (*Policy, error) {
	body, whole := strings.CutSuffix(string(text), "\n")
	if !whole {
		return nil, fmt.Errorf("%w: does not end with a line feed", ErrPolicy)
	}
	r := policyReader{policy: new(Policy), defined: map[string]bool{"none": true}, used: map[string]bool{}, keys: map[string]bool{}}
	for i, line := range strings.Split(body, "\n") {
		if err := r.line(line); err != nil {
			return nil, fmt.Errorf("%w: line %d: %v", ErrPolicy, i+1, err)
		}
	}
	if r.policy.quorum == "" {
		return nil, fmt.Errorf("%w: no quorum line", ErrPolicy)
	}
	return r.policy, nil
}

// ParseCanonicalPolicy reads the one form that stands in a bundle: docs/reference/bundle-format.md,
// "policy". Errors wrap [ErrPolicy].
func ParseCanonicalPolicy(text []byte) (*Policy, error) {
	p, err := ParsePolicy(text)
	if err != nil {
		return nil, err
	}
	if p.Text() != string(text) {
		return nil, fmt.Errorf("%w: not in its one form", ErrPolicy)
	}
	if len(p.logs) == 0 {
		return nil, fmt.Errorf("%w: names no log", ErrPolicy)
	}
	for _, l := range p.logs {
		if l.verifier.Name() != p.logs[0].verifier.Name() {
			return nil, fmt.Errorf("%w: keys of two logs", ErrPolicy)
		}
	}
	return p, p.checkBundleForm()
}

func (p *Policy) checkBundleForm() error {
	for _, w := range p.witnesses {
		if !validName(w.label) {
			return fmt.Errorf("%w: witness name %.40q", ErrPolicy, w.label)
		}
		if _, alg, _, err := splitKey(w.vkey); err != nil || alg == algCosignature {
			return fmt.Errorf("%w: key of witness %s is not of type 1 or 6", ErrPolicy, w.label)
		}
	}
	for _, g := range p.groups {
		if !validName(g.name) {
			return fmt.Errorf("%w: group name %.40q", ErrPolicy, g.name)
		}
	}
	return nil
}

// LogKeys are the vkeys of the logs that the policy names.
func (p *Policy) LogKeys() (vkeys []string) {
	for _, l := range p.logs {
		vkeys = append(vkeys, l.vkey)
	}
	return vkeys
}

// Witnesses is how many witnesses the policy names.
func (p *Policy) Witnesses() int { return len(p.witnesses) }

// Witness is a line of a policy that names one.
type Witness struct {
	Name    string // the policy's own name for it
	Key     note.Verifier
	Address string // URL below which it is asked, as the policy writes it; "" if it tells none
}

// Named are the witnesses, in the policy's order.
func (p *Policy) Named() (all []Witness) {
	for _, w := range p.witnesses {
		all = append(all, Witness{w.label, w.verifier, w.address})
	}
	return all
}

// Text is the policy in the form that stands in a bundle: without addresses, and
// with the keys of Ed25519 witnesses written as of type 1.
func (p *Policy) Text() string {
	var b strings.Builder
	for _, l := range p.logs {
		fmt.Fprintf(&b, "log %s\n", l.vkey)
	}
	for _, w := range p.witnesses {
		fmt.Fprintf(&b, "witness %s %s\n", w.label, asSigner(w.vkey))
	}
	for _, g := range p.groups {
		fmt.Fprintf(&b, "group %s %d %s\n", g.name, g.k, strings.Join(g.members, " "))
	}
	fmt.Fprintf(&b, "quorum %s\n", p.quorum)
	return b.String()
}

// asSigner writes a key of type 4 as of type 1, which [ParseWitnessKey] reads as 4.
func asSigner(vkey string) string {
	name, alg, key, err := splitKey(vkey)
	if err != nil || alg != algCosignature {
		return vkey
	}
	return verifierKey(name, algEd25519, key)
}

// policyReader holds what was defined on the lines above.
type policyReader struct {
	policy  *Policy
	defined map[string]bool // names of witnesses and groups, and none
	used    map[string]bool // members of some group
	keys    map[string]bool // public keys, type-independent
}

func (r *policyReader) line(line string) error {
	for i := range len(line) {
		if c := line[i]; c < 0x20 && c != '\t' || c == 0x7f {
			return fmt.Errorf("control character 0x%02x", c)
		}
	}
	words := strings.FieldsFunc(line, func(c rune) bool { return c == ' ' || c == '\t' })
	if len(words) == 0 || words[0][0] == '#' {
		return nil
	}
	switch n := len(words); {
	case words[0] == "log" && (n == 2 || n == 3):
		return r.log(words[1])
	case words[0] == "witness" && (n == 3 || n == 4):
		return r.witness(words[1], words[2], strings.Join(words[3:], ""))
	case words[0] == "group" && n >= 4:
		return r.group(words[1], words[2], words[3:])
	case words[0] == "quorum" && n == 2:
		return r.quorum(words[1])
	}
	return fmt.Errorf("not a line of a policy: %.40q", line)
}

func (r *policyReader) log(vkey string) error {
	v, err := ParseVerifierKey(vkey)
	if err != nil {
		return err
	}
	if err := r.once(v, vkey); err != nil {
		return err
	}
	r.policy.logs = append(r.policy.logs, policyKey{vkey: vkey, verifier: v})
	return nil
}

func (r *policyReader) witness(name, vkey, address string) error {
	v, err := ParseWitnessKey(vkey)
	if err != nil {
		return err
	}
	if err := r.once(v, vkey); err != nil {
		return err
	}
	r.policy.witnesses = append(r.policy.witnesses, policyKey{name, vkey, v, address})
	return r.define(name)
}

// once refuses a public key that stood above, under whatever name: an Ed25519
// cosignature would count for both. Nor may two keys answer to one name and ID.
func (r *policyReader) once(v note.Verifier, vkey string) error {
	_, _, key, err := splitKey(vkey)
	if err != nil {
		return err
	}
	if r.keys[string(key)] {
		return errors.New("public key given twice")
	}
	r.keys[string(key)] = true
	for _, k := range slices.Concat(r.policy.logs, r.policy.witnesses) {
		if k.verifier.KeyHash() == v.KeyHash() && k.verifier.Name() == v.Name() {
			return errors.New("two keys of one name and ID")
		}
	}
	return nil
}

func (r *policyReader) define(name string) error {
	if r.defined[name] {
		return fmt.Errorf("name %.40q defined twice", name)
	}
	r.defined[name] = true
	return nil
}

func (r *policyReader) group(name, count string, members []string) error {
	k, err := threshold(count, len(members))
	if err != nil {
		return err
	}
	for _, m := range members {
		if m == "none" || !r.defined[m] {
			return fmt.Errorf("member %.40q is not defined above", m)
		}
		if r.used[m] {
			return fmt.Errorf("%.40q is a member twice", m)
		}
		r.used[m] = true
	}
	r.policy.groups = append(r.policy.groups, group{name, k, members})
	return r.define(name)
}

func threshold(count string, n int) (int, error) {
	switch count {
	case "any":
		return 1, nil
	case "all":
		return n, nil
	}
	k, err := strconv.Atoi(count)
	if err != nil || strconv.Itoa(k) != count || k < 1 || k > n {
		return 0, fmt.Errorf("threshold %.20q of %d members", count, n)
	}
	return k, nil
}

func (r *policyReader) quorum(name string) error {
	if r.policy.quorum != "" {
		return errors.New("second quorum line")
	}
	if !r.defined[name] {
		return fmt.Errorf("quorum %.40q is not defined above", name)
	}
	r.policy.quorum = name
	return nil
}

// Reached reports whether the witnesses for which signed holds make a quorum.
func (p *Policy) Reached(signed map[string]bool) bool {
	met := map[string]bool{"none": true}
	for _, w := range p.witnesses {
		met[w.label] = signed[w.label]
	}
	for _, g := range p.groups {
		n := 0
		for _, m := range g.members {
			if met[m] {
				n++
			}
		}
		met[g.name] = n >= g.k
	}
	return met[p.quorum]
}

// Verifier makes a Policy a note.Verifiers.
func (p *Policy) Verifier(name string, hash uint32) (note.Verifier, error) {
	for _, keys := range [][]policyKey{p.logs, p.witnesses} {
		for _, k := range keys {
			if k.verifier.KeyHash() == hash && k.verifier.Name() == name {
				return k.verifier, nil
			}
		}
	}
	return nil, &note.UnknownVerifierError{Name: name, KeyHash: hash}
}

var _ note.Verifiers = (*Policy)(nil)

// Open reads a signed checkpoint and demands a valid signature of every key that
// the policy gives its log, and a quorum of witnesses. No key may sign twice, and
// no line by a key of the policy may be wrong. Errors wrap [ErrCheckpoint].
func (p *Policy) Open(signed []byte, others Others) (Checkpoint, []Cosignature, error) {
	n, err := note.Open(signed, p)
	if err != nil {
		return Checkpoint{}, nil, fmt.Errorf("%w: %v", ErrCheckpoint, err)
	}
	if err := canonicalSignatures(n, signed); err != nil {
		return Checkpoint{}, nil, fmt.Errorf("%w: %v", ErrCheckpoint, err)
	}
	if others == OthersRefused && len(n.UnverifiedSigs) > 0 {
		return Checkpoint{}, nil, fmt.Errorf("%w: signature of %s, whom the policy does not name", ErrCheckpoint, n.UnverifiedSigs[0].Name)
	}
	c, err := ParseCheckpoint([]byte(n.Text))
	if err != nil {
		return Checkpoint{}, nil, err
	}
	if err := p.signedByLog(n, c.Origin); err != nil {
		return Checkpoint{}, nil, fmt.Errorf("%w: %v", ErrCheckpoint, err)
	}
	cosigned, err := p.cosigned(n)
	if err != nil {
		return Checkpoint{}, nil, fmt.Errorf("%w: %v", ErrCheckpoint, err)
	}
	return c, cosigned, nil
}

func (p *Policy) signedByLog(n *note.Note, origin string) error {
	keys := 0
	for _, l := range p.logs {
		if l.verifier.Name() != origin {
			continue
		}
		if _, ok := signatureOf(n, l.verifier); !ok {
			return fmt.Errorf("key %08x of %s has not signed", l.verifier.KeyHash(), origin)
		}
		keys++
	}
	if keys == 0 {
		return fmt.Errorf("the policy names no log %s", origin)
	}
	return nil
}

func (p *Policy) cosigned(n *note.Note) (all []Cosignature, err error) {
	signed := map[string]bool{}
	for _, w := range p.witnesses {
		s, ok := signatureOf(n, w.verifier)
		if !ok {
			continue
		}
		at, err := cosignedAt(s)
		if err != nil {
			return nil, err
		}
		signed[w.label] = true
		all = append(all, Cosignature{w.label, at})
	}
	if !p.Reached(signed) {
		return nil, fmt.Errorf("no quorum: %d of %d witnesses have cosigned", len(all), len(p.witnesses))
	}
	return all, nil
}

func signatureOf(n *note.Note, v note.Verifier) (note.Signature, bool) {
	for _, s := range n.Sigs {
		if s.Hash == v.KeyHash() && s.Name == v.Name() {
			return s, true
		}
	}
	return note.Signature{}, false
}
