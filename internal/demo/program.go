package demo

import (
	"bytes"
	"fmt"
)

// programFiles are the files of a program that never was: what a known-good
// list saves people from looking at.
func programFiles() []part {
	names := []string{
		"gradient-viewer.exe", "gradient-viewer.cfg", "codec-jpeg.dll", "codec-png.dll", "render.dll", "fonts.dat",
		"lang/en.dat", "lang/fr.dat", "lang/nl.dat", "help/index.htm", "help/keys.htm", "uninstall.exe",
	}
	files := make([]part, len(names))
	for i, name := range names {
		line := fmt.Sprintf("%s of the demonstration program, block of file %d\n", name, i)
		files[i] = part{name, bytes.Repeat([]byte(line), 400*(i+1)+i)}
	}
	return files
}

// install plants the program's files below folder.
func install(folder string) []file {
	var out []file
	for _, p := range programFiles() {
		out = append(out, file{path: folder + "/" + p.name, content: p.data, expect: KnownGood, why: "a file of an installed program, on the known-good list"})
	}
	return out
}
