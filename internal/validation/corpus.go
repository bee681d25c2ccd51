package validation

import (
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"github.com/klauspost/compress/zstd"

	"tutela"
)

// corpus is what is asked about, and tables of answers. corpus/README.md says where
// each file is from.
//
//go:embed corpus
var corpus embed.FS

// largest bounds a file of the corpus once it is unpacked, in bytes.
const largest = 128 << 20

// packed ends the names of files that are packed.
const packed = ".zst"

// file is a file of the corpus; one that ends in .zst is unpacked.
func file(name string) ([]byte, error) {
	b, err := corpus.ReadFile("corpus/" + name)
	if err != nil || !strings.HasSuffix(name, packed) {
		return b, err
	}
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(largest))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	if b, err = d.DecodeAll(b, nil); err != nil {
		return nil, fmt.Errorf("unpack %s: %w", name, err)
	}
	return b, nil
}

// table is a file of the corpus with the same number of columns in every row, with
// tabs between. Rows that begin with # are for people.
func table(name string, columns int) (rows [][]string, err error) {
	text, err := file(name)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") {
			continue
		}
		row := strings.Split(line, "\t")
		if len(row) != columns {
			return nil, fmt.Errorf("%s: %d columns, not %d: %q", name, len(row), columns, line)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// questions are all of them, in their order.
func questions() (all []question, err error) {
	for _, area := range []func() ([]question, error){digests, pictures, containers, filesystems, archives, lookups, trees, notes, whole} {
		some, err := area()
		if err != nil {
			return nil, fmt.Errorf("read the corpus: %w", err)
		}
		all = append(all, some...)
	}
	return all, nil
}

// corpusDigest names a corpus: what is asked, about what, and what is right.
func corpusDigest(all []question) tutela.SHA256 {
	h := sha256.New()
	for _, q := range all {
		fmt.Fprintf(h, "%q %q %q %q\n", q.area, q.name, q.source, q.expected)
	}
	err := fs.WalkDir(corpus, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := corpus.ReadFile(name)
		fmt.Fprintf(h, "%q %x\n", name, sha256.Sum256(b))
		return err
	})
	if err != nil {
		panic("internal error: " + err.Error()) // it lies in the program
	}
	return tutela.SHA256(h.Sum(nil))
}
