package verify_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"filippo.io/mldsa"

	"tutela"
	"tutela/internal/ledger"
)

// The bundle of these tests is drawn by the plain loops of the specifications,
// without the code that writes bundles or checks them: so a fault there does not
// cancel out here. Its keys are seeds of one repeated byte.

// hashing is one of the two hashes of a tree.
type hashing func([]byte) []byte

func sum256(b []byte) []byte { h := sha256.Sum256(b); return h[:] }
func sum512(b []byte) []byte { h := sha512.Sum512(b); return h[:] }

func join(parts ...any) []byte {
	var b []byte
	for _, p := range parts {

		switch p := p.(type) {
		case byte:
			b = append(b, p)
		case int:
			b = append(b, byte(p))
		case uint64:
			b = binary.BigEndian.AppendUint64(b, p)
		case string:
			b = append(b, p...)
		case []byte:
			b = append(b, p...)
		default:
			panic(fmt.Sprintf("join %T", p))
		}
	}
	return b
}

// half is where RFC 6962 divides n leaves.
func half(n int) int {
	k := 1
	for k*2 < n {
		k *= 2
	}
	return k
}

func (h hashing) root(leaves [][]byte) []byte {
	switch n := len(leaves); n {
	case 0:
		return h(nil)
	case 1:
		return h(join(0, leaves[0]))
	default:
		return h(join(1, h.root(leaves[:half(n)]), h.root(leaves[half(n):])))
	}
}

// proof is the proof of the wanted leaves; first is the index of leaves[0].
func (h hashing) proof(leaves [][]byte, first int, wanted []int) []byte {
	n := len(leaves)
	if !slices.ContainsFunc(wanted, func(i int) bool { return first <= i && i < first+n }) {
		return h.root(leaves)
	}
	if n == 1 {
		return nil
	}
	return join(h.proof(leaves[:half(n)], first, wanted), h.proof(leaves[half(n):], first+half(n), wanted))
}

// consistency is PROOF(m, D[n]) of RFC 9162 section 2.1.4.1.
func (h hashing) consistency(m int, leaves [][]byte, whole bool) []byte {
	n := len(leaves)
	switch {
	case m == 0:
		return nil
	case m == n && whole:
		return nil
	case m == n:
		return h.root(leaves)
	case m <= half(n):
		return join(h.consistency(m, leaves[:half(n)], whole), h.root(leaves[half(n):]))
	default:
		return join(h.consistency(m-half(n), leaves[half(n):], false), h.root(leaves[:half(n)]))
	}
}

// noteKey is a key of C2SP signed-note: Ed25519 for notes (1) or cosignatures (4), or ML-DSA-44 (6).
type noteKey struct {
	name string
	kind byte
	seed byte
}

func (k noteKey) ed25519() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{k.seed}, 32))
}

func (k noteKey) mldsa() *mldsa.PrivateKey {
	secret, err := mldsa.NewPrivateKey(mldsa.MLDSA44(), bytes.Repeat([]byte{k.seed}, 32))
	if err != nil {
		panic(err)
	}
	return secret
}

func (k noteKey) public() []byte {
	if k.kind == 6 {
		return k.mldsa().PublicKey().Bytes()
	}
	return k.ed25519()[32:]
}

func (k noteKey) id() []byte { return sum256(join(k.name, "\n", k.kind, k.public()))[:4] }

// vkey is the verifier key; that of a cosigner by Ed25519 is written as of type 1.
func (k noteKey) vkey() string {
	if k.kind == 4 {
		k.kind = 1
	}
	return fmt.Sprintf("%s+%x+%s", k.name, k.id(), base64.StdEncoding.EncodeToString(join(k.kind, k.public())))
}

const drawnStamp = uint64(1_795_000_000)

// drawnLines are the signature lines by ML-DSA-44 that were made before: signing is
// most of what drawing takes, and the same head is signed many times.
var drawnLines sync.Map

// line is the signature line under text; head are its size and root, for type 6.
func (k noteKey) line(text []byte, origin string, size uint64, root []byte) string {
	if k.kind != 6 {
		return k.sign(text, origin, size, root)
	}
	type made struct {
		noteKey
		text string
	}
	if line, ok := drawnLines.Load(made{k, string(text)}); ok {
		return line.(string)
	}
	line := k.sign(text, origin, size, root)
	drawnLines.Store(made{k, string(text)}, line)
	return line
}

func (k noteKey) sign(text []byte, origin string, size uint64, root []byte) string {
	var sig []byte
	switch k.kind {
	case 1:
		sig = ed25519.Sign(k.ed25519(), text)
	case 4:
		sig = join(drawnStamp, ed25519.Sign(k.ed25519(), join(fmt.Sprintf("cosignature/v1\ntime %d\n", drawnStamp), text)))
	case 6:
		msg := join("subtree/v1\n\x00", len(k.name), k.name, drawnStamp, len(origin), origin, uint64(0), size, root)
		raw, err := k.mldsa().SignDeterministic(msg, nil)
		if err != nil {
			panic(err)
		}
		sig = join(drawnStamp, raw)
	}
	return fmt.Sprintf("— %s %s\n", k.name, base64.StdEncoding.EncodeToString(join(k.id(), sig)))
}

