package scan

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tutela"
	"tutela/internal/authority"
	"tutela/internal/catalog"
	"tutela/internal/evidence"
	"tutela/internal/evidence/survey"
	"tutela/internal/hashset"
	"tutela/internal/lab"
)

// bench is a lab with one exhibit, and a copy of it can be made: the seed is in
// the lab, so that both must come to the same root.
type bench struct {
	t   *testing.T
	dir string
	lab *lab.Lab
}

func newBench(t *testing.T) *bench {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "lab")
	check(t, lab.Init(t.Context(), dir, lab.Config{Agency: "Test Agency", Country: "XX"}, "tester"))
	b := openBench(t, dir)
	b.record(tutela.EventCaseOpen, tutela.Event{Case: "1"}, tutela.Case{Number: "1", Title: "test", Status: tutela.CaseOpen, Opened: time.Now().UTC()})
	b.record(tutela.EventSeize, tutela.Event{Case: "1", Exhibit: "A"}, tutela.Exhibit{Label: "A", Case: "1", Added: time.Now().UTC()})
	check(t, b.lab.AddExhibitSeed("A"))
	return b
}

func openBench(t *testing.T, dir string) *bench {
	t.Helper()
	l, err := lab.Open(t.Context(), dir, lab.Write, "tester")
	check(t, err)
	b := &bench{t, dir, l}
	t.Cleanup(func() { b.lab.Close() })
	return b
}

// copied is the same lab a second time.
func (b *bench) copied() *bench {
	b.t.Helper()
	check(b.t, b.lab.Close())
	dir := filepath.Join(b.t.TempDir(), "lab")
	check(b.t, os.CopyFS(dir, os.DirFS(b.dir)))
	check(b.t, filepath.WalkDir(filepath.Join(dir, "keys"), func(name string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			err = os.Chmod(name, 0o600)
		}
		return err
	}))
	b.lab = openBench(b.t, b.dir).lab
	return openBench(b.t, dir)
}

func (b *bench) record(kind tutela.EventKind, about tutela.Event, detail any) {
	b.t.Helper()
	ev, err := tutela.NewEvent(kind, time.Now(), "tester", detail)
	check(b.t, err)
	ev.Case, ev.Exhibit, ev.Authority = about.Case, about.Exhibit, about.Authority
	_, err = b.lab.Record(b.t.Context(), ev)
	check(b.t, err)
}

// allow adds an authority that stands for so long.
func (b *bench) allow(reference string, d time.Duration) {
	now := time.Now().UTC()
	b.record(tutela.EventAuthorityAdd, tutela.Event{Case: "1", Authority: reference}, tutela.Authority{
		Reference: reference, Case: "1", Kind: tutela.SearchWarrant, Issuer: "court", From: now.Add(-time.Minute), Until: now.Add(d), Added: now,
	})
}

func (b *bench) grant(action tutela.Action, reference string) authority.Grant {
	b.t.Helper()
	req := authority.Request{Actor: "tester", Action: action, Exhibit: "A", Reference: reference, Event: tutela.EventAccess, Detail: []byte("{}")}
	if action == tutela.ActionScan {
		detail, err := tutela.EncodeDetail(tutela.ScanStart{Exhibit: "A", Number: 1, Profile: "standard"})
		check(b.t, err)
		req.Event, req.Detail, req.Key = tutela.EventScanStart, detail, "scan-start/A/1"
	}
	g, err := authority.NewOffice(b.lab.Catalog, b.lab, nil).Grant(b.t.Context(), req)
	check(b.t, err)
	return g
}

func (b *bench) job(ev Evidence) Job {
	b.t.Helper()
	sets, err := b.lab.Sets.OpenActive()
	check(b.t, err)
	b.t.Cleanup(func() { sets.Close() })
	return Job{
		ID: catalog.ScanID{Exhibit: "A", Number: 1}, Desk: b.lab, Catalog: b.lab.Catalog, Sets: sets, Evidence: ev,
		Profile: Full, Limits: evidence.DefaultLimits(), SpoolDir: b.lab.JobsDir(), Tool: "test",
	}
}

