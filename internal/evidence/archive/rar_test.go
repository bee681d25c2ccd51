package archive_test

import (
	"slices"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"
	"tutela/internal/evidencetest"
)

// There is no free program that writes RAR; these are written by the tests.
func TestRAR(t *testing.T) {
	files := []file{{"folder\\one.txt", "the first content"}, {"two", "the second content"}, {"empty", ""}}
	slashed := []file{{"folder/one.txt", "the first content"}, {"zwei ü", "the second content"}}
	var b strings.Builder
	for _, tc := range []struct {
		name    string
		content []byte
	}{
		{"rar4", rar4File(0, 0, files...)},
		{"rar4-solid", rar4File(8, 0x10, files...)},
		{"rar4-locked", rar4File(0, 4, files...)},
		{"rar4-locked-list", rar4File(0x80, 0, files...)},
		{"rar4-part", rar4File(1, 2, files[0])},
		{"rar5", rar5File(0, 0, 0, slashed...)},
		{"rar5-solid", rar5File(4, 0, 0x40, slashed...)},
		{"rar5-begins-before", rar5File(1, 8, 0, slashed[0])},
		{"rar5-not-what-it-says", rar5File(0, 0, 3<<7, slashed...)}, // not compressed so
		{"rar5-dictionary", rar5File(0, 0, 1|3<<7|15<<10, slashed[0])},
		{"rar5-version", rar5File(0, 0, 2|3<<7, slashed[0])},
		{"rar5-cut", rar5File(0, 0, 0, slashed...)[:70]},
	} {
		b.WriteString(list(t, tc.name+".rar", tc.content, evidence.Limits{}))
	}
	evidencetest.GoldenText(t, "rar", b.String())
}

func TestRARDamageIsFound(t *testing.T) {
	for name, whole := range map[string][]byte{
		"rar4": rar4File(0, 0, file{"one", "the first content"}, file{"two", "2"}),
		"rar5": rar5File(0, 0, 0, file{"one", "the first content"}, file{"two", "2"}),
	} {
		changed := slices.Clone(whole)
		changed[strings.Index(string(changed), "first")] ^= 1
		got := expand(t, changed, evidence.Limits{})
		if got.findings["read: "+tutela.FindingDamaged] != 1 || len(got.paths) != 2 {
			t.Errorf("%s, content: %q, findings %v", name, got.paths, got.findings)
		}
		header := slices.Clone(whole)
		header[strings.LastIndex(string(header), "two")] ^= 1
		got = expand(t, header, evidence.Limits{})
		if got.findings[tutela.FindingDamaged] != 1 || !slices.Contains(got.paths, "/r!/one") {
			t.Errorf("%s, header: %q, findings %v", name, got.paths, got.findings)
		}
	}
}
