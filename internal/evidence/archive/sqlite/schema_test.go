package sqlite

import (
	"slices"
	"strings"
	"testing"
)

func TestParseColumns(t *testing.T) {
	for sql, want := range map[string]string{
		`CREATE TABLE t(a, b TEXT, c)`:                                                     "a b c | a b c",
		`CREATE TABLE "t(x" ("a b", [c,d], 'e''f', ` + "`g``h`" + `)`:                      "a b c,d e'f g`h | a b c,d e'f g`h",
		"CREATE TABLE t(a -- b,\n, /* c, */ d)":                                            "a d | a d",
		`CREATE TABLE t(a, b PRIMARY KEY, c)`:                                              "a b c | b a c",
		`CREATE TABLE t(a, b, c, PRIMARY KEY(C DESC, a, c)) WITHOUT ROWID`:                 "a b c | c a b",
		`CREATE TABLE t(a, CONSTRAINT k PRIMARY KEY (b COLLATE NOCASE), b)`:                "a b | b a",
		`CREATE TABLE t(a DEFAULT (1,2), b CHECK(b IN (1,2)), UNIQUE(a,b), CHECK(a))`:      "a b | a b",
		`CREATE TABLE t(a, v AS (a+1), w INT GENERATED ALWAYS AS (a) STORED, x DEFAULT 1)`: "a w x | a w x",
		`CREATE TABLE t("primary", "check" INT, "as")`:                                     "primary check as | primary check as",
		`CREATE TABLE t`:             " | ",
		`CREATE TABLE t(`:            " | ",
		`CREATE TABLE t(a, b`:        "a | a",
		`CREATE TABLE t(,,)`:         " | ",
		`CREATE TABLE t("a`:          " | ",
		`CREATE TABLE t(PRIMARY KEY`: " | ",
		``:                           " | ",
	} {
		c := parseColumns(sql)
		if got := strings.Join(c.stored, " ") + " | " + strings.Join(c.keyed, " "); got != want {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
}

func FuzzParseColumns(f *testing.F) {
	f.Add("CREATE TABLE t(a, \"b\" TEXT PRIMARY KEY, c AS (a) STORED, UNIQUE(a)) WITHOUT ROWID")
	f.Fuzz(func(t *testing.T, sql string) {
		if c := parseColumns(sql); len(c.keyed) > len(c.stored) {
			t.Errorf("%q: %q and %q", sql, c.stored, c.keyed)
		}
	})
}

func TestVarint(t *testing.T) {
	for in, want := range map[string]int64{
		"\x00": 0, "\x7f": 127, "\x81\x00": 128, "\xff\x7f": 16383,
		"\xff\xff\xff\xff\xff\xff\xff\xff\xff": -1, "\x81\x80\x80\x80\x80\x80\x80\x80\x00": 1 << 57,
	} {
		if got, n := varint([]byte(in + "x")); got != want || n != len(in) {
			t.Errorf("% x: %d in %d bytes, want %d", in, got, n, want)
		}
		if _, n := varint([]byte(in)[:len(in)-1]); n != 0 {
			t.Errorf("% x is cut off and gives a number", in)
		}
	}
}

func TestPageSet(t *testing.T) {
	var s pageSet
	want := []uint32{1, 63, 64, 65535, 65536, 1<<32 - 1}
	for _, page := range slices.Backward(want) {
		if s.has(page) || !s.add(page) || s.add(page) || !s.has(page) {
			t.Errorf("page %d", page)
		}
	}
	if got := slices.Collect(s.all()); !slices.Equal(got, want) {
		t.Errorf("%d, want %d", got, want)
	}
}
