package report

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"tutela"
)

// errUndated is returned where Data.Issued is the zero time: a document that
// dates itself could not be made twice.
var errUndated = errors.New("a report needs the time at which it is issued")

// PDF writes the report as PDF: A4, fonts embedded.
func PDF(w io.Writer, d *Data) error { return writePDF(w, tell(d), d.Issued) }

// HTML writes the report as one page that needs nothing else.
func HTML(w io.Writer, d *Data) error { return writeHTML(w, tell(d), d.Issued) }

// tell is the report's story, from who asked to how to check it.
func tell(d *Data) *document {
	doc := &document{
		title:    "Report of examination",
		subtitle: "Digital exhibits of case " + d.Case.Number,
		running:  "Case " + d.Case.Number + " · " + d.Agency,
		root:     d.Log.Root.String(),
		author:   d.Agency,
		front:    front(d),
		numbered: true,
	}
	n := &numbering{}
	doc.sections = []section{
		summary(d),
		instructions(d),
		custody(d),
		examination(d),
		findings(d, n),
		opinion(d),
		limitations(d),
		means(d),
		checking(d),
		glossary(),
		signing(d),
	}
	return doc
}

// numbering counts the facts of a document through all its sections.
type numbering struct{ last int }

func (n *numbering) next() int { n.last++; return n.last }

func front(d *Data) []pair {
	return known(
		pair{"Case", sentence(joined(d.Case.Number, d.Case.Title))},
		pair{"Agency", sentence(d.Agency)},
		pair{"For", sentence(d.To)},
		pair{"Purpose", sentence(d.Purpose)},
		pair{"Issued", sentence(moment(d.Issued))},
		pair{"Officer", sentence(d.Officer)},
		pair{"Ledger", say(exact(d.Log.Origin), text(fmt.Sprintf(", %s", count(d.Log.Size, "entry"))))},
		pair{"Root", verbatim(d.Log.Root.String())},
	)
}

func joined(parts ...string) string {
	var there []string
	for _, p := range parts {
		if p != "" {
			there = append(there, p)
		}
	}
	return strings.Join(there, ", ")
}

func summary(d *Data) section {
	s := section{title: "Summary"}
	var scans int
	var files, bytes, unread uint64
	var items, left uint64
	for _, e := range d.Exhibits {
		items, left = items+uint64(len(e.Items)), left+e.Left
		for _, scan := range e.Scans {
			if scan.Seal != nil {
				scans++
				files, bytes, unread = files+scan.Seal.Records, bytes+uint64(scan.Seal.Bytes), unread+scan.Seal.Unreadable
			}
		}
	}
	s.add(sentence(fmt.Sprintf("%s of this case %s examined in %s. %s recorded and %s of content read; %s could not be read, or not whole.",
		count(len(d.Exhibits), "exhibit"), wasWere(len(d.Exhibits)), count(scans, "finished scan"), wereRecorded(files), byteSize(bytes), count(unread, "entry"))))
	s.add(sentence(fmt.Sprintf("This report describes %s of %s that fit its purpose, each by its place in the ledger, its digests, and what it has in common with hash sets (section 5). "+
		"It states facts. What they mean for the case is for the court; an opinion, if one is given, stands apart in section 6.",
		count(items, "item"), thousands(items+left))))
	s.add(sentence("Everything stated here can be checked without the agency and without its program: section 9 says how."))
	return s
}

func wasWere(n int) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

func wereRecorded(n uint64) string {
	if n == 1 {
		return "1 entry was"
	}
	return thousands(n) + " entries were"
}

