package term

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/term"
)

// ErrNobody means that there is no terminal, and so nobody to ask.
var ErrNobody = errors.New("there is no terminal to ask at")

// AskSecret asks on standard error and reads a line from standard input without
// showing it. It returns ErrNobody if standard input is not a terminal.
func AskSecret(question string) ([]byte, error) {
	if !IsTerminal(os.Stdin) {
		return nil, ErrNobody
	}
	fmt.Fprint(os.Stderr, question+" ")
	defer fmt.Fprintln(os.Stderr)
	return term.ReadPassword(int(os.Stdin.Fd()))
}
