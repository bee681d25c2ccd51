package build

import (
	"crypto/sha256"
	"os"
	"runtime"
	"testing"
)

func TestThisIsTheProgramThatRuns(t *testing.T) {
	b, err := This()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if want := sha256.Sum256(program); b.Executable != want {
		t.Errorf("executable %s, want %x", b.Executable, want)
	}
	if b.Go != runtime.Version() || b.System != runtime.GOOS || b.Processor != runtime.GOARCH || b.Version == "" {
		t.Errorf("%+v", b)
	}
}
