package sqlite

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tutela"
	"tutela/internal/catalog"
)

// drawn makes record i of a disk as disks are: deep paths, three in four
// contents unique, a third of it pictures, few deleted, few findings.
func drawn(i int, rnd *rand.Rand) *tutela.Record {
	content := uint64(i)
	if i%4 == 3 {
		content = rnd.Uint64N(uint64(i))
	}
	seed := binary.LittleEndian.AppendUint64(nil, content)
	at := time.Unix(1_600_000_000+int64(i), 123_456_700).UTC()
	r := &tutela.Record{
		Volume: "2", Kind: tutela.File, State: tutela.Allocated, Size: int64(content % 1_000_000), Hashed: true, Type: "text/plain; charset=utf-8",
		Path:    fmt.Appendf(nil, "/Users/someone/Documents/Projects/%04d/%08x/file number %d.txt", i/1000, uint32(i)*2654435761, i),
		Chain:   []tutela.Locator{{Layer: "raw", At: "disk.dd"}, {Layer: "gpt", At: "2"}, {Layer: "ntfs", At: fmt.Sprint(i)}},
		Times:   tutela.Times{Modified: at, Accessed: at, Changed: at, Born: at},
		Digests: tutela.Digests{SHA256: sha256.Sum256(seed), SHA1: sha1.Sum(seed), MD5: md5.Sum(seed)},
	}
	if content%3 == 0 {
		r.Type = "image/jpeg"
		r.Picture = &tutela.Perceptual{PDQ: tutela.PDQ(sha256.Sum256(append(seed, 1))), Quality: 100, Width: 640, Height: 480, Decoder: "luma/1"}
	}
	if i%20 == 0 {
		r.State = tutela.Deleted
	}
	if i%50 == 0 {
		r.Findings = []tutela.Finding{{Code: tutela.FindingOverwritten, Detail: "3 of 7 clusters"}}
	}
	return r
}

// begun opens a catalogue in which the scan of one exhibit was started.
func begun(tb testing.TB, path string) (*Store, catalog.ScanID) {
	tb.Helper()
	s, err := Open(context.Background(), path)
	if err != nil {
		tb.Fatal(err)
	}
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	for i, e := range []struct {
		kind   tutela.EventKind
		detail any
	}{
		{tutela.EventCaseOpen, tutela.Case{Number: "2026-1", Title: "T"}},
		{tutela.EventSeize, tutela.Exhibit{Label: "7-B", Case: "2026-1"}},
		{tutela.EventScanStart, tutela.ScanStart{Exhibit: "7-B", Number: 1}},
	} {
		ev, err := tutela.NewEvent(e.kind, at, "examiner", e.detail)
		if err != nil {
			tb.Fatal(err)
		}
		if err := s.Apply(context.Background(), uint64(i), ev); err != nil {
			tb.Fatal(err)
		}
	}
	return s, catalog.ScanID{Exhibit: "7-B", Number: 1}
}

// BenchmarkLoad loads b.N records in batches as a scan does:
// go test -bench Load -benchtime 1000000x
func BenchmarkLoad(b *testing.B) {
	s, id := begun(b, filepath.Join(b.TempDir(), "catalog.sqlite"))
	defer s.Close()
	l, err := s.Loader(context.Background(), id)
	if err != nil {
		b.Fatal(err)
	}
	const batch = 16384
	rnd := rand.New(rand.NewPCG(1, 2))
	records := make([]*tutela.Record, 0, batch)
	b.ResetTimer()
	for i := 0; i < b.N; i += batch {
		b.StopTimer()
		records = records[:0]
		for j := i; j < min(i+batch, b.N); j++ {
			records = append(records, drawn(j, rnd))
		}
		b.StartTimer()
		for _, r := range records {
			if err := l.Add(l.Next(), r); err != nil {
				b.Fatal(err)
			}
		}
		if err := l.Commit(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkPage reads pages of 200 hits at random places of a catalogue of a
// million, as people turn pages, and tells the slowest of a hundred:
// go test -run - -bench Page -benchtime 1000x
func BenchmarkPage(b *testing.B) {
	const records = 1_000_000
	s, id := begun(b, filepath.Join(b.TempDir(), "catalog.sqlite"))
	defer s.Close()
	fill(b, s, id, records)
	for _, c := range []struct {
		name  string
		query catalog.Query
	}{
		{"all", catalog.Query{}},
		{"pictures", catalog.Query{MIME: "image/"}},
		{"deleted", catalog.Query{State: tutela.Deleted}},
		{"finding", catalog.Query{Finding: tutela.FindingOverwritten}},
		{"unmatched", catalog.Query{Match: catalog.MatchNone}},
		{"alerts", catalog.Query{Match: catalog.MatchAlert}},
		{"name", catalog.Query{Name: "*77?.txt"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			rnd := rand.New(rand.NewPCG(3, 4))
			took := make([]time.Duration, 0, b.N)
			for range b.N {
				q := c.query
				q.Exhibit, q.Limit, q.After = id.Exhibit, 200, &catalog.Cursor{ScanID: id, Leaf: rnd.Uint64N(records * 9 / 10)}
				began := time.Now()
				for _, err := range s.Find(context.Background(), q) {
					if err != nil {
						b.Fatal(err)
					}
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
		})
	}
}

// fill loads drawn records.
func fill(b *testing.B, s *Store, id catalog.ScanID, records int) {
	b.Helper()
	l, err := s.Loader(context.Background(), id)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range records {
		if err := l.Add(l.Next(), drawn(i, rnd)); err != nil {
			b.Fatal(err)
		}
		if i%16384 == 16383 || i == records-1 {
			if err := l.Commit(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
	}
}
