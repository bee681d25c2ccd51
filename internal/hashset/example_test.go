package hashset_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"tutela"
	"tutela/internal/hashset"
)

// A store takes lists in and keeps their versions; what is in use answers.
func Example() {
	dir, err := os.MkdirTemp("", "sets")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	wanted := sha256.Sum256([]byte("wanted"))
	list := filepath.Join(dir, "list.txt")
	if err := os.WriteFile(list, fmt.Appendf(nil, "%x\n", wanted), 0o600); err != nil {
		log.Fatal(err)
	}
	store, err := hashset.OpenStore(filepath.Join(dir, "sets"))
	if err != nil {
		log.Fatal(err)
	}
	version, report, err := store.Import(context.Background(), hashset.ImportRequest{
		Name: "wanted", Status: tutela.Alert, Files: []string{list}, Imported: time.Now(),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(version.Name, "version", version.Version, "with", report.Rows, "row")

	sets, err := store.OpenActive()
	if err != nil {
		log.Fatal(err)
	}
	defer sets.Close()
	for _, m := range sets.Match(7, &tutela.Record{Hashed: true, Digests: tutela.Digests{SHA256: wanted}}) {
		fmt.Println("record", m.Leaf, "is in", m.Set, "row", m.Row, "by", m.Kind)
	}
	if err := sets.Damage(); err != nil { // what was not found counts only if nothing was damaged
		log.Fatal(err)
	}
	// Output:
	// wanted version 1 with 1 row
	// record 7 is in wanted row 0 by sha256
}

// A person has a digest and nothing else.
func ExampleSets_LookupValue() {
	dir, err := os.MkdirTemp("", "sets")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	list := filepath.Join(dir, "list.csv")
	if err := os.WriteFile(list, []byte("md5,category\n0123456789abcdef0123456789abcdef,2\n"), 0o600); err != nil {
		log.Fatal(err)
	}
	file, format, err := hashset.OpenFile(list, "", hashset.Options{Scheme: "caid-uk"})
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	path := filepath.Join(dir, "1.set")
	meta := hashset.Meta{Name: "partner", Version: 1, Status: tutela.Alert, Format: string(format), Imported: time.Now()}
	if _, _, err := hashset.Compile(context.Background(), path, meta, file, hashset.Work{}); err != nil {
		log.Fatal(err)
	}
	set, err := hashset.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	sets := hashset.NewSets(set)
	defer sets.Close()
	hits, err := sets.LookupValue("0123456789ABCDEF0123456789ABCDEF")
	if err != nil {
		log.Fatal(err)
	}
	for _, h := range hits {
		fmt.Println(h.Set.Name, h.Kind, h.Assertion.Category)
	}
	// Output:
	// partner md5 caid-uk:2
}
