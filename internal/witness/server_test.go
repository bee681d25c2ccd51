package witness

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/mldsa"
	"golang.org/x/mod/sumdb/note"

	"tutela/internal/durable"
	"tutela/internal/ledger/check"
)

// newFolder makes a witness that knows a log.
func newFolder(t testing.TB, l *testLog) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "witness")
	if err := Create(dir, "witness.example/w1"); err != nil {
		t.Fatal(err)
	}
	if _, err := AddLogs(dir, logLines(l.vkeys...), KnownRefused); err != nil {
		t.Fatal(err)
	}
	return dir
}

func logLines(vkeys ...string) string { return "log " + strings.Join(vkeys, "\nlog ") + "\n" }

// alarms keeps what an operator would have been told.
type alarms struct {
	mu    sync.Mutex
	lines []string
}

func (a *alarms) raise(line string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lines = append(a.lines, line)
}

func open(t testing.TB, dir string, o Options) *Server {
	t.Helper()
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// post sends a body to add-checkpoint.
func post(h http.Handler, body []byte) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/add-checkpoint", bytes.NewReader(body)))
	return w
}

// headsMade keeps the heads that logs signed: ML-DSA signs otherwise every time.
var headsMade sync.Map

// headOf is the log's head as it was at a size, and grow the request that makes a
// witness go there.
func (l *testLog) headOf(size uint64) []byte {
	l.t.Helper()
	type key struct {
		log  *testLog
		size uint64
		by   uint32
	}
	made := sync.OnceValue(func() []byte { return l.signHead(size) })
	once, _ := headsMade.LoadOrStore(key{l, size, l.signers[0].KeyHash()}, made)
	return slices.Clone(once.(func() []byte)())
}

func (l *testLog) signHead(size uint64) []byte {
	l.t.Helper()
	root, err := l.Root(context.Background(), size)
	if err != nil {
		l.t.Fatal(err)
	}
	return sign(l.t, check.Checkpoint{Origin: origin, Size: size, Root: root}.Text(), l.signers...)
}

func (l *testLog) grow(from, to uint64) Request {
	l.t.Helper()
	proof, err := l.Consistency(context.Background(), from, to)
	if err != nil {
		l.t.Fatal(err)
	}
	return Request{Old: from, Proof: proof, Checkpoint: l.headOf(to)}
}

func mustAdd(t testing.TB, s *Server, r Request) []byte {
	t.Helper()
	w := post(s, r.Encode())
	if w.Code != http.StatusOK {
		t.Fatalf("old %d: %d %s", r.Old, w.Code, w.Body)
	}
	return w.Body.Bytes()
}

