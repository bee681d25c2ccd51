package ntfs

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/evidence"

	"www.velocidex.com/golang/go-ntfs/parser"
)

// TestOracle reads every allocated $DATA with another implementation, found by
// the record number in the chain, and expects the same bytes. It does not open
// the volumes with large sectors or clusters.
func TestOracle(t *testing.T) {
	for _, name := range []string{"windows.ntfs", "linux.ntfs", "tiny.ntfs"} {
		t.Run(name, func(t *testing.T) {
			img := image(t, name)
			other, err := parser.GetNTFSContext(bytes.NewReader(img), 0)
			if err != nil {
				t.Fatal(err)
			}
			var compared int
			for _, o := range walkAll(t, mustOpen(t, img), evidence.Limits{}) {
				if o.State != tutela.Allocated || o.failure != nil || !strings.Contains(o.Chain[0].At, " $DATA") {
					continue
				}
				got, err := oracleRead(other, &o)
				if err != nil || !bytes.Equal(got, o.bytes) {
					t.Errorf("%s: %d bytes, the other reads %d: %v", o.path(), len(o.bytes), len(got), err)
				}
				compared++
			}
			if compared < 10 {
				t.Errorf("only %d contents compared", compared)
			}
		})
	}
}

func oracleRead(other *parser.NTFSContext, o *observed) ([]byte, error) {
	var number int64
	var rest string
	if _, err := fmt.Sscanf(o.Chain[0].At, "mft %d-%s", &number, &rest); err != nil {
		return nil, err
	}
	_, stream, _ := strings.Cut(o.Chain[0].At, "$DATA:")
	entry, err := other.GetMFT(number)
	if err != nil {
		return nil, err
	}
	r, err := parser.OpenStream(other, entry, typeData, parser.WILDCARD_STREAM_ID, stream)
	if err != nil {
		return nil, err
	}
	b := make([]byte, len(o.bytes))
	n, err := r.ReadAt(b, 0)
	if n == len(b) || err == io.EOF {
		err = nil
	}
	return b[:n], err
}
