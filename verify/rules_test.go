package verify_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tutela"
	"tutela/internal/ledger"
)

// The rules that random damage does not reach, each broken alone in a bundle
// whose list, log and signatures are made anew.

func TestRulesOfPaths(t *testing.T) {
	panel, d := judges(t), newDrawing()
	for path, size := range map[string]int{
		"report/..": 1, "report/.": 1, "report/A.txt": 1, "report/a/b.txt": 1, "notes": 1, "README.TXT": 1, "tool/other.txt": 1,
		"report/" + strings.Repeat("a", 94): 1, "events/03.entry": 1, "time/99999999999999999999-1.tsr": 1, "time/13-1.tsr": 1,
		"README.txt": 16<<20 + 33, "trees/6-records/2": 1, "trees/3-records/proof": 32, "gossip/a.b.checkpoint": 1, "/policy": 1,
		"content/6-records/2": 29, "prev/6.proof": 32, "trees/9-matches/proof-sha512": 64,
	} {
		files := d.draw()
		files[path] = make([]byte, size)
		held(t, panel, mutant{name: "a file " + path, files: d.seal(files), bound: true})
	}
}

func TestRulesOfPolicies(t *testing.T) {
	panel, files := judges(t), newDrawing().draw()
	good := newDrawing()
	w := "witness court " + drawnWitness[0].vkey() + "\n"
	for name, change := range map[string][2]string{
		"an address":        {w, strings.TrimSuffix(w, "\n") + " https://court.example/\n"},
		"a name twice":      {"witness oversight ", "witness court "},
		"a group twice":     {"quorum ", "group outside 1 court\nquorum "},
		"a name with plus":  {"outside", "out+side"},
		"a member twice":    {"court oversight\n", "court court\n"},
		"any":               {"outside 1", "outside any"},
		"a leading zero":    {"outside 1", "outside 01"},
		"two spaces":        {"quorum ", "quorum  "},
		"a comment":         {"quorum ", "# why\nquorum "},
		"an empty line":     {"quorum ", "\nquorum "},
		"witness first":     {"log ", w + "log "},
		"another log":       {"log " + drawnLog[1].vkey(), "log " + noteKey{"tutela/other", 6, 4}.vkey()},
		"a key twice":       {w, w + "witness c " + noteKey{"other", 4, 5}.vkey() + "\n"},
		"misspelt":          {"quorum ", "qourum "},
		"none as a name":    {"outside", "none"},
		"no end":            {"quorum outside\n", "quorum outside"},
		"of type 4":         {drawnWitness[0].vkey(), cosignerKey(drawnWitness[0])},
		"two quorums":       {"quorum outside\n", "quorum outside\nquorum outside\n"},
		"a key in capitals": {fmt.Sprintf("%x", drawnWitness[1].id()), strings.ToUpper(fmt.Sprintf("%x", drawnWitness[1].id()))},
	} {
		text := strings.Replace(good.policy, change[0], change[1], 1)
		if strings.HasPrefix(name, "a name with") || name == "none as a name" {
			text = strings.ReplaceAll(good.policy, change[0], change[1])
		}
		if text == good.policy {
			t.Fatalf("%s: nothing changed", name)
		}
		files["policy"] = []byte(text)
		held(t, panel, mutant{name: "policy: " + name, files: good.seal(files), bound: true})
	}
}

// cosignerKey is the vkey of a cosigner as of type 4.
func cosignerKey(k noteKey) string {
	return fmt.Sprintf("%s+%x+%s", k.name, k.id(), base64.StdEncoding.EncodeToString(join(4, k.public())))
}