// What is answered to what stands in tlog-witness, "add-checkpoint".
func TestAnswersOfTheSpecification(t *testing.T) {
	l, fork := newLog(t, "one", 20), newLog(t, "another", 20)
	other := slices.Clone(fork.headOf(9))
	stranger := newPeer(t, "stranger", 9, time.Now).signers[0]
	emptyText := check.Checkpoint{Origin: origin, Root: check.EmptyRoot()}.Text()
	falseEmpty := check.Checkpoint{Origin: origin, Root: check.Hash{1}}.Text()
	text := check.Checkpoint{Origin: origin, Size: 9}.Text()
	unknown := check.Checkpoint{Origin: "other.example", Size: 9}.Text()
	oneSigner := sign(t, text, l.signers[0])
	valid := l.headOf(9)
	broken := slices.Clone(valid)
	broken[bytes.IndexByte(broken, '=')-3] ^= 1 // in the last bytes of the first line's base64
	short := append(slices.Clone(valid[:len(text)+1]), lineWith(l.signers[0], []byte("short"))...)
	twice := append(slices.Clone(valid), lineOf(l.signers[0], []byte("something else"))...)
	for _, c := range []struct {
		name string
		at   uint64 // what the witness has cosigned before; 0 is nothing
		body []byte
		code int
	}{
		{"first head", 0, l.grow(0, 9).Encode(), 200},
		{"first head of an empty log", 0, Request{Checkpoint: sign(t, emptyText, l.signers...)}.Encode(), 200},
		{"next head", 7, l.grow(7, 9).Encode(), 200},
		{"the same head again", 9, l.grow(9, 9).Encode(), 200},
		{"signed by strangers too", 7, Request{7, l.grow(7, 9).Proof, sign(t, check.Checkpoint{Origin: origin, Size: 9, Root: rootOf(t, l, 9)}.Text(), append(l.signers, stranger)...)}.Encode(), 200},
		{"not a request", 0, []byte("old 0\n"), 400},
		{"not a note", 0, []byte("old 0\n\n" + origin + "\n9\n"), 400},
		{"extension line", 0, Request{Checkpoint: sign(t, text+"more\n", l.signers[0])}.Encode(), 400},
		{"old size larger", 12, Request{Old: 12, Checkpoint: l.headOf(9)}.Encode(), 400},
		{"another log", 0, Request{Checkpoint: sign(t, unknown, l.signers[0])}.Encode(), 404},
		{"nothing but an origin", 0, []byte("old 0\n\nother.example\n"), 404},
		{"no key of the log", 0, Request{Checkpoint: sign(t, text, stranger)}.Encode(), 403},
		{"one of two keys", 0, Request{Checkpoint: oneSigner}.Encode(), 403},
		{"a broken signature", 0, Request{Checkpoint: broken}.Encode(), 403},
		{"a signature too short", 0, Request{Checkpoint: short}.Encode(), 403},
		{"a second line, broken", 0, Request{Checkpoint: twice}.Encode(), 403},
		{"old size smaller", 9, l.grow(7, 12).Encode(), 409},
		{"old size larger than known", 7, l.grow(8, 12).Encode(), 409},
		{"first head with an old size", 0, l.grow(7, 9).Encode(), 409},
		{"rolled back", 12, l.grow(7, 9).Encode(), 409},
		{"rolled back to nothing", 12, l.grow(0, 9).Encode(), 409},
		{"no proof", 7, Request{Old: 7, Checkpoint: l.headOf(9)}.Encode(), 422},
		{"proof of another log", 7, fork.grow(7, 9).Encode(), 422},
		{"proof too long", 7, Request{7, append(l.grow(7, 9).Proof, check.Hash{}), l.headOf(9)}.Encode(), 422},
		{"proof for the first head", 0, Request{0, []check.Hash{{}}, l.headOf(9)}.Encode(), 422},
		{"another root of one size", 9, Request{Old: 9, Checkpoint: other}.Encode(), 422},
		{"empty log with a root", 0, Request{Checkpoint: sign(t, falseEmpty, l.signers...)}.Encode(), 422},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := newFolder(t, l)
			s := open(t, dir, Options{})
			if c.at > 0 {
				mustAdd(t, s, l.grow(0, c.at))
			}
			before := remembered(t, dir)
			w := post(s, c.body)
			if w.Code != c.code {
				t.Fatalf("%d %s, want %d", w.Code, w.Body, c.code)
			}
			if w.Code == http.StatusOK {
				return
			}
			if after := remembered(t, dir); after != before {
				t.Errorf("refused, and remembers %.80q", after)
			}
			if strings.Contains(w.Body.String(), "— witness") {
				t.Errorf("refused with a signature: %s", w.Body)
			}
			if want := fmt.Sprintf("%d\n", c.at); c.code == 409 && (w.Body.String() != want || w.Header().Get("Content-Type") != "text/x.tlog.size") {
				t.Errorf("%q of type %s, want %q", w.Body, w.Header().Get("Content-Type"), want)
			}
		})
	}
}

