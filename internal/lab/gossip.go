package lab

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tutela/internal/ledger/check"
)

// ErrOtherKeys means that a log is signed by other keys than those that this lab
// knows as its.
var ErrOtherKeys = errors.New("the log is signed by other keys than before")

// Limits of what is kept of others.
const (
	maxGossipHead  = 64 << 10 // bytes
	maxGossipLogs  = 1000
	maxGossipHeads = 64 // of one log; beyond, the smallest goes
	maxGossipForks = 9  // heads of one size
)

// Heard is what came of hearing of a head.
type Heard struct {
	check.Checkpoint
	State HeardState
	Why   string // why the log is not what it was, or nothing was judged
}

// HeardState says what a head is to this lab.
type HeardState string

// The states.
const (
	HeardOurs     HeardState = "ours"       // of this lab's log, which continues it
	HeardKept     HeardState = "kept"       // of another log, and new
	HeardKnown    HeardState = "known"      // of another log, and kept before
	HeardUnjudged HeardState = "not-judged" // it is signed by no keys that are known for its origin
	HeardForked   HeardState = "forked"     // its log has two histories
	HeardCutBack  HeardState = "cut-back"   // of this lab's log, which has fewer entries
)

// Alarming reports whether a log is not what it was.
func (h Heard) Alarming() bool { return h.State == HeardForked || h.State == HeardCutBack }

// gossip is what others showed of logs, in ledger/agency/gossip. NAME stands for
// the origin of a log:
//
//	NAME.keys               its vkeys, one on each line
//	NAME-SIZE.checkpoint    a head of it, as a signed note
//	NAME-SIZE-K.checkpoint  another head of the same size, K from 2
//
// Of this lab's own log there are only heads that contradict it.
type gossip struct{ headFolder }

func (l *Lab) gossip() gossip { return gossip{l.headFolder("gossip")} }

