package sqlite

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"tutela"
)

func FuzzParseObservation(f *testing.F) {
	at := time.Date(2020, 2, 29, 1, 2, 3, 4, time.UTC)
	f.Add([]byte{})
	f.Add(appendObservation(nil, tutela.Times{}, nil))
	f.Add(appendObservation(nil, tutela.Times{Modified: at, Born: at}, []tutela.Locator{{Layer: "raw", At: "a"}, {Layer: "", At: "\xff"}}))
	f.Add([]byte{observationVersion, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		times, chain, err := parseObservation(b)
		if err != nil {
			return
		}
		again := appendObservation(nil, times, chain)
		sameTimes, sameChain, err := parseObservation(again)
		if err != nil || !reflect.DeepEqual(times, sameTimes) || !reflect.DeepEqual(chain, sameChain) {
			t.Errorf("%x is %v %v, and written again %x, which is %v %v (%v)", b, times, chain, again, sameTimes, sameChain, err)
		}
		if len(again) > len(b) {
			t.Errorf("%x grew to %x", b, again)
		}
	})
}

// The layout is in files: it must never change without a version.
func TestObservationLayout(t *testing.T) {
	at := time.Unix(-1, 7)
	got := appendObservation([]byte("before"), tutela.Times{Accessed: at, Born: at}, []tutela.Locator{{Layer: "zip", At: "é"}})
	want := []byte("before\x01\x0a\x01\x07\x01\x07\x03zip\x02é")
	if !bytes.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
