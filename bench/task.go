package main

import (
	"fmt"
	"slices"
	"strings"
)

// task measures one thing and adds its lines to the table.
type task struct {
	name      string
	about     string
	needsPeer bool
	run       func(*bench) error
}

// tasks are what a whole run measures, in the order of the table.
func tasks() []task {
	return []task{
		{"large", "2 GB in 3,000 files of log-normal size, warm", true, (*bench).large},
		{"small", "100,000 files of 10 KB, warm", true, (*bench).small},
		{"pictures", "1,000 photographs as JPEG, with PDQ, warm", true, (*bench).pictures},
		{"ntfs", "2 GB in 3,000 files on an NTFS image, warm", true, (*bench).ntfs},
		{"e01", "reading an E01 of 10 TB", false, (*bench).huge},
		{"bombs", "files that are made to expand without end", false, (*bench).bombs},
		{"memory", "peak memory of a scan of 1,000,000 files of 100 bytes", false, (*bench).memory},
		{"start", "from start to end of `tutela hash` of one small file", false, (*bench).start},
		{"ledger", "ledger: records of 200 bytes, encrypted, fdatasync every 65,536, against Tessera", false, (*bench).ledger},
		{"ledger-many", "peak memory of a ledger of 100,000,000 leaves (8.4 GB of disk)", false, (*bench).manyLeaves},
		{"court", "bundles of an exhibit of 1,000,000,000 records: to verify them, and their size; and to erase", false, (*bench).court},
		{"jpeg", "JPEGs of 12 megapixels: to brightness at 1/8, and to PDQ", false, (*bench).jpegs},
		{"shift", "quick PDQ against exact", false, (*bench).shift},
		{"exact", "exact look-ups in a set of 10,000,000 MD5", false, (*bench).exact},
		{"exact-large", "a set of 100,000,000 SHA-256", false, (*bench).exactLarge},
		{"near", "near look-ups (up to 31 bits) among 4,000,000 PDQ", false, (*bench).nearest},
		{"near-large", "near look-ups (up to 31 bits) among 10,000,000 PDQ", false, (*bench).nearMany},
		{"robustness", "altered copies of pictures that are found", false, (*bench).robustness},
	}
}

func taskNames() (names []string) {
	for _, t := range tasks() {
		names = append(names, t.name)
	}
	return names
}

// choose picks tasks by name; "" is all of them.
func choose(only string) ([]task, error) {
	all := tasks()
	if only == "" {
		return all, nil
	}
	wanted := strings.Split(only, ",")
	for _, name := range wanted {
		if !slices.Contains(taskNames(), name) {
			return nil, fmt.Errorf("no row is called %q: there are %s", name, strings.Join(taskNames(), ", "))
		}
	}
	return slices.DeleteFunc(all, func(t task) bool { return !slices.Contains(wanted, t.name) }), nil
}