func instructions(d *Data) section {
	s := section{title: "Instructions and authority"}
	if told := prose(d.Instructions); len(told) > 0 {
		s.add(told...)
	} else {
		s.add(sentence("No instructions are recorded beside the orders below."))
	}
	if len(d.Authorities) == 0 {
		s.add(sentence("No authority is recorded."))
		return s
	}
	t := table{caption: "Authorities", head: []string{"Reference", "Kind", "Issued by", "Valid (UTC)", "Covers"}, shares: []float64{.2, .17, .21, .22, .2}}
	for _, a := range d.Authorities {
		t.rows = append(t.rows, []paragraph{sentence(a.Reference), sentence(words(string(a.Kind))), sentence(a.Issuer), sentence(validity(a)), sentence(scope(a))})
	}
	s.add(t)
	return s
}

func validity(a tutela.Authority) string {
	v := "until " + day(a.Until)
	if !a.From.IsZero() {
		v = "from " + day(a.From) + " " + v
	}
	if !a.Revoked.IsZero() {
		v += "; revoked " + moment(a.Revoked)
	}
	return v
}

func scope(a tutela.Authority) string {
	exhibits, actions := "all exhibits", "all acts but erasing"
	if len(a.Exhibits) > 0 {
		exhibits = strings.Join(a.Exhibits, ", ")
	}
	if len(a.Actions) > 0 {
		var names []string
		for _, action := range a.Actions {
			names = append(names, string(action))
		}
		actions = strings.Join(names, ", ")
	}
	return exhibits + "; " + actions
}

func custody(d *Data) section {
	s := section{title: "Exhibits and their custody"}
	if len(d.Exhibits) == 0 {
		s.add(sentence("The case has no exhibit."))
	}
	for _, e := range d.Exhibits {
		s.add(heading{"Exhibit " + e.Label}, describe(e), custodyOf(e))
	}
	return s
}

func describe(e Exhibit) facts {
	return known(
		pair{"Kind", sentence(e.Kind)},
		pair{"Make and model", sentence(joined(e.Make, e.Model))},
		pair{"Serial number", say(exact(e.Serial))},
		pair{"Seized", sentence(joined(moment(e.SeizedAt), e.SeizedFrom))},
		pair{"Now with", sentence(e.Holder)},
	)
}

func custodyOf(e Exhibit) block {
	if len(e.Custody) == 0 {
		return sentence("No event of its custody is given here.")
	}
	t := table{caption: "Custody of " + e.Label + ", from the agency log", head: []string{"Entry", "Time (UTC)", "What happened", "Who", "Under authority", "Signed by"},
		shares: []float64{.08, .2, .26, .19, .16, .11}}
	for _, ev := range e.Custody {
		t.rows = append(t.rows, []paragraph{
			sentence(strconv.FormatUint(ev.Index, 10)), sentence(second(ev.Time)), sentence(happened(ev)), sentence(ev.Actor), sentence(ev.Authority), verbatim(ev.Signer),
		})
	}
	return t
}

// eventWords says in words what an event's kind means. A kind that is not here
// is shown as the log has it.
var eventWords = map[tutela.EventKind]string{
	tutela.EventSeize: "seized and entered", tutela.EventReceive: "received", tutela.EventTransfer: "handed over",
	tutela.EventImage: "image acquired", tutela.EventVerifyImage: "image held against its own digests",
	tutela.EventScanStart: "reading begun", tutela.EventInterim: "interim root", tutela.EventSeal: "reading finished, root sealed",
	tutela.EventMatchRun: "held against hash sets", tutela.EventRenew: "root under another hash", tutela.EventAdmit: "scan of another log taken over",
	tutela.EventGrade: "graded", tutela.EventAccess: "access", tutela.EventExport: "exported", tutela.EventDisclose: "disclosed",
	tutela.EventRepair: "damaged files of the ledger made again, with the same root",
	tutela.EventErase:  "records erased", tutela.EventRefused: "refused", tutela.EventToolValidate: "compared with another program",
}

func happened(ev Entry) string {
	what, known := eventWords[ev.Kind]
	if !known {
		what = words(string(ev.Kind))
	}
	switch ev.Kind {
	case tutela.EventTransfer:
		var t tutela.Transfer
		if tutela.DecodeDetail(ev.Detail, &t) == nil {
			what += " to " + t.To + " (" + t.Reason + ")"
		}
	case tutela.EventReceive:
		var r tutela.Receipt
		if tutela.DecodeDetail(ev.Detail, &r) == nil {
			what += " from " + r.From + " by " + r.To
		}
	}
	return what
}