// TestRulesOfHeads: a signature line twice, of the wrong form, or missing.
func TestRulesOfHeads(t *testing.T) {
	panel, d := judges(t), newDrawing()
	for _, path := range []string{"checkpoint", "prev/5.checkpoint"} {
		files := d.draw()
		text, lines, _ := strings.Cut(string(files[path]), "\n\n")
		first, _, _ := strings.Cut(lines, "\n")
		for _, more := range []string{first, "— a+b AAAAAAA=", "— a AAAA", "— a\u00a0b AAAAAAA=", "- a AAAAAAA="} {
			files[path] = []byte(text + "\n\n" + lines + more + "\n")
			held(t, panel, mutant{name: path + " with " + more, files: d.seal(files), bound: true})
		}
	}
	files := d.draw()
	lines := strings.SplitAfter(string(files["checkpoint"]), "\n") // three of text, one empty, then two of the log
	for name, kept := range map[string][]string{
		"no witness":    lines[:6],
		"one log key":   slices.Delete(slices.Clone(lines), 4, 5),
		"other log key": slices.Delete(slices.Clone(lines), 5, 6),
		"nobody":        lines[:4],
	} {
		files["checkpoint"] = []byte(strings.Join(kept, ""))
		held(t, panel, mutant{name: "head of " + name, files: d.seal(files), bound: true})
	}
	files["checkpoint"] = []byte(strings.Join(lines[:7], ""))
	if !held(t, panel, mutant{name: "one witness of two", files: d.seal(files)}) {
		t.Error("a quorum of one is refused")
	}
	files = d.draw()
	files["BUNDLE.sig"] = append(files["BUNDLE.sig"], files["BUNDLE.sig"]...)
	held(t, panel, mutant{name: "signed twice", files: files, bound: true})
}

func TestRulesOfBodies(t *testing.T) {
	panel := judges(t)
	for name, change := range map[string][2]string{
		"a byte more":       {"", "\x00"},
		"a long varint":     {"E\x02\x09match-run", "E\x02\x89\x00match-run"},
		"version 3":         {"E\x02", "E\x03"},
		"in capitals":       {"E\x02", "e\x02"},
		"too much of a day": {"\x80\x9b\xec\xaf\r\x00", "\x80\x9b\xec\xaf\r\x80\x94\xeb\xdc\x03"},
	} {
		d := quickDrawing()
		d.bodies = func(i int, body []byte) []byte {
			if i != 9 {
				return body
			}
			out := append(bytes.Clone(body), change[1]...)
			if change[0] != "" {
				out = bytes.Replace(body, []byte(change[0]), []byte(change[1]), 1)
			}
			if bytes.Equal(out, body) {
				t.Fatalf("%s: nothing changed in %q", name, body)
			}
			return out
		}
		held(t, panel, mutant{name: "body: " + name, files: d.draw(), bound: true})
	}
	d := quickDrawing()
	d.matches[0][0] = 'R'
	held(t, panel, mutant{name: "a match that is none", files: d.draw(), bound: true})
	for name, change := range map[string]func([]byte) []byte{
		"another letter": func(b []byte) []byte { return append([]byte("M\x01"), b[2:]...) },
		"version 2":      func(b []byte) []byte { return append([]byte("R\x02"), b[2:]...) },
		"unknown flag":   func(b []byte) []byte { b[2] |= 0x20; return b },
		"cut":            func(b []byte) []byte { return b[:20] },
	} {
		d := quickDrawing()
		d.records[4] = change(d.records[4])
		held(t, panel, mutant{name: "record: " + name, files: d.draw(), bound: true})
	}
}

func TestRulesOfFacts(t *testing.T) {
	panel := judges(t)
	for name, edit := range map[string]func(map[int]*tutela.Event){
		"unknown twice":    func(e map[int]*tutela.Event) { e[9].Facts = append(e[9].Facts, textFact("x", "1"), textFact("x", "2")) },
		"a short root":     func(e map[int]*tutela.Event) { e[9].Facts[0].Value = e[9].Facts[0].Value[:31] },
		"second root only": func(e map[int]*tutela.Event) { e[9].Facts[0].Name = "records-sha512" },
		"no recovery key":  func(e map[int]*tutela.Event) { e[8] = &tutela.Event{Kind: tutela.EventRecoveryKey} },
		"a link to none":   func(e map[int]*tutela.Event) { e[7].Previous = 6 },
	} {
		d := quickDrawing()
		d.edit = edit
		held(t, panel, mutant{name: "facts: " + name, files: d.draw(), bound: true})
	}
}

