package report

import (
	"crypto/sha256"
	"fmt"
	"math"
	"strings"
)

// What a reader needs in order to weigh and check the findings.

func limitations(d *Data) section {
	s := section{title: "Limitations and error rates"}
	s.add(list{
		sentence("That an exhibit is what its label says, that an image is a true copy of a device, and that what was done was lawful is not shown by the ledger. The custody record and the authorities speak to it."),
		sentence("Times of files are claims by whoever wrote the medium. Times of the log are of the laboratory's clock, unless a time-stamp of another authority is in the bundle."),
		sentence("What could not be read was not examined (section 4). Files in several pieces, encrypted content and formats that no reader takes may hold more."),
		sentence("Content of deleted files may have been overwritten in part. Where its place was inferred, the item says so."),
		sentence("A match by digest shows that two contents are the same, with SHA-256 for all practical purposes beyond doubt. MD5 and SHA-1 can be forged by whoever makes both contents; where a set has no better digest, a match by them is weaker."),
		sentence("A match by likeness shows that two pictures look alike to a computation. A person must compare the pictures."),
		sentence("That a hash set is right is not shown. No match says nothing about what an item is."),
	})
	s.add(errorRates(d.Likeness)...)
	for _, one := range d.Limitations {
		s.add(list{sentence(one)})
	}
	return s
}

func errorRates(e ErrorRates) []block {
	if e.Comparisons == 0 {
		return []block{sentence("No error rate of perceptual hashes was given to this report.")}
	}
	return []block{
		heading{"Measured error rates of perceptual hashes (PDQ)"},
		facts{
			{"Threshold", sentence(fmt.Sprintf("%d of 256 bits; hashes of quality below %d are not matched", e.Threshold, e.MinQuality))},
			{"False matches", sentence(fmt.Sprintf("%s in %s comparisons of pictures that do not show the same", thousands(e.FalseMatches), thousands(e.Comparisons)))},
			{"That means", sentence(bound(e))},
			{"Missed copies", sentence(fmt.Sprintf("of %d pictures altered in %d ways, %.1f %% of the copies were found by the hash of the file as it is and %.1f %% with variants; the others were missed", e.Pictures, e.Alterations, e.Plain, e.Variants))},
			{"Source", sentence(e.Source)},
		},
		sentence("The rates hold for the pictures that were measured. Pictures of text, of logos and of plain surfaces are more alike than others, and pictures altered on purpose are missed more often."),
	}
}

// bound is the rate of false matches below which the true one lies with 95 %
// confidence: 3 of n where none was seen (the rule of three), else Wald's
// interval with a correction for small numbers (Agresti and Coull 1998).
func bound(e ErrorRates) string {
	n, k := float64(e.Comparisons), float64(e.FalseMatches)
	upper := 3 / n
	if k > 0 {
		const z = 1.96
		p := (k + z*z/2) / (n + z*z)
		upper = p + z*math.Sqrt(p*(1-p)/(n+z*z))
	}
	return fmt.Sprintf("with 95 %% confidence fewer than 1 false match in %s comparisons, were they independent of one another; one file is compared with every row of a set", thousands(uint64(math.Round(1/upper))))
}

func means(d *Data) section {
	s := section{title: "Tools, hash sets and validation"}
	if len(d.Tools) > 0 {
		t := table{caption: "Tools", head: []string{"Tool", "Version", "What it did"}, shares: []float64{.22, .33, .45}}
		for _, tool := range d.Tools {
			t.rows = append(t.rows, []paragraph{sentence(tool.Name), sentence(tool.Version), sentence(tool.Role)})
		}
		s.add(t)
	}
	if len(d.Sets) > 0 {
		t := table{caption: "Hash sets", head: []string{"Set", "Version", "Status", "Entries", "SHA-256 of the compiled set"}, shares: []float64{.2, .09, .13, .13, .45}, numbers: []bool{false, false, false, true, false}}
		for _, set := range d.Sets {
			t.rows = append(t.rows, []paragraph{sentence(set.Name), sentence(fmt.Sprint(set.Version)), sentence(set.Status.String()), sentence(size(set.Count)), verbatim(set.Digest.String())})
		}
		s.add(t)
	}
	s.add(validation(d)...)
	return s
}

