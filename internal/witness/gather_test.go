package witness

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"tutela/internal/courier"
	"tutela/internal/ledger/check"
)

const origin = "police.example/log"

// testLog is a log whose tree is that of another program.
type testLog struct {
	t       testing.TB
	history string
	size    int64
	hashes  []tlog.Hash
	signers []note.Signer
	vkeys   []string
}

func newLog(t testing.TB, history string, size int64) *testLog {
	t.Helper()
	l := &testLog{t: t, history: history, size: size}
	for n := range size {
		more, err := tlog.StoredHashes(n, fmt.Appendf(nil, "%s %d", history, n), l)
		if err != nil {
			t.Fatal(err)
		}
		l.hashes = append(l.hashes, more...)
	}
	seed := bytes.Repeat([]byte{1}, 32)
	edKey, err := note.NewEd25519VerifierKey(origin, ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
	mlKey, err2 := check.MLDSAVerifierKey(origin, seed)
	ed, err3 := note.NewSigner(fmt.Sprintf("PRIVATE+KEY+%s+%s+%s", origin, strings.Split(edKey, "+")[1], base64.StdEncoding.EncodeToString(append([]byte{1}, seed...))))
	ml, err4 := check.NewMLDSASigner(origin, seed, noTime)
	if err := errors.Join(err, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	l.signers, l.vkeys = []note.Signer{ed, ml}, []string{edKey, mlKey}
	return l
}

func noTime() time.Time { return time.Time{} }

// ReadHashes makes it a tlog.HashReader.
func (l *testLog) ReadHashes(indexes []int64) (hashes []tlog.Hash, err error) {
	for _, i := range indexes {
		hashes = append(hashes, l.hashes[i])
	}
	return hashes, nil
}

func (l *testLog) Root(_ context.Context, size uint64) (check.Hash, error) {
	if size > uint64(l.size) {
		return check.Hash{}, errors.New("so many entries are not there")
	}
	if size == 0 {
		return sha256.Sum256(nil), nil
	}
	h, err := tlog.TreeHash(int64(size), l)
	return check.Hash(h), err
}

func (l *testLog) Consistency(_ context.Context, from, to uint64) (path []check.Hash, err error) {
	if to > uint64(l.size) || from > to {
		return nil, errors.New("so many entries are not there")
	}
	if from == 0 || from == to {
		return nil, nil
	}
	proof, err := tlog.ProveTree(int64(to), int64(from), l)
	for _, h := range proof {
		path = append(path, check.Hash(h))
	}
	return path, err
}

func (l *testLog) head() []byte {
	l.t.Helper()
	root, err := l.Root(context.Background(), uint64(l.size))
	if err != nil {
		l.t.Fatal(err)
	}
	return sign(l.t, check.Checkpoint{Origin: origin, Size: uint64(l.size), Root: root}.Text(), l.signers...)
}

func sign(t testing.TB, text string, signers ...note.Signer) []byte {
	t.Helper()
	signed, err := note.Sign(&note.Note{Text: text}, signers...)
	if err != nil {
		t.Error(err)
	}
	return signed
}

// peer is a witness of an Ed25519 and an ML-DSA-44 key, written from C2SP tlog-witness
// apart from the package.
type peer struct {
	t       testing.TB
	name    string
	vkeys   []string
	url     string
	signers []note.Signer
	asked   atomic.Int64

	mu   sync.Mutex // guards all below
	size uint64
	last []byte
}

func newPeer(t testing.TB, name string, seed byte, now func() time.Time) *peer {
	t.Helper()
	p := &peer{t: t, name: name}
	secret := bytes.Repeat([]byte{seed}, 32)
	ed, err := check.NewCosigner(name+".example", secret, now)
	ml, err2 := check.NewMLDSASigner(name+".example", secret, now)
	edKey, err3 := check.CosignerKey(name+".example", secret)
	mlKey, err4 := check.MLDSAVerifierKey(name+".example", secret)
	if err := errors.Join(err, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	p.signers, p.vkeys = []note.Signer{ed, ml}, []string{edKey, mlKey}
	return p
}

func serve(t testing.TB, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func honest(t testing.TB, name string, seed byte) *peer {
	p := newPeer(t, name, seed, time.Now)
	p.url = serve(t, p) + "/"
	return p
}

func (p *peer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.asked.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.URL.Path == fmt.Sprintf("/%x/checkpoint", sha256.Sum256([]byte(origin))) && p.last != nil {
		w.Write(p.last)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/add-checkpoint" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	lines, checkpoint, _ := strings.Cut(string(body), "\n\n")
	text, _, _ := strings.Cut(checkpoint, "\n\n")
	c, err := check.ParseCheckpoint([]byte(text + "\n"))
	if err != nil {
		p.t.Errorf("%s was sent %q: %v", p.name, checkpoint, err)
	}
	old, path, _ := strings.Cut(lines, "\n")
	if old != fmt.Sprintf("old %d", p.size) {
		w.Header().Set("Content-Type", SizeType)
		w.WriteHeader(http.StatusConflict)
		fmt.Fprintln(w, p.size)
		return
	}
	if !p.consistent(c, path) {
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	signed := sign(p.t, c.Text(), p.signers...)
	p.size, p.last = c.Size, append([]byte(checkpoint), signed[len(c.Text())+1:]...)
	w.Write(signed[len(c.Text())+1:])
}

func (p *peer) consistent(c check.Checkpoint, path string) bool {
	if p.size == 0 {
		return path == ""
	}
	text, _, _ := bytes.Cut(p.last, []byte("\n\n"))
	before, err := check.ParseCheckpoint(append(text, '\n'))
	if err != nil {
		p.t.Error(err)
	}
	if before.Size == c.Size {
		return before.Root == c.Root && path == ""
	}
	var proof tlog.TreeProof
	for line := range strings.Lines(path + "\n") {
		h, err := tlog.ParseHash(strings.TrimSpace(line))
		if err != nil {
			return false
		}
		proof = append(proof, h)
	}
	return tlog.CheckTree(proof, int64(c.Size), tlog.Hash(c.Root), int64(before.Size), tlog.Hash(before.Root)) == nil
}

// policy names both keys of each witness.
func policy(t testing.TB, l *testLog, quorum string, peers ...*peer) *check.Policy {
	t.Helper()
	var b strings.Builder
	for _, vkey := range l.vkeys {
		fmt.Fprintln(&b, "log", vkey)
	}
	var all []string
	for _, p := range peers {
		fmt.Fprintf(&b, "witness %s-ed %s %s\nwitness %s-ml %s %s\ngroup %s all %s-ed %s-ml\n", p.name, p.vkeys[0], p.url, p.name, p.vkeys[1], p.url, p.name, p.name, p.name)
		all = append(all, p.name)
	}
	fmt.Fprintf(&b, "group enough %s %s\nquorum enough\n", quorum, strings.Join(all, " "))
	parsed, err := check.ParsePolicy([]byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// A log that grows is cosigned at each size, whether the witness has the size that
// was guessed or another.
func TestGather(t *testing.T) {
	court, press := honest(t, "court", 2), honest(t, "press", 3)
	for i, size := range []int64{1, 2, 7, 8, 300} {
		l := newLog(t, "one", size)
		p := policy(t, l, "all", court, press)
		last := uint64(i) // never right
		g, err := Gather(t.Context(), p, l, l.head(), last)
		if err != nil {
			t.Fatal(err)
		}
		if !g.Quorum || len(g.Cosigned) != 4 || g.Size != uint64(size) || len(g.Outcomes) != 2 || g.Diverged() != nil {
			t.Fatalf("%d entries: %+v", size, g)
		}
		c, cosigned, err := p.Open(g.Signed, check.OthersRefused)
		if err != nil || c.Size != uint64(size) || len(cosigned) != 4 {
			t.Fatalf("%v, %v, %v", c, cosigned, err)
		}
		// What is there is not asked for again, and its order is kept.
		asked := court.asked.Load()
		again, err := Gather(t.Context(), p, l, g.Signed, 0)
		if err != nil || !again.Quorum || again.Outcomes != nil || !bytes.Equal(again.Signed, g.Signed) || court.asked.Load() != asked {
			t.Fatalf("again: %+v, %v", again, err)
		}
	}
	court.size, court.last = 0, nil // one that forgot everything begins anew
	l := newLog(t, "one", 301)
	if g, err := Gather(t.Context(), policy(t, l, "all", court, press), l, l.head(), 300); err != nil || !g.Quorum {
		t.Errorf("%+v, %v", g, err)
	}
}

// A right guess costs one exchange, a wrong one two.
func TestGuessOfTheLastSize(t *testing.T) {
	court := honest(t, "court", 2)
	for _, step := range []struct {
		size int64
		last uint64
		cost int64
	}{{5, 0, 1}, {9, 5, 1}, {12, 5, 2}, {13, 99, 2}} {
		l, before := newLog(t, "one", step.size), court.asked.Load()
		if g, err := Gather(t.Context(), policy(t, l, "all", court), l, l.head(), step.last); err != nil || !g.Quorum {
			t.Fatalf("%+v, %v", g, err)
		}
		if cost := court.asked.Load() - before; cost != step.cost {
			t.Errorf("%d entries from %d: %d exchanges", step.size, step.last, cost)
		}
	}
}

// Whatever a witness does wrong is named, costs its own cosignature and no other's.
func TestWitnessesThatLie(t *testing.T) {
	size := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", SizeType)
			w.WriteHeader(http.StatusConflict)
			io.WriteString(w, text)
		}
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	altered := func(p *peer, alter func([]byte) []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			record := httptest.NewRecorder()
			p.ServeHTTP(record, r)
			w.WriteHeader(record.Code)
			w.Write(alter(record.Body.Bytes()))
		}
	}
	fast := newPeer(t, "liar", 4, func() time.Time { return time.Now().Add(6 * time.Minute) })
	var elsewhere, climbs atomic.Int64
	other := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	gone := make(chan struct{})
	t.Cleanup(func() { close(gone) })
	for name, liar := range map[string]struct {
		answer http.Handler
		want   error
	}{
		"bad signature": {altered(newPeer(t, "liar", 4, time.Now), func(b []byte) []byte {
			return bytes.ReplaceAll(b, []byte("A"), []byte("B"))
		}), ErrSignature},
		"another key":      {newPeer(t, "liar", 5, time.Now), ErrOtherKey},
		"another name":     {newPeer(t, "other", 4, time.Now), ErrOtherKey},
		"in the future":    {fast, ErrClock},
		"half of its keys": {altered(newPeer(t, "liar", 4, time.Now), func(b []byte) []byte { return b[:bytes.IndexByte(b, '\n')+1] }), ErrOtherKey},
		"nothing":          {altered(newPeer(t, "liar", 4, time.Now), func([]byte) []byte { return nil }), ErrOtherKey},
		"garbage": {altered(newPeer(t, "liar", 4, time.Now), func([]byte) []byte {
			return []byte("<html>\n— \n\n\xff\n— liar.example A\n")
		}), ErrOtherKey},
		"an endless body": {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for err := error(nil); err == nil; _, err = w.Write(make([]byte, 1<<16)) {
			}
		}), courier.ErrTooMuch},
		"hangs": {http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			select {
			case <-r.Context().Done():
			case <-gone:
			}
		}), ErrUnanswered},
		"drips": {http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "— liar")
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
			case <-gone:
			}
		}), ErrUnanswered},
		"redirects":         {http.RedirectHandler(other, http.StatusTemporaryRedirect), ErrAnswer},
		"unknown log":       {status(http.StatusNotFound), ErrRefused},
		"unknown keys":      {status(http.StatusForbidden), ErrRefused},
		"bad request":       {status(http.StatusBadRequest), ErrAnswer},
		"broken":            {status(http.StatusInternalServerError), ErrAnswer},
		"no content":        {status(http.StatusNoContent), ErrAnswer},
		"no size":           {size(""), ErrAnswer},
		"a size and more":   {size("3\n3\n"), ErrAnswer},
		"zeros in front":    {size("03\n"), ErrAnswer},
		"a negative size":   {size("-3\n"), ErrAnswer},
		"too great a size":  {size("18446744073709551616\n"), ErrAnswer},
		"size without type": {status(http.StatusConflict), ErrAnswer},
		"the same size":     {size("0\n"), ErrAnswer},
		"always another": {http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			size(strconv.FormatInt(climbs.Add(1)%3, 10)+"\n")(w, r)
		}), ErrAnswer},
		"claims more":        {size("12\n"), ErrRolledBack},
		"claims most":        {size("18446744073709551615\n"), ErrRolledBack},
		"claims another one": {status(http.StatusUnprocessableEntity), ErrForked},
	} {
		t.Run(name, func(t *testing.T) {
			court, l := honest(t, "court", 2), newLog(t, "one", 11)
			bad := newPeer(t, "liar", 4, time.Now)
			bad.url = serve(t, liar.answer)
			p := policy(t, l, "any", bad, court)
			g, err := Gather(t.Context(), p, l, l.head(), 0)
			if err != nil {
				t.Fatal(err)
			}
			if !g.Quorum || g.Outcomes[1].Err != nil || !errors.Is(g.Outcomes[0].Err, liar.want) {
				t.Errorf("quorum %v; %+v", g.Quorum, g.Outcomes)
			}
			if d := g.Diverged(); (d != nil) != (liar.want == ErrRolledBack || liar.want == ErrForked) || d != nil && d.Shown != nil {
				t.Errorf("%+v", d)
			}
			if _, cosigned, err := p.Open(g.Signed, check.OthersRefused); err != nil || len(cosigned) > 3 || len(cosigned) == 3 && name != "half of its keys" {
				t.Errorf("%v, %v", cosigned, err)
			}
		})
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("%d redirections were followed", n)
	}
}

