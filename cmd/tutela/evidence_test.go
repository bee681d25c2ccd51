package main

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"tutela/internal/demo"
)

// makers make what a script's own files cannot hold. Each is called with where
// to make it and what follows in the script.
var makers = map[string]func(where string, args []string) error{
	"symlink":   func(where string, args []string) error { return os.Symlink(args[0], where) },
	"fifo":      func(where string, _ []string) error { return makeFIFO(where) },
	"socket":    makeSocket,
	"zip":       func(where string, args []string) error { return makeZip(where, args) },
	"bomb":      makeBomb,
	"many":      makeMany,
	"bad-names": makeBadNames,
	"deep":      makeDeep,
	"zeros":     makeZeros,
	"truncated": makeTruncated,
	"mbr-loop":  makeLoop,
	"scene":     makeScene,
	"captioned": makeCaptioned,
}

// cmdMake is `make KIND WHERE …`.
func cmdMake(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || neg || makers[args[0]] == nil {
		ts.Fatalf("usage: make KIND WHERE …")
	}
	where := ts.MkAbs(args[1])
	ts.Check(os.MkdirAll(filepath.Dir(where), 0o777))
	ts.Check(makers[args[0]](where, args[2:]))
}

func makeSocket(where string, _ []string) error {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: where, Net: "unix"})
	if err != nil {
		return err
	}
	l.SetUnlinkOnClose(false)
	return l.Close()
}

// makeZip takes NAME=TEXT for members; @FILE takes the text from a file.
func makeZip(where string, members []string) error {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, member := range members {
		name, content, _ := strings.Cut(member, "=")
		if file, ok := strings.CutPrefix(content, "@"); ok {
			data, err := os.ReadFile(filepath.Join(filepath.Dir(where), file))
			if err != nil {
				return err
			}
			content = string(data)
		}
		w, err := z.Create(name)
		if err != nil {
			return err
		}
		io.WriteString(w, content)
	}
	if err := z.Close(); err != nil {
		return err
	}
	return os.WriteFile(where, b.Bytes(), 0o666)
}

// makeBomb is a gzip of 300 MB of zeros: 1,000 times its own size.
func makeBomb(where string, _ []string) error {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return err
	}
	z.Name = "zeros"
	megabyte := make([]byte, 1<<20)
	for range 300 {
		z.Write(megabyte)
	}
	if err := z.Close(); err != nil {
		return err
	}
	return os.WriteFile(where, b.Bytes(), 0o666)
}

// makeMany is a folder with two archives of 17,000 and 13,000 members: more
// records than one commit holds, already in the first, and quickly made. Each
// member is another content.
func makeMany(where string, _ []string) error {
	if err := os.MkdirAll(where, 0o777); err != nil {
		return err
	}
	for name, size := range map[string]int{"a": 17_000, "b": 13_000} {
		var members []string
		for i := range size {
			members = append(members, fmt.Sprintf("%02d/%05d.txt=%s %d", i%100, i, name, i))
		}
		if err := makeZip(filepath.Join(where, name+".zip"), members); err != nil {
			return err
		}
	}
	return nil
}

// makeBadNames makes files whose names are not text, as disks have them.
func makeBadNames(where string, _ []string) error {
	if err := os.MkdirAll(where, 0o777); err != nil {
		return err
	}
	for _, name := range []string{"caf\xe9.txt", "two\nlines.txt", "esc\x1b[31m.txt", "back\\slash.txt", "right\u202eto-left.txt", strings.Repeat("n", 255)} {
		if err := os.WriteFile(filepath.Join(where, name), []byte(name), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// makeDeep makes folders in folders, with a file at the end of a path that is
// longer than the operating system opens at once.
func makeDeep(where string, _ []string) error {
	if err := os.MkdirAll(where, 0o777); err != nil {
		return err
	}
	at, err := os.OpenRoot(where)
	if err != nil {
		return err
	}
	for range 25 {
		name := strings.Repeat("d", 200)
		if err := at.Mkdir(name, 0o777); err != nil {
			return err
		}
		below, err := at.OpenRoot(name)
		at.Close()
		if err != nil {
			return err
		}
		at = below
	}
	defer at.Close()
	return at.WriteFile("end.txt", []byte("the end"), 0o666)
}

// makeZeros makes a sparse file of so many bytes.
func makeZeros(where string, args []string) error {
	size, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil {
		return err
	}
	f, err := os.Create(where)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Truncate(size)
}

// makeTruncated copies the first bytes of a file.
func makeTruncated(where string, args []string) error {
	data, err := os.ReadFile(filepath.Join(filepath.Dir(where), args[0]))
	if err != nil {
		return err
	}
	size, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	return os.WriteFile(where, data[:size], 0o666)
}

// makeLoop is a disk whose extended partition names itself as the next one.
func makeLoop(where string, _ []string) error {
	disk := make([]byte, 4096*512)
	entry := func(sector, slot int, kind byte, start, length uint32) {
		e := disk[sector*512+446+16*slot:]
		e[4] = kind
		for i := range 4 {
			e[8+i], e[12+i] = byte(start>>(8*i)), byte(length>>(8*i))
		}
		disk[sector*512+510], disk[sector*512+511] = 0x55, 0xaa
	}
	entry(0, 0, 0x05, 2048, 2048) // extended, from sector 2048
	entry(2048, 0, 0x83, 64, 512) // a logical volume
	entry(2048, 1, 0x05, 0, 2048) // and the next table is this one again
	return os.WriteFile(where, disk, 0o666)
}

// flipByte changes one bit of a file: `flip FILE OFFSET`, from its end if
// negative.
func flipByte(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: flip FILE OFFSET")
	}
	name := ts.MkAbs(args[0])
	data, err := os.ReadFile(name)
	ts.Check(err)
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	if at < 0 {
		at += len(data)
	}
	data[at] ^= 1
	ts.Check(os.WriteFile(name, data, 0o600))
}

// gunzip is `gunzip FROM TO`; more than one FROM are put after one another.
func gunzip(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: gunzip FROM… TO")
	}
	to := ts.MkAbs(args[len(args)-1])
	ts.Check(os.MkdirAll(filepath.Dir(to), 0o777))
	out, err := os.Create(to)
	ts.Check(err)
	defer out.Close()
	for _, from := range args[:len(args)-1] {
		in, err := os.Open(ts.MkAbs(from))
		ts.Check(err)
		defer in.Close()
		z, err := gzip.NewReader(in)
		ts.Check(err)
		_, err = io.Copy(out, z)
		ts.Check(err)
	}
}

// drawEvidence is `draw DIR`: the evidence of the demonstration.
func drawEvidence(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: draw DIR")
	}
	_, err := demo.Draw(context.Background(), ts.MkAbs(args[0]), hashDrawing)
	ts.Check(err)
}
