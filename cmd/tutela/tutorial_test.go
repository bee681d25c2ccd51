package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

const docs = "../../docs"

// stuck is when a program that does not end is stopped, so that it fails its
// own test and not the whole suite.
const stuck = 3 * time.Minute

// TestGuides types what the tutorial and the how-to guides tell people to type,
// into one shell for each page, and holds what comes out against what the page
// shows.
//
// In a block of ```sh, lines that begin with "$ " are typed, those with "> "
// continue them, the others are the output, both streams together. Blocks of
// one page follow one another in one folder. In the output, "..." on a line of
// its own stands for any lines, and <name> for any text on its line; one name
// stands for one text on the whole page, but for <any>, <time>, <span> and
// <bytes>, which may be another every time. How wide the blank between two
// columns is does not count. A command that fails must be followed by
// `$ echo $?`. A comment that begins with "before:" holds commands that are
// typed unseen; $DRAWN is a folder that `tutela demo` made.
func TestGuides(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the guides are for a Unix shell")
	}
	drawn := filepath.Join(t.TempDir(), "drawn")
	ctx, cancel := context.WithTimeout(t.Context(), stuck)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "tutela", "demo", "--dir", drawn).CombinedOutput(); err != nil {
		t.Fatalf("draw the evidence: %v\n%s", err, out)
	}
	pages := slices.Concat(glob(t, "tutorial/*.md"), glob(t, "how-to/*.md"))
	if len(pages) < 2 {
		t.Fatalf("only %q: where are the guides?", pages)
	}
	for _, page := range pages {
		t.Run(strings.TrimSuffix(filepath.Base(page), ".md"), func(t *testing.T) {
			t.Parallel()
			followGuide(t, readText(t, page), drawn)
		})
	}
}

// step is one command of a page and what it must print.
type step struct {
	command string
	want    []string
	unseen  bool
}

var (
	columns    = regexp.MustCompile(` {2,}`)
	blockMark  = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$|^<!-- before:\n(.*?)^-->$")
	placemarks = regexp.MustCompile(`<[a-z][a-z0-9-]*>`)
)

func stepsOf(page string) (steps []step) {
	for _, block := range blockMark.FindAllStringSubmatch(page, -1) {
		if block[2] != "" {
			steps = append(steps, step{command: block[2], unseen: true})
			continue
		}
		for line := range strings.Lines(block[1]) {
			line = strings.TrimSuffix(line, "\n")
			last := len(steps) - 1
			switch {
			case strings.HasPrefix(line, "$ "):
				steps = append(steps, step{command: line[2:]})
			case last < 0 || steps[last].unseen:
				steps = append(steps, step{command: "false # output before any command: " + line})
			case strings.HasPrefix(line, "> ") && len(steps[last].want) == 0:
				steps[last].command += "\n" + line[2:]
			default:
				steps[last].want = append(steps[last].want, line)
			}
		}
	}
	return steps
}

func followGuide(t *testing.T, page, drawn string) {
	steps := stepsOf(page)
	if len(steps) == 0 {
		t.Fatal("the page has no command")
	}
	results := typeAll(t, steps, drawn)
	bound := map[string]string{}
	for i, s := range steps {
		if i >= len(results) {
			t.Fatalf("the shell ended before: $ %s", s.command)
		}
		got := results[i]
		asked := i+1 < len(steps) && steps[i+1].command == "echo $?"
		if got.code != 0 && !asked {
			t.Fatalf("$ %s\nended with exit code %d:\n%s", s.command, got.code, got.output)
		}
		if s.unseen {
			continue
		}
		if err := fits(s.want, strings.Split(strings.TrimSuffix(got.output, "\n"), "\n"), bound); err != nil {
			t.Fatalf("$ %s\n%v\nthe page shows:\n%s\nit printed:\n%s", s.command, err, strings.Join(s.want, "\n"), got.output)
		}
	}
}

type result struct {
	output string
	code   int
}

// typeAll runs the commands in one shell, in an empty folder, and takes their
// outputs apart at a mark that stands behind each.
func typeAll(t *testing.T, steps []step, drawn string) (results []result) {
	const mark = "\x1e"
	var script strings.Builder
	script.WriteString("exec 2>&1\n")
	for _, s := range steps {
		fmt.Fprintf(&script, "%s\ncode=$?; printf '%s%%d%s' $code; (exit $code)\n", s.command, mark, mark)
	}
	ctx, cancel := context.WithTimeout(t.Context(), stuck)
	defer cancel()
	shell := exec.CommandContext(ctx, "sh")
	shell.WaitDelay = time.Second
	shell.Dir = t.TempDir()
	shell.Stdin = strings.NewReader(script.String())
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "TUTELA_") && !strings.HasPrefix(pair, "PWD=") {
			shell.Env = append(shell.Env, pair)
		}
	}
	shell.Env = append(shell.Env, "TUTELA_ACTOR=avery", "TZ=Asia/Tokyo", "DRAWN="+drawn)
	output, _ := shell.Output() // exit codes are looked at one by one
	parts := strings.Split(string(output), mark)
	for i := 0; i+1 < len(parts); i += 2 {
		code, err := strconv.Atoi(parts[i+1])
		if err != nil {
			t.Fatalf("the shell's output cannot be taken apart at %q", parts[i+1])
		}
		results = append(results, result{parts[i], code})
	}
	return results
}