// Without enough of them there is no quorum, and what came is kept.
func TestNoQuorum(t *testing.T) {
	court, dead, l := honest(t, "court", 2), newPeer(t, "dead", 4, time.Now), newLog(t, "one", 11)
	dead.url = "http://127.0.0.1:1"
	g, err := Gather(t.Context(), policy(t, l, "2", court, dead), l, l.head(), 0)
	if err != nil || g.Quorum || len(g.Cosigned) != 2 || g.Outcomes[0].Err != nil || g.Outcomes[1].Err == nil {
		t.Fatalf("%+v, %v", g, err)
	}
	dead.url = serve(t, dead)
	asked := court.asked.Load()
	if g, err = Gather(t.Context(), policy(t, l, "2", court, dead), l, g.Signed, 0); err != nil || !g.Quorum || len(g.Cosigned) != 4 {
		t.Errorf("%+v, %v", g, err)
	}
	if court.asked.Load() != asked {
		t.Error("a witness was asked for what it had given")
	}
}

// Whoever stops waiting gets what came until then.
func TestGatherIsCancelled(t *testing.T) {
	l, hangs := newLog(t, "one", 11), newPeer(t, "hangs", 4, time.Now)
	ctx, cancel := context.WithCancel(t.Context())
	hangs.url = serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		cancel()
		<-r.Context().Done()
	}))
	if g, err := Gather(ctx, policy(t, l, "1", hangs), l, l.head(), 0); err != nil || g.Quorum || !errors.Is(g.Outcomes[0].Err, context.Canceled) {
		t.Errorf("%+v, %v", g, err)
	}
}

