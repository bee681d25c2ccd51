package stack

// The medoid is the picture from which the others are least far. Finding it
// anew for every picture that comes would cost the square of the stack's size,
// so it is chosen again each time a stack has doubled, among a few, until the
// stack is so large that it hardly moves.

const (
	candidates = 16   // pictures that are tried
	settled    = 4096 // the size from which on the medoid stays
)

// dueAt reports whether a stack that has grown to that size chooses its medoid
// again: at 3, for of two pictures neither is the middle, and at powers of two.
func dueAt(size uint32) bool {
	return size == 3 || size > 3 && size <= settled && size&(size-1) == 0
}

// choose takes as medoid the candidate whose distances to all others sum up
// least, of those that have all of them within the radius. The present one is
// among them and stays unless another is better, so there is always one.
func (s *Stacks) choose(n uint32) {
	k := s.stacks[n]
	best := k.medoid
	least, _ := s.spread(k, best)
	step, i := max(1, k.size/candidates), uint32(0)
	for p := range s.of(k) {
		if i%step == 0 {
			if sum, within := s.spread(k, p); within && sum < least {
				best, least = p, sum
			}
		}
		i++
	}
	if best != k.medoid {
		s.stacks[n].medoid = best
		s.point(best)
	}
}

// spread is the sum of the distances of a stack's pictures from one of them, and
// whether all are within the radius.
func (s *Stacks) spread(k heap, from uint32) (sum int, within bool) {
	for p := range s.of(k) {
		d := s.hashes[p].distance(s.hashes[from])
		if d > Radius {
			return 0, false
		}
		sum += d
	}
	return sum, true
}
