package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tutela"
	"tutela/internal/catalog"
	"tutela/internal/pdq"
	"tutela/internal/picture"
	"tutela/internal/video"
)

// staged is a host whose pictures are what their names say: "fast exact", the
// distances of their two hashes from the known one.
type staged struct {
	here
	mu    sync.Mutex
	exact int // how often the exact hash was asked for
}

// png is what makes a content a picture.
const png = "\x89PNG\r\n\x1a\n"

// ones is a hash of so many ones; the known one has none.
func ones(n int) (h tutela.PDQ) {
	for i := range n {
		h[i/8] |= 1 << (i % 8)
	}
	return h
}

func distance(h tutela.PDQ) (n int) {
	for _, b := range h {
		n += bits.OnesCount8(b)
	}
	return n
}

func (s *staged) Look(_ context.Context, data []byte, ask picture.Ask) (picture.View, error) {
	var fast, exact int
	if _, err := fmt.Sscanf(strings.TrimPrefix(string(data), png), "%d %d", &fast, &exact); err != nil {
		return picture.View{}, err
	}
	if !ask.Exact {
		return picture.View{Thumbnail: []byte("thumb"), Perceptual: tutela.Perceptual{PDQ: ones(fast), Quality: 100, Decoder: "fast", Scale: 8}}, nil
	}
	s.mu.Lock()
	s.exact++
	s.mu.Unlock()
	if exact < 0 {
		return picture.View{}, errors.New("not this time")
	}
	return picture.View{Perceptual: tutela.Perceptual{PDQ: ones(exact), Quality: 100, Decoder: "exact"}}, nil
}

// plainSets matches as promised: a quick hash within 31 bits and a margin.
type plainSets struct{ Matcher }

func (plainSets) Versions() []tutela.SetVersion {
	return []tutela.SetVersion{{Name: "s", Version: 1, Status: tutela.Alert}}
}

func (plainSets) Damage() error { return nil }

func (plainSets) Match(leaf uint64, r *tutela.Record) []tutela.Match {
	if r.Picture == nil {
		return nil
	}
	d := distance(r.Picture.PDQ)
	if d > pdq.MaxRadius+pdq.Margin(r.Picture.Scale) {
		return nil
	}
	return []tutela.Match{{Leaf: leaf, Set: "s", Version: 1, Status: tutela.Alert, Kind: tutela.MatchPDQ, Distance: d, Decoder: r.Picture.Decoder, Scale: r.Picture.Scale}}
}

// kept is a store of thumbnails in memory.
type kept struct{ sync.Map }

func (k *kept) Has(sum tutela.SHA256) bool { _, ok := k.Load(sum); return ok }
func (k *kept) Put(sum tutela.SHA256, jpeg []byte) error {
	k.Store(sum, string(jpeg))
	return nil
}
func (k *kept) Sync() error { return nil }

