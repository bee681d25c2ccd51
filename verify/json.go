package verify

import (
	"strconv"
	"strings"
)

// JSON is the verdict for programs, one object on one line:
//
//	{"message_type":"verdict","ok":…,"opened":…,"proven":[…],"not_proven":[…],"problems":[…]}
//
// The fields are fixed. It is written without encoding/json, which would be a
// twentieth of the smallest verifier.
func (v *Verdict) JSON() []byte {
	b := strconv.AppendBool([]byte(`{"message_type":"verdict","ok":`), v.OK)
	b = strconv.AppendUint(append(b, `,"opened":`...), v.Opened, 10)
	b = appendTexts(append(b, `,"proven":`...), v.Proven)
	b = appendTexts(append(b, `,"not_proven":`...), v.NotProven)
	b = appendTexts(append(b, `,"problems":`...), v.Problems)
	return append(b, '}')
}

// appendTexts writes texts that are UTF-8 without control characters, as all in a
// verdict are: two characters are left to escape.
func appendTexts(b []byte, texts []string) []byte {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	b = append(b, '[')
	for i, s := range texts {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), escape.Replace(s)...), '"')
	}
	return append(b, ']')
}
