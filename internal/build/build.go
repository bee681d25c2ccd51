// Package build says which program is running: what it was built from, and the
// digest of its executable.
//
// Call [This]. Promised: the digest is that of the file this process was started
// from; on Linux also if another file has taken its name since. Not promised: that
// what a build says of its own origin is true; only whoever builds it again from
// that revision, and compares the digest, knows.
package build

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"

	"tutela"
)

// Build is what a program is.
type Build struct {
	Version    string        // of the module, as the go command stamped it; "development" if it did not
	Revision   string        // of the sources, hexadecimal; "" if it was not stamped
	Modified   bool          // the sources differed from the revision
	Go         string        // release of the compiler and the standard library
	System     string        // GOOS
	Processor  string        // GOARCH
	Executable tutela.SHA256 // of the file that runs
}

// This is the program that runs. It reads the whole executable.
func This() (Build, error) {
	b := Described()
	sum, err := digest()
	if err != nil {
		return b, fmt.Errorf("read the program itself: %w", err)
	}
	b.Executable = sum
	return b, nil
}

// Described is This without the digest; it reads no file.
func Described() Build {
	b := Build{Version: "development", Go: runtime.Version(), System: runtime.GOOS, Processor: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func digest() (sum tutela.SHA256, err error) {
	f, err := open()
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, err
	}
	return tutela.SHA256(h.Sum(nil)), nil
}

// open opens the file that runs. Linux leads to that very file, whatever its name
// means by now.
func open() (*os.File, error) {
	if runtime.GOOS == "linux" {
		return os.Open("/proc/self/exe")
	}
	name, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return os.Open(name)
}
