package verify_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tutela"
	"tutela/verify"
)

var (
	mutants    = flag.Int("mutants", 500, "damaged copies of a good bundle that are judged")
	mutantSeed = flag.Uint64("mutant-seed", 0, "where the damage begins; 0 takes another each time")
)

// mutant is a bundle with a named fault. Of one that is bound the log says
// otherwise, or its list or form does: every verifier must refuse it. One that
// is not may hold; then all verifiers must say so.
type mutant struct {
	name  string
	files map[string][]byte
	tar   []byte // instead of files
	bound bool

	policy []byte // a second one, if any
}

// judge says whether a bundle holds, and if not, why.
type judge func(mutant) (ok bool, why string)

// scriptProgram answers one line for each bundle that comes through a pipe. It
// remembers what the signature functions said to the same arguments: there are few
// of them.
const scriptProgram = `
import functools, sys, verify
verify.ed25519 = functools.lru_cache(4096)(verify.ed25519)
verify.mldsa44 = functools.lru_cache(4096)(verify.mldsa44)
read = sys.stdin.buffer.read
def block(): return read(int.from_bytes(read(4), "big"))
while kind := read(1):
    try:
        policies = [block()] if kind == b"P" else []
        if policies: kind = read(1)
        if kind == b"T":
            open(sys.argv[1], "wb").write(block())
            files = verify.from_tar(sys.argv[1])
        else:
            files = {}
            for _ in range(int.from_bytes(read(4), "big")):
                path = block()
                files[path] = block()
        verify.check(files, policies)
        print("ok", flush=True)
    except Exception as why: print("no", repr(why)[:200], flush=True)
`

// scriptProcess is verify.py in one process, for all tests.
type scriptProcess struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers *bufio.Reader
	dir     string
}

var theScript *scriptProcess // started by the first test that asks it; tests do not run beside one another

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if err := theScript.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "verify.py:", err)
		code = 1
	}
	os.Exit(code)
}

func startScript() (p *scriptProcess, err error) {
	p = new(scriptProcess)
	if p.dir, err = os.MkdirTemp("", "tutela-verify"); err != nil {
		return nil, err
	}
	p.cmd = exec.Command("python3", "-B", "-c", scriptProgram, filepath.Join(p.dir, "bundle.tar"))
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.answers = bufio.NewReader(out)
	return p, p.cmd.Start()
}

func (p *scriptProcess) stop() error {
	if p == nil {
		return nil
	}
	return errors.Join(p.in.Close(), p.cmd.Wait(), os.RemoveAll(p.dir))
}

// scriptJudge is verify.py.
func scriptJudge(t *testing.T) judge {
	t.Helper()
	if theScript == nil {
		var err error
		if theScript, err = startScript(); err != nil {
			t.Fatalf("python3: %v", err)
		}
	}
	return func(m mutant) (bool, string) {
		if _, err := theScript.in.Write(frame(m)); err != nil {
			t.Fatalf("verify.py, at %s: %v", m.name, err)
		}
		line, err := theScript.answers.ReadString('\n')
		if err != nil {
			t.Fatalf("verify.py, at %s: %v", m.name, err)
		}
		return line == "ok\n", strings.TrimSpace(line)
	}
}

// frame is a mutant as the pipe carries it.
func frame(m mutant) []byte {
	block := func(b, data []byte) []byte {
		return append(binary.BigEndian.AppendUint32(b, uint32(len(data))), data...)
	}
	var b []byte
	if m.policy != nil {
		b = block([]byte("P"), m.policy)
	}
	if m.tar != nil {
		return block(append(b, 'T'), m.tar)
	}
	b = binary.BigEndian.AppendUint32(append(b, 'F'), uint32(len(m.files)))
	for path, data := range m.files {
		b = block(block(b, []byte(path)), data)
	}
	return b
}

// drawnTar is the one tar of files.
func drawnTar(files map[string][]byte) []byte {
	var b []byte
	for _, path := range slices.Sorted(maps.Keys(files)) {
		h := make([]byte, 512)
		copy(h, path)
		copy(h[100:], "0000644\x000000000\x000000000\x00")
		copy(h[124:], fmt.Sprintf("%011o\x0000000000000\x00        0", len(files[path])))
		copy(h[257:], "ustar\x0000")
		copy(h[329:], "0000000\x000000000\x00")
		sum := 0
		for _, c := range h {
			sum += int(c)
		}
		copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
		b = append(append(b, h...), files[path]...)
		b = append(b, make([]byte, (512-len(b)%512)%512)...)
	}
	return append(b, make([]byte, 1024)...)
}

