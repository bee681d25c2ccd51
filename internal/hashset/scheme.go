package hashset

import "slices"

// Scheme is a category scheme: whose codes they are and what people call them.
// Codes of different schemes are never compared, because category numbers are
// national.
type Scheme struct {
	Name    string
	Version string // of this table
	Title   string
	Codes   []Code
}

// Code is one category of a scheme.
type Code struct {
	Code  string
	Label string // neutral: the scheme's own document says what it means
}

// Schemes lists the registered schemes by name. A code or scheme that is not
// listed is kept and flagged at import, never refused: schemes change faster
// than programs.
func Schemes() []Scheme {
	return []Scheme{
		// UK sentencing and the Child Abuse Image Database count three
		// categories (Sentencing Council, definitive guideline of 2014, writes
		// A, B and C; exports write 1, 2 and 3).
		{"caid-uk", "1", "United Kingdom", slices.Concat(
			[]Code{{"0", "non-pertinent"}, {"1", "category 1"}, {"2", "category 2"}, {"3", "category 3"}},
			[]Code{{"A", "category A"}, {"B", "category B"}, {"C", "category C"}})},
		// INTERPOL, International Child Sexual Exploitation database: the
		// baseline is what is illegal everywhere.
		{"interpol-baseline", "1", "INTERPOL baseline", []Code{{"1", "baseline"}}},
		// Project VIC data models 1.x and 2.0, profile Default.
		{"vics-default", "1", "Project VIC, default profile", projectVIC()},
		// Project VIC data model 2.0, profile US.
		{"vics-us", "1", "Project VIC, United States profile", projectVIC()},
	}
}

func projectVIC() []Code {
	return []Code{
		{"0", "non-pertinent"}, {"1", "category 1"}, {"2", "category 2"},
		{"3", "category 3"}, {"4", "category 4"}, {"5", "uncategorised"},
	}
}

// SchemeNamed finds a registered scheme.
func SchemeNamed(name string) (Scheme, bool) {
	for _, s := range Schemes() {
		if s.Name == name {
			return s, true
		}
	}
	return Scheme{}, false
}

// Label is what people call a code; false if the scheme does not list it.
func (s Scheme) Label(code string) (string, bool) {
	for _, c := range s.Codes {
		if c.Code == code {
			return c.Label, true
		}
	}
	return "", false
}
