package hashset

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"testing"

	"tutela"
)

var (
	exactRows = flag.Int("exact-rows", 200_000, "rows of the exact benchmarks")
	nearRows  = flag.Int("near-rows", 100_000, "rows of the near benchmarks")
	exactHas  = flag.Int("exact-has", hasExact, "digests of the exact benchmarks: 1 MD5, 2 SHA-1, 4 SHA-256")
	vicsRows  = flag.Int("vics-rows", 20_000, "records of the VICS benchmark")
)

// drawn is a Reader of n assertions made while it is read.
type drawn struct {
	n, at int
	has   uint8
	r     *rand.Rand
}

func draw(n int, has uint8) *drawn { return &drawn{n: n, has: has, r: rand.New(rand.NewPCG(7, 8))} }

func (d *drawn) Next() (tutela.Assertion, error) {
	if d.at == d.n {
		return tutela.Assertion{}, io.EOF
	}
	d.at++
	a := known(uint64(d.at), d.has, "1")
	if d.has&hasPDQ != 0 {
		h := randomPDQ(d.r)
		a.PDQ = &h
	}
	return a, nil
}

// benchSet compiles a set once for all runs of one benchmark.
func benchSet(b *testing.B, n int, has uint8) *Set {
	b.Helper()
	path := filepath.Join(b.TempDir(), "x.set")
	if _, _, err := Compile(context.Background(), path, meta("x", 1, tutela.Alert), draw(n, has), Work{}); err != nil {
		b.Fatal(err)
	}
	set, err := Open(path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { set.Close() })
	return set
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		path := filepath.Join(b.TempDir(), "x.set")
		if _, _, err := Compile(context.Background(), path, meta("x", 1, tutela.Alert), draw(*exactRows, uint8(*exactHas)), Work{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(*exactRows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkExact compiles one set and asks it everything.
func BenchmarkExact(b *testing.B) {
	set := benchSet(b, *exactRows, uint8(*exactHas))
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			s, err := Open(set.path)
			if err != nil {
				b.Fatal(err)
			}
			s.Close()
		}
		b.ReportMetric(float64(len(set.data))/float64(*exactRows), "B/row")
	})
	b.Run("miss", func(b *testing.B) {
		r := rand.New(rand.NewPCG(9, 10))
		var d tutela.Digests
		for b.Loop() {
			binary.LittleEndian.PutUint64(d.MD5[:], r.Uint64())
			binary.LittleEndian.PutUint64(d.SHA1[:], r.Uint64())
			binary.LittleEndian.PutUint64(d.SHA256[:], r.Uint64())
			if _, _, ok := set.Exact(d); ok {
				b.Fatal("a random digest is known")
			}
		}
	})
	var all []tutela.Digests
	for i := range 200_000 {
		all = append(all, content(uint64(i*7919%*exactRows)+1))
	}
	b.Run("hit", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if _, _, ok := set.Exact(all[i%len(all)]); !ok {
				b.Fatal("a known digest was missed")
			}
		}
	})
	b.Run("hits", func(b *testing.B) {
		found := 0
		began := processorTime()
		for i := 0; b.Loop(); i++ {
			at := i * 16384 % (len(all) - 16384)
			set.ExactAll(all[at:at+16384], func(int, uint64, tutela.MatchKind) { found++ })
		}
		if found != b.N*16384 {
			b.Fatal("a known digest was missed")
		}
		b.ReportMetric(float64(processorTime()-began)/float64(b.N)/16384, "cpu-ns/digest")
	})
	b.Run("misses", func(b *testing.B) {
		r := rand.New(rand.NewPCG(9, 10))
		others := make([]tutela.Digests, 200_000)
		for i := range others {
			d := &others[i]
			for _, p := range [][]byte{d.MD5[:], d.SHA1[:], d.SHA256[:]} {
				binary.LittleEndian.PutUint64(p, r.Uint64())
			}
		}
		began := processorTime()
		for i := 0; b.Loop(); i++ {
			at := i * 16384 % (len(others) - 16384)
			set.ExactAll(others[at:at+16384], func(int, uint64, tutela.MatchKind) { b.Fatal("a random digest is known") })
		}
		b.ReportMetric(float64(processorTime()-began)/float64(b.N)/16384, "cpu-ns/digest")
	})
	b.Run("values", func(b *testing.B) {
		values := make([]string, len(all))
		for i := range values {
			values[i] = all[i].MD5.String()
		}
		sets := NewSets(set)
		found := 0
		began := processorTime()
		for i := 0; b.Loop(); i++ {
			at := i * 16384 % (len(all) - 16384)
			if err := sets.LookupAll(values[at:at+16384], func(int, tutela.Match) { found++ }); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(processorTime()-began)/float64(b.N)/16384, "cpu-ns/digest")
	})
	b.Run("md5", func(b *testing.B) {
		found := 0
		for i := 0; b.Loop(); i++ {
			set.having(tutela.MatchMD5, all[i%len(all)].MD5[:], func(uint64) { found++ })
		}
		b.ReportMetric(float64(found)/float64(b.N), "hits/op")
	})
	if err := set.Damage(); err != nil {
		b.Fatal(err)
	}
}