const drawnOrigin = "tutela/example-police"

var (
	drawnOfficer = noteKey{"erika-mustermann", 1, 9}
	drawnOld     = []noteKey{{drawnOrigin, 1, 1}, {drawnOrigin, 6, 2}}
	drawnLog     = []noteKey{{drawnOrigin, 1, 3}, {drawnOrigin, 6, 4}}
	drawnWitness = []noteKey{{"court.example/witness", 4, 5}, {"oversight.example/witness", 6, 6}}
)

// drawnKeys are those of a log, those that it had before, and its witnesses'.
type drawnKeys struct{ log, old, witnesses []noteKey }

var (
	allKeys   = drawnKeys{drawnLog, drawnOld, drawnWitness}
	quickKeys = drawnKeys{drawnLog[:1], drawnOld[:1], drawnWitness[:1]} // without ML-DSA-44
)

func (k drawnKeys) facts() (facts []tutela.Fact) {
	for _, key := range k.log {
		facts = append(facts, textFact("log-key", key.vkey()))
	}
	for _, key := range k.old {
		facts = append(facts, textFact("retired-log-key", key.vkey()))
	}
	return facts
}

// policy demands one of the witnesses.
func (k drawnKeys) policy() string {
	var logs, witnesses, names string
	for _, key := range k.log {
		logs += fmt.Sprintf("log %s\n", key.vkey())
	}
	for _, key := range k.witnesses {
		name, _, _ := strings.Cut(key.name, ".")
		witnesses += fmt.Sprintf("witness %s %s\n", name, key.vkey())
		names += " " + name
	}
	return logs + witnesses + "group outside 1" + names + "\nquorum outside\n"
}

func drawnHead(leaves [][]byte, keys []noteKey) []byte {
	root := hashing(sum256).root(leaves)
	text := fmt.Appendf(nil, "%s\n%d\n%s\n", drawnOrigin, len(leaves), base64.StdEncoding.EncodeToString(root))
	out := join(text, "\n")
	for _, k := range keys {
		out = append(out, k.line(text, drawnOrigin, uint64(len(leaves)), root)...)
	}
	return out
}

func salted(what string, i int, body []byte) []byte {
	return join(sum256(fmt.Appendf(nil, "salt of %s %d", what, i)), body)
}

// drawing is a bundle and what it is drawn from. A test may change a part and
// draw again: what lies above it is then made anew and signed anew.
type drawing struct {
	records, matches [][]byte // bodies
	opened           []int    // of records
	openedMatches    []int
	content          []byte
	edit             func(map[int]*tutela.Event)
	bodies           func(i int, body []byte) []byte // a last change of an event's body
	exhibit          string
	size             int
	header           [6]string
	policy           string
	keys             drawnKeys
}

func newDrawing() *drawing { return newDrawingOf([]byte("a grey square, drawn by code\n")) }

// newDrawingOf is a drawing in which all records are about that content.
func newDrawingOf(content []byte) *drawing {
	d := &drawing{exhibit: "7-B", content: content, size: 14, opened: []int{1, 4}, openedMatches: []int{0}}
	for i := range 7 {
		r := &tutela.Record{Path: fmt.Appendf(nil, "DCIM/%d.jpg", i), Size: int64(len(d.content)), Hashed: true, Kind: 1, State: 1, Type: "image/jpeg",
			Chain: []tutela.Locator{{Layer: "raw", At: "0"}}, Runs: []tutela.Run{{Offset: 512, Length: 29}}}
		r.Times.Modified = time.Unix(1_790_000_000, 5).UTC()
		r.Digests.SHA256 = sha256.Sum256(d.content)
		d.records = append(d.records, ledger.AppendRecord(nil, r))
	}
	for i := range 3 {
		d.matches = append(d.matches, join("M\x01", 1, 1, i, i))
	}
	d.header = [6]string{"2026-0815", "Court of First Instance, chamber 3", "trial", "2026-11-25T21:00:00Z", "Erika Mustermann", "3"}
	d.keys, d.policy = allKeys, allKeys.policy()
	return d
}

func leavesOf(what string, bodies [][]byte) (leaves [][]byte) {
	for i, b := range bodies {
		leaves = append(leaves, salted(what, i, b))
	}
	return leaves
}

func textFact(name, value string) tutela.Fact { return tutela.Fact{Name: name, Value: []byte(value)} }

// act is an event of the drawing; prev is the index before about the exhibit, -1 if none.
func (d *drawing) act(kind tutela.EventKind, exhibit string, prev int, facts ...tutela.Fact) *tutela.Event {
	e := &tutela.Event{Kind: kind, Time: time.Unix(1_795_000_000, 0), Actor: d.header[4], Exhibit: exhibit, Facts: facts, Previous: uint64(prev + 1), Detail: []byte("{}")}
	if exhibit != "" {
		e.Case = d.header[0]
	}
	return e
}

