package report

import (
	"fmt"
	"io"
	"strings"

	"tutela"
)

// Certificate writes the draft of a certificate under Rule 902(14) of the US
// Federal Rules of Evidence as PDF. It is a draft: a qualified person fills in
// who they are and signs, after counsel has checked it.
func Certificate(w io.Writer, d *Data) error { return writePDF(w, certify(d), d.Issued) }

// CertificateHTML is [Certificate] as HTML.
func CertificateHTML(w io.Writer, d *Data) error { return writeHTML(w, certify(d), d.Issued) }

func certify(d *Data) *document {
	n := &numbering{}
	return &document{
		title:    "Certificate of authenticity",
		subtitle: "Data copied from electronic devices and storage media: Federal Rules of Evidence 902(14), 902(11)",
		running:  "Case " + d.Case.Number + " · " + d.Agency,
		root:     d.Log.Root.String(),
		mark:     "DRAFT",
		author:   d.Agency,
		front: append(known(
			pair{"Case", sentence(joined(d.Case.Number, d.Case.Title))},
			pair{"Agency", sentence(d.Agency)},
			pair{"Prepared", sentence(moment(d.Issued))},
		), pair{"Court and docket", say(fill("court"), text(", "), fill("docket number"))}),
		sections: []section{
			forCounsel(),
			person(n),
			process(d, n),
			identified(d, n),
			declaration(),
		},
	}
}

// forCounsel says what the draft is not.
func forCounsel() section {
	s := section{title: "Before this is used"}
	s.add(list{
		say(bold("This is a draft that a program filled in. "), text("It certifies nothing until a qualified person has checked every statement, filled in the marked places and signed.")),
		sentence("Counsel must check that form and content meet the rule and the law of the court. It is not legal advice."),
		sentence("Rule 902(14) takes over the notice of Rule 902(11): before the trial or hearing the adverse party must be given reasonable written notice of the intent to offer the record, and record and certificate must be made available for inspection, so that the party has a fair opportunity to challenge them."),
		sentence("The certificate speaks to authenticity alone. Objections on other grounds, hearsay and relevance among them, stay open."),
	})
	return s
}

func person(n *numbering) section {
	s := section{title: "The person who certifies"}
	s.add(
		fact{number: n.next(), say: say(text("My name is "), fill("name"), text(". I am "), fill("position"), text(" at "), fill("agency and address"), text("."))},
		fact{number: n.next(), say: say(text("I am qualified to give this certificate by "), fill("training, experience, certifications"), text("."))},
		fact{number: n.next(), say: say(text("I know what is stated below from "), fill("my own work on the exhibits / the records of the agency, which I have examined"), text("."))},
	)
	return s
}

// process describes how the data was identified, and what shows that it was
// identified rightly.
func process(d *Data, n *numbering) section {
	s := section{title: "The process of digital identification"}
	for _, one := range []string{
		"The exhibits named below were read without altering them: the program opens evidence for reading alone.",
		"Of each file that could be read whole, three digests of its content were computed in one reading: SHA-256, SHA-1 and MD5. A digest is a number that a published algorithm computes of a content. " +
			"Two contents with the same SHA-256 are the same for all practical purposes: no two different ones have become known.",
		"For each entry a record of what was observed was written, and its hash became one leaf of a tree of hashes (RFC 6962). The root of that tree and the number of leaves were entered in the agency's log, whose head is signed (Ed25519 and ML-DSA-44). " +
			"Changing, leaving out or adding any record afterwards would give another root.",
		"A copy is compared with the original by computing its SHA-256 again. Where it is the same as in the record, the copy is an exact duplicate of what was read.",
	} {
		s.add(fact{number: n.next(), say: sentence(one)})
	}
	s.add(fact{number: n.next(), say: sentence("The process was done by: " + tools(d) + ".")})
	if len(d.Validations) == 0 {
		s.add(fact{number: n.next(), say: say(text("That the process gives accurate results: the ledger records no validation of the tool. "), fill("how it was validated, or strike out"))})
	}
	for _, v := range d.Validations {
		s.add(fact{number: n.next(), say: sentence(fmt.Sprintf("That the process gives accurate results was tested on %s (%s, against %s): %s", moment(v.Time), v.Tool, v.Against, v.Result)), ref: fmt.Sprintf("Entry %d of the log", v.Index)})
	}
	return s
}

