package image

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"tutela/internal/evidence"
)

// Parts of a split image share everything before the last dot. What follows it
// counts: digits from 0 or 1 on (.000, .001; after .999 comes .1000), or
// letters as split(1) writes them (.aa, .ab … .zz; GNU split lets .zaaa follow
// .yz so that names stay sorted).

// maxParts bounds how many files one image may open.
const maxParts = 1 << 16

// Named reports whether the name of path alone says that it is an image: a
// usual extension, the first number of a split image, or the .aa of one that has
// a second part. It opens nothing.
func Named(path string) bool {
	if usual(path) {
		return true
	}
	stem, suffix := cut(path)
	return isFirst(suffix) && (isNumber(suffix) || exists(stem+successor(suffix)))
}

func usual(path string) bool {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".dd", ".raw", ".img", ".image", ".iso", ".bin",
		".dmg", ".e01", ".s01", ".ex01", ".l01", ".vmdk", ".vhd", ".vhdx", ".avhd", ".avhdx", ".qcow", ".qcow2", ".vdi", ".hds", ".hdd", ".aff":
		return true
	}
	return false
}

// parts lists the files of the image whose first file is name.
func parts(st evidence.Storage, name string) ([]string, error) {
	stem, suffix := cut(name)
	if suffix == "" {
		return []string{name}, nil
	}
	present, err := siblings(st, stem, isNumber(suffix))
	if err != nil {
		return nil, err
	}
	if first, ok := firstOf(suffix, present); !ok {
		return []string{name}, nil
	} else if first != suffix {
		return nil, fmt.Errorf("it is a part of the split image that begins with %s", stem+first)
	}
	return sequence(stem, suffix, present)
}

// cut splits path before the characters that count parts; suffix is "" if there
// are none.
func cut(path string) (stem, suffix string) {
	ext := filepath.Ext(path)
	if len(ext) < 2 || ext == filepath.Base(path) || usual(path) {
		return path, ""
	}
	stem, suffix = strings.TrimSuffix(path, ext[1:]), ext[1:]
	if n := len(suffix); n <= 8 && (isNumber(suffix) && n >= 3 || isLetters(suffix) && n >= 2) {
		return stem, suffix
	}
	return path, ""
}

func isNumber(s string) bool  { return s != "" && strings.Trim(s, "0123456789") == "" }
func isLetters(s string) bool { return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") == "" }

// isFirst reports whether a split image may begin with the suffix.
func isFirst(suffix string) bool {
	if isNumber(suffix) {
		return len(suffix) >= 3 && strings.Trim(suffix[:len(suffix)-1], "0") == "" && suffix[len(suffix)-1] <= '1'
	}
	return isLetters(suffix) && strings.Trim(suffix, "a") == ""
}

// siblings lists the suffixes of the files that could be parts beside stem.
func siblings(st evidence.Storage, stem string, numbers bool) (map[string]bool, error) {
	names, err := st.Names()
	if err != nil {
		return nil, fmt.Errorf("look for the other parts: %w", err)
	}
	present := make(map[string]bool)
	for _, name := range names {
		suffix, ok := strings.CutPrefix(name, stem)
		if ok && (numbers && isNumber(suffix) || !numbers && isLetters(suffix)) {
			present[suffix] = true
		}
	}
	return present, nil
}

// firstOf finds the suffix that the sequence of suffix begins with. A lone
// number, and letters such as .iso or .bin, are in no sequence.
func firstOf(suffix string, present map[string]bool) (string, bool) {
	candidates := []string{strings.Repeat("a", len(suffix))}
	if isNumber(suffix) {
		zeros := strings.Repeat("0", len(suffix)-1)
		candidates = []string{zeros + "0", zeros + "1"}
		if len(suffix) > 3 { // .1000 belongs to .001 if that is there
			candidates = append(candidates, "000", "001")
		}
	}
	for _, first := range candidates {
		if present[first] && (first == suffix || present[successor(first)]) {
			return first, true
		}
	}
	return "", false
}

// sequence lists the parts from first on and refuses a sequence with a hole.
func sequence(stem, first string, present map[string]bool) ([]string, error) {
	last := lastOf(first, present)
	var names []string
	for suffix := first; ; suffix = next(suffix, present) {
		if !present[suffix] {
			return nil, fmt.Errorf("part %s of the split image is missing: %w", stem+suffix, fs.ErrNotExist)
		}
		if len(names) == maxParts {
			return nil, fmt.Errorf("more than %d parts", maxParts)
		}
		names = append(names, stem+suffix)
		if suffix == last {
			return names, nil
		}
	}
}

// lastOf is the last suffix that belongs to the sequence from first on. Not
// every file beside the first is a part of it (disk.gz beside disk.aa,
// disk.2023 beside disk.001), so holes are believed only up to a bound that
// grows with the number of files that are there.
func lastOf(first string, present map[string]bool) string {
	reach := 2*len(present) + 26
	if isNumber(first) {
		reach += 1000
	}
	last := first
	for suffix := first; reach > 0; reach-- {
		if suffix = next(suffix, present); present[suffix] {
			last = suffix
		}
	}
	return last
}

// next is the suffix after suffix, following GNU split where its files are there.
func next(suffix string, present map[string]bool) string {
	plain := successor(suffix)
	if isNumber(suffix) || present[plain] || strings.Trim(plain[1:], "a") != "" {
		return plain
	}
	if longer := plain + "aa"; plain[0] == 'z' && present[longer] {
		return longer
	}
	return plain
}

// successor counts on by one: 009 → 010, 999 → 1000, az → ba.
func successor(suffix string) string {
	if isNumber(suffix) {
		n, _ := strconv.Atoi(suffix)
		return fmt.Sprintf("%0*d", len(suffix), n+1)
	}
	s := []byte(suffix)
	for i := range slices.Backward(s) {
		if s[i] != 'z' {
			s[i]++
			return string(s)
		}
		s[i] = 'a'
	}
	return "a" + string(s)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
