package digest

import (
	"context"
	"errors"
	"io"
	"sync"

	"tutela"
)

// Stream is one content to be digested. The caller fills the first group of
// fields; the second is valid once the stream was handed to done.
type Stream struct {
	R   io.Reader
	Tee func(chunk []byte) // if set, sees every byte in order; must not keep or change the chunk
	Tag any                // the caller's own

	Sum  tutela.Digests // of the bytes that were read
	Size int64          // bytes that were read
	Err  error          // why R could not be read to its end, or the context's error
}

// Hasher digests streams side by side. It is not safe for concurrent use: give
// every worker goroutine its own.
type Hasher struct {
	engine            string
	md5, sha1, sha256 *states
	lanes             []lane
	arena             []byte             // in equal shares, one for every active lane
	shares            int                // into which arena is cut
	spans             [maximumLanes]span // what of a lane's share is not digested yet
	ended             int                // streams that ended in the round before
}

// lane is a place for one stream, in all digests the same.
type lane struct {
	stream  *Stream  // nil while the lane is idle
	fresh   []byte   // what this round read, in the arena
	carry   [64]byte // the beginning of a block, from the round before
	carried int      // bytes in carry
	ended   bool
	last    uint32 // once ended: offset of the last block, which wants its length yet
}

// A round reads at most arenaBytes, which leaves room in a second-level cache of
// 1 MiB: 32 KiB from each of 16 streams, up to 512 KiB from a single one.
//
// Around what is read, a share has room for the carried bytes before it and for
// padding after it. The room also keeps lanes off addresses that are equal
// in their low 12 bits, which would fight for the same cache lines.
const (
	arenaBytes = 512 << 10
	before     = 64
	after      = 128
)

// NewHasher makes a Hasher for this processor. It holds about 0.5 MiB.
func NewHasher() *Hasher { return newHasher(engines()[0]) }

func newHasher(e engine) *Hasher {
	return &Hasher{
		engine: e.name,
		md5:    newStates(&algorithmMD5, e.md5),
		sha1:   newStates(&algorithmSHA1, e.sha1),
		sha256: newStates(&algorithmSHA256, e.sha256),
		lanes:  make([]lane, e.lanes),
		arena:  make([]byte, arenaBytes+maximumLanes*(before+after)),
	}
}

// Lanes is how many streams are read side by side: 1, 8 or 16.
func (h *Hasher) Lanes() int { return len(h.lanes) }

// Engine names what computes the digests: "avx512", "avx2" or "plain".
func (h *Hasher) Engine() string { return h.engine }

// digests are all there are.
func (h *Hasher) digests() [3]*states { return [...]*states{h.md5, h.sha1, h.sha256} }

// Run digests what comes out of streams until that is closed and all streams
// have ended. It takes a stream whenever a lane is free and waits for one only
// while it has none at all, so streams may be fed slowly or come from a channel
// that several Hashers share. Each round it takes one stream more than ended in
// the round before: small files soon fill all lanes, large ones are left to the
// other Hashers as well. done is called once for every stream that was taken,
// from the caller's goroutine, in the order in which they end.
//
// An error of a reader is that stream's Err and does not stop the others. When
// ctx ends, the streams in flight are handed to done with its error, and Run
// returns it; it never returns another.
func (h *Hasher) Run(ctx context.Context, streams <-chan *Stream, done func(*Stream)) error {
	h.ended = 0
	for {
		active, more := h.admit(ctx, streams)
		if err := ctx.Err(); err != nil {
			h.abandon(err, done)
			return err
		}
		if active == 0 {
			return nil
		}
		if !more {
			streams = nil
		}
		h.round(active, done)
	}
}

// admit fills free lanes. It reports how many are active and whether streams is
// still open.
func (h *Hasher) admit(ctx context.Context, streams <-chan *Stream) (active int, more bool) {
	for i := range h.lanes {
		if h.lanes[i].stream != nil {
			active++
		}
	}
	quota := 1 + h.ended
	for i := range h.lanes {
		if h.lanes[i].stream != nil || streams == nil || quota == 0 {
			continue
		}
		s, open := receive(ctx, streams, active > 0)
		if !open {
			return active, false
		}
		if s == nil {
			break
		}
		h.begin(i, s)
		active++
		quota--
	}
	return active, streams != nil
}

// receive takes a stream from the channel; none if the channel is closed (then
// open is false), if ctx ends, or if none is at hand and the Hasher is busy.
func receive(ctx context.Context, streams <-chan *Stream, busy bool) (s *Stream, open bool) {
	if busy {
		select {
		case s, open = <-streams:
			return s, open
		default:
			return nil, true
		}
	}
	select {
	case s, open = <-streams:
		return s, open
	case <-ctx.Done():
		return nil, true
	}
}

func (h *Hasher) begin(i int, s *Stream) {
	l := &h.lanes[i]
	l.stream, l.carried, l.ended = s, 0, false
	for _, d := range h.digests() {
		d.reset(i)
	}
	s.Size, s.Err = 0, nil
}

func (h *Hasher) abandon(err error, done func(*Stream)) {
	for i := range h.lanes {
		if s := h.lanes[i].stream; s != nil {
			s.Err = err
			h.free(i)
			done(s)
		}
	}
}

func (h *Hasher) free(i int) {
	h.lanes[i].stream = nil
	h.spans[i] = span{}
}