// damage changes bytes at random, and always changes them.
func damage(b []byte, r *rand.Rand) ([]byte, string) {
	for {
		name, out := damageOnce(b, r)
		if !bytes.Equal(out, b) {
			return out, name
		}
	}
}

func damageOnce(b []byte, r *rand.Rand) (string, []byte) {
	at := r.IntN(len(b) + 1)
	if len(b) == 0 {
		return "grown", []byte{byte(r.IntN(256))}
	}
	some := min(at, len(b)-1)
	switch r.IntN(11) {
	case 0, 1, 2:
		out := bytes.Clone(b)
		out[some] ^= 1 << r.IntN(8)
		return "bit", out
	case 3:
		return "insert", slices.Insert(bytes.Clone(b), at, byte(r.IntN(256)))
	case 4:
		return "delete", slices.Delete(bytes.Clone(b), some, some+1)
	case 5:
		return "truncate", bytes.Clone(b[:some])
	case 6:
		return "case", flipCase(b, some)
	case 7:
		return "crlf", bytes.Replace(b, []byte("\n"), []byte("\r\n"), 1+r.IntN(3))
	case 8:
		return "space", slices.Insert(bytes.Clone(b), at, " \t\n\r\v\f\x00\x85+_0"[r.IntN(11)])
	case 9:
		lines := bytes.SplitAfter(b, []byte("\n"))
		i := r.IntN(len(lines))
		return "line twice", bytes.Join(slices.Insert(lines, i, lines[i]), nil)
	default:
		return "hash twice", slices.Concat(b, b[max(0, len(b)-32):])
	}
}

// flipCase changes the case of the first letter from at on.
func flipCase(b []byte, at int) []byte {
	out := bytes.Clone(b)
	for i := at; i < len(b); i++ {
		if c := b[i] | 0x20; 'a' <= c && c <= 'z' {
			out[i] ^= 0x20
			break
		}
	}
	return out
}

func pick[T any](s []T, r *rand.Rand) T { return s[r.IntN(len(s))] }

// rawMutant damages a bundle and makes nothing anew.
func rawMutant(good map[string][]byte, tar []byte, r *rand.Rand) mutant {
	if r.IntN(8) == 0 {
		b, how := damage(tar, r)
		return mutant{name: "raw tar: " + how, tar: b, bound: true}
	}
	files, paths := maps.Clone(good), slices.Sorted(maps.Keys(good))
	path, other := pick(paths, r), pick(paths, r)
	switch r.IntN(12) {
	case 0:
		delete(files, path)
		return mutant{name: "raw: without " + path, files: files, bound: true}
	case 1:
		if bytes.Equal(files[path], files[other]) {
			return rawMutant(good, tar, r)
		}
		files[path], files[other] = files[other], files[path]
		return mutant{name: "raw: swapped " + path + " " + other, files: files, bound: true}
	case 2:
		name, _ := damage([]byte(path), r)
		if _, ok := files[string(name)]; ok {
			return rawMutant(good, tar, r)
		}
		files[string(name)] = files[path]
		if r.IntN(2) == 0 {
			delete(files, path)
		}
		return mutant{name: "raw: renamed " + path + " to " + fmt.Sprintf("%q", name), files: files, bound: true}
	}
	b, how := damage(files[path], r)
	files[path] = b
	return mutant{name: "raw: " + how + " in " + path, files: files, bound: true}
}

// boundFile reports whether the log, or a rule of form, decides every byte of a
// file. It does not of what is there for people (README.txt, report, tool,
// gossip), of time-stamps, which this verdict leaves aside, and of the policy:
// whom to trust is the reader's choice.
func boundFile(path string) bool {
	switch top, _, _ := strings.Cut(path, "/"); top {
	case "events", "trees", "content", "prev", "checkpoint":
		return true
	}
	return false
}

