package icse

import (
	"io"
	"os"
	"strings"
	"testing"

	"tutela"
)

func sample(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("../testdata/icse_export.csv")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSample(t *testing.T) {
	r, err := NewReader(strings.NewReader(sample(t)), "")
	if err != nil {
		t.Fatal(err)
	}
	a, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	want := tutela.Category{Scheme: "interpol-baseline", Code: "1"}
	if a.MD5.String() != "728ee0a8939199ca5b0e8d16fe171dba" || a.SHA1 == nil || a.Category != want || a.Series != "SYNTHETIC SERIES A" {
		t.Errorf("read %+v", a)
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("error %v after the last row, want io.EOF", err)
	}
}

func TestBaselineZeroIsNoCategory(t *testing.T) {
	r, err := NewReader(strings.NewReader("MD5;SHA1;Baseline\n728ee0a8939199ca5b0e8d16fe171dba;;0\n"), "")
	if err != nil {
		t.Fatal(err)
	}
	a, err := r.Next()
	if err != nil || a.Category != (tutela.Category{}) {
		t.Errorf("category %v, error %v", a.Category, err)
	}
}

func TestColumnsAreRequired(t *testing.T) {
	if _, err := NewReader(strings.NewReader("MD5;SHA1\n"), ""); err == nil {
		t.Error("a table without Baseline was taken for an ICSE export")
	}
}

func FuzzReader(f *testing.F) {
	f.Add(sample(f))
	f.Fuzz(func(t *testing.T, text string) {
		r, err := NewReader(strings.NewReader(text), "")
		for err == nil {
			var a tutela.Assertion
			if a, err = r.Next(); err == nil && a.Category.Code == "0" {
				t.Fatal("baseline 0 became a category")
			}
		}
	})
}
