// Package plist reads binary property lists, as far as backups of telephones
// need them.
//
// Call [Parse], and look a value up with [List.Top] or, in what NSKeyedArchiver
// wrote, with [List.Archived]. Nothing is read but what is asked for, and no
// value is followed into another more than once, so that lists that loop or share
// their parts cost nothing. The document is the comment at the head of Apple's
// CFBinaryPList.c.
//
// Promised: any bytes give a value or none, and nothing is allocated beyond the
// bytes handed in. Not read: dates, reals, sets, and lists within lists.
package plist

import (
	"encoding/binary"
	"errors"
)

// Magic begins every binary property list that is read here.
const Magic = "bplist00"

const trailerBytes = 32

// Kind is what a value is.
type Kind uint8

// The kinds of values that are read; [None] is any other.
const (
	None Kind = iota
	Bool
	Integer
	Data
	Text // ASCII only
	UID
	array
	dict
)

// Value is a value of a list.
type Value struct {
	Kind    Kind
	Integer int64  // also of a UID, and 1 for true
	Bytes   []byte // of data and text

	count int64 // of an array or a dictionary
}

// List is a property list.
type List struct {
	b            []byte
	offsets      []byte // the table of offsets
	width, refs  int    // bytes of an offset and of a reference
	objects, top uint64
}

var errList = errors.New("not a binary property list")

// Parse begins to read a list. The bytes must not change while it is in use.
func Parse(b []byte) (*List, error) {
	if len(b) < len(Magic)+trailerBytes || string(b[:len(Magic)]) != Magic {
		return nil, errList
	}
	end := len(b) - trailerBytes
	t := b[end:]
	l := &List{b: b[:end], width: int(t[6]), refs: int(t[7])}
	l.objects, l.top = binary.BigEndian.Uint64(t[8:]), binary.BigEndian.Uint64(t[16:])
	at := binary.BigEndian.Uint64(t[24:])
	if l.width < 1 || l.width > 8 || l.refs < 1 || l.refs > 8 || at > uint64(end) || l.objects > (uint64(end)-at)/uint64(l.width) {
		return nil, errList
	}
	l.offsets = b[at:end]
	if l.object(l.top).Kind != dict {
		return nil, errList
	}
	return l, nil
}

// Top is the value of a key of the list, of kind None if there is none.
func (l *List) Top(key string) Value { return l.get(l.top, key) }

// Archived is the value of a key of the object that NSKeyedArchiver was given;
// where it refers to another object, that object.
func (l *List) Archived(key string) Value {
	root := l.reference(l.get(l.find(l.top, "$top"), "root"))
	v := l.get(root, key)
	if v.Kind == UID {
		return l.object(l.reference(v))
	}
	return v
}

const nowhere = 1<<64 - 1 // the number of no object

// reference is the number of the object that a UID means.
func (l *List) reference(v Value) uint64 {
	objects := l.find(l.top, "$objects")
	list := l.object(objects)
	if v.Kind != UID || list.Kind != array || v.Integer < 0 || v.Integer >= list.count {
		return nowhere
	}
	return number(list.Bytes[v.Integer*int64(l.refs):][:l.refs])
}

func (l *List) get(dictionary uint64, key string) Value { return l.object(l.find(dictionary, key)) }

// find is the number of the object that a dictionary has for a key.
func (l *List) find(dictionary uint64, key string) uint64 {
	d := l.object(dictionary)
	if d.Kind != dict {
		return nowhere
	}
	for i := range d.count {
		k := l.object(number(d.Bytes[i*int64(l.refs):][:l.refs]))
		if k.Kind == Text && string(k.Bytes) == key {
			return number(d.Bytes[(d.count+i)*int64(l.refs):][:l.refs])
		}
	}
	return nowhere
}

// object reads the n-th object.
func (l *List) object(n uint64) (v Value) {
	if n >= l.objects {
		return v
	}
	at := number(l.offsets[n*uint64(l.width):][:l.width])
	if at >= uint64(len(l.b)) {
		return v
	}
	marker, b := l.b[at], l.b[at+1:]
	low := int64(marker & 15)
	switch marker >> 4 {
	case 0:
		if marker == 8 || marker == 9 {
			return Value{Kind: Bool, Integer: low - 8}
		}
	case 1:
		return integer(Integer, b, 1<<low)
	case 8:
		return integer(UID, b, low+1)
	case 4:
		return l.run(Data, low, b, 1)
	case 5:
		return l.run(Text, low, b, 1)
	case 10:
		return l.run(array, low, b, int64(l.refs))
	case 13:
		return l.run(dict, low, b, 2*int64(l.refs))
	}
	return v
}

func integer(kind Kind, b []byte, size int64) (v Value) {
	if size > 8 || size > int64(len(b)) {
		return v
	}
	return Value{Kind: kind, Integer: int64(number(b[:size]))}
}

// run reads a value of so many parts; 15 means that their number follows.
func (l *List) run(kind Kind, count int64, b []byte, width int64) (v Value) {
	if count == 15 {
		if len(b) == 0 || b[0]>>4 != 1 {
			return v
		}
		size := int64(1) << (b[0] & 15)
		n := integer(Integer, b[1:], size)
		if n.Kind == None {
			return v
		}
		count, b = n.Integer, b[1+size:]
	}
	if count < 0 || count > int64(len(b))/width {
		return v
	}
	return Value{Kind: kind, Bytes: b[:count*width], count: count}
}

func number(b []byte) (n uint64) {
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}
