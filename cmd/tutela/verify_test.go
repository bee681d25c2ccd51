package main

import (
	"bytes"
	"encoding/binary"
	"hash/adler32"
	"io"
	"os"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/ulikunitz/xz"
)

// unxz is `unxz FROM TO`.
func unxz(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: unxz FROM TO")
	}
	in, err := os.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	defer in.Close()
	r, err := xz.NewReader(in)
	ts.Check(err)
	content, err := io.ReadAll(r)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), content, 0o666))
}

// tamper is `tamper E01`: the digests stored in it become others, in sections
// that hold together.
func tamper(ts *testscript.TestScript, _ bool, args []string) {
	name := ts.MkAbs(args[0])
	b, err := os.ReadFile(name)
	ts.Check(err)
	for section, length := range map[string]int{"digest": 76, "hash": 32} { // bytes before the checksum
		at := bytes.LastIndex(b, append([]byte(section), make([]byte, 16-len(section))...))
		if at < 0 {
			continue
		}
		data := b[at+76:]
		data[0] ^= 1
		binary.LittleEndian.PutUint32(data[length:], adler32.Checksum(data[:length]))
	}
	ts.Check(os.WriteFile(name, b, 0o666))
}
