package ntfs

import (
	"errors"
	"fmt"
	"math"
)

// Run lists: FSNTFS "Data runs". Each run is a byte with two lengths, then a
// number of clusters and a signed step from the last run's first cluster.

// What stands for a cluster number where there are no clusters.
const (
	sparse  = -1 // defined to be zeros
	missing = -2 // nothing says where they are
)

// extent is a stretch of content: length clusters from vcn on, which lie at
// cluster lcn of the volume, or are sparse or missing.
type extent struct {
	vcn, lcn, length int64
}

func (e extent) end() int64   { return e.vcn + e.length }
func (e extent) mapped() bool { return e.lcn >= 0 }

// decodeRuns appends the runs in b to dst, the first at vcn. No cluster is at
// or beyond clusters, and no content longer than MaxInt64 bytes. It returns
// the runs before the first bad one, and an error that says so.
func decodeRuns(dst []extent, b []byte, vcn int64, geo geometry) ([]extent, error) {
	clusters := geo.clusters()
	var lcn int64
	for {
		if len(b) == 0 {
			return dst, errors.New("run list without an end")
		}
		if b[0] == 0 {
			return dst, nil
		}
		lengthBytes, stepBytes := int(b[0]&15), int(b[0]>>4)
		if lengthBytes == 0 || lengthBytes > 8 || stepBytes > 8 || 1+lengthBytes+stepBytes > len(b) {
			return dst, fmt.Errorf("run list: header %#02x with %d bytes left", b[0], len(b))
		}
		e := extent{vcn, sparse, signed(b[1 : 1+lengthBytes])}
		if e.length <= 0 || e.length > math.MaxInt64/geo.cluster-vcn {
			return dst, fmt.Errorf("run list: %d clusters from cluster %d on", e.length, vcn)
		}
		if stepBytes > 0 {
			lcn += signed(b[1+lengthBytes : 1+lengthBytes+stepBytes])
			e.lcn = lcn
		}
		// NT 4 and older wrote sparse runs as cluster -1.
		if e.lcn < sparse || e.mapped() && (e.lcn >= clusters || e.length > clusters-e.lcn) {
			return dst, fmt.Errorf("run list: clusters %d+%d of %d", e.lcn, e.length, clusters)
		}
		dst = append(dst, e)
		vcn = e.end()
		b = b[1+lengthBytes+stepBytes:]
	}
}

// signed reads up to 8 little-endian bytes in two's complement.
func signed(b []byte) int64 {
	var v uint64
	for i, c := range b {
		v |= uint64(c) << (8 * i)
	}
	shift := 64 - 8*len(b)
	return int64(v<<shift) >> shift
}
