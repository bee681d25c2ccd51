package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const vectors = "../../verify/testdata/"

// TestRun: what it prints and how it ends.
func TestRun(t *testing.T) {
	policy := filepath.Join(t.TempDir(), "policy")
	if err := os.WriteFile(policy, []byte("quorum none\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		want int
		out  string
		args []string
	}{
		{0, "OK. This bundle holds.\n", []string{vectors + "good"}},
		{0, `{"message_type":"verdict","ok":true,"opened":3,`, []string{"--json", vectors + "good.tar"}},
		{0, "They are enough for 1 policy", []string{"--policy", vectors + "good/policy", vectors + "good"}},
		{4, "REFUSED.", []string{"-policy", policy, vectors + "good"}},
		{4, `{"message_type":"verdict","ok":false,"opened":0,"proven":[],"not_proven":[],"problems":["`, []string{"--json", vectors + "changed/rewritten-log"}},
		{4, "REFUSED.", []string{vectors + "README.md"}},
		{1, "", []string{vectors + "nothing"}},
		{1, "", []string{"--time-roots", policy, vectors + "good"}},
		{2, "", nil},
		{2, "", []string{vectors + "good", vectors + "good"}},
		{2, "", []string{"--polcy", policy, vectors + "good"}},
		{0, "", []string{"--help"}},
	} {
		var out, errs bytes.Buffer
		code := run(c.args, &out, &errs)
		if code != c.want || !strings.Contains(out.String(), c.out) {
			t.Errorf("%v: exit %d, not %d: %s%s", c.args, code, c.want, out.String(), errs.String())
		}
		if code == 0 && c.args[0] == "--json" && !json.Valid(out.Bytes()) {
			t.Errorf("not JSON: %s", out.String())
		}
	}
}

// build makes the program of a module folder for Linux, and returns its file.
func build(t *testing.T, module string, flags ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "tutela-verify")
	args := append([]string{"build", "-trimpath", "-buildvcs=false", "-o", out}, flags...)
	cmd := exec.Command("go", append(args, "./cmd/tutela-verify")...)
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOFLAGS=", "GOWORK=off")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return out
}

// copyModule lays what the program is made of into another folder.
func copyModule(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-f", "{{if and .Module .Module.Main}}{{.Dir}}{{end}}", "./cmd/tutela-verify")
	cmd.Dir = "../.."
	text, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	to := t.TempDir()
	files := []string{filepath.Join(root, "go.mod"), filepath.Join(root, "go.sum"), filepath.Join(root, "verify", "verify.py")}
	for _, dir := range strings.Fields(string(text)) {
		found, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	for _, name := range files {
		copyFile(t, name, filepath.Join(to, strings.TrimPrefix(name, root)))
	}
	return to
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// maxSize is how large the program may be, in bytes.
const maxSize = 4_000_000

// TestSameBytes: whoever builds it from the same sources, wherever they lie, gets
// the same file; and it is small.
func TestSameBytes(t *testing.T) {
	flags := []string{"-ldflags=-s -w"}
	here, there := build(t, "../..", flags...), build(t, copyModule(t), flags...)
	a, err := os.ReadFile(here)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(there)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Error("two folders, two programs")
	}
	if len(a) > maxSize {
		t.Errorf("%d bytes, more than %d", len(a), maxSize)
	}
}

// sockets are the functions through which a Go program reaches a network, or
// starts another that could. Package net is in the program, since certificates
// name addresses: its types are, and what opens, listens or resolves is not. A
// linker leaves out what nothing calls, so no symbol means no way there.
var sockets = regexp.MustCompile(`(?m) [Tt] (net\.(.*(Dial|Listen|Resolver|Conn|socket|Lookup|lookupIP).*)|net/http\..*|crypto/tls\..*|os/exec\..*|` +
	`(syscall|golang\.org/x/sys/unix)\.([Ss]ocket|[Ss]ocketpair|[Cc]onnect|[Bb]ind|[Ll]isten|[Aa]ccept4?|[Ss]endto|[Rr]ecvfrom|[Ss]endmsg|[Rr]ecvmsg|forkExec|StartProcess)|` +
	`internal/poll\.\(\*FD\)\.(Connect|Accept|SendTo|RecvFrom|SendMsg|ReadMsg).*)$`)

// TestReachesNoNetwork looks for them in the symbols of the program.
func TestReachesNoNetwork(t *testing.T) {
	text, err := exec.Command("go", "tool", "nm", build(t, "../..")).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, planted := range []string{"net.(*Dialer).DialContext", "syscall.Socket", "syscall.connect", "net.(*Resolver).lookupIP", "internal/poll.(*FD).Connect", "os/exec.(*Cmd).Start"} {
		if !sockets.MatchString("  4a2b40 T " + planted + "\n") {
			t.Errorf("%s would not be found", planted)
		}
	}
	for _, found := range sockets.FindAllString(string(text), -1) {
		t.Errorf("in the program:%s", found)
	}
	if !strings.Contains(string(text), " T tutela/verify.Path") || !strings.Contains(string(text), " T syscall.read") {
		t.Error("these are not the symbols of the program")
	}
}
