package validation

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"tutela"
)

// The report is text that a person can read and another program can compare: one
// encoding, line feeds, no time of day. It must stay below 1 MiB.

// Text is the report.
func (r Result) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "tutela-validation@v1\n")
	for _, f := range [][2]string{
		{"version", r.Build.Version}, {"revision", r.revision()}, {"go", r.Build.Go},
		{"platform", r.Build.System + "/" + r.Build.Processor}, {"executable", r.Build.Executable.String()}, {"corpus", r.Corpus.String()},
	} {
		fmt.Fprintf(&b, "%s %s\n", f[0], f[1])
	}
	fmt.Fprintf(&b, "passed %d\nfailed %d\n", r.Passed, r.Failed)
	for _, c := range r.Cases {
		c.write(&b)
	}
	return b.String()
}

func (r Result) revision() string {
	switch {
	case r.Build.Revision == "":
		return "unknown"
	case r.Build.Modified:
		return r.Build.Revision + " modified"
	}
	return r.Build.Revision
}

func (c Case) write(b *strings.Builder) {
	verdict := "passed"
	if !c.OK {
		verdict = "FAILED"
	}
	fmt.Fprintf(b, "\n%s %s: %s\n  answer from  %s\n  expected     %s\n", verdict, c.Area, c.Name, c.Source, c.Expected)
	if !c.OK {
		fmt.Fprintf(b, "  got          %s\n", c.Got)
	}
}

// longest is how much of an answer a report shows, in bytes.
const longest = 200

// summary is an answer on one line. Answers of many rows are told by their number
// and digest.
func summary(answer string) string {
	if rows := strings.Count(answer, "\n"); rows > 0 {
		return fmt.Sprintf("%d rows, SHA-256 %x", rows, sha256.Sum256([]byte(answer)))
	}
	return oneLine(answer)
}

func oneLine(s string) string {
	s = tutela.DisplayPath([]byte(strings.ReplaceAll(s, "\t", " ")))
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + " …"
	}
	if s == "" {
		return "(nothing)"
	}
	return s
}

// difference is the first line in which two answers differ.
func difference(expected, got string) (string, string) {
	want, have := strings.Split(expected, "\n"), strings.Split(got, "\n")
	for i := range max(len(want), len(have)) {
		if a, b := at(want, i), at(have, i); a != b {
			return oneLine(a), oneLine(b)
		}
	}
	return summary(expected), summary(got)
}

func at(rows []string, i int) string {
	if i < len(rows) {
		return rows[i]
	}
	return ""
}
