package tutela

// VerifyImage is the detail of EventVerifyImage: an image was read from its
// beginning to its end and held against the digests that it carries.
type VerifyImage struct {
	Image  string      `json:"image"`  // where it lies, as it was given, printable
	Format string      `json:"format"` // "e01", "raw" …
	Size   int64       `json:"size"`   // of the medium, in bytes
	Result ImageResult `json:"result"`

	// What the medium has; "" where not all of it could be read.
	MD5    string `json:"md5"`
	SHA1   string `json:"sha1"`
	SHA256 string `json:"sha256"`

	Stored []StoredDigest `json:"stored"`          // what the image says it has
	Cause  string         `json:"cause,omitempty"` // why not all of it could be read
	Tool   string         `json:"tool"`            // name and version of what read it
}

// StoredDigest is a digest of the medium that an image carries.
type StoredDigest struct {
	Algorithm string `json:"algorithm"` // "md5" or "sha1"
	Value     string `json:"value"`     // hexadecimal digits
}

// ImageResult is how an image compares with what it says of itself.
type ImageResult string

// The results of verifying an image.
const (
	ImageMatches    ImageResult = "match"
	ImageDiffers    ImageResult = "mismatch"
	ImageUndigested ImageResult = "no-stored-digest" // nothing to compare with
	ImageUnreadable ImageResult = "unreadable"       // not all of it could be read
)
