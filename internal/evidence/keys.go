package evidence

// Keys are what the examiner has to open what is encrypted. A key is tried only
// where the format can tell whether it is right; what a key opened says so as
// a finding. The zero value opens nothing.
type Keys struct {
	// Passphrases are tried, in their order, as UTF-8 without a line end: for
	// LUKS, zip and 7z. Each costs a key derivation, which formats make slow:
	// this is for keys that are known, not for lists to guess from.
	Passphrases []string
	// RecoveryKeys are BitLocker recovery passwords: eight groups of six
	// digits.
	RecoveryKeys []string
}
