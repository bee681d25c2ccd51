package ledger

import (
	"encoding/binary"

	"tutela"
	"tutela/internal/ledger/check"
)

// AppendEvent appends the canonical encoding of e to dst: version 1 for events
// that say nothing else, version 2 for those with facts, a signature or a link
// to the event before. The time is kept as an instant, to the nanosecond; Detail
// is not looked into.
//
//	"E" 1 · kind · time · actor · case · exhibit · authority · detail · key
//	"E" 2 · as version 1 · facts (name, number, value) · signer · signature · previous
func AppendEvent(dst []byte, e *tutela.Event) []byte {
	if !check.Linked(e) {
		return appendAct(append(dst, check.EventTag...), e)
	}
	dst = appendSigned(dst, e)
	dst = appendText(appendText(dst, e.Signer), e.Signature)
	return binary.AppendUvarint(dst, e.Previous)
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
	dst = appendAct(append(dst, check.LinkedEventTag...), e)
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
	return check.EventMessage(appendSigned(nil, e))
}

// DecodeEvent is the inverse of [AppendEvent]: it accepts its one encoding and
// nothing else. Errors wrap [ErrEncoding]. The time comes back in UTC.
func DecodeEvent(b []byte) (*tutela.Event, error) {
	e, _, err := check.DecodeEvent(b)
	return e, err
}