func rootOf(t testing.TB, l *testLog, size uint64) check.Hash {
	root, err := l.Root(t.Context(), size)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// lineOf is a signature line over another text than it should be.
func lineOf(s note.Signer, msg []byte) []byte {
	sig, _ := s.Sign(msg)
	return lineWith(s, sig)
}

func lineWith(s note.Signer, sig []byte) []byte {
	raw := append(binary.BigEndian.AppendUint32(nil, s.KeyHash()), sig...)
	return fmt.Appendf(nil, "— %s %s\n", s.Name(), base64.StdEncoding.EncodeToString(raw))
}

// remembered is what lies on the disk of the log.
func remembered(t testing.TB, dir string) string { return rememberedOf(t, dir, origin) }

func rememberedOf(t testing.TB, dir, origin string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "heads", fmt.Sprintf("%x", sha256.Sum256([]byte(origin)))))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(text)
}

// The two lines are taken apart by hand: tlog-cosignature, "Format" and what is
// signed.
func TestCosignaturesByHand(t *testing.T) {
	l := newLog(t, "one", 9)
	dir := newFolder(t, l)
	at := time.Date(2026, 11, 26, 12, 0, 0, 999, time.UTC)
	s := open(t, dir, Options{Now: func() time.Time { return at }})
	lines := strings.SplitAfter(string(mustAdd(t, s, l.grow(0, 9))), "\n")
	if len(lines) != 3 || lines[2] != "" {
		t.Fatalf("%d lines: %q", len(lines)-1, lines)
	}
	v, err := Look(dir)
	if err != nil {
		t.Fatal(err)
	}
	root := rootOf(t, l, 9)
	text := fmt.Sprintf("%s\n9\n%s\n", origin, base64.StdEncoding.EncodeToString(root[:]))
	for i, kind := range []byte{4, 6} {
		key := publicOf(t, v.VKeys[i], kind)
		sum := sha256.Sum256(slices.Concat([]byte("witness.example/w1\n"), []byte{kind}, key))
		rest, ok := strings.CutPrefix(lines[i], "— witness.example/w1 ")
		raw, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(rest, "\n"))
		if !ok || err != nil || !bytes.Equal(raw[:4], sum[:4]) {
			t.Fatalf("line %q: %v", lines[i], err)
		}
		if stamp := binary.BigEndian.Uint64(raw[4:]); stamp != uint64(at.Unix()) {
			t.Errorf("line %d states %d, want %d", i, stamp, at.Unix())
		}
		if !signatureHolds(t, kind, key, text, root, raw[4:]) {
			t.Errorf("the signature of type %d does not hold", kind)
		}
	}
}

func publicOf(t *testing.T, vkey string, kind byte) []byte {
	parts := strings.SplitN(vkey, "+", 3)
	raw, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || parts[0] != "witness.example/w1" || raw[0] != kind {
		t.Fatalf("key %.60s…: %v", vkey, err)
	}
	return raw[1:]
}

func signatureHolds(t *testing.T, kind byte, key []byte, text string, root check.Hash, stamped []byte) bool {
	stamp := binary.BigEndian.Uint64(stamped)
	if kind == 4 {
		return ed25519.Verify(key, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", stamp, text), stamped[8:])
	}
	public, err := mldsa.NewPublicKey(mldsa.MLDSA44(), key)
	if err != nil {
		t.Fatal(err)
	}
	m := []byte("subtree/v1\n\x00\x12witness.example/w1")
	m = binary.BigEndian.AppendUint64(m, stamp)
	m = append(m, byte(len(origin)))
	m = append(m, origin...)
	m = append(m, make([]byte, 8)...)
	m = binary.BigEndian.AppendUint64(m, 9)
	return mldsa.Verify(public, append(m, root[:]...), stamped[8:], nil) == nil
}

// Monitors get the newest head with the lines of the log and of the witness, and no
// others: tlog-witness, "Monitor Retrieval Mechanism".
func TestMonitorsSeeTheNewestHead(t *testing.T) {
	l := newLog(t, "one", 9)
	s := open(t, newFolder(t, l), Options{})
	path := fmt.Sprintf("/%x/checkpoint", sha256.Sum256([]byte(origin)))
	get := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w
	}
	if w := get(); w.Code != http.StatusNotFound {
		t.Errorf("before the first: %d", w.Code)
	}
	stranger := newPeer(t, "stranger", 9, time.Now).signers[0]
	r := l.grow(0, 9)
	r.Checkpoint = append(r.Checkpoint, lineOf(stranger, []byte(check.Checkpoint{Origin: origin, Size: 9, Root: rootOf(t, l, 9)}.Text()))...)
	lines := mustAdd(t, s, r)
	if w := get(); w.Code != http.StatusOK || w.Body.String() != string(l.headOf(9))+string(lines) {
		t.Errorf("%d, %d bytes", w.Code, w.Body.Len())
	}
	path = "/" + strings.Repeat("0", 64) + "/checkpoint"
	if w := get(); w.Code != http.StatusNotFound {
		t.Errorf("another log: %d", w.Code)
	}
}

