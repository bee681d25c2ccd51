package ledger

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"
	"tutela"
)

func fullRecord() *tutela.Record {
	at := time.Date(2024, 2, 29, 23, 59, 59, 123456789, time.UTC)
	return &tutela.Record{
		Volume: "2", Path: []byte("/photos/\xff.jpg"),
		Chain: []tutela.Locator{{Layer: "gpt", At: "2"}, {Layer: "ntfs", At: "4711"}},
		Kind:  tutela.File, State: tutela.Deleted, Size: 123456,
		Times:  tutela.Times{Modified: at, Changed: at.Add(-1e18)},
		Runs:   []tutela.Run{{Offset: 4096, Length: 8192}, {Offset: 1 << 40, Length: 512}},
		Unread: []tutela.Run{{Offset: 0, Length: 4096}},
		Hashed: true, Digests: tutela.Digests{MD5: tutela.MD5{1}, SHA1: tutela.SHA1{2}, SHA256: tutela.SHA256{3}},
		Type: "image/jpeg",
		Picture: &tutela.Perceptual{PDQ: tutela.PDQ{9}, Quality: 100, Width: 640, Height: 480, Decoder: "luma 1", Scale: 8,
			Variants: []tutela.Variant{{Name: "rot90", PDQ: tutela.PDQ{7}, Quality: 99}, {Name: "border", PDQ: tutela.PDQ{8}, Quality: 51}}},
		Video: &tutela.Video{Container: "mp4", Codec: "avc1", Width: 1920, Height: 1080, Duration: 90 * time.Second, Decoder: "d 2",
			Frames: []tutela.Frame{{PDQ: tutela.PDQ{1}, Quality: 80}, {At: time.Second + 1, PDQ: tutela.PDQ{2}, Quality: 50}}},
		Findings: []tutela.Finding{{Code: tutela.FindingOverwritten, Detail: "by 17"}, {Code: tutela.FindingLimit}},
		Failure:  "input/output error",
	}
}

// TestRecordEncodingNeverChanges holds the bytes of records, matches and events.
func TestRecordEncodingNeverChanges(t *testing.T) {
	r := &tutela.Record{Volume: "1", Path: []byte("/a"), Kind: tutela.File, State: tutela.Carved, Size: -1,
		Chain: []tutela.Locator{{Layer: "raw", At: "9"}}, Times: tutela.Times{Born: time.Unix(1, 2).UTC()},
		Runs: []tutela.Run{{Offset: 512, Length: 3}}, Unread: []tutela.Run{{Offset: 1, Length: 2}}, Type: "x", Findings: []tutela.Finding{{Code: "c", Detail: "d"}}, Failure: "f"}
	want := []byte("R\x01\x00\x01\x04\x01\x011\x02/a\x01\x03raw\x019\x08\x02\x02\x01\x80\x08\x06\x01\x02\x04\x01x\x01\x01c\x01d\x01f")
	if got := AppendRecord(nil, r); !bytes.Equal(got, want) {
		t.Errorf("record is\n%q, want\n%q", got, want)
	}
	m := &tutela.Match{Leaf: 300, Set: "s", Version: 2, Status: tutela.Alert, Category: tutela.Category{Scheme: "a", Code: "1"},
		Kind: tutela.MatchPDQ, Row: 5, Distance: 31, Variant: "flip"}
	want = []byte("M\x01\x04\x01\xac\x02\x05\x01s\x04\x01a\x011\x3e\x04flip")
	if got := AppendMatch(nil, m); !bytes.Equal(got, want) {
		t.Errorf("match is\n%q, want\n%q", got, want)
	}
	m.Decoder, m.Scale, m.QueryShare, m.KnownShare = "d", 8, 100, 50
	want = []byte("M\x02\x04\x01\xac\x02\x05\x01s\x04\x01a\x011\x3e\x04flip\x01d\x10\xc8\x01d")
	if got := AppendMatch(nil, m); !bytes.Equal(got, want) {
		t.Errorf("match by pixels is\n%q, want\n%q", got, want)
	}
	e := &tutela.Event{Kind: "seal", Time: time.Unix(-1, 5).UTC(), Actor: "o", Case: "c", Exhibit: "x", Authority: "w", Detail: []byte("{}"), Key: "k"}
	want = []byte("E\x01\x04seal\x01\x05\x01o\x01c\x01x\x01w\x02{}\x01k")
	if got := AppendEvent(nil, e); !bytes.Equal(got, want) {
		t.Errorf("event is\n%q, want\n%q", got, want)
	}
	e.Facts, e.Signer, e.Signature, e.Previous = []tutela.Fact{{Name: "n", Number: 300, Value: []byte("v")}}, "0a", []byte("s"), 7
	want = []byte("E\x02\x04seal\x01\x05\x01o\x01c\x01x\x01w\x02{}\x01k\x01\x01n\xac\x02\x01v\x020a\x01s\x07")
	if got := AppendEvent(nil, e); !bytes.Equal(got, want) {
		t.Errorf("event with facts is\n%q, want\n%q", got, want)
	}
	sum := sha256.Sum256(want[:len(want)-6])
	if got, want := string(EventMessage(e)), fmt.Sprintf("tutela-event@v2\n%x\n", sum); got != want {
		t.Errorf("what the actor signs is\n%q, want\n%q", got, want)
	}
}