// TestEventsOfNoExhibit: those that others rest on may stand in a bundle.
func TestEventsOfNoExhibit(t *testing.T) {
	panel := judges(t)
	for kind, want := range map[tutela.EventKind]bool{
		tutela.EventToolValidate: true, tutela.EventClockCheck: true, tutela.EventPolicyChange: true,
		tutela.EventInit: false, tutela.EventAccess: false, "": false, tutela.EventSeize: false,
	} {
		d := quickDrawing()
		d.edit = func(e map[int]*tutela.Event) { e[8] = sign(d.act(kind, "", -1)) }
		if held(t, panel, mutant{name: "no exhibit: " + string(kind), files: d.draw(), bound: !want}) != want {
			t.Errorf("%s: not as it should be", kind)
		}
	}
}

// TestEventsOfAnExhibit: in a chain stands whatever was done with the exhibit, also
// that another program was asked about it, and nothing that is the lab's alone.
func TestEventsOfAnExhibit(t *testing.T) {
	panel := judges(t)
	for kind, want := range map[tutela.EventKind]bool{
		tutela.EventToolValidate: true, tutela.EventAccess: true, tutela.EventRefused: true, "unheard-of": true,
		tutela.EventClockCheck: false, tutela.EventPolicyChange: false, tutela.EventSeize: false,
	} {
		d := quickDrawing()
		d.edit = func(e map[int]*tutela.Event) {
			e[10] = sign(d.act(kind, "7-B", 9))
			e[12].Previous = 11
			sign(e[12])
		}
		if held(t, panel, mutant{name: "about an exhibit: " + string(kind), files: d.draw(), bound: !want}) != want {
			t.Errorf("%s: not as it should be", kind)
		}
	}
}

// TestRecoveryKeySignsRotations: the last one that was registered before, and
// nothing but rotations and the recovery key of the next time.
func TestRecoveryKeySignsRotations(t *testing.T) {
	panel := judges(t)
	old, young := noteKey{drawnOrigin + "/recovery", 1, 21}, noteKey{drawnOrigin + "/recovery", 1, 22}
	by := func(e *tutela.Event, k noteKey) {
		e.Signer, e.Signature = fmt.Sprintf("%x", k.id()), ed25519.Sign(k.ed25519(), ledger.EventMessage(e))
	}
	register := func(d *drawing, k noteKey) *tutela.Event {
		return d.act(tutela.EventRecoveryKey, "", -1, textFact("recovery-key", k.vkey()))
	}
	for name, c := range map[string]struct {
		edit func(*drawing, map[int]*tutela.Event)
		want bool
	}{
		"registered": {func(d *drawing, e map[int]*tutela.Event) { e[4] = register(d, old); by(e[7], old) }, true},
		"again": {func(d *drawing, e map[int]*tutela.Event) {
			e[1], e[4] = register(d, old), register(d, young)
			by(e[7], young)
		}, true},
		"replaced": {func(d *drawing, e map[int]*tutela.Event) {
			e[1], e[4] = register(d, old), register(d, young)
			by(e[7], old)
		}, false},
		"for next time": {func(d *drawing, e map[int]*tutela.Event) {
			e[4], e[8] = register(d, old), register(d, young)
			by(e[7], old)
			by(e[8], old)
		}, true},
		"itself":     {func(d *drawing, e map[int]*tutela.Event) { e[8] = register(d, old); by(e[8], old) }, false},
		"too late":   {func(d *drawing, e map[int]*tutela.Event) { e[8] = register(d, old); by(e[7], old) }, false},
		"never":      {func(d *drawing, e map[int]*tutela.Event) { by(e[7], old) }, false},
		"a seal":     {func(d *drawing, e map[int]*tutela.Event) { e[4] = register(d, old); by(e[6], old) }, false},
		"by another": {func(d *drawing, e map[int]*tutela.Event) { e[4] = register(d, old); by(e[7], young) }, false},
		"enrolled too": {func(d *drawing, e map[int]*tutela.Event) {
			e[1], e[4] = register(d, old), d.act(tutela.EventKeyEnrol, "", -1, textFact("actor", d.header[4]), textFact("actor-key", old.vkey()))
			by(e[7], old)
		}, true},
		"ML-DSA":      {func(d *drawing, e map[int]*tutela.Event) { e[4] = register(d, noteKey{"r", 6, 2}) }, false},
		"the officer": {func(d *drawing, e map[int]*tutela.Event) { sign(e[7]) }, true},
	} {
		d := quickDrawing()
		d.edit = func(e map[int]*tutela.Event) { c.edit(d, e) }
		if held(t, panel, mutant{name: "recovery: " + name, files: d.draw(), bound: !c.want}) != c.want {
			t.Errorf("%s: not as it should be", name)
		}
	}
}

