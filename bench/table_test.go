package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is printed into a README comes between its marks and nowhere else, and
// what it says is what the page says.
func TestReadmeKeepsWhatIsAroundTheTable(t *testing.T) {
	name := filepath.Join(t.TempDir(), "README.md")
	if err := os.WriteFile(name, []byte("before\n"+readmeBegin+"old\n"+readmeEnd+"after\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	results := &table{scale: 1, rounds: 3, rows: []row{{what: "a row", ours: "1 s"}}, notes: []string{"a note"}}
	if err := results.writeReadme(name); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	got := string(text)
	if !strings.HasPrefix(got, "before\n"+readmeBegin+"| What |") || !strings.HasSuffix(got, readmeEnd+"after\n") ||
		!strings.Contains(got, "| a row | 1 s |") || !strings.Contains(got, "- a note\n") || strings.Contains(got, "old") {
		t.Errorf("wrote\n%s", got)
	}
	if err := os.WriteFile(name, []byte("no marks"), 0o600); err != nil {
		t.Fatal(err)
	}
	if results.writeReadme(name) == nil {
		t.Error("a README without marks was written to")
	}
}

// The README and the page show one and the same run.
func TestReadmeShowsThePage(t *testing.T) {
	readme, page := readDoc(t, readmePath), readDoc(t, pagePath)
	_, block, _ := strings.Cut(readme, readmeBegin)
	block, _, _ = strings.Cut(block, readmeEnd)
	shown, _, _ := strings.Cut(page, "\n## What each process took")
	lines := 0
	for line := range strings.Lines(shown) {
		if strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "- ") {
			lines++
			if !strings.Contains(block, line) {
				t.Errorf("the README does not show %q", line)
			}
		}
	}
	if lines < 10 {
		t.Errorf("only %d lines of the page were found", lines)
	}
}

func readDoc(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
