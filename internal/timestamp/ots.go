package timestamp

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrProof is wrapped by all errors about OpenTimestamps proofs.
var ErrProof = errors.New("OpenTimestamps proof does not hold")

// otsMagic begins every detached proof, version 1. It must never change.
const otsMagic = "\x00OpenTimestamps\x00\x00Proof\x00\xbf\x89\xe2\xe8\x84\xe8\x92\x94\x01"

// The limits of the reference implementation, and one on the whole.
const (
	maxProof   = 64 << 10 // bytes
	maxOTS     = 4096     // bytes of a message or an argument
	maxDepth   = 256
	maxPayload = 8192
)

// The operations that are carried out. The format has four more, of which
// none leads to a block today; a proof with one of them is refused.
const (
	opSHA1    = 0x02
	opSHA256  = 0x08
	opAppend  = 0xf0
	opPrepend = 0xf1
	opFork    = 0xff // another edge follows this one
	opAttest  = 0x00
)

const (
	tagBitcoin = "\x05\x88\x96\x0d\x73\xd7\x19\x01"
	tagPending = "\x83\xdf\xe3\x0d\x2e\xf9\x0c\x8e"
)

// Proof is a detached OpenTimestamps proof about the SHA-256 of a message.
type Proof struct {
	Digest [sha256.Size]byte
	edges  []edge
}

// edge is an operation and what follows from its result, or an attestation.
type edge struct {
	op      byte
	arg     []byte // of append and prepend
	next    []edge
	tag     string // of an attestation, 8 bytes
	payload []byte
}

// Attestation is the end of one way through a proof: a commitment and who
// attests it. Unknown kinds have neither a height nor a calendar.
type Attestation struct {
	Message  []byte // what is attested: of Bitcoin the Merkle root of the block
	Bitcoin  bool
	Height   uint64 // of the block, as the proof has it
	Calendar string // address of who promised to attest it; "" if nobody
}

// NewProof is a proof without an end, for [Proof.Attach].
func NewProof(message []byte) *Proof { return &Proof{Digest: sha256.Sum256(message)} }

// ParseProof reads an .ots file. It accepts the one encoding that [Proof.Encode]
// has for what it says, in any order of the edges. Errors wrap [ErrProof].
func ParseProof(b []byte) (*Proof, error) {
	if len(b) > maxProof {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are read", ErrProof, len(b), maxProof)
	}
	rest, ok := bytes.CutPrefix(b, []byte(otsMagic))
	if !ok || len(rest) < 1+sha256.Size || rest[0] != opSHA256 {
		return nil, fmt.Errorf("%w: not a detached proof, version 1, about a SHA-256", ErrProof)
	}
	p := &Proof{Digest: [sha256.Size]byte(rest[1:])}
	var err error
	if p.edges, err = parseEdges(rest[1+sha256.Size:], p.Digest[:]); err != nil {
		return nil, err
	}
	return p, nil
}

// parseEdges reads all that follows from a message.
func parseEdges(b, message []byte) ([]edge, error) {
	r := &otsReader{rest: b}
	edges := r.edges(message, maxDepth)
	if r.err == nil && len(r.rest) > 0 {
		r.fail("bytes behind its end")
	}
	return edges, r.err
}

// otsReader reads a proof; the first error sticks.
type otsReader struct {
	rest []byte
	err  error
}

func (r *otsReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: "+format, append([]any{ErrProof}, args...)...)
	}
	r.rest = nil
}

