package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tutela"
)

// findings are facts in numbered paragraphs, each with its place in the ledger.
func findings(d *Data, n *numbering) section {
	s := section{title: "Findings of fact"}
	s.add(sentence("Each paragraph states what was observed of one item, and what that has in common with a hash set. A match is a lead and says what two contents have in common; " +
		"what a content is was said by whoever put it into the set, and is not asserted here."))
	for _, e := range d.Exhibits {
		s.add(heading{"Exhibit " + e.Label})
		if len(e.Items) == 0 && e.Left == 0 {
			s.add(sentence("Nothing on this exhibit fits the purpose of this report."))
		}
		for _, item := range e.Items {
			s.add(itemFact(d, e, item, n.next()))
		}
		if e.Left > 0 {
			s.add(sentence(fmt.Sprintf("%s more fit and are not described here. They stand in the ledger under the same root.", count(e.Left, "item"))))
		}
	}
	return s
}

func itemFact(d *Data, e Exhibit, item Item, number int) fact {
	r := &item.Record
	f := fact{number: number, ref: reference(e, item)}
	f.say = append(say(bold(opening(r)), text(" "), exact(shownPath(r.Path))), text(state(r)))
	f.more = append(f.more, digests(r)...)
	if when := times(r.Times); when != "" {
		f.more = append(f.more, sentence(when))
	}
	for _, m := range item.Matches {
		f.more = append(f.more, met(d, m))
	}
	for _, finding := range r.Findings {
		f.more = append(f.more, say(text("Note ("+finding.Code+"): "+joinedDash(findingWords[finding.Code], finding.Detail)+".")))
	}
	if r.Failure != "" {
		f.more = append(f.more, sentence("It could not be read whole: "+r.Failure+"."))
	}
	if item.Grade != "" {
		f.more = append(f.more, sentence("A person graded it: "+item.Grade+"."))
	}
	if item.Content != "" {
		f.more = append(f.more, say(text("Its content is in this bundle: "), exact(item.Content)))
	}
	return f
}

func joinedDash(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + ": " + b
}

func opening(r *tutela.Record) string {
	name := r.Kind.String()
	name = strings.ToUpper(name[:1]) + name[1:]
	if r.Volume != "" {
		name += ", volume " + r.Volume + ","
	}
	return name
}

// state says how the bytes were found, how many they are and of what type.
func state(r *tutela.Record) string {
	s := ": " + stateWords[r.State]
	if r.Size >= 0 {
		s += ", " + count(uint64(r.Size), "byte")
	}
	if r.Type != "" {
		s += ", by its content " + r.Type
	}
	if p := r.Picture; p != nil {
		s += fmt.Sprintf(", %d × %d pixels", p.Width, p.Height)
	}
	return s + "."
}

// stateWords says what the states mean.
var stateWords = map[tutela.State]string{
	tutela.Allocated: "listed by the file system", tutela.Deleted: "deleted, its folder is known", tutela.Orphan: "deleted, its folder is not known",
	tutela.Carved: "found by its content alone", tutela.Slack: "in space that no file claims", tutela.Embedded: "inside another file",
}

func digests(r *tutela.Record) []paragraph {
	if !r.Hashed {
		return []paragraph{sentence("Its content has no digest.")}
	}
	return []paragraph{
		say(text("SHA-256 "), exact(r.Digests.SHA256.String())),
		say(text("SHA-1 "), exact(r.Digests.SHA1.String()), text("  MD5 "), exact(r.Digests.MD5.String())),
	}
}

// times are the file's own, which are claims by whoever wrote it.
func times(t tutela.Times) string {
	var parts []string
	for _, one := range []struct {
		name string
		at   time.Time
	}{{"made", t.Born}, {"modified", t.Modified}, {"changed", t.Changed}, {"accessed", t.Accessed}} {
		if !one.at.IsZero() {
			parts = append(parts, one.name+" "+second(one.at))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "Its file system says: " + strings.Join(parts, ", ") + " (UTC)."
}

// met says what a match is, in words that say no more than it shows.
func met(d *Data, m tutela.Match) paragraph {
	p := say(text(fmt.Sprintf("Set %s, version %d, status %s, row %d: ", m.Set, m.Version, m.Status, m.Row)), text(likeness(d, m)))
	if c := m.Category.String(); c != "" {
		p = append(p, text(" The set's author classified the known content as "+c+"."))
	}
	return p
}

func likeness(d *Data, m tutela.Match) string {
	switch m.Kind {
	case tutela.MatchMD5, tutela.MatchSHA1, tutela.MatchSHA256:
		return "the same content, by " + digestNames[m.Kind] + "."
	case tutela.MatchPDQ:
		return alike(d, m) + "."
	case tutela.MatchVPDQ:
		return fmt.Sprintf("a video of which %d %% of the frames look like frames of the known video, and %d %% of the known video's like its; the nearest frames differ in %d of 256 bits.",
			m.QueryShare, m.KnownShare, m.Distance)
	case tutela.MatchFeature:
		return fmt.Sprintf("places in both pictures look and lie alike; %d %% of those that both should show agree.", m.QueryShare)
	}
	return m.Kind.String() + "."
}

var digestNames = map[tutela.MatchKind]string{tutela.MatchMD5: "MD5", tutela.MatchSHA1: "SHA-1", tutela.MatchSHA256: "SHA-256"}

func alike(d *Data, m tutela.Match) string {
	s := fmt.Sprintf("a picture that looks alike: the perceptual hashes (PDQ) differ in %d of 256 bits", m.Distance)
	if d.Likeness.Threshold > 0 {
		s += fmt.Sprintf(", at most %d count as alike", d.Likeness.Threshold)
	}
	if m.Variant != "" {
		s += "; compared was the picture changed thus: " + m.Variant
	}
	if m.Scale != 0 {
		s += "; the hash was made quickly and not confirmed, the exact one may differ by a few bits"
	}
	return s
}

// reference is where in the ledger an item is recorded.
func reference(e Exhibit, item Item) string {
	at := fmt.Sprintf("Exhibit %s, scan %d, leaf %d", e.Label, item.Scan, item.Leaf)
	for _, s := range e.Scans {
		if s.Number != item.Scan || s.Seal == nil {
			continue
		}
		at += fmt.Sprintf("; sealed by entry %d of the log", s.SealIndex)
		if s.Run != nil && len(item.Matches) > 0 {
			at += fmt.Sprintf(", matched by entry %d", s.RunIndex)
		}
	}
	return at
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
