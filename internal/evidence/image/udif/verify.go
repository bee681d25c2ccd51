package udif

import (
	"cmp"
	"context"
	"fmt"
	"hash/crc32"
	"io"

	"tutela"
)

// checksumCRC32 is the type of checksum that all images of the last twenty years
// have (MODI, "Checksum").
const checksumCRC32 = 2

const verifyStep = 1 << 20 // bytes

// Verify reads the disk once and compares each partition with the CRC-32 that
// its block table carries. What differs, or cannot be read, is a finding;
// partitions with another kind of checksum are not compared. The error is that
// of ctx.
func (d *Disk) Verify(ctx context.Context) ([]tutela.Finding, error) {
	var findings []tutela.Finding
	for i, p := range d.partitions {
		if p.kind != checksumCRC32 {
			continue
		}
		sum, err := d.checksum(ctx, p)
		switch {
		case ctx.Err() != nil:
			return findings, ctx.Err()
		case err != nil:
			findings = append(findings, tutela.Finding{Code: tutela.FindingReadError, Detail: fmt.Sprintf("udif: partition %d: %v", i, err)})
		case sum != p.sum:
			findings = append(findings, tutela.Finding{Code: tutela.FindingDamaged, Detail: fmt.Sprintf("udif: partition %d: its CRC-32 is %08x, the image says %08x", i, sum, p.sum)})
		}
	}
	return findings, nil
}

// checksum is the CRC-32 of the blocks of a partition, but for ignored ones.
func (d *Disk) checksum(ctx context.Context, p partition) (uint32, error) {
	h := crc32.NewIEEE()
	buf := make([]byte, verifyStep)
	for _, r := range p.summed {
		for in := io.NewSectionReader(d, r.Offset, r.Length); ; {
			n, err := in.Read(buf)
			h.Write(buf[:n])
			if err == io.EOF {
				break
			}
			if err = cmp.Or(err, ctx.Err()); err != nil {
				return 0, err
			}
		}
	}
	return h.Sum32(), nil
}
