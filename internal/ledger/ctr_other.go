//go:build !amd64

package ledger

func encryptPieces(*[32]byte, *byte, int) { panic("internal error: no code for this processor") }

func canEncryptPieces() bool { return false }
