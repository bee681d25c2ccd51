package lab

import "testing"

func TestOriginsAreLegible(t *testing.T) {
	for name, want := range map[string]string{
		"Example Police":      "example-police",
		"Polizei Köln":        "polizei-koln",
		"Policía Nacional":    "policia-nacional",
		" --Sûreté (Unité 3)": "surete-unite-3",
		"Πάφος":               "lab", // no letter that an origin may hold
		"":                    "lab",
	} {
		if got := slug(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
