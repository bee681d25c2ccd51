package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"tutela"
)

// AppendEvent appends the canonical encoding of e to dst: version 1 for events
// that say nothing else, version 2 for those with facts, a signature or a link
// to the event before. The time is kept as an instant, to the nanosecond; Detail
// is not looked into.
//
//	"E" 1 · kind · time · actor · case · exhibit · authority · detail · key
//	"E" 2 · as version 1 · facts (name, number, value) · signer · signature · previous
func AppendEvent(dst []byte, e *tutela.Event) []byte {
	if !linked(e) {
		return appendAct(append(dst, eventTag...), e)
	}
	dst = appendSigned(dst, e)
	dst = appendText(appendText(dst, e.Signer), e.Signature)
	return binary.AppendUvarint(dst, e.Previous)
}

// linked reports whether the event tells what version 1 has no room for.
func linked(e *tutela.Event) bool {
	return len(e.Facts) > 0 || e.Signer != "" || len(e.Signature) > 0 || e.Previous != 0
}

func appendAct(dst []byte, e *tutela.Event) []byte {
	dst = appendTime(appendText(dst, string(e.Kind)), e.Time)
	dst = appendText(appendText(dst, e.Actor), e.Case)
	dst = appendText(appendText(dst, e.Exhibit), e.Authority)
	return appendText(appendText(dst, e.Detail), e.Key)
}

// appendSigned appends what the actor signs: all but the signature itself, and
// the link that the log adds.
func appendSigned(dst []byte, e *tutela.Event) []byte {
	dst = appendAct(append(dst, linkedEventTag...), e)
	dst = binary.AppendUvarint(dst, uint64(len(e.Facts)))
	for _, f := range e.Facts {
		dst = appendText(binary.AppendUvarint(appendText(dst, f.Name), f.Number), f.Value)
	}
	return dst
}

// EventMessage is what an actor signs with Ed25519: two lines of text, the second
// of which is the SHA-256 of version 2 of the event up to and with its facts, in
// hexadecimal digits. It is short and printable, so that whatever holds the key
// can show it.
func EventMessage(e *tutela.Event) []byte {
	return fmt.Appendf(nil, "tutela-event@v2\n%x\n", sha256.Sum256(appendSigned(nil, e)))
}

// DecodeEvent is the inverse of [AppendEvent]: it accepts its one encoding and
// nothing else. Errors wrap [ErrEncoding]. The time comes back in UTC.
func DecodeEvent(b []byte) (*tutela.Event, error) {
	tag := eventTag
	if bytes.HasPrefix(b, []byte(linkedEventTag)) {
		tag = linkedEventTag
	}
	d := decode(b, tag)
	e := &tutela.Event{Kind: tutela.EventKind(d.text()), Time: d.time(), Actor: d.text(), Case: d.text()}
	e.Exhibit, e.Authority = d.text(), d.text()
	e.Detail, e.Key = d.bytes(), d.text()
	if tag == linkedEventTag {
		e.Facts = decodeFacts(d)
		e.Signer, e.Signature, e.Previous = d.text(), d.bytes(), d.uint()
		if !linked(e) {
			d.fail("version 2 of an event that version 1 can tell")
		}
	}
	if err := d.end(); err != nil {
		return nil, err
	}
	return e, nil
}

func decodeFacts(d *decoder) []tutela.Fact {
	var facts []tutela.Fact
	for n := d.count(3); n > 0 && d.err == nil; n-- {
		facts = append(facts, tutela.Fact{Name: d.text(), Number: d.uint(), Value: d.bytes()})
	}
	return facts
}
