package arch

import (
	"slices"
	"strings"
)

const module = "tutela"

// room is a folder and all below it, unless a longer room name fits better.
type room struct {
	name string
	// may lists the rooms it may import. Each must stand above it in the law:
	// the evidence flows one way.
	may []string
	// modules lists the foreign modules it may import, by prefix; nil allows
	// any that no other rule keeps for someone else.
	modules []string
	// network allows package net and all below it.
	network bool
	// readOnly refuses everything that can change a file.
	readOnly bool
	// needsGrant demands a Grant from exported functions that do work.
	needsGrant bool
}

// law is the house in the order in which evidence flows through it.
var law = []room{
	{name: "", modules: []string{}},

	{name: "internal/arch", modules: []string{}},
	{name: "internal/durable", modules: []string{"golang.org/x/sys"}},
	{name: "internal/term", modules: []string{"golang.org/x/sys", "golang.org/x/term"}},

	// 1: what was seized, read-only
	{name: "internal/evidence", may: []string{""}, readOnly: true},
	// evidence that lies elsewhere: the command alone leads there
	{name: "internal/evidence/s3", may: []string{"", "internal/evidence"}, network: true, readOnly: true},
	{name: "internal/evidencetest", may: []string{"", "internal/evidence"}},
	{name: "internal/evidencetest/objectstore", network: true},
	// 2, 3: one read, many digests; pictures
	{name: "internal/digest", may: []string{""}},
	{name: "internal/pdq", may: []string{""}, modules: []string{}},
	{name: "internal/feature", modules: []string{}},
	{name: "internal/picture", may: []string{"", "internal/pdq", "internal/feature"}},
	// look-alikes, put on stacks for people to judge
	{name: "internal/stack", may: []string{"", "internal/pdq"}, modules: []string{}},
	// what of all that survives when people alter a picture; measured, never part of a scan
	{name: "internal/robustness", may: []string{"", "internal/pdq", "internal/picture"}},
	{name: "internal/vpdq", may: []string{"", "internal/pdq"}, modules: []string{}},
	{name: "internal/video", may: []string{"", "internal/pdq", "internal/picture"}, readOnly: true},
	// hostile bytes, read in processes of their own
	{name: "internal/confine", may: []string{"", "internal/evidence", "internal/picture", "internal/video"}, modules: []string{"golang.org/x/sys"}},
	// what was seen, small and encrypted
	{name: "internal/thumb", may: []string{"", "internal/durable"}, modules: []string{}},
	// 4: what others know
	{name: "internal/hashset", may: []string{"", "internal/pdq", "internal/feature", "internal/durable"}},
	// 5: what nobody can rewrite unseen; what people search
	{name: "internal/ledger/check", may: []string{""}, modules: []string{"golang.org/x/mod", "filippo.io/mldsa"}},
	{name: "internal/ledger", may: []string{"", "internal/digest", "internal/ledger/check"}, modules: ledgerModules},
	{name: "internal/catalog", may: []string{"", "internal/pdq"}},
	// how strangers are asked
	{name: "internal/courier", modules: []string{}, network: true},
	// when it was: time-stamps that others made, and how they are got
	{name: "internal/timestamp", modules: []string{}},
	{name: "internal/timestamp/client", may: []string{"internal/courier", "internal/timestamp"}, modules: []string{}, network: true},
	{name: "internal/timestamp/authority", may: []string{"internal/timestamp"}, modules: []string{}},
	// other people's memory of a log: how it is kept, and how it is asked
	{name: "internal/witness", may: []string{"internal/courier", "internal/durable", "internal/ledger/check"}, modules: []string{"golang.org/x/mod/sumdb/note"}, network: true},
	// the keys of people, who sign what they do
	{name: "internal/actor", may: []string{""}, modules: []string{"golang.org/x/crypto/ssh", "golang.org/x/mod/sumdb/note", "filippo.io/age"}},
	// what a court is handed to read
	{name: "internal/report", may: []string{""}, modules: []string{"codeberg.org/go-pdf/fpdf", "golang.org/x/image/font"}},
	// what another program says about the same evidence
	{name: "internal/oracle", may: []string{""}, modules: []string{}},
	// 6: who may do what
	{name: "internal/authority", may: []string{""}, modules: []string{"github.com/cedar-policy/cedar-go"}},
	// 7: where it all meets
	{name: "internal/scan", may: []string{"", "internal/durable", "internal/evidence", "internal/digest", "internal/pdq", "internal/picture", "internal/video", "internal/hashset", "internal/ledger", "internal/catalog", "internal/authority"}, needsGrant: true},
	// what the program itself is
	{name: "internal/build", may: []string{""}, modules: []string{}},
	{name: "internal/lab", may: []string{"", "internal/build", "internal/durable", "internal/hashset", "internal/thumb", "internal/ledger", "internal/ledger/check", "internal/timestamp", "internal/catalog", "internal/authority"}},
	// whether it still answers what is known
	{name: "internal/validation", may: []string{"", "internal/build", "internal/confine", "internal/digest", "internal/evidence", "internal/picture", "internal/hashset", "internal/ledger", "internal/ledger/check", "internal/catalog", "internal/authority", "internal/scan", "internal/lab"}},
	// what is handed to courts
	{name: "internal/disclosure", may: []string{"", "internal/durable", "internal/actor", "internal/ledger", "internal/ledger/check", "internal/catalog", "internal/authority", "internal/lab"}, needsGrant: true},
	// what people do in a lab, by command or by page
	{name: "internal/casework", may: []string{"", "internal/build", "internal/confine", "internal/evidence", "internal/picture", "internal/hashset", "internal/thumb", "internal/ledger", "internal/catalog", "internal/authority", "internal/scan", "internal/lab"}, modules: []string{}},
	// who they are: passwords, passkeys, sessions
	{name: "internal/account", may: []string{"", "internal/durable"}, modules: []string{"golang.org/x/crypto/argon2", "github.com/go-webauthn/webauthn"}},
	// what oversight sees, takes away and publishes
	{name: "internal/oversight", may: []string{"", "internal/durable", "internal/ledger/check"}, modules: []string{"golang.org/x/mod/sumdb/note"}},
	// numbers as pictures
	{name: "internal/chart", modules: []string{}},
	{name: "internal/demo", may: []string{""}},
	// pages in six languages
	{name: "internal/web", may: []string{"", "internal/chart"}, modules: []string{}},
	// how people reach it
	{name: "internal/server", may: []string{"", "internal/account", "internal/authority", "internal/build", "internal/casework", "internal/catalog", "internal/chart", "internal/hashset", "internal/lab", "internal/ledger", "internal/ledger/check", "internal/oversight", "internal/scan", "internal/thumb", "internal/web"}, network: true},

	// what other programs call
	{name: "match", may: []string{"", "internal/digest", "internal/picture", "internal/video", "internal/confine", "internal/hashset"}},
	{name: "verify", may: []string{"", "internal/ledger/check", "internal/timestamp"}, modules: []string{"golang.org/x/mod/sumdb/note"}, readOnly: true},
	{name: "cmd/tutela-verify", may: []string{"verify"}, modules: []string{}, readOnly: true},
	{name: "cmd", may: []string{"", "internal/account", "internal/casework", "internal/oversight", "internal/server", "internal/build", "internal/validation", "internal/authority", "internal/catalog", "internal/confine", "internal/demo", "internal/digest", "internal/disclosure", "internal/durable", "internal/evidence", "internal/evidence/s3", "internal/hashset", "internal/lab", "internal/ledger", "internal/ledger/check", "internal/oracle", "internal/pdq", "internal/picture", "internal/report", "internal/scan", "internal/stack", "internal/term", "internal/timestamp", "internal/timestamp/client", "internal/timestamp/authority", "internal/witness", "internal/actor", "match", "verify"}, network: true},
	{name: "bench", may: []string{"", "internal/confine", "internal/evidence", "internal/digest", "internal/hashset", "internal/ledger", "internal/pdq", "internal/picture", "internal/robustness", "internal/catalog"}},
	{name: "release", modules: []string{}},
}

