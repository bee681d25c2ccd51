package verify

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"tutela/internal/ledger/check"
)

// tell puts into words what a bundle that holds proves, and what it does not.
func (b *bundle) tell(v *Verdict) {
	l, h := b.list, &b.head
	v.OK, v.Opened = true, l.Opened
	v.Case, v.To, v.Purpose, v.Officer, v.Issued = l.Case, l.To, l.Purpose, l.Officer, l.Issued
	v.Size, v.Root, v.PolicySHA256 = h.Size, h.Root.String(), hexSum(h.text)
	v.Policy, v.Gossip = h.text, b.gossip
	for _, size := range slices.Sorted(maps.Keys(h.earlier)) {
		v.Heads = append(v.Heads, h.earlier[size])
	}
	for _, vkey := range h.policy.LogKeys() {
		name, rest, _ := strings.Cut(vkey, "+")
		id, _, _ := strings.Cut(rest, "+")
		v.Keys = append(v.Keys, plain(name)+" "+id)
	}
	for _, exhibit := range b.events.exhibits() {
		v.Exhibits = append(v.Exhibits, plain(exhibit))
	}
	b.tellProven(v)
	b.tellTimes(v)
	b.tellNotProven(v)
}

func (b *bundle) tellProven(v *Verdict) {
	say := func(format string, args ...any) { v.Proven = append(v.Proven, fmt.Sprintf(format, args...)) }
	say("%s signed the list of these files, and none was changed, added or taken away.", v.Officer)
	say("The history of %s is complete from seizure to this disclosure, and stands in the log.", strings.Join(v.Exhibits, ", "))
	say("%s opened, as the log says. They stand in the trees that it names, unchanged since then.", count(v.Opened, "leaf was", "leaves were"))
	if n := len(b.of(check.PathContent)); n > 0 {
		say("The content of %s is what was read: the SHA-256 of each is in its record.", count(uint64(n), "file", "files"))
	}
	say("All keys of the log signed its head, and so did %s; so many are enough for the policy.%s", count(uint64(len(b.head.witnesses)), "witness", "witnesses"), b.cosignatures())
	if n := len(b.o.Policies); n > 0 {
		say("They are enough for %s that you gave, too.", count(uint64(n), "policy", "policies"))
	}
	if n := len(b.head.earlier) - 1; n > 0 {
		say("The log only grew: %s of it that it signed before, and the history here begins with what each of them covers.", count(uint64(n), "head is here", "heads are here"))
	}
}

// cosignatures is what the witnesses say about when.
func (b *bundle) cosignatures() (told string) {
	for _, w := range b.head.witnesses {
		at := "at no time that it told"
		if !w.Time.IsZero() {
			at = "on " + when(w.Time)
		}
		told += fmt.Sprintf(" %s signed %s.", plain(w.Witness), at)
	}
	return told
}

func (b *bundle) tellTimes(v *Verdict) {
	unchecked := 0
	for _, m := range b.marks {
		switch {
		case m.whyNo != nil:
			v.NotProven = append(v.NotProven, fmt.Sprintf("That the log's first %s existed at a time that %s tells: you had it checked, and it does not hold: %s.", count(m.N, "entry", "entries"), m.path, plain(m.whyNo.Error())))
		case !m.at.IsZero():
			v.Proven = append(v.Proven, fmt.Sprintf("The log's first %s existed on %s, says %s.", count(m.N, "entry", "entries"), when(m.at), plain(m.by)))
		default:
			unchecked++
		}
	}
	if unchecked > 0 {
		v.NotProven = append(v.NotProven, fmt.Sprintf("That %s: nothing was given to check by (certificates of the authority, block headers).", count(uint64(unchecked), "time-stamp holds", "time-stamps hold")))
	}
}

func (b *bundle) tellNotProven(v *Verdict) {
	if len(b.head.witnesses) == 0 {
		v.NotProven = append(v.NotProven, "That the agency shows everybody the same log: its policy demands no witness, and none signed.")
	}
	v.NotProven = append(v.NotProven,
		"When it happened, but for time-stamps above: other times are the clock of the agency, and those of witnesses theirs.",
		"That a device was what its label says, that what was found is what it is called, that a seizure was lawful.",
		"That nothing more was found: a bundle shows what was opened, of as many leaves as the log says there are.",
		"That no key was withdrawn later, and that report, tool and gossip are true.",
		"That you should trust these keys: compare them with those that you got by another way.",
	)
}

// WritePage writes the verdict for people: one page, of text.
func WritePage(w io.Writer, v *Verdict) error {
	_, err := io.WriteString(w, page(v))
	return err
}

func page(v *Verdict) string {
	var b strings.Builder
	if !v.OK {
		b.WriteString("REFUSED. This bundle does not hold. Nothing in it is proven.\n\n")
		list(&b, "WHY", v.Problems)
		return b.String()
	}
	fmt.Fprintf(&b, "OK. This bundle holds.\n\n  case     %s\n  to       %s\n  purpose  %s\n  issued   %s by %s\n  exhibits %s\n\n",
		v.Case, v.To, v.Purpose, when(v.Issued), v.Officer, strings.Join(v.Exhibits, ", "))
	list(&b, "PROVEN", v.Proven)
	b.WriteString("\n")
	list(&b, "NOT PROVEN", v.NotProven)
	fmt.Fprintf(&b, "\nTO COMPARE\n  head    %d entries, root %s\n  policy  %s\n", v.Size, v.Root, v.PolicySHA256)
	for _, key := range v.Keys {
		fmt.Fprintf(&b, "  log     %s\n", key)
	}
	return b.String()
}

func list(b *strings.Builder, title string, sentences []string) {
	b.WriteString(title + "\n")
	for _, s := range sentences {
		b.WriteString("- " + s + "\n")
	}
}

// plain is text that means to the eye what its bytes are.
func plain(s string) string {
	if check.CheckBundleValue(s) == nil {
		return s
	}
	return strconv.QuoteToASCII(s)
}

func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func count(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
