// Package arch holds the import law of the house: who may know whom, and what
// no one may do where. The law is what makes "evidence cannot be altered" and
// "a model never decides" facts about the program instead of promises.
//
// Call [Load] on the module's folder and [Breaches] on what it returns; the
// package's test does so for this tree, and for a planted breach of every rule.
// The sources are parsed here, file by file: nothing is executed and nothing is
// taken from a cache.
package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Package is one folder of Go files, test files left out.
type Package struct {
	Path  string // inside the module, "" for the root
	Files []*ast.File
}

// Load parses every package of the module in dir. Folders named testdata and
// those that begin with a dot or underscore are passed over, as go does.
func Load(dir string) ([]Package, error) {
	byPath := map[string]*Package{}
	fset := token.NewFileSet()
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skipFolder(dir, name)
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(fset, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("parse %s: %w", name, err)
		}
		if isGenerator(file) {
			return nil
		}
		rel, err := filepath.Rel(dir, filepath.Dir(name))
		if err != nil {
			return err
		}
		rel = strings.TrimPrefix(filepath.ToSlash(rel), ".")
		if byPath[rel] == nil {
			byPath[rel] = &Package{Path: rel}
		}
		byPath[rel].Files = append(byPath[rel].Files, file)
		return nil
	})
	if err != nil {
		return nil, err
	}
	packages := make([]Package, 0, len(byPath))
	for _, p := range byPath {
		packages = append(packages, *p)
	}
	slices.SortFunc(packages, func(a, b Package) int { return strings.Compare(a.Path, b.Path) })
	return packages, nil
}

func skipFolder(root, name string) error {
	base := filepath.Base(name)
	if name != root && (base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")) {
		return filepath.SkipDir
	}
	if _, err := os.Stat(filepath.Join(name, "go.mod")); err == nil && name != root {
		return filepath.SkipDir // a module of its own has its own law
	}
	return nil
}

// isGenerator reports a file that is only run by `go generate` and is part of
// no build.
func isGenerator(file *ast.File) bool {
	for _, group := range file.Comments {
		for _, c := range group.List {
			if c.Text == "//go:build ignore" {
				return true
			}
		}
	}
	return false
}

// Breaches lists every place where the packages break the law, a sentence each.
func Breaches(packages []Package) []string {
	var out []string
	for _, p := range packages {
		room, known := roomOf(p.Path)
		if !known {
			out = append(out, fmt.Sprintf("%s: no rule says where this package stands: give it a room in internal/arch/law.go and in the picture of the house", p.name()))
			continue
		}
		out = append(out, p.checkName()...)
		for _, file := range p.Files {
			out = append(out, p.checkImports(room, file)...)
			if room.readOnly {
				out = append(out, p.checkReadOnly(file)...)
			}
			if room.needsGrant {
				out = append(out, p.checkGrant(file)...)
			}
			if !contains(decoders, p.Path) {
				out = append(out, p.checkDecoding(file)...)
			}
			if room.name != "internal/authority" {
				out = append(out, p.checkForgery(file)...)
			}
		}
	}
	return out
}

func (p Package) name() string {
	if p.Path == "" {
		return module
	}
	return p.Path
}

func (p Package) checkName() []string {
	base := path.Base(p.Path)
	if slices.Contains(refusedNames, base) {
		return []string{fmt.Sprintf("%s: %q says nothing about what is inside: name the package for what it holds or does", p.name(), base)}
	}
	return nil
}

func (p Package) checkImports(room room, file *ast.File) []string {
	var out []string
	for _, spec := range file.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		if why := room.refuses(p.Path, target); why != "" {
			out = append(out, fmt.Sprintf("%s imports %s: %s", p.name(), target, why))
		}
	}
	return out
}

// checkReadOnly refuses every selector that could change a file, whatever it is
// called on but the nouns of the root package: a false alarm is renamed in a
// minute, altered evidence is not repaired at all.
func (p Package) checkReadOnly(file *ast.File) []string {
	var out []string
	ast.Inspect(file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && slices.Contains(writers, sel.Sel.Name) && !isSelector(sel, module, sel.Sel.Name) {
			out = append(out, fmt.Sprintf("%s calls %s: nothing under internal/evidence may be able to change a file", p.name(), sel.Sel.Name))
		}
		return true
	})
	return out
}

// checkGrant demands that every exported function that can be cancelled, and so
// does work, is handed a Grant.
func (p Package) checkGrant(file *ast.File) []string {
	var out []string
	for _, decl := range file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Recv != nil || !fn.Name.IsExported() || !takes(fn, "context", "Context") {
			continue
		}
		if !takes(fn, "authority", "Grant") {
			out = append(out, fmt.Sprintf("%s.%s takes no authority.Grant: whoever reads content shows first that it was allowed and written down", p.name(), fn.Name.Name))
		}
	}
	return out
}

// checkDecoding refuses to run decoders of pictures outside the confined child.
func (p Package) checkDecoding(file *ast.File) []string {
	var out []string
	ast.Inspect(file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && slices.Contains(decoding, sel.Sel.Name) && isSelector(sel, "picture", sel.Sel.Name) {
			out = append(out, fmt.Sprintf("%s uses picture.%s: hostile pictures are decoded in the confined child only, through a confine.Host", p.name(), sel.Sel.Name))
		}
		return true
	})
	return out
}

// checkForgery refuses to build a Grant by hand.
func (p Package) checkForgery(file *ast.File) []string {
	var out []string
	ast.Inspect(file, func(n ast.Node) bool {
		if lit, ok := n.(*ast.CompositeLit); ok && isSelector(lit.Type, "authority", "Grant") {
			out = append(out, fmt.Sprintf("%s builds an authority.Grant: only package authority makes one, after writing it into the ledger", p.name()))
		}
		return true
	})
	return out
}

func takes(fn *ast.FuncDecl, pkg, name string) bool {
	for _, field := range fn.Type.Params.List {
		if isSelector(field.Type, pkg, name) {
			return true
		}
	}
	return false
}

func isSelector(expr ast.Expr, pkg, name string) bool {
	sel, ok := expr.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	id, ok := sel.X.(*ast.Ident)
	return ok && id.Name == pkg
}
