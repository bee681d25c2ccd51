package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

// The tree as it stands keeps the law.
func TestHouse(t *testing.T) {
	packages, err := Load("../..")
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) < 5 {
		t.Fatalf("only %d packages found: the law was not applied to the tree", len(packages))
	}
	for _, breach := range Breaches(packages) {
		t.Error(breach)
	}
}

// A room may only be let into rooms that stand above it: the law itself cannot
// be written in a circle.
func TestLawFlowsOneWay(t *testing.T) {
	above := map[string]bool{}
	for _, r := range law {
		for _, name := range r.may {
			if !above[name] {
				t.Errorf("%s may import %s, which does not stand above it", describe(r.name), describe(name))
			}
		}
		above[r.name] = true
	}
}

// One planted breach of every rule, and the words that must teach.
func TestPlantedBreaches(t *testing.T) {
	for _, c := range []struct {
		rule, pkg, src, teaches string
	}{
		{"1 the root is pure", "", `import "golang.org/x/sys/unix"`, "standard library only"},
		{"1 every package has a rule", "internal/attic", ``, "no rule says where"},
		{"1 names mean something", "internal/evidence/util", ``, "says nothing about what is inside"},
		{"2 earlier steps only", "internal/evidence/image", `import "tutela/internal/digest"`, "only scan joins them"},
		{"2 only scan joins", "internal/catalog", `import "tutela/internal/ledger"`, "only scan joins them"},
		{"3 evidence cannot write", "internal/evidence/image", `import "os"; func f() { os.WriteFile("x", nil, 0) }`, "change a file"},
		{"3 by no other name either", "internal/evidence/image", `import "os"; var flag = os.O_RDWR`, "change a file"},
		{"3 nor start what can", "internal/evidence/image", `import "os/exec"`, "nor start what can"},
		{"4 a model never decides", "internal/triage", `import "tutela/internal/review"`, "no rule says where"},
		{"6 a scan is offline", "internal/scan", `import "net/http"`, "offline, provably"},
		{"6 evidence is offline", "internal/evidence/folder", `import "net"`, "offline, provably"},
		{"6 a survey knows no network", "internal/evidence/survey", `import "tutela/internal/evidence/s3"`, "no way there"},
		{"7 no Grant, no bytes", "internal/scan", `import "context"; func Run(ctx context.Context) {}`, "takes no authority.Grant"},
		{"7 Grants are not forged", "internal/scan", `import "tutela/internal/authority"; var g = authority.Grant{}`, "only package authority makes one"},
		{"8 the trusted core is small", "internal/ledger", `import "modernc.org/sqlite"`, "read in an evening"},
		{"8 the checking half is smaller", "internal/ledger/check", `import "tutela/internal/digest"`, "no way there"},
		{"8 verify knows check only", "verify", `import "tutela/internal/ledger"`, "no way there"},
		{"9 uncapped decoders are confined", "internal/picture", `import "golang.org/x/image/bmp"`, "confined child"},
		{"9 pictures are decoded there", "cmd/tutela", `import "tutela/internal/picture"; var look = picture.Look`, "confined child"},
		{"10 nobody imports the command", "internal/lab", `import "tutela/cmd/tutela"`, "end of the way"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			breaches := strings.Join(Breaches([]Package{planted(t, c.pkg, c.src)}), "\n")
			if !strings.Contains(breaches, c.teaches) {
				t.Errorf("planted in %q: %s\nfound: %q, which does not say %q", c.pkg, c.src, breaches, c.teaches)
			}
		})
	}
}

// The rules for rooms that are not built yet hold as soon as they are.
func TestRulesBeforeTheirRooms(t *testing.T) {
	for _, c := range []struct{ rule, pkg, target, teaches string }{
		{"4", "internal/triage", "tutela/internal/review", "never decides"},
		{"4", "internal/forecast", "tutela/internal/ledger", "never decides"},
		{"5", "internal/report", "tutela/internal/triage", "reach a court"},
		{"10", "internal/triage", "tutela/internal/server", "end of the way"},
	} {
		if why := (room{name: c.pkg}).refuses(c.pkg, c.target); !strings.Contains(why, c.teaches) {
			t.Errorf("rule %s: %s imports %s: %q does not say %q", c.rule, c.pkg, c.target, why, c.teaches)
		}
	}
}

// What is allowed stays allowed: a law that refuses everything would pass every
// test above.
func TestInnocent(t *testing.T) {
	for _, c := range []struct{ pkg, src string }{
		{"", `import "time"`},
		{"internal/evidence/image", `import ("os"; "tutela/internal/evidence"); func f() { os.Open("x") }`},
		{"internal/scan", `import ("context"; "tutela/internal/authority"; "tutela/internal/ledger"); func Run(ctx context.Context, g authority.Grant) {}`},
		{"internal/ledger", `import ("tutela"; "filippo.io/mldsa")`},
		{"cmd/tutela", `import ("net/http"; "tutela/internal/scan")`},
	} {
		if breaches := Breaches([]Package{planted(t, c.pkg, c.src)}); len(breaches) > 0 {
			t.Errorf("%q with %s: %q", c.pkg, c.src, breaches)
		}
	}
}

func planted(t *testing.T, pkg, src string) Package {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "planted.go", "package planted\n"+src, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return Package{Path: pkg, Files: []*ast.File{file}}
}
