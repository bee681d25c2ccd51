package report

import (
	"archive/zip"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tutela"
)

// A checker of SHACL for what the shapes of CASE and UCO use on things like ours
// (W3C SHACL, sections 2 and 4). A constraint that it does not know on a shape
// that applies is a failure of the test: nothing is passed over in silence. The
// two constraints in SPARQL that apply to all things, that they have an
// identifier and that it ends with a UUID, are checked by hand.

// triples are a graph with an index by subject and predicate.
type triples struct {
	all []triple
	of  map[string][]triple
	by  map[[2]string][]string
}

func newTriples(all []triple) *triples {
	g := &triples{all: all, of: map[string][]triple{}, by: map[[2]string][]string{}}
	for _, one := range all {
		g.of[one.s] = append(g.of[one.s], one)
		g.by[[2]string{one.s, one.p}] = append(g.by[[2]string{one.s, one.p}], one.o)
	}
	return g
}

func (g *triples) objects(s, p string) []string { return g.by[[2]string{s, p}] }

func (g *triples) object(s, p string) string {
	if o := g.objects(s, p); len(o) > 0 {
		return o[0]
	}
	return ""
}

func (g *triples) list(head string) (out []string) {
	for head != "" && head != iri(rdfNS, "nil") {
		out = append(out, g.object(head, iri(rdfNS, "first")))
		head = g.object(head, iri(rdfNS, "rest"))
	}
	return out
}

// ontology reads all Turtle files of the two ontologies.
var ontology = sync.OnceValues(func() (map[string]string, error) {
	archive, err := zip.OpenReader("testdata/ontology.zip")
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	files := map[string]string{}
	for _, f := range archive.File {
		r, err := f.Open()
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		files[f.Name] = string(text)
	}
	return files, nil
})

func readOntology(t *testing.T) *triples {
	t.Helper()
	files, err := ontology()
	if err != nil {
		t.Fatal(err)
	}
	var all []triple
	for _, name := range sorted(files) {
		if strings.HasSuffix(name, ".ttl") {
			all = append(all, parseTurtle(t, name, files[name])...)
		}
	}
	return newTriples(all)
}

// graphOf reads JSON-LD of the form that CASE writes and no other: an error in
// the form must not be read as something else.
func graphOf(document []byte) (*triples, error) {
	var d struct {
		Context map[string]string            `json:"@context"`
		Graph   []map[string]json.RawMessage `json:"@graph"`
	}
	if err := json.Unmarshal(document, &d); err != nil {
		return nil, err
	}
	r := &jsonldReader{context: d.Context}
	for _, n := range d.Graph {
		if _, err := r.node(n); err != nil {
			return nil, err
		}
	}
	return newTriples(r.all), nil
}

type jsonldReader struct {
	context map[string]string
	all     []triple
	blanks  int
}

func (r *jsonldReader) name(compact string) (string, error) {
	prefix, local, ok := strings.Cut(compact, ":")
	if !ok || r.context[prefix] == "" {
		return "", fmt.Errorf("%q has no prefix that the context knows", compact)
	}
	return iri(r.context[prefix], local), nil
}

func (r *jsonldReader) node(n map[string]json.RawMessage) (id string, err error) {
	if err := json.Unmarshal(n["@id"], &id); n["@id"] != nil && err != nil {
		return "", err
	}
	if id = iri(id); n["@id"] == nil {
		r.blanks++
		id = fmt.Sprintf("_:b%d", r.blanks)
	}
	for _, property := range sorted(n) {
		if property == "@id" {
			continue
		}
		if err := r.property(id, property, n[property]); err != nil {
			return "", fmt.Errorf("%s of %s: %w", property, id, err)
		}
	}
	return id, nil
}

func (r *jsonldReader) property(id, property string, raw json.RawMessage) error {
	if property == "@type" {
		var class string
		if err := json.Unmarshal(raw, &class); err != nil {
			return err
		}
		object, err := r.name(class)
		r.all = append(r.all, triple{id, iri(rdfNS, "type"), object})
		return err
	}
	predicate, err := r.name(property)
	if err != nil {
		return err
	}
	values := []json.RawMessage{raw}
	if raw[0] == '[' {
		if err := json.Unmarshal(raw, &values); err != nil {
			return err
		}
	}
	for _, v := range values {
		object, err := r.value(v)
		if err != nil {
			return err
		}
		r.all = append(r.all, triple{id, predicate, object})
	}
	return nil
}