func TestRecordRoundTrip(t *testing.T) {
	empty := new(tutela.Record)
	far := &tutela.Record{Size: math.MinInt64, Times: tutela.Times{Accessed: time.Unix(math.MaxInt64>>8, 0).UTC()}, Picture: new(tutela.Perceptual)}
	unhashed := fullRecord()
	unhashed.Hashed = false
	plain := fullRecord()
	plain.Picture.Scale, plain.Picture.Variants, plain.Video = 0, nil, nil
	still := fullRecord()
	still.Video.Frames = nil
	for _, r := range []*tutela.Record{fullRecord(), empty, far, unhashed, plain, still} {
		got, err := DecodeRecord(AppendRecord(nil, r))
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%+v came back as %+v, %v", r, got, err)
		}
	}
}

// TestAnyRecordRoundTrips draws records, matches and events.
func TestAnyRecordRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRecord(t)
		if got, err := DecodeRecord(AppendRecord(nil, r)); err != nil || !reflect.DeepEqual(got, r) {
			t.Fatalf("%+v came back as %+v, %v", r, got, err)
		}
		m := rapid.Make[tutela.Match]().Draw(t, "match")
		if got, err := DecodeMatch(AppendMatch(nil, &m)); err != nil || *got != m {
			t.Fatalf("%+v came back as %+v, %v", m, got, err)
		}
	})
}

func drawRecord(t *rapid.T) *tutela.Record {
	r := fullRecord()
	r.Volume = rapid.String().Draw(t, "volume")
	r.Path = nilIfEmpty(rapid.SliceOf(rapid.Byte()).Draw(t, "path"))
	r.Size = rapid.Int64().Draw(t, "size")
	r.Times.Born = time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "born"), 0).UTC()
	r.Runs = nilIfEmpty(rapid.SliceOf(rapid.Make[tutela.Run]()).Draw(t, "runs"))
	r.Unread = nilIfEmpty(rapid.SliceOf(rapid.Make[tutela.Run]()).Draw(t, "unread"))
	r.Findings = nilIfEmpty(rapid.SliceOf(rapid.Make[tutela.Finding]()).Draw(t, "findings"))
	r.Chain = nilIfEmpty(rapid.SliceOf(rapid.Make[tutela.Locator]()).Draw(t, "chain"))
	r.Hashed = rapid.Bool().Draw(t, "hashed")
	return r
}

func nilIfEmpty[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return s
}

