package report

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// A reader of the Turtle that the ontologies are written in (W3C RDF 1.1 Turtle,
// without base, relative names and numbers with a point). Terms are kept as
// N-Triples writes them: <iri>, _:b1, "text"^^<datatype>, "text"@en.

type triple struct{ s, p, o string }

const (
	rdfNS  = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
	xsdNS  = "http://www.w3.org/2001/XMLSchema#"
	rdfsNS = "http://www.w3.org/2000/01/rdf-schema#"
	owlNS  = "http://www.w3.org/2002/07/owl#"
	shNS   = "http://www.w3.org/ns/shacl#"
)

func iri(parts ...string) string { return "<" + strings.Join(parts, "") + ">" }

type turtle struct {
	name     string // of the file, makes blank nodes its own
	tokens   []string
	prefixes map[string]string
	triples  []triple
	blanks   int
}

var turtleTokens = regexp.MustCompile(`(?s)` + strings.Join([]string{
	`#[^\n]*`, `"""(?:[^"\\]|\\.|"{1,2}[^"])*"""`, `'''(?:[^'\\]|\\.|'{1,2}[^'])*'''`, `"(?:[^"\\]|\\.)*"`, `'(?:[^'\\]|\\.)*'`, `<[^>\s]*>`,
	`\^\^`, `@[A-Za-z-]+`, `[\[\]();,]`, `[A-Za-z_][\w.-]*[\w-]:[\w.-]*[\w-]|[A-Za-z]?[\w-]*:[\w.-]*`, `\.`, `[+-]?\d+`, `[A-Za-z]+`,
}, "|"))

func parseTurtle(t *testing.T, name, source string) []triple {
	t.Helper()
	p := &turtle{name: name, prefixes: map[string]string{}}
	rest := 0
	for _, at := range turtleTokens.FindAllStringIndex(source, -1) {
		if gap := strings.TrimSpace(source[rest:at[0]]); gap != "" {
			t.Fatalf("%s: %q is not Turtle that this reader knows", name, gap)
		}
		rest = at[1]
		if token := source[at[0]:at[1]]; token[0] != '#' {
			p.tokens = append(p.tokens, token)
		}
	}
	for len(p.tokens) > 0 {
		p.statement(t)
	}
	return p.triples
}

func (p *turtle) next() string {
	if len(p.tokens) == 0 {
		return ""
	}
	token := p.tokens[0]
	p.tokens = p.tokens[1:]
	return token
}

func (p *turtle) is(token string) bool {
	if len(p.tokens) > 0 && p.tokens[0] == token {
		p.next()
		return true
	}
	return false
}

func (p *turtle) want(t *testing.T, token string) {
	t.Helper()
	if !p.is(token) {
		t.Fatalf("%s: %q is missing before %q", p.name, token, p.tokens[:min(5, len(p.tokens))])
	}
}

func (p *turtle) statement(t *testing.T) {
	t.Helper()
	if p.is("@prefix") {
		prefix := strings.TrimSuffix(p.next(), ":")
		p.prefixes[prefix] = strings.Trim(p.next(), "<>")
		p.want(t, ".")
		return
	}
	p.properties(t, p.term(t))
	p.want(t, ".")
}

func (p *turtle) properties(t *testing.T, subject string) {
	t.Helper()
	for len(p.tokens) > 0 && p.tokens[0] != "." && p.tokens[0] != "]" {
		predicate := p.term(t)
		for {
			p.triples = append(p.triples, triple{subject, predicate, p.term(t)})
			if !p.is(",") {
				break
			}
		}
		for p.is(";") {
		}
	}
}

func (p *turtle) blank() string {
	p.blanks++
	return fmt.Sprintf("_:%s-%d", p.name, p.blanks)
}

func (p *turtle) term(t *testing.T) string {
	t.Helper()
	token := p.next()
	switch {
	case token == "a":
		return iri(rdfNS, "type")
	case token == "[":
		b := p.blank()
		p.properties(t, b)
		p.want(t, "]")
		return b
	case token == "(":
		return p.list(t)
	case strings.HasPrefix(token, "<"):
		return token
	case strings.HasPrefix(token, `"`), strings.HasPrefix(token, `'`):
		return p.literal(t, token)
	}
	prefix, local, ok := strings.Cut(token, ":")
	if !ok || p.prefixes[prefix] == "" {
		t.Fatalf("%s: %q is no term", p.name, token)
	}
	return iri(p.prefixes[prefix], local)
}

func (p *turtle) literal(t *testing.T, token string) string {
	t.Helper()
	for _, quote := range []string{`"""`, `'''`, `"`, `'`} {
		if strings.HasPrefix(token, quote) {
			token = token[len(quote) : len(token)-len(quote)]
			break
		}
	}
	value := `"` + token + `"`
	if p.is("^^") {
		return value + "^^" + p.term(t)
	}
	if len(p.tokens) > 0 && strings.HasPrefix(p.tokens[0], "@") {
		return value + p.next()
	}
	return value + "^^" + iri(xsdNS, "string")
}

func (p *turtle) list(t *testing.T) string {
	t.Helper()
	if p.is(")") {
		return iri(rdfNS, "nil")
	}
	b := p.blank()
	p.triples = append(p.triples, triple{b, iri(rdfNS, "first"), p.term(t)})
	p.triples = append(p.triples, triple{b, iri(rdfNS, "rest"), p.list(t)})
	return b
}