func (r *jsonldReader) value(raw json.RawMessage) (string, error) {
	switch raw[0] {
	case '"':
		return string(raw) + "^^" + iri(xsdNS, "string"), nil
	case 't', 'f':
		return `"` + string(raw) + `"^^` + iri(xsdNS, "boolean"), nil
	case '{':
	default:
		return "", fmt.Errorf("%s is no value that CASE writes", raw)
	}
	var n map[string]json.RawMessage
	if err := json.Unmarshal(raw, &n); err != nil {
		return "", err
	}
	if n["@value"] == nil {
		return r.node(n)
	}
	var datatype string
	if err := json.Unmarshal(n["@type"], &datatype); err != nil {
		return "", err
	}
	datatype, err := r.name(datatype)
	return string(n["@value"]) + "^^" + datatype, err
}

// shacl holds data against shapes.
type shacl struct {
	shapes, data *triples
	above        map[string][]string // classes that a class is below, itself among them
	problems     []string
	unknown      []string // constraints that apply and that this checker does not know
	checked      int
}

func checkShapes(shapes, data *triples) *shacl {
	c := &shacl{shapes: shapes, data: data, above: map[string][]string{}}
	for _, target := range shapes.all {
		if strings.HasPrefix(target.p, "<"+shNS+"target") {
			for _, thing := range c.targets(target) {
				c.node(target.s, thing)
			}
		}
	}
	return c
}

// targets are the things that a shape says it is about.
func (c *shacl) targets(target triple) (things []string) {
	for _, one := range c.data.all {
		switch {
		case target.p == iri(shNS, "targetClass") && one.p == iri(rdfNS, "type") && slices.Contains(c.classes(one.o), target.o),
			target.p == iri(shNS, "targetSubjectsOf") && one.p == target.o:
			things = append(things, one.s)
		case target.p == iri(shNS, "targetObjectsOf") && one.p == target.o:
			things = append(things, one.o)
		}
	}
	return things
}

// classes are a class and all above it.
func (c *shacl) classes(class string) []string {
	if known, ok := c.above[class]; ok {
		return known
	}
	c.above[class] = []string{class}
	all := []string{class}
	for _, parent := range c.shapes.objects(class, iri(rdfsNS, "subClassOf")) {
		all = append(all, c.classes(parent)...)
	}
	c.above[class] = all
	return all
}

func (c *shacl) isA(thing, class string) bool {
	return slices.ContainsFunc(c.data.objects(thing, iri(rdfNS, "type")), func(t string) bool { return slices.Contains(c.classes(t), class) })
}

func (c *shacl) problem(shape, thing, format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf("%s by %s: %s", thing, shape, fmt.Sprintf(format, args...)))
}

// silent are properties of shapes that constrain nothing.
var silent = []string{
	"description", "message", "severity", "targetClass", "targetSubjectsOf", "targetObjectsOf", "path", "name",
}

func (c *shacl) node(shape, thing string) {
	if c.shapes.object(shape, iri(shNS, "deactivated")) == `"true"^^`+iri(xsdNS, "boolean") {
		return
	}
	c.constraints(shape, thing, []string{thing})
	for _, p := range c.shapes.objects(shape, iri(shNS, "property")) {
		path := c.shapes.object(p, iri(shNS, "path"))
		if strings.HasPrefix(path, "_:") {
			c.unknown = append(c.unknown, "path of "+shape)
			continue
		}
		c.constraints(p, thing, c.data.objects(thing, path))
	}
}

func (c *shacl) constraints(shape, thing string, values []string) {
	for _, one := range c.shapes.of[shape] {
		if local, ok := strings.CutPrefix(one.p, "<"+shNS); ok {
			c.constraint(strings.TrimSuffix(local, ">"), shape, one.o, thing, values)
		}
	}
}

