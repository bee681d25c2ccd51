package scan

import "testing"

// A picture that carries its thumbnail is looked at and opened; others are one
// or the other.
func TestWants(t *testing.T) {
	exif := "\xff\xd8\xff\xe1\x00\x40Exif\x00\x00II*\x00\x08\x00\x00\x00\x00\x00\x0e\x00\x00\x00"
	for _, tc := range []struct {
		profile    Profile
		mime, head string
		want       want
	}{
		{Standard, "image/jpeg", exif, wantPicture | wantArchive},
		{Standard, "image/jpeg", "\xff\xd8\xff\xe0\x00\x10JFIF\x00", wantPicture},
		{Standard, "application/zip", "PK\x03\x04", wantArchive},
		{Standard, "text/plain", "text", 0},
		{Triage, "image/jpeg", exif, 0},
	} {
		if got := tc.profile.wants(tc.mime, []byte(tc.head)); got != tc.want {
			t.Errorf("%s %s %.10q: %b, want %b", tc.profile, tc.mime, tc.head, got, tc.want)
		}
	}
}
