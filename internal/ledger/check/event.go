package check

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"tutela"
)

// Tags of the two versions of an event's body. They must never change.
const (
	EventTag       = "E\x01"
	LinkedEventTag = "E\x02" // with facts, a signature or a link to the event before
)

// DecodeEvent reads the body of an event: docs/reference/ledger-format.md,
// "Bodies". It accepts the one encoding of an event and nothing else. The time
// comes back in UTC; Detail is not looked into. Of an event of version 2, signed
// is the part of body that its actor signs, for [EventMessage]. Errors wrap
// [ErrEncoding].
func DecodeEvent(body []byte) (e *tutela.Event, signed []byte, err error) {
	tag := EventTag
	if bytes.HasPrefix(body, []byte(LinkedEventTag)) {
		tag = LinkedEventTag
	}
	r := ReadBody(body, tag)
	e = &tutela.Event{Kind: tutela.EventKind(r.Text()), Time: r.Time(), Actor: r.Text(), Case: r.Text()}
	e.Exhibit, e.Authority = r.Text(), r.Text()
	e.Detail, e.Key = r.Bytes(), r.Text()
	if tag == LinkedEventTag {
		e.Facts = decodeFacts(r)
		signed = body[:len(body)-r.Left()]
		e.Signer, e.Signature, e.Previous = r.Text(), r.Bytes(), r.Uint()
		if !Linked(e) {
			r.Fail("version 2 of an event that version 1 can tell")
		}
	}
	if err := r.End(); err != nil {
		return nil, nil, err
	}
	return e, signed, nil
}

func decodeFacts(r *BodyReader) []tutela.Fact {
	var facts []tutela.Fact
	for n := r.Count(3); n > 0 && !r.Failed(); n-- {
		facts = append(facts, tutela.Fact{Name: r.Text(), Number: r.Uint(), Value: r.Bytes()})
	}
	return facts
}

// Linked reports whether an event tells what version 1 has no room for.
func Linked(e *tutela.Event) bool {
	return len(e.Facts) > 0 || e.Signer != "" || len(e.Signature) > 0 || e.Previous != 0
}

// EventMessage is what an actor signs with Ed25519: two lines of text, the second
// of which is the SHA-256 of version 2 of the event up to and with its facts, in
// hexadecimal digits.
func EventMessage(signed []byte) []byte {
	return fmt.Appendf(nil, "tutela-event@v2\n%x\n", sha256.Sum256(signed))
}