func (c *shacl) constraint(name, shape, parameter, thing string, values []string) {
	c.checked++
	switch name {
	case "minCount", "maxCount":
		n, _ := strconv.Atoi(lexical(parameter))
		if name == "minCount" && len(values) < n || name == "maxCount" && len(values) > n {
			c.problem(shape, thing, "%d values of %s, %s %d", len(values), c.shapes.object(shape, iri(shNS, "path")), name, n)
		}
	case "property": // by node
	case "sparql":
		c.selected(shape, thing)
	default:
		if slices.Contains(silent, name) {
			return
		}
		for _, v := range values {
			c.valueConstraint(name, shape, parameter, thing, v)
		}
	}
}

func (c *shacl) valueConstraint(name, shape, parameter, thing, v string) {
	ok := true
	switch name {
	case "datatype":
		ok = strings.HasSuffix(v, "^^"+parameter) && wellFormed(v, parameter)
	case "class":
		ok = c.isA(v, parameter)
	case "nodeKind":
		ok = strings.Contains(parameter, kindOf(v))
	case "in":
		ok = slices.Contains(c.shapes.list(parameter), v)
	case "hasValue":
		ok = v == parameter
	case "not":
		inner := &shacl{shapes: c.shapes, data: c.data, above: c.above}
		inner.node(parameter, v)
		c.unknown = append(c.unknown, inner.unknown...)
		ok = len(inner.problems) > 0
	default:
		c.unknown = append(c.unknown, name+" of "+shape)
	}
	if !ok {
		c.problem(shape, thing, "%s %s does not fit %s", name, parameter, v)
	}
}

func kindOf(term string) string {
	switch term[0] {
	case '<':
		return "IRI"
	case '_':
		return "BlankNode"
	}
	return "Literal"
}

func lexical(literal string) string {
	text, _, _ := strings.Cut(literal, "^^")
	return strings.Trim(text, `"`)
}

// forms are the lexical forms of the datatypes that CASE writes.
var forms = map[string]*regexp.Regexp{
	"string": regexp.MustCompile(`(?s).*`), "boolean": regexp.MustCompile(`^(true|false)$`), "integer": regexp.MustCompile(`^[+-]?[0-9]+$`),
	"hexBinary": regexp.MustCompile(`^([0-9A-Fa-f]{2})*$`), "dateTime": regexp.MustCompile(`^-?([1-9]\d{3,}|0\d{3})-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?$`),
}

func wellFormed(literal, datatype string) bool {
	form := forms[strings.TrimSuffix(strings.TrimPrefix(datatype, "<"+xsdNS), ">")]
	return form != nil && form.MatchString(lexical(literal))
}

var endsWithUUID = regexp.MustCompile(`(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-5][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}>$`)

// selected checks what the shapes ask for in SPARQL.
func (c *shacl) selected(shape, thing string) {
	switch {
	case strings.HasSuffix(shape, "core/UcoThing>"):
		if kindOf(thing) == "BlankNode" {
			c.problem(shape, thing, "has no identifier")
		}
	case strings.HasSuffix(shape, "core/UcoThing-identifier-regex-shape>"):
		if !endsWithUUID.MatchString(thing) {
			c.problem(shape, thing, "does not end with a UUID")
		}
	case strings.HasSuffix(shape, "core/hasFacet-shape>"):
		if n := c.owners(thing); n > 1 {
			c.problem(shape, thing, "is a facet of %d things", n)
		}
	default:
		c.unknown = append(c.unknown, "sparql of "+shape)
	}
}

// owners is how many things have a facet.
func (c *shacl) owners(facet string) (n int) {
	for _, one := range c.data.all {
		if one.p == "<https://ontology.unifiedcyberontology.org/uco/core/hasFacet>" && one.o == facet {
			n++
		}
	}
	return n
}