// What a log said twice is kept, both heads with their signatures, and told once.
func TestForksAreKept(t *testing.T) {
	l, fork := newLog(t, "one", 20), newLog(t, "another", 20)
	for name, c := range map[string]struct {
		submit Request
		size   uint64
		proven bool
	}{
		"two roots of one size":                      {Request{Old: 9, Checkpoint: fork.headOf(9)}, 9, true},
		"two roots of one size, and a wrong old one": {fork.grow(7, 9), 9, true},
		"a rewritten log that has grown":             {fork.grow(9, 12), 12, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir, told := newFolder(t, l), new(alarms)
			s := open(t, dir, Options{Alarm: told.raise})
			mustAdd(t, s, l.grow(0, 9))
			for range 3 {
				post(s, c.submit.Encode())
			}
			if len(told.lines) != 1 || !strings.Contains(told.lines[0], origin) || strings.Contains(told.lines[0], "two stories") != c.proven {
				t.Errorf("alarms: %q", told.lines)
			}
			v, err := Look(dir)
			if err != nil || len(v.Logs[0].Forks) != 1 {
				t.Fatalf("%+v, %v", v.Logs, err)
			}
			f := v.Logs[0].Forks[0]
			if f.Proven() != c.proven || f.Cosigned.Size != 9 || f.Submitted.Size != c.size || f.Submitted.Root != rootOf(t, fork, c.size) {
				t.Errorf("kept %+v", f)
			}
			submitted, err := os.ReadFile(filepath.Join(f.Folder, "submitted.checkpoint"))
			if err != nil || !bytes.Equal(submitted, fork.headOf(c.size)) {
				t.Errorf("kept of what was submitted: %d bytes, %v", len(submitted), err)
			}
			known, err := os.ReadFile(filepath.Join(f.Folder, "cosigned.checkpoint"))
			if err != nil || string(known) != remembered(t, dir) {
				t.Errorf("kept of what was cosigned: %d bytes, %v", len(known), err)
			}
			mustAdd(t, s, l.grow(9, 20)) // and the true log goes on
		})
	}
}

// A thief of the log's keys cannot fill the disk.
func TestForksAreBounded(t *testing.T) {
	l := newLog(t, "one", 9)
	dir, told := newFolder(t, l), new(alarms)
	s := open(t, dir, Options{Alarm: told.raise})
	mustAdd(t, s, l.grow(0, 9))
	for i := range maxForks + 20 {
		text := check.Checkpoint{Origin: origin, Size: 9, Root: check.Hash{byte(i), 1}}.Text()
		if w := post(s, Request{Old: 9, Checkpoint: sign(t, text, l.signers...)}.Encode()); w.Code != http.StatusUnprocessableEntity {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	kept, err := os.ReadDir(filepath.Join(dir, "forks", originID(origin)))
	if err != nil || len(kept) != maxForks || len(told.lines) != maxForks {
		t.Errorf("%d kept, %d told, %v", len(kept), len(told.lines), err)
	}
}

// Many at once, of two histories: what is cosigned is one history, and the witness
// ends where the largest answer is.
func TestRacesEndInOneHistory(t *testing.T) {
	const sizes = 24
	histories := []*testLog{newLog(t, "one", sizes), newLog(t, "another", sizes)}
	dir := newFolder(t, histories[0])
	s := open(t, dir, Options{})
	var mu sync.Mutex
	answered := map[uint64]map[string]bool{}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			l := histories[i%2]
			old := uint64(0)
			for old < sizes {
				r := l.grow(old, min(old+1+uint64(i)/2, sizes))
				w := post(s, r.Encode())
				switch w.Code {
				case http.StatusOK:
					old = min(old+1+uint64(i)/2, sizes)
					mu.Lock()
					if answered[old] == nil {
						answered[old] = map[string]bool{}
					}
					answered[old][l.history] = true
					mu.Unlock()
				case http.StatusConflict:
					known, err := ParseSize(w.Body.Bytes())
					if err != nil || known <= old && known != 0 {
						t.Errorf("at %d: conflict %q", old, w.Body)
						return
					}
					old = known
				default:
					return // the other history won
				}
			}
		})
	}
	all.Wait()
	winners := map[string]bool{}
	for _, by := range answered {
		for history := range by {
			winners[history] = true
		}
	}
	if len(winners) != 1 {
		t.Errorf("cosigned were heads of %v", winners)
	}
	v, err := Look(dir)
	if err != nil || v.Logs[0].Newest.Size != sizes {
		t.Errorf("remembered: %+v, %v", v.Logs, err)
	}
}