// Hear takes signed heads of logs that somebody showed. Those of this lab's log are
// held against it. Those of logs whose keys [Lab.Meet] made known are held against
// what was seen of them before, and kept, to be passed on in bundles. Of others
// nothing is kept: anybody could have written them. Bytes that are no signed head are
// an error that wraps [check.ErrCheckpoint], and nothing was kept.
func (l *Lab) Hear(ctx context.Context, signed ...[]byte) (all []Heard, err error) {
	var own []int
	for i, one := range signed {
		head, err := parseSignedHead(one)
		if err != nil {
			return nil, fmt.Errorf("head %d of those shown: %w", i+1, err)
		}
		c, err := check.ParseCheckpoint([]byte(head.text))
		if err != nil {
			return nil, err
		}
		if c.Origin == l.keys.Origin() {
			own = append(own, i)
		}
		all = append(all, Heard{Checkpoint: c})
	}
	if err := l.hearOwn(ctx, own, signed, all); err != nil {
		return nil, err
	}
	g := l.gossip()
	for i := range all {
		switch {
		case all[i].State == "":
			err = g.hear(&all[i], signed[i])
		case all[i].Alarming(): // evidence against this lab is kept as well
			_, err = g.keep(all[i].Checkpoint, signed[i])
		}
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// hearOwn judges heads of this lab's log, those at the indices.
func (l *Lab) hearOwn(ctx context.Context, indices []int, signed [][]byte, all []Heard) error {
	if len(indices) == 0 {
		return nil
	}
	var sizes []uint64
	for _, i := range indices {
		sizes = append(sizes, all[i].Size)
	}
	k, err := l.vouchingOf(ctx, sizes)
	if err != nil {
		return err
	}
	for _, i := range indices {
		all[i].judge(k.verifyHead(StoredHead{Size: all[i].Size, Signed: signed[i]}, l.keys.VerifierKeys()))
	}
	return nil
}

// judge takes down how a head of this lab's log stands to the log.
func (h *Heard) judge(err error) {
	switch {
	case err == nil:
		h.State = HeardOurs
		return
	case errors.Is(err, ErrCutBack):
		h.State = HeardCutBack
	case errors.Is(err, ErrForked):
		h.State = HeardForked
	default:
		h.State = HeardUnjudged
	}
	h.Why = err.Error()
}

// hear judges a head of another log by the keys that are known.
func (g gossip) hear(h *Heard, signed []byte) error {
	keys, err := g.keys(h.Origin)
	if errors.Is(err, fs.ErrNotExist) {
		h.State, h.Why = HeardUnjudged, "nobody made its log known"
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := keys.Open(signed); err != nil {
		h.State, h.Why = HeardUnjudged, err.Error()
		return nil
	}
	h.State, err = g.keep(h.Checkpoint, signed)
	if h.State == HeardForked {
		h.Why = fmt.Sprintf("another head of %d entries of it is known", h.Size)
	}
	return err
}

// Meet makes the keys of another log known, and keeps heads of it that were
// verified, whichever of its keys signed them. Whether the keys are that agency's is
// for people to compare. Where others are known for its origin it returns
// [ErrOtherKeys], unless change says that the log changed its keys. It reports
// whether the log is new here. A bundle of this lab's own is no other log: its heads
// are for [Lab.Hear].
func (l *Lab) Meet(vkeys []string, change KeyChange, verified ...[]byte) (all []Heard, fresh bool, err error) {
	keys, err := check.ParseLogKeys(vkeys...)
	if err != nil {
		return nil, false, err
	}
	g := l.gossip()
	if fresh, err = g.pin(keys.Origin(), vkeys, change); err != nil {
		return nil, false, err
	}
	for _, signed := range verified {
		head, err := parseSignedHead(signed)
		if err != nil {
			return nil, fresh, err
		}
		h := Heard{}
		if h.Checkpoint, err = check.ParseCheckpoint([]byte(head.text)); err != nil {
			return nil, fresh, err
		}
		if h.State, err = g.keep(h.Checkpoint, signed); err != nil {
			return nil, fresh, err
		}
		if h.State == HeardForked {
			h.Why = fmt.Sprintf("another head of %d entries of it is known", h.Size)
		}
		all = append(all, h)
	}
	return all, fresh, nil
}

// KeyChange says whether a log may come with other keys than before.
type KeyChange int

// Key changes.
const (
	KeysAsBefore KeyChange = iota
	KeysMayChange
)

// pin makes keys known.
func (g gossip) pin(origin string, vkeys []string, change KeyChange) (fresh bool, err error) {
	text := []byte(strings.Join(slices.Sorted(slices.Values(vkeys)), "\n") + "\n")
	known, err := g.read(gossipName(origin)+".keys", maxGossipHead)
	fresh = errors.Is(err, fs.ErrNotExist)
	switch {
	case err != nil && !fresh:
		return false, err
	case bytes.Equal(known, text):
		return false, nil
	case !fresh && change != KeysMayChange:
		return false, fmt.Errorf("%s: %w", origin, ErrOtherKeys)
	}
	if err := g.begin(); err != nil {
		return false, err
	}
	if fresh {
		if files, err := g.list(); err != nil || countKeys(files) >= maxGossipLogs {
			return false, errors.Join(err, fmt.Errorf("%d logs are known, more are not kept", maxGossipLogs))
		}
	}
	return fresh, g.write(gossipName(origin)+".keys", text, maxGossipHead)
}

func countKeys(files []fs.DirEntry) (n int) {
	for _, f := range files {
		if strings.HasSuffix(f.Name(), ".keys") {
			n++
		}
	}
	return n
}

func (g gossip) keys(origin string) (*check.LogKeys, error) {
	text, err := g.read(gossipName(origin)+".keys", maxGossipHead)
	if err != nil {
		return nil, err
	}
	return check.ParseLogKeys(strings.Fields(string(text))...)
}

// keep keeps a head whose signatures hold, unless it is there.
func (g gossip) keep(c check.Checkpoint, signed []byte) (HeardState, error) {
	if err := g.begin(); err != nil {
		return "", err
	}
	state := HeardKept
	for k := 1; k <= maxGossipForks; k++ {
		name := gossipHead{gossipName(c.Origin), c.Size, k}.file()
		known, err := g.checkpoint(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if err := g.write(name, signed, maxGossipHead); err != nil {
				return "", err
			}
			return state, g.thin(c.Origin)
		case err != nil:
			return "", err
		case known == c && state == HeardKept:
			return HeardKnown, nil
		case known == c:
			return HeardForked, nil
		}
		state = HeardForked
	}
	return HeardForked, nil // nine are enough to show
}

func (g gossip) checkpoint(name string) (c check.Checkpoint, err error) {
	signed, err := g.read(name, maxGossipHead)
	if err != nil {
		return c, err
	}
	head, err := parseSignedHead(signed)
	if err != nil {
		return c, fmt.Errorf("gossip %s: %w", name, err)
	}
	return check.ParseCheckpoint([]byte(head.text))
}

// thin lets go of the smallest heads of a log, where there are too many. What shows
// two histories stays.
func (g gossip) thin(origin string) error {
	heads, err := g.heads()
	if err != nil {
		return err
	}
	of := heads[gossipName(origin)]
	forks := forked(of)
	single := slices.DeleteFunc(slices.Clone(of), func(h gossipHead) bool { return forks[h.size] })
	for i := 0; i < len(single)-maxGossipHeads; i++ {
		if err := g.remove(single[i].file()); err != nil {
			return err
		}
	}
	return nil
}

// gossipHead is a head that is kept.
type gossipHead struct {
	log  string // NAME
	size uint64
	k    int // from 1
}

func (h gossipHead) file() string {
	if h.k == 1 {
		return fmt.Sprintf("%s-%d.checkpoint", h.log, h.size)
	}
	return fmt.Sprintf("%s-%d-%d.checkpoint", h.log, h.size, h.k)
}

var gossipFile = regexp.MustCompile(`^([a-z0-9-]+-[0-9a-f]{8})-(0|[1-9][0-9]{0,19})(?:-([2-9]))?\.checkpoint$`)

// gossipName is NAME of an origin: legible, and of no other origin.
func gossipName(origin string) string {
	name := slug(origin)
	sum := sha256.Sum256([]byte(origin))
	return fmt.Sprintf("%s-%x", name[:min(len(name), 40)], sum[:4])
}

// heads are all that are kept, of each log by rising size.
func (g gossip) heads() (map[string][]gossipHead, error) {
	files, err := g.list()
	if err != nil {
		return nil, err
	}
	all := map[string][]gossipHead{}
	for _, f := range files {
		m := gossipFile.FindStringSubmatch(f.Name())
		if m == nil {
			continue
		}
		h := gossipHead{log: m[1], k: 1}
		if h.size, err = strconv.ParseUint(m[2], 10, 64); err != nil {
			continue
		}
		if m[3] != "" {
			h.k = int(m[3][0] - '0')
		}
		all[h.log] = append(all[h.log], h)
	}
	for _, of := range all {
		slices.SortFunc(of, func(a, b gossipHead) int {
			return cmp.Or(cmp.Compare(a.size, b.size), cmp.Compare(a.k, b.k))
		})
	}
	return all, nil
}

// forked are the sizes of which there are two heads.
func forked(heads []gossipHead) map[uint64]bool {
	sizes := map[uint64]bool{}
	for _, h := range heads {
		if h.k > 1 {
			sizes[h.size] = true
		}
	}
	return sizes
}

// Passed are the heads of other logs that go into a bundle, by their names there:
// of each log the last, and all that show that it has two histories.
func (l *Lab) Passed() (map[string][]byte, error) {
	g := l.gossip()
	heads, err := g.heads()
	if err != nil {
		return nil, err
	}
	passed := map[string][]byte{}
	for name, of := range heads {
		if name == gossipName(l.keys.Origin()) {
			continue
		}
		forks := forked(of)
		for i, h := range of {
			if i < len(of)-1 && !forks[h.size] {
				continue
			}
			if passed[h.file()], err = g.read(h.file(), maxGossipHead); err != nil {
				return nil, err
			}
		}
	}
	return passed, nil
}

// Overheard are all heads that are kept of other logs, with what they say of them.
func (l *Lab) Overheard() (all []Heard, err error) {
	g := l.gossip()
	heads, err := g.heads()
	if err != nil {
		return nil, err
	}
	for _, of := range heads {
		forks := forked(of)
		for _, h := range of {
			c, err := g.checkpoint(h.file())
			if err != nil {
				return nil, err
			}
			one := Heard{Checkpoint: c, State: HeardKnown}
			if forks[h.size] {
				one.State, one.Why = HeardForked, "two heads of one size are known"
			}
			if c.Origin != l.keys.Origin() {
				all = append(all, one)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Heard) int { return strings.Compare(a.Origin, b.Origin) })
	return all, nil
}

// verifyGossip holds what others showed of this lab's log against it, and notes
// whose log has two histories.
func (l *Lab) verifyGossip(k *vouching, v *Verdict) {
	heads, err := l.gossip().heads()
	if err != nil {
		v.problem("%v", err)
		return
	}
	own := gossipName(l.keys.Origin())
	for name, of := range heads {
		if name == own {
			l.verifyOwnGossip(k, of, v)
			continue
		}
		for size := range forked(of) {
			v.note("of another log, %s, two heads of %d entries were shown: it has two histories", name, size)
		}
	}
}

func (l *Lab) verifyOwnGossip(k *vouching, heads []gossipHead, v *Verdict) {
	for _, h := range heads {
		signed, err := l.gossip().read(h.file(), maxGossipHead)
		if err == nil {
			err = k.verifyHead(StoredHead{Size: h.size, Signed: signed}, l.keys.VerifierKeys())
		}
		if err != nil {
			v.problem("a head of %d entries that others have: %v", h.size, err)
		}
	}
}

// ownGossip are the sizes of heads of this lab's log that others showed.
func (l *Lab) ownGossip() (sizes []uint64, err error) {
	heads, err := l.gossip().heads()
	for _, h := range heads[gossipName(l.keys.Origin())] {
		sizes = append(sizes, h.size)
	}
	return sizes, err
}
