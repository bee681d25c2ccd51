// Package verify holds the verifier of disclosure bundles that stands in each of
// them.
package verify

import _ "embed"

// Script is verify.py: a verifier that needs Python 3.9 or later and its standard
// library alone.
//
//go:embed verify.py
var Script []byte