// listedMutant damages a file, or its name, or a line of BUNDLE, and makes the
// list and the officer's signature anew, so that the list is not what refuses.
func listedMutant(d *drawing, good map[string][]byte, r *rand.Rand) mutant {
	files, paths := maps.Clone(good), slices.Sorted(maps.Keys(good))
	path := pick(paths, r)
	if strings.HasPrefix(path, "BUNDLE") {
		return headMutant(files, r)
	}
	if r.IntN(10) == 0 {
		name, _ := damage([]byte(path), r)
		files[string(name)] = files[path]
		delete(files, path)
		return mutant{name: fmt.Sprintf("listed: renamed %s to %q", path, name), files: d.seal(files), bound: boundFile(path)}
	}
	b, how := damage(files[path], r)
	files[path] = b
	return mutant{name: "listed: " + how + " in " + path, files: d.seal(files), bound: boundFile(path)}
}

// headMutant damages BUNDLE and signs it anew. Only the time of issue is the
// officer's alone to say.
func headMutant(files map[string][]byte, r *rand.Rand) mutant {
	list, how := damage(files["BUNDLE"], r)
	free := func(b []byte) string {
		lines := strings.Split(string(b), "\n")
		return strings.Join(slices.DeleteFunc(lines, func(s string) bool { return strings.HasPrefix(s, "issued ") }), "\n")
	}
	bound := free(list) != free(files["BUNDLE"])
	return mutant{name: "listed: " + how + " in BUNDLE", files: signList(files, string(list)), bound: bound}
}

// edits are changes of what the log says, which are then drawn into a log whose
// keys and witnesses sign it: only the rules about events refuse them.
var edits = map[string]func(map[int]*tutela.Event){
	"a gap in the chain":        func(e map[int]*tutela.Event) { e[9].Previous++ },
	"a chain from nowhere":      func(e map[int]*tutela.Event) { e[9].Previous = 0 },
	"never seized":              func(e map[int]*tutela.Event) { e[3].Kind = tutela.EventReceive },
	"seized twice":              func(e map[int]*tutela.Event) { e[9].Kind = tutela.EventSeize },
	"a seizure with a past":     func(e map[int]*tutela.Event) { e[3].Previous = 1 },
	"not disclosed":             func(e map[int]*tutela.Event) { e[12].Kind = tutela.EventExport; sign(e[12]) },
	"another exhibit":           func(e map[int]*tutela.Event) { e[9].Exhibit = "8-A" },
	"another case":              func(e map[int]*tutela.Event) { e[9].Case = "2026-0816" },
	"no case":                   func(e map[int]*tutela.Event) { e[3].Case = "" },
	"one opened more":           func(e map[int]*tutela.Event) { e[12].Facts[0].Number++; sign(e[12]) },
	"others opened":             func(e map[int]*tutela.Event) { e[12].Facts[0].Value[3] ^= 1; sign(e[12]) },
	"to somebody else":          func(e map[int]*tutela.Event) { e[12].Facts[1].Value = []byte("somebody"); sign(e[12]) },
	"for something else":        func(e map[int]*tutela.Event) { e[12].Facts[2].Value = []byte("a talk"); sign(e[12]) },
	"purpose with a number":     func(e map[int]*tutela.Event) { e[12].Facts[2].Number = 1; sign(e[12]) },
	"no purpose":                func(e map[int]*tutela.Event) { e[12].Facts = e[12].Facts[:2]; sign(e[12]) },
	"a fact twice":              func(e map[int]*tutela.Event) { e[12].Facts = append(e[12].Facts, e[12].Facts[2]); sign(e[12]) },
	"a smaller tree":            func(e map[int]*tutela.Event) { e[6].Facts[0].Number--; sign(e[6]) },
	"trees of two sizes":        func(e map[int]*tutela.Event) { e[6].Facts[1].Number--; sign(e[6]) },
	"no second root":            func(e map[int]*tutela.Event) { e[6].Facts = e[6].Facts[:1]; sign(e[6]) },
	"a second root alone":       func(e map[int]*tutela.Event) { e[6].Facts = e[6].Facts[1:]; sign(e[6]) },
	"a seal with matches":       func(e map[int]*tutela.Event) { e[9].Kind = tutela.EventSeal },
	"signed by nobody":          func(e map[int]*tutela.Event) { e[6].Signature = nil },
	"signed without a name":     func(e map[int]*tutela.Event) { e[6].Signer = "" },
	"another actor":             func(e map[int]*tutela.Event) { e[6].Actor = "Max Mustermann"; sign(e[6]) },
	"signed, then changed":      func(e map[int]*tutela.Event) { e[6].Authority = "GS 12/26" },
	"signer in capitals":        func(e map[int]*tutela.Event) { e[6].Signer = strings.ToUpper(e[6].Signer) + " " },
	"enrolled for another":      func(e map[int]*tutela.Event) { e[2].Facts[0].Value = []byte("Max Mustermann") },
	"enrolled without a key":    func(e map[int]*tutela.Event) { e[2].Facts = e[2].Facts[:1] },
	"enrolled too late":         func(e map[int]*tutela.Event) { e[8] = e[2]; delete(e, 2) },
	"withdrawn":                 func(e map[int]*tutela.Event) { w := *e[2]; w.Kind = tutela.EventKeyWithdraw; e[4] = &w },
	"an enrolment with a link":  func(e map[int]*tutela.Event) { e[2].Previous = 1 },
	"a grade of nothing":        func(e map[int]*tutela.Event) { e[4] = &tutela.Event{Kind: tutela.EventGrade} },
	"rotation without old keys": func(e map[int]*tutela.Event) { e[7].Facts = e[7].Facts[:len(e[7].Facts)/2] },
	"rotation of other keys":    func(e map[int]*tutela.Event) { e[7].Facts[len(e[7].Facts)/2].Value = []byte(drawnLog[0].vkey()) },
	"rotation too early":        func(e map[int]*tutela.Event) { e[1] = e[7]; delete(e, 7) },
	"rotation too late":         func(e map[int]*tutela.Event) { e[13] = e[7]; delete(e, 7) },
}

