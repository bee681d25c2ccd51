package ledger

import "golang.org/x/sys/cpu"

// encryptPieces encrypts n pieces of 16 blocks, at least 1, in place: AES-256
// (FIPS 197). It needs VAES and AVX-512 F.
//
//go:noescape
func encryptPieces(key *[32]byte, pieces *byte, n int)

// canEncryptPieces reports whether this processor has what encryptPieces needs.
func canEncryptPieces() bool { return cpu.X86.HasAVX512F && cpu.X86.HasAVX512VAES }