func (b *bench) run(ctx context.Context, ev Evidence, change func(*Job)) (Summary, error) {
	j := b.job(ev)
	if change != nil {
		change(&j)
	}
	return Run(ctx, b.grant(tutela.ActionScan, ""), j)
}

// found lists what the catalogue shows, in order, as path=sha256.
func (b *bench) found(q catalog.Query) []string {
	b.t.Helper()
	var out []string
	for hit, err := range b.lab.Catalog.Find(b.t.Context(), q) {
		check(b.t, err)
		sum := "-"
		if hit.Record.Hashed {
			sum = hit.Record.Digests.SHA256.String()[:8]
		}
		out = append(out, hit.Record.DisplayPath()+"="+sum)
	}
	return out
}

func (b *bench) verified() {
	b.t.Helper()
	v, err := b.lab.Verify(b.t.Context(), nil)
	check(b.t, err)
	if len(v.Problems) > 0 {
		b.t.Fatalf("the ledger does not verify: %v", v.Problems)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// home writes a folder with files of many sizes and archives in archives.
func home(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 150 {
		content := make([]byte, random.IntN(70_000))
		for k := range content {
			content[k] = byte(random.Uint32())
		}
		name := filepath.Join(dir, fmt.Sprintf("d%d", i%7), fmt.Sprintf("f%03d", i))
		check(t, os.MkdirAll(filepath.Dir(name), 0o700))
		check(t, os.WriteFile(name, content, 0o600))
	}
	for i := range 5 {
		inner := zipOf(t, 40, func(k int) []byte { return fmt.Appendf(nil, "inner %d %d", i, k) })
		outer := zipOf(t, 20, func(k int) []byte {
			return append(fmt.Appendf(nil, "outer %d %d ", i, k), bytes.Repeat([]byte{byte(k)}, 900)...)
		}, inner)
		check(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("d%d", i), "archive.zip"), outer, 0o600))
	}
	return dir
}

func zipOf(t *testing.T, n int, content func(int) []byte, more ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for k := range n {
		f, err := w.Create(fmt.Sprintf("member-%02d", k))
		check(t, err)
		_, err = f.Write(content(k))
		check(t, err)
	}
	for k, inner := range more {
		f, err := w.Create(fmt.Sprintf("nested-%d.zip", k))
		check(t, err)
		_, err = f.Write(inner)
		check(t, err)
	}
	check(t, w.Close())
	return b.Bytes()
}

