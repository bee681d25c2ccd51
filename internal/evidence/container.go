package evidence

// Fact is something that a container says about how the medium was acquired:
// who, when, with what. It is a claim, kept as it was written.
type Fact struct {
	Name  string // "case number", "examiner" …
	Value string
}

// StoredDigest is a digest of the whole medium that a container carries.
type StoredDigest struct {
	Algorithm string // "md5" or "sha1"
	Value     []byte
}