func tools(d *Data) string {
	var names []string
	for _, t := range d.Tools {
		names = append(names, strings.TrimSpace(t.Name+" "+t.Version))
	}
	if len(names) == 0 {
		return "the program tutela"
	}
	return strings.Join(names, "; ")
}

// identified lists what is certified: exhibits by root, items by digest.
func identified(d *Data, n *numbering) section {
	s := section{title: "What is certified"}
	s.add(fact{number: n.next(), say: sentence("On the dates given, the following exhibits were read and the roots entered in the log " + d.Log.Origin + ":")}, scansCertified(d))
	for _, e := range d.Exhibits {
		for _, ev := range e.Custody {
			if ev.Kind == tutela.EventVerifyImage {
				s.add(fact{number: n.next(), say: sentence(fmt.Sprintf("On %s the image of exhibit %s was read whole and held against the digests that were stored in it when it was acquired.", moment(ev.Time), e.Label)), ref: fmt.Sprintf("Entry %d of the log", ev.Index)})
			}
		}
	}
	t := itemsCertified(d)
	if len(t.rows) == 0 {
		return s
	}
	s.add(fact{number: n.next(), say: sentence("The following items are copied from those exhibits. The SHA-256 of each copy is that of the record, and the copy therefore an exact duplicate of the content that was read:")}, t,
		fact{number: n.next(), say: say(text("I computed the SHA-256 of each copy on "), fill("date"), text(" and compared it with the table: "), fill("all are the same / exceptions"), text("."))})
	return s
}

func scansCertified(d *Data) table {
	t := table{caption: "Exhibits", head: []string{"Exhibit", "Device", "Sealed (UTC)", "Entries", "Log entry and root"}, shares: []float64{.14, .21, .13, .12, .4}, numbers: []bool{false, false, false, true, false}}
	for _, e := range d.Exhibits {
		for _, scan := range e.Scans {
			if scan.Seal == nil {
				continue
			}
			t.rows = append(t.rows, []paragraph{
				sentence(fmt.Sprintf("%s, scan %d", e.Label, scan.Number)), sentence(joined(e.Kind, e.Make, e.Model, e.Serial)), sentence(second(scan.Sealed)),
				sentence(thousands(scan.Seal.Records)), say(text(fmt.Sprintf("%d: ", scan.SealIndex)), exact(scan.Seal.Root.String())),
			})
		}
	}
	return t
}

// itemsCertified lists the items whose whole content was read: only of those can
// be certified what they are.
func itemsCertified(d *Data) table {
	t := table{caption: "Items", head: []string{"Exhibit, scan, leaf", "Path", "Bytes", "SHA-256"}, shares: []float64{.16, .32, .13, .39}, numbers: []bool{false, false, true, false}}
	for _, e := range d.Exhibits {
		for _, item := range e.Items {
			r := &item.Record
			if !r.Hashed || !r.Readable() {
				continue
			}
			t.rows = append(t.rows, []paragraph{
				sentence(fmt.Sprintf("%s, %d, %d", e.Label, item.Scan, item.Leaf)), verbatim(shownPath(r.Path)), sentence(size(r.Size)), verbatim(r.Digests.SHA256.String()),
			})
		}
	}
	return t
}

func declaration() section {
	s := section{title: "Declaration"}
	s.add(say(text("I declare under penalty of perjury under the laws of the United States of America that the foregoing is true and correct (28 U.S.C. § 1746). Executed on "), fill("date"), text(" at "), fill("place"), text(".")),
		signature{[]string{"Signature", "Name in block letters"}})
	return s
}