// fits holds the lines of an output against what a page shows.
func fits(want, got []string, bound map[string]string) error {
	if len(want) == 0 {
		want = []string{""}
	}
	for len(want) > 0 {
		if want[0] == "..." {
			return skipTo(want[1:], got, bound)
		}
		if len(got) == 0 {
			return fmt.Errorf("missing: %s", want[0])
		}
		if !fitsLine(want[0], strings.TrimRight(got[0], " "), bound) {
			return fmt.Errorf("shown:   %s\nprinted: %s", want[0], got[0])
		}
		want, got = want[1:], got[1:]
	}
	if len(got) > 0 {
		return fmt.Errorf("not shown: %s", got[0])
	}
	return nil
}

// skipTo goes on at the first line that fits what follows "...".
func skipTo(want, got []string, bound map[string]string) error {
	if len(want) == 0 {
		return nil
	}
	for i := range got {
		if fitsLine(want[0], strings.TrimRight(got[i], " "), bound) {
			return fits(want, got[i:], bound)
		}
	}
	return fmt.Errorf("missing: %s", want[0])
}

// fitsLine learns what the names stand for as it goes.
func fitsLine(want, got string, bound map[string]string) bool {
	var pattern strings.Builder
	var names []string
	rest, got := columns.ReplaceAllString(want, "  "), columns.ReplaceAllString(got, "  ")
	for at := placemarks.FindStringIndex(rest); at != nil; at = placemarks.FindStringIndex(rest) {
		name := rest[at[0]:at[1]]
		pattern.WriteString(regexp.QuoteMeta(rest[:at[0]]))
		if known, ok := bound[name]; ok {
			pattern.WriteString(regexp.QuoteMeta(known))
		} else {
			pattern.WriteString("(.+?)")
			names = append(names, name)
		}
		rest = rest[at[1]:]
	}
	pattern.WriteString(regexp.QuoteMeta(rest))
	found := regexp.MustCompile("^" + pattern.String() + "$").FindStringSubmatch(got)
	if found == nil {
		return false
	}
	for i, name := range names {
		if !slices.Contains([]string{"<any>", "<time>", "<span>", "<bytes>"}, name) {
			bound[name] = found[i+1]
		}
	}
	return true
}

// The judge of the guides must be able to say no.
func TestGuideJudge(t *testing.T) {
	for _, c := range []struct {
		want, got string
		fit       bool
	}{
		{"a\nb", "a\nb", true},
		{"a", "a\nb", false},
		{"a\nb", "a", false},
		{"...\nb", "x\ny\nb", true},
		{"...\nb", "x\ny", false},
		{"...", "anything\nat all", true},
		{"root <r>\nagain <r>", "root 12\nagain 12", true},
		{"root <r>\nagain <r>", "root 12\nagain 13", false},
		{"at <time>\nat <time>", "at 1\nat 2", true},
		{"size <n> B", "size B", false},
	} {
		err := fits(strings.Split(c.want, "\n"), strings.Split(c.got, "\n"), map[string]string{})
		if (err == nil) != c.fit {
			t.Errorf("%q against %q: %v", c.got, c.want, err)
		}
	}
	if got := stepsOf("```sh\n$ a \\\n> b\nout\n```\ntext\n<!-- before:\nc\n-->\n"); len(got) != 2 || got[0].command != "a \\\nb" || !got[1].unseen {
		t.Errorf("taken apart as %v", got)
	}
}