var ledgerModules = []string{"github.com/transparency-dev/", "golang.org/x/mod/sumdb", "golang.org/x/sys", "filippo.io/mldsa"}

// refusedNames are names of packages in which anything could lie.
var refusedNames = []string{"util", "utils", "common", "helper", "helpers", "types", "models", "misc", "base", "shared"}

// writers are the names under which the standard library and x/sys change
// files.
var writers = []string{
	"Create", "CreateTemp", "OpenFile", "WriteFile", "WriteAt", "Remove", "RemoveAll", "Rename", "Truncate",
	"Mkdir", "MkdirAll", "MkdirTemp", "Symlink", "Link", "Chmod", "Chown", "Lchown", "Chtimes", "CopyFS",
	"Unlink", "Unlinkat", "Renameat", "Mkdirat", "Ftruncate", "Fallocate", "Pwrite", "O_RDWR", "O_WRONLY", "O_CREAT", "O_TRUNC",
}

// unconfined are decoders that hostile bytes can make ask for any amount of
// memory, or that load whatever library a machine has. Package picture reads those
// formats by code of its own; of golang.org/x/image/tiff it takes the code of LZW
// alone, which reads a stream.
var unconfined = []string{"golang.org/x/image/bmp", "golang.org/x/image/tiff", "github.com/gen2brain/heic"}

