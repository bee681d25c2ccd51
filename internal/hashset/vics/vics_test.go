package vics

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/hashset/feed"
)

func sample(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("../testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func read(text, scheme string) (*Reader, []tutela.Assertion, error) {
	r, err := NewReader(strings.NewReader(text), scheme)
	if err != nil {
		return nil, nil, err
	}
	var out []tutela.Assertion
	for {
		a, err := r.Next()
		if err == io.EOF {
			return r, out, nil
		}
		if err != nil {
			return r, out, err
		}
		out = append(out, a)
	}
}

func mustRead(t *testing.T, text, scheme string) (*Reader, []tutela.Assertion) {
	t.Helper()
	r, all, err := read(text, scheme)
	if err != nil {
		t.Fatal(err)
	}
	return r, all
}

func TestSamples(t *testing.T) {
	for name, want := range map[string]struct {
		context Context
		scheme  string
		count   int
		first   string
	}{
		"vics13_media.json":         {Context{"1.3", "", false}, "vics-default", 1, "vics-default:1"},
		"vics20_media_default.json": {Context{"2.0", "Default", false}, "vics-default", 4, "vics-default:1"},
		"vics20_cases_us.json":      {Context{"2.0", "US", true}, "vics-us", 1, "vics-us:1"},
		"vics20_cases_us_bom.json":  {Context{"2.0", "US", true}, "vics-us", 1, "vics-us:1"},
		"nist_caid12_media.json":    {Context{"1.2", "", false}, "vics-default", 1, "vics-default:0"},
	} {
		r, all := mustRead(t, sample(t, name), "")
		if r.Context() != want.context || r.Scheme() != want.scheme || len(all) != want.count {
			t.Errorf("%s: %+v, %s, %d records; want %+v", name, r.Context(), r.Scheme(), len(all), want)
			continue
		}
		if got := all[0].Category.String(); got != want.first {
			t.Errorf("%s: first category %s, want %s", name, got, want.first)
		}
	}
}

func TestMediaDefault(t *testing.T) {
	_, all := mustRead(t, sample(t, "vics20_media_default.json"), "")
	if all[0].Series != "SYNTHETIC SERIES A" || all[0].Size != 13 || all[0].MD5.String() != "728ee0a8939199ca5b0e8d16fe171dba" {
		t.Errorf("first record: %+v", all[0])
	}
	if all[1].SHA256 == nil || all[1].SHA256.String() != "c544fc290ce205372c95b5ead32a2df8f81bc36b5296096a475a276c5f576f81" {
		t.Errorf("the alternative SHA-256 of the second record was not read: %+v", all[1])
	}
	if all[2].Category.Code != "0" || all[3].Category != (tutela.Category{}) {
		t.Errorf("categories 0 and null became %v and %v", all[2].Category, all[3].Category)
	}
}

const headUK = `{"@odata.context":"http://x/ProjectVic/DataModels/2.0.xml/%s/$metadata#Media","value":[`

func TestCategories(t *testing.T) {
	for _, c := range []struct{ profile, json, want string }{
		{"UK", "1", "caid-uk:1"}, {"UK", "5", "caid-uk:5"}, {"US", "5", ""}, {"Default", `"5"`, ""}, {"US", `"3"`, "vics-us:3"},
		{"CUSTOM", "7", "vics-custom:7"}, {"Default", "null", ""}, {"US", `""`, ""}, {"US", "-1", "vics-us:-1"},
	} {
		_, all := mustRead(t, fmt.Sprintf(headUK, c.profile)+`{"Category":`+c.json+`}]}`, "")
		if got := all[0].Category.String(); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.profile, c.json, got, c.want)
		}
	}
	_, all := mustRead(t, fmt.Sprintf(headUK, "CUSTOM")+`{"Category":2}]}`, "own")
	if got := all[0].Category.String(); got != "own:2" {
		t.Errorf("with a scheme given: %q", got)
	}
}

func TestTolerance(t *testing.T) {
	_, all := mustRead(t, fmt.Sprintf(headUK, "US")+`
		{"MediaID":1,"MD5":"","SHA1":null,"MediaSize":"13","VictimIdentified":"true","PhotoDNA":"AAEC"},
		{"MediaID":1,"MD5":"728EE0A8939199CA5B0E8D16FE171DBA","VictimIdentified":false,"MediaSize":-1,"Exifs":[{"a":{}}],
		 "AlternativeHashes":[{"HashName":"PDQ","HashValue":"`+strings.Repeat("f0", 32)+`"},{"HashName":"SHA-1","HashValue":"6DE3322C12B30210033FD2E5DF3044C947C96084"},{"HashName":"F1","HashValue":"?"}]}
		], "@odata.count": 2, "more": [{}]}  `, "")
	if len(all) != 2 || all[0].MD5 != nil || all[0].SHA1 != nil || all[0].Size != 13 {
		t.Fatalf("read %+v", all)
	}
	if all[1].PDQ == nil || all[1].SHA1 == nil || all[1].Size != -1 {
		t.Errorf("read %+v", all[1])
	}
}