// A crash between remembering and answering: the head was on the disk before anything
// was answered, and the log gets its cosignature by asking again.
func TestCrashBeforeTheAnswer(t *testing.T) {
	l := newLog(t, "one", 12)
	dir := newFolder(t, l)
	s := open(t, dir, Options{})
	mustAdd(t, s, l.grow(0, 7))
	var onDisk string
	s.stored = func() {
		onDisk = remembered(t, dir)
		panic(http.ErrAbortHandler)
	}
	w := httptest.NewRecorder()
	func() {
		defer func() { recover() }()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/add-checkpoint", bytes.NewReader(l.grow(7, 9).Encode())))
	}()
	if w.Body.Len() > 0 || !strings.HasPrefix(onDisk, string(l.headOf(9))) {
		t.Fatalf("answered %q while on the disk was %.80q", w.Body, onDisk)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, Options{})
	if w := post(s, l.grow(7, 9).Encode()); w.Code != http.StatusConflict || w.Body.String() != "9\n" {
		t.Errorf("after the crash: %d %q", w.Code, w.Body)
	}
	mustAdd(t, s, l.grow(9, 9))
	mustAdd(t, s, l.grow(9, 12))
}

// Nothing is answered that could not be remembered.
func TestNothingIsAnsweredThatIsNotRemembered(t *testing.T) {
	l := newLog(t, "one", 12)
	dir, told := newFolder(t, l), new(alarms)
	s := open(t, dir, Options{Alarm: told.raise})
	mustAdd(t, s, l.grow(0, 7))
	heads := filepath.Join(dir, "heads")
	if err := os.Rename(heads, heads+".away"); err != nil {
		t.Fatal(err)
	}
	w := post(s, l.grow(7, 9).Encode())
	if w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "—") || strings.Contains(w.Body.String(), dir) || len(told.lines) != 1 {
		t.Errorf("%d %q, alarms %q", w.Code, w.Body, told.lines)
	}
	if err := os.Rename(heads+".away", heads); err != nil {
		t.Fatal(err)
	}
	mustAdd(t, s, l.grow(7, 9))
}

// The times that a witness states of a log never run backwards.
func TestClock(t *testing.T) {
	l := newLog(t, "one", 12)
	dir := newFolder(t, l)
	now := time.Unix(1_700_000_000, 0)
	s := open(t, dir, Options{Now: func() time.Time { return now }})
	mustAdd(t, s, l.grow(0, 7))
	now = now.Add(-time.Minute)
	mustAdd(t, s, l.grow(7, 8))
	if v, err := Look(dir); err != nil || v.Logs[0].Time.Unix() != 1_700_000_000 {
		t.Errorf("stated %v, %v", v.Logs[0].Time, err)
	}
	for _, bad := range []time.Time{now.Add(-time.Hour), time.Unix(0, 0), {}} {
		now = bad
		if w := post(s, l.grow(8, 9).Encode()); w.Code != http.StatusServiceUnavailable {
			t.Errorf("at %v: %d", bad, w.Code)
		}
	}
}