// TestCASEFitsTheShapes holds what is written against the shapes that the
// ontologies' authors publish, and every class and property against the
// ontologies: SHACL itself does not mind a misspelt one.
func TestCASEFitsTheShapes(t *testing.T) {
	shapes := readOntology(t)
	for name, d := range map[string]*Data{"sample": sample(), "empty": {Issued: sample().Issued}, "kinds": everyKind(), "hostile": hostile()} {
		data, err := graphOf(written(t, "case.jsonld", d))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		c := checkShapes(shapes, data)
		if len(c.problems) > 0 || len(c.unknown) > 0 || c.checked < 20 {
			t.Errorf("%s: %d constraints checked\n%s\nnot known:\n%s", name, c.checked, strings.Join(c.problems, "\n"), strings.Join(c.unknown, "\n"))
		}
		checkNames(t, shapes, data)
	}
}

func checkNames(t *testing.T, ontology, data *triples) {
	t.Helper()
	for _, one := range data.all {
		name, want := one.p, []string{"DatatypeProperty", "ObjectProperty"}
		if one.p == iri(rdfNS, "type") {
			name, want = one.o, []string{"Class"}
		}
		if !slices.ContainsFunc(want, func(w string) bool {
			return slices.Contains(ontology.objects(name, iri(rdfNS, "type")), iri(owlNS, w))
		}) {
			t.Errorf("%s is not in the ontologies as %s", name, want)
		}
	}
}

// everyKind has an exhibit of every kind that the ontologies have a word for.
func everyKind() *Data {
	d := sample()
	for kind := range deviceClasses {
		d.Exhibits = append(d.Exhibits, Exhibit{Exhibit: tutela.Exhibit{Label: kind, Kind: kind, Make: "Example"}})
	}
	return d
}

// hostile has names and times that nobody would give who means well.
func hostile() *Data {
	d := sample()
	const nasty = "/a\"}],{\x00\xff\u2028\\/b"
	d.Case.Title, d.Exhibits[0].Make, d.Exhibits[0].Custody[0].Actor = nasty, nasty, nasty
	for i := range d.Exhibits[0].Items {
		r := &d.Exhibits[0].Items[i].Record
		r.Path, r.Type, r.Size, r.Hashed = []byte(nasty), nasty, -1, i == 0
		r.Times = tutela.Times{Modified: time.Date(30828, 1, 1, 0, 0, 0, 0, time.UTC), Born: time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC)}
	}
	return d
}

// TestShapesRefuse: a checker that lets everything pass would let us pass too.
func TestShapesRefuse(t *testing.T) {
	shapes, good := readOntology(t), string(written(t, "case.jsonld", sample()))
	for _, c := range []struct{ name, old, new string }{
		{"datatype", `"@type":"xsd:hexBinary"`, `"@type":"xsd:string"`},
		{"lexical form", `"@type":"xsd:dateTime","@value":"2026`, `"@type":"xsd:dateTime","@value":"26`},
		{"minCount", `"uco-types:hashMethod":"SHA256",`, ``},
		{"maxCount", `"uco-core:isDirectional":true`, `"uco-core:isDirectional":[true,false]`},
		{"nodeKind", `"investigation:exhibitNumber":"LAPTOP"`, `"investigation:exhibitNumber":{"@id":"urn:uuid:5e1d0c7a-934b-4f26-8a6e-d137"}`},
		{"class", `"@type":"uco-observable:FileFacet"`, `"@type":"uco-observable:File"`},
		{"in", `"uco-types:hashMethod":"MD5"`, `"uco-types:hashMethod":"MD4"`},
		{"UUID", `"@id":"urn:uuid:`, `"@id":"urn:id:1`},
		{"not", `"@type":"investigation:InvestigativeAction"`, `"@type":"uco-core:Event"`},
	} {
		bad := strings.Replace(good, c.old, c.new, 1)
		if c.name == "UUID" {
			bad = regexp.MustCompile(`"@id":"urn:uuid:[0-9a-f-]+"`).ReplaceAllString(good, `"@id":"urn:one"`)
		}
		if bad == good {
			t.Errorf("%s: nothing to change", c.name)
			continue
		}
		data, err := graphOf([]byte(bad))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if len(checkShapes(shapes, data).problems) == 0 {
			t.Errorf("%s: passes", c.name)
		}
	}
}