// TestKeyIDsThatTwoKeysHave: key IDs have four bytes, and whoever makes many keys
// finds two that share one. Which of them signed must not be for a verifier to
// choose; one of these is no point of the curve, which programs notice at
// different times.
func TestKeyIDsThatTwoKeysHave(t *testing.T) {
	panel, good, bad := judges(t), drawnOfficer, noteKey{kind: 1}
	idOf := func(name string, public []byte) string { return string(sum256(join(name, "\n", 1, public))[:4]) }
	noPoint, public, names := bytes.Repeat([]byte{2}, 32), good.public(), map[string]string{}
	for i := 0; bad.name == ""; i++ {
		name := fmt.Sprintf("k%d", i)
		names[idOf(name, public)] = name
		if other, ok := names[idOf(name+"x", noPoint)]; ok {
			good.name, bad.name = other, name+"x"
		}
	}
	vkey := fmt.Sprintf("%s+%x+%s", bad.name, idOf(bad.name, noPoint), base64.StdEncoding.EncodeToString(join(1, noPoint)))
	for name, order := range map[string][]string{"bad first": {vkey, good.vkey()}, "good first": {good.vkey(), vkey}, "good alone": {good.vkey()}} {
		d := quickDrawing()
		d.edit = func(e map[int]*tutela.Event) {
			for i, key := range order {
				e[i] = d.act(tutela.EventKeyEnrol, "", -1, textFact("actor", d.header[4]), textFact("actor-key", key))
			}
			e[5].Signer, e[5].Signature = fmt.Sprintf("%x", good.id()), ed25519.Sign(good.ed25519(), ledger.EventMessage(e[5]))
		}
		if want := len(order) == 1; held(t, panel, mutant{name: name, files: d.draw(), bound: !want}) != want {
			t.Errorf("%s: not as it should be", name)
		}
	}
}

// TestTextsThatTurn: neither the header nor a disclosure may hold a mark that
// turns the direction of writing, also where both say the same.
func TestTextsThatTurn(t *testing.T) {
	panel := judges(t)
	for _, mark := range []rune{0x61c, 0x200e, 0x200f, 0x202a, 0x202e, 0x2066, 0x2069, 0x2028, 0x85, 0x7f, 0x1b} {
		for line := range 3 {
			d := newDrawing()
			d.header[line] = "tri" + string(mark) + "al"
			held(t, panel, mutant{name: fmt.Sprintf("%U in line %d", mark, line), files: d.draw(), bound: true})
		}
	}
	for _, word := range []string{"تجربة", "פסק דין", "審判", "tri\u200dal", strings.Repeat("ä", 500)} {
		d := newDrawing()
		d.header[1] = word
		if !held(t, panel, mutant{name: "to " + word, files: d.draw()}) {
			t.Errorf("%q is refused", word)
		}
	}
	d := newDrawing() // an earlier disclosure, to somebody else
	d.edit = func(e map[int]*tutela.Event) {
		earlier := d.act(tutela.EventDisclose, "7-B", 9, tutela.Fact{Name: "opened", Value: make([]byte, 32)}, textFact("to", "a\u202eb"), textFact("purpose", "trial"))
		e[10], e[12].Previous = earlier, 11
		sign(e[12])
	}
	held(t, panel, mutant{name: "an earlier disclosure that turns", files: d.draw(), bound: true})
}

// TestKeysThatStandTwice: one key in two enrolments is one key; one retired key
// twice is refused, since its rotation would name fewer keys than it seems.
func TestKeysThatStandTwice(t *testing.T) {
	panel, d := judges(t), quickDrawing()
	d.edit = func(e map[int]*tutela.Event) { e[4] = e[2] }
	if !held(t, panel, mutant{name: "enrolled twice", files: d.draw()}) {
		t.Error("a key that was enrolled twice is refused")
	}
	d.edit = func(e map[int]*tutela.Event) { e[7].Facts = append(e[7].Facts, e[7].Facts[1]) }
	held(t, panel, mutant{name: "retired twice", files: d.draw(), bound: true})
}