func TestOnlyTheTwoWays(t *testing.T) {
	s := open(t, newFolder(t, newLog(t, "one", 1)), Options{})
	for _, c := range []struct {
		method, path string
		code         int
	}{
		{"GET", "/add-checkpoint", 405}, {"PUT", "/add-checkpoint", 405}, {"POST", "/", 404},
		{"GET", "/", 404}, {"GET", "/witness.key", 404}, {"GET", "/../witness.key/checkpoint", 404}, {"POST", "/sign-subtree", 404},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(c.method, "/", nil)
		r.URL.Path = c.path
		s.ServeHTTP(w, r)
		if w.Code != c.code && w.Code/100 != 3 {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, w.Code, c.code)
		}
	}
}

// start serves for the time of the test, and returns the address.
func start(t *testing.T, s *Server, most limits) (address string, stop func() error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- s.serve(ctx, l, most) }()
	stop = sync.OnceValue(func() error { cancel(); return <-over })
	t.Cleanup(func() { stop() })
	return l.Addr().String(), stop
}

func TestBodiesAreBounded(t *testing.T) {
	s := open(t, newFolder(t, newLog(t, "one", 1)), Options{})
	address, _ := start(t, s, usualLimits())
	long := Request{Checkpoint: bytes.Repeat([]byte("x"), MaxBody)}.Encode()
	for name, body := range map[string]io.Reader{
		"announced": bytes.NewReader(long),
		"in chunks": io.MultiReader(bytes.NewReader(long), endless{}),
	} {
		answer, err := http.Post("http://"+address+AddPath, LinesType, body)
		if err != nil {
			t.Logf("%s: %v", name, err) // the connection was cut while the client still wrote
			continue
		}
		if answer.Body.Close(); answer.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: %s", name, answer.Status)
		}
	}
	r, err := http.NewRequest(http.MethodPost, "http://"+address+AddPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X", strings.Repeat("x", 64<<10))
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if answer.Body.Close(); answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a long header: %s", answer.Status)
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

// Whoever sends his request byte by byte loses the connection, wherever he is in it.
func TestSlowOnesLoseTheirConnection(t *testing.T) {
	s := open(t, newFolder(t, newLog(t, "one", 1)), Options{})
	most := usualLimits()
	most.request, most.idle = 50*time.Millisecond, 50*time.Millisecond
	address, _ := start(t, s, most)
	for name, begin := range map[string]string{
		"nothing":       "",
		"half a header": "POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nX: ",
		"half a body":   "POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: 900\r\n\r\nold 0\n",
		"nothing more":  "GET / HTTP/1.1\r\nHost: w\r\n\r\n",
		"half a chunk":  "POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nold",
	} {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, begin)
		if _, err := io.Copy(io.Discard, c); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Logf("%s: %v", name, err) // reset, which is an end too
		}
		c.Close()
	}
}

