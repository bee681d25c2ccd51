// Package stack puts pictures that look alike into stacks, so that a person
// judges a stack and not each of its pictures: the series of a camera, the many
// sizes of one picture, the same picture met on every device.
//
// Start with [New] and [Stacks.Add] every picture; it says which stack the
// picture is on. [Stacks.WriteTo] and [Read] keep the stacks between two
// exhibits.
//
// Promised, after each Add:
//
//   - every picture of a stack lies within [Radius] bits of the stack's medoid,
//     which is one of its pictures. Links are never followed further: two
//     pictures that a chain of look-alikes joins are not on one stack for that,
//     and no two pictures of a stack are more than twice the radius apart.
//   - a picture stays on the stack it was put on, and the number of a stack
//     never changes, so both may be written down elsewhere.
//   - a picture founds a stack only if no medoid lies within the radius of it;
//     else it joins the nearest, of two equally near the lower number.
//   - adding in pieces, with or without WriteTo and Read in between, gives what
//     adding in one go gives.
//
// Not promised: that another order of the same pictures gives the same stacks.
// Order decides who founds a stack and who is near enough when it comes. Nor
// that two medoids stay apart: a medoid moves as its stack grows, and may come
// near another; the stacks are not joined, since that could break the first
// promise. Nor that ids are unique: who adds a picture twice has it twice.
//
// A picture takes 48 bytes, a stack 108 more, of which 96 are its place in the
// index, and the index 8 MB whatever it holds: 134 MB for a million pictures on
// 680,000 stacks. What Add takes is mostly looking up the medoids: 272 short
// lists, a handful of entries each.
// Hashes made to share their parts can make those lists as long as there are
// stacks, and so an Add as slow as going through them all, but no slower.
//
// A stack is a way to look at pictures, never a verdict about them.
package stack

import (
	"iter"

	"tutela"
	"tutela/internal/pdq"
)

// Radius is within how many bits of its medoid every picture of a stack lies.
const Radius = pdq.MaxRadius

// Stacks are pictures in stacks. They must not be used concurrently.
type Stacks struct {
	// by picture, in order of Add
	ids    []uint64
	hashes []hash
	on     []uint32 // the stack's number
	next   []uint32 // the next picture of the stack, the first after the last

	stacks []heap
	index  *index // of the medoids' hashes
}

// heap is what is known of one stack. Pictures are told by their place in the
// order of Add.
type heap struct {
	last   uint32
	medoid uint32
	size   uint32
}

// New has no stacks yet. They can take 2³² − 1 pictures.
func New() *Stacks { return &Stacks{index: newIndex()} }

// Pictures is how many pictures are on stacks.
func (s *Stacks) Pictures() int { return len(s.ids) }

// Len is how many stacks there are; they are numbered from 0.
func (s *Stacks) Len() int { return len(s.stacks) }

// Add puts a picture on a stack and returns its number. A picture of a quality
// below pdq.MinQuality is put nowhere, since flat pictures all look alike; then
// ok is false.
func (s *Stacks) Add(id uint64, h tutela.PDQ, quality int) (stack int, ok bool) {
	if quality < pdq.MinQuality {
		return 0, false
	}
	words := wordsOf(h)
	n, _, found := s.nearest(words)
	p := s.keep(id, words)
	if !found {
		return s.found(p), true
	}
	s.join(n, p)
	return int(n), true
}

// Find is the stack that a picture would join now, and its distance from the
// medoid in bits.
func (s *Stacks) Find(h tutela.PDQ) (stack, distance int, ok bool) {
	n, distance, ok := s.nearest(wordsOf(h))
	return int(n), distance, ok
}

// Member is a picture on a stack.
type Member struct {
	ID       uint64
	PDQ      tutela.PDQ
	Distance int // from the medoid, in bits
}

// Medoid is the picture that stands for a stack. It panics if there is no such
// stack.
func (s *Stacks) Medoid(stack int) Member { return s.member(s.stacks[stack], s.stacks[stack].medoid) }

// Size is how many pictures are on a stack. It panics if there is no such stack.
func (s *Stacks) Size(stack int) int { return int(s.stacks[stack].size) }

// Members are the pictures of a stack in order of Add. It panics if there is no
// such stack.
func (s *Stacks) Members(stack int) iter.Seq[Member] {
	return func(yield func(Member) bool) {
		k := s.stacks[stack]
		for p := range s.of(k) {
			if !yield(s.member(k, p)) {
				return
			}
		}
	}
}

func (s *Stacks) member(k heap, p uint32) Member {
	return Member{s.ids[p], s.hashes[p].pdq(), s.hashes[p].distance(s.hashes[k.medoid])}
}

// of are the pictures of a stack in order of Add.
func (s *Stacks) of(k heap) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		p := k.last
		for range k.size {
			p = s.next[p]
			if !yield(p) {
				return
			}
		}
	}
}

// keep stores a picture that is on no stack yet.
func (s *Stacks) keep(id uint64, h hash) uint32 {
	p := uint32(len(s.ids))
	s.ids = append(s.ids, id)
	s.hashes = append(s.hashes, h)
	s.on = append(s.on, 0)
	s.next = append(s.next, p)
	return p
}

// found begins a stack with a picture.
func (s *Stacks) found(p uint32) int {
	n := len(s.stacks)
	s.on[p] = uint32(n)
	s.stacks = append(s.stacks, heap{last: p, medoid: p, size: 1})
	s.point(p)
	return n
}

// join lays a picture on a stack.
func (s *Stacks) join(n, p uint32) {
	s.lay(n, p)
	if k := s.stacks[n]; dueAt(k.size) {
		s.choose(n)
	}
}

func (s *Stacks) lay(n, p uint32) {
	k := &s.stacks[n]
	s.on[p] = n
	s.next[p], s.next[k.last] = s.next[k.last], p
	k.last = p
	k.size++
}

// point enters a medoid into the index.
func (s *Stacks) point(p uint32) {
	s.index.add(p, s.hashes[p])
	if s.index.full() {
		s.index.rebuild(s.medoids(), s.hashes)
	}
}

func (s *Stacks) medoids() []uint32 {
	all := make([]uint32, len(s.stacks))
	for i, k := range s.stacks {
		all[i] = k.medoid
	}
	return all
}
