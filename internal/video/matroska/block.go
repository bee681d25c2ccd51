package matroska

import (
	"fmt"
	"io"

	"tutela"
	"tutela/internal/video/track"
)

// block hands over the frames of a key block.
func (w *walk) block(b block) error {
	at := w.ticks(float64(b.at))
	w.told.Duration = max(w.told.Duration, at)
	if !b.key || w.past && at <= w.last {
		return nil
	}
	return w.frames(b)
}

// block is one of our track's.
type block struct {
	at        int64 // when it is shown, in ticks
	key       bool
	lacing    byte
	body, end int64 // of what follows its head
}

// inCluster visits the blocks of our track, and says where the cluster ends.
func (w *walk) inCluster(cluster element, visit func(block) error) (end int64, err error) {
	base := int64(0)
	end = cluster.end
	err = w.elements(cluster.body, cluster.end, func(e element) error {
		if cluster.unknown && isTop(e.id) {
			end = e.start
			return errEnough
		}
		switch e.id {
		case idTimestamp:
			v, err := w.count(e)
			base = int64(v & (1<<56 - 1))
			return err
		case idSimpleBlock:
			b, ours, err := w.blockHead(e, base)
			if !ours || err != nil {
				return passOver(err)
			}
			return visit(b)
		case idGroup:
			return w.group(e, base, visit)
		}
		return nil
	})
	return end, err
}

func (w *walk) group(group element, base int64, visit func(block) error) error {
	var b block
	ours, key := false, true
	err := w.elements(group.body, group.end, func(e element) (err error) {
		switch e.id {
		case idBlock:
			b, ours, err = w.blockHead(e, base)
		case idReference:
			key = false
		}
		return passOver(err)
	})
	if err != nil || !ours {
		return err
	}
	b.key = key
	return visit(b)
}

// blockHead reads the head of a block (RFC 9559, section 10).
func (w *walk) blockHead(e element, base int64) (b block, ours bool, err error) {
	h, err := w.win.Bytes(e.body, int(min(e.end-e.body, 12)))
	if err != nil {
		return b, false, err
	}
	number, n, err := length(h)
	if err != nil || len(h) < n+3 {
		return b, false, err
	}
	flags := h[n+2]
	b = block{at: base + int16At(h[n:]), key: flags&0x80 != 0, lacing: flags >> 1 & 3, body: e.body + int64(n) + 3, end: e.end}
	return b, uint64(number) == w.number, nil
}

// frames hands over the frames of a block, of which the first is wanted.
func (w *walk) frames(b block) error {
	at := w.ticks(float64(b.at))
	if !w.picker.Wants(at) {
		return nil
	}
	sizes, body, err := w.laces(b)
	if passOver(err) != nil {
		return err
	}
	if err != nil {
		w.notes.Add(tutela.FindingDamaged, "frames that are laced together cannot be told apart")
		return nil
	}
	for _, size := range sizes {
		if w.picker.Wants(at) {
			k := track.Key{At: at, Offset: body, Size: size}
			if err := w.notes.Deliver(k, w.size, w.picker, w.take); err != nil {
				return err
			}
			w.any, w.last = true, max(w.last, at)
		}
		body, at = body+size, at+w.each
	}
	return nil
}

const (
	laceNone  = 0
	laceXiph  = 1
	laceFixed = 2
	laceEBML  = 3
)

// laces are the sizes of the frames of a block, and where the first begins.
func (w *walk) laces(b block) (sizes []int64, body int64, err error) {
	if b.lacing == laceNone {
		return []int64{b.end - b.body}, b.body, nil
	}
	h, err := w.win.Bytes(b.body, int(min(b.end-b.body, 4096)))
	if err != nil {
		return nil, 0, err
	}
	if len(h) == 0 {
		return nil, 0, io.ErrUnexpectedEOF
	}
	count := int(h[0]) + 1
	rest := h[1:]
	switch b.lacing {
	case laceXiph:
		sizes, rest, err = xiph(rest, count-1)
	case laceEBML:
		sizes, rest, err = ebml(rest, count-1)
	case laceFixed:
		body = b.body + 1
		for range count {
			sizes = append(sizes, (b.end-body)/int64(count))
		}
		return sizes, body, nil
	}
	if err != nil {
		return nil, 0, err
	}
	body = b.body + int64(len(h)-len(rest))
	left := b.end - body
	for _, s := range sizes {
		if left -= s; s < 0 || left < 0 {
			return nil, 0, fmt.Errorf("%w: laces longer than their block", track.ErrFormat)
		}
	}
	return append(sizes, left), body, nil
}

// xiph reads sizes that are sums of bytes up to one that is not 255.
func xiph(b []byte, count int) (sizes []int64, rest []byte, err error) {
	for range count {
		size := int64(0)
		for {
			if len(b) == 0 {
				return nil, nil, io.ErrUnexpectedEOF
			}
			c := b[0]
			size, b = size+int64(c), b[1:]
			if c != 255 {
				break
			}
		}
		sizes = append(sizes, size)
	}
	return sizes, b, nil
}

// ebml reads a size and the differences of those that follow.
func ebml(b []byte, count int) (sizes []int64, rest []byte, err error) {
	for i := range count {
		v, n, err := length(b)
		if err != nil {
			return nil, nil, err
		}
		if v < 0 {
			v = 1<<(7*n) - 1
		}
		b = b[n:]
		if i > 0 {
			v += sizes[i-1] - (1<<(7*n-1) - 1)
		}
		sizes = append(sizes, v)
	}
	return sizes, b, nil
}