func surveyed(t *testing.T, path string) *survey.Survey {
	t.Helper()
	s, err := survey.Open([]string{path}, survey.Options{Unclaimed: true})
	check(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// The root depends on the evidence and the seed alone: not on the number of
// workers, nor on the size of commits.
func TestOneRootWhateverTheWorkers(t *testing.T) {
	first := newBench(t)
	first.allow("W", time.Hour)
	dir := home(t)
	var want Summary
	for i, workers := range []int{2, 1, 7} {
		b := first
		if i > 0 {
			b = first.copied()
		}
		b = b.copied()
		got, err := b.run(t.Context(), surveyed(t, dir), func(j *Job) { j.Workers, j.batch = workers, 1+i*100 })
		check(t, err)
		if i == 0 {
			want = got
		}
		if got.Root != want.Root || got.Records != want.Records {
			t.Errorf("%d workers: root %s over %d records, want %s over %d", workers, got.Root, got.Records, want.Root, want.Records)
		}
		b.verified()
	}
	if want.Records != 150+5*(1+20+1+40) {
		t.Errorf("%d records", want.Records)
	}
}

var errPulled = errors.New("the plug was pulled")

// A scan that is stopped again and again, also in the middle of archives, ends
// with the root and the catalogue of one that was not.
func TestInterruptedAnywhere(t *testing.T) {
	whole := newBench(t)
	whole.allow("W", time.Hour)
	whole.importSet("known", tutela.Alert, digestsOf("inner 2 7", "inner 4 39", "outer 1 3")...)
	whole.record(tutela.EventPolicyChange, tutela.Event{}, lab.Policy{SecondRoot: true})
	dir := home(t)
	torn := whole.copied()
	want, err := whole.run(t.Context(), surveyed(t, dir), nil)
	check(t, err)

	var got Summary
	stops, random := 0, rand.New(rand.NewPCG(3, 4))
	for {
		ctx, cancel := context.WithCancelCause(t.Context())
		ev := &pulled{Evidence: surveyed(t, dir), left: 5 + random.Int64N(60), pull: func() { cancel(errPulled) }}
		got, err = torn.run(ctx, ev, func(j *Job) {
			j.batch, j.Workers, j.showEvery = 1+random.IntN(9), 1+random.IntN(3), time.Nanosecond
		})
		cancel(nil)
		if err == nil {
			break
		}
		if !errors.Is(err, errPulled) {
			t.Fatalf("after %d stops: %v", stops, err)
		}
		if stops++; stops > 500 {
			t.Fatal("no end in sight")
		}
		torn.lab.Close()
		torn.lab = openBench(t, torn.dir).lab
	}
	if stops < 3 {
		t.Errorf("stopped %d times only", stops)
	}
	if got.Root != want.Root || got.Counts != want.Counts {
		t.Errorf("after %d stops: %+v\nwithout: %+v", stops, got, want)
	}
	if a, b := torn.found(catalog.Query{}), whole.found(catalog.Query{}); !slices.Equal(a, b) {
		t.Errorf("the catalogues differ: %d and %d locations", len(a), len(b))
	}
	torn.verified()
	for _, name := range []string{tutela.FactRecords512, tutela.FactMatches512} {
		a, b := torn.fact(name), whole.fact(name)
		if len(a.Value) != 64 || a.Number == 0 || !bytes.Equal(a.Value, b.Value) {
			t.Errorf("after %d stops %s is %x over %d, without %x", stops, name, a.Value, a.Number, b.Value)
		}
	}
}

// fact is the only fact of a name in the log.
func (b *bench) fact(name string) (found tutela.Fact) {
	b.t.Helper()
	log, err := b.lab.ReadLog()
	check(b.t, err)
	for entry, err := range log.Events(b.t.Context(), 0) {
		check(b.t, err)
		f := entry.Event.Fact(name)
		if f.Name != "" && found.Name != "" {
			b.t.Errorf("%s stands in two events", name)
		}
		if f.Name != "" {
			found = f
		}
	}
	return found
}

// pulled is evidence that calls pull when so many contents have been read.
type pulled struct {
	Evidence
	left int64
	pull func()
}

func (p *pulled) Walk(ctx context.Context, limits evidence.Limits, visit func(*evidence.Entry) error) error {
	return p.Evidence.Walk(ctx, limits, func(e *evidence.Entry) error {
		if e.Open == nil {
			return visit(e)
		}
		open := e.Open
		e.Open = func() (evidence.Content, error) {
			content, err := open()
			return &pulledContent{content, p}, err
		}
		return visit(e)
	})
}

type pulledContent struct {
	evidence.Content
	from *pulled
}

func (c *pulledContent) Close() error {
	if atomic.AddInt64(&c.from.left, -1) == 0 {
		c.from.pull()
	}
	return c.Content.Close()
}

func TestEvidenceThatChangedIsNotMixed(t *testing.T) {
	b := newBench(t)
	b.allow("W", time.Hour)
	dir := home(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	watch := new(Watch)
	go func() {
		for watch.Status().Items < 80 {
			time.Sleep(time.Millisecond)
		}
		cancel(errPulled)
	}()
	if _, err := b.run(ctx, surveyed(t, dir), func(j *Job) { j.batch, j.Watch = 1, watch }); !errors.Is(err, errPulled) {
		t.Fatal(err)
	}
	check(t, os.Rename(filepath.Join(dir, "d0", "f000"), filepath.Join(dir, "d0", "f000-renamed")))
	if _, err := b.run(t.Context(), surveyed(t, dir), nil); !errors.Is(err, ErrEvidenceChanged) {
		t.Fatalf("continued over changed evidence: %v", err)
	}
}

// listed is evidence made of entries.
type listed []*evidence.Entry

func (l listed) Walk(_ context.Context, _ evidence.Limits, visit func(*evidence.Entry) error) error {
	for _, e := range l {
		copied := *e
		if err := visit(&copied); err != nil {
			return err
		}
	}
	return nil
}

func fileOf(path string, size int64, open func() (evidence.Content, error)) *evidence.Entry {
	return &evidence.Entry{Path: []byte(path), Kind: tutela.File, State: tutela.Allocated, Size: size, Open: open}
}

func bytesOf(content []byte) func() (evidence.Content, error) {
	return func() (evidence.Content, error) {
		return struct{ *bytesContent }{&bytesContent{bytes.NewReader(content)}}, nil
	}
}

type bytesContent struct{ *bytes.Reader }

func (*bytesContent) Close() error { return nil }

// broken is a content with bad stretches.
type broken struct {
	content []byte
	bad     []tutela.Run
	off     int64
}

func (c *broken) Read(p []byte) (int, error) {
	n, err := c.ReadAt(p, c.off)
	c.off += int64(n)
	if n > 0 {
		err = nil
	}
	return n, err
}

func (c *broken) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(c.content)) {
		return 0, io.EOF
	}
	end := min(off+int64(len(p)), int64(len(c.content)))
	for _, r := range c.bad {
		if off < r.Offset+r.Length && r.Offset < end {
			n := max(r.Offset-off, 0)
			copy(p, c.content[off:off+n])
			return int(n), &evidence.ReadError{Run: r, Err: errors.New("input/output error")}
		}
	}
	n := copy(p, c.content[off:end])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (c *broken) Close() error { return nil }

// A bad stretch in the middle costs that stretch: the rest is read, the range
// recorded, nothing claims to be the digest of the whole, and the files around
// it are not touched by it.
func TestReadErrorInTheMiddle(t *testing.T) {
	b := newBench(t)
	b.allow("W", time.Hour)
	content := bytes.Repeat([]byte("0123456789abcdef"), 8192)
	bad := &broken{content: content, bad: []tutela.Run{{Offset: 40_000, Length: 512}, {Offset: 100_000, Length: 9000}}}
	ev := listed{
		fileOf("/before", 6, bytesOf([]byte("before"))),
		fileOf("/bad", int64(len(content)), func() (evidence.Content, error) { return bad, nil }),
		fileOf("/gone", 10, func() (evidence.Content, error) { return nil, errors.New("no such file") }),
		fileOf("/after", 5, bytesOf([]byte("after"))),
	}
	sum, err := b.run(t.Context(), ev, nil)
	check(t, err)
	if sum.Records != 4 || sum.Unreadable != 2 || sum.Bytes != 11 {
		t.Errorf("%d records, %d unreadable, %d bytes", sum.Records, sum.Unreadable, sum.Bytes)
	}
	var hits []catalog.Hit
	for hit, err := range b.lab.Catalog.Find(t.Context(), catalog.Query{Finding: tutela.FindingReadError}) {
		check(t, err)
		hits = append(hits, hit)
	}
	if len(hits) != 1 || hits[0].Record.Hashed {
		t.Fatalf("%d items with a read error: %+v", len(hits), hits)
	}
	got := fmt.Sprint(hits[0].Record.Findings)
	for _, want := range []string{"bytes 40000 to 40959: input/output error", "bytes 100000 to 110591: input/output error"} {
		if !strings.Contains(got, want) {
			t.Errorf("findings %s do not name %q", got, want)
		}
	}
	b.verified()
}

// Archives that are larger than what is buffered must not wait for each other.
// A file that is noise from end to end is read whole and found as encrypted; what
// is no whole number of sectors, and what has a header, is not.
func TestNoiseIsFound(t *testing.T) {
	b := newBench(t)
	b.allow("W", time.Hour)
	noise := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{}).Read(noise)
	named := slices.Concat([]byte("\x89PNG\r\n\x1a\n"), noise[8:])
	_, err := b.run(t.Context(), listed{
		fileOf("/volume.hc", 1<<20, bytesOf(noise)),
		fileOf("/unknown.hc", -1, bytesOf(noise)),
		fileOf("/odd", 1<<20-1, bytesOf(noise[1:])),
		fileOf("/small", 128<<10, bytesOf(noise[:128<<10])),
		fileOf("/named", 1<<20, bytesOf(named)),
	}, func(j *Job) { j.Profile = Triage })
	check(t, err)
	if got := b.found(catalog.Query{Finding: tutela.FindingEncrypted}); len(got) != 2 || !strings.HasPrefix(got[0], "/volume.hc=") || strings.HasSuffix(got[0], "=-") || !strings.HasPrefix(got[1], "/unknown.hc=") {
		t.Errorf("found %q", got)
	}
	b.verified()
}

func TestManyArchivesWithOneWorker(t *testing.T) {
	b := newBench(t)
	b.allow("W", time.Hour)
	var ev listed
	for i := range 12 {
		content := zipOf(t, 300, func(k int) []byte { return fmt.Appendf(nil, "%d %d", i, k) })
		ev = append(ev, fileOf(fmt.Sprintf("/%d.zip", i), int64(len(content)), bytesOf(content)))
	}
	sum, err := b.run(t.Context(), ev, func(j *Job) { j.Workers = 1 })
	check(t, err)
	if want := uint64(12 * 301); sum.Records != want {
		t.Errorf("%d records, want %d", sum.Records, want)
	}
}

// A decoder that panics costs its archive, not the scan.
func TestPanicInContent(t *testing.T) {
	b := newBench(t)
	b.allow("W", time.Hour)
	content := zipOf(t, 3, func(k int) []byte { return []byte("member") })
	first := true
	ev := listed{
		fileOf("/hostile.zip", int64(len(content)), func() (evidence.Content, error) {
			if first {
				first = false
				return struct{ evidence.Content }{&bytesContent{bytes.NewReader(content)}}, nil
			}
			panic("hostile bytes")
		}),
		fileOf("/after", 5, bytesOf([]byte("after"))),
	}
	ev[0].Size = keepBytes + 1 // so that it is opened a second time
	sum, err := b.run(t.Context(), ev, nil)
	check(t, err)
	if got := b.found(catalog.Query{}); sum.Records != 3 || len(got) != 3 || got[1] != "/hostile.zip!/=-" {
		t.Errorf("%d records: %v", sum.Records, got)
	}
}

// When the authority ends, the scan stops at the next commit; under another it
// goes on.
func TestAuthorityEndsMeanwhile(t *testing.T) {
	b := newBench(t)
	b.allow("short", 1500*time.Millisecond)
	slow := fileOf("/slow", 4, func() (evidence.Content, error) {
		time.Sleep(2 * time.Second)
		return bytesOf([]byte("slow"))()
	})
	ev := listed{fileOf("/a", 1, bytesOf([]byte("a"))), slow, fileOf("/b", 1, bytesOf([]byte("b")))}
	var refusal *authority.Refusal
	if _, err := b.run(t.Context(), ev, func(j *Job) { j.batch = 1 }); !errors.As(err, &refusal) {
		t.Fatalf("the scan outlived its authority: %v", err)
	}
	b.allow("longer", time.Hour)
	ev[1] = fileOf("/slow", 4, bytesOf([]byte("slow")))
	sum, err := b.run(t.Context(), ev, nil)
	check(t, err)
	if sum.Records != 3 {
		t.Errorf("%d records", sum.Records)
	}
}

func (b *bench) importSet(name string, status tutela.Status, lines ...string) {
	b.t.Helper()
	file := filepath.Join(b.t.TempDir(), "list.txt")
	check(b.t, os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	_, _, err := b.lab.Sets.Import(b.t.Context(), hashset.ImportRequest{Name: name, Status: status, Files: []string{file}, Imported: time.Now().UTC()})
	check(b.t, err)
}

// digestsOf are lines of sha256sum.
func digestsOf(contents ...string) (lines []string) {
	for _, c := range contents {
		lines = append(lines, fmt.Sprintf("%x  x", sha256.Sum256([]byte(c))))
	}
	return lines
}

const helloSHA256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

// New sets meet old records without the evidence, in a run of their own; the
// runs before stay provable.
func TestRematch(t *testing.T) {
	b := newBench(t)
	b.allow("W", time.Hour)
	b.importSet("other", tutela.OfInterest, strings.Repeat("ab", 32)+"  x")
	sum, err := b.run(t.Context(), listed{fileOf("/hello", 5, bytesOf([]byte("hello"))), fileOf("/x", 1, bytesOf([]byte("x")))}, nil)
	check(t, err)
	if sum.Alerts != 0 || sum.Run != 1 {
		t.Fatalf("run %d with %d alerts", sum.Run, sum.Alerts)
	}
	b.importSet("known", tutela.Alert, helloSHA256+"  hello")
	for range 2 { // the second time nothing changes
		run, err := Rematch(t.Context(), b.grant(tutela.ActionRematch, ""), b.job(nil))
		check(t, err)
		if run.Run != 2 || run.Alerts != 1 || run.Matches != 1 || len(run.Sets) != 2 {
			t.Fatalf("%+v", run)
		}
	}
	if got := b.found(catalog.Query{Match: catalog.MatchAlert}); len(got) != 1 || !strings.HasPrefix(got[0], "/hello=") {
		t.Errorf("alerts: %v", got)
	}
	b.verified()
}

// Reading again tells what changed, what came and what went, each once.
func TestRescan(t *testing.T) {
	b := newBench(t)
	b.allow("W", time.Hour)
	dir := t.TempDir()
	for i := range 9 {
		check(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d", i)), fmt.Appendf(nil, "content %d", i), 0o600))
	}
	_, err := b.run(t.Context(), surveyed(t, dir), nil)
	check(t, err)
	if got := b.rescan(dir); len(got) != 0 {
		t.Fatalf("nothing changed, and yet: %q", got)
	}
	check(t, os.Remove(filepath.Join(dir, "1")))
	check(t, os.WriteFile(filepath.Join(dir, "5"), []byte("CONTENT 5"), 0o600))
	check(t, os.WriteFile(filepath.Join(dir, "7a"), []byte("new"), 0o600))
	got := b.rescan(dir)
	for i, want := range []string{"leaf 5 /5: its content is another now", "leaf 1 /1: in the ledger, not found again", "/7a: found now, not in the ledger"} {
		if i >= len(got) || !strings.HasPrefix(got[i], want) {
			t.Errorf("difference %d of %q: want %q", i, got, want)
		}
	}
	if len(got) != 3 {
		t.Errorf("%d differences", len(got))
	}
}

func (b *bench) rescan(dir string) (out []string) {
	b.t.Helper()
	_, err := Rescan(b.t.Context(), b.grant(tutela.ActionRescan, ""), b.job(surveyed(b.t, dir)), func(d Difference) error {
		out = append(out, d.String())
		return nil
	})
	check(b.t, err)
	return out
}

// A Grant for one action is none for another.
func TestWrongGrant(t *testing.T) {
	b := newBench(t)
	b.allow("W", time.Hour)
	var refusal *authority.Refusal
	if _, err := Run(t.Context(), b.grant(tutela.ActionRematch, ""), b.job(listed{})); !errors.As(err, &refusal) {
		t.Errorf("scanned under a grant to rematch: %v", err)
	}
	if _, err := Rematch(t.Context(), authority.Grant{}, b.job(nil)); !errors.As(err, &refusal) {
		t.Errorf("rematched under no grant: %v", err)
	}
}

// A rebuilt catalogue is the one that grew.
func TestRebuild(t *testing.T) {
	b := newBench(t)
	b.allow("W", time.Hour)
	b.importSet("known", tutela.Alert, helloSHA256+"  hello")
	_, err := b.run(t.Context(), listed{fileOf("/hello", 5, bytesOf([]byte("hello"))), fileOf("/x", 1, bytesOf([]byte("x")))}, nil)
	check(t, err)
	if same, err := b.lab.CompareCatalog(t.Context()); err != nil || !same {
		t.Fatalf("same: %v, %v", same, err)
	}
	before := b.found(catalog.Query{Match: catalog.MatchAlert})
	records, err := b.lab.Rebuild(t.Context())
	check(t, err)
	if after := b.found(catalog.Query{Match: catalog.MatchAlert}); records != 2 || !slices.Equal(before, after) {
		t.Errorf("%d records; before %v, after %v", records, before, after)
	}
}
