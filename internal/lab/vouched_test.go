package lab

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tutela"
	"tutela/internal/timestamp"
	"tutela/internal/timestamp/authority"
)

func newAuthority(t *testing.T, now func() time.Time) *authority.Authority {
	t.Helper()
	a, err := authority.New(now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func stampOf(t *testing.T, a *authority.Authority, message []byte) []byte {
	t.Helper()
	q, err := timestamp.NewRequest(message).Encode()
	if err != nil {
		t.Fatal(err)
	}
	return a.Answer(q)
}

func demandRoots(t *testing.T, l *Lab, a *authority.Authority) {
	t.Helper()
	detail, err := tutela.EncodeDetail(Policy{TimeAuthorities: []string{"http://127.0.0.1:1/"}, TimeRoots: string(a.Roots())})
	if err != nil {
		t.Fatal(err)
	}
	mustRecord(t, l, tutela.Event{Kind: tutela.EventPolicyChange, Detail: detail})
}

// keep saves the head of the log as it is, with a stamp.
func keep(t *testing.T, l *Lab, a *authority.Authority) (size uint64, signed []byte) {
	t.Helper()
	size, signed = head(t, l)
	if err := errors.Join(l.Heads().Save(size, signed), l.Heads().AddStamp(size, stampOf(t, a, signed))); err != nil {
		t.Fatal(err)
	}
	return size, signed
}

func verifyLab(t *testing.T, l *Lab) Verdict {
	t.Helper()
	v, err := l.Verify(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// wantProblem holds the only problem against a text.
func wantProblem(t *testing.T, l *Lab, want string) {
	t.Helper()
	if v := verifyLab(t, l); len(v.Problems) != 1 || !strings.Contains(v.Problems[0], want) {
		t.Errorf("%q, want one problem that says %q", v.Problems, want)
	}
}

func TestVerifyHoldsHeadsAgainstTheLog(t *testing.T) {
	t.Parallel()
	dir := newLab(t)
	l := openLab(t, dir, Write)
	a := newAuthority(t, time.Now)
	keep(t, l, a) // under no policy: its stamp is verified when one names the root
	demandRoots(t, l, a)
	keep(t, l, a)
	if v := verifyLab(t, l); len(v.Problems) > 0 || len(v.Notes) > 0 || v.Heads != 2 || v.Stamps != 2 {
		t.Fatalf("%+v", v)
	}
	h := l.Heads()
	put := func(name string, b []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(h.dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ name, content, want string }{
		{"thesis.txt", "", "thesis.txt"},
		{"7-1.tsr", "", "no head of 7 entries"},
		{"2-9.tsr", "garbage", "2-9.tsr"},
		{"2-9.ots", "garbage", "2-9.ots"},
		{"2-9.tsr", string(stampOf(t, a, []byte("another head"))), "about other bytes"},
		{"9.checkpoint", "garbage", "head of 9 entries"},
	} {
		put(c.name, []byte(c.content))
		wantProblem(t, l, c.want)
		if err := os.Remove(filepath.Join(h.dir, c.name)); err != nil {
			t.Fatal(err)
		}
	}
	put(".tmp-1", []byte("a crash left this"))
	// A stamp of another authority does not lead to the policy's root, and does not count.
	size, signed := head(t, l)
	if err := h.AddStamp(size, stampOf(t, newAuthority(t, time.Now), signed)); err != nil {
		t.Fatal(err)
	}
	if v := verifyLab(t, l); len(v.Problems) > 0 || v.Stamps != 2 || len(v.Notes) != 1 || !strings.Contains(v.Notes[0], "does not count") {
		t.Errorf("%+v", v)
	}
}

// A log that was cut back, or has another history, contradicts the heads that were
// kept.
func TestVerifyNoticesAnotherHistory(t *testing.T) {
	t.Parallel()
	dir := newLab(t)
	l := openLab(t, dir, Write)
	record(t, l, tutela.EventCaseOpen, "", tutela.Case{Number: "1", Title: "x"})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	before := dir + "-before"
	if err := os.CopyFS(before, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(before, "keys", "log.key"), 0o600); err != nil {
		t.Fatal(err)
	}
	l = openLab(t, dir, Write)
	record(t, l, tutela.EventCaseOpen, "", tutela.Case{Number: "2", Title: "y"})
	size, signed := head(t, l)
	if err := l.Heads().Save(size, signed); err != nil {
		t.Fatal(err)
	}
	// The lab as it was, with the head that somebody kept elsewhere.
	if err := os.CopyFS(filepath.Join(before, "ledger", "agency", "heads"), os.DirFS(l.Heads().dir)); err != nil {
		t.Fatal(err)
	}
	cut := openLab(t, before, Write)
	wantProblem(t, cut, "cut back")
	record(t, cut, tutela.EventCaseOpen, "", tutela.Case{Number: "3", Title: "z"})
	wantProblem(t, cut, ErrForked.Error())
}

// Heads that retired keys signed stay good; those of a stranger do not.
func TestVerifyHeadsOfRetiredKeys(t *testing.T) {
	t.Parallel()
	k := vouching{keys: []rotation{{index: 4, retired: []string{"a"}, next: []string{"b"}}, {index: 9, retired: []string{"b"}, next: []string{"c"}}}}
	for size, want := range map[uint64]string{1: "a", 4: "a", 5: "a b", 6: "b", 9: "b", 10: "b c", 11: "today"} {
		var got []string
		for _, keys := range k.keysOf(size, []string{"today"}) {
			got = append(got, keys...)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("head of %d entries: keys %q, want %q", size, got, want)
		}
	}
}

// An event that says it was later than a stamp over it was written by a clock that
// was ahead. That is told; it is no fault of the ledger.
func TestVerifyNoticesAClockThatWasAhead(t *testing.T) {
	t.Parallel()
	l := openLab(t, newLab(t), Write)
	a := newAuthority(t, time.Now)
	demandRoots(t, l, a)
	mustRecord(t, l, tutela.Event{Kind: tutela.EventClockCheck, Time: time.Now().Add(time.Hour), Detail: []byte(`{"authorities":[]}`)})
	keep(t, l, a)
	v := verifyLab(t, l)
	if len(v.Problems) > 0 || len(v.Notes) != 1 || !strings.Contains(v.Notes[0], "entry 2 ") || !strings.Contains(v.Notes[0], "clock was ahead") {
		t.Errorf("%+v", v)
	}
}

func TestStandingKnowsWhatCallsForAStamp(t *testing.T) {
	t.Parallel()
	dir := newLab(t)
	l := openLab(t, dir, Write)
	if s, err := l.Standing(t.Context()); err != nil || s.Weighty != 0 || s.Asked != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	index := mustRecord(t, l, tutela.Event{Kind: tutela.EventDisclose})
	at := time.Now().UTC().Truncate(time.Second)
	detail, err := tutela.EncodeDetail(tutela.ClockCheck{Head: index + 1})
	if err != nil {
		t.Fatal(err)
	}
	mustRecord(t, l, tutela.Event{Kind: tutela.EventClockCheck, Time: at, Detail: detail})
	mustRecord(t, l, tutela.Event{Kind: tutela.EventClockCheck, Time: at.Add(time.Hour), Detail: []byte(`{"authorities":[],"jump_ms":7}`)})
	for _, one := range []*Lab{l, openLab(t, dir, Read)} {
		if s, err := one.Standing(t.Context()); err != nil || s.Weighty != index+1 || s.Asked != index+1 || !s.AskedAt.Equal(at) {
			t.Errorf("%+v, %v", s, err)
		}
	}
}

// block mines a header of the easiest kind over a Merkle root.
func block(t *testing.T, root []byte, at time.Time) []byte {
	t.Helper()
	h := make([]byte, 80)
	copy(h[36:], root)
	binary.LittleEndian.PutUint32(h[68:], uint32(at.Unix()))
	binary.LittleEndian.PutUint32(h[72:], 0x207fffff)
	target := new(big.Int).Lsh(big.NewInt(0x7fffff), 232)
	for nonce := uint32(0); ; nonce++ {
		binary.LittleEndian.PutUint32(h[76:], nonce)
		if new(big.Int).SetBytes(blockHash(h)).Cmp(target) <= 0 {
			return h
		}
	}
}

// blockHash is the hash of a header as Bitcoin writes it.
func blockHash(header []byte) []byte {
	once := sha256.Sum256(header)
	hash := sha256.Sum256(once[:])
	slices.Reverse(hash[:])
	return hash[:]
}

func TestAnchorIsJudged(t *testing.T) {
	t.Parallel()
	signed := []byte("a head\n")
	p := timestamp.NewProof(signed)
	if err := p.Attach(p.Digest[:], []byte("\x08\x00\x05\x88\x96\x0d\x73\xd7\x19\x01\x03\xb0\xea\x01")); err != nil {
		t.Fatal(err)
	}
	root := sha256.Sum256(p.Digest[:])
	at := time.Unix(1_790_000_000, 0).UTC()
	header := block(t, root[:], at)
	lazy := bytes.Clone(header)
	for blockHash(lazy)[0] < 0x80 { // until it is no proof of work
		lazy[76]++
	}
	anchored := StoredHead{Signed: signed, Anchors: [][]byte{p.Encode()}}
	for _, c := range []struct {
		what  string
		head  StoredHead
		trust Trust
		state VouchState
	}{
		{"no header", anchored, Trust{}, VouchUnverified},
		{"another block's", anchored, Trust{Headers: [][]byte{block(t, make([]byte, 32), at)}, Floor: 1e-12}, VouchUnverified},
		{"its header", anchored, Trust{Headers: [][]byte{header}, Floor: 1e-12}, VouchVerified},
		{"a header made at home", anchored, Trust{Headers: [][]byte{header}}, VouchFailed},
		{"no proof of work", anchored, Trust{Headers: [][]byte{lazy}, Floor: 1e-12}, VouchFailed},
		{"a promise", StoredHead{Signed: signed, Anchors: [][]byte{pending(t, signed, "cal.example")}}, Trust{}, VouchPending},
	} {
		got := c.head.Vouched(c.trust)
		if len(got) != 1 || got[0].State != c.state || (got[0].Problem == "") != (c.state == VouchVerified) {
			t.Errorf("%s: %+v", c.what, got)
		}
		if c.state == VouchVerified && (!got[0].Time.Equal(at) || got[0].By != "block 30000, "+hex.EncodeToString(blockHash(header))) {
			t.Errorf("%s: %+v", c.what, got)
		}
	}
}

// A stamp over the head before a witness came covers one line less, and holds.
func TestStampBeforeTheWitness(t *testing.T) {
	t.Parallel()
	l := openLab(t, newLab(t), Write)
	a := newAuthority(t, time.Now)
	size, signed := keep(t, l, a)
	if err := l.Heads().Save(size, cosigned(t, signed, "alpha")); err != nil {
		t.Fatal(err)
	}
	got, err := l.Heads().Load(size)
	if err != nil || len(got.Stamps) != 0 || len(got.Earlier) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	roots, err := timestamp.ParseRoots(a.Roots())
	if err != nil {
		t.Fatal(err)
	}
	all := got.Vouched(Trust{Roots: roots})
	if len(all) != 1 || all[0].State != VouchVerified || all[0].Signatures != 2 || all[0].Size != size {
		t.Errorf("%+v", all)
	}
}