// loggedMutant draws a log that says something else.
func loggedMutant(name string) mutant {
	d := quickDrawing()
	d.edit = edits[name]
	return mutant{name: "logged: " + name, files: d.draw(), bound: true}
}

// bodyMutant damages the body of an event and draws it into the log. The bodies
// of 5, 6 and 12 are signed by the officer.
func bodyMutant(r *rand.Rand) mutant {
	d := quickDrawing()
	at, how := pick([]int{2, 3, 5, 6, 7, 9, 12}, r), ""
	d.bodies = func(i int, body []byte) []byte {
		if i == at {
			body, how = damage(body, r)
		}
		return body
	}
	files := d.draw()
	return mutant{name: fmt.Sprintf("logged: %s in event %d", how, at), files: files, bound: at == 5 || at == 6 || at == 12}
}

// recordMutant damages a record or a match before it is sealed.
func recordMutant(r *rand.Rand) mutant {
	d, how := quickDrawing(), ""
	if r.IntN(4) == 0 {
		d.matches[0], how = damage(d.matches[0], r)
	} else {
		d.records[1], how = damage(d.records[1], r)
	}
	return mutant{name: "logged: " + how + " in a leaf", files: d.draw()}
}

// mutantDrawing demands both witnesses: with one of two, a checkpoint that lost a
// line may hold.
func mutantDrawing() *drawing {
	d := newDrawing()
	d.policy = strings.Replace(d.policy, "outside 1 ", "outside 2 ", 1)
	return d
}

// quickDrawing has no signatures by ML-DSA-44, on which verify.py spends most of its
// time.
func quickDrawing() *drawing {
	d := newDrawing()
	d.keys, d.policy = quickKeys, quickKeys.policy()
	return d
}

// factNames and kinds are what the table of facts and the rules about events know,
// and something that they do not.
var (
	factNames = strings.Fields("records records-sha512 matches matches-sha512 opened to purpose actor actor-key log-key retired-log-key recovery-key other")
	eventKind = strings.Fields("seize receive scan-start seal interim match-run renew admit disclose key-enrol key-withdraw key-rotate recovery-key policy-change tool-validate clock-check grade")
)

// meantMutant changes what an event means, as far as its encoding goes, and signs
// it anew if it was signed: only the rules about events and facts can refuse it.
// It may hold.
func meantMutant(r *rand.Rand) mutant {
	d, how := quickDrawing(), ""
	d.edit = func(events map[int]*tutela.Event) {
		for range 1 + r.IntN(3) {
			at := pick(slices.Sorted(maps.Keys(events)), r)
			how += fmt.Sprintf(" %d: %s", at, mean(events, at, r))
		}
		for _, e := range events {
			if e.Signature != nil {
				sign(e)
			}
		}
	}
	return mutant{name: "meant:" + how, files: d.draw()}
}

