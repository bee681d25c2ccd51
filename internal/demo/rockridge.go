package demo

// rockRidge is the system use area of a directory's own record. In the root's
// it begins with SP, which says that the rest follows SUSP (5.3), and names the
// extension with ER (5.5).
func (n *isoNode) rockRidge() []byte {
	if n.parent != n {
		return posixMode(n)
	}
	const name, text, source = "RRIP_1991A", "THE ROCK RIDGE INTERCHANGE PROTOCOL", "SEE PUBLISHER"
	b := susp("SP", "\xbe\xef\x00")
	b = append(b, posixMode(n)...)
	return append(b, susp("ER", string([]byte{byte(len(name)), byte(len(text)), byte(len(source)), 1})+name+text+source)...)
}

// posixMode is PX (RRIP 4.1.1): mode, links, owner and group.
func posixMode(n *isoNode) []byte {
	b := make([]byte, 32)
	mode := uint32(0o100444)
	if n.dir {
		mode = 0o040555
	}
	putBoth32(b, mode)
	putBoth32(b[8:], 1)
	return susp("PX", string(b))
}

// alternateName is NM (RRIP 4.1.4): the name as people wrote it.
func alternateName(name string) []byte { return susp("NM", "\x00"+name) }

// susp is one system use field, version 1 (SUSP 4.1).
func susp(signature, data string) []byte {
	return append([]byte{signature[0], signature[1], byte(4 + len(data)), 1}, data...)
}
