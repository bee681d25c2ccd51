package digest

// engine is a choice of kernels. Which one is used depends on the features of
// the processor alone, never on a measurement at run time.
type engine struct {
	name              string
	lanes             int
	md5, sha1, sha256 kernel
}

// plain is the engine of processors we have no assembly for: the standard
// library alone.
var plain = engine{name: "plain", lanes: 1}