// mean changes event at, and says how.
func mean(events map[int]*tutela.Event, at int, r *rand.Rand) string {
	e := *events[at]
	e.Facts = slices.Clone(e.Facts)
	events[at] = &e
	switch r.IntN(9) {
	case 0:
		e.Kind = tutela.EventKind(pick(eventKind, r))
		return "kind " + string(e.Kind)
	case 1:
		e.Exhibit = pick([]string{"", "7-B", "8-C"}, r)
		return "exhibit " + e.Exhibit
	case 2:
		e.Previous = pick([]uint64{0, e.Previous + 1, uint64(at), 4}, r)
		return "previous"
	case 3:
		e.Actor = pick([]string{"", "Erika Mustermann", "Max"}, r)
		return "actor " + e.Actor
	case 4:
		if e.Signature == nil {
			sign(&e)
			return "signed"
		}
		e.Signature, e.Signer = nil, pick([]string{"", e.Signer}, r)
		return "not signed"
	case 5:
		to := pick([]int{0, 1, 4, 8, 11, 13, at}, r)
		events[to] = &e
		return fmt.Sprintf("also at %d", to)
	}
	return meanFacts(&e, r)
}

func meanFacts(e *tutela.Event, r *rand.Rand) string {
	if len(e.Facts) == 0 || r.IntN(4) == 0 {
		e.Facts = append(e.Facts, tutela.Fact{Name: pick(factNames, r), Number: uint64(r.IntN(3)), Value: make([]byte, pick([]int{0, 32, 64}, r))})
		return "fact more: " + e.Facts[len(e.Facts)-1].Name
	}
	i := r.IntN(len(e.Facts))
	f := &e.Facts[i]
	switch r.IntN(6) {
	case 0:
		f.Name = pick(factNames, r)
		return "fact named " + f.Name
	case 1:
		f.Number += uint64(r.IntN(3)) - 1
		return "number of " + f.Name
	case 2:
		f.Value, _ = damage(f.Value, r)
		return "value of " + f.Name
	case 3:
		e.Facts = append(e.Facts, *f)
		return "twice " + f.Name
	case 4:
		f.Value = []byte(pick([]noteKey{drawnOfficer, drawnLog[0], drawnLog[1], drawnOld[0], drawnWitness[0]}, r).vkey())
		return "a key as " + f.Name
	default:
		name := f.Name
		e.Facts = slices.Delete(e.Facts, i, i+1)
		return "without " + name
	}
}

// policyMutant damages a policy in C2SP's form that is given by another way, or the
// lines of it.
func policyMutant(good map[string][]byte, r *rand.Rand) mutant {
	text := fmt.Sprintf("# ours\n\nlog %s https://log.example/\n\tlog  %s\nwitness c %s https://court.example/\nwitness s %s\nwitness o %s\ngroup g any c s\ngroup h 2 g o\nquorum h\n",
		drawnLog[0].vkey(), drawnLog[1].vkey(), drawnWitness[0].vkey(), noteKey{"stranger.example", 4, 77}.vkey(), drawnWitness[1].vkey())
	policy, how := []byte(text), ""
	for range 1 + r.IntN(2) {
		if r.IntN(3) > 0 {
			policy, how = damage(policy, r)
			continue
		}
		words := bytes.SplitAfter(policy, []byte(" "))
		i, j := r.IntN(len(words)), r.IntN(len(words))
		words[i], words[j] = words[j], words[i]
		policy, how = bytes.Join(words, nil), "words swapped"
	}
	return mutant{name: "policy: " + how, files: good, policy: policy}
}

// judges are the verifiers that must agree.
func judges(t *testing.T) map[string]judge {
	return map[string]judge{"verify.py": scriptJudge(t), "verify": libraryJudge(t)}
}

// libraryJudge is package verify.
func libraryJudge(t *testing.T) judge {
	return func(m mutant) (bool, string) {
		var o verify.Options
		if m.policy != nil {
			o.Policies = [][]byte{m.policy}
		}
		v, err := verify.Files(m.files, o)
		if m.tar != nil {
			v, err = verify.Tar(m.tar, o)
		}
		if err != nil {
			t.Fatalf("%s: %v", m.name, err)
		}
		if v.OK == (len(v.Problems) > 0) {
			t.Errorf("%s: ok %v with problems %q", m.name, v.OK, v.Problems)
		}
		return v.OK, strings.Join(v.Problems, "; ")
	}
}

