package tutela

import (
	"reflect"
	"testing"
	"time"
)

// The bytes of a detail are in logs: field names and their order must never
// change.
func TestDetailsAreCanonical(t *testing.T) {
	root, at := SHA256{31: 1}, time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	const zeros = "00000000000000000000000000000000000000000000000000000000000000"
	for _, c := range []struct {
		detail any
		want   string
	}{
		{ScanStart{Exhibit: "7-B", Number: 1, Profile: "full", Paths: []string{"<&>"}, Tool: "tutela 1"},
			`{"exhibit":"7-B","number":1,"profile":"full","paths":["<&>"],"restart":false,"tool":"tutela 1"}`},
		{Seal{Exhibit: "7-B", Number: 1, Root: root, Records: 2, Bytes: 3, Unreadable: 1, States: StateCounts{Allocated: 1, Slack: 1},
			Sources: []SealedSource{{"a.dd", "raw", 512}}, Volumes: []SealedVolume{{"1", "ntfs", 63, 64}}, Unread: 2},
			`{"exhibit":"7-B","number":1,"root":"` + zeros + `01","records":2,"bytes":3,"unreadable":1,` +
				`"states":{"allocated":1,"deleted":0,"orphan":0,"carved":0,"slack":1,"embedded":0},` +
				`"sources":[{"path":"a.dd","format":"raw","size":512}],` +
				`"volumes":[{"number":"1","filesystem":"ntfs","offset":63,"length":64}],"unread_bytes":2,"tool":""}`},
		{MatchRun{Exhibit: "7-B", Number: 1, Run: 2, Root: root, Matches: 9, Sets: []SetVersion{}, Alerts: 3, OfInterest: 2, KnownGood: 1},
			`{"exhibit":"7-B","number":1,"run":2,"root":"` + zeros + `01","matches":9,"sets":[],"alerts":3,"of_interest":2,"known_good":1}`},
		{SetImport{Set: SetVersion{Name: "s", Version: 1, Status: Alert, Imported: at}, Source: "s.csv", Digest: root, Refused: 4},
			`{"set":{"Name":"s","Version":1,"Status":1,"Scheme":"","Format":"","Imported":"2026-11-23T09:00:00Z","Count":0,"Digest":"` + zeros + `00"},"source":"s.csv","source_sha256":"` + zeros + `01","refused":4}`},
		{SetRemove{Name: "s", Reason: "r"}, `{"name":"s","reason":"r"}`},
		{Revocation{Reference: "W", Reason: "r"}, `{"reference":"W","reason":"r"}`},
		{Transfer{To: "B", Reason: "r"}, `{"to":"B","reason":"r"}`},
	} {
		raw, err := EncodeDetail(c.detail)
		if err != nil || string(raw) != c.want {
			t.Errorf("%T:\n got %s (%v)\nwant %s", c.detail, raw, err, c.want)
			continue
		}
		back := reflect.New(reflect.TypeOf(c.detail))
		if err := DecodeDetail(raw, back.Interface()); err != nil || !reflect.DeepEqual(back.Elem().Interface(), c.detail) {
			t.Errorf("%T came back as %+v (%v)", c.detail, back.Elem(), err)
		}
	}
}

func TestDecodeDetailRefuses(t *testing.T) {
	for _, raw := range []string{"", "{", `{"to":"B"} {}`, `{"to":"B","from":"A"}`, `[]`, `{"to":1}`} {
		var into Transfer
		if err := DecodeDetail([]byte(raw), &into); err == nil {
			t.Errorf("%q was taken as %+v", raw, into)
		}
	}
	if _, err := NewEvent(EventInit, time.Now(), "a", make(chan int)); err == nil {
		t.Error("a channel was encoded")
	}
}

func TestStateCounts(t *testing.T) {
	var c StateCounts
	for s := range State(9) {
		c.Add(s, uint64(s))
	}
	if want := (StateCounts{1, 2, 3, 4, 5, 6}); c != want {
		t.Errorf("%+v, want %+v", c, want)
	}
	for s := range State(9) {
		if want := s >= Allocated && s <= Embedded; want != (c.Of(s) > 0) {
			t.Errorf("%d records in state %d", c.Of(s), s)
		}
	}
}
