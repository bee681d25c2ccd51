package demo

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"image"
	"os"
)

// minQuality is the PDQ quality below which a hash says too little to be
// shared.
const minQuality = 50

func (p *Plan) writeLists(a *album, hash Hash) error {
	alert, err := alertList(a, hash)
	if err != nil {
		return fmt.Errorf("make alert list: %w", err)
	}
	if err := writeFile(p.AlertList, alert); err != nil {
		return err
	}
	return writeFile(p.KnownGoodList, knownGoodList())
}

// alertList is a row for each alert picture: by digest and, for altered copies,
// by perceptual hash. The pictures are hashed as they were encoded.
func alertList(a *album, hash Hash) ([]byte, error) {
	var rows bytes.Buffer
	rows.WriteString("sha256,pdq,category\n")
	for i, s := range a.alert {
		img, _, err := image.Decode(bytes.NewReader(s.data))
		if err != nil {
			return nil, fmt.Errorf("decode %s: %w", s.name, err)
		}
		pdq, quality := hash(img)
		if quality < minQuality {
			return nil, fmt.Errorf("%s is too flat for a list: PDQ quality %d", s.name, quality)
		}
		fmt.Fprintf(&rows, "%x,%s,%d\n", sha256.Sum256(s.data), pdq, 1+i%2)
	}
	return rows.Bytes(), nil
}

// knownGoodList is what `sha256sum` prints about the program's files.
func knownGoodList() []byte {
	var rows bytes.Buffer
	for _, f := range programFiles() {
		fmt.Fprintf(&rows, "%x  gradient-viewer/%s\n", sha256.Sum256(f.data), f.name)
	}
	return rows.Bytes()
}

// writeFile makes a new file; it never replaces one.
func writeFile(name string, content []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}
