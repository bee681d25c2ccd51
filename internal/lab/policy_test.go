package lab

import (
	"strings"
	"testing"
)

// TestWitnessLines keeps what a lab keeps of a policy, whatever stands beside it.
func TestWitnessLines(t *testing.T) {
	t.Parallel()
	const policy = "# watched\nlog a+b+c\n\twitness  w\tx+y+z   https://w.example \n\nquorum w\n"
	const want = "witness w x+y+z https://w.example\nquorum w\n"
	got := WitnessLines([]byte(policy))
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if again := WitnessLines([]byte(got)); again != want {
		t.Errorf("again: %q", again)
	}
}

// FuzzPolicy: no text ends in anything but an error or a policy that stands, and
// what is kept of a file is kept of what is kept.
func FuzzPolicy(f *testing.F) {
	const key = "witness1.example+36319d77+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"
	f.Add("witness w "+key+" https://w.example\nquorum w\n", "https://t.example", "")
	f.Add("quorum none\n", "http://[::1", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	logKeys := []string{"witness3.example+898861e1+Ae1JKMYo0cLG6ukDOJBZlWEpWSc6XGP5NjbBRhSshzfR"}
	f.Fuzz(func(t *testing.T, witnesses, address, roots string) {
		lines := WitnessLines([]byte(witnesses))
		if WitnessLines([]byte(lines)) != lines {
			t.Errorf("%q is kept otherwise when it is kept again", lines)
		}
		p := Policy{Witnesses: lines, TimeAuthorities: []string{address}, TimeRoots: roots}
		if err := p.check(logKeys); err == nil && !strings.HasPrefix(strings.ToLower(address), "http") {
			t.Errorf("%q was taken for an address", address)
		}
	})
}