func examination(d *Data) section {
	s := section{title: "What was examined"}
	for _, e := range d.Exhibits {
		if len(e.Scans) == 0 {
			s.add(sentence("Exhibit " + e.Label + " was not scanned."))
		}
		for _, scan := range e.Scans {
			s.add(heading{fmt.Sprintf("Exhibit %s, scan %d", e.Label, scan.Number)}, scanFacts(scan))
			s.add(scanTables(scan)...)
		}
	}
	return s
}

func scanFacts(scan Scan) facts {
	out := known(
		pair{"Profile", sentence(scan.Profile)},
		pair{"Authority", sentence(scan.Authority)},
		pair{"Begun", sentence(second(scan.Started))},
	)
	if scan.Seal == nil {
		return append(out, pair{"State", sentence("not finished; nothing of it is sealed")})
	}
	seal := scan.Seal
	out = append(out, known(
		pair{"Sealed", sentence(fmt.Sprintf("%s, entry %d of the log", second(scan.Sealed), scan.SealIndex))},
		pair{"Entries", sentence(recorded(seal))},
		pair{"Content read", sentence(byteSize(uint64(seal.Bytes)))},
		pair{"Unreadable", sentence(unreadable(scan))},
		pair{"Tool", sentence(seal.Tool)},
		pair{"Root, SHA-256", verbatim(seal.Root.String())},
		pair{"Root, SHA-512", verbatim(fmt.Sprintf("%x", scan.Root512))},
	)...)
	if run := scan.Run; run != nil {
		out = append(out, known(
			pair{"Matched", sentence(fmt.Sprintf("%s, entry %d of the log, run %d", second(scan.Matched), scan.RunIndex, run.Run))},
			pair{"Met a set", sentence(fmt.Sprintf("%s with status alert, %s of interest, %s known good", count(run.Alerts, "item"), thousands(run.OfInterest), thousands(run.KnownGood)))},
			pair{"Root of matches", verbatim(run.Root.String())},
		)...)
	}
	return out
}

// recorded says how many entries were recorded, and in which state.
func recorded(seal *tutela.Seal) string {
	var parts []string
	for s := tutela.Allocated; s <= tutela.Embedded; s++ {
		if n := seal.States.Of(s); n > 0 {
			parts = append(parts, thousands(n)+" "+s.String())
		}
	}
	if len(parts) == 0 {
		return thousands(seal.Records)
	}
	return thousands(seal.Records) + ": " + strings.Join(parts, ", ")
}

func unreadable(scan Scan) string {
	s := count(scan.Seal.Unreadable, "entry")
	if scan.Seal.Unread > 0 {
		s += "; " + byteSize(uint64(scan.Seal.Unread)) + " of contents that were read but for these"
	}
	return s
}

func scanTables(scan Scan) (out []block) {
	if scan.Seal == nil {
		return nil
	}
	if len(scan.Seal.Sources) > 0 {
		t := table{caption: "What was read", head: []string{"Source", "Format", "Bytes"}, shares: []float64{.66, .14, .2}, numbers: []bool{false, false, true}}
		for _, src := range scan.Seal.Sources {
			t.rows = append(t.rows, []paragraph{verbatim(src.Path), sentence(src.Format), sentence(size(src.Size))})
		}
		out = append(out, t)
	}
	if len(scan.Seal.Volumes) > 0 {
		t := table{caption: "Volumes", head: []string{"Volume", "File system", "Begins at byte", "Bytes"}, shares: []float64{.2, .3, .25, .25}, numbers: []bool{false, false, true, true}}
		for _, v := range scan.Seal.Volumes {
			t.rows = append(t.rows, []paragraph{sentence(v.Number), sentence(v.Filesystem), sentence(size(v.Offset)), sentence(size(v.Length))})
		}
		out = append(out, t)
	}
	if len(scan.Counts) > 0 {
		out = append(out, notices(scan.Counts))
	}
	return out
}