// A match that is reported rests on the exact hash, whatever the quick one was;
// where that cannot be made, the match stands and is not confirmed. The records
// hold the quick ones, so that they do not depend on the sets of the day.
func TestMatchesAreConfirmed(t *testing.T) {
	b := newBench(t)
	b.allow("W", 1<<40)
	dir := t.TempDir()
	for _, name := range []string{"33 29", "29 33", "10 12", "20 -1", "60 10"} {
		check(t, os.WriteFile(filepath.Join(dir, name), []byte(png+name), 0o600))
		check(t, os.WriteFile(filepath.Join(dir, name+" again"), []byte(png+name), 0o600))
	}
	host, thumbs := new(staged), new(kept)
	sum, err := b.run(t.Context(), surveyed(t, dir), func(j *Job) { j.Host, j.Sets, j.Thumbs, j.Profile = host, plainSets{}, thumbs, Standard })
	check(t, err)
	got := map[string]string{}
	for hit, err := range b.lab.Catalog.Find(t.Context(), catalog.Query{}) {
		check(t, err)
		if p := hit.Record.Picture; p == nil || p.Scale != 8 || p.Decoder != "fast" {
			t.Errorf("%s: the record's picture is %+v", hit.Record.DisplayPath(), p)
		}
		if !thumbs.Has(hit.Record.Digests.SHA256) {
			t.Errorf("%s: no thumbnail", hit.Record.DisplayPath())
		}
		got[hit.Record.DisplayPath()] = ""
		for _, m := range hit.Matches {
			got[hit.Record.DisplayPath()] += fmt.Sprintf("%s %d at scale %d", m.Decoder, m.Distance, m.Scale)
		}
	}
	for name, want := range map[string]string{
		"33 29": "exact 29 at scale 0", "29 33": "", "10 12": "exact 12 at scale 0", "20 -1": "fast 20 at scale 8", "60 10": "",
	} {
		for _, path := range []string{"/" + name, "/" + name + " again"} {
			if got[path] != want {
				t.Errorf("%s: matched as %q, want %q", path, got[path], want)
			}
		}
	}
	if sum.Alerts != 6 || sum.NotKept != nil {
		t.Errorf("summary: %d alerts, thumbnails: %v", sum.Alerts, sum.NotKept)
	}
	if host.exact != 8 {
		t.Errorf("%d exact hashes were made for 4 pictures that lay near, each twice", host.exact)
	}
	b.verified()
}

// What was recorded and not matched before a scan was interrupted is matched
// without the evidence, and said to be not confirmed; so is a rematch.
func TestRematchIsNotConfirmed(t *testing.T) {
	b := newBench(t)
	b.allow("W", 1<<40)
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "p"), []byte(png+"33 29"), 0o600))
	none := func(j *Job) { j.Host, j.Profile = new(staged), Standard }
	_, err := b.run(t.Context(), surveyed(t, dir), none)
	check(t, err)
	j := b.job(nil)
	j.Sets = plainSets{}
	_, err = Rematch(t.Context(), b.grant(tutela.ActionRematch, ""), j)
	check(t, err)
	for hit, err := range b.lab.Catalog.Find(t.Context(), catalog.Query{}) {
		check(t, err)
		if len(hit.Matches) != 1 || hit.Matches[0].Scale != 8 || hit.Matches[0].Distance != 33 {
			t.Errorf("rematched as %+v", hit.Matches)
		}
	}
}

func (s *staged) Video(context.Context, io.ReaderAt, int64) (video.View, error) {
	return video.View{
		Video: tutela.Video{Container: "mp4", Codec: "avc1", Frames: []tutela.Frame{{PDQ: ones(3), Quality: 90}}}, Strip: []byte("strip"),
		Findings: []tutela.Finding{{Code: tutela.FindingTruncated, Detail: "cut"}},
	}, nil
}

// A video's frames and findings are recorded, also inside an archive.
func TestVideosAreWatched(t *testing.T) {
	b := newBench(t)
	b.allow("W", 1<<40)
	dir := t.TempDir()
	clip := []byte("\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + strings.Repeat("x", 500))
	check(t, os.WriteFile(filepath.Join(dir, "a.mp4"), clip, 0o600))
	check(t, os.WriteFile(filepath.Join(dir, "b.zip"), zipOf(t, 1, func(int) []byte { return clip }), 0o600))
	thumbs := new(kept)
	_, err := b.run(t.Context(), surveyed(t, dir), func(j *Job) { j.Host, j.Thumbs, j.Profile = new(staged), thumbs, Standard })
	check(t, err)
	watched := 0
	for hit, err := range b.lab.Catalog.Find(t.Context(), catalog.Query{MIME: "video/"}) {
		check(t, err)
		watched++
		r := hit.Record
		if r.Video == nil || len(r.Video.Frames) != 1 || len(r.Findings) != 1 || !thumbs.Has(r.Digests.SHA256) {
			t.Errorf("%s: %+v, %v", r.DisplayPath(), r.Video, r.Findings)
		}
	}
	if watched != 2 {
		t.Errorf("%d videos", watched)
	}
}
