package ext

// set is a set of inodes; what it takes grows with the groups that have some.
type set struct {
	perGroup int64
	groups   map[int64][]uint64
}

func newSet(perGroup int64) set { return set{perGroup, map[int64][]uint64{}} }

func (s set) has(number int64) bool {
	bits := s.groups[(number-1)/s.perGroup]
	bit := (number - 1) % s.perGroup
	return bits != nil && bits[bit/64]>>(bit%64)&1 != 0
}

func (s set) add(number int64) {
	g, bit := (number-1)/s.perGroup, (number-1)%s.perGroup
	if s.groups[g] == nil {
		s.groups[g] = make([]uint64, (s.perGroup+63)/64)
	}
	s.groups[g][bit/64] |= 1 << (bit % 64)
}
