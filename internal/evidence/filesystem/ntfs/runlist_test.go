package ntfs

import (
	"math"
	"slices"
	"testing"
)

var small = geometry{sector: 512, cluster: 4096, sectors: 8 * 1000}

func TestRuns(t *testing.T) {
	for name, c := range map[string]struct {
		b    []byte
		want []extent
		ok   bool
	}{
		"empty":            {[]byte{0}, nil, true},
		"one":              {[]byte{0x21, 5, 0x20, 1, 0}, []extent{{0, 0x120, 5}}, true},
		"back":             {[]byte{0x11, 2, 100, 0x11, 3, 0x9c, 0}, []extent{{0, 100, 2}, {2, 0, 3}}, true},
		"sparse between":   {[]byte{0x11, 2, 50, 0x01, 9, 0x11, 1, 10, 0}, []extent{{0, 50, 2}, {2, sparse, 9}, {11, 60, 1}}, true},
		"sparse of NT 4":   {[]byte{0x11, 2, 0xff, 0}, []extent{{0, sparse, 2}}, true},
		"last cluster":     {[]byte{0x21, 1, 0xe7, 3, 0}, []extent{{0, 999, 1}}, true},
		"behind the last":  {[]byte{0x21, 2, 0xe7, 3, 0}, nil, false},
		"before cluster 0": {[]byte{0x11, 2, 5, 0x11, 2, 0xf0, 0}, []extent{{0, 5, 2}}, false},
		"no end":           {[]byte{0x11, 2, 5}, []extent{{0, 5, 2}}, false},
		"cut off":          {[]byte{0x41, 2, 5}, nil, false},
		"length 0":         {[]byte{0x11, 0, 5, 0}, nil, false},
		"length below 0":   {[]byte{0x11, 0x80, 5, 0}, nil, false},
		"no length":        {[]byte{0x10, 5, 0}, nil, false},
		"nine bytes":       {[]byte{0x19, 1, 2, 3, 4, 5, 6, 7, 8, 9, 5, 0}, nil, false},
		"endless sparse":   {[]byte{0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0}, nil, false},
	} {
		got, err := decodeRuns(nil, c.b, 0, small)
		if !slices.Equal(got, c.want) || (err == nil) != c.ok {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func FuzzRunList(f *testing.F) {
	f.Add([]byte{0x21, 5, 0x20, 1, 0x01, 9, 0}, int64(0))
	f.Add([]byte{0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0}, int64(5))
	f.Fuzz(func(t *testing.T, b []byte, vcn int64) {
		if vcn < 0 {
			return
		}
		runs, _ := decodeRuns(nil, b, vcn, small)
		if len(runs) > len(b)/2 {
			t.Fatalf("%d runs from %d bytes", len(runs), len(b))
		}
		for _, e := range runs {
			if e.vcn != vcn || e.length <= 0 || e.end() > math.MaxInt64/small.cluster {
				t.Fatalf("%v after cluster %d", e, vcn)
			}
			if e.lcn < sparse || e.lcn+e.length > small.clusters() && e.mapped() {
				t.Fatalf("%v on a volume of %d clusters", e, small.clusters())
			}
			vcn = e.end()
		}
	})
}
