package main

import (
	"fmt"
	"math"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// benchmark is one of a package, with what its figures must not exceed.
type benchmark struct {
	pkg, name, what string
	most            []figure
}

// figure is one number that a benchmark prints beside its unit.
type figure struct {
	unit string
	most float64 // 0 where nothing is asked
}

// courtGoals are what a court meets, and what it orders: bundles of an exhibit of
// 10⁹ records in a log of 10⁶ entries, and the erasing of records of one. The
// packages' tests make them up: of what lies beside the paths nobody sees more than
// hashes. The bytes are of everything but verify.py, time-stamps and papers.
var courtGoals = []benchmark{
	{"./verify", "BenchmarkOneOfABillion", "bundle of one record of 1,000,000,000, verified", []figure{{"ns/op", 5e6}, {"bundle-bytes", 20_000}}},
	{"./verify", "BenchmarkOneOfABillionByScript", "the same by verify.py", []figure{{"ns/op", 1e9}}},
	{"./verify", "BenchmarkManyOfABillion", "bundle of 10,000 records of 1,000,000,000, verified", []figure{{"ns/op", 0}, {"proof-bytes", 5.2e6}}},
	{"./verify", "BenchmarkManyOfABillionByScript", "the same by verify.py", []figure{{"ns/op", 0}}},
	{"./internal/ledger", "BenchmarkErase10000Of1e9", "10,000 of 1,000,000,000 leaves erased from their seed", []figure{{"ns/op", 1e9}, {"B/erased", 700}}},
}

// court measures what a court waits for.
func (b *bench) court() error {
	for _, g := range courtGoals {
		measured, err := g.measure()
		if err != nil {
			return err
		}
		b.out.rows = append(b.out.rows, g.row(measured))
	}
	return nil
}

func (g benchmark) row(measured map[string]float64) row {
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
	case "B/erased":
		return fmt.Sprintf("%.0f bytes each", v)
	}
	return fmt.Sprintf("%.1f KB", v/1e3)
}

var benchmarkFigure = regexp.MustCompile(`([0-9.]+) (\S+)`)

// measure runs the benchmark and reads its figures, by their units.
func (g benchmark) measure() (map[string]float64, error) {
	out, err := exec.Command("go", "test", g.pkg, "-run", "^$", "-bench", "^"+g.name+"$").CombinedOutput()
	measured := map[string]float64{}
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, g.name) {
			continue
		}
		for _, m := range benchmarkFigure.FindAllStringSubmatch(line, -1) {
			measured[m[2]], _ = strconv.ParseFloat(m[1], 64) // the expression leaves nothing to refuse
		}
	}
	if err != nil || measured["ns/op"] == 0 {
		return nil, fmt.Errorf("%s: %v: %s", g.name, err, out)
	}
	return measured, nil
}
