package verify_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tutela/verify"
)

// writeFolder lays files out below a new folder.
func writeFolder(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for path, data := range files {
		at := filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// script runs verify.py and returns what it prints and its exit code.
func script(t testing.TB, args ...string) (string, int) {
	t.Helper()
	cmd := exec.Command("python3", append([]string{"-B", "verify.py"}, args...)...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// TestScriptAcceptsABundle: as a folder, beside the script itself, and as a tar.
func TestScriptAcceptsABundle(t *testing.T) {
	d := newDrawing()
	files := d.draw()
	tar := filepath.Join(t.TempDir(), "bundle.tar")
	if err := os.WriteFile(tar, drawnTar(files), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, where := range []string{tar, writeFolder(t, files)} {
		out, code := script(t, where)
		if code != 0 {
			t.Fatalf("exit %d: %s", code, out)
		}
		for _, want := range []string{"2026-0815", "Erika Mustermann", "7-B", "3 leaves", "14 entries", "2 witnesses", "2 time-stamps", "NOT PROVEN", fmt.Sprintf("%x", sum256(files["policy"]))} {
			if !strings.Contains(out, want) {
				t.Errorf("the page does not say %q:\n%s", want, out)
			}
		}
	}
	own, err := os.ReadFile("verify.py")
	if err != nil {
		t.Fatal(err)
	}
	files["verify.py"] = own
	dir := writeFolder(t, d.seal(files))
	if out, err := exec.Command("python3", filepath.Join(dir, "verify.py")).CombinedOutput(); err != nil {
		t.Errorf("beside the bundle: %v: %s", err, out)
	}
}

// TestFoldersAreReadStrictly: what is in the folder and no file of the list.
func TestFoldersAreReadStrictly(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"empty folder": func(dir string) error { return os.Mkdir(filepath.Join(dir, "events", "more"), 0o755) },
		"another file": func(dir string) error { return os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o644) },
		"link": func(dir string) error {
			at := filepath.Join(dir, "README.txt")
			return errors.Join(os.Rename(at, dir+"-readme"), os.Symlink(dir+"-readme", at))
		},
		"link to a folder": func(dir string) error {
			at := filepath.Join(dir, "tool")
			return errors.Join(os.Rename(at, dir+"-tool"), os.Symlink(dir+"-tool", at))
		},
		"deep folders": func(dir string) error {
			deep := filepath.Join(dir, "report", "a", "b", "c")
			return errors.Join(os.MkdirAll(deep, 0o755), os.WriteFile(filepath.Join(deep, "d"), nil, 0o644))
		},
		"nothing listed": func(dir string) error { return os.Remove(filepath.Join(dir, "BUNDLE")) },
		"unsigned":       func(dir string) error { return os.Remove(filepath.Join(dir, "BUNDLE.sig")) },
		"another hash": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, "README.txt"), []byte("reed me\n"), 0o644)
		},
		"missing": func(dir string) error { return os.Remove(filepath.Join(dir, "policy")) },
	} {
		dir := writeFolder(t, newDrawing().draw())
		if err := spoil(dir); err != nil {
			t.Fatal(err)
		}
		if out, code := script(t, dir); code != 4 || !strings.HasPrefix(out, "REFUSED") {
			t.Errorf("%s: exit %d: %s", name, code, out)
		}
		if v, err := verify.Path(dir, verify.Options{}); err != nil || v.OK {
			t.Errorf("%s: %+v, %v", name, v, err)
		}
	}
}

// TestScriptTakesAnotherPolicy: what it says of one is tested by TestAnotherPolicy.
func TestScriptTakesAnotherPolicy(t *testing.T) {
	dir, at := writeFolder(t, newDrawing().draw()), filepath.Join(t.TempDir(), "policy")
	for key, want := range map[noteKey]int{drawnLog[0]: 0, drawnOld[0]: 4} {
		if err := os.WriteFile(at, fmt.Appendf(nil, "log %s\nquorum none\n", key.vkey()), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, code := script(t, "--policy", at, dir); code != want {
			t.Errorf("exit %d, not %d: %s", code, want, out)
		}
	}
	for _, args := range [][]string{{dir, "--policy"}, {"--policy"}, {"--polcy", at, dir}, {dir, dir}} {
		if out, code := script(t, args...); code != 1 || !strings.Contains(out, "--policy FILE") {
			t.Errorf("%v: exit %d: %s", args, code, out)
		}
	}
}