func (r *otsReader) take(n int) []byte {
	if r.err != nil || n > len(r.rest) {
		r.fail("it ends in the middle")
		return make([]byte, min(n, 8))
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

// number reads a varuint in its shortest form.
func (r *otsReader) number() uint64 {
	v, n := binary.Uvarint(r.rest)
	if r.err != nil || n <= 0 || n > 1 && r.rest[n-1] == 0 {
		r.fail("a number that is none")
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// counted reads bytes that their number precedes.
func (r *otsReader) counted(most uint64) []byte {
	n := r.number()
	if n > most {
		r.fail("%d bytes where at most %d are allowed", n, most)
		return nil
	}
	return r.take(int(n))
}

// edges reads a list of edges: all but the last have a fork in front.
func (r *otsReader) edges(message []byte, depth int) (all []edge) {
	if depth == 0 {
		r.fail("more than %d operations in a row", maxDepth)
	}
	for r.err == nil {
		op := r.take(1)[0]
		last := op != opFork
		if !last {
			op = r.take(1)[0]
		}
		all = append(all, r.edge(op, message, depth))
		if last {
			break
		}
	}
	return all
}

func (r *otsReader) edge(op byte, message []byte, depth int) edge {
	e := edge{op: op}
	switch op {
	case opAttest:
		e.tag, e.payload = string(r.take(8)), r.counted(maxPayload)
		if r.err == nil {
			_, r.err = e.attestation(message)
		}
		return e
	case opAppend, opPrepend:
		if e.arg = r.counted(maxOTS); len(e.arg) == 0 {
			r.fail("an operation without its argument")
		}
	case opSHA1, opSHA256:
	default:
		r.fail("unknown operation %#02x", op)
	}
	if len(message)+len(e.arg) > maxOTS {
		r.fail("a message of more than %d bytes", maxOTS)
	}
	if r.err == nil {
		e.next = r.edges(e.apply(message), depth-1)
	}
	return e
}

// apply carries the operation out.
func (e *edge) apply(message []byte) []byte {
	switch e.op {
	case opAppend:
		return append(bytes.Clone(message), e.arg...)
	case opPrepend:
		return append(bytes.Clone(e.arg), message...)
	case opSHA1:
		s := sha1.Sum(message)
		return s[:]
	}
	s := sha256.Sum256(message)
	return s[:]
}

// attestation reads the payload of a kind that is known.
func (e *edge) attestation(message []byte) (Attestation, error) {
	a, r := Attestation{Message: message}, otsReader{rest: e.payload}
	switch e.tag {
	case tagBitcoin:
		a.Bitcoin, a.Height = true, r.number()
	case tagPending:
		a.Calendar = string(r.counted(1000))
		if !plainAddress(a.Calendar) {
			r.fail("an address of a calendar that is none")
		}
	default:
		return a, nil // kept, not understood
	}
	if r.err == nil && len(r.rest) > 0 {
		r.fail("an attestation with more than it should have")
	}
	return a, r.err
}

// plainAddress allows the characters that the format allows: nothing that could
// carry a password or a query.
func plainAddress(s string) bool {
	for _, c := range []byte(s) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9'
		if !letter && !bytes.ContainsRune([]byte("-._/:"), rune(c)) {
			return false
		}
	}
	return len(s) > 0
}

// Encode is the .ots file, [maxProof] bytes at most if it was parsed.
func (p *Proof) Encode() []byte {
	b := append([]byte(otsMagic), opSHA256)
	return appendEdges(append(b, p.Digest[:]...), p.edges)
}

func appendEdges(b []byte, edges []edge) []byte {
	for i := range edges {
		if i < len(edges)-1 {
			b = append(b, opFork)
		}
		b = edges[i].appendTo(b)
	}
	return b
}

func (e *edge) appendTo(b []byte) []byte {
	b = append(b, e.op)
	if e.op == opAttest {
		b = binary.AppendUvarint(append(b, e.tag...), uint64(len(e.payload)))
		return append(b, e.payload...)
	}
	if len(e.arg) > 0 {
		b = append(binary.AppendUvarint(b, uint64(len(e.arg))), e.arg...)
	}
	return appendEdges(b, e.next)
}

// Attestations lists the ends of all ways through the proof.
func (p *Proof) Attestations() []Attestation { return ends(nil, p.edges, p.Digest[:]) }

func ends(all []Attestation, edges []edge, message []byte) []Attestation {
	for i := range edges {
		e := &edges[i]
		if e.op != opAttest {
			all = ends(all, e.next, e.apply(message))
			continue
		}
		if a, err := e.attestation(message); err == nil {
			all = append(all, a)
		}
	}
	return all
}

// Attach adds what a calendar answered about a message, which is the digest of
// the proof or the message of one of its attestations. Nothing is taken away.
func (p *Proof) Attach(message, answer []byte) error {
	edges, err := parseEdges(answer, message)
	if err != nil {
		return err
	}
	grown := &Proof{Digest: p.Digest}
	found := false
	grown.edges = graft(p.edges, p.Digest[:], message, edges, &found)
	if !found {
		return fmt.Errorf("%w: the proof does not contain what the answer is about", ErrProof)
	}
	if _, err := ParseProof(grown.Encode()); err != nil {
		return err
	}
	p.edges = grown.edges
	return nil
}

// graft copies the edges of one message and adds others where the message is
// the one sought, first in the way of the proof and only there.
func graft(edges []edge, at, sought []byte, more []edge, found *bool) []edge {
	var out []edge
	for _, e := range edges {
		if e.op != opAttest {
			e.next = graft(e.next, e.apply(at), sought, more, found)
		}
		out = append(out, e)
	}
	if !*found && bytes.Equal(at, sought) {
		*found = true
		out = append(out, more...)
	}
	return out
}
