package scan

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"tutela"
	"tutela/internal/catalog"
	"tutela/internal/picture"
)

// placing is a staged host whose pictures have features: their bytes. Those whose
// name says plain have an exact hash at once, those that it calls small are.
type placing struct {
	staged
	asked atomic.Int64 // how often for features
}

func (p *placing) Look(ctx context.Context, data []byte, ask picture.Ask) (picture.View, error) {
	v, err := p.staged.Look(ctx, data, ask)
	name := strings.TrimPrefix(string(data), png)
	if strings.Contains(name, "plain") {
		v.Perceptual.Scale = 0
	}
	if v.Perceptual.Width, v.Perceptual.Height = 640, 480; strings.Contains(name, "small") {
		v.Perceptual.Height = 20
	}
	if ask.Features {
		p.asked.Add(1)
		v.Features = []byte(name)
	}
	return v, err
}

// placingSets know, by places, whatever features say cut.
type placingSets struct{ plainSets }

func (placingSets) Features() bool { return true }

func (placingSets) Places(leaf uint64, features []byte, decoder string) []tutela.Match {
	if !strings.Contains(string(features), "cut") {
		return nil
	}
	m := tutela.Match{Leaf: leaf, Set: "s", Version: 1, Status: tutela.Alert, Kind: tutela.MatchFeature, Row: 3, Variant: "12 places agree", Decoder: decoder, QueryShare: 40}
	n := m
	n.Row = 9
	return []tutela.Match{m, n}
}

// What nothing else knows is looked up by places, each record of a content gets
// the matches with its own leaf, and every run gives the same.
func TestMatchesByPlaces(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"60 60 cut", "60 60 plain cut", "33 40 cut", "10 12 cut", "10 10 plain cut", "20 -1 cut", "60 60 small cut", "60 60"} {
		check(t, os.WriteFile(filepath.Join(dir, name), []byte(png+name), 0o600))
		check(t, os.WriteFile(filepath.Join(dir, name+" again"), []byte(png+name), 0o600))
	}
	by := "feature 3 by fast, feature 9 by fast, "
	want := map[string]string{
		"60 60 cut": by, "60 60 plain cut": by, "33 40 cut": by, "10 12 cut": "pdq 0 by exact, ", "10 10 plain cut": "pdq 0 by fast, ",
		"20 -1 cut": "pdq 0 by fast, ", "60 60 small cut": "", "60 60": "",
	}
	for _, workers := range []int{1, 4} {
		b := newBench(t)
		b.allow("W", 1<<40)
		host := new(placing)
		_, err := b.run(t.Context(), surveyed(t, dir), func(j *Job) {
			j.Host, j.Sets, j.Profile, j.Workers = host, placingSets{}, Standard, workers
		})
		check(t, err)
		seen := 0
		for hit, err := range b.lab.Catalog.Find(t.Context(), catalog.Query{}) {
			check(t, err)
			name := strings.TrimSuffix(strings.TrimPrefix(hit.Record.DisplayPath(), "/"), " again")
			expected, ok := want[name]
			if !ok {
				continue
			}
			seen++
			got := ""
			for _, m := range hit.Matches {
				got += fmt.Sprintf("%s %d by %s, ", m.Kind, m.Row, m.Decoder)
				if m.Leaf != hit.Leaf {
					t.Errorf("%s: leaf %d of a match of leaf %d", name, hit.Leaf, m.Leaf)
				}
			}
			if got != expected {
				t.Errorf("%d workers, %s: matched as %q, want %q", workers, name, got, expected)
			}
		}
		if n := host.asked.Load(); seen != 2*len(want) || n != 8 {
			t.Errorf("%d records, asked for features %d times", seen, n)
		}
		b.verified()
	}
}
