package report

import "strings"

// document is what a report or certificate says, before anybody sets it on
// pages: one telling for PDF and HTML, so that the two cannot differ.
type document struct {
	title    string
	subtitle string
	running  string // repeated at the head of each page
	root     string // of the log, repeated at the foot of each page
	mark     string // over all pages, "DRAFT"; "" for none
	author   string
	front    []pair // under the title
	sections []section
	numbered bool // sections have numbers
}

type section struct {
	title  string
	blocks []block
}

// block is one of heading, paragraph, fact, facts, list, table and signature.
type block interface{ block() }

type (
	heading   struct{ text string }
	paragraph []span
	// fact is a numbered paragraph, and where in the ledger it is recorded.
	fact struct {
		number int
		say    paragraph
		more   []paragraph
		ref    string
	}
	// facts are names with their values.
	facts []pair
	list  []paragraph
	table struct {
		caption string // for those who cannot see it, too
		head    []string
		shares  []float64 // of the width; they add up to 1
		rows    [][]paragraph
		numbers []bool // columns set to the right; nil for none
	}
	// signature is a line for a person to fill in by hand.
	signature struct{ names []string }
)

func (heading) block()   {}
func (paragraph) block() {}
func (fact) block()      {}
func (facts) block()     {}
func (list) block()      {}
func (table) block()     {}
func (signature) block() {}

type pair struct {
	name  string
	value paragraph
}

// span is text of one style.
type span struct {
	text  string
	style style
}

type style int

const (
	plain  style = iota
	strong       // bold
	code         // verbatim: hashes, paths, commands
	blank        // for a person to fill in
	styles       // how many there are
)

func text(s string) span  { return span{s, plain} }
func bold(s string) span  { return span{s, strong} }
func exact(s string) span { return span{s, code} }

// fill is a place that a person has to fill in.
func fill(what string) span { return span{"[" + what + "]", blank} }

func say(spans ...span) paragraph      { return spans }
func sentence(s string) paragraph      { return paragraph{text(s)} }
func verbatim(s string) paragraph      { return paragraph{exact(s)} }
func (p paragraph) isEmpty() bool      { return len(p) == 0 || len(p) == 1 && p[0].text == "" }
func (s *section) add(blocks ...block) { s.blocks = append(s.blocks, blocks...) }

// prose is text by a person, whose paragraphs are parted by empty lines.
func prose(s string) (blocks []block) {
	for part := range strings.SplitSeq(strings.ReplaceAll(s, "\r\n", "\n"), "\n\n") {
		if part = strings.TrimSpace(part); part != "" {
			blocks = append(blocks, sentence(strings.Join(strings.Fields(part), " ")))
		}
	}
	return blocks
}

// known keeps the pairs that have a value.
func known(pairs ...pair) (out facts) {
	for _, p := range pairs {
		if !p.value.isEmpty() {
			out = append(out, p)
		}
	}
	return out
}
