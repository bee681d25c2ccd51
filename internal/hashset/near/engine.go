package near

// engine is a choice of kernels. Which one is used depends on the features of
// the processor alone. It is a number and not a table of functions: the
// compiler then sees that what a look-up hands to a kernel stays on the stack.
type engine uint8

const (
	plain engine = iota
	avx512
	avx2
	neon
)

func (e engine) String() string { return [...]string{"plain", "avx512", "avx2", "neon"}[e] }
