package verify_test

import (
	"os"
	"os/exec"
	"path/filepath"
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

func TestScriptAcceptsABundle(t *testing.T) {
	out, code := script(t, writeFolder(t, newDrawing().draw()))
	if code != 0 {
		t.Fatalf("exit %d: %s", code, out)
	}
}