// Of so many connections one more waits, and is served when another ends.
func TestConnectionsAreBounded(t *testing.T) {
	s := open(t, newFolder(t, newLog(t, "one", 1)), Options{})
	most := usualLimits()
	most.conns = 2
	address, stop := start(t, s, most)
	var held []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: w\r\n\r\n")
		if _, err := c.Read(make([]byte, 1)); err != nil { // so it has been accepted
			t.Fatal(err)
		}
		held = append(held, c)
	}
	third, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	io.WriteString(third, "GET / HTTP/1.1\r\nHost: w\r\n\r\n")
	third.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := third.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the third of two was answered: %v", err)
	}
	held[0].Close()
	third.SetReadDeadline(time.Time{})
	if _, err := third.Read(make([]byte, 1)); err != nil {
		t.Errorf("not answered when there was room: %v", err)
	}
	held[1].Close()
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// The folder belongs to one process, and its keys to their owner.
func TestFolder(t *testing.T) {
	l := newLog(t, "one", 9)
	dir := newFolder(t, l)
	s := open(t, dir, Options{})
	mustAdd(t, s, l.grow(0, 9))
	if _, err := Open(dir, Options{}); !errors.Is(err, durable.ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
	if _, err := AddLogs(dir, logLines(l.vkeys...), KnownRefused); !errors.Is(err, durable.ErrLocked) {
		t.Errorf("changed while it serves: %v", err)
	}
	if _, err := Look(dir); err != nil {
		t.Errorf("looked at while it serves: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Create(dir, "other"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("made over another: %v", err)
	}
	if _, err := Open(t.TempDir(), Options{}); !errors.Is(err, ErrNoWitness) {
		t.Errorf("opened nothing: %v", err)
	}
	for _, name := range []string{"", "a b", "a+b", "a\nb", strings.Repeat("x", 256)} {
		if err := Create(filepath.Join(t.TempDir(), "w"), name); err == nil {
			t.Errorf("made a witness named %.20q", name)
		}
	}
	if runtime.GOOS == "windows" {
		return
	}
	key := filepath.Join(dir, "witness.key")
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.Chmod(key, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("opened with keys that others may read: %v", err)
	}
}

// A witness whose memory was changed does not begin anew: it does not begin.
func TestDamageIsSeen(t *testing.T) {
	l, fork := newLog(t, "one", 9), newLog(t, "another", 9)
	dir := newFolder(t, l)
	s := open(t, dir, Options{})
	mustAdd(t, s, l.grow(0, 9))
	s.Close()
	good := remembered(t, dir)
	otherDir := newFolder(t, l)
	other := open(t, otherDir, Options{})
	mustAdd(t, other, l.grow(0, 7))
	name := headPath(dir, origin)
	for what, content := range map[string]string{
		"empty":                       "",
		"cut":                         good[:len(good)-20],
		"size":                        strings.Replace(good, "\n9\n", "\n8\n", 1),
		"without the witness's lines": string(l.headOf(9)),
		"by another witness":          remembered(t, otherDir),
		"root of another log":         string(fork.headOf(9)) + good[len(l.headOf(9)):],
		"one line":                    good[:strings.LastIndex(strings.TrimSuffix(good, "\n"), "\n")+1],
		"a great deal":                good + strings.Repeat("x", MaxBody),
	} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := Open(dir, Options{}); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", what, err)
			if err == nil {
				s.Close()
			}
		}
	}
}

// Every bit of the file of keys matters, and no error tells what stood in it.
func TestKeyFileRefusesEveryChange(t *testing.T) {
	id := identity{name: "w.example", ed25519: [32]byte{1}, mldsa44: [32]byte{2}}
	text := id.text()
	for i := range text {
		for _, c := range []byte{0, '\n', text[i] ^ 1} {
			changed := text[:i] + string(c) + text[i+1:]
			if changed == text {
				continue
			}
			got, err := parseIdentity(changed)
			if err == nil && (got == id || got.text() != changed) {
				t.Errorf("byte %d as %q: read as %+v", i, c, got)
			}
			if err != nil && strings.Contains(err.Error(), "AQAA") {
				t.Errorf("the error tells the secret: %v", err)
			}
		}
	}
}

