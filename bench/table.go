package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
)

// pagePath is where the table stands in the documentation.
const pagePath = "docs/reference/benchmarks.md"

// table is what a run has found.
type table struct {
	machine machine
	scale   float64
	rounds  int
	title   string // of what is being measured now
	rows    []row
	took    []took
	notes   []string
	pages   []page // of the documentation that a task has written anew
}

// page is a file of the documentation.
type page struct {
	path string
	text []byte
}

// row is one comparison, or one number of ours alone.
type row struct {
	what       string
	ours, peer string
	ratio      *ratio
	goal       string
	verdict    string
}

// took is one contestant's costs in one comparison.
type took struct {
	what string
	result
}

// goal is what a ratio should reach.
type goal struct{ least, stretch float64 }

func none() goal                             { return goal{} }
func atLeast(n float64) goal                 { return goal{least: n} }
func (g goal) stretching(n float64) (_ goal) { g.stretch = n; return g }
func (g goal) String() string {
	switch {
	case g.least == 0:
		return ""
	case g.stretch == 0:
		return fmt.Sprintf("≥ %g×", g.least)
	}
	return fmt.Sprintf("≥ %g× (stretch %g×)", g.least, g.stretch)
}

func (g goal) judge(r ratio) string {
	switch {
	case g.least == 0:
		return ""
	case g.stretch > 0 && r.medians >= g.stretch:
		return "stretch met"
	}
	return judge(r.medians >= g.least)
}

func judge(met bool) string {
	if met {
		return "met"
	}
	return "missed"
}

func (t *table) add(what, ours, peer string, r ratio, g goal) {
	t.rows = append(t.rows, row{what, ours, peer, &r, g.String(), g.judge(r)})
}

var heading = []string{"What", "Ours (median)", "Peer (median)", "Ratio", "Pairwise", "Target", ""}

func (r row) cells() []string {
	ratio, pairs := "", ""
	if r.ratio != nil {
		ratio, pairs = fmt.Sprintf("%.2f×", r.ratio.medians), fmt.Sprintf("%.2f–%.2f×", r.ratio.low, r.ratio.high)
	}
	return []string{r.what, r.ours, r.peer, ratio, pairs, r.goal, r.verdict}
}

var tookHeading = []string{"Data", "Process", "Wall, median", "Wall, min–max", "Processors", "Peak memory"}

func (t took) cells() []string {
	walls := t.walls()
	low, high := walls[0], walls[0]
	for _, w := range walls {
		low, high = min(low, w), max(high, w)
	}
	cpu := median(t.each(func(c cost) float64 { return c.cpu.Seconds() }))
	peak := median(t.each(func(c cost) float64 { return float64(c.peak) }))
	return []string{t.what, t.name, fmt.Sprintf("%.3f s", median(walls)), fmt.Sprintf("%.3f–%.3f s", low, high), fmt.Sprintf("%.3f s", cpu), fmt.Sprintf("%.0f MB", peak/1e6)}
}

// facts are the lines about the machine and the run.
func (t *table) facts() []string {
	m := t.machine
	lines := []string{
		fmt.Sprintf("%s, %d cores, %s; Linux %s; data and labs on %s.", m.processor, m.cores, m.memory, m.kernel, m.fileSystem),
		fmt.Sprintf("%s; tutela %s; %s.", m.goVersion, m.revision, m.peer),
		fmt.Sprintf("%s, %d rounds, load average at the beginning %s.", m.date, t.rounds, m.load),
	}
	if t.scale != 1 {
		lines = append(lines, fmt.Sprintf("SCALED DOWN: the data is %g of what the rows say. These numbers say nothing about the targets.", t.scale))
	}
	return append(lines, t.notes...)
}

func (t *table) body() (rows, costs [][]string) {
	for _, r := range t.rows {
		rows = append(rows, r.cells())
	}
	for _, c := range t.took {
		costs = append(costs, c.cells())
	}
	return rows, costs
}

// print writes the table for a terminal.
func (t *table) print(w io.Writer) {
	rows, costs := t.body()
	aligned(w, heading, rows)
	aligned(w, tookHeading, costs)
	for _, line := range t.facts() {
		fmt.Fprintln(w, line)
	}
}

