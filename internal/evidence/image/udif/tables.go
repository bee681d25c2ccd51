package udif

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// plistTables are the block tables in a property list: the Data of each element
// of the array "blkx" in the dictionary "resource-fork". Only that path is
// followed, as a stream: a property list can nest without end.
func plistTables(b []byte) ([][]byte, error) {
	p := plist{in: xml.NewDecoder(bytes.NewReader(b))}
	p.in.Strict = true
	for {
		token, err := p.in.Token()
		switch {
		case err == io.EOF:
			return p.tables, nil
		case err != nil:
			return nil, fmt.Errorf("udif: property list: %w", err)
		}
		if err := p.take(token); err != nil {
			return nil, fmt.Errorf("udif: property list: %w", err)
		}
	}
}

// plist is the place in a property list.
type plist struct {
	in     *xml.Decoder
	path   []string // the key under which each open dictionary or array lies
	key    string   // the last key
	text   strings.Builder
	tables [][]byte
}

// maxPath is how deep a property list may nest; that of an image nests five times.
const maxPath = 32

func (p *plist) take(token xml.Token) error {
	switch token := token.(type) {
	case xml.StartElement:
		p.text.Reset()
		if name := token.Name.Local; name == "dict" || name == "array" {
			p.path = append(p.path, p.key)
			p.key = ""
		}
		if len(p.path) > maxPath {
			return errors.New("it nests too deep")
		}
	case xml.CharData:
		p.text.Write(token)
	case xml.EndElement:
		return p.end(token.Name.Local)
	}
	return nil
}

func (p *plist) end(name string) error {
	switch name {
	case "key":
		p.key = p.text.String()
	case "dict", "array":
		p.path = p.path[:max(len(p.path)-1, 0)]
	case "data":
		if n := len(p.path); n < 3 || p.key != "Data" || p.path[n-2] != "blkx" || p.path[n-3] != "resource-fork" {
			return nil
		}
		table, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(p.text.String()), ""))
		if err != nil {
			return err
		}
		p.tables = append(p.tables, table)
	}
	return nil
}

// forkTables are the resources of the type "blkx" in a resource fork (Inside
// Macintosh: More Macintosh Toolbox, "Resource File Format").
func forkTables(b []byte) ([][]byte, error) {
	f := fork{bytes: b}
	data, list := f.long(0), f.long(4)
	types := list + f.short(list+24)
	var tables [][]byte
	for i := range f.count(types) {
		entry := types + 2 + 8*i
		if string(f.slice(entry, 4)) != "blkx" {
			continue
		}
		refs := types + f.short(entry+6)
		for j := range f.count(entry + 4) {
			at := data + f.long(refs+12*j+4)&0xffffff
			tables = append(tables, f.slice(at+4, f.long(at)))
			if f.bad {
				break
			}
		}
	}
	if f.bad {
		return nil, errors.New("udif: the resource fork points outside itself")
	}
	return tables, nil
}

// fork reads numbers out of a resource fork. Outside it they are 0, and bad is set.
type fork struct {
	bytes []byte
	bad   bool
}

func (f *fork) slice(at, n int64) []byte {
	if at < 0 || n < 0 || n > int64(len(f.bytes)) || at > int64(len(f.bytes))-n {
		f.bad = true
		return nil
	}
	return f.bytes[at : at+n]
}

func (f *fork) long(at int64) int64 {
	if b := f.slice(at, 4); b != nil {
		return int64(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (f *fork) short(at int64) int64 {
	if b := f.slice(at, 2); b != nil {
		return int64(binary.BigEndian.Uint16(b))
	}
	return 0
}

// count is a number that is stored less one; 0xffff is none.
func (f *fork) count(at int64) int64 { return (f.short(at) + 1) & 0xffff }