func TestDecodeRefusesOtherForms(t *testing.T) {
	good := AppendRecord(nil, fullRecord())
	for name, bad := range map[string][]byte{
		"nothing":           nil,
		"another kind":      append([]byte("M"), good[1:]...),
		"another version":   append([]byte("R\x02"), good[2:]...),
		"unknown flag":      append([]byte("R\x01\x3f"), good[3:]...),
		"variants of none":  []byte("R\x01\x08\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x10\x00\x00\x00"),
		"a byte more":       append(bytes.Clone(good), 0),
		"a long integer":    append([]byte("R\x01\x00\x01\x01\x80\x00"), good[6:]...),
		"digests of zeroes": append(append([]byte("R\x01\x04\x01\x01\x00\x00\x00\x00\x00\x00"), make([]byte, 68)...), 0, 0, 0),
		"a long list":       []byte("R\x01\x00\x01\x01\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
	} {
		if _, err := DecodeRecord(bad); !errors.Is(err, ErrEncoding) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range []string{
		"M\x01\x04\x01\x00\x00\x00\x00\x00\x00\x00",                     // ends in its last string
		"M\x02\x04\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", // version 1 can tell it
		"M\x03\x04\x01\x00\x00\x00\x00\x00\x00\x00\x00",
	} {
		if _, err := DecodeMatch([]byte(bad)); !errors.Is(err, ErrEncoding) {
			t.Errorf("match %q: %v", bad, err)
		}
	}
	for _, bad := range []string{
		"E\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",     // version 1 can tell it
		"E\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\x01\x00\x00\x01", // a long list
	} {
		if _, err := DecodeEvent([]byte(bad)); !errors.Is(err, ErrEncoding) {
			t.Errorf("event %q: %v", bad, err)
		}
	}
	for cut := range good {
		if _, err := DecodeRecord(good[:cut]); !errors.Is(err, ErrEncoding) {
			t.Errorf("cut to %d bytes: %v", cut, err)
		}
	}
}

// oneForm is what every decoder promises of any bytes.
func oneForm[T any](t *testing.T, b []byte, decode func([]byte) (*T, error), encode func([]byte, *T) []byte) {
	t.Helper()
	v, err := decode(b)
	if err != nil && !errors.Is(err, ErrEncoding) {
		t.Errorf("unexpected error: %v", err)
	}
	if err == nil && !bytes.Equal(encode(nil, v), b) {
		t.Errorf("%x was taken and is written as %x", b, encode(nil, v))
	}
}

func FuzzDecodeRecord(f *testing.F) {
	f.Add(AppendRecord(nil, fullRecord()))
	f.Add(AppendRecord(nil, new(tutela.Record)))
	f.Fuzz(func(t *testing.T, b []byte) { oneForm(t, b, DecodeRecord, AppendRecord) })
}

func FuzzDecodeMatch(f *testing.F) {
	f.Add(AppendMatch(nil, &tutela.Match{Leaf: 1 << 63, Set: "s", Distance: 31, Variant: "v"}))
	f.Add(AppendMatch(nil, &tutela.Match{Set: "s", Decoder: "d", Scale: 8}))
	f.Fuzz(func(t *testing.T, b []byte) { oneForm(t, b, DecodeMatch, AppendMatch) })
}

func FuzzDecodeEvent(f *testing.F) {
	f.Add(AppendEvent(nil, &tutela.Event{Kind: tutela.EventSeal, Time: time.Unix(1, 1), Detail: []byte("{}"), Key: "k"}))
	f.Add(AppendEvent(nil, &tutela.Event{Kind: tutela.EventDisclose, Facts: []tutela.Fact{{Name: tutela.FactTo, Value: []byte("c")}}, Signer: "s", Previous: 3}))
	f.Fuzz(func(t *testing.T, b []byte) { oneForm(t, b, DecodeEvent, AppendEvent) })
}

// FuzzOpenTree opens files that are anything: it must refuse or recover, and
// what it recovers must be readable or be refused leaf by leaf.
func FuzzOpenTree(f *testing.F) {
	d := newMemoryDisk()
	if _, err := createAndWrite(d, 9); err != nil {
		f.Fatal(err)
	}
	f.Add(d.files[commitName].cached, d.files[recordsName].cached, d.files[leavesName].cached)
	f.Add(d.files[commitName].cached[:headerSize], []byte{}, []byte{})
	f.Add(d.files[commitName].cached[:200], d.files[recordsName].cached, d.files[leavesName].cached)
	f.Fuzz(func(t *testing.T, commit, records, leaves []byte) {
		d := newMemoryDisk()
		for name, b := range map[string][]byte{commitName: commit, recordsName: records, leavesName: leaves} {
			d.files[name] = &memoryFile{cached: bytes.Clone(b)}
		}
		r, err := readTree(d, testSeed)
		if err == nil {
			if found, err := r.Verify(t.Context(), nil); err == nil && len(found) == 0 && r.Root() != plainRootOf(t, r) {
				t.Error("verified, and the root is another")
			}
		}
		if tree, err := openTree(d, testSeed); err == nil {
			if err := tree.Append([]byte("one more")); err != nil {
				t.Error(err)
			}
			if err := tree.Commit(nil); err != nil {
				t.Error(err)
			}
			if _, err := readTree(d, testSeed); err != nil {
				t.Errorf("a tree that was opened and continued does not open: %v", err)
			}
		}
	})
}