func BenchmarkNear(b *testing.B) {
	set := benchSet(b, *nearRows, hasPDQ)
	r := rand.New(rand.NewPCG(11, 12))
	for b.Loop() {
		set.Near(randomPDQ(r), MaxRadius, func(uint64, int) { b.Fatal("a random hash is near") })
	}
}

func BenchmarkNearBatchOfOne(b *testing.B) {
	set := benchSet(b, *nearRows, hasPDQ)
	r := rand.New(rand.NewPCG(11, 12))
	for b.Loop() {
		set.layers[0].nearIndex().Batch([]tutela.PDQ{randomPDQ(r)}, MaxRadius, func(int, uint32, int) { b.Fatal("a random hash is near") })
	}
}

// BenchmarkMatchSmall is what an entry without any hit costs a scan.
func BenchmarkMatchSmall(b *testing.B) {
	sets := NewSets(benchSet(b, 1000, hasExact), benchSet(b, 500, hasExact|hasPDQ), benchSet(b, 10_000, hasMD5|hasSHA1))
	for name, r := range map[string]*tutela.Record{
		"file":    {Hashed: true, Digests: content(1 << 40)},
		"picture": {Hashed: true, Digests: content(1 << 40), Picture: &tutela.Perceptual{PDQ: pdqAt(0), Quality: 100}},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if sets.Match(0, r) != nil {
					b.Fatal("an unknown content is known")
				}
			}
		})
	}
}

// vicsText is a VICS list of n media, made while it is read.
type vicsText struct {
	n, at int
	rest  []byte
}

func (v *vicsText) Read(p []byte) (int, error) {
	if len(v.rest) == 0 && v.at > v.n {
		return 0, io.EOF
	}
	if len(v.rest) == 0 {
		v.rest = v.next()
		v.at++
	}
	n := copy(p, v.rest)
	v.rest = v.rest[n:]
	return n, nil
}

func (v *vicsText) next() []byte {
	if v.at == v.n {
		return append(v.rest, "]}"...)
	}
	comma := ","
	if v.at == 0 {
		comma = `{"@odata.context":"http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/US/$metadata#Media","value":[`
	}
	d := content(uint64(v.at))
	return fmt.Appendf(v.rest, `%s{"MediaID":%d,"Category":%d,"MD5":"%X","SHA1":"%X","MediaSize":%d,"MimeType":"image/jpeg",`+
		`"VictimIdentified":"false","OffenderIdentified":"false","IsDistributed":"true","Series":"SERIES %d","Tags":"","DateUpdated":"2026-01-02T03:04:05.0000000Z"}`,
		comma, v.at, v.at%5, d.MD5[:], d.SHA1[:], v.at, v.at%5000)
}

// BenchmarkImportVICS reports what the whole process ever took from the system,
// maps of files left out.
func BenchmarkImportVICS(b *testing.B) {
	for b.Loop() {
		r, err := NewReader(VICS, &vicsText{n: *vicsRows}, Options{})
		if err != nil {
			b.Fatal(err)
		}
		path := filepath.Join(b.TempDir(), "x.set")
		if _, report, err := Compile(context.Background(), path, meta("x", 1, tutela.Alert), r, Work{}); err != nil || report.Rows != int64(*vicsRows) {
			b.Fatal(report, err)
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.Sys)/(1<<20), "MiB-sys")
	b.ReportMetric(float64(*vicsRows)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
