package main

import (
	"context"
	"crypto/sha256"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestLogNormalSharesOutTheTotal(t *testing.T) {
	sum, largest := 0, 0
	for _, size := range logNormal(3000, 2e9) {
		if size < 0 {
			t.Fatalf("a file of %d bytes", size)
		}
		sum += size
		largest = max(largest, size)
	}
	if sum > 2e9 || sum < 2e9-3000 { // every size is rounded down
		t.Errorf("the sizes sum up to %d", sum)
	}
	if mean := sum / 3000; largest < 10*mean || largest > 200*mean {
		t.Errorf("the largest file has %d bytes where the mean is %d: no log-normal draw", largest, mean)
	}
}

func TestMakeFilesIsTheSameEveryTime(t *testing.T) {
	var sums [2][32]byte
	for i := range sums {
		b := &bench{ctx: context.Background(), dir: t.TempDir()}
		d, err := b.makeFiles("x", []int{10, 0, 5000, 70_000, 3}, 2)
		if err != nil {
			t.Fatal(err)
		}
		files, bytes := 0, int64(0)
		h := sha256.New()
		filepath.WalkDir(d.dir, func(name string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			content, err := os.ReadFile(name)
			h.Write(content)
			files++
			bytes += int64(len(content))
			return err
		})
		if files != d.files || bytes != d.bytes || d.bytes != 75_013 {
			t.Fatalf("%d files of %d bytes, told as %+v", files, bytes, d)
		}
		sums[i] = [32]byte(h.Sum(nil))
	}
	if sums[0] != sums[1] {
		t.Error("two runs made different bytes")
	}
}