// Known logs stand in lines of tlog-policy; what a log's keys are changes only when
// that is said.
func TestAddLogs(t *testing.T) {
	l := newLog(t, "one", 9)
	dir := newFolder(t, l)
	s := open(t, dir, Options{})
	mustAdd(t, s, l.grow(0, 9))
	s.Close()
	seed := bytes.Repeat([]byte{7}, 32)
	fresh, err := check.MLDSAVerifierKey(origin, seed)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]error{
		"log " + fresh + "\n":                    ErrKnown,
		"log " + l.vkeys[0] + "\n":               ErrKnown, // one of two keys is another demand
		"":                                       ErrLogs,
		"quorum none\n":                          ErrLogs,
		"log x\n":                                ErrLogs,
		"logs " + fresh + "\n":                   ErrLogs,
		"log " + fresh + "\nlog " + fresh + "\n": ErrLogs,
		"log " + fresh + " https://x.example and\n": ErrLogs,
	} {
		if _, err := AddLogs(dir, text, KnownRefused); !errors.Is(err, want) {
			t.Errorf("%.50q: %v, want %v", text, err, want)
		}
	}
	if _, err := AddLogs(dir, "# again, the other way round\n\nlog "+l.vkeys[1]+" https://x.example\nlog "+l.vkeys[0]+"\nquorum none\n", KnownRefused); err != nil {
		t.Errorf("the same again: %v", err)
	}
	if origins, err := AddLogs(dir, "log "+fresh+"\n", KnownReplaced); err != nil || !slices.Equal(origins, []string{origin}) {
		t.Fatalf("%q, %v", origins, err)
	}
	s = open(t, dir, Options{})
	if w := post(s, l.grow(9, 9).Encode()); w.Code != http.StatusForbidden {
		t.Errorf("by the old keys: %d", w.Code)
	}
	l.signers = l.signers[:0]
	signer, err := check.NewMLDSASigner(origin, seed, noTime)
	if err != nil {
		t.Fatal(err)
	}
	l.signers = append(l.signers, signer)
	if w := post(s, l.grow(0, 9).Encode()); w.Code != http.StatusConflict || w.Body.String() != "9\n" {
		t.Errorf("its newest head is forgotten: %d %q", w.Code, w.Body)
	}
	mustAdd(t, s, l.grow(9, 9))
}

// A policy of the lines that a witness hands out is one by which its cosignatures
// are a quorum.
func TestPolicyLines(t *testing.T) {
	l := newLog(t, "one", 9)
	dir := newFolder(t, l)
	s := open(t, dir, Options{})
	lines := mustAdd(t, s, l.grow(0, 9))
	v, err := Look(dir)
	if err != nil {
		t.Fatal(err)
	}
	p, err := check.ParsePolicy([]byte(logLines(l.vkeys...) + PolicyLines(v.VKeys, "https://witness.example/")))
	if err != nil {
		t.Fatal(err)
	}
	if c, by, err := p.Open(append(l.headOf(9), lines...), check.OthersRefused); err != nil || c.Size != 9 || len(by) != 2 || p.Named()[1].Address != "https://witness.example/" {
		t.Errorf("%+v, %+v, %v", c, by, err)
	}
	if _, _, err := p.Open(append(l.headOf(9), lines[:bytes.IndexByte(lines, '\n')+1]...), check.OthersRefused); err == nil {
		t.Error("one key of two is enough")
	}
}

func FuzzServer(f *testing.F) {
	l := newLog(f, "one", 12)
	dir := newFolder(f, l)
	s := open(f, dir, Options{})
	mustAdd(f, s, l.grow(0, 7))
	f.Add([]byte(specRequest))
	for _, r := range []Request{l.grow(0, 7), {Old: 7, Checkpoint: l.headOf(9)}, {Old: 3, Checkpoint: l.headOf(2)}} {
		f.Add(r.Encode())
	}
	f.Add([]byte("old 7\n\n" + origin + "\n\n— " + origin + " AAAA\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		w := post(s, body)
		if !slices.Contains([]int{200, 400, 403, 404, 409, 413, 422}, w.Code) {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if newest := s.logs[origin].newest.Load(); newest.Size != 7 {
			t.Fatalf("%q moved the witness to %d", body, newest.Size)
		}
	})
}

func FuzzParseLogs(f *testing.F) {
	f.Add(logLines(newLog(f, "one", 0).vkeys...))
	f.Add("# a\nquorum none\n")
	f.Fuzz(func(t *testing.T, text string) {
		logs, err := parseLogs(text)
		if err != nil {
			return
		}
		again, err := parseLogs(string(formatLogs(logs)))
		if err != nil || len(again) != len(logs) {
			t.Fatalf("%q: %d logs, then %d, %v", text, len(logs), len(again), err)
		}
	})
}
