package disclosure

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

	"tutela"
)

// ErrOtherContent means that a file is not what its record says.
var ErrOtherContent = errors.New("the file is not what the record says")

// stored is the content of a record in a file. It may be larger than memory.
type stored struct {
	file string
	size int64
	sum  tutela.SHA256
}

// storeContent holds the files that were handed in against their records.
func (d *disclosing) storeContent() error {
	d.stored = map[string]stored{}
	for _, c := range d.Content {
		item, err := d.item(c.Item)
		if err != nil {
			return err
		}
		s := stored{c.File, item.Record.Size, item.Record.Digests.SHA256}
		if !item.Record.Hashed {
			return fmt.Errorf("leaf %d of %s: %w: it was not read", c.Leaf, c.ScanID, ErrOtherContent)
		}
		if err := s.copyTo(io.Discard); err != nil {
			return fmt.Errorf("leaf %d of %s: %w", c.Leaf, c.ScanID, err)
		}
		d.stored[fmt.Sprintf("content/%d-%s/%d", item.Seal, tutela.FactRecords, c.Leaf)] = s
	}
	return nil
}

// contentsOf is how many contents of an exhibit are handed over.
func (d *disclosing) contentsOf(exhibit string) (n uint64) {
	for _, c := range d.Content {
		if c.Exhibit == exhibit {
			n++
		}
	}
	return n
}

// item is a record that is opened.
func (d *disclosing) item(wanted Item) (Disclosing, error) {
	for _, o := range d.opened {
		for _, item := range o.Items {
			if item.Item == wanted {
				return item, nil
			}
		}
	}
	return Disclosing{}, fmt.Errorf("content of leaf %d of %s, which is not opened", wanted.Leaf, wanted.ScanID)
}

// copyTo writes the content, and fails if it is not the record's.
func (s stored) copyTo(w io.Writer) error {
	f, err := os.Open(s.file)
	if err != nil {
		return err
	}
	defer f.Close()
	digest := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, digest), io.LimitReader(f, s.size+1))
	if err != nil {
		return err
	}
	if n != s.size || tutela.SHA256(digest.Sum(nil)) != s.sum {
		return fmt.Errorf("%s: %w", s.file, ErrOtherContent)
	}
	return nil
}
