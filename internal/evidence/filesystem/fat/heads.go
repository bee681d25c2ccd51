package fat

import "tutela/internal/evidence"

const (
	windowBytes = 256 << 10
	wideCluster = 16 << 10 // bytes from which on each is read alone
)

// heads reads the beginnings of clusters in ascending order, many at a time where
// clusters are small.
type heads struct {
	src    evidence.Source
	geo    *geometry
	window []byte
	first  uint32 // cluster at which the window begins
	alone  uint32 // cluster up to which each is read alone, after an error
	one    []byte
}

// of is the first n bytes of a held cluster, which are good until the next call.
func (h *heads) of(c uint32, n int64) ([]byte, error) {
	if at := int64(c-h.first) * h.geo.cluster; c >= h.first && at+n <= int64(len(h.window)) {
		return h.window[at : at+n], nil
	}
	if h.geo.cluster < wideCluster && c >= h.alone && h.load(c) {
		return h.window[:n], nil
	}
	if int64(len(h.one)) != n {
		h.one = make([]byte, n)
	}
	return h.one, readFull(h.src, h.one, h.geo.offset(c))
}

// load moves the window to c.
func (h *heads) load(c uint32) bool {
	clusters := min(windowBytes/h.geo.cluster, int64(h.geo.held)-int64(c-firstCluster))
	if cap(h.window) == 0 {
		h.window = make([]byte, windowBytes)
	}
	h.window, h.first = h.window[:clusters*h.geo.cluster], c
	if readFull(h.src, h.window, h.geo.offset(c)) != nil {
		h.window, h.alone = h.window[:0], c+uint32(clusters)
		return false
	}
	return true
}
