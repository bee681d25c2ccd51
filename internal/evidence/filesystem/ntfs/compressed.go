package ntfs

import (
	"fmt"
	"io"

	"tutela/internal/evidence"
)

// Compressed attributes: FSNTFS "Compression". Content is cut into units of 16
// clusters. A unit whose clusters are all there is stored as it is, one without
// any is zeros, and any other holds LZNT1 in the clusters it has.

const (
	unitClusters = 16
	unitShift    = 4
	maxUnitBytes = 1 << 20 // NTFS compresses with clusters of up to 4 KiB: 64 KiB
)

// compressed reads a compressed content forward.
type compressed struct {
	raw    stream // the clusters as they lie, all of them valid
	size   int64
	valid  int64
	at     int64  // next byte to give
	unit   []byte // the unit that holds the byte before at, expanded
	packed []byte
}

var _ evidence.Content = (*compressed)(nil)

func (s *stream) openCompressed() (evidence.Content, error) {
	raw := *s
	raw.size = s.end() * s.cluster
	raw.valid = raw.size
	expanded := unitClusters * s.cluster
	if expanded > maxUnitBytes {
		return nil, fmt.Errorf("compression units of %d bytes: %w", expanded, evidence.ErrUnsupported)
	}
	return &compressed{raw: raw, size: s.size, valid: s.valid, unit: make([]byte, expanded), packed: make([]byte, expanded)}, nil
}

func (c *compressed) Close() error { return nil }

func (c *compressed) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if c.at >= c.size {
		return 0, io.EOF
	}
	within := c.at % int64(len(c.unit))
	if within == 0 {
		if err := c.load(c.at / int64(len(c.unit))); err != nil {
			return 0, fmt.Errorf("content from byte %d on: %w", c.at, err)
		}
	}
	n := copy(p[:min(int64(len(p)), c.size-c.at)], c.unit[within:])
	c.at += int64(n)
	return n, nil
}

// load expands unit number u and blanks what is beyond the valid data length.
func (c *compressed) load(u int64) error {
	start := u * int64(len(c.unit))
	if start >= c.valid {
		clear(c.unit)
		return nil
	}
	have, err := c.clustersOf(u)
	if err != nil {
		return err
	}
	if err := c.expand(start, have); err != nil {
		return err
	}
	if rest := c.valid - start; rest < int64(len(c.unit)) {
		clear(c.unit[rest:])
	}
	return nil
}

func (c *compressed) expand(start, have int64) error {
	switch have {
	case 0:
		clear(c.unit)
		return nil
	case unitClusters:
		_, err := c.raw.ReadAt(c.unit, start)
		return err
	}
	packed := c.packed[:have*c.raw.cluster]
	if _, err := c.raw.ReadAt(packed, start); err != nil {
		return err
	}
	return decompressLZNT1(c.unit, packed)
}

// clustersOf is how many clusters unit u has; they must come before its sparse
// ones.
func (c *compressed) clustersOf(u int64) (have int64, err error) {
	vcn := u * unitClusters
	for end := vcn + unitClusters; vcn < end; {
		e := c.raw.extentAt(vcn)
		part := min(e.end(), end) - vcn
		switch {
		case e.lcn == missing:
			return 0, fmt.Errorf("cluster %d is in no run", vcn)
		case e.mapped() && have != vcn-u*unitClusters:
			return 0, fmt.Errorf("cluster %d follows a sparse one in its unit", vcn)
		case e.mapped():
			have += part
		}
		vcn += part
	}
	return have, nil
}