// A policy without witnesses has nobody asked, and a head that the log did not sign
// is none.
func TestNobodyToAsk(t *testing.T) {
	l := newLog(t, "one", 3)
	p, err := check.ParsePolicy([]byte("log " + strings.Join(l.vkeys, "\nlog ") + "\nquorum none\n"))
	if err != nil {
		t.Fatal(err)
	}
	if g, err := Gather(t.Context(), p, l, l.head(), 0); err != nil || !g.Quorum || g.Outcomes != nil {
		t.Errorf("%+v, %v", g, err)
	}
	for _, head := range [][]byte{nil, []byte("\n\n"), l.head()[:40], bytes.Replace(l.head(), []byte("\n3\n"), []byte("\n4\n"), 1)} {
		if g, err := Gather(t.Context(), p, l, head, 0); err == nil {
			t.Errorf("%q: %+v", head, g)
		}
	}
}

// A witness that has cosigned what we do not have any more, or otherwise than we
// have it, shows it; nothing that the log's keys signed can be made up.
func TestDivergence(t *testing.T) {
	shown := newLog(t, "one", 20).head()
	for name, c := range map[string]struct {
		theirs, ours *testLog
		shown        []byte
		want         error
		proven       bool
	}{
		"rolled back":      {newLog(t, "one", 20), newLog(t, "one", 12), shown, ErrRolledBack, true},
		"and rewritten":    {newLog(t, "one", 20), newLog(t, "two", 12), shown, ErrRolledBack, true},
		"forked":           {newLog(t, "one", 20), newLog(t, "two", 25), shown, ErrForked, true},
		"forked, one size": {newLog(t, "one", 20), newLog(t, "two", 20), shown, ErrForked, true},
		"nothing shown":    {newLog(t, "one", 20), newLog(t, "one", 12), []byte("no"), ErrRolledBack, false},
		"one key alone":    {newLog(t, "one", 20), newLog(t, "one", 12), shown[:bytes.LastIndexByte(shown[:len(shown)-1], '\n')+1], ErrRolledBack, false},
		"one of ours":      {newLog(t, "one", 20), newLog(t, "one", 12), newLog(t, "one", 5).head(), ErrAnswer, false},
	} {
		t.Run(name, func(t *testing.T) {
			court := honest(t, "court", 2)
			if g, err := Gather(t.Context(), policy(t, c.theirs, "1", court), c.theirs, c.theirs.head(), 0); err != nil || !g.Quorum {
				t.Fatalf("%+v, %v", g, err)
			}
			court.last = c.shown
			if c.want == ErrForked { // it compares with what it has
				court.last = shown
			}
			g, err := Gather(t.Context(), policy(t, c.ours, "1", court), c.ours, c.ours.head(), 20)
			if err != nil || g.Quorum || !errors.Is(g.Outcomes[0].Err, c.want) {
				t.Fatalf("%+v, %v", g, err)
			}
			d := g.Diverged()
			if (d != nil) != (c.want != ErrAnswer) || d != nil && (d.Shown != nil) != c.proven {
				t.Errorf("%+v", d)
			}
			if c.proven && !bytes.HasPrefix(d.Shown, shown[:50]) {
				t.Errorf("shown: %s", d.Shown)
			}
		})
	}
}