// sign signs an event with the officer's key.
func sign(e *tutela.Event) *tutela.Event {
	e.Signer = fmt.Sprintf("%x", drawnOfficer.id())
	e.Signature = ed25519.Sign(drawnOfficer.ed25519(), ledger.EventMessage(e))
	return e
}

// trees are the opened trees of the bundle: event, name, leaves, which of them.
func (d *drawing) draw() map[string][]byte {
	records, matches := leavesOf("record", d.records), leavesOf("match", d.matches)
	h, h512 := hashing(sum256), hashing(sum512)
	var opened []byte
	files := map[string][]byte{}
	for _, i := range d.opened {
		files[fmt.Sprintf("trees/6-records/%d.open", i)] = records[i]
		opened = append(opened, h(join(0, records[i]))...)
	}
	for _, i := range d.openedMatches {
		files[fmt.Sprintf("trees/9-matches/%d.open", i)] = matches[i]
		opened = append(opened, h(join(0, matches[i]))...)
	}
	files["trees/6-records/proof"] = h.proof(records, 0, d.opened)
	files["trees/6-records/proof-sha512"] = h512.proof(records, 0, d.opened)
	files["trees/9-matches/proof"] = h.proof(matches, 0, d.openedMatches)
	tree := tutela.Fact{Name: tutela.FactRecords, Number: uint64(len(records)), Value: h.root(records)}
	tree512 := tutela.Fact{Name: tutela.FactRecords512, Number: uint64(len(records)), Value: h512.root(records)}
	events := map[int]*tutela.Event{
		2: d.act(tutela.EventKeyEnrol, "", -1, textFact("actor", d.header[4]), textFact("actor-key", drawnOfficer.vkey())),
		3: d.act(tutela.EventSeize, d.exhibit, -1),
		5: sign(d.act(tutela.EventScanStart, d.exhibit, 3)),
		6: sign(d.act(tutela.EventSeal, d.exhibit, 5, tree, tree512)),
		7: d.act(tutela.EventKeyRotate, "", -1, d.keys.facts()...),
		9: d.act(tutela.EventMatchRun, d.exhibit, 6, tree, tutela.Fact{Name: tutela.FactMatches, Number: uint64(len(matches)), Value: h.root(matches)}),
		12: sign(d.act(tutela.EventDisclose, d.exhibit, 9, tutela.Fact{Name: "opened", Number: uint64(len(opened) / 32), Value: h(opened)},
			textFact("to", d.header[1]), textFact("purpose", d.header[2]))),
	}
	if d.edit != nil {
		d.edit(events)
	}
	var log [][]byte
	wanted := slices.Sorted(maps.Keys(events))
	for i := range d.size {
		body := []byte("of another case")
		if e := events[i]; e != nil {
			body = ledger.AppendEvent(nil, e)
			if d.bodies != nil {
				body = d.bodies(i, body)
			}
			files[fmt.Sprintf("events/%d.entry", i)] = salted("event", i, body)
		}
		log = append(log, join("tutela-entry@v1\n", h(join(0, salted("event", i, body)))))
	}
	files["events/proof"] = h.proof(log, 0, wanted)
	files["checkpoint"] = drawnHead(log, slices.Concat(d.keys.log, d.keys.witnesses))
	for n, keys := range map[int][]noteKey{5: d.keys.old, 12: d.keys.log} {
		files[fmt.Sprintf("prev/%d.checkpoint", n)] = drawnHead(log[:n], keys)
		files[fmt.Sprintf("prev/%d.proof", n)] = h.consistency(n, log, true)
	}
	files["policy"] = []byte(d.policy)
	files["content/6-records/1"] = d.content
	files["time/14-1.tsr"], files["time/5-2.ots"] = []byte("stamp"), []byte("anchor")
	files["report/report.txt"], files["tool/build.txt"] = []byte("what was found\n"), []byte("built by hand\n")
	files["README.txt"], files["gossip/other-police.checkpoint"] = []byte("read me\n"), []byte("a head\n")
	return d.seal(files)
}

// seal makes BUNDLE and its signature anew over all other files.
func (d *drawing) seal(files map[string][]byte) map[string][]byte {
	var b strings.Builder
	b.WriteString("tutela-bundle@v1\n")
	for i, name := range []string{"case", "to", "purpose", "issued", "officer", "opened"} {
		fmt.Fprintf(&b, "%s %s\n", name, d.header[i])
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if path != "BUNDLE" && path != "BUNDLE.sig" {
			fmt.Fprintf(&b, "%x %d %s\n", sum256(files[path]), len(files[path]), path)
		}
	}
	return signList(files, b.String())
}

func signList(files map[string][]byte, list string) map[string][]byte {
	files["BUNDLE"] = []byte(list)
	files["BUNDLE.sig"] = []byte(drawnOfficer.line([]byte(list), "", 0, nil))
	return files
}
