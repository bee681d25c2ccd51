package main

import (
	"fmt"
	"math"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// bundleGoal is a benchmark of package verify, and what its figures must not exceed.
type bundleGoal struct {
	benchmark, what string
	most            []figure
}

// figure is one number that a benchmark prints beside its unit.
type figure struct {
	unit string
	most float64 // 0 where nothing is asked
}

// bundleGoals are bundles of an exhibit of 10⁹ records in a log of 10⁶ entries,
// which the package's tests make up: of what lies beside the paths nobody sees
// more than hashes. The bytes are of everything but verify.py, time-stamps and papers.
var bundleGoals = []bundleGoal{
	{"BenchmarkOneOfABillion", "bundle of one record of 1,000,000,000, verified", []figure{{"ns/op", 5e6}, {"bundle-bytes", 20_000}}},
	{"BenchmarkOneOfABillionByScript", "the same by verify.py", []figure{{"ns/op", 1e9}}},
	{"BenchmarkManyOfABillion", "bundle of 10,000 records of 1,000,000,000, verified", []figure{{"ns/op", 0}, {"proof-bytes", 5.2e6}}},
	{"BenchmarkManyOfABillionByScript", "the same by verify.py", []figure{{"ns/op", 0}}},
}

// bundles measures what a court does.
func (b *bench) bundles() error {
	for _, g := range bundleGoals {
		measured, err := measureBundle(g.benchmark)
		if err != nil {
			return err
		}
		b.out.rows = append(b.out.rows, g.row(measured))
	}
	return nil
}

func (g bundleGoal) row(measured map[string]float64) row {
	var ours, goals []string
	held := true
	for _, f := range g.most {
		ours = append(ours, f.say(measured[f.unit]))
		if f.most > 0 {
			goals = append(goals, "≤ "+f.say(f.most))
			held = held && measured[f.unit] <= f.most
		}
	}
	r := row{what: g.what, ours: strings.Join(ours, ", "), goal: strings.Join(goals, ", ")}
	if goals != nil {
		r.verdict = judge(held)
	}
	return r
}

// say is a value of the figure for people.
func (f figure) say(v float64) string {
	switch f.unit {
	case "ns/op":
		return strconv.FormatFloat(math.Round(v/1e4)/100, 'f', -1, 64) + " ms"
	case "proof-bytes":
		return fmt.Sprintf("%.1f MB of proof", v/1e6)
	}
	return fmt.Sprintf("%.1f KB", v/1e3)
}

var benchmarkFigure = regexp.MustCompile(`([0-9.]+) (\S+)`)

// measureBundle runs a benchmark and reads its figures, by their units.
func measureBundle(benchmark string) (map[string]float64, error) {
	out, err := exec.Command("go", "test", "./verify", "-run", "^$", "-bench", "^"+benchmark+"$").CombinedOutput()
	measured := map[string]float64{}
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, benchmark) {
			continue
		}
		for _, m := range benchmarkFigure.FindAllStringSubmatch(line, -1) {
			measured[m[2]], _ = strconv.ParseFloat(m[1], 64) // the expression leaves nothing to refuse
		}
	}
	if err != nil || measured["ns/op"] == 0 {
		return nil, fmt.Errorf("%s: %v: %s", benchmark, err, out)
	}
	return measured, nil
}