// decoding are the functions of package picture that run decoders. Only the rooms
// in decoders may call them: the package itself, the confined child, what measures
// and compares on pictures of its own, and scan, for labs that are tested without
// children.
var (
	decoding = []string{"Decode", "Look", "Looker", "Perceptual"}
	decoders = []string{"internal/picture", "internal/confine", "internal/robustness", "internal/feature", "internal/scan", "bench"}
)

// orderers may order work and never decide; deciders are what they must not
// know. Both are held here so that the rule stands before the rooms are built.
var (
	orderers = []string{"internal/triage", "internal/link", "internal/forecast"}
	deciders = []string{"internal/review", "internal/authority", "internal/exchange", "internal/ledger", "internal/report"}
)

// roomOf finds the room of a package inside the module: the longest name that
// is the package or a folder above it.
func roomOf(pkg string) (room, bool) {
	best, found := room{}, false
	for _, r := range law {
		if within(pkg, r.name) && (!found || len(r.name) > len(best.name)) {
			best, found = r, true
		}
	}
	return best, found
}

// within reports whether pkg is the folder or lies below it. Only the root
// package itself is in the root.
func within(pkg, folder string) bool {
	if folder == "" {
		return pkg == ""
	}
	return pkg == folder || strings.HasPrefix(pkg, folder+"/")
}

// refuses says in a sentence why a package of this room may not import target;
// it is empty if it may.
func (r room) refuses(pkg, target string) string {
	if inside, ok := insideModule(target); ok {
		return r.refusesRoom(pkg, inside)
	}
	if !strings.Contains(strings.Split(target, "/")[0], ".") {
		return r.refusesStandard(target)
	}
	return r.refusesModule(target)
}

func insideModule(target string) (string, bool) {
	if target == module {
		return "", true
	}
	return strings.CutPrefix(target, module+"/")
}

func (r room) refusesRoom(pkg, target string) string {
	if within(target, "internal/server") || within(target, "cmd") {
		return "nobody imports the server or the command: they stand at the end of the way"
	}
	if contains(orderers, pkg) && contains(deciders, target) {
		return "a model may order work, it never decides: triage, link and forecast know nothing of review, authority, exchange, ledger and report"
	}
	if within(pkg, "internal/report") && contains(orderers, target) {
		return "only hashes, records and human decisions reach a court: report knows nothing of triage and forecast"
	}
	other, known := roomOf(target)
	if !known {
		return "it has no room in the law"
	}
	if other.name == r.name {
		return "" // inside one room the package comments are the law
	}
	if !slices.Contains(r.may, other.name) {
		return "the law gives " + describe(r.name) + " no way there: a step knows earlier steps only, and only scan joins them"
	}
	return ""
}

func (r room) refusesStandard(target string) string {
	if r.network || target != "net" && !strings.HasPrefix(target, "net/") {
		return r.refusesWriting(target)
	}
	if target == "net/url" || target == "net/netip" {
		return "" // values only, nothing that can connect
	}
	return "only exchange, intake, jobs, server, object stores and the command may reach a network: a scan of local evidence is offline, provably"
}

func (r room) refusesWriting(target string) string {
	if r.readOnly && (target == "os/exec" || target == "io/ioutil" || target == "plugin") {
		return "nothing under internal/evidence may be able to change a file, nor start what can"
	}
	return ""
}

func (r room) refusesModule(target string) string {
	if slices.Contains(unconfined, target) {
		return "this decoder is not memory-capped by our own code: package picture reads the format itself, in the confined child"
	}
	if r.modules == nil {
		return ""
	}
	for _, prefix := range r.modules {
		if strings.HasPrefix(target, prefix) {
			return ""
		}
	}
	return describe(r.name) + " may import the standard library" + also(r.modules) + " only, so that it can be read in an evening"
}

func also(modules []string) string {
	if len(modules) == 0 {
		return ""
	}
	return " and " + strings.Join(modules, ", ")
}

func describe(name string) string {
	if name == "" {
		return "the root package"
	}
	return name
}

func contains(folders []string, pkg string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return within(pkg, f) })
}