// round reads a chunk of every stream that has nothing left of the one before
// and digests what is there, all of it or as much as every stream has.
func (h *Hasher) round(active int, done func(*Stream)) {
	h.read(active)
	parts, total := h.take(active)
	if worthSplitting(active, total) {
		h.digestApart(parts)
	} else {
		for _, d := range h.digests() {
			d.run(h.arena, parts)
		}
	}
	h.finish(done)
}

// crowded says that the active streams are enough to keep the vectors busy and
// that the arena therefore is cut into one share for every lane.
func (h *Hasher) crowded(active int) bool { return 2*active > len(h.lanes) }

// read fills the shares of which nothing is left and lays out their blocks. It
// reads nothing if the arena is to be cut anew and something lies in it still.
func (h *Hasher) read(active int) {
	shares := ceilPowerOf2(active)
	if mask, _ := shortest(&h.spans); mask != 0 && shares != h.shares {
		return
	}
	h.shares = shares
	size, share := arenaBytes/shares, 0
	for i := range h.lanes {
		l := &h.lanes[i]
		if l.stream == nil {
			continue
		}
		if h.crowded(active) {
			share = i
		}
		if start := share*(before+size+after) + before; h.spans[i].blocks == 0 {
			l.fill(h.arena[start : start+size])
			h.spans[i] = l.layOut(h.arena, start)
		}
		share++
	}
}

// take cuts from the spans what this round digests. While there is a crowd, that
// is as much as the shortest has, and the others keep the rest for the next
// round, where the lanes of streams that ended will have new ones: lanes that
// went on without them would waste theirs. Those with nothing left but their
// last block do not count, lest a flood of tiny contents holds up a large one.
func (h *Hasher) take(active int) (parts [maximumLanes]span, total int) {
	limit := arenaBytes
	if h.crowded(active) {
		_, limit = shortest(&h.spans)
	}
	for i := range h.lanes {
		s := &h.spans[i]
		parts[i] = span{s.offset, min(s.blocks, limit)}
		s.offset += uint32(64 * parts[i].blocks)
		s.blocks -= parts[i].blocks
		total += 64 * parts[i].blocks
	}
	return parts, total
}

func ceilPowerOf2(n int) int {
	p := 1
	for p < n {
		p *= 2
	}
	return p
}

// worthSplitting says whether MD5 should have a goroutine of its own for this
// round: the feed has run dry, so other cores may be idle, and there is enough
// to do that waking one pays.
func worthSplitting(active, total int) bool { return active <= 4 && total >= 128<<10 }

func (h *Hasher) digestApart(parts [maximumLanes]span) {
	var wg sync.WaitGroup
	wg.Go(func() { h.md5.run(h.arena, parts) })
	h.sha1.run(h.arena, parts)
	h.sha256.run(h.arena, parts)
	wg.Wait()
}

// finish takes the streams of which nothing else is left through their last
// block, in which the digests do not agree, and hands them to done.
func (h *Hasher) finish(done func(*Stream)) {
	var last [maximumLanes]span
	h.ended = 0
	for i := range h.lanes {
		if l := &h.lanes[i]; l.stream != nil && l.ended && h.spans[i].blocks == 0 {
			last[i] = span{l.last, 1}
			h.ended++
		}
	}
	if h.ended == 0 {
		return
	}
	for _, d := range h.digests() {
		h.putLengths(d.algorithm, &last)
		d.run(h.arena, last)
	}
	for i := range last {
		if last[i].blocks == 1 {
			h.end(i, done)
		}
	}
}

func (h *Hasher) putLengths(a *algorithm, last *[maximumLanes]span) {
	for i := range last {
		if last[i].blocks == 1 {
			a.putLength(h.arena[last[i].offset:], h.lanes[i].stream.Size)
		}
	}
}

// end gives lane i's stream its digests and frees the lane.
func (h *Hasher) end(i int, done func(*Stream)) {
	s := h.lanes[i].stream
	h.md5.sum(i, s.Sum.MD5[:])
	h.sha1.sum(i, s.Sum.SHA1[:])
	h.sha256.sum(i, s.Sum.SHA256[:])
	h.free(i)
	done(s)
}

var errBadReader = errors.New("reader returned an impossible count")

// fill reads until the chunk is full or the stream ends.
func (l *lane) fill(chunk []byte) {
	n, empty := 0, 0
	for n < len(chunk) && !l.ended {
		got, err := l.stream.R.Read(chunk[n:])
		if got < 0 || got > len(chunk)-n {
			got, err = 0, errBadReader
		}
		n += got
		if empty++; got > 0 {
			empty = 0
		}
		if empty == 100 && err == nil {
			err = io.ErrNoProgress
		}
		l.ended = err != nil
		if err != nil && err != io.EOF {
			l.stream.Err = err
		}
	}
	l.fresh = chunk[:n]
	l.stream.Size += int64(n)
	if l.stream.Tee != nil && n > 0 {
		l.stream.Tee(l.fresh)
	}
}

// layOut puts carried bytes before what was read (at start in the arena). What
// does not fill a block is carried on to the next round or, if the stream
// ended, padded; the last block then is not in the span.
func (l *lane) layOut(arena []byte, start int) span {
	begin := start - l.carried
	copy(arena[begin:], l.carry[:l.carried])
	end := start + len(l.fresh)
	if l.ended {
		last := pad(arena, begin, end) - 64
		l.last = uint32(last)
		return span{uint32(begin), (last - begin) / 64}
	}
	blocks := (end - begin) / 64
	l.carried = copy(l.carry[:], arena[begin+64*blocks:end])
	return span{uint32(begin), blocks}
}