// TestCommandReference holds docs/reference/commands.md against the command
// line itself. UPDATE_DOCS=1 writes it.
func TestCommandReference(t *testing.T) {
	var c commands
	parser, err := kong.New(&c, kong.Name("tutela"), kong.Vars{"version": ""})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	b.WriteString("# Commands\n\nThis page is written from the program by a test. What the commands print with `--json` is in\n[json.md](json.md), how they end in [exit-codes.md](exit-codes.md).\n\n")
	b.WriteString("## Flags of every command\n\n| flag | meaning |\n|---|---|\n")
	writeFlags(&b, parser.Model.Flags)
	for _, leaf := range parser.Model.Leaves(true) {
		writeCommand(&b, leaf)
	}
	page := filepath.Join(docs, "reference", "commands.md")
	if os.Getenv("UPDATE_DOCS") != "" {
		if err := os.WriteFile(page, b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if readText(t, page) != b.String() {
		t.Errorf("%s is not what the program says: write it anew with UPDATE_DOCS=1 go test ./cmd/tutela -run TestCommandReference", page)
	}
}

func writeCommand(b *bytes.Buffer, leaf *kong.Node) {
	path := strings.TrimPrefix(leaf.FullPath(), "tutela ")
	fmt.Fprintf(b, "\n## tutela %s\n\n%s\n\n", path, leaf.Help)
	usage := "tutela " + path
	for _, f := range leaf.Flags {
		if f.Required {
			usage += " --" + f.Name + "=" + f.FormatPlaceHolder()
		}
	}
	for _, arg := range leaf.Positional {
		usage += " " + arg.Summary()
	}
	fmt.Fprintf(b, "    %s\n", usage)
	if len(leaf.Positional)+len(leaf.Flags) == 0 {
		return
	}
	b.WriteString("\n| argument | meaning |\n|---|---|\n")
	for _, arg := range leaf.Positional {
		fmt.Fprintf(b, "| `%s` | %s |\n", arg.Summary(), cell(arg.Help))
	}
	writeFlags(b, leaf.Flags)
}

func writeFlags(b *bytes.Buffer, flags []*kong.Flag) {
	for _, f := range flags {
		if f.Hidden {
			continue
		}
		name := "--" + f.Name
		if !f.IsBool() {
			name += "=" + f.FormatPlaceHolder()
		}
		if f.Short != 0 {
			name = "-" + string(f.Short) + ", " + name
		}
		help := f.Help
		if f.Required {
			help += " Required."
		}
		fmt.Fprintf(b, "| `%s` | %s |\n", strings.ReplaceAll(name, "|", `\|`), cell(help))
	}
}

func cell(help string) string { return strings.ReplaceAll(help, "|", `\|`) }

// TestReferenceIsComplete holds the tables of the reference against the words
// in the sources: what a program may meet must be explained.
func TestReferenceIsComplete(t *testing.T) {
	sources := readSources(t, ".")
	nouns := readSources(t, "../..")
	for _, c := range []struct {
		page    string
		source  string
		pattern string
	}{
		{"json.md", sources, "json:\"([a-z0-9_]+)[,\"]"},
		{"json.md", sources, `(?m)^\t}\{(?:Type: )?"([a-z-]+)"`},
		{"json.md", sources, `"message_type": "([a-z]+)"`},
		{"json.md", nouns, "json:\"([a-z0-9_]+)[,\"]"},
		{"json.md", nouns, `(?m)^\tEvent\w+ +EventKind = "([a-z-]+)"`},
		{"findings.md", nouns, `(?m)^\tFinding\w+ += "([a-z-]+)"`},
		{"exit-codes.md", sources, `(?m)^\texit\w+ += (\d+)`},
	} {
		page := readText(t, filepath.Join(docs, "reference", c.page))
		words := regexp.MustCompile(c.pattern).FindAllStringSubmatch(c.source, -1)
		if len(words) < 3 {
			t.Errorf("%s: %s finds %d words in the sources", c.page, c.pattern, len(words))
		}
		for _, word := range words {
			if word[1] != "message_type" && !strings.Contains(page, "`"+word[1]+"`") {
				t.Errorf("%s does not explain `%s`", c.page, word[1])
			}
		}
	}
}

// TestThreatsNameTests looks for each test that the page of threats names.
func TestThreatsNameTests(t *testing.T) {
	var tests strings.Builder
	err := filepath.WalkDir("../..", func(name string, d fs.DirEntry, err error) error {
		if strings.HasSuffix(name, "_test.go") {
			tests.WriteString(readText(t, name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range []string{"threats.md", "commit-point.md"} {
		for _, name := range regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`").FindAllStringSubmatch(readText(t, filepath.Join(docs, "explanation", page)), -1) {
			if !strings.Contains(tests.String(), "\nfunc "+name[1]+"(t *testing.T)") && !strings.Contains(tests.String(), "\nfunc "+name[1]+"(f *testing.F)") {
				t.Errorf("%s names %s, which is not there", page, name[1])
			}
		}
		for _, name := range regexp.MustCompile("`TestScripts/([a-z0-9-]+)`").FindAllStringSubmatch(readText(t, filepath.Join(docs, "explanation", page)), -1) {
			if _, err := os.Stat(filepath.Join("testdata", "script", name[1]+".txt")); err != nil {
				t.Errorf("%s names the script %s, which is not there", page, name[1])
			}
		}
	}
}

// TestLinks follows every link from one page to another.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	pages := []string{"../../README.md", "../../CHANGELOG.md", "../../CONTRIBUTING.md", "../../SECURITY.md"}
	err := filepath.WalkDir(docs, func(name string, d fs.DirEntry, err error) error {
		if strings.HasSuffix(name, ".md") {
			pages = append(pages, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		for _, to := range link.FindAllStringSubmatch(readText(t, page), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), to[1])); err != nil {
				t.Errorf("%s leads to %s, which is not there", page, to[1])
			}
		}
	}
}

func readSources(t *testing.T, dir string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, name := range names {
		if !strings.HasSuffix(name, "_test.go") {
			all.WriteString(readText(t, name))
		}
	}
	return all.String()
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(docs, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func readText(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