func validation(d *Data) []block {
	if len(d.Validations) == 0 {
		return []block{sentence("No validation of the tool is recorded in the ledger.")}
	}
	t := table{caption: "Validation, as recorded in the ledger", head: []string{"Entry", "Time (UTC)", "Tool", "Held against", "Result"}, shares: []float64{.08, .15, .2, .2, .37}}
	for _, v := range d.Validations {
		t.rows = append(t.rows, []paragraph{sentence(fmt.Sprint(v.Index)), sentence(second(v.Time)), sentence(v.Tool), sentence(v.Against), sentence(v.Result)})
	}
	return []block{t}
}

func checking(d *Data) section {
	s := section{title: "How to check this report"}
	s.add(sentence("The facts above rest on a hash ledger. Each scan has a tree of hashes with one leaf for each recorded entry; the root of the tree stands in the agency's log, " +
		"whose head is signed and kept by others. Whoever has a disclosure bundle can compute every step again, with the program below or one of their own:"))
	s.add(list{
		say(exact("python3 verify.py BUNDLE"), text(" needs Python 3 alone and no network; the program lies in the bundle and can be read in an hour.")),
		say(exact("tutela verify BUNDLE"), text(" is another program that checks the same rules.")),
		say(exact("sha256sum FILE"), text(" computes the SHA-256 of a file, to hold against section 5.")),
	})
	s.add(say(text("Obtain the keys by another way than this report, for example from the agency's publication, and compare their fingerprints with those below: "), exact("printf %s KEY | sha256sum"),
		text(", where KEY is what stands behind log or witness in the bundle's file policy. All keys of the log must have signed.")))
	s.add(keys("Keys of the log", d.Log.Keys))
	if len(d.Log.Witnesses) > 0 {
		s.add(keys("Keys of witnesses, of whom "+orBlank(d.Log.Quorum, "some")+" must have cosigned", d.Log.Witnesses))
	} else {
		s.add(sentence("No witness outside the agency cosigns this log: that it was never rewritten as a whole rests on heads that others kept."))
	}
	return s
}

// keys shows vkeys of C2SP signed-note (name, key ID, key) by their fingerprints:
// a post-quantum key would fill half a page, and a key ID alone can be forged.
func keys(caption string, vkeys []string) block {
	t := table{caption: caption, head: []string{"Name", "Key ID", "SHA-256 of the key's line without its end"}, shares: []float64{.25, .11, .64}}
	for _, vkey := range vkeys {
		name, rest, _ := strings.Cut(vkey, "+")
		id, _, _ := strings.Cut(rest, "+")
		t.rows = append(t.rows, []paragraph{sentence(name), verbatim(id), verbatim(fmt.Sprintf("%x", sha256.Sum256([]byte(vkey))))})
	}
	return t
}

func glossary() section {
	s := section{title: "Words used here"}
	var entries facts
	for _, e := range [][2]string{
		{"Agency log", "the laboratory's log of events, each with a number (entry). Entries are added and never changed."},
		{"Alert, of interest, known good", "the status that a hash set was imported with. It orders the work and decides nothing."},
		{"Digest", "a number computed of a content (MD5, SHA-1, SHA-256). Equal contents have equal digests."},
		{"Hash set", "a list of digests of contents that somebody knows."},
		{"Leaf", "the number of a recorded entry within its scan."},
		{"Path", `where an item lies. "!/" stands before a path inside a file. \xNN stands for a byte that is no text, a control character, a backslash or a space that could not be seen; \u{XXXX} for a character of Unicode that this document cannot show.`},
		{"Perceptual hash, PDQ", "256 bits computed of what a picture looks like. Pictures that look alike differ in few bits."},
		{"Root", "one number for all leaves of a tree. If any leaf is changed, added or left out, the root is another."},
		{"Seal", "the entry of the log that fixes the root and the number of leaves of a finished scan."},
		{"Variant", "the perceptual hash of the same picture turned, mirrored, without its border, or of a part of it."},
		{"Witness", "somebody outside the agency who signs the log's head and refuses one that contradicts an earlier."},
	} {
		entries = append(entries, pair{e[0], sentence(e[1])})
	}
	s.add(entries)
	return s
}
