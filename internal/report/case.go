package report

import (
	"bytes"
	"crypto/sha1"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"tutela"
)

// CASE writes the report's facts as JSON-LD in CASE 1.4.0 and UCO 1.4.0
// (https://caseontology.org, https://unifiedcyberontology.org): the
// investigation and its authorizations, exhibits with their provenance records,
// sources, files with digests and times, what was done by whom with which tool,
// and what met a hash set as annotations.
//
// Identifiers are UUIDs made of names (RFC 9562, version 5): the same thing in
// the same agency's log has the same one in every export. Each file names its
// place in the ledger as an external reference: exhibit, scan and leaf. It says
// no more than the report; the perceptual hashes are left out, for which the
// ontology has no word.
func CASE(w io.Writer, d *Data) error {
	if d.Issued.IsZero() {
		return errUndated
	}
	g := &graph{data: d, at: map[string]int{}}
	g.investigation()
	context, err := json.Marshal(caseContext)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "{\"@context\":%s,\n\"@graph\":[\n", context)
	for i, n := range g.nodes {
		if i > 0 {
			out.WriteString(",\n")
		}
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(n); err != nil {
			return fmt.Errorf("encode a node: %w", err)
		}
		out.Truncate(out.Len() - 1) // the line feed
	}
	out.WriteString("\n]}\n")
	_, err = w.Write(out.Bytes())
	return err
}

// caseContext gives the prefixes their meaning. There is nothing to fetch.
var caseContext = map[string]string{
	"investigation":  "https://ontology.caseontology.org/case/investigation/",
	"uco-action":     "https://ontology.unifiedcyberontology.org/uco/action/",
	"uco-core":       "https://ontology.unifiedcyberontology.org/uco/core/",
	"uco-identity":   "https://ontology.unifiedcyberontology.org/uco/identity/",
	"uco-observable": "https://ontology.unifiedcyberontology.org/uco/observable/",
	"uco-tool":       "https://ontology.unifiedcyberontology.org/uco/tool/",
	"uco-types":      "https://ontology.unifiedcyberontology.org/uco/types/",
	"xsd":            "http://www.w3.org/2001/XMLSchema#",
}

// node is a thing of the graph. Properties without a value are left out when
// they are set: the ontology knows no empty ones.
type node map[string]any

// graph collects nodes, each once.
type graph struct {
	data  *Data
	nodes []node
	at    map[string]int // place in nodes, by identifier
}

// namespace of the UUIDs: a random one, which must never change.
var namespace = [16]byte{0x5e, 0x1d, 0x0c, 0x7a, 0x93, 0x4b, 0x4f, 0x26, 0x8a, 0x6e, 0xd1, 0x37, 0x40, 0xb2, 0x9c, 0xf5}