func aligned(w io.Writer, heading []string, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, cells := range append([][]string{heading}, rows...) {
		fmt.Fprintln(out, strings.Join(cells, "\t"))
	}
	out.Flush()
	fmt.Fprintln(w)
}

// writePage writes the table as a page of the documentation.
func (t *table) writePage(path string) error {
	rows, costs := t.body()
	var b strings.Builder
	b.WriteString(pageBegin)
	markdown(&b, heading, rows)
	b.WriteString("\n## The run\n\n")
	for _, line := range t.facts() {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	b.WriteString("\n## What each process took\n\n")
	markdown(&b, tookHeading, costs)
	b.WriteString(pageEnd)
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

// writePages writes what tasks have to say on pages of their own.
func (t *table) writePages() error {
	for _, p := range t.pages {
		if err := os.WriteFile(p.path, p.text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// What stands between the marks in the README is this run's too.
const (
	readmePath  = "README.md"
	readmeBegin = "<!-- bench:begin -->\n"
	readmeEnd   = "<!-- bench:end -->\n"
)

// writeReadme replaces the table in the README.
func (t *table) writeReadme(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, begun := strings.Cut(string(text), readmeBegin)
	_, after, ended := strings.Cut(rest, readmeEnd)
	if !begun || !ended {
		return fmt.Errorf("%s: the marks of the table are not there", path)
	}
	rows, _ := t.body()
	var b strings.Builder
	markdown(&b, heading, rows)
	b.WriteString("\nOne run of `make bench`:\n\n")
	for _, line := range t.facts() {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	b.WriteString("\nWhat each process took, and how it is measured: [benchmarks](" + pagePath + ").\n")
	return os.WriteFile(path, []byte(before+readmeBegin+b.String()+readmeEnd+after), 0o644)
}

func markdown(b *strings.Builder, heading []string, rows [][]string) {
	rule := make([]string, len(heading))
	for i := range rule {
		rule[i] = "---"
	}
	for _, cells := range append([][]string{heading, rule}, rows...) {
		fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
	}
}

const pageBegin = `# Benchmarks

This page is written by ` + "`go run ./bench -write`" + `. ` + "`make bench`" + ` measures the same on
your machine and prints it.

A ratio says how many times as fast tutela is as the peer: the peer's median
time divided by ours. "Pairwise" is the smallest and largest ratio of two runs
that took turns.

`

const pageEnd = `
## How it is measured

- Whole processes, from start to end; time of processors and peak memory come
  from the operating system (wait4).
- The contestants take turns, A B A B, in one run, over the same files, all of
  which are in the page cache. Before each turn everything that was written is
  waited for.
- hashdeep computes MD5, SHA-1 and SHA-256 and writes to /dev/null. It is
  measured with several numbers of threads; the one with the best median is the
  peer.
- tutela scans with the profile triage: the same three digests, and on top of
  them the type by content, the match against hash sets (there are none), the
  encrypted ledger, made durable with fdatasync, and the catalogue. Each turn
  gets a new lab on the disk of the data; making it is outside the time, since
  hashdeep has nothing like it. Afterwards the seal is held against the data.
- The bare loop is a Go program that reads the files and makes the three digests
  with the standard library, one goroutine for each processor, and keeps
  nothing.
- JPEGs are read by both sides in processes, and from memory: there the peer is a
  small program around libjpeg-turbo, and processor time is compared, without the
  start of a process. The bytes that come out are held against each other first.
- FAISS and our index answer the same questions over the same hashes, each in one
  thread, and must find as many. hfind's time for a look-up is that of a run with
  300,000 less that of a run with one; half of them are known. Our look-ups are
  made in groups of 16,384, as a scan does.
- The ledger and Tessera are called from processes of their own, in turns, and
  take bodies of one length. Tessera alone, on its driver for files and with the
  best of several batches, keeps them as they are; the ledger salts and encrypts
  each, and says so only when fdatasync has returned. Memory is measured with
  100,000,000 bodies of 40 bytes, since longer ones need more disk and no more
  memory.
- Rows about the large sets call the packages from a process of their own. No peer
  does the same work.

Speeds depend on the processor: with AVX-512 all three digests take sixteen files
side by side; without it SHA-1 and SHA-256 need its SHA instructions, and MD5
takes eight files side by side with AVX2.
`
