package verify_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
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
		for _, want := range []string{"2026-0815", "Erika Mustermann", "7-B", "3 leaves", "14 entries", "2 time-stamps", "NOT PROVEN", fmt.Sprintf("%x", sum256(files["policy"]))} {
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

// TestScriptReadsFoldersStrictly: what is in the folder and no file of the list.
func TestScriptReadsFoldersStrictly(t *testing.T) {
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
		"missing": func(dir string) error { return os.Remove(filepath.Join(dir, "policy")) },
	} {
		dir := writeFolder(t, newDrawing().draw())
		if err := spoil(dir); err != nil {
			t.Fatal(err)
		}
		if out, code := script(t, dir); code != 4 || !strings.HasPrefix(out, "REFUSED") {
			t.Errorf("%s: exit %d: %s", name, code, out)
		}
	}
}

// TestScriptDemandsAnotherPolicy: with --policy, both must hold; the second may
// be in any form of C2SP tlog-policy.
func TestScriptDemandsAnotherPolicy(t *testing.T) {
	dir := writeFolder(t, newDrawing().draw())
	logs := fmt.Sprintf("log %s https://log.example/\n\tlog  %s\n", drawnLog[0].vkey(), drawnLog[1].vkey())
	court := fmt.Sprintf("witness c %s https://court.example/\n", drawnWitness[0].vkey())
	stranger := fmt.Sprintf("witness s %s\n", noteKey{"stranger.example", 4, 77}.vkey())
	for text, want := range map[string]int{
		"# ours\n\n" + logs + court + stranger + "group g any c s\nquorum g\n": 0,
		logs + "quorum none\n":                                  0,
		logs + court + stranger + "group g all c s\nquorum g\n": 4,
		logs + court + stranger + "group g 2 c s\nquorum g\n":   4,
		logs + stranger + "quorum s\n":                          4,
		logs + court + "quorun c\n":                             4,
		logs + court:                                            4,
		court + "quorum c\n":                                    4,
		logs + court + "quorum c\nquorum c\n":                   4,
		logs + court + "group g 0 c\nquorum g\n":                4,
		logs + court + "group g 1 c c\nquorum g\n":              4,
		logs + court + "group g 1 h\ngroup h 1 c\nquorum g\n":   4,
		fmt.Sprintf("log %s\nlog %s\n", drawnOld[0].vkey(), drawnLog[1].vkey()) + court + "quorum c\n": 4,
	} {
		at := filepath.Join(t.TempDir(), "policy")
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, code := script(t, "--policy", at, dir); code != want {
			t.Errorf("exit %d, not %d: %s\n%s", code, want, out, text)
		}
	}
}