// id makes the identifier of a thing from what tells it apart in the agency's
// log.
func (g *graph) id(parts ...string) string {
	h := sha1.New()
	h.Write(namespace[:])
	for _, part := range append([]string{g.data.Log.Origin}, parts...) {
		fmt.Fprintf(h, "%d:%s", len(part), part) // no two lists are written alike
	}
	u := h.Sum(nil)[:16]
	u[6], u[8] = u[6]&0x0f|0x50, u[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// put adds a node unless its identifier is there, and returns the identifier.
func (g *graph) put(id, class string, set func(n node)) string {
	if _, there := g.at[id]; there {
		return id
	}
	n := node{"@id": id, "@type": class}
	g.at[id] = len(g.nodes)
	g.nodes = append(g.nodes, n)
	set(n)
	return id
}

func (n node) text(property, value string) {
	if value != "" {
		n[property] = visible(value)
	}
}

func (n node) time(property string, t time.Time) {
	if !t.IsZero() && t.UTC().Year() > 0 { // XML Schema writes years before 1 otherwise
		n[property] = typed("xsd:dateTime", t.UTC().Format(time.RFC3339Nano))
	}
}

func (n node) integer(property string, i int64) {
	if i >= 0 {
		n[property] = typed("xsd:integer", strconv.FormatInt(i, 10)) // JSON numbers lose digits
	}
}

// refer points at things; ones without an identifier are left out.
func (n node) refer(property string, ids ...string) {
	refs := []node{}
	for _, id := range ids {
		if id != "" {
			refs = append(refs, node{"@id": id})
		}
	}
	if len(refs) > 0 {
		n[property] = refs
	}
}

func (n node) add(property string, child node) {
	list, _ := n[property].([]node)
	n[property] = append(list, child)
}

func typed(datatype, value string) node { return node{"@type": datatype, "@value": value} }

// facet is a part of a thing that has an identifier of its own.
func (g *graph) facet(n node, class string, set func(f node)) {
	f := node{"@id": g.id(n["@id"].(string), class), "@type": class}
	set(f)
	n.add("uco-core:hasFacet", f)
}

func (g *graph) investigation() {
	d := g.data
	g.put(g.id("case", d.Case.Number), "investigation:Investigation", func(n node) {
		n.text("uco-core:name", d.Case.Number)
		n.text("uco-core:description", d.Case.Title)
		n["investigation:investigationForm"] = "case"
		n.text("investigation:investigationStatus", string(d.Case.Status))
		n.time("uco-core:startTime", d.Case.Opened)
		n.time("uco-core:endTime", d.Case.Closed)
		n.refer("investigation:relevantAuthorization", g.authorizations()...)
		for _, e := range d.Exhibits {
			g.exhibit(e)
		}
		g.agency()
		n.refer("uco-core:object", g.objects(n)...)
	})
}

// objects are all things but the investigation itself.
func (g *graph) objects(but node) (ids []string) {
	for _, n := range g.nodes {
		if n["@id"] != but["@id"] {
			ids = append(ids, n["@id"].(string))
		}
	}
	return ids
}

func (g *graph) authorizations() (ids []string) {
	for _, a := range g.data.Authorities {
		ids = append(ids, g.put(g.id("authority", a.Reference), "investigation:Authorization", func(n node) {
			n.text("investigation:authorizationIdentifier", a.Reference)
			n.text("investigation:authorizationType", string(a.Kind))
			n.text("uco-core:description", joined("issued by "+a.Issuer, scope(a)))
			n.time("uco-core:startTime", a.From)
			n.time("uco-core:endTime", until(a))
		}))
	}
	return ids
}

func until(a tutela.Authority) time.Time {
	if !a.Revoked.IsZero() {
		return a.Revoked
	}
	return a.Until
}

func (g *graph) agency() string {
	return g.put(g.id("agency"), "uco-identity:Organization", func(n node) { n.text("uco-core:name", orBlank(g.data.Agency, g.data.Log.Origin)) })
}

// identity is whoever acted, as the log names them; it may be a person, a duty or
// a machine.
func (g *graph) identity(actor string) string {
	if actor == "" {
		return ""
	}
	return g.put(g.id("actor", actor), "uco-identity:Identity", func(n node) { n.text("uco-core:name", actor) })
}

func (g *graph) tool(name string) string {
	if name == "" {
		return ""
	}
	return g.put(g.id("tool", name), "uco-tool:Tool", func(n node) {
		program, version, _ := strings.Cut(name, " ")
		n.text("uco-core:name", program)
		n.text("uco-tool:version", version)
	})
}

// deviceClasses are the ontology's words for kinds of exhibits. Others are
// devices.
var deviceClasses = map[string]string{
	"account": "uco-observable:DigitalAccount", "computer": "uco-observable:Computer", "server": "uco-observable:Computer",
	"drive": "uco-observable:StorageMedium", "stick": "uco-observable:StorageMedium", "phone": "uco-observable:MobilePhone",
}

func (g *graph) exhibit(e Exhibit) {
	class := orBlank(deviceClasses[e.Kind], "uco-observable:Device")
	device := g.put(g.id("exhibit", e.Label), class, func(n node) {
		n.text("uco-core:name", e.Label)
		n.text("uco-core:description", joined(e.Kind, e.Make, e.Model))
		if class != deviceClasses["account"] {
			g.facet(n, "uco-observable:DeviceFacet", func(f node) { g.device(f, e) })
		}
	})
	g.put(g.id("provenance", e.Label), "investigation:ProvenanceRecord", func(n node) {
		n.text("investigation:exhibitNumber", e.Label)
		n.text("investigation:rootExhibitNumber", e.Label)
		n.refer("uco-core:object", device)
	})
	found := map[int]*found{}
	for _, s := range e.Scans {
		found[s.Number] = g.scanned(e, s, device)
	}
	g.custody(e, device, found)
}

func (g *graph) device(f node, e Exhibit) {
	f.text("uco-observable:deviceType", e.Kind)
	f.text("uco-observable:model", e.Model)
	f.text("uco-observable:serialNumber", e.Serial)
	if e.Make != "" {
		f.refer("uco-observable:manufacturer", g.put(g.id("maker", e.Make), "uco-identity:Organization", func(n node) { n.text("uco-core:name", e.Make) }))
	}
}

// found is what came of a scan.
type found struct {
	scan        Scan
	sources     []string
	files       []string
	record      string   // its provenance record
	annotations []string // what the files met
}

func (g *graph) scanned(e Exhibit, s Scan, device string) *found {
	out := &found{scan: s}
	if s.Seal != nil {
		for _, src := range s.Seal.Sources {
			out.sources = append(out.sources, g.source(e, s, src, device))
		}
	}
	for _, item := range e.Items {
		if item.Scan == s.Number {
			file := g.file(e, item, device)
			out.files = append(out.files, file)
			out.annotations = append(out.annotations, g.met(e, item, file)...)
		}
	}
	if len(out.files) > 0 {
		out.record = g.put(g.id("provenance", e.Label, strconv.Itoa(s.Number)), "investigation:ProvenanceRecord", func(n node) {
			n.text("investigation:exhibitNumber", fmt.Sprintf("%s/%d", e.Label, s.Number))
			n.text("investigation:rootExhibitNumber", e.Label)
			n.text("uco-core:description", scanWords(s))
			n.refer("uco-core:object", out.files...)
		})
	}
	return out
}

func scanWords(s Scan) string {
	if s.Seal == nil {
		return "not sealed"
	}
	return fmt.Sprintf("files of scan %d, whose %d records have the Merkle root (RFC 6962, SHA-256) %s, sealed by entry %d of the log", s.Number, s.Seal.Records, s.Seal.Root, s.SealIndex)
}

func (g *graph) source(e Exhibit, s Scan, src tutela.SealedSource, device string) string {
	class := "uco-observable:Image"
	if src.Format == "folder" {
		class = "uco-observable:Directory"
	}
	id := g.put(g.id("source", e.Label, strconv.Itoa(s.Number), src.Path), class, func(n node) {
		n.text("uco-core:name", src.Path)
		if src.Format == "folder" {
			return
		}
		g.facet(n, "uco-observable:ImageFacet", func(f node) { f.text("uco-observable:imageType", src.Format) })
		g.facet(n, "uco-observable:ContentDataFacet", func(f node) { f.integer("uco-observable:sizeInBytes", src.Size) })
	})
	g.relate(id, "Copied_From", device, "")
	return id
}

func (g *graph) relate(source, kind, target, path string) {
	g.put(g.id(kind, source, target), "uco-observable:ObservableRelationship", func(n node) {
		n.refer("uco-core:source", source)
		n.refer("uco-core:target", target)
		n["uco-core:isDirectional"] = true
		n.text("uco-core:kindOfRelationship", kind)
		if path != "" {
			g.facet(n, "uco-observable:PathRelationFacet", func(f node) { f["uco-observable:path"] = path })
		}
	})
}

func itemKey(e Exhibit, item Item) string {
	return fmt.Sprintf("%s/%d/%d", e.Label, item.Scan, item.Leaf)
}

func (g *graph) file(e Exhibit, item Item, device string) string {
	r := &item.Record
	path := shownPath(r.Path)
	id := g.put(g.id("file", itemKey(e, item)), "uco-observable:File", func(n node) {
		g.facet(n, "uco-observable:FileFacet", func(f node) { fileFacet(f, r, path) })
		if r.Hashed {
			g.facet(n, "uco-observable:ContentDataFacet", func(f node) { g.content(f, r) })
		}
		if p := r.Picture; p != nil {
			g.facet(n, "uco-observable:RasterPictureFacet", func(f node) {
				f.integer("uco-observable:pictureWidth", int64(p.Width))
				f.integer("uco-observable:pictureHeight", int64(p.Height))
			})
		}
		for _, finding := range r.Findings {
			n.addText("uco-core:description", visible(finding.String()))
		}
		n.add("uco-core:externalReference", node{
			"@id": g.id(n["@id"].(string), "ledger"), "@type": "uco-core:ExternalReference",
			"uco-core:definingContext": visible("tutela ledger " + g.data.Log.Origin + ": exhibit/scan/leaf"), "uco-core:externalIdentifier": visible(itemKey(e, item)),
		})
	})
	g.relate(id, "Contained_Within", device, path)
	return id
}

func (n node) addText(property, value string) {
	list, _ := n[property].([]string)
	if !slices.Contains(list, value) {
		n[property] = append(list, value)
	}
}

func fileFacet(f node, r *tutela.Record, path string) {
	f["uco-observable:filePath"] = path
	f["uco-observable:fileName"] = path[strings.LastIndexByte(path, '/')+1:]
	f["uco-observable:isDirectory"] = r.Kind == tutela.Directory
	f["uco-observable:allocationStatus"] = r.State.String()
	f.integer("uco-observable:sizeInBytes", r.Size)
	f.time("uco-observable:modifiedTime", r.Times.Modified)
	f.time("uco-observable:accessedTime", r.Times.Accessed)
	f.time("uco-observable:metadataChangeTime", r.Times.Changed)
	f.time("uco-observable:observableCreatedTime", r.Times.Born)
}

func (g *graph) content(f node, r *tutela.Record) {
	f.integer("uco-observable:sizeInBytes", r.Size)
	f.text("uco-observable:mimeType", r.Type)
	for _, h := range []struct{ method, value string }{
		{"MD5", r.Digests.MD5.String()}, {"SHA1", r.Digests.SHA1.String()}, {"SHA256", r.Digests.SHA256.String()},
	} {
		f.add("uco-observable:hash", node{
			"@id": g.id(f["@id"].(string), h.method), "@type": "uco-types:Hash",
			"uco-types:hashMethod": h.method, "uco-types:hashValue": typed("xsd:hexBinary", strings.ToUpper(h.value)),
		})
	}
}

// met says of what a file has in common with hash sets. It is an annotation, a
// statement about a file, and not a part of it.
func (g *graph) met(e Exhibit, item Item, file string) (ids []string) {
	for i, m := range item.Matches {
		ids = append(ids, g.put(g.id("match", itemKey(e, item), m.Set, strconv.Itoa(m.Version), strconv.FormatUint(m.Row, 10), strconv.Itoa(i)), "uco-core:Annotation", func(n node) {
			n.refer("uco-core:object", file)
			var statement strings.Builder
			for _, s := range met(g.data, m) {
				statement.WriteString(s.text)
			}
			n.text("uco-core:statement", statement.String())
			n.text("uco-core:tag", m.Status.String())
		}))
	}
	return ids
}

// custody makes an action of each event of an exhibit's chain, each informed by
// the one before. Those that seal or match a scan have its results.
func (g *graph) custody(e Exhibit, device string, scans map[int]*found) {
	before := ""
	for _, ev := range e.Custody {
		before = g.put(g.id("entry", strconv.FormatUint(ev.Index, 10)), "investigation:InvestigativeAction", func(n node) {
			n.text("uco-core:name", string(ev.Kind))
			n.text("uco-core:description", joined(happened(ev), fmt.Sprintf("entry %d of the log", ev.Index), under(ev.Authority)))
			n.time("uco-action:startTime", ev.Time)
			n.time("uco-action:endTime", ev.Time)
			n.refer("uco-action:performer", g.identity(ev.Actor))
			n.refer("uco-action:object", device)
			n.refer("investigation:wasInformedBy", before)
			for _, s := range e.Scans {
				g.result(n, ev, scans[s.Number], device)
			}
		})
	}
}

func under(authority string) string {
	if authority == "" {
		return ""
	}
	return "under authority " + authority
}

// result adds to an action what came of it.
func (g *graph) result(n node, ev Entry, f *found, device string) {
	s := f.scan
	switch {
	case (ev.Kind == tutela.EventSeal || ev.Kind == tutela.EventAdmit) && s.Seal != nil && ev.Index == s.SealIndex:
		n.time("uco-action:startTime", s.Started)
		n.refer("uco-action:instrument", g.tool(s.Seal.Tool))
		n.refer("uco-action:object", append([]string{device}, f.sources...)...)
		n.refer("uco-action:result", append([]string{f.record}, f.files...)...)
	case ev.Kind == tutela.EventMatchRun && s.Run != nil && ev.Index == s.RunIndex:
		if s.Seal != nil {
			n.refer("uco-action:instrument", g.tool(s.Seal.Tool))
		}
		n.refer("uco-action:object", append([]string{device}, f.files...)...)
		n.refer("uco-action:result", f.annotations...)
	}
}