// TestMutants: of a bundle damaged in a random way no verifier accepts what it
// must not, and they never disagree. `-mutants 1000000` is the long form.
func TestMutants(t *testing.T) {
	seed := *mutantSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-mutant-seed %d", seed)
	r, panel, d := rand.New(rand.NewPCG(seed, 0)), judges(t), mutantDrawing()
	good := d.draw()
	tar := drawnTar(good)
	for _, m := range []mutant{{name: "good", files: good}, {name: "good tar", tar: tar}} {
		if !held(t, panel, m) {
			t.Fatalf("the %s bundle is refused", m.name)
		}
	}
	free := 0
	for i := range *mutants {
		if i > 0 && i%20_000 == 0 {
			t.Logf("%d so far", i)
		}
		m := rawMutant(good, tar, r)
		switch {
		case i%200 == 0:
			m = bodyMutant(r)
		case i%200 == 100:
			m = recordMutant(r)
		case i%100 == 6:
			m = meantMutant(r)
		case i%20 == 16:
			m = policyMutant(good, r)
		case i%2 == 0:
			m = listedMutant(d, good, r)
		}
		if held(t, panel, m) {
			free++
		}
	}
	t.Logf("%d mutants, %d of them changed what nothing binds and hold", *mutants, free)
}

// held is what the panel says of a mutant.
func held(t *testing.T, panel map[string]judge, m mutant) bool {
	t.Helper()
	said := map[bool][]string{}
	for name, j := range panel {
		ok, why := j(m)
		said[ok] = append(said[ok], name+": "+why)
	}
	if len(said) > 1 {
		t.Errorf("%s: verifiers disagree: %v", m.name, said)
	}
	if m.bound && len(said[true]) > 0 {
		t.Errorf("%s: accepted: %v", m.name, said[true])
	}
	return len(said[true]) > 0
}

// TestAnotherPolicy: of two policies both must hold, and the second may be in any
// form of C2SP tlog-policy.
func TestAnotherPolicy(t *testing.T) {
	panel, files := judges(t), newDrawing().draw()
	logs := fmt.Sprintf("log %s https://log.example/\n\tlog  %s\n", drawnLog[0].vkey(), drawnLog[1].vkey())
	court := fmt.Sprintf("witness c %s https://court.example/\n", drawnWitness[0].vkey())
	stranger := fmt.Sprintf("witness s %s\n", noteKey{"stranger.example", 4, 77}.vkey())
	for _, text := range []string{
		"# ours\n\n" + logs + court + stranger + "group g any c s\nquorum g\n",
		logs + "quorum none\n",
		court + "group g 1 c\n" + logs + "quorum g\n",
	} {
		if !held(t, panel, mutant{name: text, files: files, policy: []byte(text)}) {
			t.Errorf("refused:\n%s", text)
		}
	}
	for _, text := range []string{
		logs + court + stranger + "group g all c s\nquorum g\n",
		logs + court + stranger + "group g 2 c s\nquorum g\n",
		logs + stranger + "quorum s\n",
		logs + court + "quorun c\n",
		logs + court + "Quorum c\n",
		logs + court,
		court + "quorum c\n",
		logs + court + "quorum c\nquorum c\n",
		logs + court + "quorum c",
		logs + court + "quorum c\r\n",
		logs + court + "group g 0 c\nquorum g\n",
		logs + court + "group g 01 c\nquorum g\n",
		logs + court + "group g 1\nquorum g\n",
		logs + court + "group g 1 c c\nquorum g\n",
		logs + court + "group g 1 none\nquorum g\n",
		logs + court + "group g 1 h\ngroup h 1 c\nquorum g\n",
		logs + court + strings.Replace(court, "witness c ", "witness d ", 1) + "quorum c\n",
		fmt.Sprintf("log %s\nlog %s\n", drawnOld[0].vkey(), drawnLog[1].vkey()) + court + "quorum c\n",
	} {
		held(t, panel, mutant{name: "policy " + text, files: files, policy: []byte(text), bound: true})
	}
}

// TestEditsOfTheLogAreRefused draws each edit into a log that is signed anew.
func TestEditsOfTheLogAreRefused(t *testing.T) {
	panel := judges(t)
	for _, name := range slices.Sorted(maps.Keys(edits)) {
		held(t, panel, loggedMutant(name))
	}
}