func TestEmptyAndManyCases(t *testing.T) {
	head := `{"@odata.context":"http://x/DataModels/2.0.xml/US/$metadata#Cases","value":[`
	_, all := mustRead(t, head+`{"Media":null},{},{"Media":[{"MD5":"728EE0A8939199CA5B0E8D16FE171DBA"}],"x":1},{"Media":[{},{}]}]}`, "")
	if len(all) != 3 {
		t.Errorf("%d records, want 3", len(all))
	}
	_, all = mustRead(t, head+`]}`, "")
	if len(all) != 0 {
		t.Errorf("%d records, want 0", len(all))
	}
}

func TestMalformed(t *testing.T) {
	head := fmt.Sprintf(headUK, "US") + `{"MD5":"728EE0A8939199CA5B0E8D16FE171DBA"},`
	for name, c := range map[string]string{
		"cut in a record":       head + `{"MD5":"72`,
		"cut between records":   head,
		"cut after the list":    strings.TrimSuffix(head, ",") + `]`,
		"text after the end":    strings.TrimSuffix(head, ",") + `]}{`,
		"short digest":          head + `{"MD5":"72"}]}`,
		"category is a word":    head + `{"Category":"one"}]}`,
		"category is a list":    head + `{"Category":[1]}]}`,
		"size is negative":      head + `{"MediaSize":-7}]}`,
		"two different digests": head + `{"SHA1":"6DE3322C12B30210033FD2E5DF3044C947C96084","AlternativeHashes":[{"HashName":"SHA1","HashValue":"0DE3322C12B30210033FD2E5DF3044C947C96084"}]}]}`,
		"a second list":         strings.TrimSuffix(head, ",") + `],"value":[]}`,
	} {
		_, all, err := read(c, "")
		var place *feed.PlaceError
		if err == nil || len(all) > 1 {
			t.Errorf("%s: %d records, error %v", name, len(all), err)
		} else if strings.HasPrefix(name, "cut in") && (!errors.As(err, &place) || place.Number != 2) {
			t.Errorf("%s: error %v, want one of record 2", name, err)
		}
	}
}

func TestHeads(t *testing.T) {
	for name, text := range map[string]string{
		"no context":        `{"value":[{"MD5":""}]}`,
		"foreign context":   `{"@odata.context":"http://x/#Media","value":[]}`,
		"neither kind":      `{"@odata.context":"http://x/DataModels/2.0.xml/US/$metadata#Exifs","value":[]}`,
		"no list":           `{"@odata.context":"http://x/DataModels/2.0.xml/US/$metadata#Media"}`,
		"list is no list":   `{"@odata.context":"http://x/DataModels/2.0.xml/US/$metadata#Media","value":{}}`,
		"an array":          `[]`,
		"nothing":           ``,
		"a path as profile": `{"@odata.context":"http://x/DataModels/2.0.xml/../$metadata#Media","value":[]}`,
	} {
		if _, _, err := read(text, ""); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, all := mustRead(t, `{"value":[{"Category":1}]}`, "own"); len(all) != 1 {
		t.Error("a file without context was not read under a given scheme")
	}
}

// endless is a record that never ends.
type endless struct{ head string }

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.head)
	e.head = e.head[n:]
	for i := n; i < len(p); i++ {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestEndlessRecordIsCut(t *testing.T) {
	r, err := NewReader(&endless{fmt.Sprintf(headUK, "US") + `{"Miniature":"`}, "")
	if err == nil {
		_, err = r.Next()
	}
	if !errors.Is(err, feed.ErrTooLong) {
		t.Errorf("error %v, want %v", err, feed.ErrTooLong)
	}
}

func FuzzReader(f *testing.F) {
	for _, name := range []string{"vics13_media.json", "vics20_media_default.json", "vics20_cases_us_bom.json", "nist_caid12_media.json"} {
		f.Add(sample(f, name))
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, all, err := read(text, "")
		for _, a := range all {
			if a.Size < -1 || (a.Category.Code == "") != (a.Category.Scheme == "") {
				t.Fatalf("read %+v, error %v", a, err)
			}
		}
	})
}
