package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"tutela/internal/robustness"
)

// robustnessPath is where the suite's own table stands in the documentation.
const robustnessPath = "docs/reference/robustness.md"

// survival is what the suite found, and its page.
type survival struct {
	Plain, All, Gain float64
	False            int
	Comparisons      int64
	Page             []byte
}

func (b *bench) robustness() error {
	var s survival
	if err := b.askIn(b.root, "robustness", b.scaled(1000), &s); err != nil {
		return err
	}
	for _, c := range []struct {
		what, ours, goal string
		met              bool
	}{
		{"altered copies that are found, mean of 28 alterations", fmt.Sprintf("%.1f %%, by plain PDQ %.1f %%: %.2f times as many", s.All, s.Plain, s.Gain), "≥ 1.5 times plain PDQ", s.Gain >= 1.5},
		{"unrelated pictures taken for copies", fmt.Sprintf("%d in %d comparisons", s.False, s.Comparisons), "0 in ≥ 1,000,000", s.False == 0 && s.Comparisons >= 1_000_000},
	} {
		b.out.rows = append(b.out.rows, row{what: c.what, ours: c.ours, goal: c.goal, verdict: judge(c.met)})
	}
	b.out.pages = append(b.out.pages, page{filepath.Join(b.root, robustnessPath), s.Page})
	return nil
}

// measureSurvival runs the suite of the module in root, or a part of it in
// thousandths.
func measureSurvival(ctx context.Context, root, share string) (any, error) {
	var o robustness.Options
	var thousandths int
	if _, err := fmt.Sscan(share, &thousandths); err != nil {
		return nil, err
	}
	if thousandths < 1000 {
		n := max(thousandths*100/1000, 2)
		o.Limit = robustness.Limit{Photographs: n, Drawings: n}
	}
	table, err := robustness.Run(ctx, o)
	if err != nil {
		return nil, err
	}
	old, err := os.ReadFile(filepath.Join(root, robustnessPath))
	if err != nil {
		return nil, err
	}
	text, err := table.Page(old)
	return survival{table.PlainMean(), table.Mean(), table.Gain(), len(table.False), table.Comparisons, text}, err
}
