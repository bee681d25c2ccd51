package report

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"strings"
	"time"

	"tutela"
)

// sample is a case with an exhibit of every sort of item. All of it is made up.
func sample() *Data {
	at := func(minute int) time.Time { return time.Date(2026, 11, 20, 9, minute, 7, 0, time.UTC) }
	d := &Data{
		Agency: "Example Police", Case: tutela.Case{Number: "2026-17", Title: "Night ferry"},
		To: "Court of First Instance, chamber 3", Purpose: "trial", Issued: time.Date(2026, 11, 26, 10, 30, 0, 0, time.UTC), Officer: "Erika Mustermann",
		Instructions: "Examine the exhibits for contents that the hash sets know.\n\nReport every one with its place.",
		Authorities: []tutela.Authority{
			{Reference: "W-2026-4711", Kind: tutela.SearchWarrant, Issuer: "Example Court", From: at(0), Until: at(0).AddDate(0, 3, 0)},
			{Reference: "P-9", Kind: tutela.ProductionOrder, Issuer: "Public Prosecutor", Until: at(0).AddDate(0, 1, 0), Exhibits: []string{"STICK"}, Actions: []tutela.Action{tutela.ActionScan, tutela.ActionDisclose}, Revoked: at(40)},
		},
		Sets: []tutela.SetVersion{{Name: "demo-alerts", Version: 2, Status: tutela.Alert, Count: 48211, Digest: sha256.Sum256([]byte("set"))}},
		Tools: []Tool{
			{Name: "tutela", Version: "v1.0.0 (linux/amd64)", Role: "read the exhibits, computed digests, matched"},
			{Name: "golang.org/x/image", Version: "v0.47.0", Role: "decoded pictures for perceptual hashes"},
		},
		Validations: []Validation{{Index: 7, Time: at(5), Tool: "tutela v1.0.0", Against: "The Sleuth Kit 4.12.1", Result: "Of 214 entries that the other program listed, 214 were found with the same name, state and content."}},
		Likeness:    ErrorRates{Threshold: 31, MinQuality: 50, Comparisons: 1490262, Pictures: 204, Alterations: 28, Plain: 40.6, Variants: 82.3, Source: "docs/reference/robustness.md of the program"},
		Limitations: []string{"The telephone was not examined: it was not handed over."},
		Log: Log{Origin: "tutela/example-police", Size: 31, Root: sha256.Sum256([]byte("root")),
			Keys:      []string{"tutela/example-police+0a1b2c3d+AX8sGfKz8Y1b6bqk0cDD4oO0t4jvJm3vQ1c2cJ9m2m1r", "tutela/example-police+9f8e7d6c+" + strings.Repeat("Bm9uZQ", 60)},
			Witnesses: []string{"court.example+11223344+BHsGfKz8Y1b6bqk0cDD4oO0t4jvJm3vQ1c2cJ9m2m1rx"}, Quorum: "1 of 1"},
	}
	d.Exhibits = []Exhibit{laptop(at), {Exhibit: tutela.Exhibit{Label: "STICK", Case: "2026-17", Kind: "stick", Serial: "SN-1", Holder: "Example Police"}, Left: 3}}
	return d
}

func laptop(at func(int) time.Time) Exhibit {
	e := Exhibit{Exhibit: tutela.Exhibit{Label: "LAPTOP", Case: "2026-17", Kind: "computer", Make: "Example", Model: "Book 14", Serial: "5CD-0042-XK", SeizedAt: at(0), SeizedFrom: "Harbour Street 5", Holder: "Forensic unit"}}
	for i, kind := range []tutela.EventKind{tutela.EventSeize, tutela.EventTransfer, tutela.EventScanStart, tutela.EventSeal, tutela.EventMatchRun, tutela.EventVerifyImage, tutela.EventAccess} {
		ev := tutela.Event{Kind: kind, Time: at(i), Actor: "Erika Mustermann", Case: "2026-17", Exhibit: "LAPTOP", Signer: "a1b2c3d4"}
		if kind == tutela.EventTransfer {
			ev.Detail, _ = tutela.EncodeDetail(tutela.Transfer{To: "Forensic unit", Reason: "examination"})
		}
		if i > 1 {
			ev.Authority = "W-2026-4711"
		}
		e.Custody = append(e.Custody, Entry{Index: uint64(10 + i), Event: ev})
	}
	e.Scans = []Scan{{
		Number: 1, Profile: "standard", Authority: "W-2026-4711", Started: at(2), Sealed: at(3), SealIndex: 13, Matched: at(4), RunIndex: 14,
		Seal: &tutela.Seal{Exhibit: "LAPTOP", Number: 1, Root: sha256.Sum256([]byte("records")), Records: 12345, Bytes: 2_345_678_901, Unreadable: 2, States: tutela.StateCounts{Allocated: 12000, Deleted: 300, Embedded: 45},
			Sources: []tutela.SealedSource{{Path: "laptop.E01", Format: "e01", Size: 256_060_514_304}}, Volumes: []tutela.SealedVolume{{Number: "1", Filesystem: "ntfs", Offset: 1048576, Length: 256_059_465_728}}, Tool: "tutela v1.0.0"},
		Run:    &tutela.MatchRun{Exhibit: "LAPTOP", Number: 1, Run: 1, Root: sha256.Sum256([]byte("matches")), Alerts: 4, KnownGood: 9000},
		Counts: map[string]uint64{tutela.FindingEncrypted: 2, tutela.FindingAssumed: 11},
	}}
	e.Items = []Item{
		item(17, "/Users/alice/Pictures/ferry & harbour.jpg", tutela.Allocated, tutela.Match{Kind: tutela.MatchSHA256, Row: 12, Category: tutela.Category{Scheme: "demo", Code: "2"}}),
		item(202, "/Users/alice/写真/שלום "+strings.Repeat("a long folder name/", 12)+"x.png", tutela.Deleted, tutela.Match{Kind: tutela.MatchPDQ, Distance: 6, Variant: "rot90", Scale: 8}),
		item(4711, "/Users/alice/Mail/archive.zip!/clip.mp4", tutela.Embedded, tutela.Match{Kind: tutela.MatchVPDQ, Distance: 14, QueryShare: 93, KnownShare: 88}),
	}
	e.Items[0].Content = "content/13-records/17"
	e.Items[1].Record.Findings = []tutela.Finding{{Code: tutela.FindingAssumed, Detail: "2 of 3 clusters"}}
	e.Items[1].Record.Picture = &tutela.Perceptual{Width: 1200, Height: 800}
	e.Items[2].Grade = "not relevant"
	return e
}

func item(leaf uint64, path string, state tutela.State, m tutela.Match) Item {
	content := []byte(path)
	m.Leaf, m.Set, m.Version, m.Status = leaf, "demo-alerts", 2, tutela.Alert
	return Item{Scan: 1, Leaf: leaf, Matches: []tutela.Match{m}, Record: tutela.Record{
		Volume: "1", Path: content, Kind: tutela.File, State: state, Size: int64(len(content)) * 1000, Hashed: true, Type: "image/jpeg",
		Digests: tutela.Digests{MD5: md5.Sum(content), SHA1: sha1.Sum(content), SHA256: sha256.Sum256(content)},
		Times:   tutela.Times{Modified: time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC), Born: time.Date(2025, 2, 1, 12, 0, 0, 0, time.UTC)},
	}}
}
