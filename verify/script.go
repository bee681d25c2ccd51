package verify

import _ "embed" // for verify.py

// Script is verify.py, which lies in every bundle: the same check in Python 3.9 or
// later, with its standard library alone. Nobody changes it.
//
//go:embed verify.py
var Script []byte