func notices(counts map[string]uint64) table {
	t := table{caption: "What must be known about single entries", head: []string{"Finding", "Meaning", "Entries"}, shares: []float64{.24, .6, .16}, numbers: []bool{false, false, true}}
	for _, code := range sorted(counts) {
		t.rows = append(t.rows, []paragraph{sentence(code), sentence(findingWords[code]), sentence(thousands(counts[code]))})
	}
	return t
}

// findingWords says what the findings mean.
var findingWords = map[string]string{
	tutela.FindingReadError: "some bytes could not be read; the rest was", tutela.FindingUnreadable: "nothing could be read",
	tutela.FindingUnsupported: "a format that is known and that no reader takes", tutela.FindingDamaged: "a structure does not hold together",
	tutela.FindingTruncated: "the bytes end before they should", tutela.FindingLimit: "a limit was reached; the rest was left",
	tutela.FindingBomb: "an archive that expands out of proportion; it was left", tutela.FindingChanged: "it changed while it was read",
	tutela.FindingEncrypted: "content that cannot be read without a key", tutela.FindingNotDecoded: "a picture or video that no decoder took",
	tutela.FindingSpecial: "a link, device, socket or pipe", tutela.FindingBackupTable: "a structure was bad and its backup was used",
	tutela.FindingLoop: "a structure that refers to itself", tutela.FindingOverwritten: "deleted, and its place belongs to another file now",
	tutela.FindingAssumed: "content of a deleted file whose place is partly inferred", tutela.FindingUnlocked: "it was encrypted and opened with a key that was given",
	tutela.FindingSnapshot: "a file system keeps an earlier state of itself", tutela.FindingCrashed: "a reader ended over it; what it had not told was left",
	tutela.FindingStalled: "a reader came no further with it; what it had not told was left",
}

func opinion(d *Data) section {
	s := section{title: "Opinion"}
	if told := prose(d.Opinion); len(told) > 0 {
		s.add(sentence("The following is the opinion of the officer named above. It is not recorded in the ledger and cannot be verified as the facts can."))
		s.add(told...)
		return s
	}
	s.add(sentence("No opinion is given."))
	return s
}

func signing(d *Data) section {
	s := section{title: "Signature"}
	s.add(sentence("I have stated in this report what the ledger of the laboratory records, within the limits of section 7. It is dated "+moment(d.Issued)+"."),
		signature{[]string{"Signature, " + orBlank(d.Officer, "officer"), "Place and date"}})
	return s
}

func orBlank(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// moment and second are times for people, to the minute and as exactly as the
// log has them to the second.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2 January 2006, 15:04 UTC")
}

func second(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02") }

// words writes a code with hyphens as words.
func words(code string) string { return strings.ReplaceAll(code, "-", " ") }

// count writes how many there are of something.
func count[N ~int | ~uint64](n N, one string) string {
	switch stem, isY := strings.CutSuffix(one, "y"); {
	case n == 1:
	case isY:
		one = stem + "ies"
	default:
		one += "s"
	}
	return thousands(uint64(n)) + " " + one
}

// thousands writes a number with commas.
func thousands(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// size is a number of bytes, which may be unknown.
func size(n int64) string {
	if n < 0 {
		return "not known"
	}
	return thousands(uint64(n))
}

// byteSize is a number of bytes, exact, and rounded where it is large.
func byteSize(n uint64) string {
	exact := count(n, "byte")
	for i, unit := range []string{"TB", "GB", "MB"} {
		if base := [...]float64{1e12, 1e9, 1e6}[i]; float64(n) >= base {
			return fmt.Sprintf("%s (%.1f %s)", exact, float64(n)/base, unit)
		}
	}
	return exact
}
