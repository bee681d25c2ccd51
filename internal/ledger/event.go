package ledger

import "tutela"

// AppendEvent appends the canonical encoding of e, version 1, to dst. The time
// is kept as an instant, to the nanosecond; Detail is not looked into.
//
//	"E" 1 · kind · time · actor · case · exhibit · authority · detail · key
func AppendEvent(dst []byte, e *tutela.Event) []byte {
	dst = appendText(append(dst, eventTag...), string(e.Kind))
	dst = appendTime(dst, e.Time)
	dst = appendText(appendText(dst, e.Actor), e.Case)
	dst = appendText(appendText(dst, e.Exhibit), e.Authority)
	return appendText(appendText(dst, e.Detail), e.Key)
}

// DecodeEvent is the inverse of [AppendEvent]: it accepts its one encoding and
// nothing else. Errors wrap [ErrEncoding]. The time comes back in UTC.
func DecodeEvent(b []byte) (*tutela.Event, error) {
	d := decode(b, eventTag)
	e := &tutela.Event{Kind: tutela.EventKind(d.text()), Time: d.time(), Actor: d.text(), Case: d.text()}
	e.Exhibit, e.Authority = d.text(), d.text()
	e.Detail, e.Key = d.bytes(), d.text()
	if err := d.end(); err != nil {
		return nil, err
	}
	return e, nil
}
