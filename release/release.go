// Command release builds what is given to labs and courts: static binaries for six
// platforms, for each a list of what it is made of, and the checksums of all of them,
// in ./dist.
//
// Run it as `make release`, from the root of a clean clone. Promised: the same
// revision, built by the same Go release, gives the same bytes, in whatever folder and
// on whatever machine, so that anybody can build a release again and compare. Every
// binary bears its revision. Not promised: the same bytes from another Go release, and
// that a licence was recognised rightly; the text in the module decides.
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
)

// programs are the packages that are released, by the name of their binary.
var programs = []string{"tutela", "tutela-verify"}

// platform is an operating system and a processor, as Go names them.
type platform struct{ system, processor string }

func (p platform) String() string { return p.system + "/" + p.processor }

// platforms are those that are released.
var platforms = []platform{
	{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}, {"windows", "amd64"}, {"windows", "arm64"},
}

func main() {
	only := flag.String("only", "", "build for one platform: linux/amd64")
	dist := flag.String("o", "dist", "the folder to write to")
	dirty := flag.Bool("dirty", false, "also where the sources differ from a revision, for a try")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	r := release{root: ".", dist: *dist, programs: programs, dirty: *dirty, said: os.Stdout}
	if err := r.run(ctx, chosen(*only)); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func chosen(only string) (some []platform) {
	for _, p := range platforms {
		if only == "" || only == p.String() {
			some = append(some, p)
		}
	}
	return some
}

// release is one run.
type release struct {
	root     string // of the sources
	dist     string
	programs []string
	dirty    bool
	said     io.Writer
}

// run builds everything, then writes SHA256SUMS: where that is, the rest is whole.
func (r release) run(ctx context.Context, some []platform) error {
	if len(some) == 0 {
		return fmt.Errorf("no such platform: one of %v", platforms)
	}
	if err := r.refuseChanged(ctx); err != nil {
		return err
	}
	if err := os.MkdirAll(r.dist, 0o755); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(r.dist, "SHA256SUMS")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var names []string
	for _, p := range some {
		for _, program := range r.programs {
			name, err := r.make(ctx, program, p)
			if err != nil {
				return fmt.Errorf("%s for %s: %w", program, p, err)
			}
			names = append(names, name, name+".cdx.json")
		}
	}
	return r.sum(names)
}

// refuseChanged refuses sources that are not those of a revision: nobody could
// build them again.
func (r release) refuseChanged(ctx context.Context) error {
	out, err := r.command(ctx, "git", "status", "--porcelain").Output()
	if err != nil {
		return fmt.Errorf("ask git for the state of the sources: %w", err)
	}
	if len(out) > 0 && !r.dirty {
		return errors.New("the sources differ from their revision; commit first, or try with -dirty")
	}
	return nil
}

// make builds one program for one platform and writes beside it what it is made of.
func (r release) make(ctx context.Context, program string, p platform) (name string, err error) {
	name = strings.Join([]string{program, p.system, p.processor}, "-")
	if p.system == "windows" {
		name += ".exe"
	}
	path := filepath.Join(r.dist, name)
	if err := r.build(ctx, program, p, path); err != nil {
		return "", err
	}
	bill, err := r.bill(ctx, program, path)
	if err != nil {
		return "", fmt.Errorf("tell what it is made of: %w", err)
	}
	return name, os.WriteFile(path+".cdx.json", bill, 0o644)
}

// build compiles. Every setting that changes the bytes is named here or in build's
// environment; see docs/how-to/check-a-release.md, which says the same to people.
func (r release) build(ctx context.Context, program string, p platform, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	c := r.command(ctx, "go", "build", "-trimpath", "-buildvcs=true", "-ldflags=-s -w -buildid=", "-o", path, "./cmd/"+program)
	c.Env = append(c.Env, "GOOS="+p.system, "GOARCH="+p.processor)
	c.Stderr = os.Stderr
	return c.Run()
}

// settings are taken from nobody's environment.
var settings = []string{"CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0", "GOFIPS140=off"}

func (r release) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir = r.root
	c.Env = append(os.Environ(), settings...)
	return c
}

// sum writes SHA256SUMS in the form of sha256sum.
func (r release) sum(names []string) error {
	slices.Sort(names)
	var text strings.Builder
	for _, name := range names {
		sum, err := digest(filepath.Join(r.dist, name))
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "%s  %s\n", sum, name)
	}
	fmt.Fprint(r.said, text.String())
	return os.WriteFile(filepath.Join(r.dist, "SHA256SUMS"), []byte(text.String()), 0o644)
}

func digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}
